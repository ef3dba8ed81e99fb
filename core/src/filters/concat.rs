//! Other recordings before and after the sound.

use super::crossfade::CrossfadeCurve;
use super::fifo::FrameFifo;
use super::join::Join;
use super::params::filter_params;
use super::recording::{Feed, Recording, Recordings};
use super::{Filter, Prepared};
use crate::audio::{Buffer, Spec};
use crate::error::{Error, Result};

filter_params! {
    /// Puts other recordings before and after the sound, such as an intro and an outro, with cross-fades. For files.
    pub struct ConcatParams for "concat" in Time, realtime false {
        /// Recordings before the sound, in order: paths, or `data:` URLs with the bytes of an audio file in base64. Their
        /// rate and channels are converted. At most 64.
        before: Recordings = Recordings::default();
        /// Recordings after the sound, likewise.
        after: Recordings = Recordings::default();
        /// Overlap of neighbours; at most what the shorter of the two has.
        crossfade_s: f64 = 0.0, 0.0 to 60.0 "s";
        /// Course of the cross-fades.
        curve: CrossfadeCurve = CrossfadeCurve::EqualPower;
    }
}

/// See [`ConcatParams`]. The others are read while they are given out, never held whole; sound that arrives meanwhile waits,
/// beyond 2 MiB in a temporary file. No latency: it compensates itself.
#[derive(Debug)]
pub struct Concat {
    params: ConcatParams,
    state: Option<State>,
    error: Option<Error>,
}

/// What `prepare` makes.
#[derive(Debug)]
struct State {
    spec: Spec,
    /// Most frames of one block of output.
    room: usize,
    join: Join,
    /// Number of the recording that is read, the sound among them; and the recording, when it is another.
    piece: usize,
    feed: Option<Feed>,
    /// The sound, and whether it has ended.
    waiting: FrameFifo,
    ended: bool,
    work: Buffer,
}

/// Frames that are joined at once.
const CHUNK_FRAMES: usize = 4_096;

impl Concat {
    /// A concatenation by `params`.
    pub fn new(params: &ConcatParams) -> Self {
        Self { params: params.clone(), state: None, error: None }
    }

    /// The other recording that is number `piece` in the row; none for the sound, and after the last.
    fn other(params: &ConcatParams, piece: usize) -> Option<&Recording> {
        let before = &params.before.0;
        before.get(piece).or_else(|| params.after.0.get(piece.checked_sub(before.len() + 1)?))
    }

    fn next(params: &ConcatParams, state: &mut State, block: &mut Buffer) -> Result<()> {
        while state.join.ready_frames() < state.room as u64 && state.advance(params)? {}
        state.join.pop(state.room as u64, block)
    }

    fn emit(&mut self, block: &mut Buffer) {
        let Some(state) = &mut self.state else { return };
        if let Err(error) = Self::next(&self.params, state, block) {
            self.error.get_or_insert(error);
            block.set_frames(0);
        }
    }
}

impl State {
    /// Feeds the join with a piece; false when there is nothing to feed it with, now or ever.
    fn advance(&mut self, params: &ConcatParams) -> Result<bool> {
        let count = params.before.0.len() + 1 + params.after.0.len();
        let ended = if let Some(recording) = Concat::other(params, self.piece) {
            let feed = match &mut self.feed {
                Some(feed) => feed,
                none => none.insert(Feed::open(recording, self.spec)?),
            };
            feed.fill(CHUNK_FRAMES as u64)?;
            feed.pop(CHUNK_FRAMES as u64, &mut self.work)?;
            feed.left() == Some(0)
        } else if self.piece < count {
            self.waiting.pop(CHUNK_FRAMES as u64, Some(&mut self.work))?;
            if self.work.is_empty() && !self.ended {
                return Ok(false);
            }
            self.ended && self.waiting.frames() == 0
        } else {
            return Ok(false);
        };
        self.join.push(&self.work)?;
        if ended {
            self.feed = None;
            self.piece += 1;
            if self.piece == count { self.join.finish() } else { self.join.next_piece() }?;
        }
        Ok(true)
    }
}

impl Filter for Concat {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        let others = self.params.before.0.iter().chain(&self.params.after.0);
        for recording in others {
            // Whether it can be read at all is better known now.
            Feed::open(recording, spec)?;
        }
        let overlap = (self.params.crossfade_s * f64::from(spec.rate_hz)).round() as u64;
        // Twice the input, so that what comes before is caught up with.
        let room = 2 * max_frames;
        self.state = Some(State {
            spec,
            room,
            join: Join::new(spec, overlap, self.params.curve),
            piece: 0,
            feed: None,
            waiting: FrameFifo::new(spec.channels()),
            ended: false,
            work: Buffer::new(spec, CHUNK_FRAMES),
        });
        self.error = None;
        Ok(Prepared { spec, max_frames: room, latency_frames: 0, tail_frames: 0 })
    }

    fn process(&mut self, block: &mut Buffer) {
        let Some(state) = &mut self.state else { return };
        if let Err(error) = state.waiting.push(block) {
            self.error.get_or_insert(error);
        }
        self.emit(block);
    }

    fn finish(&mut self, block: &mut Buffer) {
        let Some(state) = &mut self.state else { return block.set_frames(0) };
        state.ended = true;
        block.set_spec(state.spec);
        self.emit(block);
    }

    fn take_error(&mut self) -> Option<Error> {
        self.error.take()
    }

    fn reset(&mut self) {
        self.error = None;
        let Some(state) = &mut self.state else { return };
        state.join.clear();
        state.waiting.clear();
        (state.piece, state.feed, state.ended) = (0, None, false);
    }
}

#[cfg(test)]
mod tests {
    use super::super::FilterSpec;
    use super::super::file_testing::{counting, through_spec};
    use super::super::recording::tests::recording;
    use super::*;

    fn concat(before: &[Vec<f32>], after: &[Vec<f32>], crossfade_s: f64) -> FilterSpec {
        let list = |name: &str, planes: &[Vec<f32>]| {
            Recordings(planes.iter().map(|x| recording(name, 1_000, std::slice::from_ref(x))).collect())
        };
        FilterSpec::Concat(ConcatParams {
            before: list("before", before),
            after: list("after", after),
            crossfade_s,
            curve: CrossfadeCurve::EqualGain,
        })
    }

    #[test]
    fn the_pieces_stand_in_a_row_for_any_block() {
        let x = counting(5_000);
        let (a, b) = (vec![0.25; 9_000], vec![0.5; 300]);
        let want = [&a[..], &b, &x, &b, &a].concat();
        for block in [1, 7, 64, 4_096] {
            let spec = concat(&[a.clone(), vec![], b.clone()], &[b.clone(), a.clone()], 0.0);
            for channel in through_spec(&spec, 1_000, &[x.clone(), x.clone()], block) {
                assert!(channel == want, "{block}");
            }
        }
        let alone = concat(std::slice::from_ref(&a), &[], 0.5);
        assert!(through_spec(&alone, 1_000, &[vec![]], 64)[0] == a);
        assert!(through_spec(&concat(&[], &[], 0.5), 1_000, std::slice::from_ref(&x), 64)[0] == x);
    }

    #[test]
    fn neighbours_are_cross_faded_for_any_block() {
        let spec = concat(&[vec![1.0; 6_000]], &[vec![1.0; 800]], 0.5);
        for block in [1, 100, 4_096] {
            let y = through_spec(&spec, 1_000, &[vec![0.0; 7_000]], block).remove(0);
            assert_eq!(y.len(), 6_000 + 7_000 + 800 - 2 * 500);
            for (n, y) in y.iter().enumerate() {
                let t = |from: usize| ((n - from) as f32 + 0.5) / 500.0;
                let want = match n {
                    0..5_500 => 1.0,
                    5_500..6_000 => 1.0 - t(5_500),
                    6_000..12_000 => 0.0,
                    12_000..12_500 => t(12_000),
                    _ => 1.0,
                };
                assert!((y - want).abs() < 1e-6, "{block} {n}: {y} {want}"); // f32 rounding
            }
        }
    }

    #[test]
    fn reset_begins_anew() {
        let mut filter = concat(&[vec![0.5; 300]], &[vec![0.25; 100]], 0.1).build().unwrap();
        let spec = Spec::new(1_000, crate::audio::ChannelLayout::MONO);
        let prepared = filter.prepare(spec, 64).unwrap();
        let mut run = |blocks: usize| {
            let mut out = Vec::new();
            let mut block = Buffer::new(spec, prepared.max_frames);
            for _ in 0..blocks {
                block.set_frames(64);
                block.channel_mut(0).fill(1.0);
                filter.process(&mut block);
                out.extend_from_slice(block.channel(0));
            }
            while {
                filter.finish(&mut block);
                !block.is_empty()
            } {
                out.extend_from_slice(block.channel(0));
            }
            filter.reset();
            out
        };
        let whole = run(10);
        run(2);
        assert_eq!(run(10), whole);
        assert_eq!(whole.len(), 300 + 640 + 100 - 200);
    }

    #[test]
    fn places_are_checked() {
        let error = FilterSpec::parse(r#"{"type":"concat","before":["a.wav",""]}"#).unwrap_err();
        assert!(error.to_string().starts_with("concat.before[1]: "), "{error}");
        let unread = FilterSpec::parse(r#"{"type":"concat","after":["a.wav"]}"#).unwrap();
        let spec = Spec::new(8_000, crate::audio::ChannelLayout::MONO);
        assert!(matches!(unread.build().unwrap().prepare(spec, 64), Err(Error::Conflict { .. })));
        assert_eq!(serde_json::to_value(&unread).unwrap()["after"], serde_json::json!(["a.wav"]));
    }
}
