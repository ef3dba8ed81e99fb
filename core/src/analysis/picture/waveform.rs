//! A picture of the waveform: for each column of pixels the span between the smallest and the largest sample.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::axis::short;
use super::canvas::{Align, Area, Canvas, Ink};
use super::colour::Colour;
use super::frame::{check_axes, draw_name, draw_times, plot_area};
use super::{check_side, font_scale};
use crate::analysis::{PeakParams, Peaks};
use crate::error::{Error, Result};
use crate::formats::ReadOptions;

/// How amplitudes lie along the vertical axis.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AmplitudeScale {
    /// By value: full scale at the edges.
    #[default]
    Linear,
    /// By level, from -60 dBFS in the middle to 0 dBFS at the edges: soft sound is seen as well.
    Decibels,
}

/// The level in the middle of a waveform in decibels, in dBFS.
const FLOOR_DBFS: f64 = -60.0;

/// Smallest height of the lane of a channel, in pixels.
const LEAST_LANE: usize = 8;

/// Colours of a waveform, `#rrggbb`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WaveformColours {
    /// Behind everything. Default `#ffffff`.
    pub background: Colour,
    /// The waveform. Default `#1f6feb`.
    pub wave: Colour,
    /// Columns that reach full scale, at their ends. Default `#d1242f`.
    pub clipped: Colour,
    /// Axes and text. Default `#57606a`.
    pub axes: Colour,
}

impl Default for WaveformColours {
    fn default() -> Self {
        Self {
            background: Colour::from_rgb(0xff_ffff),
            wave: Colour::from_rgb(0x1f_6feb),
            clipped: Colour::from_rgb(0xd1_242f),
            axes: Colour::from_rgb(0x57_606a),
        }
    }
}

/// Options of a picture of the waveform.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WaveformOptions {
    /// How to read the input.
    pub read: ReadOptions,
    /// Width of the picture in pixels. 16 to 16384, with axes from 200; default 1200.
    pub width: u32,
    /// Height of the picture in pixels. 16 to 4096, with axes from 80; default 300. Each channel needs 8.
    pub height: u32,
    /// Whether all channels are mixed to one; else each has its lane. Default false.
    pub mono: bool,
    /// Vertical axis. Default `linear`.
    pub amplitude: AmplitudeScale,
    /// Whether axes are drawn; without, the waveform fills the picture. Default true.
    pub axes: bool,
    /// Colours.
    pub colours: WaveformColours,
}

impl Default for WaveformOptions {
    fn default() -> Self {
        Self {
            read: ReadOptions::default(),
            width: 1200,
            height: 300,
            mono: false,
            amplitude: AmplitudeScale::default(),
            axes: true,
            colours: WaveformColours::default(),
        }
    }
}

impl WaveformOptions {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for a side.
    pub fn validate(&self) -> Result<()> {
        check_side("width", self.width, 16, 16_384)?;
        check_side("height", self.height, 16, 4096)?;
        if self.axes { check_axes(self.width, self.height) } else { Ok(()) }
    }

    /// The peaks that the picture is drawn from: two to four for each column, so that no column needs more than its own.
    pub fn peaks(&self) -> PeakParams {
        PeakParams { samples_per_pixel: 2, mono: self.mono, max_pixels: Some(4 * self.width) }
    }
}

/// Draws the waveform of a recording of `frames` frames from its peaks, as PNG.
///
/// # Errors
/// Those of [`WaveformOptions::validate`]; [`Error::OutOfRange`] when the height has no room for every channel.
pub fn waveform_png(peaks: &Peaks, frames: u64, options: &WaveformOptions) -> Result<Vec<u8>> {
    options.validate()?;
    let colours = &options.colours;
    let (width, height) = (options.width as usize, options.height as usize);
    let mut canvas = Canvas::new(width, height, colours.background, font_scale(options.width, options.height));
    let axes = canvas.ink(colours.axes);
    let plot = if options.axes {
        let plot = plot_area(&canvas, width, height, 4, 0);
        draw_times(&mut canvas, plot, frames as f64 / f64::from(peaks.rate_hz.max(1)), axes);
        plot
    } else {
        Area { left: 0, top: 0, width, height }
    };
    let channels = usize::from(peaks.channels.max(1));
    let around = height - plot.height;
    let needed = channels * LEAST_LANE + around;
    Error::check_range("height", f64::from(options.height), needed as f64, 4096.0, "pixels for every channel")?;
    let inks = Inks {
        wave: canvas.ink(colours.wave),
        clipped: canvas.ink(colours.clipped),
        axes,
        quiet: canvas.ink(colours.background.mixed(colours.axes, 0.25)),
    };
    for channel in 0..channels {
        let (top, bottom) = (channel * plot.height / channels, (channel + 1) * plot.height / channels);
        let gap = usize::from(channel + 1 < channels);
        let lane = Area { top: plot.top + top, height: bottom - top - gap, ..plot };
        if options.axes {
            draw_levels(&mut canvas, lane, options.amplitude, &inks);
            if channels > 1 {
                canvas.text(&(channel + 1).to_string(), lane.right() - 2, lane.top + 2, Align::Right, axes);
            }
        }
        draw_lane(&mut canvas, lane, peaks, channel, frames, options.amplitude, &inks);
        if gap == 1 {
            canvas.row(lane.bottom(), lane.left, lane.width, inks.quiet);
        }
    }
    canvas.png()
}

struct Inks {
    wave: Ink,
    clipped: Ink,
    axes: Ink,
    quiet: Ink,
}

/// Where an amplitude lies between the edges, -1 to 1.
fn place(amplitude: f64, scale: AmplitudeScale) -> f64 {
    match scale {
        AmplitudeScale::Linear => amplitude,
        AmplitudeScale::Decibels => {
            let level = (20.0 * amplitude.abs().max(1e-9).log10() - FLOOR_DBFS) / -FLOOR_DBFS;
            level.max(0.0).copysign(amplitude)
        }
    }
}

/// The row of the canvas for a place between the edges of a lane: 1 is its first row, -1 its last.
fn row(lane: Area, place: f64) -> usize {
    lane.top + ((1.0 - place.clamp(-1.0, 1.0)) / 2.0 * (lane.height - 1) as f64).round() as usize
}

fn draw_levels(canvas: &mut Canvas, lane: Area, scale: AmplitudeScale, inks: &Inks) {
    // Values of an axis, from the edge inwards, in the order of their use.
    let named: &[f64] = match scale {
        AmplitudeScale::Linear => &[1.0, 0.0, -1.0, 0.5, -0.5],
        AmplitudeScale::Decibels => &[0.0, -60.0, -30.0, -12.0],
    };
    let apart = canvas.text_height() + 4 * canvas.scale();
    let mut taken: Vec<usize> = Vec::new();
    for value in named {
        let (places, name) = match scale {
            AmplitudeScale::Linear => (vec![*value], short(*value)),
            AmplitudeScale::Decibels => {
                let at = (value - FLOOR_DBFS) / -FLOOR_DBFS;
                (vec![at, -at], short(*value))
            }
        };
        for at in places {
            let y = row(lane, at);
            if taken.iter().all(|other| other.abs_diff(y) >= apart) {
                canvas.row(y, lane.left, lane.width, inks.quiet);
                draw_name(canvas, lane, y, &name, inks.axes);
                taken.push(y);
            }
        }
    }
}

fn draw_lane(
    canvas: &mut Canvas,
    lane: Area,
    peaks: &Peaks,
    channel: usize,
    frames: u64,
    scale: AmplitudeScale,
    inks: &Inks,
) {
    let stride = 2 * usize::from(peaks.channels.max(1));
    let count = peaks.pixels();
    if count == 0 {
        return;
    }
    // The last pixel may hold less frames than the others, so columns are counted in frames.
    let per_column = frames as f64 / lane.width as f64 / f64::from(peaks.samples_per_pixel);
    let mut before: Option<(i16, i16)> = None;
    for column in 0..lane.width {
        let from = ((column as f64 * per_column) as usize).min(count - 1);
        let to = (((column + 1) as f64 * per_column).ceil() as usize).clamp(from + 1, count);
        let of = |at: usize| (peaks.data[at * stride + 2 * channel], peaks.data[at * stride + 2 * channel + 1]);
        let (low, high) = (from..to).map(of).fold((i16::MAX, i16::MIN), |(l, h), (a, b)| (l.min(a), h.max(b)));
        // Where one column ends above the next one, the line between them belongs to the later one.
        let joined = before.map_or((low, high), |(l, h)| (low.min(h), high.max(l)));
        before = Some((low, high));
        let x = lane.left + column;
        let y = |value: i16| row(lane, place(f64::from(value) / 32768.0, scale));
        canvas.column(x, y(joined.1), y(joined.0), inks.wave);
        let mark = (lane.height / 32).clamp(1, 4);
        if high == i16::MAX {
            canvas.fill(Area { left: x, top: lane.top, width: 1, height: mark }, inks.clipped);
        }
        if low == i16::MIN {
            canvas.fill(Area { left: x, top: lane.bottom() - mark, width: 1, height: mark }, inks.clipped);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::canvas::decoded;
    use super::*;
    use crate::analysis::WaveformPeaks;
    use crate::audio::{Buffer, ChannelLayout, Spec};

    fn picture(channels: &[Vec<f32>], options: &WaveformOptions, block: usize) -> (usize, usize, Vec<Colour>) {
        let layout = ChannelLayout::from_count(channels.len());
        let spec = Spec::new(8000, layout);
        let mut peaks = WaveformPeaks::new(spec, &options.peaks()).unwrap();
        let audio = Buffer::from_channels(spec, channels);
        let mut part = Buffer::new(spec, block);
        for start in (0..audio.frames()).step_by(block) {
            part.copy_from(&audio, start, block.min(audio.frames() - start));
            peaks.push(&part);
        }
        decoded(&waveform_png(&peaks.finish(), audio.frames() as u64, options).unwrap())
    }

    fn plain(width: u32, height: u32) -> WaveformOptions {
        WaveformOptions { width, height, axes: false, ..WaveformOptions::default() }
    }

    fn rows_of(column: usize, (width, height, pixels): &(usize, usize, Vec<Colour>), colour: Colour) -> Vec<usize> {
        (0..*height).filter(|y| pixels[y * width + column] == colour).collect()
    }

    #[test]
    fn amplitudes_land_at_their_rows() {
        let colours = WaveformColours::default();
        // A square wave of 0.5: rows from 0.25 to 0.75 of the height, and no others.
        let square: Vec<f32> = (0..8000).map(|i| if i / 20 % 2 == 0 { 0.5 } else { -0.5 }).collect();
        let got = picture(&[square], &plain(100, 201), 777);
        assert_eq!((got.0, got.1), (100, 201));
        for column in [0, 50, 99] {
            assert_eq!(rows_of(column, &got, colours.wave), (50..=150).collect::<Vec<_>>(), "{column}");
        }
        // -30 dBFS is in the middle between -60 and 0.
        let soft: Vec<f32> = (0..8000).map(|i| if i / 20 % 2 == 0 { 0.031_623 } else { -0.031_623 }).collect();
        let decibels = WaveformOptions { amplitude: AmplitudeScale::Decibels, ..plain(100, 201) };
        assert_eq!(rows_of(50, &picture(&[soft], &decibels, 777), colours.wave), (50..=150).collect::<Vec<_>>());
    }

    #[test]
    fn silence_is_one_line_and_clipping_reaches_the_edge() {
        let colours = WaveformColours::default();
        let mut samples = vec![0.0; 8000];
        samples[4000..4100].fill(1.0);
        samples[6000..6100].fill(-1.0);
        let got = picture(&[samples], &plain(80, 101), 8000);
        assert_eq!(rows_of(10, &got, colours.wave), [50]);
        assert_eq!(rows_of(40, &got, colours.clipped), [0, 1, 2]);
        assert_eq!(rows_of(60, &got, colours.clipped), [98, 99, 100]);
        assert_eq!(rows_of(20, &got, colours.clipped), Vec::<usize>::new());
        // What is loud and not at full scale is not marked.
        assert!(picture(&[vec![0.999; 800]], &plain(80, 101), 800).2.iter().all(|c| *c != colours.clipped));
    }

    #[test]
    fn each_channel_has_its_lane_and_axes_leave_room() {
        let colours = WaveformColours::default();
        let tone: Vec<f32> = (0..8000).map(|i| (f64::from(i) * 0.3).sin() as f32 * 0.9).collect();
        let got = picture(&[tone.clone(), vec![0.0; 8000]], &plain(64, 100), 100);
        let rows = rows_of(30, &got, colours.wave);
        assert!(
            rows.iter().filter(|y| **y < 50).count() > 40 && rows.iter().filter(|y| **y >= 50).count() == 1,
            "{rows:?}"
        );
        let mono = picture(&[tone.clone(), vec![0.0; 8000]], &WaveformOptions { mono: true, ..plain(64, 100) }, 100);
        let rows = rows_of(30, &mono, colours.wave);
        assert!(rows.len() > 40 && rows.len() < 50, "half of the amplitude: {rows:?}");
        let (width, _, pixels) =
            picture(&[tone], &WaveformOptions { width: 400, height: 120, ..WaveformOptions::default() }, 8000);
        let left = pixels.iter().enumerate().filter(|(_, c)| **c == colours.wave).map(|(i, _)| i % width).min();
        assert!(left.is_some_and(|x| (20..60).contains(&x)), "{left:?}");
        assert!(pixels.iter().enumerate().any(|(i, c)| i % width < 20 && *c == colours.axes), "names at the left");
    }

    #[test]
    fn the_time_of_a_sound_is_its_column_for_any_length_and_block() {
        for frames in [3, 50, 401, 100_000] {
            let mut samples = vec![0.0; frames];
            samples[frames * 3 / 4..].fill(0.5);
            let got = picture(std::slice::from_ref(&samples), &plain(200, 51), 1000);
            assert_eq!(got, picture(&[samples], &plain(200, 51), 7));
            let first = (0..200).find(|x| rows_of(*x, &got, WaveformColours::default().wave).contains(&13)).unwrap();
            // A column, and two frames of which one peak is made.
            let begin = (frames * 3 / 4) as f64 / frames as f64 * 200.0;
            assert!((first as f64 - begin).abs() <= 1.0 + 2.0 * 200.0 / frames as f64, "{frames}: {first}");
        }
    }

    #[test]
    fn nothing_gives_an_empty_picture_and_wrong_sizes_are_refused() {
        let (_, _, pixels) = picture(&[Vec::new()], &plain(20, 20), 10);
        assert!(pixels.iter().all(|c| *c == WaveformColours::default().background));
        for (options, name) in [
            (plain(15, 100), "width"),
            (plain(16_385, 100), "width"),
            (plain(100, 4097), "height"),
            (WaveformOptions { width: 199, ..WaveformOptions::default() }, "width with axes"),
            (WaveformOptions { height: 79, ..WaveformOptions::default() }, "height with axes"),
        ] {
            let error = options.validate().unwrap_err();
            assert!(matches!(&error, Error::OutOfRange { name: n, .. } if n == name), "{error}");
        }
        let many = Peaks { rate_hz: 8000, samples_per_pixel: 2, channels: 12, data: vec![0; 24] };
        let error = waveform_png(&many, 2, &plain(100, 90)).unwrap_err();
        assert!(matches!(error, Error::OutOfRange { min, .. } if min == 96.0), "{error}");
    }
}
