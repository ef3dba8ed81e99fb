//! ADPCM of four bits per sample: Microsoft, IMA (DVI) as in WAVE, IMA as in QuickTime, AIFF-C and CAF.
//!
//! Sources: Microsoft "New Multimedia Data Types and Data Techniques" (1994), sections on ADPCM and DVI ADPCM; IMA Digital
//! Audio Focus and Technical Working Groups, "Recommended Practices for Enhancing Digital Audio Compatibility" 3.00,
//! section 6; Apple Technical Note TN1081 for the block of 34 bytes.

use super::blocks::BlockCodec;
use crate::audio::IntBuffer;

/// IMA step sizes, Recommended Practices 3.00, table of section 6.
const IMA_STEPS: [i32; 89] = [
    7, 8, 9, 10, 11, 12, 13, 14, 16, 17, 19, 21, 23, 25, 28, 31, 34, 37, 41, 45, 50, 55, 60, 66, 73, 80, 88, 97, 107,
    118, 130, 143, 157, 173, 190, 209, 230, 253, 279, 307, 337, 371, 408, 449, 494, 544, 598, 658, 724, 796, 876, 963,
    1060, 1166, 1282, 1411, 1552, 1707, 1878, 2066, 2272, 2499, 2749, 3024, 3327, 3660, 4026, 4428, 4871, 5358, 5894,
    6484, 7132, 7845, 8630, 9493, 10442, 11487, 12635, 13899, 15289, 16818, 18500, 20350, 22385, 24623, 27086, 29794,
    32767,
];
const IMA_INDEX_STEPS: [i32; 8] = [-1, -1, -1, -1, 2, 4, 6, 8];

/// Predictor and step of one channel.
#[derive(Debug, Clone, Copy, Default)]
struct Ima {
    predictor: i32,
    index: usize,
}

impl Ima {
    fn new(predictor: i32, index: u8) -> Self {
        Self { predictor, index: usize::from(index).min(88) }
    }

    /// Next sample, 16 bits.
    fn next(&mut self, nibble: u8) -> i32 {
        let step = IMA_STEPS[self.index];
        let mut difference = step >> 3;
        if nibble & 1 != 0 {
            difference += step >> 2;
        }
        if nibble & 2 != 0 {
            difference += step >> 1;
        }
        if nibble & 4 != 0 {
            difference += step;
        }
        if nibble & 8 != 0 {
            difference = -difference;
        }
        self.predictor = (self.predictor + difference).clamp(-32768, 32767);
        self.index = (self.index as i32 + IMA_INDEX_STEPS[usize::from(nibble & 7)]).clamp(0, 88) as usize;
        self.predictor
    }
}

/// IMA ADPCM in WAVE (format tag 0x11).
#[derive(Debug, Clone)]
pub(crate) struct ImaWav {
    pub channels: usize,
    pub block_bytes: usize,
}

impl ImaWav {
    /// Checks that a block holds at least its header.
    pub fn new(channels: usize, block_bytes: usize) -> Option<Self> {
        (channels > 0 && block_bytes >= 4 * channels).then_some(Self { channels, block_bytes })
    }
}

impl BlockCodec for ImaWav {
    fn block_bytes(&self) -> usize {
        self.block_bytes
    }

    fn block_frames(&self) -> usize {
        self.frames_in_part(self.block_bytes)
    }

    fn frames_in_part(&self, bytes: usize) -> usize {
        // A header of 4 bytes per channel with the first sample, then 8 samples in 4 bytes per channel in turn.
        if bytes < 4 * self.channels { 0 } else { 1 + (bytes / (4 * self.channels) - 1) * 8 }
    }

    fn decode_int(&mut self, bytes: &[u8], out: &mut IntBuffer) {
        let (n, block_frames) = (self.channels, self.block_frames());
        for (channel, samples) in out.channels_mut().enumerate() {
            for (block, frames) in bytes.chunks(self.block_bytes).zip(samples.chunks_mut(block_frames)) {
                let mut words = block.as_chunks::<4>().0.iter().skip(channel).step_by(n);
                let Some(header) = words.next() else { continue };
                let mut state = Ima::new(i32::from(i16::from_le_bytes([header[0], header[1]])), header[2]);
                let Some((first, rest)) = frames.split_first_mut() else { continue };
                *first = state.predictor << 16;
                for (word, eight) in words.zip(rest.chunks_mut(8)) {
                    for (i, sample) in eight.iter_mut().enumerate() {
                        *sample = state.next(word[i / 2] >> (4 * (i % 2)) & 15) << 16;
                    }
                }
            }
        }
    }
}

/// IMA ADPCM of QuickTime (`ima4`): 34 bytes per channel give 64 samples; blocks of the channels alternate.
#[derive(Debug, Clone)]
pub(crate) struct ImaQt {
    states: Vec<Ima>,
}

impl ImaQt {
    /// For `channels` channels, more than 0.
    pub fn new(channels: usize) -> Self {
        Self { states: vec![Ima::default(); channels] }
    }
}

impl BlockCodec for ImaQt {
    fn block_bytes(&self) -> usize {
        34 * self.states.len()
    }

    fn block_frames(&self) -> usize {
        64
    }

    fn frames_in_part(&self, _bytes: usize) -> usize {
        0
    }

    fn decode_int(&mut self, bytes: &[u8], out: &mut IntBuffer) {
        let n = self.states.len();
        for ((channel, samples), state) in out.channels_mut().enumerate().zip(&mut self.states) {
            let blocks = bytes.as_chunks::<34>().0.iter().skip(channel).step_by(n);
            for (block, frames) in blocks.zip(samples.chunks_mut(64)) {
                let header = i32::from(i16::from_be_bytes([block[0], block[1]]));
                let start = Ima::new(header & !0x7F, (header & 0x7F) as u8);
                // The header rounds the predictor; the running one is better where it agrees.
                if state.index != start.index || (start.predictor - state.predictor).abs() > 0x7F {
                    *state = start;
                }
                for (i, sample) in frames.iter_mut().enumerate() {
                    *sample = state.next(block[2 + i / 2] >> (4 * (i % 2)) & 15) << 16;
                }
            }
        }
    }

    fn preroll_blocks(&self) -> u64 {
        1
    }

    fn reset(&mut self) {
        self.states.fill(Ima::default());
    }
}

/// Microsoft ADPCM (format tag 2).
#[derive(Debug, Clone)]
pub(crate) struct MsAdpcm {
    channels: usize,
    block_bytes: usize,
    block_frames: usize,
    coefficients: Vec<[i32; 2]>,
}

const MS_STEPS: [i32; 16] = [230, 230, 230, 230, 307, 409, 512, 614, 768, 614, 512, 409, 307, 230, 230, 230];
const MS_COEFFICIENTS: [[i32; 2]; 7] = [[256, 0], [512, -256], [0, 0], [192, 64], [240, 0], [460, -208], [392, -232]];

impl MsAdpcm {
    /// `extra` is what follows `cbSize` in the fmt chunk: samples per block, number of coefficient pairs, the pairs.
    pub fn new(channels: usize, block_bytes: usize, extra: &[u8]) -> Option<Self> {
        if channels == 0 || channels > 2 || block_bytes < 7 * channels {
            return None;
        }
        let block_frames = 2 + (block_bytes - 7 * channels) * 2 / channels;
        let count = usize::from(u16::from_le_bytes([*extra.get(2).unwrap_or(&0), *extra.get(3).unwrap_or(&0)]));
        let pairs = extra.get(4..).unwrap_or_default().as_chunks::<4>().0;
        let mut coefficients: Vec<[i32; 2]> = pairs
            .iter()
            .take(count.min(256))
            .map(|p| [[p[0], p[1]], [p[2], p[3]]].map(|c| i32::from(i16::from_le_bytes(c))))
            .collect();
        if coefficients.is_empty() {
            coefficients = MS_COEFFICIENTS.to_vec();
        }
        Some(Self { channels, block_bytes, block_frames, coefficients })
    }

    fn decode_block(&self, block: &[u8], at: usize, frames: usize, out: &mut IntBuffer) {
        let n = self.channels;
        let word = |i: usize| i32::from(i16::from_le_bytes([block[i], block[i + 1]]));
        let mut states = [([0, 0], 0_i32, 0_i32, 0_i32); 2];
        for (c, state) in states.iter_mut().enumerate().take(n) {
            let index = usize::from(block[c]).min(self.coefficients.len() - 1);
            let (delta, newer, older) = (word(n + 2 * c), word(3 * n + 2 * c), word(5 * n + 2 * c));
            *state = (self.coefficients[index], delta, newer, older);
            for (i, s) in [older, newer].into_iter().enumerate().take(frames) {
                out.channel_mut(c)[at + i] = s << 16;
            }
        }
        for i in 0..frames.saturating_sub(2) * n {
            let byte = block[7 * n + i / 2];
            let nibble = if i % 2 == 0 { byte >> 4 } else { byte & 15 };
            let c = i % n;
            let (k, delta, newer, older) = &mut states[c];
            let predicted = (*newer * k[0] + *older * k[1]) >> 8;
            let signed = i32::from(nibble) - if nibble >= 8 { 16 } else { 0 };
            let sample = (predicted + signed.wrapping_mul(*delta)).clamp(-32768, 32767);
            // Bounded so that hostile blocks cannot overflow the products above.
            *delta = (MS_STEPS[usize::from(nibble)].wrapping_mul(*delta) >> 8).clamp(16, i32::MAX / 768);
            (*older, *newer) = (*newer, sample);
            out.channel_mut(c)[at + 2 + i / n] = sample << 16;
        }
    }
}

impl BlockCodec for MsAdpcm {
    fn block_bytes(&self) -> usize {
        self.block_bytes
    }

    fn block_frames(&self) -> usize {
        self.block_frames
    }

    fn frames_in_part(&self, bytes: usize) -> usize {
        bytes.checked_sub(7 * self.channels).map_or(0, |rest| 2 + rest * 2 / self.channels)
    }

    fn decode_int(&mut self, bytes: &[u8], out: &mut IntBuffer) {
        let mut at = 0;
        for block in bytes.chunks(self.block_bytes) {
            let frames = self.frames_in_part(block.len()).min(out.frames() - at);
            if frames > 0 {
                self.decode_block(block, at, frames, out);
                at += frames;
            }
        }
    }
}
