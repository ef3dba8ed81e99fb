//! Throw-away: `loudness_json IN` (WAV or FLAC) until the command line exists.
#![allow(missing_docs, clippy::unwrap_used)]
use pure_sound::audio::{Buffer, ChannelLayout, Spec};
use pure_sound::meter::{LoudnessMeter, MeterOptions};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let bytes = std::fs::read(&args[1]).unwrap();
    let options = MeterOptions {
        true_peak: !args.iter().any(|a| a == "--integrated"),
        range: !args.iter().any(|a| a == "--integrated"),
        dual_mono: false,
    };
    let result = if bytes.starts_with(b"RIFF") { wav(&bytes, options) } else { flac(bytes, options) };
    let mut json = serde_json::to_value(result).unwrap();
    for (short, long) in [
        ("lra", "range_lu"),
        ("tp", "true_peak_dbtp"),
        ("max_momentary", "max_momentary_lufs"),
        ("max_short_term", "max_short_term_lufs"),
    ] {
        json[short] = json[long].clone();
    }
    println!("{json}");
}

fn wav(bytes: &[u8], options: MeterOptions) -> pure_sound::meter::Loudness {
    let u32_at = |i: usize| u32::from_le_bytes(bytes[i..i + 4].try_into().unwrap());
    let (mut pos, mut fmt, mut data) = (12, (0, 0, 0), &bytes[..0]);
    while pos + 8 <= bytes.len() {
        let (size, body) = (u32_at(pos + 4) as usize, pos + 8);
        match &bytes[pos..pos + 4] {
            b"fmt " => fmt = (u32_at(body) >> 16, u32_at(body + 4), u32_at(body + 12) >> 16),
            b"data" => data = &bytes[body..(body.saturating_add(size)).min(bytes.len())],
            _ => {}
        }
        pos = body.saturating_add(size + size % 2);
    }
    let channels = fmt.0 as usize;
    let spec = Spec::new(fmt.1, ChannelLayout::from_count(channels));
    let mut meter = LoudnessMeter::new(spec, options).unwrap();
    let block = 4096;
    let mut buffer = Buffer::new(spec, block);
    let width = fmt.2 as usize / 8;
    for part in data.chunks(block * channels * width) {
        buffer.set_frames(part.len() / channels / width);
        for (c, out) in buffer.channels_mut().enumerate() {
            for (o, frame) in out.iter_mut().zip(part.chunks_exact(channels * width)) {
                let b = &frame[c * width..][..width];
                *o = match width {
                    4 => f32::from_le_bytes(b.try_into().unwrap()),
                    _ => f32::from(i16::from_le_bytes([b[0], b[1]])) / 32768.0,
                };
            }
        }
        meter.push(&buffer);
    }
    meter.summary()
}

fn flac(bytes: Vec<u8>, options: MeterOptions) -> pure_sound::meter::Loudness {
    use symphonia::core::formats::{TrackType, probe::Hint};
    let stream = symphonia::core::io::MediaSourceStream::new(Box::new(std::io::Cursor::new(bytes)), Default::default());
    let mut format =
        symphonia::default::get_probe().probe(&Hint::new(), stream, Default::default(), Default::default()).unwrap();
    let track = format.default_track(TrackType::Audio).unwrap();
    let params = track.codec_params.as_ref().unwrap().audio().unwrap().clone();
    let mut decoder = symphonia::default::get_codecs().make_audio_decoder(&params, &Default::default()).unwrap();
    let channels = params.channels.as_ref().unwrap().count();
    let spec = Spec::new(params.sample_rate.unwrap(), ChannelLayout::from_count(channels));
    let mut meter = LoudnessMeter::new(spec, options).unwrap();
    let mut flat: Vec<f32> = Vec::new();
    let mut buffer = Buffer::new(spec, 1 << 16);
    while let Ok(Some(packet)) = format.next_packet() {
        decoder.decode(&packet).unwrap().copy_to_vec_interleaved(&mut flat);
        buffer.deinterleave_from(&flat);
        meter.push(&buffer);
    }
    meter.summary()
}
