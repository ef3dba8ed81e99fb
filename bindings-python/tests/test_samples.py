"""Samples cross without a copy, in layouts that are said."""

from __future__ import annotations

import numpy
import pytest
from numpy.typing import NDArray

import pure_sound

Samples = NDArray[numpy.float32]


def gain(db: float) -> pure_sound.Chain:
    return pure_sound.Chain([{"type": "gain", "gain_db": db}], 48_000, 2)


def test_decoded_samples_are_planar_float32(noise: Samples) -> None:
    audio = pure_sound.decode(pure_sound.Audio(noise, 48_000))
    assert audio.samples.dtype == numpy.float32
    assert audio.samples.shape == (2, 48_000)
    assert audio.samples.flags.c_contiguous and audio.samples.flags.writeable
    # The memory is that of the library, taken over.
    assert not audio.samples.flags.owndata and audio.samples.base is not None
    numpy.testing.assert_array_equal(audio.samples, noise)


def test_a_chain_works_where_the_samples_lie(noise: Samples) -> None:
    before, address = noise.copy(), noise.ctypes.data
    chain = gain(6.0)
    chain.process(noise)
    assert noise.ctypes.data == address
    # 6 dB is a factor of 10^(6/20); float32 rounds the product once.
    numpy.testing.assert_allclose(noise, before * 10 ** (6 / 20), rtol=2e-7)


def test_layouts_give_the_same_samples(noise: Samples) -> None:
    planar, interleaved = noise.copy(), numpy.ascontiguousarray(noise.T)
    spaced = numpy.zeros((4, 96_000), numpy.float32)
    view = spaced[::2, ::2]
    view[:] = noise
    chain = pure_sound.Chain(["highpass:cutoff_hz=100"], 48_000, 2)
    chain.process(planar)
    chain.reset()
    chain.process_interleaved(interleaved)
    chain.reset()
    chain.process(view)
    numpy.testing.assert_array_equal(interleaved.T, planar)
    numpy.testing.assert_array_equal(view, planar)
    assert not spaced[1::2].any() and not spaced[:, 1::2].any()


def test_mono_may_have_one_dimension() -> None:
    samples = numpy.full(100, 0.5, numpy.float32)
    pure_sound.Chain(["gain:gain_db=0"], 48_000, 1).process(samples)
    assert pure_sound.Audio(samples, 48_000).samples.shape == (1, 100)


def test_other_types_are_refused_and_the_way_out_is_told(noise: Samples) -> None:
    with pytest.raises(TypeError, match=r"float64.*astype\(numpy.float32\)"):
        gain(0).process(noise.astype(numpy.float64))
    with pytest.raises(TypeError, match="list"):
        gain(0).process([[0.0]])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="float32"):
        pure_sound.Audio(noise.astype(numpy.int16), 48_000)


def test_a_transposed_array_is_not_taken_for_channels(noise: Samples) -> None:
    with pytest.raises(pure_sound.InvalidValueError, match="interleaved") as raised:
        gain(0).process(numpy.ascontiguousarray(noise.T))
    assert raised.value.details["name"] == "samples.shape"


def test_arrays_that_cannot_be_written_are_refused(noise: Samples) -> None:
    noise.flags.writeable = False
    with pytest.raises(ValueError):
        gain(0).process(noise)
    out = gain(0).apply(noise)
    numpy.testing.assert_array_equal(out, noise)
    assert not numpy.shares_memory(out, noise)


def test_audio_is_a_view_of_what_it_was_given(noise: Samples) -> None:
    interleaved = numpy.ascontiguousarray(noise.T)
    audio = pure_sound.Audio.from_interleaved(interleaved, 48_000)
    assert numpy.shares_memory(audio.samples, interleaved)
    assert (audio.channels, audio.frames, audio.duration_s, audio.layout) == (2, 48_000, 1.0, "stereo")
    assert numpy.shares_memory(audio.between(0.25, 0.5).samples, interleaved)
    assert audio.between(0.25, 0.5).frames == 12_000
    numpy.testing.assert_array_equal(audio.to_interleaved(), interleaved)
    assert numpy.shares_memory(numpy.asarray(audio), interleaved)


def test_empty_arrays_are_no_special_case() -> None:
    empty = numpy.zeros((2, 0), numpy.float32)
    gain(0).process(empty)
    assert gain(0).apply(empty).shape == (2, 0)
    meter = pure_sound.Meter(48_000, 2)
    meter.push(empty)
    assert meter.frames == 0
    assert pure_sound.Resampler(44_100, 48_000, 2).process(empty).shape == (2, 0)
