"""How things look: repr and notebooks."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy
from conftest import MUSIC, SPEECH
from numpy.typing import NDArray

import pure_sound
from pure_sound import _display

Samples = NDArray[numpy.float32]


def parse(html: str) -> ElementTree.Element:
    """HTML of ours is XML, but for two names of characters and breaks."""
    clean = html.replace("&ndash;", "-").replace("<br>", "<br/>").replace("<details open>", "<details>")
    return ElementTree.fromstring(f"<div>{clean}</div>")


def test_reprs_tell_what_it_is(noise: Samples) -> None:
    assert repr(pure_sound.Audio(noise, 48_000)) == "<Audio stereo, 48000 Hz, 48000 frames (1.000 s)>"
    assert repr(pure_sound.Engine()) == "Engine()"
    with pure_sound.Decoder(SPEECH) as decoder:
        assert repr(decoder).startswith("<Decoder mono, ")
    assert repr(decoder).endswith(", closed>")
    assert repr(pure_sound.probe(SPEECH)).startswith("MediaInfo({")


def test_audio_shows_waveform_and_loudness() -> None:
    audio = pure_sound.decode(SPEECH)
    tree = parse(audio._repr_html_())
    svg = "{http://www.w3.org/2000/svg}"
    labels = [picture.get("aria-label") for picture in tree.iter(f"{svg}svg")]
    assert labels == ["waveform", "loudness"]
    assert len(list(tree.iter(f"{svg}polygon"))) == audio.channels
    assert len(list(tree.iter(f"{svg}polyline"))) == 2


def test_the_envelope_holds_every_peak(noise: Samples) -> None:
    noise[0, 12_345] = 0.9
    low, high = _display.envelope(noise[0])
    assert high.max() == noise[0].max() == numpy.float32(0.9) and low.min() == noise[0].min()
    assert len(high) == _display.MAX_POINTS


def test_the_loudness_curve_is_that_of_the_meter(noise: Samples) -> None:
    times, momentary, short_term = _display.loudness_curve(pure_sound.Audio(noise, 48_000))
    meter = pure_sound.Meter(48_000, 2)
    meter.push(noise)
    assert times[-1] == 1.0
    assert (momentary[-1], short_term[-1]) == (meter.momentary_lufs, meter.short_term_lufs)


def test_short_and_empty_audio_can_be_shown() -> None:
    for frames in (0, 1, 10):
        html = pure_sound.Audio(numpy.zeros((1, frames), numpy.float32), 48_000)._repr_html_()
        parse(html)


def test_reports_show_levels_and_escape_text(tmp_path: Path) -> None:
    report = pure_sound.process(MUSIC, tmp_path / "a<b>.opus", preset="podcast")
    html = report._repr_html_()  # type: ignore[attr-defined]
    parse(html)
    assert "a&lt;b&gt;.opus" in html and "a<b>" not in html
    assert "LUFS" in html
    parse(pure_sound.tags(MUSIC)._repr_html_())  # type: ignore[attr-defined]
    parse(pure_sound.plan(MUSIC, tmp_path / "b.flac")._repr_html_())  # type: ignore[attr-defined]
