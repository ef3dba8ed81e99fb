"""Recommendations, comparisons, pictures and pages."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path

import numpy
import pytest
from conftest import SPEECH
from numpy.typing import NDArray

import pure_sound
from pure_sound import Source, aio


class Broken(io.BytesIO):
    """A file that ends in an exception of its own."""

    def read(self, size: int | None = -1, /) -> bytes:
        raise RuntimeError("the line is dead")


def test_recommendations_can_be_followed(tmp_path: Path) -> None:
    recommendation = pure_sound.recommend(SPEECH, content="speech")
    assert recommendation["content"] == "speech" and recommendation["preset"]["reasons"]
    out = tmp_path / "out.flac"
    report = pure_sound.process(SPEECH, out, **recommendation["recipe"])
    assert out.exists() and report["outputs"]


def test_comparisons_tell_how_far_off(noise: NDArray[numpy.float32]) -> None:
    audio = pure_sound.Audio(noise, 48_000)
    off = pure_sound.Audio(noise + numpy.float32(0.01) * noise[::-1], 48_000)
    same, other = pure_sound.compare(audio, audio), pure_sound.compare(audio, off)
    assert same["differences"]["identical"] and not other["differences"]["identical"]
    # Noise of the other channel at a hundredth: -40 dB.
    snr_db = other["differences"]["snr_db"]
    assert snr_db is not None and snr_db == pytest.approx(40, abs=0.5)
    assert repr(other).startswith("Comparison({")


def test_inputs_of_a_comparison_may_be_files_and_raise_what_they_raise() -> None:
    data = SPEECH.read_bytes()
    assert pure_sound.compare(io.BytesIO(data), io.BytesIO(data))["alignment"] is not None
    pairs: list[tuple[Source, Source]] = [(Broken(data), SPEECH), (SPEECH, Broken(data))]
    for inputs in pairs:
        with pytest.raises(RuntimeError, match="the line is dead"):
            pure_sound.compare(*inputs)


def test_pictures_are_png() -> None:
    for png in (
        pure_sound.waveform_png(SPEECH, width=320, height=100),
        pure_sound.spectrogram_png(SPEECH, width=320, height=100, colours="paper"),
    ):
        assert png[:8] == b"\x89PNG\r\n\x1a\n" and png[16:24] == bytes([0, 0, 1, 64, 0, 0, 0, 100])
    peaks = pure_sound.waveform_peaks(SPEECH, peaks={"samples_per_pixel": 4096})
    assert len(peaks["data"]) == 2 * -(-395_680 // 4096)


def test_pages_are_html(tmp_path: Path) -> None:
    quick = {"features": {"pitch": False}}
    page = pure_sound.analysis_page(SPEECH, title="A <talk>", analysis=quick, specifications=["acx"])  # type: ignore[arg-type]
    assert "A &lt;talk&gt;" in page["html"] and "acx" in page["html"]
    assert page["check"]["delivery"][0]["specification"] == "acx" and page["analysis"]["frames"] == 395_680
    assert page._repr_html_().startswith("<iframe")  # type: ignore[attr-defined]
    out = tmp_path / "out.flac"
    report = pure_sound.process(SPEECH, out, preset="podcast")
    html = pure_sound.comparison_page(SPEECH, out, report=report, title="Both")
    assert "<title>Both" in html and "highpass" in html
    assert "highpass" not in pure_sound.comparison_page(SPEECH, out)


def test_progress_cancel_and_awaitable_forms() -> None:
    heard: list[float] = []
    pure_sound.compare(SPEECH, SPEECH, progress=lambda p: heard.append(p.fraction))
    assert heard == sorted(heard) and heard[-1] == 1.0
    token = pure_sound.CancelToken()
    token.cancel()
    with pytest.raises(pure_sound.errors.CancelledError):
        pure_sound.spectrogram_png(SPEECH, cancel=token)

    async def all_of_them() -> list[int]:
        made = await asyncio.gather(
            aio.classify(SPEECH),
            aio.recommend(SPEECH),
            aio.compare(SPEECH, SPEECH),
            aio.waveform_peaks(SPEECH),
            aio.waveform_png(SPEECH),
            aio.spectrogram_png(SPEECH),
            aio.analysis_page(SPEECH),
            aio.comparison_page(SPEECH, SPEECH),
        )
        return [len(one) for one in made]

    assert all(asyncio.run(all_of_them()))


def test_what_is_wrong_is_named() -> None:
    with pytest.raises(pure_sound.errors.OutOfRangeError, match="width"):
        pure_sound.waveform_png(SPEECH, width=1)
    with pytest.raises(pure_sound.errors.InvalidValueError, match="unknown field"):
        pure_sound.recommend(SPEECH, contents="speech")  # type: ignore[call-arg]
    with pytest.raises(pure_sound.errors.UnknownNameError, match="acx"):
        pure_sound.analysis_page(SPEECH, specifications=["acz"])
    with pytest.raises(pure_sound.errors.InvalidValueError, match="report"):
        pure_sound.comparison_page(SPEECH, SPEECH, report={"steps": 1})


def test_progress_of_two_inputs_never_falls() -> None:
    heard: list[float] = []
    pure_sound.comparison_page(SPEECH, SPEECH, progress=lambda p: heard.append(p.fraction))
    assert heard == sorted(heard) and heard[-1] == 1.0
