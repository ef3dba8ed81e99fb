//! What is around the plot of a picture: margins, the axis of time, names at the left.

use super::axis::{time_text, time_ticks};
use super::canvas::{Align, Area, Canvas, Ink};
use crate::error::{Error, Result};

/// Smallest sides of a picture with axes, in pixels.
const LEAST_WIDTH: u32 = 200;
const LEAST_HEIGHT: u32 = 80;

/// Checks that axes have room.
pub(super) fn check_axes(width: u32, height: u32) -> Result<()> {
    // The names of the fields, and what they must be for `axes`.
    Error::check_range("width with axes", width.into(), LEAST_WIDTH.into(), f64::from(u32::MAX), "pixels")?;
    Error::check_range("height with axes", height.into(), LEAST_HEIGHT.into(), f64::from(u32::MAX), "pixels")
}

/// Room for `left` characters at the left and `right` at the right, and for the times below.
pub(super) fn plot_area(canvas: &Canvas, width: usize, height: usize, left: usize, right: usize) -> Area {
    let scale = canvas.scale();
    let room = |characters: usize| canvas.text_width(&"0".repeat(characters)) + 10 * scale;
    let (left, right, top) = (room(left), room(right), 6 * scale);
    let below = canvas.text_height() + 9 * scale;
    Area { left, top, width: width - left - right, height: height - top - below }
}

/// Draws the axis of time below `plot`, which shows `end_s` seconds.
pub(super) fn draw_times(canvas: &mut Canvas, plot: Area, end_s: f64, ink: Ink) {
    let scale = canvas.scale();
    canvas.row(plot.bottom(), plot.left, plot.width, ink);
    if end_s <= 0.0 {
        return;
    }
    let widest = canvas.text_width(&time_text(end_s, end_s)) + 24 * scale;
    for time_s in time_ticks(end_s, plot.width / widest) {
        let x = plot.left + ((time_s / end_s) * (plot.width - 1) as f64).round() as usize;
        canvas.column(x, plot.bottom(), plot.bottom() + 3 * scale, ink);
        canvas.text(&time_text(time_s, end_s), x, plot.bottom() + 5 * scale, Align::Centre, ink);
    }
}

/// Draws a name with its tick at the left of `plot`, in row `y` of the canvas.
pub(super) fn draw_name(canvas: &mut Canvas, plot: Area, y: usize, name: &str, ink: Ink) {
    let scale = canvas.scale();
    canvas.row(y, plot.left - 3 * scale, 3 * scale, ink);
    // Letters without descenders: seven of the eight rows.
    let top = y.saturating_sub(canvas.text_height() / 2 - scale / 2).min(plot.bottom().saturating_sub(4 * scale));
    canvas.text(name, plot.left - 5 * scale, top, Align::Right, ink);
}
