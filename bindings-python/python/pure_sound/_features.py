"""Features over time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from . import types


class Features(Mapping[str, "NDArray[np.float32]"]):
    """Features over time by name: float32 arrays of ``(frames,)`` or ``(bands, frames)``, named as in `types.Series`.

    >>> features = pure_sound.features("talk.mp3")
    >>> features["mfcc"].shape
    (20, 1234)
    """

    def __init__(self, analysis: types.Analysis, arrays: Mapping[str, NDArray[np.float32]]) -> None:
        #: The record of the whole recording.
        self.analysis = analysis
        self._arrays = dict(arrays)

    def __getitem__(self, name: str) -> NDArray[np.float32]:
        try:
            return self._arrays[name]
        except KeyError:
            raise KeyError(f"no feature {name!r}; there are {', '.join(self._arrays)}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    @property
    def frame_rate_hz(self) -> float:
        """Frames per second."""
        return self.analysis["features"]["frame_rate_hz"]

    @property
    def times_s(self) -> NDArray[np.float64]:
        """Time of each frame in seconds."""
        return np.arange(self.analysis["features"]["frames"]) / self.frame_rate_hz

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in self._arrays.items())
        return f"Features({shapes})"
