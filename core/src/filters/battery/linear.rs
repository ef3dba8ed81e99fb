//! Filters that are cascades of sections do what their coefficients say.

use super::*;

/// Response of `impulse` at `freq_hz`.
fn response(impulse: &[f32], freq_hz: f64, rate_hz: f64) -> (f64, f64) {
    let (sin, cos) = (2.0 * std::f64::consts::PI * freq_hz / rate_hz).sin_cos();
    // Horner's rule in z^-1, from the last sample on.
    impulse.iter().rev().fold((0.0, 0.0), |(re, im), h| (f64::from(*h) + re * cos + im * sin, im * cos - re * sin))
}

#[test]
fn magnitude_and_phase_are_those_of_the_formula() {
    let rate_hz = 48_000.0;
    let mono = Spec::new(48_000, ChannelLayout::MONO);
    let mut seen = 0;
    for info in filters() {
        let Some(mut filter) = active(info.name).as_sections() else { continue };
        let prepared = filter.prepare(mono, 1 << 12).unwrap();
        let sections = filter.sections().to_vec();
        let mut input = Buffer::new(mono, 0);
        input.append_silence(1 << 18);
        input.channel_mut(0)[0] = 1.0;
        let mut impulse = run(&mut filter, &prepared, &input, || 1 << 12).remove(0);
        // Past here the rest of the decay adds up to less than 1e-9.
        let end = impulse.iter().rposition(|h| h.abs() > 1e-13).map_or(1, |n| n + 1);
        impulse.truncate(end);
        for step in 0..24 {
            let freq_hz = 20.0 * 1_000f64.powf(f64::from(step) / 23.0);
            let (re, im) = response(&impulse, freq_hz, rate_hz);
            let (mut want_re, mut want_im) = (1.0, 0.0);
            for section in &sections {
                let (r, i) = section.response(freq_hz, rate_hz);
                (want_re, want_im) = (want_re * r - want_im * i, want_re * i + want_im * r);
            }
            let error = (re - want_re).hypot(im - want_im);
            // Of the size of the response where that is above 1: magnitude and phase (in radians) together.
            let size = want_re.hypot(want_im).max(1.0);
            assert!(error < 1e-6 * size, "{} at {freq_hz:.0} Hz: {error:e}", info.name);
        }
        seen += 1;
    }
    assert!(seen >= 10);
}
