"""The table of cases that every language runs, and the table of names."""

from __future__ import annotations

import inspect
import json
from typing import Any

import parity
import pytest

import pure_sound

#: Names that are idioms of Python and have no match in other languages.
PYTHON_ONLY = {
    "Poller", "ProgressLike", "Progress", "Run", "Subscription", "Event", "Source", "Target", "aio", "types", "errors", "default_engine", "events",
    "Audio.between", "Audio.duration_s", "Audio.measure", "Audio.samples",
    "Chain.apply", "Chain.channels", "Chain.is_realtime", "Chain.layout", "Chain.non_finite_samples", "Chain.parameter", "Chain.rate_hz",
    "Decoder.blocks", "Decoder.channels", "Decoder.closed", "Decoder.layout", "Decoder.rate_hz", "Decoder.read_into",
    "Encoder.closed", "Encoder.frames", "Encoder.negotiated",
    "Engine.aio", "Engine.close", "Engine.log_to", "Engine.native", "Engine.open", "Engine.start",
    "analyse", "analysis_page", "check", "classify", "compare", "comparison_page", "decode", "encode", "features", "measure", "plan",
    "preset", "presets", "probe", "process", "recipe", "recommend", "spectrogram_png", "tags", "waveform_peaks", "waveform_png",
}  # fmt: skip


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in parity.cases()])
def test_case(case: dict[str, Any]) -> None:
    parity.run_case(case)


def test_no_operation_is_left_out() -> None:
    assert {case["op"] for case in parity.cases()} == parity.OPERATIONS.keys()


def public_names() -> set[str]:
    names = set(pure_sound.__all__) - {cls.__name__ for cls in pure_sound.errors.by_name.values()}
    for name in list(names):
        cls = getattr(pure_sound, name)
        if inspect.isclass(cls) and not issubclass(cls, tuple) and cls.__module__.startswith("pure_sound"):
            if issubclass(cls, Exception) or name == "Run":
                continue
            names |= {f"{name}.{member}" for member in dir(cls) if not member.startswith("_")}
    return names


def test_names_are_those_of_the_table() -> None:
    rows = json.loads((parity.CASES.parent / "api.json").read_text(encoding="utf-8"))["api"]
    table = {row["python"] for row in rows if row["python"] is not None}
    names = public_names()
    assert sorted(table - names) == []
    assert sorted(names - table - PYTHON_ONLY) == []
    assert sorted(PYTHON_ONLY - names) == []
