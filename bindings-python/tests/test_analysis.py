"""Analysis, and features as arrays."""

from __future__ import annotations

import asyncio
import threading

import numpy
import pytest
from conftest import SPEECH

import pure_sound
from pure_sound import aio, types

NO_PITCH: types.AnalysisParams = {"features": {"pitch": False}}


def test_features_are_the_series_of_an_analysis() -> None:
    analysis = pure_sound.analyse(SPEECH, analysis={"series": True, "features": {"pitch": False}})
    features = pure_sound.features(SPEECH, analysis=NO_PITCH)
    assert features.analysis["features"] == analysis["features"]
    assert "f0_hz" not in features and "rms" in features
    series = analysis["series"]
    assert series is not None
    for name, array in features.items():
        assert array.dtype == numpy.float32
        numpy.testing.assert_array_equal(array, numpy.array(series[name], dtype=numpy.float32))  # type: ignore[literal-required]
    frames = analysis["features"]["frames"]
    assert features["mfcc"].shape == (20, frames) and features["centroid_hz"].shape == (frames,)
    assert len(features.times_s) == frames and features.times_s[1] == pytest.approx(1 / features.frame_rate_hz)
    assert repr(features).startswith("Features(centroid_hz (")
    with pytest.raises(KeyError, match="mfcc"):
        features["mfc"]


def test_a_tone_has_its_pitch() -> None:
    tone = 0.5 * numpy.sin(2 * numpy.pi * 220 * numpy.arange(48_000) / 48_000)
    features = pure_sound.features(pure_sound.Audio(tone.astype(numpy.float32), 48_000))
    middle = features["f0_hz"][20:-20]
    assert numpy.abs(middle - 220).max() < 1
    assert features["chroma"][9, 20:-20].min() == 1  # A


def test_progress_cancel_and_awaitable_forms() -> None:
    heard: list[float] = []
    pure_sound.analyse(SPEECH, analysis=NO_PITCH, progress=lambda p: heard.append(p.fraction))
    assert heard and heard[-1] == 1.0
    token = pure_sound.CancelToken()
    token.cancel()
    with pytest.raises(pure_sound.errors.CancelledError):
        pure_sound.features(SPEECH, cancel=token)

    async def both() -> tuple[float, int]:
        analysis = await aio.analyse(SPEECH, analysis=NO_PITCH)
        features = await aio.features(SPEECH, analysis=NO_PITCH)
        return analysis["duration_s"], len(features)

    duration_s, count = asyncio.run(both())
    assert duration_s == pytest.approx(24.73) and count > 10


def test_others_run_meanwhile() -> None:
    thread = threading.Thread(target=lambda: pure_sound.features(SPEECH))
    thread.start()
    turns = 0
    while thread.is_alive():
        turns += 1
    thread.join()
    assert turns > 1000


def test_wrong_options_are_named() -> None:
    with pytest.raises(pure_sound.errors.OutOfRangeError, match="n_mfcc"):
        pure_sound.analyse(SPEECH, analysis={"features": {"n_mfcc": 0}})
    with pytest.raises(pure_sound.errors.InvalidValueError, match="unknown field"):
        pure_sound.features(SPEECH, analyses={})  # type: ignore[call-arg]
