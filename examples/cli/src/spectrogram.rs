//! `puresound spectrogram`: a picture of frequencies over time.

use std::path::PathBuf;

use clap::ValueEnum;
use pure_sound::Error;
use pure_sound::analysis::picture::{ColourMap, FrequencyScale, SpectrogramOptions};
use pure_sound::formats::ReadOptions;

use crate::context::{Context, write_whole};
use crate::failure::Failure;
use crate::job::ReadArgs;
use crate::progress::Progress;
use crate::{stdio, waveform};

/// Draw a spectrogram as PNG: time to the right, frequency upwards, level as colour.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// File to read; - is standard input.
    pub input: PathBuf,
    /// File to write: OUT.png.
    pub output: PathBuf,
    /// Width of the picture in pixels, 16 to 8192. Default: 1200.
    #[arg(long, value_name = "PIXELS")]
    pub width: Option<u32>,
    /// Height of the picture in pixels, 16 to 2048. Default: 512.
    #[arg(long, value_name = "PIXELS")]
    pub height: Option<u32>,
    /// Colours of the levels. Default: magma.
    #[arg(long, value_name = "MAP")]
    pub colours: Option<Map>,
    /// Level of the darkest colour, in dBFS of a sine. Default: -110.
    #[arg(long, value_name = "DB", allow_negative_numbers = true)]
    pub min_db: Option<f64>,
    /// Level of the brightest colour, in dBFS of a sine. Default: -10.
    #[arg(long, value_name = "DB", allow_negative_numbers = true)]
    pub max_db: Option<f64>,
    /// How frequencies lie along the axis. Default: linear.
    #[arg(long, value_name = "SCALE")]
    pub scale: Option<Scale>,
    /// Lowest frequency. Default: 0, with 'log' 20.
    #[arg(long, value_name = "HZ")]
    pub min_hz: Option<f64>,
    /// Highest frequency. Default: half the sample rate.
    #[arg(long, value_name = "HZ")]
    pub max_hz: Option<f64>,
    /// Samples of a transform, a power of two from 64 to 65536. Default: 2048 up to 64 kHz.
    #[arg(long, value_name = "SAMPLES")]
    pub fft_size: Option<u32>,
    /// No axes: the spectrogram fills the picture.
    #[arg(long)]
    pub no_axes: bool,
    #[command(flatten)]
    pub read: ReadArgs,
}

/// Colours.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Map {
    Magma,
    Viridis,
    Inferno,
    Grey,
    Paper,
}

/// Scales of frequencies.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Scale {
    Linear,
    Log,
    Mel,
}

impl Args {
    fn options(&self) -> Result<SpectrogramOptions, Failure> {
        let base = SpectrogramOptions::default();
        Ok(SpectrogramOptions {
            read: self.read.options(ReadOptions::default())?,
            width: self.width.unwrap_or(base.width),
            height: self.height.unwrap_or(base.height),
            colours: match self.colours {
                None => base.colours,
                Some(Map::Magma) => ColourMap::Magma,
                Some(Map::Viridis) => ColourMap::Viridis,
                Some(Map::Inferno) => ColourMap::Inferno,
                Some(Map::Grey) => ColourMap::Grey,
                Some(Map::Paper) => ColourMap::Paper,
            },
            min_db: self.min_db.unwrap_or(base.min_db),
            max_db: self.max_db.unwrap_or(base.max_db),
            scale: match self.scale {
                None => base.scale,
                Some(Scale::Linear) => FrequencyScale::Linear,
                Some(Scale::Log) => FrequencyScale::Log,
                Some(Scale::Mel) => FrequencyScale::Mel,
            },
            min_hz: self.min_hz,
            max_hz: self.max_hz,
            fft_size: self.fft_size,
            axes: !self.no_axes,
        })
    }
}

pub fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    if !args.output.extension().is_some_and(|e| e.eq_ignore_ascii_case("png")) {
        return Err(Error::InvalidValue {
            name: "output".into(),
            value: args.output.display().to_string(),
            allowed: "a name that ends with .png".into(),
        }
        .into());
    }
    let engine = context.engine()?;
    let options = args.options()?;
    let progress = Progress::of_job(context);
    let png = engine.spectrogram_png(stdio::source(&args.input)?, &options, &context.control(&progress))?;
    drop(progress);
    write_whole(&args.output, &png)?;
    waveform::written(context, &args.output, png.len())
}
