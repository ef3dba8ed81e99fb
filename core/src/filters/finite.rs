//! NaN and infinity become silence.

use crate::audio::Buffer;

/// Replaces samples that are not finite by 0 and tells how many they were. Real-time safe.
pub(super) fn make_finite(block: &mut Buffer) -> u64 {
    let mut replaced = 0;
    for samples in block.channels_mut() {
        // NaN and infinity times 0 are NaN, everything else 0: one sum finds them without a branch for each sample.
        let mut lanes = [0.0f32; 16];
        let chunks = samples.chunks_exact(16);
        let rest: f32 = chunks.remainder().iter().map(|x| x * 0.0).sum();
        for chunk in chunks {
            for (lane, x) in lanes.iter_mut().zip(chunk) {
                *lane += x * 0.0;
            }
        }
        if (lanes.iter().sum::<f32>() + rest).is_nan() {
            for x in samples.iter_mut().filter(|x| !x.is_finite()) {
                *x = 0.0;
                replaced += 1;
            }
        }
    }
    replaced
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{ChannelLayout, Spec};

    #[test]
    fn only_what_is_not_finite_is_replaced_wherever_it_is() {
        let spec = Spec::new(48_000, ChannelLayout::STEREO);
        for frames in 1..50 {
            for at in 0..frames {
                let mut x: Vec<f32> = (0..frames).map(|n| f32::MAX / (n + 1) as f32).collect();
                let plain = Buffer::from_channels(spec, &[x.clone(), x.clone()]);
                let mut block = plain.clone();
                assert_eq!(make_finite(&mut block), 0);
                assert_eq!(block.channel(1), plain.channel(1));
                x[at] = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY][at % 3];
                block = Buffer::from_channels(spec, &[plain.channel(0).to_vec(), x]);
                assert_eq!(make_finite(&mut block), 1);
                assert!((0..frames).all(|n| block.channel(1)[n] == if n == at { 0.0 } else { plain.channel(0)[n] }));
            }
        }
    }
}
