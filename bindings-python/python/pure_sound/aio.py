"""Awaitable forms. The work runs in threads without Python's lock; cancelling a task stops it within a block.

>>> report = await pure_sound.aio.process("talk.mp3", "talk.opus", preset="podcast")

The functions of this module use the default engine; ``engine.aio`` has the same for another one.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, Unpack

from . import _native
from ._engine import Engine, default_engine
from ._events import Event
from ._live import Decoder
from ._progress import Progress

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    from . import types
    from ._audio import Audio
    from ._features import Features
    from ._io import Format, Source, Target

_T = TypeVar("_T")

#: Threads that wait for calls. The calls themselves share the threads of their engine.
_THREADS = min(32, (os.cpu_count() or 1) + 4)
_executor: ThreadPoolExecutor | None = None


def _submit(work: Callable[[], _T]) -> Future[_T]:
    global _executor
    if _executor is None:
        _executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="pure-sound-aio")
    return _executor.submit(work)


async def _call(work: Callable[[], _T], token: _native.CancelToken | None = None) -> _T:
    """Waits for `work` in a thread. When the task is cancelled, so is the work, and it has ended when this returns."""
    future = _submit(work)
    waiter = asyncio.wrap_future(future)
    try:
        return await asyncio.shield(waiter)
    except asyncio.CancelledError:
        if token is not None:
            token.cancel()
        while not future.cancel() and not future.done():
            try:
                await asyncio.wait([waiter])
            except asyncio.CancelledError:
                continue
        if waiter.done() and not waiter.cancelled():
            waiter.exception()  # seen: that of the cancelled work
        raise


class AsyncRun:
    """A running call: ``async for progress in run`` tells its progress, ``await run`` gives its report."""

    def __init__(self, work: Callable[[Callable[[Progress], None], _native.CancelToken], types.Report]) -> None:
        loop = asyncio.get_running_loop()
        self._token = _native.CancelToken()
        self._steps: asyncio.Queue[Progress | None] = asyncio.Queue()

        def step(progress: Progress) -> None:
            loop.call_soon_threadsafe(self._steps.put_nowait, progress)

        self._task = asyncio.ensure_future(_call(partial(work, step, self._token), self._token))
        self._task.add_done_callback(lambda task: self._steps.put_nowait(None))

    async def __aiter__(self) -> AsyncIterator[Progress]:
        while (step := await self._steps.get()) is not None:
            yield step
        self._steps.put_nowait(None)

    def __await__(self) -> Generator[Any, None, types.Report]:
        return self._task.__await__()

    def cancel(self) -> None:
        """Asks it to stop. It does within one block."""
        self._token.cancel()

    async def _end(self) -> None:
        """Stops it and waits until it has, whatever it ends with."""
        self.cancel()
        await asyncio.wait([self._task])
        if not self._task.cancelled():
            self._task.exception()


class AsyncDecoder:
    """A `pure_sound.Decoder` with awaitable methods and blocks as an asynchronous iterator."""

    def __init__(self, decoder: Decoder) -> None:
        #: The decoder, for what does not wait.
        self.decoder = decoder

    async def read(self, max_frames: int) -> NDArray[numpy.float32]:
        """The next frames, at most `max_frames`; none at the end."""
        return await _call(partial(self.decoder.read, max_frames))

    async def seek(self, frame: int) -> None:
        """Continues at exactly this frame."""
        await _call(partial(self.decoder.seek, frame))

    async def blocks(self, frames: int = 65_536) -> AsyncIterator[NDArray[numpy.float32]]:
        """Blocks of at most so many frames until the end."""
        while (block := await self.read(frames)).shape[1]:
            yield block

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.decoder.close()


class AsyncEngine:
    """An engine with awaitable methods. See the methods of `pure_sound.Engine` for what they do."""

    def __init__(self, engine: Engine | None = None) -> None:
        self._engine = engine

    @property
    def engine(self) -> Engine:
        """The engine itself."""
        return self._engine or default_engine()

    async def probe(self, source: Source, **options: Unpack[types.ReadOptions]) -> types.MediaInfo:
        """Tells what an input is."""
        return await _call(partial(self.engine.probe, source, **options))

    async def tags(self, source: Source, **options: Unpack[types.ReadOptions]) -> types.Metadata:
        """Reads tags, pictures and chapters."""
        return await _call(partial(self.engine.tags, source, **options))

    async def measure(
        self, source: Source, *, tenant: str | None = None, **options: Unpack[types.ReadOptions]
    ) -> types.Loudness:
        """Measures loudness, true peak and levels of a whole input."""
        token = _native.CancelToken()
        return await _call(partial(self.engine.measure, source, cancel=token, tenant=tenant, **options), token)

    async def analyse(
        self, source: Source, *, tenant: str | None = None, **options: Unpack[types.AnalyseOptions]
    ) -> types.Analysis:
        """Tells what a whole input is like."""
        token = _native.CancelToken()
        return await _call(partial(self.engine.analyse, source, cancel=token, tenant=tenant, **options), token)

    async def features(
        self, source: Source, *, tenant: str | None = None, **options: Unpack[types.AnalyseOptions]
    ) -> Features:
        """As `analyse`, with all features over time."""
        token = _native.CancelToken()
        return await _call(partial(self.engine.features, source, cancel=token, tenant=tenant, **options), token)

    async def check(
        self, source: Source, *specifications: str, tenant: str | None = None, **options: Unpack[types.ReadOptions]
    ) -> types.CheckReport:
        """Looks for faults; holds the input against delivery specifications."""
        token = _native.CancelToken()
        work = partial(self.engine.check, source, *specifications, cancel=token, tenant=tenant, **options)
        return await _call(work, token)

    async def classify(
        self,
        source: Source,
        *,
        tenant: str | None = None,
        **options: Unpack[types.ClassifyOptions],
    ) -> types.Content:
        """As `Engine.classify`."""
        token = _native.CancelToken()
        work = partial(self.engine.classify, source, tenant=tenant, cancel=token, **options)
        return await _call(work, token)

    async def recommend(
        self,
        source: Source,
        *,
        tenant: str | None = None,
        **options: Unpack[types.RecommendOptions],
    ) -> types.Recommendation:
        """As `Engine.recommend`."""
        token = _native.CancelToken()
        work = partial(self.engine.recommend, source, tenant=tenant, cancel=token, **options)
        return await _call(work, token)

    async def compare(
        self,
        reference: Source,
        degraded: Source,
        *,
        tenant: str | None = None,
        **options: Unpack[types.CompareOptions],
    ) -> types.Comparison:
        """As `Engine.compare`."""
        token = _native.CancelToken()
        work = partial(self.engine.compare, reference, degraded, tenant=tenant, cancel=token, **options)
        return await _call(work, token)

    async def waveform_peaks(
        self,
        source: Source,
        *,
        tenant: str | None = None,
        **options: Unpack[types.PeakOptions],
    ) -> types.Peaks:
        """As `Engine.waveform_peaks`."""
        token = _native.CancelToken()
        work = partial(self.engine.waveform_peaks, source, tenant=tenant, cancel=token, **options)
        return await _call(work, token)

    async def waveform_png(
        self,
        source: Source,
        *,
        tenant: str | None = None,
        **options: Unpack[types.WaveformOptions],
    ) -> bytes:
        """As `Engine.waveform_png`."""
        token = _native.CancelToken()
        work = partial(self.engine.waveform_png, source, tenant=tenant, cancel=token, **options)
        return await _call(work, token)

    async def spectrogram_png(
        self,
        source: Source,
        *,
        tenant: str | None = None,
        **options: Unpack[types.SpectrogramOptions],
    ) -> bytes:
        """As `Engine.spectrogram_png`."""
        token = _native.CancelToken()
        work = partial(self.engine.spectrogram_png, source, tenant=tenant, cancel=token, **options)
        return await _call(work, token)

    async def analysis_page(
        self,
        source: Source,
        *,
        tenant: str | None = None,
        **options: Unpack[types.PageOptions],
    ) -> types.AnalysisPage:
        """As `Engine.analysis_page`."""
        token = _native.CancelToken()
        work = partial(self.engine.analysis_page, source, tenant=tenant, cancel=token, **options)
        return await _call(work, token)

    async def comparison_page(
        self,
        before: Source,
        after: Source,
        *,
        report: types.Report | Mapping[str, Any] | None = None,
        tenant: str | None = None,
        **options: Unpack[types.PageOptions],
    ) -> str:
        """As `Engine.comparison_page`."""
        token = _native.CancelToken()
        work = partial(self.engine.comparison_page, before, after, report=report, tenant=tenant, cancel=token, **options)
        return await _call(work, token)

    async def decode(
        self, source: Source, *, tenant: str | None = None, **options: Unpack[types.ReadOptions]
    ) -> Audio:
        """Decodes a whole input into memory."""
        token = _native.CancelToken()
        return await _call(partial(self.engine.decode, source, cancel=token, tenant=tenant, **options), token)

    async def open(self, source: Source, **options: Unpack[types.ReadOptions]) -> AsyncDecoder:
        """Opens an input for reading blocks."""
        return AsyncDecoder(await _call(lambda: Decoder(source, engine=self.engine, **options)))

    async def encode(
        self,
        audio: Audio,
        target: Target,
        *,
        format: Format | None = None,
        metadata: types.Metadata | Mapping[str, Any] | None = None,
    ) -> types.Encoded:
        """Encodes audio to a file or a binary file object."""
        return await _call(partial(self.engine.encode, audio, target, format=format, metadata=metadata))

    async def plan(
        self, source: Source, /, *targets: Target, format: Format | None = None, **request: Unpack[types.Request]
    ) -> types.Plan:
        """Tells what `process` would do."""
        return await _call(partial(self.engine.plan, source, *targets, format=format, **request))

    async def process(
        self,
        source: Source,
        /,
        *targets: Target,
        format: Format | None = None,
        progress: Callable[[Progress], object] | None = None,
        tenant: str | None = None,
        **request: Unpack[types.Request],
    ) -> types.Report:
        """Filters, levels, encodes and verifies. `progress` is called in the thread of the event loop."""
        run = self.start(source, *targets, format=format, tenant=tenant, **request)
        try:
            async for step in run:
                if progress is not None and progress(step) is False:
                    run.cancel()
            return await run
        except BaseException:
            await run._end()
            raise

    def start(
        self,
        source: Source,
        /,
        *targets: Target,
        format: Format | None = None,
        tenant: str | None = None,
        **request: Unpack[types.Request],
    ) -> AsyncRun:
        """As `process`, with the progress as an asynchronous iterator."""
        call = partial(self.engine.process, source, *targets, format=format, tenant=tenant, **request)
        return AsyncRun(lambda step, token: call(progress=step, cancel=token))

    async def health(self, probe: Literal["live", "ready", "startup"] | None = None) -> types.HealthAnswer:
        """What a probe answers. Checks may take a second."""
        return await _call(partial(self.engine.health, probe))

    async def events(self, pattern: str = "**") -> AsyncGenerator[Event, None]:
        """Events whose topic fits, from now on."""
        poller = self.engine.poll(pattern)
        try:
            while True:
                event = await _call(partial(poller.next, 0.25))
                if event is not None:
                    yield event
        finally:
            poller.close()


_shared = AsyncEngine()
probe = _shared.probe
tags = _shared.tags
measure = _shared.measure
analyse = _shared.analyse
features = _shared.features
check = _shared.check
classify = _shared.classify
recommend = _shared.recommend
compare = _shared.compare
waveform_peaks = _shared.waveform_peaks
waveform_png = _shared.waveform_png
spectrogram_png = _shared.spectrogram_png
analysis_page = _shared.analysis_page
comparison_page = _shared.comparison_page
decode = _shared.decode
open = _shared.open
encode = _shared.encode
plan = _shared.plan
process = _shared.process
start = _shared.start
events = _shared.events
