use super::*;
use crate::audio::{Buffer, ChannelLayout, Spec};
use crate::formats::{ReadOptions, Source, open};

/// A recording of the examples, its first seconds.
fn media(name: &str, seconds: usize) -> Buffer {
    let path = format!("{}/../examples/media/{name}", env!("CARGO_MANIFEST_DIR"));
    let mut decoder = open(Source::from(std::path::Path::new(&path)), &ReadOptions::default()).unwrap();
    let spec = decoder.info().spec;
    let mut audio = Buffer::new(spec, 0);
    let mut block = Buffer::new(spec, 8192);
    while audio.frames() < seconds * spec.rate_hz as usize && decoder.read(&mut block, 8192).unwrap() > 0 {
        audio.append(&block, 0, block.frames());
    }
    audio
}

fn classify(audio: &Buffer, block: usize) -> Content {
    let mut classifier = ContentClassifier::new(audio.spec(), &ContentParams::default()).unwrap();
    let mut part = Buffer::new(audio.spec(), block);
    for start in (0..audio.frames()).step_by(block) {
        part.copy_from(audio, start, block.min(audio.frames() - start));
        classifier.push(&part).unwrap();
    }
    classifier.finish().unwrap()
}

fn mono(rate_hz: u32, samples: Vec<f32>) -> Buffer {
    Buffer::from_channels(Spec::new(rate_hz, ChannelLayout::MONO), &[samples])
}

/// Noise of a generator that is the same everywhere.
fn noise(count: usize, gain: f32) -> Vec<f32> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| gain * next()).collect()
}

#[test]
fn recordings_are_what_they_are() {
    let (speech, music) = (media("speech.flac", 20), media("music.mp3", 20));
    let told = classify(&speech, 4096);
    assert!(told.class == ContentClass::Speech && told.confidence > 0.8 && told.speech_ratio > 0.8, "{told:?}");
    assert!(told.voice.iter().map(|s| s.end_s - s.start_s).sum::<f64>() > 10.0, "{:?}", told.voice);
    let told = classify(&music, 4096);
    assert!(told.class == ContentClass::Music && told.confidence > 0.8 && told.music_ratio > 0.9, "{told:?}");
    let quiet = Buffer::from_channels(
        speech.spec(),
        &speech.channels().map(|c| c.iter().map(|x| x * 0.0316).collect()).collect::<Vec<Vec<f32>>>(),
    );
    assert_eq!(classify(&quiet, 4096).class, ContentClass::Speech, "30 dB less");
    let told = classify(&mono(16_000, noise(16_000 * 8, 0.1)), 4096);
    assert!(told.class == ContentClass::Noise && told.noise_ratio == 1.0 && told.voice.is_empty(), "{told:?}");
}

#[test]
fn parts_are_found_where_they_are() {
    let speech = media("speech.flac", 10);
    let rate_hz = speech.spec().rate_hz;
    let second = rate_hz as usize;
    let voice = &speech.channel(0)[second..9 * second];
    let samples =
        [&vec![0.0; 4 * second], voice, &noise(6 * second, 0.05), &vec![0.0; 3 * second]].map(|part| part.to_vec());
    let told = classify(&mono(rate_hz, samples.concat()), 4096);
    let classes: Vec<ContentClass> = told.segments.iter().map(|s| s.class).collect();
    assert_eq!(
        classes,
        [ContentClass::Silence, ContentClass::Speech, ContentClass::Noise, ContentClass::Silence],
        "{told:?}"
    );
    // Borders are seconds; the network looks around itself.
    for (segment, end_s) in told.segments.iter().zip([4.0, 12.0, 18.0, 21.0]) {
        assert!((segment.end_s - end_s).abs() <= 1.0, "{told:?}");
    }
    assert!((told.segments[3].end_s - 21.0).abs() < 1e-9 && (told.silence_ratio - 7.0 / 21.0).abs() < 0.1);
}

#[test]
fn any_block_size_gives_the_same_record() {
    let speech = media("speech.flac", 13);
    let whole = classify(&speech, speech.frames());
    for block in [100, 4095, 70_000] {
        assert_eq!(classify(&speech, block), whole, "blocks of {block}");
    }
}

#[test]
fn every_rate_and_layout_is_heard() {
    let speech = media("speech.flac", 8);
    let rate_hz = speech.spec().rate_hz;
    for other_hz in [8000, 11_025, 44_100, 96_000] {
        let mut resampler =
            crate::dsp::resampler::Resampler::new(rate_hz, other_hz, 1, crate::dsp::resampler::Quality::Good).unwrap();
        let mut converted = Buffer::new(Spec::new(other_hz, ChannelLayout::MONO), 0);
        let source = mono(rate_hz, speech.channel(0).to_vec());
        resampler.process(&source, &mut converted);
        let told = classify(&converted, 4096);
        assert_eq!(told.class, ContentClass::Speech, "{other_hz} Hz: {told:?}");
        let channels = vec![converted.channel(0).to_vec(); 6];
        let surround = Buffer::from_channels(Spec::new(other_hz, ChannelLayout::from_count(6)), &channels);
        assert_eq!(classify(&surround, 4096).class, told.class);
    }
}

#[test]
fn nothing_short_and_broken_input_are_answered() {
    let spec = Spec::new(44_100, ChannelLayout::STEREO);
    let nothing = ContentClassifier::new(spec, &ContentParams::default()).unwrap().finish().unwrap();
    assert_eq!((nothing.class, nothing.segments.len(), nothing.silence_ratio), (ContentClass::Silence, 0, 1.0));
    for count in [1, 100, 4000, 20_000] {
        let told = classify(&mono(16_000, noise(count, 0.2)), 4096);
        assert_eq!(told.segments.len(), 1, "{count}");
        assert!((told.segments[0].end_s - count as f64 / 16_000.0).abs() < 1e-9);
    }
    let broken = [f32::NAN, f32::INFINITY, 1e30, -1e30, 0.5].repeat(9000);
    assert!(classify(&mono(16_000, broken), 777).confidence.is_finite());
}

#[test]
fn what_cannot_be_is_refused() {
    let spec = Spec::new(44_100, ChannelLayout::MONO);
    let new = |params: ContentParams| ContentClassifier::new(spec, &params).map(drop).unwrap_err().to_string();
    let usual = ContentParams::default();
    assert!(new(ContentParams { silence_dbfs: -90.0, ..usual }).contains("silence_dbfs"));
    assert!(new(ContentParams { unknown_below: f64::NAN, ..usual }).contains("unknown_below"));
    assert!(ContentClassifier::new(Spec::new(500, ChannelLayout::MONO), &usual).is_err());
    let mut classifier = ContentClassifier::new(spec, &usual).unwrap();
    assert!(classifier.push(&Buffer::new(Spec::new(48_000, ChannelLayout::MONO), 10)).is_err());
}
