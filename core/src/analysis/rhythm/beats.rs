//! Beats by dynamic programming (Ellis, *Beat Tracking by Dynamic Programming*, JNMR 36, 2007), as `librosa.beat.beat_track`: the path that
//! collects the most onset strength while its steps stay close to the beat.

/// How closely steps keep to the beat: librosa's `tightness`.
const TIGHTNESS: f64 = 100.0;

/// Frames of the beats of an onset strength of `frame_rate_hz` frames per second at a tempo. None without onsets.
pub fn beats(strength: &[f32], frame_rate_hz: f64, bpm: f64) -> Vec<u64> {
    let step = (60.0 * frame_rate_hz / bpm).round_ties_even();
    if strength.len() < 2 || !step.is_finite() || step < 1.0 {
        return Vec::new();
    }
    let score = local_score(strength, step as usize);
    if score.iter().all(|s| *s <= 0.0) {
        return Vec::new();
    }
    let (links, sums) = paths(&score, step as usize);
    let mut found = Vec::new();
    let mut at = last_beat(&sums);
    while let Some(frame) = at {
        found.push(frame);
        at = links[frame];
    }
    found.reverse();
    trim(&score, &mut found);
    found.into_iter().map(|frame| frame as u64).collect()
}

/// Onset strength in units of its deviation, smoothed by a bell curve of a 32nd of a beat.
fn local_score(strength: &[f32], step: usize) -> Vec<f64> {
    let n = strength.len() as f64;
    let mean = strength.iter().map(|s| f64::from(*s)).sum::<f64>() / n;
    let variance = strength.iter().map(|s| (f64::from(*s) - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let scale = 1.0 / (variance.sqrt() + f64::from(f32::MIN_POSITIVE));
    let bell = |d: usize| (-0.5 * (d as f64 * 32.0 / step as f64).powi(2)).exp();
    // Beyond 9 deviations the curve is below 1e-17.
    let reach = (step * 9 / 32 + 1).min(step);
    let window: Vec<f64> = (0..=reach).map(bell).collect();
    let at = |i: usize| {
        let (from, to) = (i.saturating_sub(reach), (i + reach + 1).min(strength.len()));
        (from..to).map(|k| window[k.abs_diff(i)] * f64::from(strength[k])).sum::<f64>() * scale
    };
    (0..strength.len()).map(at).collect()
}

/// The best way to each frame: the beat before it, and what it has collected.
fn paths(score: &[f64], step: usize) -> (Vec<Option<usize>>, Vec<f64>) {
    let threshold = 0.01 * score.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let (nearest, farthest) = ((step as f64 / 2.0).round_ties_even().max(1.0) as usize, 2 * step);
    let cost: Vec<f64> =
        (0..=farthest).map(|d| TIGHTNESS * ((d.max(1) as f64).ln() - (step as f64).ln()).powi(2)).collect();
    let (mut links, mut sums) = (vec![None; score.len()], vec![0.0; score.len()]);
    let mut first = true;
    for i in 0..score.len() {
        let (mut best, mut from) = (f64::NEG_INFINITY, None);
        for distance in nearest..=farthest.min(i) {
            let sum = sums[i - distance] - cost[distance];
            if sum > best {
                (best, from) = (sum, Some(i - distance));
            }
        }
        sums[i] = score[i] + if from.is_some() { best } else { 0.0 };
        if !(first && score[i] < threshold) {
            links[i] = from;
            first = false;
        }
    }
    (links, sums)
}

/// The last local maximum that reaches half the median of all local maxima.
fn last_beat(sums: &[f64]) -> Option<usize> {
    let n = sums.len();
    let peak = |i: &usize| *i > 0 && sums[*i] > sums[i - 1] && (i + 1 == n || sums[*i] >= sums[i + 1]);
    let peaks: Vec<usize> = (0..n).filter(peak).collect();
    let mut heights: Vec<f64> = peaks.iter().map(|i| sums[*i]).collect();
    heights.sort_by(f64::total_cmp);
    let middle = heights.len() / 2;
    let median = match heights.len() {
        0 => return Some(n - 1),
        len if len % 2 == 1 => heights[middle],
        _ => 0.5 * (heights[middle - 1] + heights[middle]),
    };
    peaks.into_iter().rev().find(|i| sums[*i] >= 0.5 * median).or(Some(n - 1))
}

/// Removes weak beats from both ends.
fn trim(score: &[f64], found: &mut Vec<usize>) {
    // Symmetric Hann window of 5: 0, 1/2, 1, 1/2, 0.
    let at = |i: isize| usize::try_from(i).ok().and_then(|i| found.get(i)).map_or(0.0, |f| score[*f]);
    let smooth = |i: isize| 0.5 * at(i - 1) + at(i) + 0.5 * at(i + 1);
    let n = found.len() as isize;
    // The convolution reaches two values beyond the beats, of which librosa counts those after.
    let power: f64 = (0..n + 2).map(|i| smooth(i).powi(2)).sum::<f64>() / (n + 2) as f64;
    let threshold = 0.5 * power.sqrt();
    let first = score.iter().position(|s| *s > threshold).unwrap_or(0);
    let last = score.iter().rposition(|s| *s > threshold).unwrap_or(0);
    found.retain(|frame| (first..=last).contains(frame));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beats_lie_on_the_pulses_also_where_one_is_missing() {
        let mut strength = vec![0.0f32; 1000];
        let pulses: Vec<u64> = (0..22).map(|i| 40 + 43 * i).collect();
        pulses.iter().for_each(|p| strength[*p as usize] = 1.0);
        strength[40 + 43 * 7] = 0.0;
        assert_eq!(beats(&strength, 86.13, 120.0), pulses);
    }

    #[test]
    fn silence_has_no_beats() {
        assert!(beats(&[0.0; 500], 86.13, 120.0).is_empty() && beats(&[], 86.13, 120.0).is_empty());
    }
}
