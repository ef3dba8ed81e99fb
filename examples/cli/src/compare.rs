//! `puresound compare`: how far a recording lies off its reference.

use std::path::PathBuf;

use pure_sound::Error;
use pure_sound::analysis::compare::Comparison;
use pure_sound::engine::CompareOptions;
use pure_sound::formats::ReadOptions;

use crate::context::Context;
use crate::failure::Failure;
use crate::job::{ReadArgs, split_pair};
use crate::progress::Progress;
use crate::{console, stdio};

/// Tell how far a recording lies off its reference: signal to noise ratios, spectral distance, noise-to-mask ratio, a predicted score.
///
/// Both are converted to 48 kHz and aligned. Exit code 1 when a limit of --min or --max is not met.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What it is compared with: the original. - is standard input.
    pub reference: PathBuf,
    /// What is compared: decoded, processed, transmitted.
    pub degraded: PathBuf,
    /// Compare from the beginnings, whatever delay there is.
    #[arg(long)]
    pub no_align: bool,
    /// Largest delay that is looked for, either way.
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0, conflicts_with = "no_align")]
    pub max_offset: f64,
    /// Give the second input the level of the first before anything is measured.
    #[arg(long)]
    pub match_level: bool,
    /// Compare the means of the channels: for inputs with different numbers of them.
    #[arg(long)]
    pub mono: bool,
    /// Least value of a figure by its name in the JSON, such as two_f_score=80; may be given several times.
    #[arg(long, value_name = "NAME=VALUE", allow_hyphen_values = true)]
    pub min: Vec<String>,
    /// Largest value of a figure, such as nmr_db=-6; may be given several times.
    #[arg(long, value_name = "NAME=VALUE", allow_hyphen_values = true)]
    pub max: Vec<String>,
    #[command(flatten)]
    pub read: ReadArgs,
}

pub fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let lower = args.min.iter().map(|text| Limit::parse(text, false));
    let limits = lower.chain(args.max.iter().map(|text| Limit::parse(text, true))).collect::<Result<Vec<_>, _>>()?;
    let engine = context.engine()?;
    let mut options = CompareOptions { read: args.read.options(ReadOptions::default())?, ..CompareOptions::default() };
    options.compare.align = !args.no_align;
    options.compare.max_offset_s = args.max_offset;
    options.compare.match_level = args.match_level;
    options.compare.mix_to_mono = args.mono;
    if args.reference.as_os_str() == "-" && args.degraded.as_os_str() == "-" {
        return Err(Failure::conflict("both inputs are standard input"));
    }
    let progress = Progress::of_job(context);
    let (reference, degraded) = (stdio::source(&args.reference)?, stdio::source(&args.degraded)?);
    let result = engine.compare(reference, degraded, &options, &context.control(&progress));
    drop(progress);
    let comparison = result?;
    if context.is_json() {
        console::print_json(&comparison, context.args.jsonl)?;
    } else {
        console::print(&text(&comparison))?;
    }
    let missed: Vec<String> = limits.iter().filter_map(|limit| limit.missed(&comparison)).collect();
    if missed.is_empty() { Ok(()) } else { Err(Failure::Partial(missed.join("; "))) }
}

/// A figure that must not be lower, or higher.
struct Limit {
    name: String,
    value: f64,
    upper: bool,
}

impl Limit {
    fn parse(text: &str, upper: bool) -> Result<Self, Failure> {
        let (name, value) = split_pair(if upper { "max" } else { "min" }, text)?;
        let value: f64 = value.parse().ok().filter(|v: &f64| v.is_finite()).ok_or_else(|| Error::InvalidValue {
            name: name.to_owned(),
            value: value.to_owned(),
            allowed: "a number".into(),
        })?;
        if !FIGURES.iter().any(|figure| figure.0 == name) {
            return Err(Error::unknown_name("figure", name, FIGURES.iter().map(|figure| figure.0)).into());
        }
        Ok(Self { name: name.to_owned(), value, upper })
    }

    /// What to say when it is not met; a figure that there is not meets nothing.
    fn missed(&self, comparison: &Comparison) -> Option<String> {
        let (word, found) = (if self.upper { "at most" } else { "at least" }, figure(comparison, &self.name));
        let met = found.is_some_and(|found| if self.upper { found <= self.value } else { found >= self.value });
        let found = found.map_or_else(|| "not there".to_owned(), |found| format!("{found:.3}"));
        (!met).then(|| format!("{} is {found}, {word} {} is asked for", self.name, self.value))
    }
}

/// The figures: name in the JSON, what people call it, decimals, unit, and what is best.
const FIGURES: &[(&str, &str, usize, &str, &str)] = &[
    ("level_difference_db", "level difference", 2, "dB", ""),
    ("correlation", "correlation", 4, "", ""),
    ("snr_db", "SNR", 2, "dB", "200 is no difference"),
    ("si_sdr_db", "SI-SDR", 2, "dB", "200 is no difference"),
    ("segmental_snr_db", "segmental SNR", 2, "dB", "-10 to 35"),
    ("log_spectral_distance_db", "log-spectral distance", 2, "dB", "0 is none"),
    ("nmr_db", "NMR (after BS.1387)", 2, "dB", "below -10 usually transparent"),
    ("disturbed_frames_ratio", "disturbed frames", 4, "", "0 to 1"),
    ("adb", "ADB", 3, "", "0 is none"),
    ("mfpd", "MFPD", 3, "", "0 to 1"),
    ("avg_mod_diff1", "AvgModDiff1", 2, "%", "0 is none"),
    ("avg_mod_diff2", "AvgModDiff2", 2, "%", "0 is none"),
    ("win_mod_diff1", "WinModDiff1", 2, "%", "0 is none"),
    ("bandwidth_reference_hz", "bandwidth, reference", 0, "Hz", ""),
    ("bandwidth_degraded_hz", "bandwidth, degraded", 0, "Hz", ""),
    ("two_f_score", "2f-model", 1, "", "predicted score, 0 to 100"),
];

/// A figure by its name.
fn figure(comparison: &Comparison, name: &str) -> Option<f64> {
    let all = serde_json::to_value(&comparison.differences).ok()?;
    let found = all.get(name).or_else(|| all.get("perceptual")?.get(name))?;
    found.as_f64()
}

fn text(c: &Comparison) -> String {
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut row = |label: &str, value: String, note: &str| rows.push(vec![label.into(), value, note.into()]);
    let d = &c.differences;
    row("compared", console::duration(d.duration_s), if d.identical { "identical" } else { "" });
    match &c.alignment {
        Some(a) if a.found => {
            let note = if a.correlation < 0.0 { "polarity inverted" } else { "" };
            // Without the sign of what rounds to nothing.
            let delay_ms = (1e6 * a.offset_s).round() / 1000.0 + 0.0;
            row("delay", format!("{delay_ms:.3} ms"), note);
        }
        Some(_) => row("delay", "not found".into(), "compared from the beginnings"),
        None => row("delay", "not looked for".into(), ""),
    }
    if let Some(gain_db) = c.matched_db {
        row("level matched by", format!("{gain_db:.2} dB"), "");
    }
    for (name, label, decimals, unit, note) in FIGURES {
        let value = figure(c, name).map_or_else(|| "none".into(), |v| format!("{v:.decimals$} {unit}"));
        row(label, value.trim_end().to_owned(), note);
    }
    console::columns(&rows, &[])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn every_figure_of_the_record_has_a_row() {
        let schema: Value = pure_sound::schema::all()["comparison"].clone();
        let mut names: Vec<String> = Vec::new();
        for definition in ["Differences", "Perceptual"] {
            let properties = schema["$defs"][definition]["properties"].as_object().unwrap();
            names.extend(properties.keys().cloned());
        }
        let structure = ["frames", "duration_s", "identical", "perceptual"];
        names.retain(|name| !structure.contains(&name.as_str()));
        let known: Vec<&str> = FIGURES.iter().map(|figure| figure.0).collect();
        assert_eq!(names, known);
    }

    #[test]
    fn limits_are_numbers_of_known_figures() {
        assert!(Limit::parse("nmr_db=-6", true).is_ok());
        for bad in ["nmr=-6", "nmr_db=loud", "nmr_db=NaN", "nmr_db"] {
            assert!(Limit::parse(bad, true).is_err(), "{bad}");
        }
    }
}
