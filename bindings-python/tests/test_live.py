"""Chain, meter, resampler, events."""

from __future__ import annotations

import gc
import threading
from pathlib import Path

import numpy
import pytest
from conftest import SPEECH
from numpy.typing import NDArray

import pure_sound

Samples = NDArray[numpy.float32]


def test_block_size_does_not_matter(noise: Samples) -> None:
    filters: list[pure_sound.types.Filter | str] = ["highpass:cutoff_hz=90", {"type": "compressor"}, "gain:gain_db=-2"]
    results = []
    for size in (64, 1000, 48_000):
        work = noise.copy()
        chain = pure_sound.Chain(filters, 48_000, 2, max_frames=size)
        chain.process(work[:, :777])
        chain.process(work[:, 777:])
        results.append(work.tobytes())
    assert len(set(results)) == 1


def test_parameters_glide_while_it_runs(noise: Samples) -> None:
    chain = pure_sound.Chain(["gain:gain_db=0"], 48_000, 2)
    first = noise[:, :24_000].copy()
    chain.process(first)
    chain.set_glide_ms(0)
    chain.set_parameter(0, "gain_db", -20)
    assert chain.parameter(0, "gain_db") == -20
    second = noise[:, 24_000:].copy()
    chain.process(second)
    numpy.testing.assert_array_equal(first, noise[:, :24_000])
    # -20 dB is 0.1; float32 rounds the factor and the product.
    numpy.testing.assert_allclose(second, noise[:, 24_000:] * 0.1, rtol=3e-7)
    with pytest.raises(pure_sound.UnknownNameError):
        chain.set_parameter(0, "gain", 1)
    with pytest.raises(pure_sound.OutOfRangeError):
        chain.set_parameter(1, "gain_db", 1)


def test_a_chain_that_changes_the_rate_gives_a_new_array(noise: Samples) -> None:
    chain = pure_sound.Chain(["resample:rate_hz=24000"], 48_000, 2)
    assert (chain.rate_hz, chain.channels) == (24_000, 2)
    with pytest.raises(pure_sound.ConflictError, match="apply"):
        chain.process(noise)
    out = numpy.concatenate([chain.apply(noise), chain.finish()], axis=1)
    assert out.shape == (2, 24_000)


def test_latency_and_repr() -> None:
    chain = pure_sound.Chain(["limiter"], 48_000, 2)
    assert chain.latency_frames > 0 and chain.is_realtime
    assert "limiter" in repr(chain)


def test_a_meter_agrees_with_measure(noise: Samples) -> None:
    audio = pure_sound.Audio(noise, 48_000)
    meter = pure_sound.Meter(48_000, 2)
    for start in range(0, 48_000, 1234):
        meter.push(noise[:, start : start + 1234])
    assert meter.summary() == pure_sound.measure(audio) == audio.measure()
    assert meter.frames == 48_000 and meter.momentary_lufs < 0 and meter.short_term_lufs < 0
    meter.reset()
    assert meter.frames == 0 and meter.integrated_lufs == float("-inf")


def test_a_resampler_keeps_count(noise: Samples) -> None:
    resampler = pure_sound.Resampler(48_000, 44_100, 2)
    out = [resampler.process(noise[:, start : start + 5000]) for start in range(0, 48_000, 5000)]
    out.append(resampler.finish())
    assert sum(block.shape[1] for block in out) == 44_100
    with pytest.raises(pure_sound.ConflictError):
        resampler.process(noise)
    resampler.reset()
    assert resampler.process_interleaved(numpy.ascontiguousarray(noise.T)).shape[1] == 2


def test_events_are_called_and_polled(tmp_path: Path) -> None:
    engine = pure_sound.Engine()
    heard: list[str] = []
    done = threading.Event()

    def hear(event: pure_sound.Event) -> None:
        heard.append(event["topic"])
        if event["topic"] == "process.finished":
            done.set()

    with engine.poll("process.finished") as poller, engine.subscribe("process.*", hear):
        assert poller.next(0) is None
        engine.process(SPEECH, tmp_path / "a.flac")
        assert done.wait(30)
        event = poller.next(30)
        assert event is not None and event["payload"]["outcome"] == "succeeded"
    assert "process.finished" in heard
    assert engine.publish("mine.thing", {"n": 1}) > 0


def test_a_callback_may_end_its_own_subscription() -> None:
    engine = pure_sound.Engine()
    called = threading.Event()
    holder: list[pure_sound.Subscription] = []

    def hear(event: pure_sound.Event) -> None:
        holder[0].close()
        called.set()

    holder.append(engine.subscribe("mine.*", hear))
    engine.publish("mine.one", {})
    assert called.wait(30)
    engine.publish("mine.two", {})


def test_a_callback_that_raises_does_not_end_anything() -> None:
    engine = pure_sound.Engine()
    heard = threading.Event()
    raised: list[BaseException | None] = []

    def hear(event: pure_sound.Event) -> None:
        if event["topic"] == "mine.bad":
            raise ZeroDivisionError
        heard.set()

    import sys

    before, sys.unraisablehook = sys.unraisablehook, lambda args: raised.append(args.exc_value)
    try:
        with engine.subscribe("mine.*", hear):
            engine.publish("mine.bad", {})
            engine.publish("mine.good", {})
            assert heard.wait(30)
    finally:
        sys.unraisablehook = before
    assert [type(error) for error in raised] == [ZeroDivisionError]


def test_closing_while_callbacks_run_does_not_hang() -> None:
    for _ in range(20):
        engine = pure_sound.Engine({"engine": {"threads": 1}})
        subscription = engine.subscribe("mine.*", lambda event: sum(range(1000)))
        for _ in range(50):
            engine.publish("mine.x", {})
        engine.close()
        del engine
        subscription.close()
    gc.collect()
