//! Entropy decoding: adaptive Golomb codes around three running medians, zero runs, and the error limit of hybrid mode.
//!
//! Source: "WavPack 4 & 5 Binary File / Block Format" and chapter "WavPack" of D. Salomon, "Handbook of Data Compression".

use std::sync::LazyLock;

use super::bits::LsbBits;

/// `round(256 * (2^(i/256) - 1))`.
static EXP2: LazyLock<[u32; 256]> =
    LazyLock::new(|| std::array::from_fn(|i| (256.0 * ((i as f64 / 256.0).exp2() - 1.0)).round() as u32));
/// `round(256 * log2(1 + i/256))`, at most 255.
static LOG2: LazyLock<[i32; 256]> =
    LazyLock::new(|| std::array::from_fn(|i| ((256.0 * (1.0 + i as f64 / 256.0).log2()).round() as i32).min(255)));

/// A number from its logarithm with 8 fractional bits; signed, 0 for 0.
pub(super) fn exp2_signed(log: i32) -> i32 {
    if log < 0 {
        return exp2_signed(log.saturating_neg()).wrapping_neg();
    }
    let value = EXP2[(log & 0xFF) as usize] | 0x100;
    match (log >> 8) as u32 {
        shift @ 0..=9 => (value >> (9 - shift)) as i32,
        shift => value.checked_shl(shift - 9).unwrap_or(0) as i32,
    }
}

/// Logarithm of a number with 8 fractional bits, 0 for 0.
fn log2(value: u32) -> i32 {
    let value = value.wrapping_add(value >> 9);
    let bits = 32 - value.leading_zeros();
    let fraction = if bits <= 9 { value << (9 - bits) } else { value >> (bits - 9) };
    (bits as i32) << 8 | if value == 0 { 0 } else { LOG2[(fraction & 0xFF) as usize] }
}

/// Longest run of ones before the count is written otherwise.
const LIMIT_ONES: u32 = 16;

/// State of one channel.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ChannelWords {
    pub medians: [u32; 3],
    pub slow_level: i32,
    pub bitrate: i32,
    pub bitrate_delta: i32,
    error_limit: u32,
}

impl ChannelWords {
    #[inline(always)]
    fn median(&self, level: usize) -> u32 {
        (self.medians[level] >> 4).wrapping_add(1)
    }

    /// The sample was above the median of `level`: 5 steps up.
    #[inline(always)]
    fn raise(&mut self, level: usize) {
        let divisor = 128 >> level;
        let m = self.medians[level];
        self.medians[level] = m.wrapping_add((m.wrapping_add(divisor) / divisor).wrapping_mul(5));
    }

    /// The sample was below the median of `level`: 2 steps down.
    #[inline(always)]
    fn lower(&mut self, level: usize) {
        let divisor = 128 >> level;
        let m = self.medians[level];
        self.medians[level] = m.wrapping_sub((m.wrapping_add(divisor - 2) / divisor).wrapping_mul(2));
    }

    fn decay(&mut self) {
        self.slow_level = self.slow_level.wrapping_sub(self.slow_level.wrapping_add(128) >> 8);
    }
}

/// How hybrid mode chooses its error limits.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Hybrid {
    pub enabled: bool,
    /// Limits follow the level.
    pub bitrate: bool,
    /// Bits are shared between the channels.
    pub balance: bool,
}

/// Decoder of the residuals of one block.
pub(super) struct Words<'a> {
    bits: LsbBits<'a>,
    pub channels: [ChannelWords; 2],
    hybrid: Hybrid,
    stereo: bool,
    holding_one: bool,
    holding_zero: bool,
    zeros: u32,
}

impl<'a> Words<'a> {
    /// Reads from `data`.
    pub fn new(data: &'a [u8], channels: [ChannelWords; 2], hybrid: Hybrid, stereo: bool) -> Self {
        let bits = LsbBits::new(data);
        Self { bits, channels, hybrid, stereo, holding_one: false, holding_zero: false, zeros: 0 }
    }

    /// True when more was read than there is.
    pub fn overrun(&self) -> bool {
        self.bits.overrun()
    }

    /// Next residual of `channel`; `None` where the stream is broken.
    #[inline]
    pub fn next(&mut self, channel: usize) -> Option<i32> {
        let quiet = self.channels[0].medians[0] < 2 && self.channels[1].medians[0] < 2;
        if quiet && !self.holding_one && !self.holding_zero && self.zero_run(channel)? {
            return Some(0);
        }
        let ones = if self.holding_zero {
            self.holding_zero = false;
            0
        } else {
            let mut ones = self.bits.ones(LIMIT_ONES + 1);
            if ones > LIMIT_ONES {
                return None;
            }
            if ones == LIMIT_ONES {
                ones = ones.wrapping_add(self.bits.gamma()?);
            }
            let carried = u32::from(self.holding_one);
            self.holding_one = ones & 1 == 1;
            self.holding_zero = !self.holding_one;
            (ones >> 1) + carried
        };
        if self.hybrid.enabled && channel == 0 {
            self.update_error_limits();
        }
        let c = &mut self.channels[channel];
        let (low, span) = match ones {
            0 => {
                let span = c.median(0);
                c.lower(0);
                (0, span)
            }
            1 => {
                let (low, span) = (c.median(0), c.median(1));
                c.raise(0);
                c.lower(1);
                (low, span)
            }
            n => {
                let (low, span) = (c.median(0).wrapping_add(c.median(1)), c.median(2));
                c.raise(0);
                c.raise(1);
                if n == 2 {
                    c.lower(2)
                } else {
                    c.raise(2)
                }
                (low.wrapping_add((n - 2).wrapping_mul(span)), span)
            }
        };
        let mut low = low & 0x7FFF_FFFF;
        let mut high = low.wrapping_add(span).wrapping_sub(1) & 0x7FFF_FFFF;
        let limit = c.error_limit;
        let value = if limit == 0 {
            low.wrapping_add(self.bits.code(high.wrapping_sub(low)))
        } else {
            let mut middle = (high + low + 1) >> 1;
            while high.wrapping_sub(low) > limit {
                if self.bits.bit() {
                    low = middle;
                } else {
                    high = middle.wrapping_sub(1);
                }
                middle = high.wrapping_add(low).wrapping_add(1) >> 1;
                if low > high {
                    return None;
                }
            }
            middle
        };
        let negative = self.bits.bit();
        if self.hybrid.bitrate {
            let c = &mut self.channels[channel];
            c.decay();
            c.slow_level = c.slow_level.wrapping_add(log2(value));
        }
        Some(if negative { !value as i32 } else { value as i32 })
    }

    /// In silence, runs of zeros are counted. True when the next residual is 0.
    #[cold]
    fn zero_run(&mut self, channel: usize) -> Option<bool> {
        if self.zeros > 0 {
            self.zeros -= 1;
            if self.zeros > 0 {
                self.channels[channel].decay();
                return Some(true);
            }
            return Some(false);
        }
        self.zeros = self.bits.gamma()?;
        if self.zeros > 0 {
            self.channels[channel].decay();
            self.channels.iter_mut().for_each(|c| c.medians = [0; 3]);
            return Some(true);
        }
        Some(false)
    }

    fn update_error_limits(&mut self) {
        let mut rates = [0; 2];
        let count = if self.stereo { 2 } else { 1 };
        for (rate, c) in rates.iter_mut().zip(&mut self.channels).take(count) {
            c.bitrate = c.bitrate.wrapping_add(c.bitrate_delta);
            *rate = c.bitrate >> 16;
        }
        if !self.hybrid.bitrate {
            for (rate, c) in rates.iter().zip(&mut self.channels).take(count) {
                c.error_limit = exp2_signed(*rate) as u32;
            }
            return;
        }
        let levels = self.channels.map(|c| c.slow_level.wrapping_add(128) >> 8);
        if self.stereo && self.hybrid.balance {
            let balance = (levels[1] - levels[0] + rates[1] + 1) >> 1;
            rates = if balance > rates[0] {
                [0, rates[0] * 2]
            } else if -balance > rates[0] {
                [rates[0] * 2, 0]
            } else {
                [rates[0] - balance, rates[0] + balance]
            };
        }
        for ((rate, level), c) in rates.iter().zip(levels).zip(&mut self.channels).take(count) {
            let log = level - rate;
            c.error_limit = if log > -0x100 { exp2_signed(log + 0x100) as u32 } else { 0 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_are_inverse_within_their_precision() {
        // "In roundtrip conversions the total error never exceeds 1 part in 225" (format document), except at +/-115 and
        // +/-195, off by one.
        for value in (0..100_000_u32).chain([1 << 20, 12_345_678, 1 << 30]) {
            let back = exp2_signed(log2(value));
            let error = (i64::from(back) - i64::from(value)).abs();
            assert!(error * 225 <= i64::from(value) || error <= 1, "{value} -> {back}");
            assert_eq!(exp2_signed(-log2(value)), -back);
        }
        // End points of the published tables.
        assert_eq!((EXP2[1], EXP2[128], EXP2[255]), (1, 0x6A, 0xFF));
        assert_eq!((LOG2[1], LOG2[128], LOG2[255]), (1, 0x96, 0xFF));
    }

    #[test]
    fn noise_never_panics_and_ends() {
        let mut x = 9_u32;
        for round in 0..300 {
            let data: Vec<u8> = (0..200)
                .map(|_| {
                    x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (x >> 24) as u8
                })
                .collect();
            let mut c = ChannelWords { medians: [x, x >> 3, x >> 7], ..ChannelWords::default() };
            (c.slow_level, c.bitrate, c.bitrate_delta) = (x as i32 >> 8, (x << 3) as i32, (x << 9) as i32);
            let hybrid = Hybrid { enabled: round % 2 == 1, bitrate: round % 4 == 1, balance: round % 8 == 1 };
            let mut words = Words::new(&data, [c; 2], hybrid, true);
            for i in 0..5000 {
                if words.next(i % 2).is_none() {
                    break;
                }
            }
        }
    }
}
