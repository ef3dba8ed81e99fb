//! wav (s16/s24/f32) in, any format out. Not part of the library.
use pure_sound::audio::*;
use pure_sound::formats::SampleFormat;
use pure_sound::formats::encode::*;
use pure_sound::formats::tags::Metadata;
use std::sync::Arc;
use std::time::Instant;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    // input.raw(f32le interleaved or s16le) rate channels fmt out json-settings threads
    let (input, rate, ch, fmt, out, settings, threads) = (
        &a[1],
        a[2].parse::<u32>().unwrap(),
        a[3].parse::<usize>().unwrap(),
        &a[4],
        &a[5],
        &a[6],
        a[7].parse::<usize>().unwrap(),
    );
    let bytes = std::fs::read(input).unwrap();
    let spec = Spec::new(rate, ChannelLayout::from_count(ch));
    let settings: FormatSettings = serde_json::from_str(settings).unwrap();
    let pool = (threads > 0).then(|| Arc::new(rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap()));
    let sf = if fmt == "s16" {
        SampleFormat::Int(16)
    } else if fmt == "s24" {
        SampleFormat::Int(24)
    } else {
        SampleFormat::Float(32)
    };
    let n = negotiate(&settings, spec, sf).unwrap();
    eprintln!("{n:?}");
    let t = Instant::now();
    let w = if fmt == "s16" { 2 } else { 4 };
    let frames = bytes.len() / w / ch;
    let mut e =
        create_on(&n, Box::new(std::fs::File::create(out).unwrap()), &Metadata::default(), Some(frames as u64), pool)
            .unwrap();
    const B: usize = 4096;
    let mut fb = Buffer::new(spec, B);
    let mut ib = IntBuffer::new(spec, B);
    for c in bytes.chunks(B * w * ch) {
        if w == 2 {
            let v: Vec<i32> = c.chunks_exact(2).map(|b| (i16::from_le_bytes([b[0], b[1]]) as i32) << 16).collect();
            ib.deinterleave_from(&v);
            if n.settings.is_lossless() {
                e.write_int(&ib).unwrap();
            } else {
                fb.copy_from_int(&ib);
                e.write(&fb).unwrap();
            }
        } else if fmt == "s24" {
            let v: Vec<i32> = c.chunks_exact(4).map(|b| i32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
            ib.deinterleave_from(&v);
            e.write_int(&ib).unwrap();
        } else {
            let v: Vec<f32> = c.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
            fb.deinterleave_from(&v);
            e.write(&fb).unwrap();
        }
    }
    let r = e.finish().unwrap();
    eprintln!("{:.3} s wall; {r:?}", t.elapsed().as_secs_f64());
}
