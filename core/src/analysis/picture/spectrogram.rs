//! A spectrogram: time to the right, frequency upwards, level as colour.
//!
//! Levels are those of sines: a sine of full scale in one channel of one reads 0 dB, whatever the transform. Over the channels and over the
//! time of a column powers are averaged; over the frequencies of a row the strongest bin counts, so that a tone keeps its level in a
//! small picture. Rows that are narrower than a bin lie on the straight line between the powers of their neighbours.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::axis::{hz_text, short, ticks};
use super::canvas::{Align, Area, Canvas};
use super::colour::{Colour, ColourMap};
use super::frame::{check_axes, draw_name, draw_times, plot_area};
use super::{FrequencyScale, check_side, font_scale};
use crate::analysis::check_spec;
use crate::analysis::features::stft::Stft;
use crate::audio::{Buffer, Spec};
use crate::error::{Error, Result};
use crate::formats::ReadOptions;

/// Options of a spectrogram.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SpectrogramOptions {
    /// How to read the input.
    pub read: ReadOptions,
    /// Width of the picture in pixels. 16 to 8192, with axes from 200; default 1200. While it is made it takes 8 bytes per pixel.
    pub width: u32,
    /// Height of the picture in pixels. 16 to 2048, with axes from 80; default 512.
    pub height: u32,
    /// Colours of the levels. Default `magma`.
    pub colours: ColourMap,
    /// Level of the darkest colour in dBFS (a sine of full scale is 0). -200 to 39; default -110.
    pub min_db: f64,
    /// Level of the brightest colour in dBFS, from 1 above `min_db` to 40; default -10.
    pub max_db: f64,
    /// Vertical axis. Default `linear`.
    pub scale: FrequencyScale,
    /// Lowest frequency in Hz, from 0 (with `log`: 1). Default 0, with `log` 20.
    pub min_hz: Option<f64>,
    /// Highest frequency in Hz, from 10 above the lowest to half the sample rate, which is the default; what is more is cut to that.
    pub max_hz: Option<f64>,
    /// Samples of a transform: 64 to 65536, a power of two. Larger ones tell frequencies apart, smaller ones times. Default: 2048 up to a
    /// rate of 64 kHz, twice as many per doubling above.
    pub fft_size: Option<u32>,
    /// Whether axes and the scale of colours are drawn; without, the spectrogram fills the picture. Default true.
    pub axes: bool,
}

impl Default for SpectrogramOptions {
    fn default() -> Self {
        Self {
            read: ReadOptions::default(),
            width: 1200,
            height: 512,
            colours: ColourMap::default(),
            min_db: -110.0,
            max_db: -10.0,
            scale: FrequencyScale::default(),
            min_hz: None,
            max_hz: None,
            fft_size: None,
            axes: true,
        }
    }
}

impl SpectrogramOptions {
    /// Checks the ranges, as far as they do not depend on the sample rate.
    ///
    /// # Errors
    /// [`Error::OutOfRange`]; [`Error::InvalidValue`] for a transform whose size is no power of two.
    pub fn validate(&self) -> Result<()> {
        check_side("width", self.width, 16, 8192)?;
        check_side("height", self.height, 16, 2048)?;
        if self.axes {
            check_axes(self.width, self.height)?;
        }
        Error::check_range("min_db", self.min_db, -200.0, 39.0, "dBFS")?;
        Error::check_range("max_db", self.max_db, self.min_db + 1.0, 40.0, "dBFS")?;
        let least_hz = if self.scale == FrequencyScale::Log { 1.0 } else { 0.0 };
        if let Some(low) = self.min_hz {
            Error::check_range("min_hz", low, least_hz, 383_990.0, "Hz")?;
        }
        if let Some(high) = self.max_hz {
            Error::check_range("max_hz", high, self.low_hz() + 10.0, 384_000.0, "Hz")?;
        }
        if let Some(size) = self.fft_size {
            Error::check_range("fft_size", size.into(), 64.0, 65_536.0, "samples")?;
            if !size.is_power_of_two() {
                let (name, value) = ("fft_size".into(), size.to_string());
                return Err(Error::InvalidValue { name, value, allowed: "a power of two".into() });
            }
        }
        Ok(())
    }

    fn low_hz(&self) -> f64 {
        self.min_hz.unwrap_or(if self.scale == FrequencyScale::Log { 20.0 } else { 0.0 })
    }
}

/// Transforms of a column overlap by 15/16 where columns are that close, and by half where they are wide.
const DENSEST: usize = 16;
const SPARSEST: usize = 2;

/// Where the power of a row comes from.
enum Row {
    /// The strongest of these bins.
    Bins(usize, usize),
    /// Between this bin and the next, at this share of the way.
    Between(usize, f32),
}

/// Collects a spectrogram from blocks. Memory depends on the size of the picture alone.
pub struct Spectrogram {
    spec: Spec,
    options: SpectrogramOptions,
    ends_hz: (f64, f64),
    plot: Area,
    stft: Stft,
    size: usize,
    rows: Vec<Row>,
    /// Samples of each channel from the beginning of the next transform on.
    waiting: Vec<Vec<f32>>,
    /// Samples of `waiting` before the next transform.
    skip: usize,
    /// Number of the next place for a transform; places are `size / DENSEST` samples apart.
    place: u64,
    /// Places that one column stands for. Doubles when there are too many columns.
    per_column: u64,
    /// Sums of power, row by row, and how many transforms, of each column.
    columns: Vec<f32>,
    counts: Vec<u32>,
    power: Vec<f32>,
    frames: u64,
}

impl Spectrogram {
    /// For streams of `spec`.
    ///
    /// # Errors
    /// Those of [`SpectrogramOptions::validate`]; [`Error::OutOfRange`] when the lowest frequency is not below half the sample rate.
    pub fn new(spec: Spec, options: &SpectrogramOptions) -> Result<Self> {
        options.validate()?;
        Error::check_range("rate_hz", f64::from(spec.rate_hz), 1_000.0, 768_000.0, "Hz")?;
        Error::check_range("channels", spec.channels() as f64, 1.0, 65_535.0, "")?;
        let nyquist_hz = f64::from(spec.rate_hz) / 2.0;
        let ends_hz = (options.low_hz(), options.max_hz.unwrap_or(nyquist_hz).min(nyquist_hz));
        Error::check_range("min_hz", ends_hz.0, 0.0, ends_hz.1 - 10.0, "Hz")?;
        let usual = (2048 * (spec.rate_hz.div_ceil(64_000) as usize).next_power_of_two()).min(65_536);
        let size = options.fft_size.map_or(usual, |size| size as usize);
        let plot = plot_of(options);
        let bins = size / 2 + 1;
        let bin_hz = f64::from(spec.rate_hz) / size as f64;
        Ok(Self {
            spec,
            options: options.clone(),
            ends_hz,
            plot,
            stft: Stft::new(size, size)?,
            size,
            rows: (0..plot.height).map(|y| row_of(y, plot.height, options.scale, ends_hz, bin_hz, bins)).collect(),
            // The first transform has its middle at the first sample.
            waiting: vec![vec![0.0; size / 2]; spec.channels()],
            skip: 0,
            place: 0,
            per_column: 1,
            columns: Vec::new(),
            counts: Vec::new(),
            power: vec![0.0; bins],
            frames: 0,
        })
    }

    /// Adds a block. What is no number counts as silence.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] when its spec is another.
    pub fn push(&mut self, block: &Buffer) -> Result<()> {
        check_spec(self.spec, block.spec())?;
        for start in (0..block.frames()).step_by(self.size) {
            let end = (start + self.size).min(block.frames());
            for (waiting, samples) in self.waiting.iter_mut().zip(block.channels()) {
                let sane = |x: &f32| {
                    if x.is_finite() { x.clamp(-crate::analysis::LOUDEST, crate::analysis::LOUDEST) } else { 0.0 }
                };
                waiting.extend(samples[start..end].iter().map(sane));
            }
            self.transform();
        }
        self.frames += block.frames() as u64;
        Ok(())
    }

    /// Memory in bytes that is used for columns at most.
    pub fn most_bytes(options: &SpectrogramOptions) -> u64 {
        8 * u64::from(options.width) * u64::from(options.height)
    }

    /// Makes all transforms that are complete.
    fn transform(&mut self) {
        let hop = self.size / DENSEST;
        while self.waiting.first().is_some_and(|w| self.skip + self.size <= w.len()) {
            let stride = self.per_column.min((DENSEST / SPARSEST) as u64);
            if self.place.is_multiple_of(stride) {
                self.power.fill(0.0);
                for waiting in &self.waiting {
                    let (_, power) = self.stft.transform(&waiting[self.skip..self.skip + self.size]);
                    self.power.iter_mut().zip(power).for_each(|(sum, p)| *sum += p);
                }
                self.add();
            }
            self.place += 1;
            self.skip += hop;
        }
        for waiting in &mut self.waiting {
            let done = self.skip.min(waiting.len());
            waiting.drain(..done);
        }
        // A transform is longer than a hop, so what was skipped was there.
        self.skip = 0;
    }

    /// Adds the present power to its column.
    fn add(&mut self) {
        let height = self.plot.height;
        if self.place / self.per_column >= 2 * self.plot.width as u64 {
            self.halve();
        }
        let column = (self.place / self.per_column) as usize;
        if column >= self.counts.len() {
            self.counts.resize(column + 1, 0);
            self.columns.resize((column + 1) * height, 0.0);
        }
        self.counts[column] += 1;
        for (sum, row) in self.columns[column * height..].iter_mut().zip(&self.rows) {
            *sum += match *row {
                Row::Bins(from, to) => self.power[from..to].iter().fold(0.0, |most: f32, p| most.max(*p)),
                Row::Between(below, share) => self.power[below] * (1.0 - share) + self.power[below + 1] * share,
            };
        }
    }

    /// Two columns become one.
    fn halve(&mut self) {
        let height = self.plot.height;
        let half = self.counts.len().div_ceil(2);
        for column in 0..half {
            let (left, right) = (2 * column, 2 * column + 1);
            self.counts[column] = self.counts[left] + self.counts.get(right).copied().unwrap_or(0);
            for y in 0..height {
                let other = self.columns.get(right * height + y).copied().unwrap_or(0.0);
                self.columns[column * height + y] = self.columns[left * height + y] + other;
            }
        }
        self.counts.truncate(half);
        self.columns.truncate(half * height);
        self.per_column *= 2;
    }

    /// The picture of all that was pushed, as PNG.
    ///
    /// # Errors
    /// [`Error::Internal`] when the encoder of PNG fails.
    pub fn finish(mut self) -> Result<Vec<u8>> {
        for waiting in &mut self.waiting {
            waiting.resize(waiting.len() + self.size / 2, 0.0);
        }
        if self.frames > 0 {
            self.transform();
        }
        self.draw()
    }

    /// Mean power of a row over a column of pixels.
    fn power(&self, x: usize, y: usize) -> f32 {
        let height = self.plot.height;
        // Columns in all: the last one may be a part.
        let all = self.frames as f64 / (self.size / DENSEST) as f64 / self.per_column as f64;
        let (from, to) = (x as f64 * all / self.plot.width as f64, (x + 1) as f64 * all / self.plot.width as f64);
        let (mut sum, mut weights) = (0.0, 0.0);
        for column in from as usize..(to.ceil() as usize).min(self.counts.len()) {
            let weight = ((column + 1) as f64).min(to) - (column as f64).max(from);
            if self.counts[column] > 0 {
                sum += weight * f64::from(self.columns[column * height + y]) / f64::from(self.counts[column]);
                weights += weight;
            }
        }
        if weights > 0.0 { (sum / weights) as f32 } else { 0.0 }
    }

    fn draw(&self) -> Result<Vec<u8>> {
        let options = &self.options;
        let (width, height) = (options.width as usize, options.height as usize);
        let paper =
            if options.colours == ColourMap::Paper { Colour::from_rgb(0xff_ffff) } else { Colour::from_rgb(0x10_1418) };
        let mut canvas = Canvas::new(width, height, paper, font_scale(options.width, options.height));
        let steps = 240;
        let inks: Vec<_> =
            (0..=steps).map(|i| canvas.ink(options.colours.colour(f64::from(i) / f64::from(steps)))).collect();
        // Power of a sine of full scale: half of the sum of the window, which is half of its length.
        let full = (self.size as f64 / 4.0).powi(2) * self.spec.channels() as f64;
        let ink_of = |level_db: f64| {
            let place = ((level_db - options.min_db) / (options.max_db - options.min_db)).clamp(0.0, 1.0);
            inks[(place * f64::from(steps)).round() as usize]
        };
        for x in 0..self.plot.width {
            for y in 0..self.plot.height {
                let level_db = 10.0 * (f64::from(self.power(x, y)) / full).max(1e-30).log10();
                canvas.set(self.plot.left + x, self.plot.top + y, ink_of(level_db));
            }
        }
        if options.axes {
            self.draw_axes(&mut canvas, paper, &ink_of);
        }
        canvas.png()
    }

    fn draw_axes(&self, canvas: &mut Canvas, paper: Colour, ink_of: &dyn Fn(f64) -> super::canvas::Ink) {
        let (options, plot, scale) = (&self.options, self.plot, canvas.scale());
        let text = if options.colours == ColourMap::Paper { 0x33_3a42 } else { 0xc9_d1d9 };
        let ink = canvas.ink(Colour::from_rgb(text).mixed(paper, 0.0));
        draw_times(canvas, plot, self.spec.seconds(self.frames), ink);
        let room = plot.height / (2 * canvas.text_height());
        for hz in options.scale.ticks(self.ends_hz, room.min(12)) {
            let y = (1.0 - options.scale.place(hz, self.ends_hz)) * (plot.height - 1) as f64;
            draw_name(canvas, plot, plot.top + y.round() as usize, &hz_text(hz), ink);
        }
        canvas.text("Hz", 2 * scale, plot.bottom() + 5 * scale, Align::Left, ink);
        let bar = Area { left: plot.right() + 8 * scale, width: 8 * scale, ..plot };
        let level = |y: usize| options.max_db - y as f64 / (bar.height - 1) as f64 * (options.max_db - options.min_db);
        for y in 0..bar.height {
            canvas.row(bar.top + y, bar.left, bar.width, ink_of(level(y)));
        }
        for db in ticks(options.min_db, options.max_db, room.min(10)) {
            let y = (options.max_db - db) / (options.max_db - options.min_db) * (bar.height - 1) as f64;
            let y = bar.top + y.round() as usize;
            canvas.row(y, bar.right(), 3 * scale, ink);
            let top = y.saturating_sub(canvas.text_height() / 2 - scale / 2).min(plot.bottom() - 4 * scale);
            canvas.text(&short(db), bar.right() + 5 * scale, top, Align::Left, ink);
        }
        canvas.text("dBFS", options.width as usize - scale, plot.bottom() + 5 * scale, Align::Right, ink);
    }
}

/// Where the spectrogram itself lies in the picture.
fn plot_of(options: &SpectrogramOptions) -> Area {
    let (width, height) = (options.width as usize, options.height as usize);
    if !options.axes {
        return Area { left: 0, top: 0, width, height };
    }
    // Nothing is drawn on this one: it only knows how large text is.
    let ruler = Canvas::new(1, 1, Colour::from_rgb(0), font_scale(options.width, options.height));
    plot_area(&ruler, width, height, 5, 7)
}

fn row_of(y: usize, height: usize, scale: FrequencyScale, ends_hz: (f64, f64), bin_hz: f64, bins: usize) -> Row {
    // Rows are as tall as the places between them; the ends of the axis are in the middle of the first and last row.
    let place = |row: f64| 1.0 - row / (height - 1) as f64;
    let bin = |row: f64| scale.hz(place(row), ends_hz).max(0.0) / bin_hz;
    let (from, to) = (bin(y as f64 + 0.5).max(0.0), bin(y as f64 - 0.5));
    let (first, last) = (from.ceil() as usize, to.ceil() as usize);
    if first < last && first < bins {
        return Row::Bins(first, last.min(bins));
    }
    let middle = bin(y as f64).clamp(0.0, (bins - 1) as f64);
    let below = (middle as usize).min(bins - 2);
    Row::Between(below, (middle - below as f64) as f32)
}

#[cfg(test)]
mod tests {
    use super::super::canvas::decoded;
    use super::*;
    use crate::audio::ChannelLayout;

    const RATE_HZ: u32 = 48_000;

    fn tone(hz: f64, amplitude: f64, frames: usize) -> Vec<f32> {
        (0..frames)
            .map(|i| (amplitude * (std::f64::consts::TAU * hz * i as f64 / f64::from(RATE_HZ)).sin()) as f32)
            .collect()
    }

    fn picture(channels: &[Vec<f32>], options: &SpectrogramOptions, block: usize) -> (usize, usize, Vec<Colour>) {
        let spec = Spec::new(RATE_HZ, ChannelLayout::from_count(channels.len()));
        let audio = Buffer::from_channels(spec, channels);
        let mut spectrogram = Spectrogram::new(spec, options).unwrap();
        let mut part = Buffer::new(spec, block);
        for start in (0..audio.frames()).step_by(block) {
            part.copy_from(&audio, start, block.min(audio.frames() - start));
            spectrogram.push(&part).unwrap();
        }
        decoded(&spectrogram.finish().unwrap())
    }

    fn plain(scale: FrequencyScale) -> SpectrogramOptions {
        SpectrogramOptions {
            width: 64,
            height: 241,
            axes: false,
            scale,
            colours: ColourMap::Grey,
            ..SpectrogramOptions::default()
        }
    }

    /// The brightest row of a column.
    fn brightest(column: usize, (width, height, pixels): &(usize, usize, Vec<Colour>)) -> usize {
        (0..*height).max_by_key(|y| pixels[y * width + column].red).unwrap()
    }

    #[test]
    fn tones_land_at_their_rows_on_every_scale() {
        for scale in FrequencyScale::ALL {
            let options = plain(scale);
            let ends = (options.low_hz(), 24_000.0);
            for hz in [100.0, 440.0, 1000.0, 5000.0, 20_000.0] {
                let got = picture(&[tone(hz, 0.1, 48_000)], &options, 4096);
                let expected = (1.0 - scale.place(hz, ends)) * 240.0;
                // Half a row, and half a bin (11.7 Hz), which is many rows at the bottom of a logarithmic axis.
                let bin = (scale.place(hz + 11.8, ends) - scale.place(hz - 11.8, ends)) / 2.0 * 240.0;
                for column in [10, 32, 60] {
                    let row = brightest(column, &got) as f64;
                    assert!(
                        (row - expected).abs() <= 0.51 + bin + 0.5,
                        "{scale:?} {hz} Hz: row {row}, not {expected:.1}"
                    );
                }
            }
        }
    }

    #[test]
    fn levels_have_their_colours() {
        let options = SpectrogramOptions { min_db: -100.0, max_db: 0.0, ..plain(FrequencyScale::Linear) };
        // In the middle of a bin (23.4375 Hz apart) a sine of full scale is white, one 50 dB below is in the middle of the map.
        for (amplitude, expected) in [(1.0, 255), (10f64.powf(-2.5), 128)] {
            let signal = tone(200.0 * 23.4375, amplitude, 48_000);
            for channels in [vec![signal.clone()], vec![signal.clone(), signal.clone()]] {
                let got = picture(&channels, &options, 1000);
                let at = brightest(32, &got) * 64 + 32;
                assert!(got.2[at].red.abs_diff(expected) <= 1, "{}", got.2[at]);
            }
            // In one of two channels half of the power is left: 3 dB, 8 of 255.
            let one = picture(&[signal, vec![0.0; 48_000]], &options, 1000);
            assert!(one.2[brightest(32, &one) * 64 + 32].red.abs_diff(expected - 8) <= 1);
        }
    }

    #[test]
    fn silence_is_the_floor_and_so_is_what_is_no_number() {
        for colours in ColourMap::ALL {
            let options = SpectrogramOptions { colours, ..plain(FrequencyScale::Mel) };
            for sample in [0.0, f32::NAN] {
                let (_, _, pixels) = picture(&[vec![sample; 20_000]], &options, 3000);
                assert!(pixels.iter().all(|c| *c == colours.colour(0.0)), "{colours:?}");
            }
        }
        let (width, height, pixels) = picture(&[Vec::new()], &plain(FrequencyScale::Linear), 10);
        assert!((width, height) == (64, 241) && pixels.iter().all(|c| c.red == 0));
    }

    #[test]
    fn times_hold_for_short_and_long_recordings_and_any_block() {
        let options = plain(FrequencyScale::Linear);
        for frames in [3000, 48_000, 700_001] {
            // The tone begins at three quarters.
            let mut samples = vec![0.0; frames];
            let begin = frames * 3 / 4;
            samples[begin..].copy_from_slice(&tone(6000.0, 0.3, frames - begin));
            let got = picture(std::slice::from_ref(&samples), &options, 9999);
            assert!(got == picture(&[samples], &options, 641), "{frames}");
            let row = 180;
            let first = (0..64).find(|x| got.2[row * 64 + x].red > 150).unwrap() as f64;
            // A transform looks 1024 samples ahead.
            let early = 1024.0 / frames as f64 * 64.0;
            assert!(first <= 48.5 && first >= 46.9 - early, "{frames}: {first}");
        }
    }

    #[test]
    fn memory_does_not_grow_with_the_length() {
        let spec = Spec::new(8000, ChannelLayout::MONO);
        let options = plain(FrequencyScale::Linear);
        let mut spectrogram = Spectrogram::new(spec, &options).unwrap();
        let block = Buffer::from_channels(spec, &[vec![0.1; 80_000]]);
        for _ in 0..40 {
            spectrogram.push(&block).unwrap();
            assert!(spectrogram.counts.len() <= 128 && spectrogram.columns.len() <= 128 * 241);
        }
        assert!(spectrogram.columns.len() * 4 <= Spectrogram::most_bytes(&options) as usize);
        assert!(spectrogram.per_column >= 128);
    }

    #[test]
    fn axes_leave_room_and_show_the_scale_of_colours() {
        let options = SpectrogramOptions { width: 500, height: 200, ..SpectrogramOptions::default() };
        let (width, height, pixels) = picture(&[tone(1000.0, 0.5, 48_000)], &options, 4800);
        assert_eq!((width, height), (500, 200));
        let plot = plot_of(&options);
        let inside = |i: usize| {
            (plot.left..plot.right()).contains(&(i % width)) && (plot.top..plot.bottom()).contains(&(i / width))
        };
        let colours = |keep: &dyn Fn(usize) -> bool| {
            let mut all: Vec<_> = (0..pixels.len()).filter(|i| keep(*i)).map(|i| pixels[i].to_string()).collect();
            all.sort();
            all.dedup();
            all.len()
        };
        assert!(colours(&|i| !inside(i)) > 100, "the bar has the colours of the map");
        assert!(colours(&|i| i % width < plot.left) == 2, "names of frequencies in one colour");
    }

    #[test]
    fn what_is_out_of_range_is_refused_by_name() {
        let base = SpectrogramOptions::default();
        let cases = [
            (SpectrogramOptions { width: 15, axes: false, ..base.clone() }, "width"),
            (SpectrogramOptions { width: 8193, ..base.clone() }, "width"),
            (SpectrogramOptions { height: 2049, ..base.clone() }, "height"),
            (SpectrogramOptions { width: 100, ..base.clone() }, "width with axes"),
            (SpectrogramOptions { min_db: -300.0, ..base.clone() }, "min_db"),
            (SpectrogramOptions { max_db: -110.0, ..base.clone() }, "max_db"),
            (SpectrogramOptions { max_db: f64::NAN, ..base.clone() }, "max_db"),
            (SpectrogramOptions { min_hz: Some(0.0), scale: FrequencyScale::Log, ..base.clone() }, "min_hz"),
            (SpectrogramOptions { max_hz: Some(5.0), ..base.clone() }, "max_hz"),
            (SpectrogramOptions { min_hz: Some(24_000.0), ..base.clone() }, "min_hz"),
            (SpectrogramOptions { fft_size: Some(32), ..base.clone() }, "fft_size"),
            (SpectrogramOptions { fft_size: Some(1000), ..base }, "fft_size"),
        ];
        let spec = Spec::new(RATE_HZ, ChannelLayout::MONO);
        for (options, expected) in cases {
            let Err(error) = Spectrogram::new(spec, &options) else { panic!("{expected}") };
            let (Error::OutOfRange { name, .. } | Error::InvalidValue { name, .. }) = &error else { panic!("{error}") };
            assert_eq!(name, expected);
        }
    }
}
