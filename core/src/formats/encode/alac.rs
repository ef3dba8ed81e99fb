//! ALAC: our own encoder, in M4A.
//!
//! The packets of a piece share the state of their adaptive predictors, which starts anew with each piece; every packet
//! carries the coefficients it starts from, so that decoders know nothing of pieces. Source: Apple's open-source ALAC
//! (the format is defined by it): adaptive FIR predictor of sign-LMS kind, adaptive Golomb code with runs of zeros.

use std::sync::Arc;

use rayon::ThreadPool;

use super::bits::BitWriter;
use super::ints::IntInput;
use super::mp4::{Mp4Writer, SampleEntry, Track};
use super::ordered::Ordered;
use super::{AlacSettings, Encoded, Encoder, Sink};
use crate::audio::{Buffer, IntBuffer, Spec};
use crate::error::Result;
use crate::formats::tags::Metadata;

/// Frames of a packet.
const FRAME: usize = 4096;
/// Packets of a piece.
const PACKETS_PER_PIECE: usize = 32;
/// Taps of the predictor: what Apple's encoder takes nearly always.
const TAPS: usize = 8;
/// Coefficients are in units of 2^-9.
const SHIFT: u32 = 9;
/// Stereo weights are in quarters.
const MIX_BITS: u32 = 2;
/// Parameters of the Golomb code that every packet of Apple's encoder has: start of the mean, its decay, largest k.
const MEAN_START: u32 = 10;
const MEAN_DECAY: u32 = 40;
const MAX_K: u32 = 14;

/// Order of coded channels as indices of the channels given: C L R ... LFE where the positions exist. All decoders give
/// the samples back in the order that they came in.
fn channel_order(channels: usize) -> &'static [usize] {
    match channels {
        1 => &[0],
        2 => &[0, 1],
        3 => &[2, 0, 1],
        4 => &[2, 0, 1, 3],
        5 => &[2, 0, 1, 3, 4],
        6 => &[2, 0, 1, 4, 5, 3],
        7 => &[2, 0, 1, 4, 5, 6, 3],
        _ => &[2, 6, 7, 0, 1, 4, 5, 3],
    }
}

/// Channels of each element: 1 = single, 2 = pair.
fn elements(channels: usize) -> &'static [usize] {
    match channels {
        1 => &[1],
        2 => &[2],
        3 => &[1, 2],
        4 => &[1, 2, 1],
        5 => &[1, 2, 2],
        6 => &[1, 2, 2, 1],
        7 => &[1, 2, 2, 1, 1],
        _ => &[1, 2, 2, 2, 1],
    }
}

/// Coefficients of one channel's predictor, newest sample first.
type Coefs = [i16; TAPS];

/// As Apple's encoder starts: 38/16, -29/16, -2/16.
fn start_coefs() -> Coefs {
    let mut c = [0; TAPS];
    for (to, from) in c.iter_mut().zip([38_i32, -29, -2]) {
        *to = ((from << SHIFT) >> 4) as i16;
    }
    c
}

/// Predicts `x` and writes what is left to `out`; adapts `coefs` as every decoder will. `bits` of a sample are significant.
fn predict(x: &[i32], out: &mut Vec<i32>, coefs: &mut Coefs, bits: u32) {
    let wrap = 32 - bits;
    let fit = |v: i32| (v << wrap) >> wrap;
    out.clear();
    out.extend_from_slice(&x[..1.min(x.len())]);
    for j in 1..x.len().min(TAPS + 1) {
        out.push(fit(x[j].wrapping_sub(x[j - 1])));
    }
    for window in x.windows(TAPS + 2) {
        // window[0] is the reference, window[TAPS] the newest known, window[TAPS + 1] the one to predict.
        let top = window[0];
        let mut diff = [0_i32; TAPS];
        let mut sum = 1_i32 << (SHIFT - 1);
        for k in 0..TAPS {
            diff[k] = top.wrapping_sub(window[TAPS - k]);
            sum = sum.wrapping_sub(i32::from(coefs[k]).wrapping_mul(diff[k]));
        }
        let error = fit(window[TAPS + 1].wrapping_sub(top).wrapping_sub(sum >> SHIFT));
        out.push(error);
        let direction = error.signum();
        if direction == 0 {
            continue;
        }
        // Sign-LMS: the oldest taps first, until the error is spent.
        let mut left = error;
        for k in (0..TAPS).rev() {
            let sign = diff[k].signum() * direction;
            coefs[k] = coefs[k].wrapping_sub(sign as i16);
            let step = sign.wrapping_mul(diff[k]) >> SHIFT;
            left = left.wrapping_sub(step.wrapping_mul((TAPS - k) as i32));
            if left.signum() != direction {
                break;
            }
        }
    }
}

/// One number of the adaptive Golomb code: up to nine ones, a zero, then `k` bits; else nine ones and `bits` bits.
fn put_number(w: &mut BitWriter, n: u32, k: u32, divisor: u32, bits: u32) {
    let quotient = n / divisor;
    if quotient < 9 {
        let rest = n % divisor;
        let short = u32::from(rest == 0);
        let length = quotient + k + 1 - short;
        if length <= 25 {
            let ones = ((1_u32 << quotient) - 1) << (length - quotient);
            w.put(ones + rest + 1 - short, length);
            return;
        }
    }
    w.put(0x1FF, 9);
    w.put(n, bits);
}

/// Codes a predictor's errors of `bits` bits.
fn put_errors(w: &mut BitWriter, errors: &[i32], bits: u32) {
    let mut mean = MEAN_START;
    let mut after_run = 0;
    let mut rest = errors.iter();
    while let Some(error) = rest.next() {
        let k = (31 - ((mean >> 9) + 3).leading_zeros()).min(MAX_K);
        let n = (error.unsigned_abs() << 1).wrapping_sub((*error as u32) >> 31) - after_run;
        put_number(w, n, k, (1 << k) - 1, bits);
        let folded = n.wrapping_add(after_run);
        mean = MEAN_DECAY.wrapping_mul(folded).wrapping_add(mean).wrapping_sub(MEAN_DECAY.wrapping_mul(mean) >> 9);
        if n > 0xFFFF {
            mean = 0xFFFF;
        }
        after_run = 0;
        if mean << 2 < 512 && !rest.as_slice().is_empty() {
            // A run of zeros follows, perhaps of length 0.
            let zeros = rest.as_slice().iter().take(65_535).take_while(|e| **e == 0).count();
            rest = rest.as_slice()[zeros..].iter();
            let k = mean.leading_zeros() - 24 + ((mean + 16) >> 6);
            let divisor = ((1 << k) - 1) & ((1 << MAX_K) - 1);
            put_number(w, zeros as u32, k, divisor, 16);
            // What follows a run is not zero, unless the run was cut at its longest.
            after_run = u32::from(zeros < 65_535);
            mean = 0;
        }
    }
}

/// State of the predictors through a piece.
struct PieceEncoder {
    bits: u32,
    coefs: Vec<Coefs>,
}

impl PieceEncoder {
    fn packet(&mut self, channels: &[&[i32]]) -> Vec<u8> {
        let frames = channels.first().map_or(0, |c| c.len());
        let mut w = BitWriter::default();
        let order = channel_order(channels.len());
        let (mut at, mut singles, mut pairs) = (0, 0, 0);
        for width in elements(channels.len()) {
            if *width == 1 {
                w.put(0, 3);
                w.put(singles, 4);
                singles += 1;
                self.element(&mut w, &[channels[order[at]]], at, frames);
            } else {
                w.put(1, 3);
                w.put(pairs, 4);
                pairs += 1;
                self.element(&mut w, &[channels[order[at]], channels[order[at + 1]]], at, frames);
            }
            at += width;
        }
        w.put(7, 3);
        w.finish()
    }

    /// One or two channels; `at` is the index of the first among the coded channels.
    fn element(&mut self, w: &mut BitWriter, channels: &[&[i32]], at: usize, frames: usize) {
        let partial = u32::from(frames != FRAME);
        // 24 and 32 bits leave their lowest one or two bytes as they are: prediction finds nothing there.
        let kept_bytes = match self.bits {
            32 => 2,
            24 => 1,
            _ => 0,
        };
        let kept = 8 * kept_bytes;
        let pair = channels.len() == 2;
        // The difference of two channels needs a bit more.
        let bits = self.bits - kept + u32::from(pair);
        let high: Vec<Vec<i32>> = channels.iter().map(|c| c.iter().map(|s| s >> kept).collect()).collect();
        let (coded, weight) = if pair { mix(&high[0], &high[1]) } else { (high, 0) };
        let mut body = BitWriter::default();
        let start: Vec<Coefs> = (0..channels.len()).map(|c| self.coefs[at + c]).collect();
        let mut errors = Vec::with_capacity(frames);
        for (c, samples) in coded.iter().enumerate() {
            predict(samples, &mut errors, &mut self.coefs[at + c], bits);
            put_errors(&mut body, &errors, bits);
        }
        let body_bits =
            body.bits() + channels.len() as u64 * (u64::from(kept) * frames as u64 + 16 + 16 * TAPS as u64) + 16;
        let escape_bits = channels.len() as u64 * frames as u64 * u64::from(self.bits);
        let escape = body_bits >= escape_bits;
        w.put(0, 12);
        w.put(partial << 3 | if escape { 1 } else { kept_bytes << 1 }, 4);
        if partial == 1 {
            w.put(frames as u32, 32);
        }
        if escape {
            for i in 0..frames {
                for c in channels {
                    w.put_signed(i64::from(c[i]), self.bits);
                }
            }
            return;
        }
        w.put(if pair { MIX_BITS } else { 0 }, 8);
        w.put(weight, 8);
        for coefs in &start {
            w.put(SHIFT, 8); // mode 0 and the shift
            w.put(4 << 5 | TAPS as u32, 8); // decay factor 4/4 and the number of taps
            for c in coefs {
                w.put_signed(i64::from(*c), 16);
            }
        }
        if kept > 0 {
            for i in 0..frames {
                for c in channels {
                    w.put(c[i] as u32 & ((1 << kept) - 1), kept);
                }
            }
        }
        w.append(body);
    }
}

/// Chooses how two channels become mid-like and side: `u = (m l + (4 - m) r) / 4`, `v = l - r`; weight 0 leaves them.
fn mix(l: &[i32], r: &[i32]) -> (Vec<Vec<i32>>, u32) {
    // Size of the second difference stands for the bits that prediction will leave.
    let roughness = |x: &dyn Fn(usize) -> i32| -> f64 {
        let n = l.len();
        let sum: u64 = (2..n)
            .step_by(3)
            .map(|i| {
                let d = i64::from(x(i)) - 2 * i64::from(x(i - 1)) + i64::from(x(i - 2));
                d.unsigned_abs()
            })
            .sum();
        (sum as f64 + 1.0).log2()
    };
    let side = roughness(&|i| l[i] - r[i]);
    let mut best = (roughness(&|i| l[i]) + roughness(&|i| r[i]), 0_i32);
    for weight in 1..=4 {
        let cost = roughness(&|i| (weight * l[i] + (4 - weight) * r[i]) >> MIX_BITS) + side;
        if cost < best.0 {
            best = (cost, weight);
        }
    }
    let weight = best.1;
    if weight == 0 {
        return (vec![l.to_vec(), r.to_vec()], 0);
    }
    let u = l.iter().zip(r).map(|(l, r)| (weight * l + (4 - weight) * r) >> MIX_BITS).collect();
    let v = l.iter().zip(r).map(|(l, r)| l - r).collect();
    (vec![u, v], weight as u32)
}

fn encode_piece(bits: u32, samples: &[Vec<i32>]) -> Vec<Vec<u8>> {
    let mut encoder = PieceEncoder { bits, coefs: vec![start_coefs(); samples.len()] };
    let frames = samples.first().map_or(0, Vec::len);
    (0..frames)
        .step_by(FRAME)
        .map(|start| {
            let end = (start + FRAME).min(frames);
            let channels: Vec<&[i32]> = samples.iter().map(|c| &c[start..end]).collect();
            if start == 0 {
                // The first packet's coefficients settle on the packet itself; decoders get the settled ones.
                let mut settled = PieceEncoder { bits, coefs: encoder.coefs.clone() };
                drop(settled.packet(&channels));
                encoder.coefs = settled.coefs;
            }
            encoder.packet(&channels)
        })
        .collect()
}

/// See the module.
pub(crate) struct AlacEncoder {
    spec: Spec,
    bits: u8,
    input: IntInput,
    jobs: Ordered<Vec<Vec<u8>>>,
    mp4: Mp4Writer,
    largest: u32,
    audio_bytes: u64,
    bytes: Option<u64>,
}

impl AlacEncoder {
    /// `settings` must be complete, as `negotiate` makes them.
    pub fn new(
        spec: Spec,
        settings: &AlacSettings,
        sink: Box<dyn Sink>,
        metadata: &Metadata,
        frames_hint: Option<u64>,
        pool: Option<Arc<ThreadPool>>,
    ) -> Result<Self> {
        let bits = settings.bits.unwrap_or(24);
        let entry = SampleEntry::Alac(u16::from(bits), Vec::new());
        let track = Track { spec, entry, unit_frames: FRAME as u32, delay: 0, roll: false, short_last: true };
        Ok(Self {
            spec,
            bits,
            input: IntInput::new(spec, bits, settings.dither),
            jobs: Ordered::new(pool),
            mp4: Mp4Writer::new(track, sink, metadata, frames_hint)?,
            largest: 0,
            audio_bytes: 0,
            bytes: None,
        })
    }

    fn take(&mut self, last: bool) -> Result<()> {
        while let Some(samples) = self.input.take(FRAME * PACKETS_PER_PIECE, last) {
            let bits = u32::from(self.bits);
            self.jobs.submit(move || Ok(encode_piece(bits, &samples)));
            while let Some(packets) = self.jobs.next_if_crowded() {
                self.emit(&packets?)?;
            }
        }
        Ok(())
    }

    fn emit(&mut self, packets: &[Vec<u8>]) -> Result<()> {
        for p in packets {
            self.largest = self.largest.max(p.len() as u32);
            self.audio_bytes += p.len() as u64;
            self.mp4.unit(p)?;
        }
        Ok(())
    }

    /// ALACSpecificConfig, and the channel layout above stereo.
    fn cookie(&self) -> Vec<u8> {
        let channels = self.spec.channels();
        let mut c = (FRAME as u32).to_be_bytes().to_vec();
        c.extend_from_slice(&[0, self.bits, MEAN_DECAY as u8, MEAN_START as u8, MAX_K as u8, channels as u8, 0, 255]);
        c.extend_from_slice(&self.largest.to_be_bytes());
        let rate = u64::from(self.spec.rate_hz);
        let average = (self.audio_bytes * 8 * rate).checked_div(self.input.frames()).unwrap_or(0);
        c.extend_from_slice(&u32::try_from(average).unwrap_or(u32::MAX).to_be_bytes());
        c.extend_from_slice(&self.spec.rate_hz.to_be_bytes());
        // kAudioChannelLayoutTag_*: MPEG_3_0_B, 4_0_B, 5_0_D, 5_1_D, AAC_6_1, MPEG_7_1_B
        let tag: u32 = match channels {
            3 => 113 << 16 | 3,
            4 => 116 << 16 | 4,
            5 => 120 << 16 | 5,
            6 => 124 << 16 | 6,
            7 => 142 << 16 | 7,
            8 => 127 << 16 | 8,
            _ => return c,
        };
        c.extend_from_slice(&24_u32.to_be_bytes());
        c.extend_from_slice(b"chan\0\0\0\0");
        c.extend_from_slice(&tag.to_be_bytes());
        c.extend_from_slice(&[0; 8]);
        c
    }
}

impl Encoder for AlacEncoder {
    fn spec(&self) -> Spec {
        self.spec
    }

    fn write(&mut self, block: &Buffer) -> Result<()> {
        self.input.write(block)?;
        self.take(false)
    }

    fn write_int(&mut self, block: &IntBuffer) -> Result<()> {
        self.input.write_int(block)?;
        self.take(false)
    }

    fn finish(&mut self) -> Result<Encoded> {
        if self.bytes.is_none() {
            self.take(true)?;
            while let Some(packets) = self.jobs.next() {
                self.emit(&packets?)?;
            }
            let cookie = self.cookie();
            self.mp4.set_entry(SampleEntry::Alac(u16::from(self.bits), cookie));
            self.bytes = Some(self.mp4.finish(self.input.frames())?);
        }
        Ok(Encoded {
            frames: self.input.frames(),
            bytes: self.bytes.unwrap_or_default(),
            delay_frames: 0,
            padding_frames: 0,
            clipped_samples: self.input.clipped(),
            dither: self.input.dither(),
            losses: std::mem::take(&mut self.mp4.losses),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prediction_of_a_line_leaves_nothing_once_settled() {
        let x: Vec<i32> = (0..1000).map(|i| i * 3).collect();
        let (mut errors, mut coefs) = (Vec::new(), start_coefs());
        predict(&x, &mut errors, &mut coefs, 17);
        assert_eq!(errors.len(), x.len());
        assert!(errors[900..].iter().all(|e| e.abs() <= 3), "{:?}", &errors[900..910]);
    }

    #[test]
    fn numbers_follow_the_code() {
        // k = 3, divisor 7: 9 = 1 * 7 + 2: one, zero, then 2 + 1 in three bits.
        let mut w = BitWriter::default();
        put_number(&mut w, 9, 3, 7, 16);
        assert_eq!(w.finish(), [0b1001_1000]);
        // 7: remainder 0 is one bit shorter.
        let mut w = BitWriter::default();
        put_number(&mut w, 7, 3, 7, 16);
        assert_eq!(w.finish(), [0b1000_0000]);
        // Beyond nine quotients: nine ones and the number.
        let mut w = BitWriter::default();
        put_number(&mut w, 70, 3, 7, 16);
        assert_eq!(w.finish(), [0xFF, 0x80, 0x23, 0x00]);
    }
}
