//! [`Curve`]: values of a parameter over time.
//!
//! Between its points a curve is a straight line or holds. Where it jumps (at the points of a curve that holds, and where
//! two points have the same time) the value leaves for the new one at the point, to the frame, and is there
//! `smooth_ms` later, on a straight line. Straight lines are followed without delay.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;

use super::params::ParamInfo;
use crate::error::{Error, Result};

/// Most points of one curve.
pub const MAX_POINTS: usize = 10_000;
/// Latest time of a point, in seconds: 100 days.
const MAX_TIME_S: f64 = 8.64e6;
/// Longest smoothing in milliseconds.
const MAX_SMOOTH_MS: f64 = 1_000.0;
/// Distance in frames between the stream positions at which a moving parameter is set: 0.7 ms at 48 kHz.
pub const CONTROL_FRAMES: u64 = 32;

/// What a curve does between its points.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CurveShape {
    /// A straight line from point to point.
    #[default]
    Linear,
    /// The value of a point until the next.
    Hold,
}

/// Values of a parameter over time. In JSON a list of `[time_s, value]`, or an object with `points`, `shape` and
/// `smooth_ms`. Before the first point it has the value of the first, after the last that of the last.
///
/// Time counts the frames that enter the filter, from 0 at the start of the stream or the last reset. A host that
/// compensates latency only at the end of its chain sees a filter that stands behind another with latency that much
/// earlier in the programme; [`super::FileChain`] compensates at each filter, so that times are those of the file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Curve {
    /// `(time in seconds, value)`, times rising; two of the same time are a jump. 1 to 10000 points.
    pub points: Vec<(f64, f64)>,
    /// Between the points. Default: a straight line.
    pub shape: CurveShape,
    /// Time over which a jump is spread. 0 to 1000 ms, default 5.
    pub smooth_ms: f64,
}

/// The object form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CurveObject {
    points: Vec<(f64, f64)>,
    #[serde(default)]
    shape: CurveShape,
    #[serde(default = "default_smooth_ms")]
    smooth_ms: f64,
}

fn default_smooth_ms() -> f64 {
    5.0
}

impl<'de> Deserialize<'de> for Curve {
    fn deserialize<D: Deserializer<'de>>(d: D) -> std::result::Result<Self, D::Error> {
        // By way of a value, so that errors speak of the form that was used and not of "no variant".
        let value = serde_json::Value::deserialize(d)?;
        if value.is_array() {
            return serde_json::from_value(value).map(Self::new).map_err(serde::de::Error::custom);
        }
        let CurveObject { points, shape, smooth_ms } =
            serde_json::from_value(value).map_err(serde::de::Error::custom)?;
        Ok(Self { points, shape, smooth_ms })
    }
}

impl JsonSchema for Curve {
    fn schema_name() -> Cow<'static, str> {
        "Curve".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let shape = generator.subschema_for::<CurveShape>();
        let points = json!({
            "type": "array",
            "items": {"type": "array", "prefixItems": [
                {"description": "Time in seconds.", "type": "number", "minimum": 0, "maximum": MAX_TIME_S},
                {"description": "Value.", "type": "number"}
            ], "minItems": 2, "maxItems": 2},
            "minItems": 1,
            "maxItems": MAX_POINTS
        });
        schemars::json_schema!({
            "description": "Values over time: a list of [time in seconds, value], times rising, or an object.",
            "anyOf": [points, {
                "type": "object",
                "properties": {
                    "points": points,
                    "shape": shape,
                    "smooth_ms": {
                        "description": "Time over which a jump is spread, in ms.",
                        "type": "number", "minimum": 0, "maximum": MAX_SMOOTH_MS, "default": default_smooth_ms()
                    }
                },
                "required": ["points"],
                "additionalProperties": false
            }]
        })
    }
}

impl Curve {
    /// Straight lines through `points` of (seconds, value).
    pub fn new(points: Vec<(f64, f64)>) -> Self {
        Self { points, shape: CurveShape::Linear, smooth_ms: default_smooth_ms() }
    }

    /// Value at the start of the stream; NaN without points.
    pub(super) fn first(&self) -> f64 {
        self.points.first().map_or(f64::NAN, |p| p.1)
    }

    /// Checks points and times, and the values against the range of `param`. `name` is that of the parameter with its
    /// filter.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] with the number of the point, from 0; [`Error::InvalidValue`] for times that go back.
    pub fn check(&self, name: &str, param: &ParamInfo) -> Result<()> {
        let count = self.points.len();
        Error::check_range(&format!("{name}.points"), count as f64, 1.0, MAX_POINTS as f64, "points")?;
        Error::check_range(&format!("{name}.smooth_ms"), self.smooth_ms, 0.0, MAX_SMOOTH_MS, "ms")?;
        let (min, max) = (param.min.unwrap_or(f64::MIN), param.max.unwrap_or(f64::MAX));
        let mut last_s = 0.0;
        for (index, (time_s, value)) in self.points.iter().enumerate() {
            if !(*time_s >= 0.0 && *time_s <= MAX_TIME_S) {
                return Error::check_range(&format!("{name}.points[{index}].time"), *time_s, 0.0, MAX_TIME_S, "s");
            }
            if *time_s < last_s {
                return Err(Error::InvalidValue {
                    name: format!("{name}.points[{index}]"),
                    value: format!("{time_s} s"),
                    allowed: format!("times that do not go back (the point before is at {last_s} s)"),
                });
            }
            if !(*value >= min && *value <= max) {
                return Error::check_range(&format!("{name}.points[{index}]"), *value, min, max, param.unit);
            }
            last_s = *time_s;
        }
        Ok(())
    }
}

/// Where the line of a curve changes.
#[derive(Debug, Clone, Copy)]
struct Knot {
    frame: u64,
    /// Value up to here.
    before: f64,
    /// Value from here on.
    after: f64,
}

/// A curve at a rate, with the place up to which it was followed.
#[derive(Debug)]
pub(super) struct Track {
    knots: Vec<Knot>,
    /// Frames over which a jump is spread.
    smooth_frames: u64,
    /// Knots at or before the position last asked for.
    passed: usize,
}

impl Track {
    /// `curve`, checked, at `rate_hz`.
    pub fn new(curve: &Curve, rate_hz: f64) -> Self {
        let mut knots: Vec<Knot> = Vec::with_capacity(curve.points.len());
        for (time_s, value) in &curve.points {
            let frame = (time_s * rate_hz).round() as u64;
            let before = match (knots.last_mut(), curve.shape) {
                (Some(last), _) if last.frame == frame => {
                    last.after = *value;
                    continue;
                }
                (Some(last), CurveShape::Hold) => last.after,
                _ => *value,
            };
            knots.push(Knot { frame, before, after: *value });
        }
        Self { knots, smooth_frames: (curve.smooth_ms * rate_hz / 1000.0).round() as u64, passed: 0 }
    }

    /// Back to the start.
    pub fn rewind(&mut self) {
        self.passed = 0;
    }

    /// Goes on to `frame`, which never goes back, and returns the next frame at which the value must be set anew:
    /// `u64::MAX` when it stays.
    pub fn advance(&mut self, frame: u64) -> u64 {
        while self.knots.get(self.passed).is_some_and(|k| k.frame <= frame) {
            self.passed += 1;
        }
        let next = self.knots.get(self.passed);
        let slope = match (self.passed.checked_sub(1), next) {
            (Some(last), Some(next)) => self.knots[last].after != next.before,
            _ => false,
        };
        // Where the oldest jump that is still being spread is done.
        let settled = self.gliding(frame).last().map(|k| k.frame + self.smooth_frames);
        let grid = if slope || settled.is_some() { (frame / CONTROL_FRAMES + 1) * CONTROL_FRAMES } else { u64::MAX };
        grid.min(next.map_or(u64::MAX, |k| k.frame)).min(settled.unwrap_or(u64::MAX))
    }

    /// Value at `frame`, which lies between the position of the last `advance` and what that returned; at the latter
    /// it is the value just before.
    pub fn value(&self, frame: u64) -> f64 {
        let Some(last) = self.passed.checked_sub(1) else {
            return self.knots.first().map_or(f64::NAN, |k| k.before);
        };
        let from = self.knots[last];
        let line = match self.knots.get(self.passed) {
            Some(to) if to.before != from.after => {
                let share = (frame - from.frame) as f64 / (to.frame - from.frame) as f64;
                from.after + (to.before - from.after) * share
            }
            _ => from.after,
        };
        let to_come = |k: &Knot| {
            let done = (frame - k.frame) as f64 / self.smooth_frames as f64;
            (k.after - k.before) * (1.0 - done).max(0.0)
        };
        line - self.gliding(frame).map(to_come).sum::<f64>()
    }

    /// Jumps that are still being spread at `frame`, the latest first.
    fn gliding(&self, frame: u64) -> impl Iterator<Item = &Knot> {
        let recent = move |k: &&Knot| k.frame + self.smooth_frames > frame;
        self.knots[..self.passed].iter().rev().take_while(recent).filter(|k| k.before != k.after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values at each frame, from the control points with straight lines in between.
    fn follow(curve: &Curve, rate_hz: f64, frames: u64) -> Vec<f64> {
        let mut track = Track::new(curve, rate_hz);
        let (mut at, mut out) = (0, Vec::new());
        while at < frames {
            let next = track.advance(at).min(frames);
            let (from, to) = (track.value(at), track.value(next));
            out.extend((at..next).map(|n| from + (to - from) * (n - at) as f64 / (next - at) as f64));
            at = next;
        }
        out
    }

    #[test]
    fn lines_are_followed_to_the_frame() {
        let curve = Curve::new(vec![(0.1, -60.0), (0.25, 0.0), (0.3, -6.0)]);
        let got = follow(&curve, 1_000.0, 500);
        for (n, y) in got.iter().enumerate() {
            let want = match n {
                ..100 => -60.0,
                100..250 => -60.0 + 0.4 * (n - 100) as f64,
                250..300 => -0.12 * (n - 250) as f64,
                _ => -6.0,
            };
            assert!((y - want).abs() < 1e-10, "{n}: {y} {want}"); // f64 rounding of values of 60
        }
    }

    #[test]
    fn jumps_begin_at_the_point_and_take_the_stated_time() {
        let curve = Curve { shape: CurveShape::Hold, smooth_ms: 50.0, ..Curve::new(vec![(0.0, 1.0), (0.1, 3.0)]) };
        let got = follow(&curve, 1_000.0, 200);
        for (n, y) in got.iter().enumerate() {
            let want = 1.0 + 2.0 * ((n as f64 - 100.0) / 50.0).clamp(0.0, 1.0);
            assert!((y - want).abs() < 1e-12, "{n}: {y} {want}");
        }
        assert_eq!(got[150..], [3.0; 50], "exactly there in the end");
        let at_once = Curve { smooth_ms: 0.0, ..curve };
        assert_eq!(follow(&at_once, 1_000.0, 200)[99..101], [1.0, 3.0]);
        // Two points at one time, on a line that goes on.
        let saw = Curve { smooth_ms: 10.0, ..Curve::new(vec![(0.0, 0.0), (0.1, 1.0), (0.1, 0.0), (0.2, 1.0)]) };
        let got = follow(&saw, 1_000.0, 200);
        assert!((got[100] - 1.0).abs() < 1e-12 && (got[105] - 0.55).abs() < 1e-12 && (got[110] - 0.1).abs() < 1e-12);
    }

    #[test]
    fn jumps_close_to_each_other_add_up_to_the_moving_average() {
        let points = vec![(0.0, 0.0), (0.01, 5.0), (0.02, -5.0), (0.025, 2.0)];
        let curve = Curve { shape: CurveShape::Hold, smooth_ms: 16.0, ..Curve::new(points) };
        let step = |n: i64| match n {
            ..10 => 0.0,
            10..20 => 5.0,
            20..25 => -5.0,
            _ => 2.0,
        };
        for (n, y) in follow(&curve, 1_000.0, 100).iter().enumerate() {
            let want = (1..=16).map(|k| step(n as i64 - k)).sum::<f64>() / 16.0;
            assert!((y - want).abs() < 1e-12, "{n}: {y} {want}");
        }
    }

    #[test]
    fn both_forms_read_and_write() {
        let list: Curve = serde_json::from_str("[[0, -60], [2.5, 0]]").unwrap();
        assert_eq!(list, Curve::new(vec![(0.0, -60.0), (2.5, 0.0)]));
        let object: Curve = serde_json::from_str(r#"{"points":[[1,2]],"shape":"hold","smooth_ms":0}"#).unwrap();
        assert_eq!(object, Curve { points: vec![(1.0, 2.0)], shape: CurveShape::Hold, smooth_ms: 0.0 });
        let back: Curve = serde_json::from_str(&serde_json::to_string(&object).unwrap()).unwrap();
        assert_eq!(back, object);
        for bad in ["3", "[1,2]", r#"{"point":[[0,1]]}"#, r#"[[0,"x"]]"#, r#"{"points":[[0,1]],"shape":"cubic"}"#] {
            assert!(serde_json::from_str::<Curve>(bad).is_err(), "{bad}");
        }
    }
}
