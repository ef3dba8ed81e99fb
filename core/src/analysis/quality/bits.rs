//! How many bits the samples use: zero low bits of a word that is longer on paper.

use super::verdict::{Severity, Verdict, VerdictName};

/// Sounding samples that are needed to judge.
const MIN_SAMPLES: u64 = 1_000;

/// Watches the lowest bit that is set in any sample.
pub(super) struct Bits {
    /// Exponent of that bit: -15 for 16 bits.
    lowest: i32,
    samples: u64,
}

impl Bits {
    pub fn new() -> Self {
        Self { lowest: i32::MAX, samples: 0 }
    }

    pub fn push(&mut self, samples: &[f32]) {
        for x in samples {
            let bits = x.to_bits() & 0x7fff_ffff;
            if bits == 0 {
                continue;
            }
            let (exponent, fraction) = ((bits >> 23) as i32, bits & 0x7f_ffff);
            // Subnormal numbers have no hidden one and the exponent of the smallest normal ones.
            let mantissa = if exponent == 0 { fraction } else { fraction | 0x80_0000 };
            self.lowest = self.lowest.min(exponent.max(1) - 150 + mantissa.trailing_zeros() as i32);
            self.samples += 1;
        }
    }

    /// Bits of an integer word at full scale 1.0 that holds all samples exactly; none when that takes more than 32, or when there is too
    /// little sound.
    pub fn effective(&self) -> Option<u32> {
        let bits = u32::try_from(1 - self.lowest.min(0)).ok().filter(|bits| *bits <= 32)?;
        (self.samples >= MIN_SAMPLES).then_some(bits)
    }
}

/// `declared`: bits of the words that the samples were stored in.
pub(super) fn verdict(effective: Option<u32>, declared: Option<u32>) -> Option<Verdict> {
    let (effective, declared) = (effective?, declared?);
    // From 24 down to 20 is what many converters give.
    if declared > 32 || effective + 8 > declared {
        return None;
    }
    let text = format!(
        "stored with {declared} bits, but the lowest {} are zero in every sample: it was made of {effective} bits.",
        declared - effective
    );
    let value = (f64::from(effective), f64::from(declared - 8), "bits");
    Some(Verdict::new(VerdictName::FakeBitDepth, Severity::Warning, value, text))
}
