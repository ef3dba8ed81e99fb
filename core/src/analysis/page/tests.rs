//! Pages of planted recordings.

use super::*;
use crate::audio::{Buffer, ChannelLayout, Spec};
use crate::formats::tags::{Field, Metadata};
use crate::formats::{Codec, Container, Damage, MediaInfo, SampleFormat, StreamInfo};

const RATE_HZ: u32 = 16_000;

/// A recording of a second: a tone of this amplitude.
fn portrait(name: &str, amplitude: f64, tags: &[(&str, &str)]) -> Portrait {
    let spec = Spec::new(RATE_HZ, ChannelLayout::STEREO);
    let sample = |i: u32| (amplitude * (f64::from(i) * 0.2).sin()).clamp(-1.0, 1.0) as f32;
    let left: Vec<f32> = (0..RATE_HZ).map(sample).collect();
    let right = left.iter().map(|x| 0.5 * x).collect();
    let fields = tags.iter().map(|(key, value)| Field { key: (*key).into(), values: vec![(*value).into()] }).collect();
    let media = MediaInfo {
        stream: StreamInfo {
            container: Container::Wav,
            codec: Codec::Pcm,
            spec,
            sample_format: SampleFormat::Int(16),
            duration: None,
            bit_rate_kbps: None,
            delay_frames: 0,
            padding_frames: 0,
        },
        bytes: None,
        metadata: Metadata { fields, ..Metadata::default() },
        damage: Damage::default(),
    };
    let mut painter = Painter::new(&media, FrequencyScale::Mel, None, Some(&AnalysisParams::default())).unwrap();
    painter.push(&Buffer::from_channels(spec, &[left, right])).unwrap();
    painter.finish(name.into()).unwrap()
}

/// Every tag of a page is closed, and only known ones are there.
fn check_markup(html: &str) {
    let mut open: Vec<&str> = Vec::new();
    let style = html.find("<style>").unwrap()..html.find("</style>").unwrap();
    for (at, _) in html.match_indices('<').filter(|(at, _)| !style.contains(at) || *at == style.start) {
        let tag = &html[at + 1..at + html[at..].find('>').unwrap()];
        let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap();
        if let Some(end) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(end), "{}", &html[at.saturating_sub(80)..at]);
        } else if !tag.ends_with('/') && !["!DOCTYPE", "meta"].contains(&name) {
            open.push(name);
        }
        assert!(!["script", "iframe", "object", "link", "img", "b0ld"].contains(&name), "{tag}");
        assert!(!tag.contains(" on"), "{tag}");
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn a_page_has_all_its_parts_and_loads_nothing() {
    let portrait = portrait("tone.wav", 0.5, &[("title", "A tone")]);
    let options =
        PageOptions { specifications: vec!["ebu_r128".into()], target_lufs: Some(-16.0), ..PageOptions::default() };
    let specifications = crate::analysis::delivery::specifications(&options.specifications).unwrap();
    let html = analysis_page(&portrait, &options, &specifications);
    check_markup(&html);
    for part in [
        "Waveform",
        "Loudness in LUFS",
        "Spectrogram",
        "Quality",
        "Delivery",
        "Facts",
        "Tags",
        "A tone",
        "EBU R 128 version 4.0",
    ] {
        assert!(html.contains(part), "{part}");
    }
    assert_eq!(
        html.matches("class=\"target\" x1").count(),
        2,
        "the line that was asked for, and that of the specification"
    );
    let loads: Vec<&str> = html.match_indices("href=").map(|(at, _)| &html[at..at + 28]).collect();
    assert_eq!(loads, ["href=\"data:image/png;base64,"]);
    assert!(
        !html.contains("http://") && !html.contains("https://") && !html.contains("url("),
        "nothing from elsewhere"
    );
}

#[test]
fn hostile_names_and_tags_stay_text() {
    let hostile = "</title><script>alert(1)</script><img src=x onerror=alert(2)>\"'><b0ld>";
    let portrait =
        portrait(hostile, 0.5, &[(hostile, hostile), ("comment", "x\u{202e}\u{0}y"), ("long", &"<".repeat(5000))]);
    let named = PageOptions { title: Some(hostile.into()), ..PageOptions::default() };
    for html in [
        analysis_page(&portrait, &PageOptions::default(), &[]),
        analysis_page(&portrait, &named, &[]),
        comparison_page(&portrait, &portrait, None, &PageOptions::default(), &[]),
    ] {
        check_markup(&html);
        assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "it is shown");
        assert!(!html.contains(['\u{202e}', '\u{0}']));
        assert!(html.matches("&lt;").count() < 2000, "long tags are cut");
    }
}

#[test]
fn a_comparison_tells_what_is_gone_and_what_is_new() {
    let (clipped, clean) = (portrait("before.wav", 3.0, &[]), portrait("after.wav", 0.3, &[]));
    assert!(clipped.quality.verdict(crate::analysis::quality::VerdictName::Clipping).is_some());
    let html = comparison_page(&clipped, &clean, None, &PageOptions::default(), &[]);
    check_markup(&html);
    let after = &html[html.find("Quality after").unwrap()..];
    assert!(after.contains("gone:</span> clipping"), "{after}");
    let html = comparison_page(&clean, &clipped, None, &PageOptions::default(), &[]);
    assert!(html.contains("clipping (new)"));
    assert!(html.contains("class=\"clip\" d=\"M"), "marks where it is clipped");
}
