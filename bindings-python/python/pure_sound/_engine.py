"""`Engine`: the facade."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, Unpack, cast

from . import _native
from ._audio import Audio
from ._events import Event, Poller, Subscription
from ._io import Source, Target, as_input, dump, dump_request, format_json, format_of, is_file_object
from ._progress import Native, ProgressLike, Run, native
from ._pictures import Pictures
from ._record import Analysis, Check, Health, Loudness, MediaInfo, Metadata, Plan, Report, Usage
from .errors import ClosedError

if TYPE_CHECKING:
    import logging

    from . import types
    from ._features import Features
    from ._io import Format
    from ._log import Level
    from .aio import AsyncEngine


class Engine(Pictures):
    """An audio engine: threads, presets, settings, events. Make one and share it between threads.

    `settings` are shaped like a configuration file, ``{"engine": {"threads": 2}}``. The functions of the package use one engine
    with the default settings. An engine can be pickled: it comes back as a new one with the same settings, so it can be handed to
    worker processes. It cannot be used in a process made by fork; that raises ConflictError.
    """

    def __init__(self, settings: types.Settings | Mapping[str, Any] | None = None) -> None:
        self._settings = settings
        self._native: _native.Engine | None = _native.Engine(dump(settings))

    @property
    def native(self) -> _native.Engine:
        """The engine of the extension."""
        if self._native is None:
            raise ClosedError({"code": 902, "name": "CLOSED", "kind": "unavailable", "message": "engine is closed"})
        return self._native

    def close(self) -> None:
        """Ends its threads and subscriptions, once calls that still run are done. Closing again does nothing."""
        self._native = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[type[Self], tuple[Any, ...]]:
        return type(self), (self._settings,)

    def __repr__(self) -> str:
        return f"Engine({self._settings!r})" if self._settings else "Engine()"

    @property
    def aio(self) -> AsyncEngine:
        """The same with awaitable methods."""
        from .aio import AsyncEngine

        return AsyncEngine(self)

    # What there is.

    def presets(self) -> list[types.Preset]:
        """All presets."""
        return cast("list[types.Preset]", json.loads(self.native.presets()))

    def preset(self, name: str) -> types.Preset:
        """The preset called `name`."""
        return cast("types.Preset", json.loads(self.native.preset(name)))

    def config(self) -> types.Settings:
        """The settings, every value filled in."""
        return cast("types.Settings", json.loads(self.native.config()))

    def recipe(self, request: Mapping[str, Any] | None = None, **more: Unpack[types.Request]) -> types.Recipe:
        """The complete recipe that a request asks for."""
        text = dump_request({**request, **more} if isinstance(request, Mapping) else more if request is None else request)
        return cast("types.Recipe", json.loads(self.native.recipe(text)))

    # What is done with inputs.

    def probe(self, source: Source, **options: Unpack[types.ReadOptions]) -> types.MediaInfo:
        """Tells what an input is, without decoding all of it."""
        return cast("types.MediaInfo", MediaInfo(json.loads(self.native.probe(as_input(source), dump(options)))))

    def tags(self, source: Source, **options: Unpack[types.ReadOptions]) -> types.Metadata:
        """Reads tags, pictures and chapters, also of files whose audio cannot be decoded here."""
        return cast("types.Metadata", Metadata(json.loads(self.native.tags(as_input(source), dump(options)))))

    def measure(
        self,
        source: Source,
        *,
        progress: ProgressLike | None = None,
        cancel: _native.CancelToken | None = None,
        tenant: str | None = None,
        **options: Unpack[types.ReadOptions],
    ) -> types.Loudness:
        """Measures loudness, true peak and levels of a whole input. Levels of silence are None.

        `progress`, `cancel` and `tenant` are as in `process`.
        """
        text = self.native.measure(as_input(source), dump(options), native(progress), cancel, tenant)
        return cast("types.Loudness", Loudness(json.loads(text)))

    def analyse(
        self,
        source: Source,
        *,
        progress: ProgressLike | None = None,
        cancel: _native.CancelToken | None = None,
        tenant: str | None = None,
        **options: Unpack[types.AnalyseOptions],
    ) -> types.Analysis:
        """Tells what a whole input is like: loudness, features, tempo, key, pitch, sound and silence.

        ``analysis=`` says what to find (``{"features": {"pitch": False}}``), ``read=`` how to read. `progress`, `cancel` and `tenant` are
        as in `process`. For features over time as arrays see `features`.
        """
        text = self.native.analyse(as_input(source), dump(options), native(progress), cancel, tenant)
        return cast("types.Analysis", Analysis(json.loads(text)))

    def features(
        self,
        source: Source,
        *,
        progress: ProgressLike | None = None,
        cancel: _native.CancelToken | None = None,
        tenant: str | None = None,
        **options: Unpack[types.AnalyseOptions],
    ) -> Features:
        """As `analyse`, with all features over time: a mapping from names to numpy arrays, ``(frames,)`` or ``(bands, frames)``."""
        from ._features import Features

        text, arrays = self.native.features(as_input(source), dump(options), native(progress), cancel, tenant)
        return Features(cast("types.Analysis", Analysis(json.loads(text))), dict(arrays))

    def check(
        self,
        source: Source,
        *specifications: str,
        progress: ProgressLike | None = None,
        cancel: _native.CancelToken | None = None,
        tenant: str | None = None,
        **options: Unpack[types.ReadOptions],
    ) -> types.CheckReport:
        """Looks at a whole input for faults, and holds it against delivery specifications such as ``"acx"``; ``"all"``: every one.

        `progress`, `cancel` and `tenant` are as in `process`.
        """
        names = json.dumps(specifications)
        text = self.native.check(as_input(source), names, dump(options), native(progress), cancel, tenant)
        return cast("types.CheckReport", Check(json.loads(text)))

    def decode(
        self,
        source: Source,
        *,
        progress: ProgressLike | None = None,
        cancel: _native.CancelToken | None = None,
        tenant: str | None = None,
        **options: Unpack[types.ReadOptions],
    ) -> Audio:
        """Decodes a whole input into memory.

        `progress`, `cancel` and `tenant` are as in `process`.
        """
        samples, rate_hz, layout = self.native.decode(as_input(source), dump(options), native(progress), cancel, tenant)
        return Audio(samples, rate_hz, layout)

    def open(self, source: Source, **options: Unpack[types.ReadOptions]) -> Any:
        """Opens an input for reading blocks: a `Decoder`."""
        from ._live import Decoder

        return Decoder(source, engine=self, **options)

    def encode(
        self,
        audio: Audio,
        target: Target,
        *,
        format: Format | None = None,
        metadata: types.Metadata | Mapping[str, Any] | None = None,
    ) -> types.Encoded:
        """Encodes audio to a file, which appears whole or not at all, or to a binary file object. No level is changed.

        The extension of a path decides the format unless it is stated.
        """
        if is_file_object(target):
            if format is None:
                raise ValueError("format must be stated: a file object has no extension that tells it")
            encoded, data = self.encode_to_memory(audio, format, metadata=metadata)
            cast("Any", target).write(data)
            return encoded
        path = cast("str | os.PathLike[str]", target)
        text = self.native.encode(
            audio.samples, audio.rate_hz, path, format_json(format), dump(metadata), audio.layout, False
        )
        return cast("types.Encoded", json.loads(text))

    def encode_to_memory(
        self, audio: Audio, format: Format, *, metadata: types.Metadata | Mapping[str, Any] | None = None
    ) -> tuple[types.Encoded, bytes]:
        """Encodes audio to bytes: (record, bytes)."""
        text, data = self.native.encode_to_memory(
            audio.samples, audio.rate_hz, json.dumps(format_of(format)), dump(metadata), audio.layout, False
        )
        return cast("types.Encoded", json.loads(text)), data

    # The main job.

    def plan(self, source: Source, /, *targets: Target, format: Format | None = None, **request: Unpack[types.Request]) -> types.Plan:
        """Tells what `process` would do, and why."""
        request, _ = _with_targets(request, targets, format)
        return cast("types.Plan", Plan(json.loads(self.native.plan(as_input(source), dump_request(request)))))

    def process(
        self,
        source: Source,
        /,
        *targets: Target,
        format: Format | None = None,
        progress: ProgressLike | None = None,
        cancel: _native.CancelToken | None = None,
        tenant: str | None = None,
        **request: Unpack[types.Request],
    ) -> types.Report:
        """Filters, levels, encodes and verifies. Outputs appear whole or not at all.

        >>> pure_sound.process("talk.mp3", "talk.opus", preset="podcast")

        `targets` are paths, or binary file objects with their `format`. `progress` is called with a `Progress` in this thread, and
        cancels by returning False; it may be a ``tqdm(total=1)``. Ctrl-C stops the work within 0.2 s. `tenant` says on whose behalf it
        is done: it counts for the share that one tenant may have of the budgets (``resources.tenant_share_percent``).
        """
        request, files = _with_targets(request, targets, format)
        text = dump_request(request)
        if not files:
            report = self.native.process(as_input(source), text, native(progress), cancel, tenant)
            return cast("types.Report", Report(json.loads(report)))
        report, outputs = self.native.process_to_memory(as_input(source), text, native(progress), cancel, tenant)
        for file, data in zip(files, outputs, strict=True):
            file.write(data)
        return cast("types.Report", Report(json.loads(report)))

    def process_to_memory(
        self,
        source: Source,
        /,
        *formats: Format,
        progress: ProgressLike | None = None,
        cancel: _native.CancelToken | None = None,
        tenant: str | None = None,
        **request: Unpack[types.Request],
    ) -> tuple[types.Report, list[bytes]]:
        """As `process`, but the outputs come back as bytes: (report, outputs). One output for each format."""
        if formats:
            request["outputs"] = [{"format": format_of(format)} for format in formats]
        report, outputs = self.native.process_to_memory(as_input(source), dump_request(request), native(progress), cancel, tenant)
        return cast("types.Report", Report(json.loads(report))), outputs

    def start(
        self,
        source: Source,
        /,
        *targets: Target,
        format: Format | None = None,
        tenant: str | None = None,
        **request: Unpack[types.Request],
    ) -> Run:
        """As `process`, in a thread of its own: iterate over the `Run` for its progress, then take its result."""
        request, files = _with_targets(request, targets, format)
        text, given, engine = dump_request(request), as_input(source), self.native

        def work(progress: Native, cancel: _native.CancelToken) -> types.Report:
            if not files:
                return cast("types.Report", Report(json.loads(engine.process(given, text, progress, cancel, tenant))))
            report, outputs = engine.process_to_memory(given, text, progress, cancel, tenant)
            for file, data in zip(files, outputs, strict=True):
                file.write(data)
            return cast("types.Report", Report(json.loads(report)))

        return Run(work)

    # Events.

    def subscribe(
        self, pattern: str, callback: Callable[[Event], object], *, lane_events: int | None = None
    ) -> Subscription:
        """Calls `callback` with each event whose topic fits, from a thread of the engine, until the subscription is closed.

        What the callback raises goes to `sys.unraisablehook`. It may close its own subscription.
        """
        call = callback
        return Subscription(self.native.subscribe(pattern, lambda text: call(json.loads(text)), lane_events))

    def poll(self, pattern: str, *, lane_events: int | None = None, from_oldest: bool = False) -> Poller:
        """Queues events until they are asked for: an iterator."""
        return Poller(self.native.poll(pattern, lane_events, from_oldest))

    def publish(self, topic: str, payload: Any, *, key: str | None = None) -> int:
        """Publishes an event of the host and gives its number."""
        return self.native.publish(topic, json.dumps(payload), key)

    # What it does.

    def metrics(self) -> str:
        """The figures of this engine as OpenMetrics text, as Prometheus and others read it."""
        return self.native.metrics()

    def health(self, probe: Literal["live", "ready", "startup"] | None = None) -> types.HealthAnswer:
        """What a probe answers: does it run (``live``), can it take work (``ready``), is it up (``startup``)? Without: everything.

        ``status`` is pass, warn or fail; the shape is that of ``application/health+json``. Takes a second at most.
        """
        return cast("types.HealthAnswer", Health(json.loads(self.native.health(probe))))

    def usage(self) -> types.Usage:
        """What jobs hold of the budgets of this engine, and who waits for them."""
        return cast("types.Usage", Usage(json.loads(self.native.usage())))

    def log(self, level: Level, callback: Callable[[types.LogRecord], object] | None = None) -> None:
        """Calls `callback` with each log record of `level` and above: ``level``, ``target``, ``message``, ``fields``, ``spans``, ``time_ms``.

        It takes the place of the one before, which is not called any more when this returns. Without a callback: sets how much
        is told, also by runs on their way; ``log("off")`` ends it. The callback is called from any thread of the engine, several at
        a time; what it raises goes to `sys.unraisablehook`.
        """
        if callback is None:
            self.native.log(level)
        else:
            call = callback
            self.native.log(level, lambda text: call(json.loads(text)))

    def log_to(self, logger: logging.Logger | str = "pure_sound", level: Level | None = None) -> None:
        """Hands log records on to Python's `logging`, each to the child of `logger` that is named after the part that speaks.

        `level` is by default what the logger lets through now. Records have the extra attributes ``fields`` and ``spans``.
        """
        from ._log import forward, level_of

        self.log(level or level_of(logger), forward(logger))


def _with_targets(
    request: types.Request, targets: tuple[Target, ...], format: Format | None
) -> tuple[types.Request, list[Any]]:
    """The request with these outputs, and the file objects among them."""
    files: list[Any] = [target for target in targets if is_file_object(target)]
    if files and len(files) < len(targets):
        raise ValueError("outputs of one call are all paths or all file objects")
    if files and format is None:
        raise ValueError("format must be stated: a file object has no extension that tells it")
    if targets:
        # Whole recipes, such as those of recommendations, have an empty list.
        if request.get("outputs") or "output" in request:
            raise ValueError("outputs are given twice: as arguments and in the request")
        outputs: list[Any] = [{} if files else {"path": os.fspath(cast("str", target))} for target in targets]
        if format is not None:
            for output in outputs:
                output["format"] = format_of(format)
        request["outputs"] = outputs
    request.pop("input", None)
    return request, files


_default: Engine | None = None


def default_engine() -> Engine:
    """The engine of the functions of this package, made when it is first needed."""
    global _default
    if _default is None:
        _default = Engine()
    return _default


def events(pattern: str = "**") -> Iterator[Event]:
    """Events of the default engine, as they come."""
    return iter(default_engine().poll(pattern))
