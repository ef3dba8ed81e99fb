//! Onsets: peaks of the onset strength, as `librosa.onset.onset_detect` (peak picking after Boeck, Krebs and Schedl, ISMIR 2012).

/// Windows in seconds and the height of a peak over the mean around it: librosa's values.
const PRE_MAX_S: f64 = 0.03;
const AVERAGE_S: f64 = 0.10;
const WAIT_S: f64 = 0.03;
const DELTA: f64 = 0.07;

/// Frames of onsets in an onset strength of `frame_rate_hz` frames per second.
pub fn onsets(strength: &[f32], frame_rate_hz: f64) -> Vec<u64> {
    let low = f64::from(strength.iter().copied().fold(f32::INFINITY, f32::min));
    let x: Vec<f64> = strength.iter().map(|v| f64::from(*v) - low).collect();
    let high = x.iter().copied().fold(0.0, f64::max);
    if high <= f64::from(f32::MIN_POSITIVE) {
        return Vec::new();
    }
    // librosa divides by the largest plus the smallest normal number.
    let x: Vec<f64> = x.iter().map(|v| v / (high + f64::from(f32::MIN_POSITIVE))).collect();
    let frames = |seconds: f64| (seconds * frame_rate_hz) as usize;
    let (pre_max, average, wait) = (frames(PRE_MAX_S), frames(AVERAGE_S), frames(WAIT_S));
    let mut found = Vec::new();
    let mut next = 0;
    // Sums over everything before, for the mean of any window.
    let mut sums = Vec::with_capacity(x.len() + 1);
    sums.push(0.0);
    for v in &x {
        sums.push(sums[sums.len() - 1] + v);
    }
    for n in 0..x.len() {
        // The window of the maximum ends with the frame itself, that of the mean `average` frames later.
        let largest = x[n.saturating_sub(pre_max)..=n].iter().copied().fold(0.0, f64::max);
        let (from, to) = (n.saturating_sub(average), (n + average + 1).min(x.len()));
        let mean = (sums[to] - sums[from]) / (to - from) as f64;
        if n >= next && x[n] >= largest && x[n] >= mean + DELTA {
            found.push(n as u64);
            next = n + wait + 1;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peaks_above_their_neighbours_are_onsets() {
        let mut strength = vec![0.1; 200];
        for at in [20, 80, 140] {
            strength[at] = 3.0;
            strength[at + 1] = 1.5;
        }
        strength[110] = 0.2; // 0.035 of the largest above the floor: below the threshold
        assert_eq!(onsets(&strength, 86.13), [20, 80, 140]);
        assert!(onsets(&[0.5; 50], 86.13).is_empty() && onsets(&[], 86.13).is_empty());
    }
}
