//! NaN and infinity become silence.

use crate::audio::Buffer;
use crate::dsp::kernels::all_finite;

/// Replaces samples that are not finite by 0 and tells how many they were. Real-time safe.
pub(super) fn make_finite(block: &mut Buffer) -> u64 {
    block.channels_mut().filter(|samples| !all_finite(samples)).map(silence_what_is_not_finite).sum()
}

/// As [`make_finite`], when there are some.
pub(super) fn silence_what_is_not_finite(samples: &mut [f32]) -> u64 {
    let mut replaced = 0;
    for x in samples.iter_mut().filter(|x| !x.is_finite()) {
        *x = 0.0;
        replaced += 1;
    }
    replaced
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{ChannelLayout, Spec};

    #[test]
    fn only_what_is_not_finite_is_replaced_wherever_it_is() {
        let spec = Spec::new(48_000, ChannelLayout::STEREO);
        for frames in 1..50 {
            for at in 0..frames {
                let mut x: Vec<f32> = (0..frames).map(|n| f32::MAX / (n + 1) as f32).collect();
                let plain = Buffer::from_channels(spec, &[x.clone(), x.clone()]);
                let mut block = plain.clone();
                assert_eq!(make_finite(&mut block), 0);
                assert_eq!(block.channel(1), plain.channel(1));
                x[at] = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY][at % 3];
                block = Buffer::from_channels(spec, &[plain.channel(0).to_vec(), x]);
                assert_eq!(make_finite(&mut block), 1);
                assert!((0..frames).all(|n| block.channel(1)[n] == if n == at { 0.0 } else { plain.channel(0)[n] }));
            }
        }
    }
}
