"""How audio and records look in a notebook: HTML with pictures in SVG."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._audio import Audio

#: Size of the pictures in points.
WIDTH, WAVE_HEIGHT, LOUDNESS_HEIGHT = 640, 60, 90
#: Range of the loudness picture in LUFS.
QUIET_LUFS, LOUD_LUFS = -60.0, 0.0
#: Points of a curve; there are no more pixels.
MAX_POINTS = 640
#: Longest part that is measured for display, in seconds: about a second of work.
MAX_MEASURED_S = 600.0
#: Rows of a list in a table before the rest is only counted.
MAX_ROWS = 12


def envelope(channel: NDArray[Any], points: int = MAX_POINTS) -> tuple[NDArray[Any], NDArray[Any]]:
    """Lowest and highest sample of each of at most `points` equal parts."""
    import numpy

    starts = numpy.unique(numpy.linspace(0, len(channel), min(points, len(channel)), endpoint=False).astype(int))
    return numpy.minimum.reduceat(channel, starts), numpy.maximum.reduceat(channel, starts)


def waveform_svg(audio: Audio) -> str:
    """A picture of the samples, one band for each channel."""
    import numpy

    height = WAVE_HEIGHT * audio.channels
    parts = []
    for index, channel in enumerate(audio.samples):
        middle = WAVE_HEIGHT * (index + 0.5)
        low, high = (numpy.clip(side, -1, 1) * (WAVE_HEIGHT / 2 - 1) for side in envelope(channel))
        x = numpy.linspace(0, WIDTH, len(low))
        up = [f"{a:.1f},{middle - b:.1f}" for a, b in zip(x, high, strict=True)]
        down = [f"{a:.1f},{middle - b:.1f}" for a, b in zip(x[::-1], low[::-1], strict=True)]
        parts.append(f'<line x1="0" x2="{WIDTH}" y1="{middle}" y2="{middle}" stroke="#bbb" stroke-width="0.5"/>')
        parts.append(f'<polygon points="{" ".join(up + down)}" fill="#3a6ea5" stroke="#3a6ea5" stroke-width="0.5"/>')
    return _svg(height, "waveform", parts)


def loudness_curve(audio: Audio) -> tuple[list[float], list[float], list[float]]:
    """Times in seconds, momentary and short-term loudness in LUFS at them."""
    from ._live import Meter

    meter = Meter(audio.rate_hz, audio.channels, layout=audio.layout, true_peak=False, range=False)
    frames = min(audio.frames, round(MAX_MEASURED_S * audio.rate_hz))
    step = max(frames // MAX_POINTS, audio.rate_hz // 10, 1)
    times, momentary, short_term = [], [], []
    for start in range(0, frames - step + 1, step):
        meter.push(audio.samples[:, start : start + step])
        times.append((start + step) / audio.rate_hz)
        momentary.append(meter.momentary_lufs)
        short_term.append(meter.short_term_lufs)
    return times, momentary, short_term


def loudness_svg(audio: Audio) -> str:
    """A picture of momentary (light) and short-term (dark) loudness over time."""
    times, momentary, short_term = loudness_curve(audio)
    parts = []
    for level in range(int(QUIET_LUFS), int(LOUD_LUFS), 20):
        y = _level_y(level)
        parts.append(f'<line x1="0" x2="{WIDTH}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd" stroke-width="0.5"/>')
        parts.append(f'<text x="2" y="{y - 2:.1f}" font-size="9" fill="#888">{level} LUFS</text>')
    for levels, colour in ((momentary, "#e0a458"), (short_term, "#8c3b2a")):
        points = " ".join(
            f"{time / audio.duration_s * WIDTH:.1f},{_level_y(level):.1f}"
            for time, level in zip(times, levels, strict=True)
        )
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1"/>')
    return _svg(LOUDNESS_HEIGHT, "loudness", parts)


def _level_y(level: float) -> float:
    held = min(max(level, QUIET_LUFS), LOUD_LUFS)
    return (LOUD_LUFS - held) / (LOUD_LUFS - QUIET_LUFS) * LOUDNESS_HEIGHT


def _svg(height: float, label: str, parts: list[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{label}" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}">{"".join(parts)}</svg>'
    )


def audio_html(audio: Audio) -> str:
    """What a notebook shows for audio."""
    caption = f"{audio.layout}, {audio.rate_hz} Hz, {audio.duration_s:.2f} s"
    pictures = [waveform_svg(audio), loudness_svg(audio)] if audio.frames else []
    return f"<figure>{'<br>'.join(pictures)}<figcaption>{escape(caption)}</figcaption></figure>"


def _value_html(value: Any) -> str:
    if isinstance(value, Mapping):
        return _table(value) if value else "&ndash;"
    if isinstance(value, list):
        shown = "".join(f"<li>{_value_html(item)}</li>" for item in value[:MAX_ROWS])
        more = f"<li>and {len(value) - MAX_ROWS} more</li>" if len(value) > MAX_ROWS else ""
        return f"<ol>{shown}{more}</ol>" if value else "&ndash;"
    if value is None:
        return "&ndash;"
    if isinstance(value, float):
        return f"{value:.6g}"
    text = str(value)
    return escape(text if len(text) <= 200 else text[:197] + "...")


def _table(record: Mapping[str, Any]) -> str:
    rows = "".join(
        f'<tr><th style="text-align:left">{escape(str(key))}</th><td style="text-align:left">{_value_html(value)}</td></tr>'
        for key, value in record.items()
    )
    return f"<table>{rows}</table>"


def record_html(title: str, record: Mapping[str, Any]) -> str:
    """What a notebook shows for a record."""
    return f"<details open><summary>{escape(title)}</summary>{_table(record)}</details>"


def report_html(report: Mapping[str, Any]) -> str:
    """What a notebook shows for a report: levels before and after as a table and a picture, then everything."""
    levels: list[tuple[str, Mapping[str, Any]]] = []
    for name in ("before", "loudness", "measured"):
        if isinstance(report.get(name), Mapping):
            levels.append((name, report[name]))
    for output in report.get("outputs", []):
        measured = output.get("loudness") or output.get("measured") or output.get("after")
        if isinstance(measured, Mapping):
            levels.append((str(output.get("path") or "output"), measured))
    rows = "".join(
        f'<tr><th style="text-align:left">{escape(name)}</th>'
        + "".join(f"<td>{_value_html(level.get(key))}</td>" for key in ("integrated_lufs", "range_lu", "true_peak_dbtp"))
        + f"<td>{_bar(level.get('integrated_lufs'))}</td></tr>"
        for name, level in levels
    )
    head = "<tr><th></th><th>LUFS</th><th>range LU</th><th>peak dBTP</th><th></th></tr>"
    summary = f"<table>{head}{rows}</table>" if levels else ""
    return f"{summary}<details><summary>Report</summary>{_table(report)}</details>"


def _bar(level: Any) -> str:
    if not isinstance(level, int | float):
        return ""
    width = (min(max(level, QUIET_LUFS), LOUD_LUFS) - QUIET_LUFS) / (LOUD_LUFS - QUIET_LUFS) * 200
    return f'<svg width="200" height="10"><rect width="{width:.1f}" height="10" fill="#8c3b2a"/></svg>'
