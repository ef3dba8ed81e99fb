//! Musical key by correlation of pitch classes with profiles of the 24 keys (Krumhansl, *Cognitive Foundations of Musical Pitch*, 1990).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How strong the pitch classes of a key are, from its tonic on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyProfile {
    /// Ratings by listeners: Krumhansl and Kessler, *Psychological Review* 89 (1982).
    KrumhanslKessler,
    /// Frequencies in the pieces of Kostka and Payne's workbook: Temperley, *Music and Probability* (2007).
    #[default]
    Temperley,
}

impl KeyProfile {
    /// Major and minor.
    fn tables(self) -> [[f64; 12]; 2] {
        match self {
            Self::KrumhanslKessler => [
                [6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88],
                [6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17],
            ],
            Self::Temperley => [
                [0.748, 0.060, 0.488, 0.082, 0.670, 0.460, 0.096, 0.715, 0.104, 0.366, 0.057, 0.400],
                [0.712, 0.084, 0.474, 0.618, 0.049, 0.460, 0.105, 0.747, 0.404, 0.067, 0.133, 0.330],
            ],
        }
    }
}

/// Names of the pitch classes.
pub const NAMES: [&str; 12] = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"];

/// Major or minor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Major.
    Major,
    /// Minor.
    Minor,
}

/// A key and how well it fits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KeyCandidate {
    /// Tonic: `C`, `C#`, ... `B`.
    pub tonic: String,
    /// Major or minor.
    pub mode: Mode,
    /// Correlation of the pitch classes with the profile of the key, -1 to 1.
    pub correlation: f64,
}

/// The key of a recording.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Key {
    /// The best fit.
    #[serde(flatten)]
    pub best: KeyCandidate,
    /// 0 to 1: the correlation of the best key by how far it is ahead, `r1 (1 - exp(-(r1 - r2) / 0.1))`. Music in one key is above 0.3.
    pub confidence: f64,
    /// The next best, best first.
    pub rivals: Vec<KeyCandidate>,
}

const RIVALS: usize = 3;
/// Lead of the best over the second at which there is little doubt.
const LEAD: f64 = 0.1;

/// Pearson's correlation; 0 when a side is constant.
fn correlation(a: &[f64; 12], b: &[f64; 12]) -> f64 {
    let mean = |x: &[f64; 12]| x.iter().sum::<f64>() / 12.0;
    let (ma, mb) = (mean(a), mean(b));
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (x, y) in a.iter().zip(b) {
        ab += (x - ma) * (y - mb);
        aa += (x - ma).powi(2);
        bb += (y - mb).powi(2);
    }
    if aa > 0.0 && bb > 0.0 { ab / (aa * bb).sqrt() } else { 0.0 }
}

/// The key of pitch classes from C on; none when all are equal, as for silence.
pub fn key(classes: &[f64; 12], profile: KeyProfile) -> Option<Key> {
    let mut all = Vec::with_capacity(24);
    for (mode, table) in [Mode::Major, Mode::Minor].into_iter().zip(profile.tables()) {
        for (tonic, name) in NAMES.iter().enumerate() {
            let turned = std::array::from_fn(|i| classes[(i + tonic) % 12]);
            all.push(KeyCandidate { tonic: (*name).into(), mode, correlation: correlation(&turned, &table) });
        }
    }
    // Stable: of equals the first in the order above wins.
    all.sort_by(|a, b| b.correlation.total_cmp(&a.correlation));
    let lead = all[0].correlation - all[1].correlation;
    let confidence = all[0].correlation.max(0.0) * (1.0 - (-lead / LEAD).exp());
    let rivals = all.drain(1..).take(RIVALS).collect();
    let best = all.swap_remove(0);
    (best.correlation > 0.0).then_some(Key { best, confidence, rivals })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_its_own_key_in_every_transposition() {
        for profile in [KeyProfile::KrumhanslKessler, KeyProfile::Temperley] {
            for (mode, table) in [Mode::Major, Mode::Minor].into_iter().zip(profile.tables()) {
                for tonic in 0..12 {
                    let classes = std::array::from_fn(|i| table[(i + 12 - tonic) % 12]);
                    let key = key(&classes, profile).unwrap();
                    assert_eq!((key.best.tonic.as_str(), key.best.mode), (NAMES[tonic], mode));
                    assert!((key.best.correlation - 1.0).abs() < 1e-12 && key.confidence > 0.3, "{key:?}");
                    assert!(key.rivals.iter().all(|r| r.correlation < 1.0));
                }
            }
        }
    }

    #[test]
    fn nothing_has_no_key() {
        assert_eq!(key(&[0.0; 12], KeyProfile::default()), None);
        assert_eq!(key(&[2.0; 12], KeyProfile::default()), None);
    }
}
