//! Filter designs against the reference table of the corpus: RBJ cookbook, SciPy and BS.1770, each an independent
//! computation. All entries must be there and equal.
#![allow(clippy::unwrap_used)] // clippy sees only #[test] functions as tests, not their helpers

use std::path::PathBuf;

use pure_sound::dsp::biquad::{Cascade, Coefficients, Width};
use pure_sound::dsp::iir::{Band, Prototype, design as iir};
use pure_sound::meter::loudness::k_stages;
use serde_json::Value;

fn corpus(path: &str) -> PathBuf {
    let root = std::env::var_os("PURESOUND_CORPUS")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/corpus")), PathBuf::from);
    root.join(path)
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

/// Our design for an entry.
fn design(entry: &Value) -> Vec<Coefficients> {
    let p = |name: &str| entry["params"][name].as_f64().unwrap();
    let (kind, fs) = (entry["kind"].as_str().unwrap(), p("fs"));
    let one = match kind {
        "rbj_lowpass" => Coefficients::lowpass(fs, p("f0"), p("Q")),
        "rbj_highpass" => Coefficients::highpass(fs, p("f0"), p("Q")),
        "rbj_bandpass_skirt" => Coefficients::bandpass_skirt(fs, p("f0"), p("Q")),
        "rbj_bandpass_peak0" => Coefficients::bandpass(fs, p("f0"), p("Q")),
        "rbj_notch" => Coefficients::notch(fs, p("f0"), p("Q")),
        "rbj_allpass" => Coefficients::allpass(fs, p("f0"), p("Q")),
        "rbj_peaking" => {
            let octaves = entry["params"]["bandwidth_octaves"].as_f64();
            let width = octaves.map_or_else(|| Width::Q(p("Q")), Width::Octaves);
            Coefficients::peak(fs, p("f0"), width, p("gain_db"))
        }
        "rbj_lowshelf" => Coefficients::low_shelf(fs, p("f0"), Width::Slope(p("S")), p("gain_db")),
        "rbj_highshelf" => Coefficients::high_shelf(fs, p("f0"), Width::Slope(p("S")), p("gain_db")),
        "bs1770_stage1" => return vec![k_stages(fs).0],
        "bs1770_stage2" => return vec![k_stages(fs).1],
        _ => {
            let prototype = match kind {
                "scipy_butter" => Prototype::Butterworth,
                "scipy_cheby1" => Prototype::Chebyshev1 { ripple_db: p("rp") },
                "scipy_bessel" => Prototype::Bessel, // norm="mag": -3 dB at the edge
                other => panic!("no design for {other}"),
            };
            let band = match entry["params"]["btype"].as_str() {
                Some("lowpass") => Band::Lowpass(p("freq")),
                Some("highpass") => Band::Highpass(p("freq")),
                Some("bandpass") => {
                    let edges = numbers(&entry["params"]["freq"]);
                    Band::Bandpass(edges[0], edges[1])
                }
                other => panic!("no band for {other:?}"),
            };
            return iir(prototype, p("order") as usize, band, fs).unwrap();
        }
    };
    vec![one.unwrap()]
}

/// Product of the sections: numerator and denominator. Does not depend on how poles and zeros were paired.
fn polynomials(sections: &[[f64; 6]]) -> [Vec<f64>; 2] {
    let multiply = |x: Vec<f64>, y: &[f64]| {
        let mut out = vec![0.0; x.len() + y.len() - 1];
        for (i, a) in x.iter().enumerate() {
            for (j, b) in y.iter().enumerate() {
                out[i + j] += a * b;
            }
        }
        out
    };
    let start = [vec![1.0], vec![1.0]];
    sections.iter().fold(start, |[b, a], s| [multiply(b, &s[..3]), multiply(a, &s[3..])])
}

/// Magnitude and phase of a cascade.
fn response(sections: &[Coefficients], freq_hz: f64, rate_hz: f64) -> (f64, f64) {
    let (re, im) = sections.iter().fold((1.0, 0.0), |(re, im), s| {
        let (a, b) = s.response(freq_hz, rate_hz);
        (re * a - im * b, re * b + im * a)
    });
    (re.hypot(im), im.atan2(re))
}

#[test]
fn designs_equal_the_reference() {
    let Ok(text) = std::fs::read_to_string(corpus("filters/iir_reference.json")) else {
        println!("skipped: the corpus is not there");
        return;
    };
    let table: Value = serde_json::from_str(&text).unwrap();
    let entries = table["entries"].as_array().unwrap();
    for entry in entries {
        let name = format!("{} {}", entry["kind"], entry["params"]);
        let sections = design(entry);
        let fs = entry["params"]["fs"].as_f64().unwrap();
        let six = |c: &Coefficients| [c.b0, c.b1, c.b2, 1.0, c.a1, c.a2];
        let got = polynomials(&sections.iter().map(six).collect::<Vec<_>>());
        let want = match entry["sos"].as_array() {
            Some(rows) => {
                let rows: Vec<[f64; 6]> = rows.iter().map(|r| numbers(r).try_into().unwrap()).collect();
                polynomials(&rows)
            }
            None => [numbers(&entry["b"]), numbers(&entry["a"])],
        };
        for (got, want) in got.iter().zip(&want) {
            // Orders that are not full end in zeros.
            for n in 0..got.len().max(want.len()) {
                let (g, w) = (got.get(n).copied().unwrap_or(0.0), want.get(n).copied().unwrap_or(0.0));
                assert!((g - w).abs() < 1e-9, "{name}: coefficient {n}: {g} {w}");
            }
        }
        let magnitudes = numbers(&entry["mag_db"]);
        for ((freq_hz, want_db), want_rad) in
            numbers(&entry["freqs"]).iter().zip(&magnitudes).zip(numbers(&entry["phase_rad"]))
        {
            let (magnitude, phase) = response(&sections, *freq_hz, fs);
            let want = 10f64.powf(want_db / 20.0);
            assert!((magnitude - want).abs() < 1e-9 * want.max(1.0), "{name} at {freq_hz} Hz: {magnitude} {want}");
            // The phase means nothing where nothing passes, and turns by 2 pi.
            let turned = (phase - want_rad) / std::f64::consts::TAU;
            let error_rad = (turned - turned.round()).abs() * std::f64::consts::TAU;
            assert!(error_rad < 1e-8 || *want_db < -100.0, "{name} at {freq_hz} Hz: {phase} {want_rad}");
        }
        let mut impulse = vec![0.0f32; 64];
        impulse[0] = 1.0;
        Cascade::new(sections, 1).process_channel(0, &mut impulse);
        for (got, want) in impulse.iter().zip(numbers(&entry["impulse64"])) {
            // One rounding to f32 of values up to 9.
            assert!((f64::from(*got) - want).abs() < 1e-6, "{name}: {got} {want}");
        }
    }
    assert_eq!(entries.len(), 176);
}
