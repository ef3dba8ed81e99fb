//! Sample-rate conversion of files and streams: a polyphase windowed-sinc filter.
//!
//! Output frame `n` is the input, low-passed at the lower of the two Nyquist frequencies, at the time `n / out_rate`:
//! no delay, and `round(frames * out / in)` frames in all. The filter is a sinc under a Kaiser window (J. F. Kaiser,
//! *Nonrecursive digital filter design using the I0-sinh window function*, 1974), linear in phase, symmetric.
//!
//! Direct convolution rather than FFT blocks, because each output is then one sum of products in a fixed order: any
//! block size gives the same bits, on any CPU, at any ratio. The work is done in blocks of 16 periods of the ratio (at
//! 44.1 to 48 kHz: 2352 input frames), so output comes in bursts. Where the rates share no large factor, the rows of
//! coefficients are interpolated from a table by cubics (error under -150 dB) instead of stored.
//!
//! A filter is as long as its transition is steep against the rate it runs at. So where the rate falls to much less than
//! half, it is halved first, as often as that pays, by short filters that only keep the final band clear (R. E. Crochiere,
//! L. R. Rabiner, *Optimum FIR digital filter implementations for decimation*, 1975); 192 to 44.1 kHz takes 0.6 of the work
//! then.

pub use super::resampler_design::Quality;
use super::resampler_design::{LowPass, Table, design};
use crate::audio::{Buffer, ChannelLayout, Spec};
use crate::dsp::kernels::{self, LANES};
use crate::error::{Error, Result};

/// Largest ratio between the two rates.
const MAX_RATIO: f64 = 512.0;

/// Converts a stream of blocks from one rate to another. See the module's documentation.
#[derive(Debug, Clone)]
pub struct Resampler {
    in_rate_hz: u32,
    out_rate_hz: u32,
    /// Halves the rate beforehand.
    first: Option<Box<First>>,
    taps: usize,
    table: Table,
    /// Input (of `first` its output) not yet used up, per channel; begins with silence.
    history: Vec<Vec<f32>>,
    /// For the kernels: two transposed channels, or one interpolated row.
    scratch: Vec<f32>,
    layout: ChannelLayout,
    frames_in: u64,
    frames_out: u64,
    finished: bool,
}

/// A stage before the resampler proper, and what it has given last.
#[derive(Debug, Clone)]
struct First {
    resampler: Resampler,
    middle: Buffer,
}

/// Appends a block to the channels. Channels that are missing count as silence.
fn append(history: &mut [Vec<f32>], block: &Buffer) {
    let mut channels = block.channels();
    for history in history {
        match channels.next() {
            Some(samples) => history.extend_from_slice(samples),
            None => history.resize(history.len() + block.frames(), 0.0),
        }
    }
}

impl Resampler {
    /// Prepares for `channels` channels. Allocates: about 0.1 to 4 MB of coefficients.
    ///
    /// # Errors
    /// [`Error::OutOfRange`]: a rate of 0, a ratio beyond 512, no channel.
    pub fn new(in_rate_hz: u32, out_rate_hz: u32, channels: usize, quality: Quality) -> Result<Self> {
        Error::check_range("in_rate_hz", f64::from(in_rate_hz), 1.0, f64::from(u32::MAX), "Hz")?;
        Error::check_range("out_rate_hz", f64::from(out_rate_hz), 1.0, f64::from(u32::MAX), "Hz")?;
        Error::check_range("channels", channels as f64, 1.0, 65_535.0, "")?;
        let ratio = f64::from(out_rate_hz) / f64::from(in_rate_hz);
        Error::check_range("resampling ratio", ratio, 1.0 / MAX_RATIO, MAX_RATIO, "")?;
        Ok(Self::staged(in_rate_hz, out_rate_hz, channels, LowPass::of(quality, ratio)))
    }

    /// All stages; `low_pass` belongs to the input's rate.
    fn staged(in_rate_hz: u32, out_rate_hz: u32, channels: usize, low_pass: LowPass) -> Self {
        let halving = low_pass.halving();
        if !in_rate_hz.is_multiple_of(2) || low_pass.stop >= 0.5 {
            return Self::one_stage(in_rate_hz, out_rate_hz, channels, &low_pass);
        }
        // Multiplications for each frame of output, but for a common factor.
        let rest = low_pass.after_halving();
        let direct = low_pass.taps() as f64;
        let staged = halving.taps() as f64 / (2.0 * low_pass.stop) + rest.taps() as f64;
        // Two stages move more data.
        if staged > 0.8 * direct {
            return Self::one_stage(in_rate_hz, out_rate_hz, channels, &low_pass);
        }
        let middle_hz = in_rate_hz / 2;
        let first = Self::one_stage(in_rate_hz, middle_hz, channels, &halving);
        let middle = Buffer::new(Spec::new(middle_hz, ChannelLayout::from_count(channels)), 0);
        let mut resampler = Self::staged(middle_hz, out_rate_hz, channels, rest);
        // Deeper stages come after this one.
        resampler.put_in_front(Box::new(First { resampler: first, middle }));
        resampler.in_rate_hz = in_rate_hz;
        resampler
    }

    fn put_in_front(&mut self, first: Box<First>) {
        match &mut self.first {
            Some(own) => {
                own.resampler.in_rate_hz = first.resampler.in_rate_hz;
                own.resampler.put_in_front(first);
            }
            None => self.first = Some(first),
        }
    }

    fn one_stage(in_rate_hz: u32, out_rate_hz: u32, channels: usize, low_pass: &LowPass) -> Self {
        let divisor = gcd(in_rate_hz, out_rate_hz);
        let (phases, step) = ((out_rate_hz / divisor) as usize, (in_rate_hz / divisor) as usize);
        let (taps, table) = if phases == step { (0, Table::Copy) } else { design(phases, step, low_pass) };
        let scratch = match &table {
            Table::Copy => 0,
            Table::Period(block) => block.scratch() * channels.min(2),
            Table::Cubic { .. } => taps,
        };
        let mut resampler = Self {
            in_rate_hz,
            out_rate_hz,
            first: None,
            taps,
            table,
            history: vec![Vec::new(); channels],
            scratch: vec![0.0; scratch],
            layout: ChannelLayout::from_count(channels),
            frames_in: 0,
            frames_out: 0,
            finished: false,
        };
        resampler.reset();
        resampler
    }

    /// Frames that `frames` input frames give in all.
    pub fn output_frames(&self, frames: u64) -> u64 {
        let doubled = u128::from(frames) * u128::from(self.out_rate_hz) * 2 + u128::from(self.in_rate_hz);
        u64::try_from(doubled / (2 * u128::from(self.in_rate_hz))).unwrap_or(u64::MAX)
    }

    /// Most frames that one `process` of at most `frames` frames, or `finish`, can give.
    pub fn max_output_frames(&self, frames: usize) -> usize {
        // What may be held back, and the last block, which is computed whole and then cut.
        let (held, rounding) = match &self.table {
            Table::Copy => (0, 0),
            Table::Period(block) => (block.window(), LANES * block.outputs),
            Table::Cubic { .. } => (self.taps, 0),
        };
        let (frames, rate_hz) = match &self.first {
            Some(first) => (first.resampler.max_output_frames(frames), first.resampler.out_rate_hz),
            None => (frames, self.in_rate_hz),
        };
        let most = (frames + held) as u128 * u128::from(self.out_rate_hz) / u128::from(rate_hz) + 2;
        usize::try_from(most).unwrap_or(usize::MAX).saturating_add(rounding)
    }

    /// Converts a block; replaces the content of `output` by what is ready, at first nothing. Channels that are missing
    /// count as silence. Does not allocate after the first calls of each size, when `output` was reserved for
    /// [`Resampler::max_output_frames`].
    pub fn process(&mut self, input: &Buffer, output: &mut Buffer) {
        if input.channel_count() == self.history.len() {
            self.layout = input.spec().layout;
        }
        self.frames_in += input.frames() as u64;
        match &mut self.first {
            Some(first) => {
                first.resampler.process(input, &mut first.middle);
                append(&mut self.history, &first.middle);
            }
            None => append(&mut self.history, input),
        }
        self.produce(u64::MAX, output);
    }

    /// Gives the last frames, then none. After it only `reset` makes sense.
    pub fn finish(&mut self, output: &mut Buffer) {
        let missing = self.output_frames(self.frames_in) - self.frames_out;
        self.flush(missing, output);
    }

    /// Gives `missing` more frames, at first, as if silence followed the input.
    fn flush(&mut self, missing: u64, output: &mut Buffer) {
        if !self.finished {
            self.finished = true;
            let held = self.history.first().map_or(0, Vec::len);
            let frames = usize::try_from(missing).unwrap_or(usize::MAX);
            let needed = match &self.table {
                _ if frames == 0 => held,
                Table::Copy => frames,
                Table::Period(block) => {
                    let blocks = frames.div_ceil(LANES * block.outputs);
                    (blocks - 1) * LANES * block.inputs + block.window()
                }
                Table::Cubic { position, .. } => position.after(frames - 1) + self.taps,
            };
            if let Some(first) = &mut self.first {
                first.resampler.flush(needed.saturating_sub(held) as u64, &mut first.middle);
                append(&mut self.history, &first.middle);
            }
            for history in &mut self.history {
                history.resize(needed.max(history.len()), 0.0);
            }
        }
        self.produce(missing, output);
    }

    /// Forgets the signal. Real-time safe.
    pub fn reset(&mut self) {
        // The filter is centred on its output: the first one sees silence before it.
        let silence = (self.taps / 2).saturating_sub(1);
        for history in &mut self.history {
            history.clear();
            history.resize(silence, 0.0);
        }
        if let Some(first) = &mut self.first {
            first.resampler.reset();
        }
        if let Table::Cubic { position, .. } = &mut self.table {
            position.start = 0;
            position.phase = 0;
        }
        self.frames_in = 0;
        self.frames_out = 0;
        self.finished = false;
    }

    /// Converts what can be converted, at most `limit` frames.
    fn produce(&mut self, limit: u64, output: &mut Buffer) {
        let held = self.history.first().map_or(0, Vec::len);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let spec = Spec::new(self.out_rate_hz, self.layout);
        let (count, used) = match &mut self.table {
            Table::Copy => {
                let count = held.min(limit);
                prepare(output, spec, count);
                for (to, from) in output.channels_mut().zip(&self.history) {
                    to.copy_from_slice(&from[..count]);
                }
                (count, count)
            }
            Table::Period(block) => {
                let (advance, gives) = (LANES * block.inputs, LANES * block.outputs);
                let ready = (held + advance).saturating_sub(block.window()) / advance;
                let blocks = ready.min(limit.div_ceil(gives));
                prepare(output, spec, blocks * gives);
                let mut outputs = output.channels_mut();
                for pair in self.history.chunks(2) {
                    let Some(out_left) = outputs.next() else { break };
                    if let ([left, right], Some(out_right)) =
                        (pair, if pair.len() == 2 { outputs.next() } else { None })
                    {
                        for n in 0..blocks {
                            let input = [&left[n * advance..], &right[n * advance..]];
                            let (l, r) = (&mut out_left[n * gives..], &mut out_right[n * gives..]);
                            block.run2(input, [l, r], &mut self.scratch);
                        }
                    } else {
                        for n in 0..blocks {
                            block.run(&pair[0][n * advance..], &mut out_left[n * gives..], &mut self.scratch);
                        }
                    }
                }
                drop(outputs);
                let count = (blocks * gives).min(limit);
                output.set_frames(count);
                (count, blocks * advance)
            }
            Table::Cubic { intervals, rows, position } => {
                let mut ahead = *position;
                let mut count = 0;
                while count < limit && ahead.start + self.taps <= held {
                    ahead.advance();
                    count += 1;
                }
                prepare(output, spec, count);
                for n in 0..count {
                    let at = position.phase as f64 / position.phases as f64 * *intervals as f64;
                    let interval = (at as usize).min(*intervals - 1);
                    let cubic = &rows[interval * 4 * self.taps..][..4 * self.taps];
                    kernels::interpolate_rows(cubic, (at - interval as f64) as f32, &mut self.scratch);
                    for (to, from) in output.channels_mut().zip(&self.history) {
                        to[n] = kernels::dot(&self.scratch, &from[position.start..][..self.taps]);
                    }
                    position.advance();
                }
                // When decimating, the next window may begin beyond what has arrived.
                let used = position.start.min(held);
                position.start -= used;
                (count, used)
            }
        };
        for history in &mut self.history {
            history.drain(..used.min(held));
        }
        self.frames_out += count as u64;
    }
}

/// Empties `output` and gives it `count` frames of `spec`. Allocates only when it is too small.
fn prepare(output: &mut Buffer, spec: Spec, count: usize) {
    output.reserve(spec, count);
    output.set_frames(count);
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::PI;

    use super::*;

    fn sine(rate_hz: u32, freq_hz: f64, frames: usize) -> Vec<f32> {
        (0..frames).map(|n| (0.5 * (2.0 * PI * freq_hz * n as f64 / f64::from(rate_hz)).sin()) as f32).collect()
    }

    fn convert(resampler: &mut Resampler, channels: &[Vec<f32>], block: usize) -> Vec<Vec<f32>> {
        let spec = Spec::new(resampler.in_rate_hz, ChannelLayout::from_count(channels.len()));
        let whole = Buffer::from_channels(spec, channels);
        let (mut input, mut output) = (Buffer::new(spec, block), Buffer::new(spec, 0));
        let mut out = vec![Vec::new(); channels.len()];
        let mut start = 0;
        while start < whole.frames() {
            let count = block.min(whole.frames() - start);
            input.set_frames(0);
            input.append(&whole, start, count);
            let most = resampler.max_output_frames(count);
            resampler.process(&input, &mut output);
            assert!(output.frames() <= most);
            assert_eq!(output.spec().rate_hz, resampler.out_rate_hz);
            out.iter_mut().zip(output.channels()).for_each(|(o, c)| o.extend_from_slice(c));
            start += count;
        }
        let most = resampler.max_output_frames(0);
        resampler.finish(&mut output);
        assert!(output.frames() <= most);
        out.iter_mut().zip(output.channels()).for_each(|(o, c)| o.extend_from_slice(c));
        resampler.finish(&mut output);
        assert!(output.is_empty());
        out
    }

    #[test]
    fn a_sine_comes_out_in_place_at_any_ratio() {
        // The error of a sine against its own samples at the new rate: delay, gain and images all show. The limit is
        // 1.5 steps of 2^-24 times the amplitude, peak, for sums in f32, as measured; -130 dB is 1.6e-7.
        for (from, to) in [
            (44_100, 48_000),
            (48_000, 44_100),
            (11_025, 48_000),
            (48_000, 8_000),
            (8_000, 192_000),
            (44_100, 48_001),
            (48_001, 44_100),
            (96_000, 44_101),
            (192_000, 44_100),
            (192_000, 44_101),
            (48_000, 16_000),
            (48_000, 48_000),
        ] {
            let nyquist_hz = f64::from(from.min(to)) / 2.0;
            for fraction in [0.01, 0.5, 0.9] {
                let freq_hz = (fraction * nyquist_hz).round() + 0.5;
                let frames = from as usize / 4;
                let mut resampler = Resampler::new(from, to, 1, Quality::Good).unwrap();
                let got = convert(&mut resampler, &[sine(from, freq_hz, frames)], 1000).remove(0);
                assert_eq!(got.len() as u64, resampler.output_frames(frames as u64));
                let want = sine(to, freq_hz, got.len());
                let edge = to as usize / 20; // the sine begins and ends abruptly
                let (mut error, mut power) = (0.0, 0.0);
                for (g, w) in got.iter().zip(&want).take(got.len() - edge).skip(edge) {
                    error += f64::from(g - w).powi(2);
                    power += f64::from(*w).powi(2);
                }
                let error_db = 10.0 * (error / power).log10();
                assert!(error_db < -130.0, "{from}->{to} at {freq_hz} Hz: {error_db:.1} dB");
            }
        }
    }

    #[test]
    fn nothing_is_left_of_what_the_new_rate_cannot_hold() {
        for (from, to) in [
            (48_000, 44_100),
            (48_000, 16_000),
            (192_000, 44_100),
            (48_000, 44_101),
            (192_000, 44_101),
            (48_000, 8_000),
        ] {
            for above in [1.001, 1.1, 1.07] {
                let freq_hz = f64::from(to) / 2.0 * above;
                let mut resampler = Resampler::new(from, to, 1, Quality::Good).unwrap();
                let got = convert(&mut resampler, &[sine(from, freq_hz, from as usize / 4)], 4096).remove(0);
                let edge = to as usize / 20;
                let middle = &got[edge..got.len() - edge];
                let rms = (kernels::sum_of_squares(middle) / middle.len() as f64).sqrt();
                let alias_db = 20.0 * (rms / (0.5 / 2f64.sqrt())).log10();
                assert!(alias_db < -130.0, "{from}->{to} at {freq_hz} Hz: {alias_db:.1} dB");
            }
        }
    }

    #[test]
    fn any_block_size_and_channel_count_gives_the_same_bits() {
        let left: Vec<f32> = sine(44_100, 997.0, 3000);
        let right: Vec<f32> = sine(44_100, 5003.0, 3000);
        for to in [48_000, 16_000, 48_001, 44_100, 5_000, 5_001] {
            let mut resampler = Resampler::new(44_100, to, 3, Quality::Fast).unwrap();
            let channels = [left.clone(), right.clone(), left.clone()];
            let whole = convert(&mut resampler, &channels, 3000);
            assert_eq!(whole[0], whole[2], "pairs and singles agree");
            for block in [1, 17, 1024] {
                resampler.reset();
                assert_eq!(convert(&mut resampler, &channels, block), whole, "{to} in blocks of {block}");
            }
            let mut single = Resampler::new(44_100, to, 1, Quality::Fast).unwrap();
            assert_eq!(convert(&mut single, std::slice::from_ref(&right), 3000)[0], whole[1]);
        }
    }

    #[test]
    fn steep_decimation_is_done_in_stages_where_that_pays() {
        for (from, to, wanted) in
            [(192_000, 44_100, 1), (192_000, 8_000, 4), (48_000, 16_000, 1), (96_000, 48_000, 0), (44_100, 48_000, 0)]
        {
            let whole = Resampler::new(from, to, 1, Quality::Good).unwrap();
            let (mut stages, mut at) = (0, &whole);
            while let Some(first) = &at.first {
                assert_eq!(first.resampler.in_rate_hz % first.resampler.out_rate_hz, 0);
                stages += 1;
                at = &first.resampler;
            }
            assert_eq!(stages, wanted, "{from} -> {to}");
            assert_eq!(at.in_rate_hz, from, "the front stage takes the input");
        }
    }

    #[test]
    fn lengths_are_exact_down_to_one_frame() {
        for (from, to) in
            [(44_100, 48_000), (48_000, 8_000), (8_000, 48_000), (44_100, 48_001), (96_000, 1_000), (192_000, 44_101)]
        {
            for frames in [0, 1, 2, 3, 5, 100, 101] {
                let mut resampler = Resampler::new(from, to, 1, Quality::Good).unwrap();
                let got = convert(&mut resampler, &[vec![0.25; frames]], 64).remove(0);
                let want = (frames as f64 * f64::from(to) / f64::from(from)).round() as usize;
                assert_eq!(got.len(), want, "{from}->{to}, {frames} frames");
            }
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        assert!(Resampler::new(0, 48_000, 1, Quality::Good).is_err());
        assert!(Resampler::new(48_000, 0, 1, Quality::Good).is_err());
        assert!(Resampler::new(1, 48_000, 1, Quality::Good).is_err());
        assert!(Resampler::new(48_000, 44_100, 0, Quality::Good).is_err());
        // The extremes of what is allowed must neither overflow nor take all memory.
        for (from, to) in [(u32::MAX, u32::MAX - 1), (u32::MAX, u32::MAX / 511), (9_999_991, 20_011)] {
            let resampler = Resampler::new(from, to, 1, Quality::Best).unwrap();
            assert!(resampler.output_frames(u64::MAX) > 0);
        }
    }
}
