"""Live objects: decoder, encoder, chain, meter, resampler."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack, cast

from . import _native
from ._io import Source, Target, as_input, dump, format_json
from ._record import Loudness

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    from . import types
    from ._io import Format
    from ._engine import Engine


def _engine(engine: Engine | None) -> _native.Engine:
    if engine is None:
        from ._engine import default_engine

        engine = default_engine()
    return engine.native


class Decoder:
    """Reads one input in blocks: numpy arrays of float32, (channels, frames).

    >>> with pure_sound.Decoder("talk.mp3") as decoder:
    ...     for block in decoder.blocks(4096):
    ...         print(block.shape)
    """

    def __init__(self, source: Source, *, engine: Engine | None = None, **options: Unpack[types.ReadOptions]) -> None:
        self._native = _engine(engine).open(as_input(source), dump(options))

    @property
    def info(self) -> types.StreamInfo:
        """What is being decoded. The duration may become more exact while reading."""
        return cast("types.StreamInfo", json.loads(self._native.info()))

    @property
    def rate_hz(self) -> int:
        """Sample rate in Hz."""
        return self._native.rate_hz

    @property
    def channels(self) -> int:
        """Number of channels."""
        return self._native.channels

    @property
    def layout(self) -> str:
        """Name of the layout."""
        return self._native.layout

    def read(self, max_frames: int) -> NDArray[numpy.float32]:
        """The next frames, at least one and at most `max_frames`; none at the end. A new array of (channels, frames)."""
        return self._native.read(max_frames)

    def read_interleaved(self, max_frames: int) -> NDArray[numpy.float32]:
        """As `read`, (frames, channels)."""
        return self._native.read_interleaved(max_frames)

    def read_into(self, out: NDArray[numpy.float32]) -> int:
        """Fills `out`, (channels, frames), and gives the number of frames: less than its length at the end only."""
        return self._native.read_into(out)

    def blocks(self, frames: int = 65_536) -> Iterator[NDArray[numpy.float32]]:
        """Blocks of at most so many frames until the end."""
        while (block := self._native.read(frames)).shape[1]:
            yield block

    def __iter__(self) -> Iterator[NDArray[numpy.float32]]:
        return self.blocks()

    def seek(self, frame: int) -> None:
        """Continues at exactly this frame."""
        self._native.seek(frame)

    @property
    def damage(self) -> types.Damage:
        """Damage met so far."""
        return cast("types.Damage", json.loads(self._native.damage()))

    def close(self) -> None:
        """Lets go of the input. Closing again does nothing."""
        self._native.close()

    @property
    def closed(self) -> bool:
        """True after `close`."""
        return self._native.closed

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Decoder {self.layout}, {self.rate_hz} Hz{', closed' if self.closed else ''}>"


class Encoder:
    """Encodes blocks to a path (the file appears when it is finished, whole), a seekable binary file object, or memory.

    As a context manager it finishes at the end of the block, and aborts when the block raised.

    >>> with pure_sound.Encoder("out.flac", 48000, 2) as encoder:
    ...     encoder.write(samples)
    >>> encoder.encoded["frames"]
    """

    def __init__(
        self,
        target: Target | None,
        rate_hz: int,
        channels: int,
        *,
        format: Format | None = None,
        metadata: types.Metadata | Mapping[str, Any] | None = None,
        layout: str | None = None,
        overwrite: bool = True,
        engine: Engine | None = None,
    ) -> None:
        self._native = _engine(engine).encoder(
            target, rate_hz, channels, format_json(format), dump(metadata), layout, overwrite
        )
        #: What was written, after `finish`.
        self.encoded: types.Encoded | None = None
        #: The bytes, after `finish`, when there is no target.
        self.data: bytes | None = None

    @property
    def negotiated(self) -> types.Negotiated:
        """What is written: rate, layout, settings with every default filled in, and why they differ from the samples."""
        return cast("types.Negotiated", json.loads(self._native.negotiated()))

    def write(self, samples: NDArray[numpy.float32]) -> None:
        """Encodes (channels, frames)."""
        self._native.write(samples)

    def write_interleaved(self, samples: NDArray[numpy.float32]) -> None:
        """Encodes (frames, channels)."""
        self._native.write_interleaved(samples)

    @property
    def frames(self) -> int:
        """Frames written so far."""
        return self._native.frames

    def finish(self) -> types.Encoded:
        """Completes the file and tells what was written."""
        text, self.data = self._native.finish()
        self.encoded = cast("types.Encoded", json.loads(text))
        return self.encoded

    def abort(self) -> None:
        """Gives up: no file is left. Does nothing after `finish`."""
        self._native.abort()

    @property
    def closed(self) -> bool:
        """True after `finish` or `abort`."""
        return self._native.closed

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.abort()
        elif not self.closed:
            self.finish()


class Chain(_native.Chain):
    """Filters in series on a stream of samples, in place.

    `filters` are objects (``{"type": "highpass", "cutoff_hz": 80}``) or their short forms (``"highpass:cutoff_hz=80"``). The work
    is done in blocks of at most `max_frames`; results do not depend on it. One thread at a time may use a chain. A pickled chain
    comes back as new: the filters travel, the signal does not.

    >>> chain = pure_sound.Chain(["highpass:cutoff_hz=80", {"type": "gain", "gain_db": -3}], 48000, 2)
    >>> chain.process(samples)  # (channels, frames), float32, changed where they lie
    """

    #: As given.
    filters: Sequence[types.Filter | str]
    _again: tuple[Any, ...]

    def __new__(
        cls,
        filters: Sequence[types.Filter | str],
        rate_hz: int,
        channels: int,
        *,
        layout: str | None = None,
        max_frames: int = 2048,
        engine: Engine | None = None,
    ) -> Self:
        native = None if engine is None else engine.native
        self = cast("Self", super().__new__(cls, json.dumps(filters), rate_hz, channels, layout, max_frames, native))
        self.filters = filters
        self._again = (filters, rate_hz, channels, layout, max_frames)
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _chain, self._again

    def __repr__(self) -> str:
        return f"<Chain {json.dumps(self.filters)}>"


def _chain(filters: Any, rate_hz: int, channels: int, layout: str | None, max_frames: int) -> Chain:
    return Chain(filters, rate_hz, channels, layout=layout, max_frames=max_frames)


class Meter(_native.Meter):
    """Measures a stream: loudness (ITU-R BS.1770-5, EBU R 128), true peak, levels.

    >>> meter = pure_sound.Meter(48000, 2)
    >>> meter.push(samples)
    >>> meter.integrated_lufs
    """

    def __new__(
        cls, rate_hz: int, channels: int, *, layout: str | None = None, **options: Unpack[types.MeterOptions]
    ) -> Self:
        return cast("Self", super().__new__(cls, rate_hz, channels, layout, dump(options)))

    def summary(self) -> types.Loudness:  # type: ignore[override]
        """All results so far. Levels of silence are None."""
        return cast("types.Loudness", Loudness(json.loads(super().summary())))


class Resampler(_native.Resampler):
    """Converts the rate of a stream. Quality: fast, good (default) or best.

    >>> resampler = pure_sound.Resampler(44100, 48000, 2)
    >>> out = numpy.concatenate([resampler.process(samples), resampler.finish()], axis=1)
    """
