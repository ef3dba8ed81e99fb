//! Partitioned Rice coding of a residual: the search for partitions and parameters, and the writing.
//!
//! Source: RFC 9639 section 9.2.7.

use fearless_simd::{Level, Simd, dispatch};

use super::super::bits::BitWriter;

/// Largest parameter of the 4-bit method; 15 is the escape.
const MAX_K_SHORT: u32 = 14;
/// Largest parameter of the 5-bit method.
const MAX_K_LONG: u32 = 30;

/// How a residual is coded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct RicePlan {
    /// 2^order partitions.
    pub order: u32,
    /// One parameter per partition.
    pub params: Vec<u8>,
    /// True for 5-bit parameters.
    pub long: bool,
    /// Bits of the whole coded residual with its headers (an estimate within the rounding of the search).
    pub bits: u64,
}

/// Plans the coding of `residual`, of a block of `block` samples whose first `order` ones are warm-up.
pub(crate) fn plan(residual: &[i32], block: usize, order: usize, max_partition_order: u32) -> RicePlan {
    // Partitions divide the block evenly and the first must not be empty of residual.
    let mut top = max_partition_order.min(block.trailing_zeros());
    while top > 0 && block >> top <= order {
        top -= 1;
    }
    let mut sums = Vec::with_capacity(1 << top);
    let size = block >> top;
    let mut rest = residual;
    let level = Level::new();
    for p in 0..1_usize << top {
        let (now, later) = rest.split_at(if p == 0 { size - order } else { size });
        sums.push(dispatch!(level, simd => folded_sum(simd, now)));
        rest = later;
    }
    let mut best: Option<RicePlan> = None;
    let mut partition_order = top;
    loop {
        let candidate = plan_order(&sums, block >> partition_order, order, partition_order);
        if best.as_ref().is_none_or(|b| candidate.bits < b.bits) {
            best = Some(candidate);
        }
        if partition_order == 0 {
            return best.unwrap_or_default();
        }
        // Two partitions become one.
        for i in 0..sums.len() / 2 {
            sums[i] = sums[2 * i] + sums[2 * i + 1];
        }
        sums.truncate(sums.len() / 2);
        partition_order -= 1;
    }
}

/// Sum of the folded (zigzag) values.
#[inline(always)]
fn folded_sum<S: Simd>(_: S, residual: &[i32]) -> u64 {
    // Runs short enough that 32-bit lanes do not overflow when values stay below 2^24; wider ones are added in 64 bits.
    let mut total = 0_u64;
    for run in residual.chunks(128) {
        let mut or = 0_u32;
        let mut sum = 0_u32;
        for r in run {
            let folded = ((r << 1) ^ (r >> 31)) as u32;
            or |= folded;
            sum = sum.wrapping_add(folded);
        }
        total += if or < 1 << 24 {
            u64::from(sum)
        } else {
            run.iter().map(|r| u64::from(((r << 1) ^ (r >> 31)) as u32)).sum::<u64>()
        };
    }
    total
}

fn plan_order(sums: &[u64], size: usize, order: usize, partition_order: u32) -> RicePlan {
    let mut params = Vec::with_capacity(sums.len());
    let mut bits = 0;
    let mut longest = 0;
    for (p, sum) in sums.iter().enumerate() {
        let n = (if p == 0 { size - order } else { size }) as u64;
        let (k, cost) = best_param(*sum, n);
        longest = longest.max(k);
        params.push(k as u8);
        bits += cost;
    }
    let long = longest > MAX_K_SHORT;
    bits += 6 + sums.len() as u64 * if long { 5 } else { 4 };
    RicePlan { order: partition_order, params, long, bits }
}

/// Parameter and bits for `n` values whose folded sum is `sum`: `n (1 + k)` for stop bits and remainders, and the
/// quotients, `sum >> k` less the half that the remainders take away on average.
fn best_param(sum: u64, n: u64) -> (u32, u64) {
    if n == 0 {
        return (0, 0);
    }
    let cost = |k: u32| {
        let quotients = if k == 0 { sum } else { (sum >> k).saturating_sub(n / 2) };
        n * u64::from(1 + k) + quotients
    };
    // The mean's logarithm is within one of the best.
    let guess = (sum / n).checked_ilog2().unwrap_or(0).min(MAX_K_LONG);
    let low = guess.saturating_sub(1);
    (low..=(guess + 1).min(MAX_K_LONG)).map(|k| (k, cost(k))).min_by_key(|(_, c)| *c).unwrap_or((guess, cost(guess)))
}

/// Writes `residual` as planned.
pub(crate) fn write(w: &mut BitWriter, plan: &RicePlan, residual: &[i32], block: usize, order: usize) {
    w.put(u32::from(plan.long), 2);
    w.put(plan.order, 4);
    let size = block >> plan.order;
    let mut rest = residual;
    for (p, k) in plan.params.iter().enumerate() {
        let (now, later) = rest.split_at(if p == 0 { size - order } else { size });
        w.put(u32::from(*k), if plan.long { 5 } else { 4 });
        w.put_rice(now, u32::from(*k));
        rest = later;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planned_bits_come_close_to_the_written_ones() {
        let mut state = 1_u32;
        let residual: Vec<i32> = (0..4088)
            .map(|i| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let width = if i < 2000 { 25 } else { 18 };
                (state as i32) >> width
            })
            .collect();
        let p = plan(&residual, 4096, 8, 6);
        assert!(p.order >= 1, "two loudnesses ask for partitions");
        let mut w = BitWriter::default();
        write(&mut w, &p, &residual, 4096, 8);
        let written = w.finish().len() as f64 * 8.0;
        // The half-bit rule is exact for a uniform remainder; 1 % covers the geometric one.
        assert!((written / p.bits as f64 - 1.0).abs() < 0.01, "{written} of {}", p.bits);
    }

    #[test]
    fn the_parameter_is_the_cheapest_by_exhaustive_search() {
        for mean in [0_u64, 1, 2, 3, 10, 100, 1000, 100_000, 1 << 30] {
            let (sum, n) = (mean * 64, 64);
            let (_, cost) = best_param(sum, n);
            let all = (0..=30_u32)
                .map(|k| n * u64::from(1 + k) + if k == 0 { sum } else { (sum >> k).saturating_sub(n / 2) });
            assert_eq!(cost, all.min().unwrap(), "mean {mean}");
        }
    }

    #[test]
    fn folded_sums_of_extreme_values_do_not_overflow() {
        let level = Level::new();
        let values = vec![i32::MAX; 300];
        assert_eq!(dispatch!(level, simd => folded_sum(simd, &values)), 300 * u64::from(u32::MAX - 1));
    }
}
