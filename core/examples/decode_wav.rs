//! Decodes any file to WAV: `cargo run --example decode_wav IN OUT.wav`.
//!
//! Integers of up to 16 bits give 16-bit PCM, up to 24 bits 24, more 32; floats and lossy codecs give 32-bit floats.

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::process::ExitCode;

use pure_sound::audio::{Buffer, IntBuffer, Spec};
use pure_sound::formats::{Decoder, ReadOptions, SampleFormat, open};

const BLOCK_FRAMES: usize = 8192;
const HEADER_BYTES: u32 = 68;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [input, output] = &args[..] else {
        eprintln!("usage: decode_wav IN OUT.wav   (OUT of '-': decode only)");
        return ExitCode::from(2);
    };
    match run(input, output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{input}: {e}");
            ExitCode::FAILURE
        }
    }
}

fn run(input: &str, output: &str) -> Result<(), Box<dyn std::error::Error>> {
    let mut decoder = open(input.into(), &ReadOptions::default())?;
    let info = decoder.info().clone();
    if output == "-" {
        // For timing: to floats, nothing written.
        let mut block = Buffer::new(info.spec, BLOCK_FRAMES);
        while decoder.read(&mut block, BLOCK_FRAMES)? > 0 {}
    } else {
        let mut out = BufWriter::with_capacity(1 << 18, File::create(output)?);
        let bits = match info.sample_format {
            SampleFormat::Int(1..=16) => Some(16),
            SampleFormat::Int(17..=24) => Some(24),
            SampleFormat::Int(_) => Some(32),
            _ => None,
        };
        header(&mut out, info.spec, bits, 0)?;
        let bytes = match bits {
            Some(bits) => integers(&mut *decoder, &mut out, bits)?,
            None => floats(&mut *decoder, &mut out)?,
        };
        out.seek(SeekFrom::Start(0))?;
        header(&mut out, info.spec, bits, u32::try_from(bytes)?)?;
        out.flush()?;
    }
    if !decoder.damage().is_none() {
        eprintln!("damage: {:?}", decoder.damage());
    }
    Ok(())
}

/// WAVE_FORMAT_EXTENSIBLE, so that channel masks and all widths are legal.
fn header(out: &mut impl Write, spec: Spec, bits: Option<u16>, data_bytes: u32) -> std::io::Result<()> {
    let (tag, width) = bits.map_or((3_u16, 32), |b| (1, b));
    let channels = spec.channels() as u16;
    let block = channels * width / 8;
    out.write_all(b"RIFF")?;
    out.write_all(&data_bytes.saturating_add(HEADER_BYTES - 8).to_le_bytes())?;
    out.write_all(b"WAVEfmt \x28\0\0\0\xFE\xFF")?;
    out.write_all(&channels.to_le_bytes())?;
    out.write_all(&spec.rate_hz.to_le_bytes())?;
    out.write_all(&(spec.rate_hz.saturating_mul(u32::from(block))).to_le_bytes())?;
    for v in [block, width, 22, width] {
        out.write_all(&v.to_le_bytes())?;
    }
    out.write_all(&spec.layout.mask().to_le_bytes())?;
    out.write_all(&tag.to_le_bytes())?;
    out.write_all(&[0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71])?;
    out.write_all(b"data")?;
    out.write_all(&data_bytes.to_le_bytes())
}

fn integers(decoder: &mut dyn Decoder, out: &mut impl Write, bits: u16) -> Result<u64, Box<dyn std::error::Error>> {
    let mut block = IntBuffer::new(decoder.info().spec, BLOCK_FRAMES);
    let (mut flat, mut bytes, mut total) = (Vec::new(), Vec::new(), 0);
    while decoder.read_int(&mut block, BLOCK_FRAMES)? > 0 {
        block.interleave_into(&mut flat);
        bytes.clear();
        let skip = 4 - usize::from(bits / 8);
        for sample in &flat {
            bytes.extend_from_slice(&sample.to_le_bytes()[skip..]);
        }
        out.write_all(&bytes)?;
        total += bytes.len() as u64;
    }
    Ok(total)
}

fn floats(decoder: &mut dyn Decoder, out: &mut impl Write) -> Result<u64, Box<dyn std::error::Error>> {
    let mut block = Buffer::new(decoder.info().spec, BLOCK_FRAMES);
    let (mut flat, mut bytes, mut total) = (Vec::new(), Vec::new(), 0);
    while decoder.read(&mut block, BLOCK_FRAMES)? > 0 {
        block.interleave_into(&mut flat);
        bytes.clear();
        for sample in &flat {
            bytes.extend_from_slice(&sample.to_le_bytes());
        }
        out.write_all(&bytes)?;
        total += bytes.len() as u64;
    }
    Ok(total)
}
