//! Signals and files for integration tests. WAV is written here by hand, so that the library's writer is not its own judge.
#![allow(dead_code)] // each test binary uses its part

use std::path::Path;

use pure_sound::audio::{Buffer, IntBuffer, Spec};
use pure_sound::formats::{ReadOptions, Source, open};

/// Deterministic test signals, one vector per channel.
pub struct Signal;

impl Signal {
    /// Voice-like: a harmonic tone with syllables and pauses over quiet noise, a little different in each channel.
    pub fn speech(rate_hz: u32, channels: usize, seconds: f64) -> Vec<Vec<f32>> {
        let frames = (seconds * f64::from(rate_hz)) as usize;
        (0..channels)
            .map(|c| {
                let mut noise = Noise(17 + c as u64);
                (0..frames)
                    .map(|n| {
                        let t = n as f64 / f64::from(rate_hz);
                        let f0 = 120.0 + 25.0 * (t * 1.3).sin() + c as f64;
                        let voice: f64 =
                            (1..20).map(|k| (std::f64::consts::TAU * f0 * f64::from(k) * t).sin() / f64::from(k)).sum();
                        let syllable = (std::f64::consts::TAU * 2.1 * t).sin().max(0.0).powf(0.5);
                        let phrase = if (t * 0.4).fract() < 0.8 { 1.0 } else { 0.0 };
                        (0.12 * voice * syllable * phrase + 0.002 * noise.next()) as f32
                    })
                    .collect()
            })
            .collect()
    }

    /// A click of full scale every `every` frames (the first is the loudest) over quiet noise.
    pub fn clicks(channels: usize, frames: usize, every: usize) -> Vec<Vec<f32>> {
        let mut noise = Noise(5);
        (0..channels)
            .map(|_| {
                (0..frames)
                    .map(|n| match n % every {
                        5_000 if n < every => 0.9,
                        5_000 => 0.5,
                        _ => (0.0005 * noise.next()) as f32,
                    })
                    .collect()
            })
            .collect()
    }

    /// White noise of full scale as left-justified integers of `bits` bits.
    pub fn noise_int(channels: usize, frames: usize, bits: u32) -> Vec<Vec<i32>> {
        let mut noise = Noise(99);
        (0..channels)
            .map(|_| (0..frames).map(|_| (noise.next_u64() >> 32) as i32 >> (32 - bits) << (32 - bits)).collect())
            .collect()
    }

    /// Floats to left-justified integers of `bits` bits.
    pub fn to_int(planes: &[Vec<f32>], bits: u32) -> Vec<Vec<i32>> {
        let scale = 2f64.powi(bits as i32 - 1);
        planes
            .iter()
            .map(|p| p.iter().map(|s| ((f64::from(*s) * scale).round() as i32) << (32 - bits)).collect())
            .collect()
    }
}

/// xorshift64*, seeded.
pub struct Noise(pub u64);

impl Noise {
    pub fn next_u64(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
    /// Uniform in -1..1.
    pub fn next(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }
}

fn wav_header(format: u16, channels: usize, rate_hz: u32, bits: u32, data_bytes: usize) -> Vec<u8> {
    let frame = channels as u32 * bits / 8;
    let mut h = Vec::new();
    h.extend(b"RIFF");
    h.extend((36 + data_bytes as u32).to_le_bytes());
    h.extend(b"WAVEfmt ");
    h.extend(16_u32.to_le_bytes());
    h.extend(format.to_le_bytes());
    h.extend((channels as u16).to_le_bytes());
    h.extend(rate_hz.to_le_bytes());
    h.extend((rate_hz * frame).to_le_bytes());
    h.extend((frame as u16).to_le_bytes());
    h.extend((bits as u16).to_le_bytes());
    h.extend(b"data");
    h.extend((data_bytes as u32).to_le_bytes());
    h
}

/// Writes a 32-bit float WAV.
pub fn write_wav(path: &Path, rate_hz: u32, planes: &[Vec<f32>]) {
    let frames = planes[0].len();
    let mut bytes = wav_header(3, planes.len(), rate_hz, 32, frames * planes.len() * 4);
    for n in 0..frames {
        planes.iter().for_each(|p| bytes.extend(p[n].to_le_bytes()));
    }
    std::fs::write(path, bytes).unwrap();
}

/// Writes an integer WAV from left-justified samples.
pub fn write_wav_int(path: &Path, rate_hz: u32, planes: &[Vec<i32>], bits: u32) {
    let frames = planes[0].len();
    let mut bytes = wav_header(1, planes.len(), rate_hz, bits, frames * planes.len() * bits as usize / 8);
    for n in 0..frames {
        planes.iter().for_each(|p| bytes.extend(&p[n].to_le_bytes()[4 - bits as usize / 8..]));
    }
    std::fs::write(path, bytes).unwrap();
}

/// Decodes a whole file.
pub fn read_all(path: &Path) -> (Spec, Vec<Vec<f32>>) {
    let mut decoder = open(Source::from(path), &ReadOptions::default()).unwrap();
    let spec = decoder.info().spec;
    let mut planes = vec![Vec::new(); spec.channels()];
    let mut block = Buffer::new(spec, 4096);
    while decoder.read(&mut block, 4096).unwrap() > 0 {
        planes.iter_mut().zip(block.channels()).for_each(|(p, c)| p.extend_from_slice(c));
    }
    (spec, planes)
}

/// Decodes a whole lossless file as left-justified integers.
pub fn read_all_int(path: &Path) -> Vec<Vec<i32>> {
    let mut decoder = open(Source::from(path), &ReadOptions::default()).unwrap();
    let spec = decoder.info().spec;
    let mut planes = vec![Vec::new(); spec.channels()];
    let mut block = IntBuffer::new(spec, 4096);
    while decoder.read_int(&mut block, 4096).unwrap() > 0 {
        planes.iter_mut().zip(block.channels()).for_each(|(p, c)| p.extend_from_slice(c));
    }
    planes
}
