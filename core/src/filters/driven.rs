//! [`Driven`]: a filter whose parameters move while it runs.
//!
//! Parameters are set at stream positions that depend on the curves and the moments of change alone: the points of a
//! curve, and every [`CONTROL_FRAMES`] frames while a value is on its way. Blocks are cut there, so that the block size
//! does not show in the output.

use super::curve::{CONTROL_FRAMES, Curve, Track};
use super::{Filter, Finding, Prepared};
use crate::audio::{Buffer, ChannelLayout, Spec};
use crate::error::{Error, Result};

/// A parameter on a curve.
struct Driver {
    index: usize,
    curve: Curve,
    track: Track,
    /// Line that was set last: from, to.
    set: (f64, f64),
}

/// A parameter on its way to a value that a host has set.
#[derive(Debug, Clone, Copy, Default)]
struct Glide {
    from: f64,
    to: f64,
    start: u64,
    frames: u64,
    moving: bool,
}

impl Glide {
    fn value(&self, position: u64) -> f64 {
        let done = position.saturating_sub(self.start);
        if done >= self.frames {
            return self.to;
        }
        self.from + (self.to - self.from) * (done as f64 / self.frames as f64)
    }

    /// The next position after `position` at which it must be set.
    fn next(&self, position: u64) -> u64 {
        match self.moving {
            true if position < self.start => self.start,
            true if position < self.start + self.frames => (position / CONTROL_FRAMES + 1) * CONTROL_FRAMES,
            _ => u64::MAX,
        }
    }
}

/// See the module's documentation.
pub(super) struct Driven {
    filter: Box<dyn Filter>,
    drivers: Vec<Driver>,
    /// One for each parameter that a host may set; none when no host may.
    glides: Vec<Glide>,
    /// Frames since the start.
    position: u64,
    /// Next position at which something is to be set.
    next: u64,
    /// There is room for pieces.
    prepared: bool,
    rate_hz: u32,
    piece: Buffer,
    key_piece: Buffer,
    gathered: Buffer,
}

impl Driven {
    /// A filter whose parameters stay.
    pub fn new(filter: Box<dyn Filter>) -> Self {
        let empty = || Buffer::new(Spec::new(48_000, ChannelLayout::MONO), 0);
        let (piece, key_piece, gathered) = (empty(), empty(), empty());
        let (drivers, glides) = (Vec::new(), Vec::new());
        Self {
            filter,
            drivers,
            glides,
            position: 0,
            next: u64::MAX,
            prepared: false,
            rate_hz: 0,
            piece,
            key_piece,
            gathered,
        }
    }

    /// Lets the parameter at `index` follow `curve`, which is checked. For before `prepare`.
    pub fn follow(&mut self, index: usize, curve: Curve) {
        let track = Track::new(&curve, 48_000.0);
        self.drivers.push(Driver { index, curve, track, set: (f64::NAN, f64::NAN) });
    }

    /// Lets a host set parameters, which have `values` now. For before `prepare`.
    pub fn listen(&mut self, values: impl Iterator<Item = f64>) {
        self.glides = values.map(|to| Glide { to, ..Glide::default() }).collect();
    }

    /// True when the parameter at `index` follows a curve.
    pub fn has_curve(&self, index: usize) -> bool {
        self.drivers.iter().any(|d| d.index == index)
    }

    /// Rate at the input; 0 before `prepare`.
    pub fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    /// The value that the parameter has, or is on its way to.
    pub fn target(&self, index: usize) -> Option<f64> {
        self.glides.get(index).map(|g| g.to)
    }

    /// Sends the parameter at `index` to `value` within `glide_frames`; at once before the first frame. False when it
    /// follows a curve, cannot change while the filter runs, or the value is NaN. Real-time safe.
    pub fn glide_to(&mut self, index: usize, value: f64, glide_frames: u64) -> bool {
        if value.is_nan() || self.has_curve(index) {
            return false;
        }
        let Some(glide) = self.glides.get_mut(index) else { return false };
        if self.position == 0 || glide_frames == 0 {
            let done = self.filter.set_parameter(index, value);
            if done {
                *glide = Glide { to: value, ..Glide::default() };
            }
            return done;
        }
        // From the next control position on, so that curves and glides are set together.
        let start = self.position.next_multiple_of(CONTROL_FRAMES);
        let frames = glide_frames.next_multiple_of(CONTROL_FRAMES);
        *glide = Glide { from: glide.value(start), to: value, start, frames, moving: true };
        self.next = self.next.min(start);
        true
    }

    /// The factor that each of the next `frames` frames is multiplied by, when that is all that happens to them; see [`Self::skip`].
    pub fn factor(&self, frames: usize) -> Option<f32> {
        if self.next < self.position + frames as u64 { None } else { self.filter.factor() }
    }

    /// Goes on by `frames` frames that were processed elsewhere.
    pub fn skip(&mut self, frames: usize) {
        self.position += frames as u64;
    }

    /// Sets what is due at the present position, and finds when the next is.
    fn control(&mut self) {
        let now = self.position;
        let mut next = u64::MAX;
        for driver in &mut self.drivers {
            next = next.min(driver.track.advance(now));
        }
        for glide in &self.glides {
            next = next.min(glide.next(now));
        }
        let frames = usize::try_from(next.saturating_sub(now)).unwrap_or(usize::MAX);
        let filter = &mut self.filter;
        let mut set = |index, line: (f64, f64)| {
            if line.0 == line.1 {
                filter.set_parameter(index, line.0);
            } else {
                filter.ramp_parameter(index, line.0, line.1, frames);
            }
        };
        for driver in &mut self.drivers {
            let from = driver.track.value(now);
            let line = if next == u64::MAX { (from, from) } else { (from, driver.track.value(next)) };
            if line.0 != line.1 || line != driver.set {
                set(driver.index, line);
                driver.set = line;
            }
        }
        for (index, glide) in self.glides.iter_mut().enumerate().filter(|(_, g)| g.moving && now >= g.start) {
            set(index, (glide.value(now), glide.value(next)));
            glide.moving = now < glide.start + glide.frames;
        }
        self.next = next;
    }

    fn apply(&mut self, block: &mut Buffer, key: Option<&Buffer>) {
        match key {
            Some(key) => self.filter.process_keyed(block, key),
            None => self.filter.process(block),
        }
    }

    fn run(&mut self, block: &mut Buffer, key: Option<&Buffer>) {
        let frames = block.frames();
        if self.next <= self.position && frames > 0 {
            self.control();
        }
        if self.next >= self.position + frames as u64 {
            self.position += frames as u64;
            return self.apply(block, key);
        }
        let mut piece = std::mem::replace(&mut self.piece, Buffer::new(block.spec(), 0));
        let mut key_piece = std::mem::replace(&mut self.key_piece, Buffer::new(block.spec(), 0));
        let mut at = 0;
        while at < frames {
            if self.next <= self.position {
                self.control();
            }
            let left = usize::try_from(self.next - self.position).unwrap_or(usize::MAX);
            let count = left.min(frames - at);
            piece.copy_from(block, at, count);
            match key {
                Some(key) => {
                    key_piece.copy_from(key, at, count);
                    self.apply(&mut piece, Some(&key_piece));
                }
                None => self.apply(&mut piece, None),
            }
            if at == 0 {
                self.gathered.set_spec(piece.spec());
            }
            debug_assert!(self.gathered.frames() + piece.frames() <= self.gathered.capacity_frames());
            self.gathered.append(&piece, 0, piece.frames());
            self.position += count as u64;
            at += count;
        }
        block.copy_from(&self.gathered, 0, self.gathered.frames());
        (self.piece, self.key_piece) = (piece, key_piece);
    }

    /// Brings all values to where they are at the start of a stream, or were set last.
    fn rewind(&mut self) {
        self.position = 0;
        for driver in &mut self.drivers {
            driver.track.rewind();
            driver.set = (f64::NAN, f64::NAN);
            self.filter.set_parameter(driver.index, driver.curve.first());
        }
        for (index, glide) in self.glides.iter_mut().enumerate().filter(|(_, g)| g.moving) {
            glide.moving = false;
            self.filter.set_parameter(index, glide.to);
        }
        self.next = if self.drivers.is_empty() || !self.prepared { u64::MAX } else { 0 };
    }
}

impl Filter for Driven {
    fn for_file(&mut self) {
        self.filter.for_file();
    }

    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        (self.prepared, self.rate_hz) = (true, spec.rate_hz);
        self.rewind();
        let mut prepared = self.filter.prepare(spec, max_frames)?;
        for driver in &mut self.drivers {
            driver.track = Track::new(&driver.curve, f64::from(spec.rate_hz));
            for (_, value) in &driver.curve.points {
                self.filter.check_parameter(driver.index, *value)?;
            }
        }
        if self.drivers.is_empty() && self.glides.is_empty() {
            return Ok(prepared);
        }
        // Filters that change the number of frames may leave more in many pieces than in one block.
        if prepared.max_frames != max_frames {
            prepared.max_frames *= 2;
        }
        let widest = ChannelLayout::discrete(spec.channels().max(prepared.spec.channels()));
        let room = Spec::new(spec.rate_hz, widest);
        self.piece = Buffer::new(room, max_frames.max(prepared.max_frames));
        self.gathered = Buffer::new(room, max_frames.max(prepared.max_frames));
        self.key_piece = Buffer::new(room, max_frames);
        Ok(prepared)
    }

    fn process(&mut self, block: &mut Buffer) {
        self.run(block, None);
    }

    fn process_keyed(&mut self, block: &mut Buffer, key: &Buffer) {
        self.run(block, Some(key));
    }

    fn finish(&mut self, block: &mut Buffer) {
        self.filter.finish(block);
    }

    fn take_error(&mut self) -> Option<Error> {
        self.filter.take_error()
    }

    fn take_findings(&mut self) -> Vec<Finding> {
        self.filter.take_findings()
    }

    fn set_parameter(&mut self, index: usize, value: f64) -> bool {
        !self.has_curve(index) && self.filter.set_parameter(index, value)
    }

    fn ramp_parameter(&mut self, index: usize, from: f64, to: f64, frames: usize) -> bool {
        !self.has_curve(index) && self.filter.ramp_parameter(index, from, to, frames)
    }

    fn check_parameter(&self, index: usize, value: f64) -> Result<()> {
        self.filter.check_parameter(index, value)
    }

    fn reset(&mut self) {
        self.rewind();
        self.filter.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Chain, FileChain, FilterSpec};
    use super::*;

    fn specs(texts: &[&str]) -> Vec<FilterSpec> {
        texts.iter().map(|t| t.parse().unwrap()).collect()
    }

    fn noise(frames: usize) -> Vec<f32> {
        (0..frames as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / 8_388_608.0 - 1.0).collect()
    }

    /// Output of a chain for noise in blocks of `block`; `at` is called before each frame that begins a block.
    fn run(chain: &mut Chain, frames: usize, block: usize, mut at: impl FnMut(&mut Chain, usize)) -> Vec<f32> {
        let spec = Spec::new(48_000, ChannelLayout::STEREO);
        chain.prepare(spec, block).unwrap();
        let input = Buffer::from_channels(spec, &[noise(frames), noise(frames)]);
        let (mut work, mut out, mut done) = (chain.new_block().unwrap(), Vec::new(), 0);
        while done < frames {
            at(chain, done);
            work.copy_from(&input, done, block.min(frames - done));
            chain.process(&mut work);
            out.extend_from_slice(work.channel(1));
            done += work.frames();
        }
        out
    }

    #[test]
    fn a_curve_of_gain_is_exact_at_each_frame() {
        let chain = &specs(&[r#"{"type":"gain","gain_db":{"points":[[0.01,-60],[0.1,0],[0.1,-6],[0.2,-6]]}}"#]);
        let got = run(&mut Chain::new(chain).unwrap(), 9_600, 480, |_, _| {});
        let x = noise(9_600);
        for (n, y) in got.iter().enumerate() {
            let want_db = match n {
                ..480 => -60.0,
                480..4_800 => -60.0 + 60.0 * (n - 480) as f64 / 4_320.0,
                4_800..5_040 => -6.0 * (n - 4_800) as f64 / 240.0,
                _ => -6.0,
            };
            let got_db = 20.0 * f64::from(y / x[n]).log10();
            // The factor goes straight over 32 frames, while the dB do: 0.444 dB apart at most, of which the bow is
            // 0.444^2 / 8 * ln(10) / 20 = 0.003 dB; over the jump 0.8 dB, 0.009 dB.
            assert!((got_db - want_db).abs() < 0.01, "{n}: {got_db} {want_db}");
        }
    }

    #[test]
    fn curves_and_live_values_do_not_show_the_block_size() {
        let specs = specs(&[
            r#"{"type":"highpass","cutoff_hz":[[0,50],[0.02,900],[0.021,300]],"order":4}"#,
            "low_shelf:gain_db=3",
            "peak_eq:gain_db=-4",
            r#"{"type":"gain","gain_db":{"points":[[0,0],[0.013,-20],[0.05,3]],"shape":"hold"}}"#,
            "limiter:ceiling_dbtp=-3",
        ]);
        // Changes at multiples of 210 frames, which all block sizes meet.
        let change = |chain: &mut Chain, at: usize| match at {
            0 => chain.set_parameter(1, "frequency_hz", 200.0).unwrap(),
            420 => chain.set_parameter(2, "gain_db", 9.0).unwrap(),
            840 => chain.set_parameter(1, "gain_db", -12.0).unwrap(),
            1_050 => chain.set_parameter(1, "gain_db", 12.0).unwrap(),
            _ => (),
        };
        let mut chain = Chain::new(&specs).unwrap();
        assert_eq!(chain.len(), 4, "the shelf and the bell are one");
        let want = run(&mut chain, 4_200, 210, change);
        for block in [1, 7, 30, 42, 105] {
            let got = run(&mut Chain::new(&specs).unwrap(), 4_200, block, change);
            assert!(want.iter().zip(&got).all(|(a, b)| a.to_bits() == b.to_bits()), "{block}");
        }
        // And after reset the curves begin again, the live values stay.
        chain.reset();
        let again = run(&mut chain, 4_200, 70, |_, _| {});
        let mut set = Chain::new(&specs).unwrap();
        for (index, name, value) in [(1, "frequency_hz", 200.0), (2, "gain_db", 9.0), (1, "gain_db", 12.0)] {
            set.set_parameter(index, name, value).unwrap();
            assert_eq!(set.parameter(index, name).unwrap(), value);
        }
        assert_eq!(again, run(&mut set, 4_200, 4_200, |_, _| {}));
        assert_ne!(again, want);
    }

    #[test]
    fn a_live_value_arrives_within_the_glide_and_without_a_step() {
        let mut chain = Chain::new(&specs(&["gain:gain_db=-20"])).unwrap();
        let x = noise(4_800);
        let got = run(&mut chain, 4_800, 480, |chain, at| {
            if at == 480 {
                chain.set_parameter(0, "gain_db", 0.0).unwrap();
            }
        });
        let factor: Vec<f64> = got.iter().zip(&x).map(|(y, x)| f64::from(y / x)).collect();
        assert!((factor[480] - 0.1).abs() < 1e-6 && (factor[480 + 960] - 1.0).abs() < 1e-6);
        // 20 dB in 960 frames: at the top 0.24 % per frame.
        assert!(factor.windows(2).all(|w| (0.0 - 1e-6..0.0026).contains(&(w[1] - w[0]))));
    }

    #[test]
    fn a_control_on_another_thread_does_the_same_and_refuses_by_name() {
        let specs = specs(&["highpass", r#"{"type":"gain","gain_db":[[0,1],[1,2]]}"#, "peak_eq"]);
        let mut direct = Chain::new(&specs).unwrap();
        let want = run(&mut direct, 960, 96, |c, at| {
            if at == 96 {
                c.set_parameter(2, "gain_db", 6.0).unwrap();
            }
        });
        let mut chain = Chain::new(&specs).unwrap();
        let mut control = chain.control();
        let got = run(&mut chain, 960, 96, |_, at| {
            if at == 96 {
                std::thread::scope(|s| s.spawn(|| control.set_parameter(2, "gain_db", 6.0).unwrap()).join().unwrap());
            }
        });
        assert_eq!(got, want);
        let mut says = |filter, name: &str, value| control.set_parameter(filter, name, value).unwrap_err().to_string();
        assert_eq!(says(7, "gain_db", 0.0), "filter is 7, allowed is 0 to 2");
        assert_eq!(says(2, "gian_db", 0.0), "unknown filter parameter 'peak_eq.gian_db', did you mean 'gain_db'?");
        assert_eq!(says(2, "gain_db", 99.0), "peak_eq.gain_db is 99 dB, allowed is -40 to 40 dB");
        assert_eq!(says(1, "gain_db", 0.0), "gain.gain_db follows a curve");
        assert_eq!(
            says(0, "order", 3.0),
            "highpass.order: '3' is not valid, allowed: no change while the filter runs; of highpass can change: cutoff_hz"
        );
        assert!(!control.set_parameter_at(1, 0, 0.0) && !control.set_parameter_at(0, 1, 0.0));
        let error = chain.set_parameter(0, "cutoff_hz", 30_000.0).unwrap_err();
        assert!(matches!(error, Error::OutOfRange { max, .. } if (max - 0.49 * 48_000.0).abs() < 1e-6), "{error}");
        drop(chain);
        assert!(matches!(control.set_parameter(2, "gain_db", 1.0), Err(Error::Unavailable { .. })));
    }

    #[test]
    fn curves_are_refused_where_they_cannot_be() {
        let says = |text: &str| FilterSpec::parse(text).unwrap_err().to_string();
        assert_eq!(
            says(r#"{"type":"compressor","lookahead_ms":[[0,1]]}"#).split("; of").next().unwrap(),
            "compressor.lookahead_ms: 'a curve' is not valid, allowed: one value for the whole stream"
        );
        assert_eq!(
            says(r#"{"type":"gain","gain_db":[[0,1],[1,61]]}"#),
            "gain.gain_db.points[1] is 61 dB, allowed is -120 to 60 dB"
        );
        assert!(says(r#"{"type":"gain","gain_db":[[1,1],[0.5,1]]}"#).contains("times that do not go back"));
        assert!(says(r#"{"type":"gain","gain_db":[]}"#).contains("gain.gain_db.points is 0 points"));
        assert!(says(r#"{"type":"gain","invert":[[0,1]]}"#).contains("true, false"));
        // What the rate does not allow is found when the rate is known.
        let spec: FilterSpec = r#"{"type":"lowpass","cutoff_hz":[[0,100],[1,30000]]}"#.parse().unwrap();
        Chain::new(&[spec]).unwrap().prepare(Spec::new(48_000, ChannelLayout::MONO), 64).unwrap(); // above: passes all
        let spec: FilterSpec = r#"{"type":"peak_eq","frequency_hz":[[0,100],[1,30000]]}"#.parse().unwrap();
        assert!(Chain::new(&[spec]).unwrap().prepare(Spec::new(48_000, ChannelLayout::MONO), 64).is_err());
    }

    #[test]
    fn curves_are_written_as_they_are_read_and_files_follow_them_too() {
        let text = r#"{"type":"gain","gain_db":{"points":[[0.0,-6.0],[0.5,0.0]],"shape":"linear","smooth_ms":5.0},"invert":false}"#;
        let spec = FilterSpec::parse(text).unwrap();
        assert_eq!(serde_json::to_string(&spec).unwrap(), text);
        let yaml = "{type: gain, gain_db: [[0, -6], [0.5, 0]]}";
        assert_eq!(serde_saphyr::from_str::<FilterSpec>(yaml).unwrap(), spec);
        let curve = Curve::new(vec![(0.0, -6.0), (0.5, 0.0)]);
        let plain = FilterSpec::parse("gain").unwrap();
        assert_eq!(plain.with_curve("gain_db", curve).unwrap(), spec);
        // Latency before it does not move the curve of a file.
        let stream = Spec::new(48_000, ChannelLayout::MONO);
        let mut outputs = [vec![], vec![]];
        for (out, texts) in outputs.iter_mut().zip([&["limiter", text][..], &[text, "limiter"]]) {
            let mut chain = FileChain::new(&specs(texts)).unwrap();
            chain.prepare(stream, 1_000).unwrap();
            let mut take = |b: &Buffer| {
                out.extend_from_slice(b.channel(0));
                Ok(())
            };
            for _ in 0..5 {
                let quiet = noise(1_000).iter().map(|x| x * 0.01).collect();
                chain.process(&mut Buffer::from_channels(stream, &[quiet]), &mut take).unwrap();
            }
            chain.finish(&mut take).unwrap();
        }
        assert_eq!(outputs[0], outputs[1]);
    }
}
