//! From seconds to segments and to the recording: smoothing, shares, confidence.

use super::{Content, ContentClass, ContentParams, ContentSegment};
use crate::analysis::activity::Segment;

/// Kinds that the head tells apart: speech, music, speech over music, noise.
pub(super) const KINDS: usize = 4;
pub(super) const SPEECH: usize = 0;
pub(super) const MUSIC: usize = 1;
pub(super) const SPEECH_OVER_MUSIC: usize = 2;
pub(super) const NOISE: usize = 3;
/// Silence is told by the level.
const CLASSES: usize = KINDS + 1;
const SILENCE: usize = KINDS;
const NAMES: [ContentClass; CLASSES] = [
    ContentClass::Speech,
    ContentClass::Music,
    ContentClass::SpeechOverMusic,
    ContentClass::Noise,
    ContentClass::Silence,
];

/// RMS below which there is nothing to hear, whatever it sounds like, in dBFS: the noise of 14 bits.
const NOTHING_DBFS: f64 = -80.0;
/// What a change of class costs, in nats: as much as one second that speaks for it with e^2 : 1.
const CHANGE: f64 = 2.0;
/// No class is impossible.
const LEAST: f64 = 1e-3;

/// What was heard in a second.
#[derive(Debug, Clone, Copy)]
pub(super) struct Second {
    pub kinds: [f32; KINDS],
    pub level_dbfs: f64,
}

/// The record of `seconds`.
pub(super) fn content(params: &ContentParams, seconds: &[Second], voice: Vec<Segment>, duration_s: f64) -> Content {
    let odds: Vec<[f64; CLASSES]> = seconds.iter().map(|second| probabilities(params, second)).collect();
    let path = smooth(&odds);
    let end_of = |second: usize| if second == odds.len() { duration_s } else { (second as f64).min(duration_s) };
    let mut segments: Vec<ContentSegment> = Vec::new();
    let mut shares = [0.0; CLASSES];
    let mut start = 0;
    for same in path.chunk_by(|a, b| a == b) {
        let (class, end) = (same[0], start + same.len());
        let confidence = odds[start..end].iter().map(|p| p[class]).sum::<f64>() / same.len() as f64;
        let (start_s, end_s) = (end_of(start), end_of(end));
        shares[class] += end_s - start_s;
        let class = if confidence < params.unknown_below { ContentClass::Unknown } else { NAMES[class] };
        match segments.last_mut() {
            // Two kinds that are both not certain.
            Some(last) if last.class == class => {
                let (a, b) = (last.end_s - last.start_s, end_s - start_s);
                last.confidence = (last.confidence * a + confidence * b) / (a + b);
                last.end_s = end_s;
            }
            _ => segments.push(ContentSegment { start_s, end_s, class, confidence }),
        }
        start = end;
    }
    let share = |class: usize| if duration_s > 0.0 { shares[class] / duration_s } else { 0.0 };
    let (class, confidence) = overall(params, &odds);
    Content {
        class,
        confidence,
        speech_ratio: share(SPEECH) + share(SPEECH_OVER_MUSIC),
        music_ratio: share(MUSIC) + share(SPEECH_OVER_MUSIC),
        noise_ratio: share(NOISE),
        silence_ratio: if odds.is_empty() { 1.0 } else { share(SILENCE) },
        segments,
        voice,
        speech_quality: None,
    }
}

/// Noise that is quieter than `silence_dbfs` is silence.
fn probabilities(params: &ContentParams, second: &Second) -> [f64; CLASSES] {
    let mut all = [0.0; CLASSES];
    if second.level_dbfs < NOTHING_DBFS {
        all[SILENCE] = 1.0;
        return all;
    }
    for (to, p) in all.iter_mut().zip(second.kinds) {
        *to = f64::from(p);
    }
    if second.level_dbfs < params.silence_dbfs {
        all.swap(NOISE, SILENCE);
    }
    all
}

/// The likeliest course of classes when each change costs something (Viterbi 1967).
fn smooth(odds: &[[f64; CLASSES]]) -> Vec<usize> {
    let mut score = [0.0; CLASSES];
    let mut from: Vec<[usize; CLASSES]> = Vec::with_capacity(odds.len());
    for p in odds {
        let best = best_of(&score);
        let (stay, mut came) = (score, [best; CLASSES]);
        for class in 0..CLASSES {
            let changed = stay[best] - CHANGE;
            if stay[class] >= changed {
                came[class] = class;
            }
            score[class] = stay[class].max(changed) + p[class].max(LEAST).ln();
        }
        from.push(came);
    }
    let mut class = best_of(&score);
    let mut path = vec![0; odds.len()];
    for (at, came) in path.iter_mut().zip(&from).rev() {
        *at = class;
        class = came[class];
    }
    path
}

fn best_of(values: &[f64; CLASSES]) -> usize {
    (0..CLASSES).fold(0, |best, class| if values[class] > values[best] { class } else { best })
}

/// What most of it is that is not silent.
fn overall(params: &ContentParams, odds: &[[f64; CLASSES]]) -> (ContentClass, f64) {
    let mut mean = [0.0; CLASSES];
    let mut heard = 0.0;
    for p in odds.iter().filter(|p| best_of(p) != SILENCE) {
        mean.iter_mut().zip(p).for_each(|(sum, p)| *sum += p);
        heard += 1.0;
    }
    if heard == 0.0 {
        return (ContentClass::Silence, 1.0);
    }
    let best = best_of(&mean);
    let confidence = mean[best] / heard;
    (if confidence < params.unknown_below { ContentClass::Unknown } else { NAMES[best] }, confidence)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(kind: usize, p: f32, level_dbfs: f64) -> Second {
        let mut kinds = [(1.0 - p) / 3.0; KINDS];
        kinds[kind] = p;
        Second { kinds, level_dbfs }
    }

    fn classes(seconds: &[Second]) -> Vec<(f64, f64, ContentClass)> {
        let told = content(&ContentParams::default(), seconds, Vec::new(), seconds.len() as f64);
        told.segments.iter().map(|s| (s.start_s, s.end_s, s.class)).collect()
    }

    #[test]
    fn a_doubtful_second_does_not_break_a_segment_and_a_clear_one_does() {
        let (speech, doubt) = (second(0, 0.9, -20.0), second(1, 0.6, -20.0));
        assert_eq!(classes(&[speech, speech, doubt, speech]), [(0.0, 4.0, ContentClass::Speech)]);
        let music = second(1, 0.99, -20.0);
        let parts = [(0.0, 2.0, ContentClass::Speech), (2.0, 4.0, ContentClass::Music)];
        assert_eq!(classes(&[speech, speech, music, music]), parts);
    }

    #[test]
    fn quiet_noise_is_silence_and_quiet_speech_is_speech() {
        assert_eq!(classes(&[second(3, 0.9, -65.0); 3]), [(0.0, 3.0, ContentClass::Silence)]);
        assert_eq!(classes(&[second(3, 0.9, -50.0); 3]), [(0.0, 3.0, ContentClass::Noise)]);
        assert_eq!(classes(&[second(0, 0.9, -65.0); 3]), [(0.0, 3.0, ContentClass::Speech)]);
        assert_eq!(classes(&[second(0, 0.9, -85.0); 3]), [(0.0, 3.0, ContentClass::Silence)]);
    }

    #[test]
    fn shares_and_the_whole() {
        let mut seconds = vec![second(0, 0.9, -20.0); 6];
        seconds.extend([second(2, 0.9, -20.0); 2]);
        seconds.extend([second(3, 0.9, -90.0); 2]);
        let told = content(&ContentParams::default(), &seconds, Vec::new(), 9.75);
        assert_eq!((told.class, told.segments.len()), (ContentClass::Speech, 3));
        assert!((told.speech_ratio - 8.0 / 9.75).abs() < 1e-9 && (told.silence_ratio - 1.75 / 9.75).abs() < 1e-9);
        assert!((told.music_ratio - 2.0 / 9.75).abs() < 1e-9 && told.noise_ratio == 0.0);
        // 6 of the 8 seconds with 0.9, 2 with a third of 0.1.
        assert!((told.confidence - (6.0 * 0.9 + 2.0 * 0.1 / 3.0) / 8.0).abs() < 1e-6);
    }

    #[test]
    fn what_nothing_speaks_for_is_unknown() {
        let told = content(&ContentParams::default(), &[second(0, 0.3, -20.0); 4], Vec::new(), 4.0);
        assert_eq!((told.class, told.segments[0].class), (ContentClass::Unknown, ContentClass::Unknown));
        let nothing = content(&ContentParams::default(), &[], Vec::new(), 0.0);
        assert_eq!((nothing.class, nothing.segments.len(), nothing.silence_ratio), (ContentClass::Silence, 0, 1.0));
    }
}
