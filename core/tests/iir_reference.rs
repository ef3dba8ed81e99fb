//! Biquad designs against the reference table of the corpus: RBJ cookbook and SciPy, each an independent computation.
#![allow(clippy::unwrap_used)] // clippy sees only #[test] functions as tests, not their helpers

use std::path::PathBuf;

use pure_sound::dsp::biquad::{Cascade, Coefficients, Width, cascade_gain_db};
use serde_json::Value;

fn corpus(path: &str) -> PathBuf {
    let root = std::env::var_os("PURESOUND_CORPUS")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/corpus")), PathBuf::from);
    root.join(path)
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

/// Our design for an entry; `None` for kinds that this module does not offer.
fn design(entry: &Value) -> Option<Vec<Coefficients>> {
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
        "scipy_butter" => {
            let order = p("order") as usize;
            return match entry["params"]["btype"].as_str() {
                Some("lowpass") => Some(Coefficients::butterworth_lowpass(fs, p("freq"), order).unwrap()),
                Some("highpass") => Some(Coefficients::butterworth_highpass(fs, p("freq"), order).unwrap()),
                _ => None,
            };
        }
        _ => return None,
    };
    Some(vec![one.unwrap()])
}

#[test]
fn designs_equal_the_reference() {
    let Ok(text) = std::fs::read_to_string(corpus("filters/iir_reference.json")) else {
        println!("skipped: the corpus is not there");
        return;
    };
    let table: Value = serde_json::from_str(&text).unwrap();
    let (mut compared, mut skipped) = (0, Vec::new());
    for entry in table["entries"].as_array().unwrap() {
        let name = format!("{} {}", entry["kind"], entry["params"]);
        let Some(sections) = design(entry) else {
            skipped.push(name);
            continue;
        };
        let fs = entry["params"]["fs"].as_f64().unwrap();
        if let (Some(_), [c]) = (entry["b"].as_array(), sections.as_slice()) {
            let (b, a) = (numbers(&entry["b"]), numbers(&entry["a"]));
            for (got, want) in [c.b0, c.b1, c.b2, c.a1, c.a2].iter().zip(b.iter().chain(&a[1..])) {
                assert!((got - want).abs() < 1e-9, "{name}: {got} {want}");
            }
        }
        for (freq_hz, want_db) in numbers(&entry["freqs"]).iter().zip(numbers(&entry["mag_db"])) {
            // At a notch the gain is -300 dB or so, and only rounding.
            let got_db = cascade_gain_db(&sections, *freq_hz, fs);
            assert!((got_db - want_db).abs() < 1e-6 || want_db < -150.0, "{name} at {freq_hz} Hz: {got_db} {want_db}");
        }
        let mut impulse = vec![0.0f32; 64];
        impulse[0] = 1.0;
        Cascade::new(sections, 1).process_channel(0, &mut impulse);
        for (got, want) in impulse.iter().zip(numbers(&entry["impulse64"])) {
            // One rounding to f32 of values up to 9.
            assert!((f64::from(*got) - want).abs() < 1e-6, "{name}: {got} {want}");
        }
        compared += 1;
    }
    println!("{compared} filters equal, not offered: {skipped:?}");
    assert!(compared >= 160, "{compared}");
}
