"""Awaitable forms."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import numpy
import pytest
from conftest import MUSIC, SPEECH

import pure_sound
from pure_sound import aio


def test_calls_can_be_awaited_together(tmp_path: Path) -> None:
    async def main() -> None:
        info, tags, loudness, audio = await asyncio.gather(
            aio.probe(SPEECH), aio.tags(MUSIC), aio.measure(SPEECH), aio.decode(SPEECH)
        )
        assert info["stream"]["spec"]["rate_hz"] == audio.rate_hz
        assert loudness["frames"] == audio.frames
        assert tags["fields"]
        await aio.encode(audio, tmp_path / "a.flac")
        plan = await aio.plan(SPEECH, tmp_path / "b.flac")
        assert plan["outputs"]

    asyncio.run(main())
    numpy.testing.assert_array_equal(
        pure_sound.decode(tmp_path / "a.flac").samples, pure_sound.decode(SPEECH).samples
    )


def test_progress_is_told_in_the_loop(tmp_path: Path) -> None:
    heard = []

    async def main() -> None:
        loop = asyncio.get_running_loop()

        def tell(progress: pure_sound.Progress) -> None:
            assert asyncio.get_running_loop() is loop
            heard.append(progress.fraction)

        await aio.process(SPEECH, tmp_path / "a.flac", progress=tell)

    asyncio.run(main())
    assert heard == sorted(heard) and heard[-1] == 1.0


def test_progress_is_an_asynchronous_iterator(tmp_path: Path) -> None:
    async def main() -> list[float]:
        run = aio.start(SPEECH, tmp_path / "a.flac")
        steps = [progress.fraction async for progress in run]
        assert (await run)["outputs"]
        return steps

    steps = asyncio.run(main())
    assert steps == sorted(steps) and steps[-1] == 1.0


def test_cancelling_a_task_stops_the_work(tmp_path: Path, long_audio: pure_sound.Audio) -> None:
    async def main() -> None:
        begun = asyncio.Event()
        task = asyncio.create_task(
            aio.process(long_audio, tmp_path / "a.flac", progress=lambda progress: begun.set())
        )
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        # The work has ended when the task has: nothing appears later.
        assert os.listdir(tmp_path) == []

    asyncio.run(main())
    assert os.listdir(tmp_path) == []


def test_a_timeout_stops_the_work(long_audio: pure_sound.Audio) -> None:
    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await aio.measure(long_audio)

    asyncio.run(main())


def test_errors_come_out_of_await(tmp_path: Path, long_audio: pure_sound.Audio) -> None:
    async def main() -> None:
        with pytest.raises(pure_sound.NotFoundError):
            await aio.decode("/no/such/file")
        with pytest.raises(ZeroDivisionError):
            await aio.process(long_audio, tmp_path / "a.flac", progress=lambda progress: 1 / 0)

    asyncio.run(main())
    assert os.listdir(tmp_path) == []


def test_blocks_are_an_asynchronous_iterator() -> None:
    async def main() -> int:
        frames = 0
        async with await aio.open(SPEECH) as decoder:
            await decoder.seek(100)
            async for block in decoder.blocks(4096):
                frames += block.shape[1]
        assert decoder.decoder.closed
        return frames

    assert asyncio.run(main()) == pure_sound.decode(SPEECH).frames - 100


def test_events_are_an_asynchronous_iterator(tmp_path: Path) -> None:
    async def main() -> list[str]:
        engine = pure_sound.Engine()
        topics = []
        events = engine.aio.events("process.*")
        first = asyncio.ensure_future(anext(events))
        while engine.publish("process.mine", {}) and not first.done():
            await asyncio.sleep(0.01)
        await engine.aio.process(SPEECH, tmp_path / "a.flac")
        async for event in events:
            topics.append(event["topic"])
            if event["topic"] == "process.finished":
                break
        await events.aclose()
        return topics

    topics = asyncio.run(main())
    assert "process.started" in topics or "process.finished" in topics
