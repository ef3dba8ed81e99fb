//! Linkwitz-Riley crossover: bands that add up to a flat response.
//!
//! Each half of a split is a Butterworth filter applied twice: S. H. Linkwitz, "Active Crossover Networks for Noncoincident
//! Drivers", JAES 24(1), 1976. Low and high half are in phase and -6.02 dB at the split; their sum is an all-pass (of order
//! 2 the high half is inverted for that). With several splits the bands below a split run through its all-pass too, so
//! that all bands turn by the same phase and the sum stays flat: R. Bohn, "Linkwitz-Riley Crossovers: A Primer" (Rane Note
//! 160).

use std::ops::Range;

use super::params::{ParamKind, ParamValue, filter_choice, filter_params};
use super::sections::check_below_nyquist;
use super::{Filter, Prepared};
use crate::audio::{Buffer, ChannelLayout, Spec};
use crate::dsp::biquad::{Cascade, Coefficients};
use crate::dsp::tail::tail_frames;
use crate::error::{Error, Result};

filter_choice! {
    /// Steepness of a crossover.
    pub enum CrossoverOrder {
        Lr4 = "lr4": "24 dB per octave.",
        Lr2 = "lr2": "12 dB per octave; the least turn of phase.",
        Lr8 = "lr8": "48 dB per octave.",
    }
}

filter_choice! {
    /// What comes out.
    pub enum CrossoverOutput {
        Sum = "sum": "The bands, each with its gain, added up again: flat when all gains are equal.",
        Bands = "bands": "Each band as channels of its own: all channels of the lowest band first, then those of the next.",
    }
}

/// Frequencies of the splits in Hz, rising.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct SplitFrequencies(pub Vec<f64>);

/// Most splits.
const MAX_SPLITS: usize = 7;

impl ParamValue for SplitFrequencies {
    const KIND: ParamKind = ParamKind::List;

    fn check_parts(&self, name: &str) -> Result<()> {
        Error::check_range(name, self.0.len() as f64, 1.0, MAX_SPLITS as f64, "frequencies")?;
        let mut least_hz = 10.0;
        for (n, freq_hz) in self.0.iter().enumerate() {
            Error::check_range(&format!("{name}[{n}]"), *freq_hz, least_hz, 90_000.0, "Hz")?;
            least_hz = *freq_hz;
        }
        Ok(())
    }
}

/// Gains of the bands in dB.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct BandGains(pub Vec<f64>);

impl ParamValue for BandGains {
    const KIND: ParamKind = ParamKind::List;

    fn check_parts(&self, name: &str) -> Result<()> {
        Error::check_range(name, self.0.len() as f64, 0.0, (MAX_SPLITS + 1) as f64, "gains")?;
        for (n, gain_db) in self.0.iter().enumerate() {
            Error::check_range(&format!("{name}[{n}]"), *gain_db, -120.0, 24.0, "dB")?;
        }
        Ok(())
    }
}

filter_params! {
    /// Splits the sound into bands (Linkwitz-Riley), as channels of their own or added up again with a gain for each.
    pub struct CrossoverParams for "crossover" in Tone, realtime true {
        /// 1 to 7 frequencies in Hz at which to split, rising.
        frequencies_hz: SplitFrequencies = SplitFrequencies(vec![250.0, 2500.0]);
        /// Steepness.
        order: CrossoverOrder = CrossoverOrder::Lr4;
        /// What comes out.
        output: CrossoverOutput = CrossoverOutput::Sum;
        /// Gain of each band in dB, the lowest first, -120 to 24; those that are not given are 0.
        gains_db: BandGains = BandGains::default();
    }
}

impl CrossoverOrder {
    /// The Q of the section pairs of the Butterworth half.
    fn all_pass(self, rate_hz: f64, freq_hz: f64) -> Result<Vec<Coefficients>> {
        match self {
            Self::Lr2 => Ok(vec![Coefficients::allpass1(rate_hz, freq_hz)?]),
            Self::Lr4 => Ok(vec![Coefficients::allpass(rate_hz, freq_hz, std::f64::consts::FRAC_1_SQRT_2)?]),
            Self::Lr8 => [1.0, 3.0]
                .iter()
                .map(|k| 1.0 / (2.0 * (k * std::f64::consts::PI / 8.0).sin()))
                .map(|q| Coefficients::allpass(rate_hz, freq_hz, q))
                .collect(),
        }
    }

    fn half_order(self) -> usize {
        match self {
            Self::Lr2 => 1,
            Self::Lr4 => 2,
            Self::Lr8 => 4,
        }
    }

    fn low(self, rate_hz: f64, freq_hz: f64) -> Result<Vec<Coefficients>> {
        let half = Coefficients::butterworth_lowpass(rate_hz, freq_hz, self.half_order())?;
        Ok([half.clone(), half].concat())
    }

    fn high(self, rate_hz: f64, freq_hz: f64) -> Result<Vec<Coefficients>> {
        let half = Coefficients::butterworth_highpass(rate_hz, freq_hz, self.half_order())?;
        let mut sections = [half.clone(), half].concat();
        if self == Self::Lr2 {
            let c = &mut sections[0];
            (c.b0, c.b1, c.b2) = (-c.b0, -c.b1, -c.b2);
        }
        Ok(sections)
    }
}

/// Splits blocks into bands whose sum has a flat response (an all-pass).
///
/// ```
/// use pure_sound::audio::{Buffer, ChannelLayout, Spec};
/// use pure_sound::filters::crossover::{CrossoverOrder, Splitter};
/// let spec = Spec::new(48_000, ChannelLayout::STEREO);
/// let mut splitter = Splitter::new(spec, &[200.0, 3_000.0], CrossoverOrder::Lr4)?;
/// let block = Buffer::from_channels(spec, &[vec![0.5; 64], vec![0.25; 64]]);
/// let mut bands = vec![Buffer::new(spec, 64); splitter.bands()];
/// splitter.split(&block, &mut bands);
/// # Ok::<(), pure_sound::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Splitter {
    spec: Spec,
    /// For each split, the lowest first: what the band below it passes, and what the rest passes.
    splits: Vec<[Cascade; 2]>,
}

impl Splitter {
    /// A splitter for blocks of `spec` at `frequencies_hz`, which must rise. None gives one band. Allocates.
    ///
    /// # Errors
    /// [`Error::OutOfRange`]: a frequency that is not below the Nyquist frequency and above the one before.
    pub fn new(spec: Spec, frequencies_hz: &[f64], order: CrossoverOrder) -> Result<Self> {
        let rate_hz = f64::from(spec.rate_hz);
        let mut least_hz = 0.0;
        for freq_hz in frequencies_hz {
            check_below_nyquist("frequencies_hz", *freq_hz, rate_hz)?;
            Error::check_range("frequencies_hz", *freq_hz, least_hz, 0.49 * rate_hz, "Hz")?;
            least_hz = *freq_hz;
        }
        let mut splits = Vec::with_capacity(frequencies_hz.len());
        for (index, freq_hz) in frequencies_hz.iter().enumerate() {
            let mut below = order.low(rate_hz, *freq_hz)?;
            for above_hz in &frequencies_hz[index + 1..] {
                below.extend(order.all_pass(rate_hz, *above_hz)?);
            }
            splits.push([below, order.high(rate_hz, *freq_hz)?].map(|s| Cascade::new(s, spec.channels())));
        }
        Ok(Self { spec, splits })
    }

    /// Number of bands: one more than splits.
    pub fn bands(&self) -> usize {
        self.splits.len() + 1
    }

    /// All sections that a band passes. Allocates.
    pub fn sections(&self, band: usize) -> Vec<Coefficients> {
        let above = self.splits.iter().take(band).flat_map(|[_, rest]| rest.sections());
        above.chain(self.splits.get(band).into_iter().flat_map(|[below, _]| below.sections())).cloned().collect()
    }

    /// Frames until the slowest band has decayed below -100 dBFS. Not for the audio thread.
    pub fn tail_frames(&self) -> usize {
        (0..self.bands()).map(|band| tail_frames(&self.sections(band))).max().unwrap_or(0)
    }

    /// Writes the bands of `block` into `bands`, one buffer for each, with room for it. Real-time safe.
    pub fn split(&mut self, block: &Buffer, bands: &mut [Buffer]) {
        self.split_part(block, 0..block.frames(), bands);
    }

    /// As [`Splitter::split`], of the frames `part` of the block. Channels that the block lacks are silent. Real-time safe.
    pub fn split_part(&mut self, block: &Buffer, part: Range<usize>, bands: &mut [Buffer]) {
        let Some((rest, below)) = bands.split_last_mut() else { return };
        rest.set_spec(self.spec);
        rest.set_frames(part.len());
        for (index, to) in rest.channels_mut().enumerate() {
            if index < block.channel_count() {
                to.copy_from_slice(&block.channel(index)[part.clone()]);
            } else {
                to.fill(0.0);
            }
        }
        for (band, [low, high]) in below.iter_mut().zip(&mut self.splits) {
            band.copy_from(rest, 0, part.len());
            low.process(band);
            high.process(rest);
        }
    }

    /// Forgets the signal. Real-time safe.
    pub fn reset(&mut self) {
        self.splits.iter_mut().flatten().for_each(Cascade::reset);
    }
}

/// See [`CrossoverParams`]. No latency.
pub struct Crossover {
    params: CrossoverParams,
    splitter: Option<Splitter>,
    bands: Vec<Buffer>,
    gains: Vec<f32>,
    output: Spec,
}

impl Crossover {
    /// A crossover of `params`.
    pub fn new(params: &CrossoverParams) -> Self {
        let unset = Spec::new(48_000, ChannelLayout::MONO);
        Self { params: params.clone(), splitter: None, bands: Vec::new(), gains: Vec::new(), output: unset }
    }
}

impl Filter for Crossover {
    fn prepare(&mut self, spec: Spec, max_frames: usize) -> Result<Prepared> {
        let p = &self.params;
        let splitter = Splitter::new(spec, &p.frequencies_hz.0, p.order)?;
        let bands = splitter.bands();
        Error::check_range("crossover.gains_db", p.gains_db.0.len() as f64, 0.0, bands as f64, "gains")?;
        self.gains =
            (0..bands).map(|n| 10f64.powf(p.gains_db.0.get(n).copied().unwrap_or(0.0) / 20.0) as f32).collect();
        self.bands = vec![Buffer::new(spec, max_frames); bands];
        let tail_frames = splitter.tail_frames();
        self.splitter = Some(splitter);
        self.output = match p.output {
            CrossoverOutput::Sum => spec,
            CrossoverOutput::Bands => Spec::new(spec.rate_hz, ChannelLayout::discrete(bands * spec.channels())),
        };
        Ok(Prepared { spec: self.output, max_frames, latency_frames: 0, tail_frames })
    }

    fn process(&mut self, block: &mut Buffer) {
        let Some(splitter) = &mut self.splitter else { return };
        let (frames, inputs) = (block.frames(), block.channel_count());
        splitter.split(block, &mut self.bands);
        block.set_spec(self.output);
        block.set_frames(frames);
        let add = self.params.output == CrossoverOutput::Sum;
        for (index, to) in block.channels_mut().enumerate() {
            let (first, channel) = if add { (0, index) } else { (index / inputs, index % inputs) };
            let last = if add { self.bands.len() } else { first + 1 };
            for (n, (band, gain)) in self.bands[first..last].iter().zip(&self.gains[first..last]).enumerate() {
                for (y, x) in to.iter_mut().zip(band.channel(channel)) {
                    *y = if n == 0 { gain * x } else { *y + gain * x };
                }
            }
        }
    }

    fn reset(&mut self) {
        if let Some(splitter) = &mut self.splitter {
            splitter.reset();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(sections: &[Coefficients], freq_hz: f64) -> (f64, f64) {
        sections.iter().fold((1.0, 0.0), |(re, im), s| {
            let (a, b) = s.response(freq_hz, 48_000.0);
            (re * a - im * b, re * b + im * a)
        })
    }

    fn spec(channels: usize) -> Spec {
        Spec::new(48_000, ChannelLayout::from_count(channels))
    }

    const ORDERS: [CrossoverOrder; 3] = [CrossoverOrder::Lr2, CrossoverOrder::Lr4, CrossoverOrder::Lr8];

    #[test]
    fn the_bands_add_up_flat_for_every_order_and_number_of_splits() {
        let splits = [60.0, 150.0, 400.0, 1_000.0, 3_000.0, 8_000.0, 20_000.0];
        for order in ORDERS {
            for count in 1..=splits.len() {
                let splitter = Splitter::new(spec(1), &splits[..count], order).unwrap();
                assert_eq!(splitter.bands(), count + 1);
                for freq_hz in [1.0, 30.0, 60.0, 99.0, 200.0, 777.0, 1_000.0, 4_321.0, 9_000.0, 20_000.0, 23_900.0] {
                    let sum = (0..=count).map(|b| response(&splitter.sections(b), freq_hz));
                    let (re, im) = sum.fold((0.0, 0.0), |s, r| (s.0 + r.0, s.1 + r.1));
                    let gain_db = 10.0 * (re * re + im * im).log10();
                    // Rounding in f64 near z = 1: order 8 at 60 Hz loses a few digits.
                    assert!(gain_db.abs() < 1e-6, "{order:?} {count} {freq_hz}: {gain_db}");
                }
            }
        }
    }

    #[test]
    fn the_sound_of_the_bands_is_that_of_the_all_passes() {
        let splits = [80.0, 400.0, 2_500.0, 9_000.0];
        let mut splitter = Splitter::new(spec(2), &splits, CrossoverOrder::Lr4).unwrap();
        // The response to an impulse, until 120 dB under the lowest all-pass are gone; the second channel is not there.
        let frames = 48_000;
        let (mut impulse, mut sum) = (vec![0.0f32; frames], vec![0.0f64; frames]);
        impulse[0] = 1.0;
        let input = Buffer::from_channels(spec(1), &[impulse]);
        let mut bands = vec![Buffer::new(spec(2), 250); splitter.bands()];
        for at in (0..frames).step_by(250) {
            splitter.split_part(&input, at..at + 250, &mut bands);
            for band in &bands {
                sum[at..at + 250].iter_mut().zip(band.channel(0)).for_each(|(s, x)| *s += f64::from(*x));
                assert!(band.channel(1).iter().all(|x| *x == 0.0));
            }
        }
        for hz in [20.0, 80.0, 150.0, 400.0, 1_000.0, 2_500.0, 9_000.0, 18_000.0] {
            let (mut re, mut im) = (0.0, 0.0);
            for (n, y) in sum.iter().enumerate() {
                let turn = std::f64::consts::TAU * hz * n as f64 / 48_000.0;
                (re, im) = (re + y * turn.cos(), im - y * turn.sin());
            }
            let all_passes = splits.iter().flat_map(|f| CrossoverOrder::Lr4.all_pass(48_000.0, *f).unwrap());
            let want = response(&all_passes.collect::<Vec<_>>(), hz);
            // f32 rounding of each band: 6e-8 of the samples of the response, of which few are large.
            assert!((re - want.0).hypot(im - want.1) < 2e-6, "{hz}: {re} {im} {want:?}");
        }
    }

    #[test]
    fn each_half_is_6_db_down_at_the_split_and_as_steep_as_stated() {
        for (order, slope_db) in ORDERS.iter().zip([12.0412, 24.0824, 48.1648]) {
            let splitter = Splitter::new(spec(1), &[1_000.0], *order).unwrap();
            let gain_db = |band: usize, f: f64| {
                let (re, im) = response(&splitter.sections(band), f);
                10.0 * (re * re + im * im).log10()
            };
            for band in 0..2 {
                assert!((gain_db(band, 1_000.0) + 6.0206).abs() < 1e-4); // 20 log10(1/2)
            }
            // High half: w^n / (1 + w^n); an octave far below the split, where knee and warping are under 0.01 dB.
            let fall_db = gain_db(1, 60.0) - gain_db(1, 30.0);
            assert!((fall_db - slope_db).abs() < 0.05, "{order:?}: {fall_db}");
        }
    }

    #[test]
    fn bands_become_channels_and_their_sum_is_what_sum_gives() {
        let x: Vec<Vec<f32>> =
            (0..2u32).map(|c| (0..500u32).map(|n| ((n * (97 + c) + c) % 61) as f32 / 61.0 - 0.5).collect()).collect();
        let input = Buffer::from_channels(spec(2), &x);
        let run = |output| {
            let params = CrossoverParams { output, gains_db: BandGains(vec![0.0, -6.0]), ..Default::default() };
            let mut f = Crossover::new(&params);
            let prepared = f.prepare(spec(2), 500).unwrap();
            let mut block = Buffer::new(Spec::new(48_000, ChannelLayout::discrete(6)), 500);
            block.copy_from(&input, 0, 500);
            f.process(&mut block);
            assert_eq!(block.spec(), prepared.spec);
            block
        };
        let (sum, bands) = (run(CrossoverOutput::Sum), run(CrossoverOutput::Bands));
        assert_eq!(bands.channel_count(), 6);
        for c in 0..2 {
            for n in 0..500 {
                let want = bands.channel(c)[n] + bands.channel(2 + c)[n] + bands.channel(4 + c)[n];
                assert!((sum.channel(c)[n] - want).abs() < 1e-6); // three f32 roundings
            }
        }
    }

    #[test]
    fn frequencies_must_rise() {
        let parse = |text: &str| crate::filters::FilterSpec::parse(text);
        let e = parse(r#"{"type":"crossover","frequencies_hz":[900,300]}"#).unwrap_err();
        assert_eq!(e.to_string(), "crossover.frequencies_hz[1] is 300 Hz, allowed is 900 to 90000 Hz");
        assert!(parse(r#"{"type":"crossover","frequencies_hz":[]}"#).is_err());
        assert!(Splitter::new(spec(1), &[30_000.0], CrossoverOrder::Lr4).is_err());
    }
}
