//! Biquad designs against the reference table of the corpus: RBJ cookbook and SciPy, each an independent computation.
#![allow(clippy::unwrap_used)] // clippy sees only #[test] functions as tests, not their helpers

use std::path::PathBuf;

use pure_sound::audio::{ChannelLayout, Spec};
use pure_sound::dsp::biquad::{Cascade, Coefficients, Width, cascade_gain_db};
use pure_sound::filters::{Chain, FilterSpec, registry};
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

/// Our design for an entry; `None` for the kinds of [`by_filter`].
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
        "bs1770_stage1" => Ok(k_stages(fs).0),
        "bs1770_stage2" => Ok(k_stages(fs).1),
        _ => return None,
    };
    Some(vec![one.unwrap()])
}

/// The filter for an entry whose design is not that of a cookbook section; `None` while the registry has none.
fn by_filter(entry: &Value) -> Option<FilterSpec> {
    let p = &entry["params"];
    let text = match (entry["kind"].as_str()?, p["btype"].as_str()?) {
        ("scipy_butter", "bandpass") => {
            let (low, high) = (&p["freq"][0], &p["freq"][1]);
            format!("butterworth:kind=bandpass,low_hz={low},high_hz={high},order={}", p["order"])
        }
        ("scipy_cheby1", "lowpass") => {
            let (freq, order, ripple) = (&p["freq"], &p["order"], &p["rp"]);
            format!("chebyshev1:kind=lowpass,frequency_hz={freq},order={order},ripple_db={ripple}")
        }
        ("scipy_bessel", "lowpass") => {
            format!("bessel:kind=lowpass,frequency_hz={},order={}", p["freq"], p["order"])
        }
        _ => return None,
    };
    registry::find(text.split(':').next()?).ok()?;
    Some(FilterSpec::parse(&text).unwrap())
}

/// Compares the first 64 samples of an impulse response.
fn assert_impulse(name: &str, entry: &Value, got: &[f32]) {
    for (got, want) in got.iter().zip(numbers(&entry["impulse64"])) {
        // One rounding to f32 of values up to 9.
        assert!((f64::from(*got) - want).abs() < 1e-6, "{name}: {got} {want}");
    }
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
        let fs = entry["params"]["fs"].as_f64().unwrap();
        let Some(sections) = design(entry) else {
            let Some(spec) = by_filter(entry) else {
                skipped.push(name);
                continue;
            };
            let mono = Spec::new(fs as u32, ChannelLayout::MONO);
            let mut chain = Chain::new(&[spec]).unwrap();
            chain.prepare(mono, 64).unwrap();
            let mut block = chain.new_block().unwrap();
            block.set_frames(64);
            block.channel_mut(0).fill(0.0);
            block.channel_mut(0)[0] = 1.0;
            chain.process(&mut block);
            assert_impulse(&name, entry, block.channel(0));
            compared += 1;
            continue;
        };
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
        for (freq_hz, want_rad) in numbers(&entry["freqs"]).iter().zip(numbers(&entry["phase_rad"])) {
            let (mut re, mut im) = (1.0, 0.0);
            for section in &sections {
                let (r, i) = section.response(*freq_hz, fs);
                (re, im) = (re * r - im * i, re * i + im * r);
            }
            // At a notch there is no phase.
            let turns = (im.atan2(re) - want_rad) / (2.0 * std::f64::consts::PI);
            let error_rad = (turns - turns.round()) * 2.0 * std::f64::consts::PI;
            assert!(error_rad.abs() < 1e-6 || re.hypot(im) < 1e-7, "{name} at {freq_hz} Hz: {error_rad:e} rad");
        }
        let mut impulse = vec![0.0f32; 64];
        impulse[0] = 1.0;
        Cascade::new(sections, 1).process_channel(0, &mut impulse);
        assert_impulse(&name, entry, &impulse);
        compared += 1;
    }
    println!("{compared} filters equal, not offered: {skipped:?}");
    let offered = ["butterworth", "chebyshev1", "bessel"].iter().filter(|f| registry::find(f).is_ok()).count();
    assert_eq!(compared, 173 + offered, "{skipped:?}");
}
