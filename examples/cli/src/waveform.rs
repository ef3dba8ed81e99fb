//! `puresound waveform`: a picture of the waveform, or the peaks that others draw it from.

use std::path::{Path, PathBuf};

use pure_sound::Error;
use pure_sound::analysis::picture::{AmplitudeScale, Colour, WaveformOptions};
use pure_sound::analysis::{PeakParams, Peaks};
use pure_sound::engine::PeakOptions;
use pure_sound::formats::ReadOptions;

use crate::context::{Context, write_whole};
use crate::failure::Failure;
use crate::job::ReadArgs;
use crate::progress::Progress;
use crate::{console, stdio};

/// Draw the waveform as PNG, or write its peaks in the formats of audiowaveform (.json, .dat).
#[derive(Debug, clap::Args)]
pub struct Args {
    /// File to read; - is standard input.
    pub input: PathBuf,
    /// File to write: OUT.png, OUT.json or OUT.dat.
    pub output: PathBuf,
    /// Mix all channels to one.
    #[arg(long)]
    pub mono: bool,
    /// Width of the picture in pixels, 16 to 16384. Default: 1200.
    #[arg(long, value_name = "PIXELS", help_heading = "Picture")]
    pub width: Option<u32>,
    /// Height of the picture in pixels, 16 to 4096. Default: 300.
    #[arg(long, value_name = "PIXELS", help_heading = "Picture")]
    pub height: Option<u32>,
    /// Amplitudes in decibels, from -60 dBFS in the middle to 0 at the edges.
    #[arg(long, help_heading = "Picture")]
    pub db: bool,
    /// No axes: the waveform fills the picture.
    #[arg(long, help_heading = "Picture")]
    pub no_axes: bool,
    /// Colour of the waveform. Default: #1f6feb.
    #[arg(long, value_name = "#RRGGBB", help_heading = "Picture")]
    pub colour: Option<Colour>,
    /// Colour behind it. Default: #ffffff.
    #[arg(long, value_name = "#RRGGBB", help_heading = "Picture")]
    pub background: Option<Colour>,
    /// Colour of axes and text. Default: #57606a.
    #[arg(long, value_name = "#RRGGBB", help_heading = "Picture")]
    pub axes_colour: Option<Colour>,
    /// Frames per pixel. Default: 256.
    #[arg(long, value_name = "FRAMES", help_heading = "Peaks")]
    pub samples_per_pixel: Option<u32>,
    /// Bits of a value: 8 or 16. Default: 16.
    #[arg(long, value_name = "BITS", help_heading = "Peaks")]
    pub bits: Option<u8>,
    #[command(flatten)]
    pub read: ReadArgs,
}

impl Args {
    fn picture(&self) -> Result<WaveformOptions, Failure> {
        let mut options = WaveformOptions { mono: self.mono, axes: !self.no_axes, ..WaveformOptions::default() };
        options.read = self.read.options(ReadOptions::default())?;
        options.width = self.width.unwrap_or(options.width);
        options.height = self.height.unwrap_or(options.height);
        if self.db {
            options.amplitude = AmplitudeScale::Decibels;
        }
        let colours = &mut options.colours;
        colours.wave = self.colour.unwrap_or(colours.wave);
        colours.background = self.background.unwrap_or(colours.background);
        colours.axes = self.axes_colour.unwrap_or(colours.axes);
        Ok(options)
    }

    /// The first option of a picture that was given.
    fn of_pictures(&self) -> Option<&'static str> {
        let given = [
            ("--width", self.width.is_some()),
            ("--height", self.height.is_some()),
            ("--db", self.db),
            ("--no-axes", self.no_axes),
            ("--colour", self.colour.is_some()),
            ("--background", self.background.is_some()),
            ("--axes-colour", self.axes_colour.is_some()),
        ];
        given.into_iter().find(|(_, given)| *given).map(|(name, _)| name)
    }

    /// The first option of peaks that was given.
    fn of_peaks(&self) -> Option<&'static str> {
        let given = [("--samples-per-pixel", self.samples_per_pixel.is_some()), ("--bits", self.bits.is_some())];
        given.into_iter().find(|(_, given)| *given).map(|(name, _)| name)
    }
}

pub fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let png = args.output.extension().is_some_and(|e| e.eq_ignore_ascii_case("png"));
    let unused = if png { args.of_peaks() } else { args.of_pictures() };
    if !png {
        PeakFormat::of("output", &args.output, "a name that ends with .png, .json or .dat")?; // before the work
    }
    if let Some(option) = unused {
        return Err(Failure::conflict(format!("{option} means nothing for {}", args.output.display())));
    }
    let engine = context.engine()?;
    let picture = args.picture()?;
    let progress = Progress::of_job(context);
    let source = stdio::source(&args.input)?;
    let bytes = if png {
        engine.waveform_png(source, &picture, &context.control(&progress))?
    } else {
        let samples_per_pixel = args.samples_per_pixel.unwrap_or(256);
        let peaks = PeakParams { samples_per_pixel, mono: args.mono, max_pixels: None };
        let options = PeakOptions { read: picture.read, peaks };
        let peaks = engine.waveform_peaks(source, &options, &context.control(&progress))?;
        peak_bytes(&args.output, &peaks, args.bits.unwrap_or(16))?
    };
    drop(progress);
    write_whole(&args.output, &bytes)?;
    written(context, &args.output, bytes.len())
}

/// Tells what was written.
pub fn written(context: &Context, path: &Path, bytes: usize) -> Result<(), Failure> {
    if context.is_json() {
        let record = serde_json::json!({ "output": path, "bytes": bytes });
        return Ok(console::print_json(&record, context.args.jsonl)?);
    }
    console::note(
        context,
        &format!("{}: {}", console::clean(&path.display().to_string()), console::size(bytes as u64)),
    );
    Ok(())
}

/// A format of peaks.
pub enum PeakFormat {
    Json,
    Dat,
}

impl PeakFormat {
    /// The format that the name of `path` tells; `name` and `allowed` are for the error.
    pub fn of(name: &str, path: &Path, allowed: &str) -> Result<Self, Error> {
        match path.extension().and_then(|e| e.to_str()) {
            Some("json") => Ok(Self::Json),
            Some("dat") => Ok(Self::Dat),
            _ => Err(Error::InvalidValue {
                name: name.into(),
                value: path.display().to_string(),
                allowed: allowed.into(),
            }),
        }
    }
}

/// Peaks as the name of the file asks.
pub fn peak_bytes(path: &Path, peaks: &Peaks, bits: u8) -> Result<Vec<u8>, Error> {
    Ok(match PeakFormat::of("peaks", path, "a name that ends with .json or .dat")? {
        PeakFormat::Json => format!("{}\n", peaks.to_json(bits)?).into_bytes(),
        PeakFormat::Dat => peaks.to_dat(bits)?,
    })
}
