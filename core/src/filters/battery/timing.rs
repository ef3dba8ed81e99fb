//! Latency and tail are what the output shows.

use super::*;

#[test]
fn latency_is_what_is_stated() {
    for info in filters().iter().filter(|f| !exceptions::has_no_correlation(f.name)) {
        // Filters that pass sound more or less as it is, so that the correlation has a peak at the delay.
        let mut filter =
            FilterSpec::parse(exceptions::delayed(info.name).unwrap_or(info.name)).unwrap().build().unwrap();
        let prepared = filter.prepare(stereo(), 512).unwrap();
        let mut input = signal(stereo(), 6_000);
        input.append_silence(prepared.latency_frames + 50);
        let out = run(filter.as_mut(), &prepared, &input, || 512);
        let (x, y) = (input.channel(0), &out[0]);
        let correlate =
            |lag: usize| (0..6_000).map(|n| f64::from(x[n]) * f64::from(*y.get(n + lag).unwrap_or(&0.0))).sum::<f64>();
        let around = prepared.latency_frames.saturating_sub(50)..=prepared.latency_frames + 50;
        let best = around.max_by(|a, b| correlate(*a).total_cmp(&correlate(*b))).unwrap();
        assert_eq!(best, prepared.latency_frames, "{}", info.name);
    }
}

#[test]
fn after_latency_and_tail_an_impulse_is_gone() {
    let mut wrong = Vec::new();
    for info in filters() {
        if exceptions::ends_with_sound(info.name) || exceptions::makes_noise(info.name) {
            continue;
        }
        let mut filter = active(info.name).build().unwrap();
        let prepared = filter.prepare(stereo(), 512).unwrap();
        let mut input = Buffer::new(stereo(), 0);
        input.append_silence(prepared.latency_frames + prepared.tail_frames + 6_000);
        input.channel_mut(0)[0] = 0.5;
        input.channel_mut(1)[0] = 0.5;
        let out = run(filter.as_mut(), &prepared, &input, || 512);
        // The kernel of a filter that changes the rate or the length rings on for its own length.
        let kernel = if prepared.spec.rate_hz != 44_100 || prepared.max_frames != 512 { 512 } else { 0 };
        let end = prepared.latency_frames + 1 + prepared.tail_frames + kernel;
        let late = |channel: &Vec<f32>| channel.iter().skip(end).rposition(|y| y.abs() > 1e-5); // -100 dBFS
        if let Some(last) = out.iter().filter_map(late).max() {
            wrong.push(format!(
                "{}: tail of {} frames, not {}",
                info.name,
                prepared.tail_frames + last + 1,
                prepared.tail_frames
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
