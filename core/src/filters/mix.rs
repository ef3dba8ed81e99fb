//! Other recordings on top of the sound.

use serde::{Deserialize, Serialize};

use super::assets::AssetLoader;
use super::crossfade::CrossfadeCurve;
use super::fifo::FrameFifo;
use super::params::{ParamKind, ParamValue, filter_choice, filter_params};
use super::recording::{Feed, MAX_RECORDINGS, Recording};
use super::{Filter, Prepared};
use crate::audio::{Buffer, Spec};
use crate::error::{Error, Result};

/// One recording of [`MixParams`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MixInput {
    /// Path, or a `data:` URL with the bytes of an audio file in base64. Rate and channels are converted.
    pub path: Recording,
    /// -120 to 60 dB, default 0.
    #[serde(default)]
    #[schemars(range(min = -120.0, max = 60.0))]
    pub gain_db: f64,
    /// Where in the sound it begins: 0 to 86400 s, default 0.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 86400.0))]
    pub start_s: f64,
    /// Where in the recording it begins: 0 to 86400 s, default 0.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 86400.0))]
    pub from_s: f64,
    /// Length of the fade at its start: 0 to 600 s, default 0.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 600.0))]
    pub fade_in_s: f64,
    /// Length of the fade at its end, or at the end of the sound when that is earlier: 0 to 600 s, default 0.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 600.0))]
    pub fade_out_s: f64,
    /// Begins again at `from_s` whenever it ends, until the sound ends. Default false.
    #[serde(default, rename = "loop")]
    pub repeats: bool,
}

impl ParamValue for Vec<MixInput> {
    const KIND: ParamKind = ParamKind::List;

    fn check_parts(&self, name: &str) -> Result<()> {
        Error::check_range(name, self.len() as f64, 0.0, MAX_RECORDINGS as f64, "recordings")?;
        for (index, input) in self.iter().enumerate() {
            let part = |field: &str| format!("{name}[{index}].{field}");
            input.path.check(&part("path"))?;
            Error::check_range(&part("gain_db"), input.gain_db, -120.0, 60.0, "dB")?;
            Error::check_range(&part("start_s"), input.start_s, 0.0, 86_400.0, "s")?;
            Error::check_range(&part("from_s"), input.from_s, 0.0, 86_400.0, "s")?;
            Error::check_range(&part("fade_in_s"), input.fade_in_s, 0.0, 600.0, "s")?;
            Error::check_range(&part("fade_out_s"), input.fade_out_s, 0.0, 600.0, "s")?;
        }
        Ok(())
    }

    fn load_assets(&mut self, loader: &mut dyn AssetLoader) -> Result<()> {
        self.iter_mut().try_for_each(|input| input.path.load(loader))
    }
}

filter_choice! {
    /// How long a mix is.
    pub enum MixLength {
        Sound = "sound": "As long as the sound: what is not over by then is cut, after its fade.",
        Longest = "longest": "Until the sound and all recordings that do not loop are over.",
    }
}

filter_params! {
    /// Mixes other recordings into the sound, such as music under speech. For files.
    pub struct MixParams for "mix" in Time, realtime false {
        /// Recordings, at most 64: objects with the `path`, and where wanted `gain_db`, `start_s`, `from_s`, `fade_in_s`,
        /// `fade_out_s` and `loop`. The sum is not limited.
        inputs: Vec<MixInput> = Vec::new();
        /// How long the result is.
        length: MixLength = MixLength::Sound;
        /// Course of the fades.
        curve: CrossfadeCurve = CrossfadeCurve::EqualPower;
    }
}

/// See [`MixParams`]. The others are read while they are mixed, never held whole; one that loops is kept beyond 16 MiB in a
/// temporary file. As much of the sound as the longest fade at its end is held back, beyond 2 MiB in a temporary file. No
/// latency: it compensates itself.
#[derive(Debug)]
pub struct Mix {
    params: MixParams,
    state: Option<State>,
    error: Option<Error>,
}

/// What `prepare` makes.
#[derive(Debug)]
struct State {
    spec: Spec,
    room: usize,
    tracks: Vec<Track>,
    waiting: FrameFifo,
    /// Frames of the sound that are held back.
    hold: u64,
    /// Frames of output so far, and those of the sound once it has ended.
    given: u64,
    end: Option<u64>,
    other: Buffer,
    gains: Vec<f32>,
    curve: CrossfadeCurve,
}

/// One recording. Lengths in frames.
#[derive(Debug)]
struct Track {
    /// None after `reset` until it is read again.
    feed: Option<Feed>,
    start: u64,
    fade_in: u64,
    fade_out: u64,
    gain: f32,
    /// Ends with the sound.
    bound: bool,
    /// Frames of it that were given.
    given: u64,
}

fn open(input: &MixInput, spec: Spec) -> Result<Feed> {
    Feed::open_part(&input.path, spec, input.from_s, input.repeats)
}

impl Track {
    fn new(input: &MixInput, length: MixLength, spec: Spec) -> Result<Self> {
        let frames = |seconds: f64| (seconds * f64::from(spec.rate_hz)).round() as u64;
        Ok(Self {
            feed: Some(open(input, spec)?),
            start: frames(input.start_s),
            fade_in: frames(input.fade_in_s),
            fade_out: frames(input.fade_out_s),
            gain: 10f64.powf(input.gain_db / 20.0) as f32,
            bound: input.repeats || length == MixLength::Sound,
            given: 0,
        })
    }

    /// Writes gains for the next frames, of which `left` follow until the end.
    fn gains(&self, curve: CrossfadeCurve, left: u64, gains: &mut [f32]) {
        gains.fill(self.gain);
        for (gain, n) in gains.iter_mut().zip(self.given..self.fade_in) {
            *gain *= curve.gains_at(n as usize, self.fade_in as usize).1;
        }
        // The first frame of `gains` is the one that `left` counts from.
        let before = left.saturating_sub(self.fade_out).min(gains.len() as u64);
        let first = (self.fade_out + before).saturating_sub(left);
        for (gain, n) in gains[before as usize..].iter_mut().zip(first..self.fade_out) {
            *gain *= curve.gains_at(n as usize, self.fade_out as usize).0;
        }
    }
}

impl State {
    /// Gives `count` frames of the sound, or of silence when it is over, with the recordings on top.
    fn next(&mut self, inputs: &[MixInput], count: u64, block: &mut Buffer) -> Result<()> {
        if self.waiting.frames() > 0 {
            self.waiting.pop(count, Some(block))?;
        } else {
            block.set_frames(count as usize);
            block.channels_mut().for_each(|c| c.fill(0.0));
        }
        let (from, to) = (self.given, self.given + block.frames() as u64);
        for (track, input) in self.tracks.iter_mut().zip(inputs) {
            let begin = from.max(track.start);
            if begin >= to {
                continue;
            }
            let feed = match &mut track.feed {
                Some(feed) => feed,
                none => none.insert(open(input, self.spec)?),
            };
            // With a whole fade in sight an end that is not seen is not near.
            feed.fill(to - begin + track.fade_out)?;
            let bound = self.end.filter(|_| track.bound).map_or(u64::MAX, |end| end.saturating_sub(begin));
            let left = feed.left().unwrap_or(u64::MAX).min(bound);
            feed.pop((to - begin).min(left), &mut self.other)?;
            let gains = &mut self.gains[..self.other.frames()];
            track.gains(self.curve, left, gains);
            track.given += gains.len() as u64;
            for (samples, other) in block.channels_mut().zip(self.other.channels()) {
                for ((y, x), gain) in samples[(begin - from) as usize..].iter_mut().zip(other).zip(gains.iter()) {
                    *y += x * gain;
                }
            }
        }
        self.given = to;
        Ok(())
    }

    /// Frames that recordings go on for after the sound, as many as one block takes.
    fn rest(&mut self, inputs: &[MixInput]) -> Result<u64> {
        let mut rest = 0;
        for (track, input) in self.tracks.iter_mut().zip(inputs).filter(|(track, _)| !track.bound) {
            let feed = match &mut track.feed {
                Some(feed) => feed,
                none => none.insert(open(input, self.spec)?),
            };
            feed.fill(self.room as u64)?;
            if feed.frames() > 0 {
                rest = rest.max(track.start.saturating_sub(self.given) + feed.frames());
            }
        }
        Ok(rest.min(self.room as u64))
    }
}

impl Mix {
    /// A mix by `params`.
    pub fn new(params: &MixParams) -> Self {
        Self { params: params.clone(), state: None, error: None }
    }

    fn take(&mut self, result: Result<()>, block: &mut Buffer) {
        if let Err(error) = result {
            self.error.get_or_insert(error);
            block.set_frames(0);
        }
    }
}

impl Filter for Mix {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        let tracks = self.params.inputs.iter().map(|input| Track::new(input, self.params.length, spec));
        let tracks = tracks.collect::<Result<Vec<_>>>()?;
        let hold = tracks.iter().filter(|track| track.bound).map(|track| track.fade_out).max().unwrap_or(0);
        self.state = Some(State {
            spec,
            room: max_frames,
            tracks,
            waiting: FrameFifo::new(spec.channels()),
            hold,
            given: 0,
            end: None,
            other: Buffer::new(spec, max_frames),
            gains: vec![0.0; max_frames],
            curve: self.params.curve,
        });
        self.error = None;
        Ok(Prepared { spec, max_frames, latency_frames: 0, tail_frames: 0 })
    }

    fn process(&mut self, block: &mut Buffer) {
        let Some(state) = &mut self.state else { return };
        let result = state.waiting.push(block).and_then(|()| {
            let count = state.waiting.frames().saturating_sub(state.hold);
            state.next(&self.params.inputs, count, block)
        });
        self.take(result, block);
    }

    fn finish(&mut self, block: &mut Buffer) {
        let Some(state) = &mut self.state else { return block.set_frames(0) };
        block.set_spec(state.spec);
        state.end.get_or_insert(state.given + state.waiting.frames());
        let inputs = &self.params.inputs;
        let count = match state.waiting.frames() {
            0 => state.rest(inputs),
            frames => Ok(frames.min(state.room as u64)),
        };
        let result = count.and_then(|count| state.next(inputs, count, block));
        self.take(result, block);
    }

    fn take_error(&mut self) -> Option<Error> {
        self.error.take()
    }

    fn reset(&mut self) {
        self.error = None;
        let Some(state) = &mut self.state else { return };
        state.waiting.clear();
        state.tracks.iter_mut().for_each(|track| (track.feed, track.given) = (None, 0));
        (state.given, state.end) = (0, None);
    }
}

#[cfg(test)]
mod tests {
    use super::super::FilterSpec;
    use super::super::file_testing::{counting, through_spec};
    use super::super::recording::tests::recording;
    use super::*;

    fn input(frames: usize) -> MixInput {
        MixInput { path: recording("x", 1_000, &[vec![1.0; frames]]), ..MixInput::default() }
    }

    fn mix(inputs: Vec<MixInput>, length: MixLength) -> FilterSpec {
        FilterSpec::Mix(MixParams { inputs, length, curve: CrossfadeCurve::EqualGain })
    }

    /// Compares with `want(n)` for several blocks.
    fn expect(spec: &FilterSpec, sound: &[f32], frames: usize, want: impl Fn(usize) -> f32) {
        for block in [1, 7, 100, 4_096] {
            let out = through_spec(spec, 1_000, &[sound.to_vec(), sound.to_vec()], block);
            for channel in &out {
                assert_eq!(channel.len(), frames, "{block}");
                for (n, y) in channel.iter().enumerate() {
                    let want = want(n);
                    assert!((y - want).abs() < 1e-6, "{block} {n}: {y} {want}"); // f32 rounding near 1
                }
            }
        }
    }

    fn fade(n: usize, from: usize, frames: usize) -> f32 {
        ((n as f32 - from as f32 + 0.5) / frames as f32).clamp(0.0, 1.0)
    }

    #[test]
    fn a_recording_is_placed_faded_and_ended() {
        let x = counting(2_000);
        let one = MixInput { start_s: 0.3, fade_in_s: 0.1, fade_out_s: 0.2, gain_db: -6.0206, ..input(900) };
        expect(&mix(vec![one], MixLength::Sound), &x, 2_000, |n| {
            let inside = if (300..1_200).contains(&n) { 0.5 } else { 0.0 };
            x[n] + inside * fade(n, 300, 100) * (1.0 - fade(n, 1_000, 200))
        });
    }

    #[test]
    fn with_the_sound_ends_what_is_longer_or_loops() {
        let x = vec![0.0; 2_000];
        let bed = MixInput { fade_out_s: 0.5, repeats: true, ..input(130) };
        let long = MixInput { start_s: 0.1, fade_out_s: 0.2, ..input(1_000_000) };
        expect(&mix(vec![bed.clone(), long], MixLength::Sound), &x, 2_000, |n| {
            let second = if n < 100 { 0.0 } else { 1.0 - fade(n, 1_800, 200) };
            1.0 - fade(n, 1_500, 500) + second
        });
        // A fade longer than the sound begins with it, and that of a recording that ends in it is in time.
        expect(&mix(vec![MixInput { fade_out_s: 8.0, ..bed.clone() }], MixLength::Sound), &x, 2_000, |n| {
            1.0 - (6_000.5 + n as f32) / 8_000.0
        });
        // Loops do not make it longer.
        expect(&mix(vec![bed], MixLength::Longest), &x, 2_000, |n| 1.0 - fade(n, 1_500, 500));
    }

    #[test]
    fn the_longest_may_say_the_length() {
        let x = vec![0.0; 500];
        let late = MixInput { start_s: 3.0, fade_out_s: 0.1, ..input(400) };
        let inputs = vec![input(1_200), late, MixInput { start_s: 9.0, from_s: 1.0, ..input(400) }];
        let want = |n: usize| match n {
            0..1_200 => 1.0,
            1_200..3_000 => 0.0,
            _ => 1.0 - fade(n, 3_300, 100),
        };
        expect(&mix(inputs.clone(), MixLength::Longest), &x, 3_400, want);
        expect(&mix(inputs.clone(), MixLength::Longest), &[], 3_400, want);
        expect(&mix(inputs, MixLength::Sound), &x, 500, want);
        expect(&mix(vec![], MixLength::Longest), &x, 500, |_| 0.0);
    }

    #[test]
    fn reset_begins_anew() {
        let mut filter = mix(vec![MixInput { fade_out_s: 0.05, ..input(150) }], MixLength::Longest).build().unwrap();
        let spec = Spec::new(1_000, crate::audio::ChannelLayout::MONO);
        filter.prepare(spec, 64).unwrap();
        let mut run = |finish: bool| {
            let mut out = Vec::new();
            let mut block = Buffer::new(spec, 64);
            block.set_frames(64);
            block.channel_mut(0).fill(0.0);
            filter.process(&mut block);
            while finish && !block.is_empty() {
                out.extend_from_slice(block.channel(0));
                filter.finish(&mut block);
            }
            filter.reset();
            out
        };
        let whole = run(true);
        run(false);
        assert_eq!(run(true), whole);
        assert_eq!(whole.len(), 150);
    }

    #[test]
    fn fields_are_checked_and_named() {
        let says = |fields: &str| {
            let text = format!(r#"{{"type":"mix","inputs":[{{"path":"a.wav"}},{{{fields}}}]}}"#);
            FilterSpec::parse(&text).unwrap_err().to_string()
        };
        assert_eq!(says(r#""path":"b.wav","gain_db":99"#), "mix.inputs[1].gain_db is 99 dB, allowed is -120 to 60 dB");
        assert_eq!(says(r#""path":"b.wav","start_s":-1"#), "mix.inputs[1].start_s is -1 s, allowed is 0 to 86400 s");
        assert!(says(r#""path":"""#).starts_with("mix.inputs[1].path: "));
        assert!(says(r#""gain_db":1"#).contains("path"));
        assert!(says(r#""path":"b.wav","gain":1"#).contains("gain"));
    }
}
