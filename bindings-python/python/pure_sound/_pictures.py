"""What `Engine` does for people's eyes and decisions: recommendations, comparisons, pictures and pages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Unpack, cast

from . import _native
from ._io import Source, as_input, dump
from ._progress import ProgressLike, native
from ._record import AnalysisPage, Comparison, Content, Peaks, Recommendation

if TYPE_CHECKING:
    from . import types


class Pictures:
    """A part of `Engine`. `progress`, `cancel` and `tenant` are as in `Engine.process`."""

    @property
    def native(self) -> _native.Engine:
        """The engine of the extension."""
        raise NotImplementedError

    def classify(
        self,
        source: Source,
        *,
        progress: ProgressLike | None = None,
        cancel: _native.CancelToken | None = None,
        tenant: str | None = None,
        **options: Unpack[types.ClassifyOptions],
    ) -> types.Content:
        """Tells speech, music, speech over music, noise and silence in an input apart, and where somebody speaks.

        ``content={"silence_dbfs": -50}`` says what counts as silence, ``read=`` how to read it.
        """
        text = _native.classify(self.native, as_input(source), dump(options), native(progress), cancel, tenant)
        return cast("types.Content", Content(json.loads(text)))

    def recommend(
        self,
        source: Source,
        *,
        progress: ProgressLike | None = None,
        cancel: _native.CancelToken | None = None,
        tenant: str | None = None,
        **options: Unpack[types.RecommendOptions],
    ) -> types.Recommendation:
        """Tells what to do with an input: preset, filters, channels, codec, each with its reason, and all of it as ``["recipe"]``.

        ``content="speech"`` or ``"music"`` says what it is, when that is known.
        """
        text = _native.recommend(self.native, as_input(source), dump(options), native(progress), cancel, tenant)
        return cast("types.Recommendation", Recommendation(json.loads(text)))

    def compare(
        self,
        reference: Source,
        degraded: Source,
        *,
        progress: ProgressLike | None = None,
        cancel: _native.CancelToken | None = None,
        tenant: str | None = None,
        **options: Unpack[types.CompareOptions],
    ) -> types.Comparison:
        """Tells how far a recording lies off its reference: SNR, SI-SDR, log-spectral distance, and what a listener would notice.

        ``compare={"match_level": True}`` says how, ``read=`` how to read both.
        """
        inputs = as_input(reference), as_input(degraded)
        text = _native.compare(self.native, *inputs, dump(options), native(progress), cancel, tenant)
        return cast("types.Comparison", Comparison(json.loads(text)))

    def waveform_peaks(
        self,
        source: Source,
        *,
        progress: ProgressLike | None = None,
        cancel: _native.CancelToken | None = None,
        tenant: str | None = None,
        **options: Unpack[types.PeakOptions],
    ) -> types.Peaks:
        """Lowest and highest samples for players that draw themselves: ``peaks={"samples_per_pixel": 512}``."""
        text = _native.waveform_peaks(self.native, as_input(source), dump(options), native(progress), cancel, tenant)
        return cast("types.Peaks", Peaks(json.loads(text)))

    def waveform_png(
        self,
        source: Source,
        *,
        progress: ProgressLike | None = None,
        cancel: _native.CancelToken | None = None,
        tenant: str | None = None,
        **options: Unpack[types.WaveformOptions],
    ) -> bytes:
        """The waveform of a whole input as the bytes of a PNG file."""
        return _native.waveform_png(self.native, as_input(source), dump(options), native(progress), cancel, tenant)

    def spectrogram_png(
        self,
        source: Source,
        *,
        progress: ProgressLike | None = None,
        cancel: _native.CancelToken | None = None,
        tenant: str | None = None,
        **options: Unpack[types.SpectrogramOptions],
    ) -> bytes:
        """A spectrogram of a whole input as the bytes of a PNG file."""
        return _native.spectrogram_png(self.native, as_input(source), dump(options), native(progress), cancel, tenant)

    def analysis_page(
        self,
        source: Source,
        *,
        progress: ProgressLike | None = None,
        cancel: _native.CancelToken | None = None,
        tenant: str | None = None,
        **options: Unpack[types.PageOptions],
    ) -> types.AnalysisPage:
        """A page for people, one HTML file, as ``["html"]``; what stands on it as data: ``["analysis"]``, ``["check"]``.

        ``specifications=["acx"]`` are held against it.
        """
        text = _native.analysis_page(self.native, as_input(source), dump(options), native(progress), cancel, tenant)
        return cast("types.AnalysisPage", AnalysisPage(json.loads(text)))

    def comparison_page(
        self,
        before: Source,
        after: Source,
        *,
        report: types.Report | Mapping[str, Any] | None = None,
        progress: ProgressLike | None = None,
        cancel: _native.CancelToken | None = None,
        tenant: str | None = None,
        **options: Unpack[types.PageOptions],
    ) -> str:
        """A page of a recording before and after it was processed, as HTML; with the steps of `report`, when that is given."""
        inputs = as_input(before), as_input(after)
        return _native.comparison_page(
            self.native, *inputs, dump(report), dump(options), native(progress), cancel, tenant
        )
