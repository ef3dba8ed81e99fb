//! Sections in series.

use super::{Coefficients, State};
use crate::audio::Buffer;
use crate::dsp::kernels;

/// Sections of one channel that are calculated together for each sample.
const GROUP: usize = 4;
/// Samples that one group hands to the next.
const STRIP: usize = 64;

/// Sections in series on any number of channels, f64 from end to end: one rounding to f32 at the output.
#[derive(Debug, Clone, PartialEq)]
pub struct Cascade {
    sections: Vec<Coefficients>,
    /// `channels x sections`.
    states: Vec<State>,
}

impl Cascade {
    /// `sections` in series for `channels` channels, at rest. Allocates.
    pub fn new(sections: Vec<Coefficients>, channels: usize) -> Self {
        let states = vec![State::default(); sections.len() * channels];
        Self { sections, states }
    }

    /// The sections in order.
    pub fn sections(&self) -> &[Coefficients] {
        &self.sections
    }

    /// The sections, writable: state stays, so small changes do not click.
    pub fn sections_mut(&mut self) -> &mut [Coefficients] {
        &mut self.sections
    }

    /// Filters one channel in place. Real-time safe. Channels beyond those prepared are left alone.
    pub fn process_channel(&mut self, channel: usize, samples: &mut [f32]) {
        let count = self.sections.len();
        let Some(states) = self.states.get_mut(channel * count..(channel + 1) * count) else { return };
        for samples in samples.chunks_mut(STRIP) {
            let mut strip = [0.0f64; STRIP];
            let strip = &mut strip[..samples.len()];
            for (to, x) in strip.iter_mut().zip(samples.iter()) {
                *to = f64::from(*x);
            }
            for (sections, states) in self.sections.chunks(GROUP).zip(states.chunks_mut(GROUP)) {
                // Lengths that the compiler knows keep the state in registers.
                match sections.len() {
                    1 => run::<1>(sections, states, strip),
                    2 => run::<2>(sections, states, strip),
                    3 => run::<3>(sections, states, strip),
                    _ => run::<GROUP>(sections, states, strip),
                }
            }
            for (x, y) in samples.iter_mut().zip(strip.iter()) {
                *x = *y as f32;
            }
        }
        states.iter_mut().for_each(State::settle);
    }

    /// Filters all channels of a block in place, two at a time. The same bits as [`Cascade::process_channel`].
    /// Real-time safe.
    pub fn process(&mut self, block: &mut Buffer) {
        let count = self.sections.len();
        let mut channels = block.channels_mut();
        let mut index = 0;
        while let Some(left) = channels.next() {
            let states = self.states.get_mut(index * count..(index + 2) * count);
            if let (Some(states), true) = (states, channels.len() > 0) {
                if let Some(right) = channels.next() {
                    let (first, second) = states.split_at_mut(count);
                    kernels::cascade2(&self.sections, [first, second], left, right);
                    states.iter_mut().for_each(State::settle);
                    index += 2;
                }
            } else {
                self.process_channel(index, left);
                index += 1;
            }
        }
    }

    /// Back to rest.
    pub fn reset(&mut self) {
        self.states.fill(State::default());
    }
}

/// Filters a strip by the first `N` sections.
fn run<const N: usize>(sections: &[Coefficients], states: &mut [State], strip: &mut [f64]) {
    let c: [Coefficients; N] = std::array::from_fn(|i| sections[i]);
    let mut s: [State; N] = std::array::from_fn(|i| states[i]);
    for x in strip {
        for i in 0..N {
            *x = s[i].step(&c[i], *x);
        }
    }
    states.copy_from_slice(&s);
}

#[cfg(test)]
mod tests {
    use super::super::Biquad;
    use super::*;
    use crate::audio::{ChannelLayout, Spec};

    #[test]
    fn a_cascade_equals_its_sections_and_any_block_size_gives_the_same() {
        let noise: Vec<f32> =
            (0..1000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / 8_388_608.0 - 1.0).collect();
        for order in [1, 2, 5, 8, 12] {
            let sections = Coefficients::butterworth_highpass(48_000.0, 300.0, order).unwrap();
            let mut whole = noise.clone();
            let mut cascade = Cascade::new(sections.clone(), 2);
            cascade.process_channel(1, &mut whole);
            for block in [1, 7, 333] {
                let mut parts = noise.clone();
                cascade.reset();
                parts.chunks_mut(block).for_each(|p| cascade.process_channel(1, p));
                assert_eq!(whole, parts);
            }
            let mut singles: Vec<Biquad> = sections.iter().map(|c| Biquad::new(*c)).collect();
            for (x, y) in noise.iter().zip(&whole) {
                let want = singles.iter_mut().fold(f64::from(*x), |x, s| s.step(x));
                assert_eq!(want as f32, *y);
            }
            let spec = Spec::new(48_000, ChannelLayout::from_count(3));
            let mut block = Buffer::from_channels(spec, &vec![noise.clone(); 3]);
            Cascade::new(sections, 3).process(&mut block);
            assert!(block.channels().all(|c| c == whole.as_slice()), "pairs and singles agree");
        }
    }

    #[test]
    fn silence_ends_in_zero_and_nan_passes_by() {
        let sections = Coefficients::butterworth_highpass(48_000.0, 80.0, 4).unwrap();
        let mut cascade = Cascade::new(sections, 1);
        cascade.process_channel(0, &mut [1.0; 480]);
        // The slowest pole decays by e^-190 a second: 1e-100 is reached in 1.3 s of these 10.
        for _ in 0..1000 {
            cascade.process_channel(0, &mut [0.0; 480]);
        }
        assert!(cascade.states.iter().all(|s| *s == State::default()));
        cascade.process_channel(0, &mut [f32::NAN; 3]);
        let mut after = [0.5; 10];
        cascade.process_channel(0, &mut after);
        assert!(after.iter().all(|x| x.is_finite()));
    }
}
