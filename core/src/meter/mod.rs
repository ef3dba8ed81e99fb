//! Measuring: loudness (ITU-R BS.1770-5, EBU R 128), true peak, level.

/// Placeholder.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Loudness {
    /// Integrated.
    pub integrated_lufs: f64,
}
