"""Pure Sound: decode anything, filter, level with proof, encode, keep the tags.

>>> import pure_sound
>>> report = pure_sound.process("talk.mp3", "talk.opus", preset="podcast")
>>> audio = pure_sound.decode("talk.mp3")  # audio.samples: numpy float32 of (channels, frames)

Inputs are paths, bytes, binary file objects or `Audio`. Long calls let other threads run, take ``progress=`` and ``cancel=``, and
stop at Ctrl-C. Awaitable forms are in `pure_sound.aio`; exceptions in `pure_sound.errors`; types of options and records in
`pure_sound.types`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Unpack

from . import _native, errors
from ._audio import Audio
from ._engine import Engine, default_engine, events
from ._events import Event, Poller, Subscription
from ._jobs import Jobs
from ._io import Source, Target
from ._live import Chain, Decoder, Encoder, Meter, Resampler
from ._native import CancelToken
from ._progress import Progress, ProgressLike, Run
from .errors import *  # noqa: F403
from .errors import PureSoundError

if TYPE_CHECKING:
    from . import aio, types
    from ._features import Features
    from ._io import Format

__version__ = _native.version()
__all__ = [
    "Audio",
    "CancelToken",
    "Chain",
    "Decoder",
    "Encoder",
    "Engine",
    "Event",
    "Jobs",
    "Meter",
    "Poller",
    "Progress",
    "ProgressLike",
    "PureSoundError",
    "Resampler",
    "Run",
    "Source",
    "Subscription",
    "Target",
    "aio",
    "analyse",
    "analysis_page",
    "check",
    "classify",
    "compare",
    "comparison_page",
    "decode",
    "default_engine",
    "encode",
    "error_table",
    "errors",
    "events",
    "features",
    "filters",
    "measure",
    "plan",
    "preset",
    "presets",
    "probe",
    "process",
    "recipe",
    "recommend",
    "schema",
    "spectrogram_png",
    "tags",
    "types",
    "version",
    "waveform_peaks",
    "waveform_png",
]
__all__ += [cls.__name__ for cls in errors.by_name.values()]


def __getattr__(name: str) -> Any:
    # Only who uses these pays for importing them.
    if name in ("aio", "types"):
        import importlib

        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def version() -> str:
    """Version of the library."""
    return _native.version()


def error_table() -> list[tuple[int, str, str]]:
    """(number, name, kind) of every error, the same in every language."""
    return _native.error_table()


def filters(name: str | None = None) -> Any:
    """All filters with their parameters, or the one called `name`."""
    all_filters: list[types.FilterInfo] = json.loads(_native.filters())
    if name is None:
        return all_filters
    return next((one for one in all_filters if one["name"] == name), None)


def schema(name: str | None = None) -> Any:
    """The JSON Schema called `name`, or all by name."""
    return json.loads(_native.schema(name))


def presets() -> list[types.Preset]:
    """All presets."""
    return default_engine().presets()


def preset(name: str) -> types.Preset:
    """The preset called `name`."""
    return default_engine().preset(name)


def recipe(request: Mapping[str, Any] | None = None, **more: Unpack[types.Request]) -> types.Recipe:
    """The complete recipe that a request asks for."""
    return default_engine().recipe(request, **more)


def probe(source: Source, **options: Unpack[types.ReadOptions]) -> types.MediaInfo:
    """Tells what an input is, without decoding all of it."""
    return default_engine().probe(source, **options)


def tags(source: Source, **options: Unpack[types.ReadOptions]) -> types.Metadata:
    """Reads tags, pictures and chapters, also of files whose audio cannot be decoded here."""
    return default_engine().tags(source, **options)


def measure(
    source: Source,
    *,
    progress: ProgressLike | None = None,
    cancel: CancelToken | None = None,
    tenant: str | None = None,
    **options: Unpack[types.ReadOptions],
) -> types.Loudness:
    """Measures loudness, true peak and levels of a whole input. Levels of silence are None."""
    return default_engine().measure(source, progress=progress, cancel=cancel, tenant=tenant, **options)


def analyse(
    source: Source,
    *,
    progress: ProgressLike | None = None,
    cancel: CancelToken | None = None,
    tenant: str | None = None,
    **options: Unpack[types.AnalyseOptions],
) -> types.Analysis:
    """Tells what a whole input is like: loudness, features, tempo, key, pitch, sound and silence."""
    return default_engine().analyse(source, progress=progress, cancel=cancel, tenant=tenant, **options)


def features(
    source: Source,
    *,
    progress: ProgressLike | None = None,
    cancel: CancelToken | None = None,
    tenant: str | None = None,
    **options: Unpack[types.AnalyseOptions],
) -> Features:
    """As `analyse`, with all features over time: a mapping from names to numpy arrays, ``(frames,)`` or ``(bands, frames)``."""
    return default_engine().features(source, progress=progress, cancel=cancel, tenant=tenant, **options)


def check(
    source: Source,
    *specifications: str,
    progress: ProgressLike | None = None,
    cancel: CancelToken | None = None,
    tenant: str | None = None,
    **options: Unpack[types.ReadOptions],
) -> types.CheckReport:
    """Looks at a whole input for faults, and holds it against delivery specifications such as ``"acx"``; ``"all"``: every one."""
    return default_engine().check(source, *specifications, progress=progress, cancel=cancel, tenant=tenant, **options)


def classify(
    source: Source,
    *,
    progress: ProgressLike | None = None,
    cancel: CancelToken | None = None,
    tenant: str | None = None,
    **options: Unpack[types.ClassifyOptions],
) -> types.Content:
    """Tells speech, music, speech over music, noise and silence in an input apart, and where somebody speaks."""
    return default_engine().classify(source, progress=progress, cancel=cancel, tenant=tenant, **options)


def recommend(
    source: Source,
    *,
    progress: ProgressLike | None = None,
    cancel: CancelToken | None = None,
    tenant: str | None = None,
    **options: Unpack[types.RecommendOptions],
) -> types.Recommendation:
    """Tells what to do with an input: preset, filters, channels, codec, each with its reason, and all of it as ``["recipe"]``."""
    return default_engine().recommend(source, progress=progress, cancel=cancel, tenant=tenant, **options)


def compare(
    reference: Source,
    degraded: Source,
    *,
    progress: ProgressLike | None = None,
    cancel: CancelToken | None = None,
    tenant: str | None = None,
    **options: Unpack[types.CompareOptions],
) -> types.Comparison:
    """Tells how far a recording lies off its reference: SNR, SI-SDR, log-spectral distance, and what a listener would notice."""
    return default_engine().compare(reference, degraded, progress=progress, cancel=cancel, tenant=tenant, **options)


def waveform_peaks(
    source: Source,
    *,
    progress: ProgressLike | None = None,
    cancel: CancelToken | None = None,
    tenant: str | None = None,
    **options: Unpack[types.PeakOptions],
) -> types.Peaks:
    """Lowest and highest samples for players that draw themselves: ``peaks={"samples_per_pixel": 512}``."""
    return default_engine().waveform_peaks(source, progress=progress, cancel=cancel, tenant=tenant, **options)


def waveform_png(
    source: Source,
    *,
    progress: ProgressLike | None = None,
    cancel: CancelToken | None = None,
    tenant: str | None = None,
    **options: Unpack[types.WaveformOptions],
) -> bytes:
    """The waveform of a whole input as the bytes of a PNG file."""
    return default_engine().waveform_png(source, progress=progress, cancel=cancel, tenant=tenant, **options)


def spectrogram_png(
    source: Source,
    *,
    progress: ProgressLike | None = None,
    cancel: CancelToken | None = None,
    tenant: str | None = None,
    **options: Unpack[types.SpectrogramOptions],
) -> bytes:
    """A spectrogram of a whole input as the bytes of a PNG file."""
    return default_engine().spectrogram_png(source, progress=progress, cancel=cancel, tenant=tenant, **options)


def analysis_page(
    source: Source,
    *,
    progress: ProgressLike | None = None,
    cancel: CancelToken | None = None,
    tenant: str | None = None,
    **options: Unpack[types.PageOptions],
) -> types.AnalysisPage:
    """A page for people, one HTML file, as ``["html"]``; what stands on it as data: ``["analysis"]``, ``["check"]``."""
    return default_engine().analysis_page(source, progress=progress, cancel=cancel, tenant=tenant, **options)


def comparison_page(
    before: Source,
    after: Source,
    *,
    report: types.Report | Mapping[str, Any] | None = None,
    progress: ProgressLike | None = None,
    cancel: CancelToken | None = None,
    tenant: str | None = None,
    **options: Unpack[types.PageOptions],
) -> str:
    """A page of a recording before and after it was processed, as HTML; with the steps of `report`, when that is given."""
    return default_engine().comparison_page(
        before, after, report=report, progress=progress, cancel=cancel, tenant=tenant, **options
    )


def decode(
    source: Source,
    *,
    progress: ProgressLike | None = None,
    cancel: CancelToken | None = None,
    tenant: str | None = None,
    **options: Unpack[types.ReadOptions],
) -> Audio:
    """Decodes a whole input into memory."""
    return default_engine().decode(source, progress=progress, cancel=cancel, tenant=tenant, **options)


def encode(
    audio: Audio,
    target: Target,
    *,
    format: Format | None = None,
    metadata: types.Metadata | Mapping[str, Any] | None = None,
) -> types.Encoded:
    """Encodes audio to a file, which appears whole or not at all, or to a binary file object. No level is changed."""
    return default_engine().encode(audio, target, format=format, metadata=metadata)


def plan(
    source: Source, /, *targets: Target, format: Format | None = None, **request: Unpack[types.Request]
) -> types.Plan:
    """Tells what `process` would do, and why."""
    return default_engine().plan(source, *targets, format=format, **request)


def process(
    source: Source,
    /,
    *targets: Target,
    format: Format | None = None,
    progress: ProgressLike | None = None,
    cancel: CancelToken | None = None,
    tenant: str | None = None,
    **request: Unpack[types.Request],
) -> types.Report:
    """Filters, levels, encodes and verifies. Outputs appear whole or not at all. See `Engine.process`."""
    return default_engine().process(
        source, *targets, format=format, progress=progress, cancel=cancel, tenant=tenant, **request
    )
