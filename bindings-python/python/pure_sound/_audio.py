"""`Audio`: samples with their rate and layout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import numpy
    from numpy.typing import DTypeLike, NDArray

    from . import types


class Audio:
    """Samples in memory: a numpy array of float32 of the shape (channels, frames), where +/-1.0 is full scale.

    The array is the one that was given or decoded, not a copy. In a notebook it shows its waveform and loudness.
    """

    __slots__ = ("layout", "rate_hz", "samples")

    #: (channels, frames), float32.
    samples: NDArray[numpy.float32]
    #: Frames per second, in Hz.
    rate_hz: int
    #: mono, stereo, 5.1, ...: the usual one of as many channels unless stated.
    layout: str

    def __init__(self, samples: NDArray[numpy.float32], rate_hz: int, layout: str | None = None) -> None:
        if samples.ndim == 1:
            samples = samples[None, :]
        if samples.ndim != 2 or samples.dtype != "float32":
            raise TypeError(
                f"samples must be float32 of the shape (channels, frames), not {samples.dtype} of {samples.shape}"
            )
        self.samples = samples
        self.rate_hz = rate_hz
        self.layout = layout or _USUAL.get(len(samples), f"{len(samples)} channels")

    @classmethod
    def from_interleaved(cls, samples: NDArray[numpy.float32], rate_hz: int, layout: str | None = None) -> Self:
        """Audio from an array of (frames, channels), as soundfile gives it. A view: nothing is copied."""
        return cls(samples[None, :] if samples.ndim == 1 else samples.T, rate_hz, layout)

    def to_interleaved(self) -> NDArray[numpy.float32]:
        """A copy of the samples as (frames, channels)."""
        import numpy

        return numpy.ascontiguousarray(self.samples.T)

    @property
    def channels(self) -> int:
        """Number of channels."""
        return int(self.samples.shape[0])

    @property
    def frames(self) -> int:
        """Number of frames."""
        return int(self.samples.shape[1])

    @property
    def duration_s(self) -> float:
        """Duration in seconds."""
        return self.frames / self.rate_hz

    def between(self, start_s: float = 0.0, end_s: float | None = None) -> Audio:
        """The part between two times in seconds. A view: nothing is copied."""
        end = None if end_s is None else round(end_s * self.rate_hz)
        return Audio(self.samples[:, round(start_s * self.rate_hz) : end], self.rate_hz, self.layout)

    def measure(self) -> types.Loudness:
        """Loudness, true peak and levels."""
        from ._live import Meter

        meter = Meter(self.rate_hz, self.channels, layout=self.layout)
        meter.push(self.samples)
        return meter.summary()

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        import numpy

        if copy:
            return numpy.array(self.samples, dtype=dtype)
        return numpy.asarray(self.samples, dtype=dtype)

    def __repr__(self) -> str:
        return f"<Audio {self.layout}, {self.rate_hz} Hz, {self.frames} frames ({self.duration_s:.3f} s)>"

    def _repr_html_(self) -> str:
        from ._display import audio_html

        return audio_html(self)

    def __reduce__(self) -> tuple[type[Audio], tuple[Any, ...]]:
        return Audio, (self.samples, self.rate_hz, self.layout)


_USUAL = {1: "mono", 2: "stereo", 3: "3.0", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
