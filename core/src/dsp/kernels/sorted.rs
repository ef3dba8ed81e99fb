//! Many short sorted lists at once, of each of which one value goes while another comes: sliding medians.

use fearless_simd::{Level, Simd, dispatch, f32x16, prelude::*};

use super::{LANES, level};

/// In list `i`, puts `new[i]` in the place of a value `old[i]` that is there, and keeps the order.
///
/// `lists` holds `length` values of each list, the smallest first, interleaved by 16: value `k` of list `16 j + i` is at
/// `(j * length + k) * 16 + i`. `old` and `new` are as long as there are lists, a multiple of 16. NaN is nowhere. Real-time safe.
pub fn replace_sorted(lists: &mut [f32], length: usize, old: &[f32], new: &[f32]) {
    replace_sorted_at(level(), lists, length, old, new);
}

fn replace_sorted_at(level: Level, lists: &mut [f32], length: usize, old: &[f32], new: &[f32]) {
    dispatch!(level, simd => run(simd, lists, length, old, new));
}

/// Values below the old one stay and those above move down by one, which leaves a list without it; there the new value goes between its
/// neighbours: `min(here, max(before, new))` at every place.
#[inline(always)]
fn run<S: Simd>(simd: S, lists: &mut [f32], length: usize, old: &[f32], new: &[f32]) {
    let blocks = lists.chunks_exact_mut(LANES * length);
    for ((block, old), new) in blocks.zip(old.chunks_exact(LANES)).zip(new.chunks_exact(LANES)) {
        let (old, new) = (f32x16::from_slice(simd, old), f32x16::from_slice(simd, new));
        let mut row = f32x16::from_slice(simd, &block[..LANES]);
        // The largest of the new value and those before.
        let mut before = new;
        for k in 0..length - 1 {
            let after = f32x16::from_slice(simd, &block[(k + 1) * LANES..(k + 2) * LANES]);
            let here = row.simd_lt(old).select(row, after);
            here.simd_lt(before).select(here, before).store_slice(&mut block[k * LANES..(k + 1) * LANES]);
            before = here.simd_gt(new).select(here, new);
            row = after;
        }
        before.store_slice(&mut block[(length - 1) * LANES..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsp::kernels::levels;

    #[test]
    fn every_instruction_set_keeps_the_lists_sorted() {
        for (length, count) in [(1, 16), (2, 16), (31, 48)] {
            let mut seed = 1u32;
            let mut next = || {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 27) as f32 - 8.0 // many are equal
            };
            let mut plain: Vec<Vec<f32>> = (0..count).map(|_| (0..length).map(|_| next()).collect()).collect();
            plain.iter_mut().for_each(|list| list.sort_by(f32::total_cmp));
            let place = |i: usize, k: usize| (i / LANES * length + k) * LANES + i % LANES;
            let interleaved = |plain: &[Vec<f32>]| {
                let mut lists = vec![0.0; count * length];
                for (i, list) in plain.iter().enumerate() {
                    list.iter().enumerate().for_each(|(k, v)| lists[place(i, k)] = *v);
                }
                lists
            };
            let mut got: Vec<Vec<f32>> = levels().iter().map(|_| interleaved(&plain)).collect();
            for turn in 0..100 {
                let gone: Vec<f32> = plain.iter().map(|list| list[turn * 7 % length]).collect();
                let come: Vec<f32> = (0..count).map(|_| next()).collect();
                for ((list, gone), come) in plain.iter_mut().zip(&gone).zip(&come) {
                    list.remove(list.iter().position(|v| v == gone).unwrap());
                    list.push(*come);
                    list.sort_by(f32::total_cmp);
                }
                for (level, got) in levels().into_iter().zip(&mut got) {
                    replace_sorted_at(level, got, length, &gone, &come);
                    assert_eq!(*got, interleaved(&plain), "{level:?} {length} {turn}");
                }
            }
        }
    }
}
