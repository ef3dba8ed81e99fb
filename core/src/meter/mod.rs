//! Measuring: loudness (ITU-R BS.1770-5, EBU R 128), true peak, level.

mod history;
pub mod level;
pub mod loudness;
pub mod true_peak;

pub use loudness::{Loudness, LoudnessMeter, MeterOptions};
pub use true_peak::{TruePeak, TruePeakScanner};

/// `serde(with = ...)` for decibels: JSON has no infinity, so `-inf` (silence) and NaN (not measured) become `null`;
/// `null` is read as `-inf`.
pub mod decibels {
    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes a number, or `null` when it is not finite.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        if value.is_finite() { serializer.serialize_f64(*value) } else { serializer.serialize_none() }
    }

    /// Reads a number, or `-inf` for `null`.
    ///
    /// # Errors
    /// Those of the deserializer.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        Ok(Option::<f64>::deserialize(deserializer)?.unwrap_or(f64::NEG_INFINITY))
    }
}
