"""Metrics, health, usage, log and tenants of an engine."""

from __future__ import annotations

import logging
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import SPEECH

import pure_sound

RunPython = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def engine() -> Iterator[pure_sound.Engine]:
    with pure_sound.Engine({"engine": {"threads": 2}}) as engine:
        yield engine


#: Half a second.
SHORT = pure_sound.decode(SPEECH).between(0, 0.5)


def work(engine: pure_sound.Engine) -> None:
    """Something that is told in the log."""
    engine.process_to_memory(SHORT, "wav")


def value(engine: pure_sound.Engine, series: str) -> float:
    """The value of a series in the text of the metrics."""
    [found] = re.findall(rf"^{re.escape(series)} (\S+)", engine.metrics(), re.MULTILINE)
    return float(found)


def test_metrics_count_what_is_done(engine: pure_sound.Engine, tmp_path: Path) -> None:
    audio = pure_sound.decode(SPEECH)
    done = 'pure_sound_operation_duration_seconds_count{operation="process"}'
    assert value(engine, done) == 0
    engine.process(SPEECH, tmp_path / "a.flac")
    engine.process(SPEECH, tmp_path / "b.flac")
    assert value(engine, done) == 2
    # Doubles add up in another order.
    assert value(engine, "pure_sound_process_audio_seconds_total") == pytest.approx(2 * audio.duration_s, rel=1e-9)
    assert engine.metrics().endswith("# EOF\n")
    with pure_sound.Engine() as other:
        assert value(other, done) == 0


def test_health_answers_each_probe(engine: pure_sound.Engine) -> None:
    live, ready, startup = engine.health("live"), engine.health("ready"), engine.health(probe="startup")
    assert (live["status"], startup["status"]) == ("pass", "pass")
    assert ready["status"] in ("pass", "warn", "fail")
    everything = engine.health()
    assert everything["releaseId"] == pure_sound.version()
    assert {*live["checks"], *ready["checks"]} <= everything["checks"].keys()
    for [check] in everything["checks"].values():
        assert check["status"] in ("pass", "warn", "fail") and check["time"].endswith("Z")
    with pytest.raises(pure_sound.InvalidValueError) as raised:
        engine.health("lively")  # type: ignore[arg-type]
    assert raised.value.details["allowed"] == "live, ready, startup"
    assert "Health(" in repr(everything) and "<table>" in everything._repr_html_()  # type: ignore[attr-defined]


def test_usage_tells_what_is_held(tmp_path: Path, long_audio: pure_sound.Audio) -> None:
    engine = pure_sound.Engine({"resources": {"open_files": 8, "worker_threads": 4}})
    before = engine.usage()
    assert (before["holders"], before["granted"]) == (0, 0)
    seen: list[int] = []

    def look(progress: pure_sound.Progress) -> bool:
        seen.append(engine.usage()["holders"])
        return False

    with pytest.raises(pure_sound.CancelledError):
        engine.process(long_audio, tmp_path / "a.flac", progress=look)
    after = engine.usage()
    assert seen[0] == 1 and (after["holders"], after["granted"]) == (0, 1)
    budgets = {one["resource"]: one["budget"] for one in after["resources"]}
    assert {8, 4} <= set(budgets.values())


def test_a_tenant_has_its_share_of_the_budgets(tmp_path: Path) -> None:
    # All of the memory would do for one job, a hundredth of it does not.
    engine = pure_sound.Engine({"resources": {"memory_mib": 200, "tenant_share_percent": 1}})
    engine.process(SPEECH, tmp_path / "a.flac")
    with pytest.raises(pure_sound.LimitExceededError):
        engine.process(SPEECH, tmp_path / "b.flac", tenant="acme")
    with pytest.raises(pure_sound.LimitExceededError):
        engine.measure(SPEECH, tenant="acme")
    with pytest.raises(pure_sound.LimitExceededError), engine.start(SPEECH, tmp_path / "b.flac", tenant="acme") as run:
        run.result()
    assert engine.usage()["refused"] == 3
    assert [path.name for path in tmp_path.iterdir()] == ["a.flac"]


def test_log_records_have_level_target_message_and_fields(engine: pure_sound.Engine) -> None:
    heard: list[pure_sound.types.LogRecord] = []
    engine.log("trace", heard.append)
    work(engine)
    assert heard
    for record in heard:
        assert record["level"] in ("error", "warn", "info", "debug", "trace")
        assert record["target"].startswith("pure_sound") and record["message"]
        assert isinstance(record["fields"], dict) and record["time_ms"] > 1_700_000_000_000
    done = next(record for record in heard if record["message"] == "processed")
    assert done["level"] == "info" and done["fields"]["seconds"] == pytest.approx(0.5)
    assert [span["name"] for span in done["spans"]][0] == "run"
    counted = value(engine, 'pure_sound_log_records_total{level="info"}')
    assert counted == sum(record["level"] == "info" for record in heard)


def test_the_level_changes_while_it_runs(engine: pure_sound.Engine) -> None:
    heard: list[pure_sound.types.LogRecord] = []
    engine.log("error", heard.append)
    work(engine)
    assert heard == []
    with pytest.raises(FileNotFoundError):
        engine.process("/no/such/file.wav", "/no/such/folder/a.wav")
    assert [record["level"] for record in heard] == ["error"]
    engine.log("trace")
    work(engine)
    told = len(heard)
    assert told > 1
    engine.log("off")
    work(engine)
    engine.log("trace")  # nobody listens
    work(engine)
    assert len(heard) == told
    with pytest.raises(pure_sound.InvalidValueError) as raised:
        engine.log("loud", heard.append)  # type: ignore[arg-type]
    assert raised.value.details["value"] == "loud"


def test_a_callback_takes_the_place_of_the_one_before(engine: pure_sound.Engine) -> None:
    first: list[object] = []
    second: list[object] = []
    engine.log("trace", first.append)
    engine.log("trace", second.append)
    work(engine)
    assert second and not first


def test_a_log_callback_may_use_the_engine_and_end_itself(engine: pure_sound.Engine) -> None:
    heard: list[int] = []

    def hear(record: pure_sound.types.LogRecord) -> None:
        heard.append(len(engine.presets()))
        engine.log("off")

    engine.log("trace", hear)
    work(engine)
    assert heard
    told = len(heard)
    work(engine)
    assert len(heard) == told


def test_what_a_log_callback_raises_harms_nothing(
    engine: pure_sound.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    raised: list[BaseException | None] = []
    monkeypatch.setattr("sys.unraisablehook", lambda args: raised.append(args.exc_value))
    engine.log("trace", lambda record: 1 / 0)
    work(engine)
    assert raised and {type(error) for error in raised} == {ZeroDivisionError}


def test_many_threads_log_at_once_while_listeners_change(engine: pure_sound.Engine) -> None:
    lock = threading.Lock()
    heard = 0

    def hear(record: pure_sound.types.LogRecord) -> None:
        nonlocal heard
        with lock:
            heard += 1

    engine.log("trace", hear)
    threads = [threading.Thread(target=work, args=(engine,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        engine.log("trace", hear)
    for thread in threads:
        thread.join()
    work(engine)
    assert heard > 0


def test_records_go_on_to_logging(engine: pure_sound.Engine, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "pure_sound"):
        engine.log_to()
        work(engine)
    assert caplog.records
    for record in caplog.records:
        assert record.name.startswith("pure_sound") and record.levelno >= logging.DEBUG
        assert isinstance(record.fields, dict)  # type: ignore[attr-defined]
        assert record.getMessage()
    caplog.clear()
    with caplog.at_level(logging.WARNING, "mine"):
        engine.log_to("mine")
        work(engine)
    assert caplog.records == []


def test_the_interpreter_ends_while_the_log_is_busy(run_python: RunPython, tmp_path: Path) -> None:
    short = tmp_path / "short.wav"
    pure_sound.encode(SHORT, short)
    # Threads log without pause until the very end.
    result = run_python(
        """
        import sys, threading, pure_sound
        engine = pure_sound.Engine({"engine": {"threads": 2}})
        engine.log("trace", lambda record: None)
        def work():
            while True:
                engine.measure(sys.argv[1])
        for _ in range(4):
            threading.Thread(target=work, daemon=True).start()
        engine.measure(sys.argv[1])
        print("end")
        """,
        str(SPEECH),
    )
    assert (result.returncode, result.stdout.strip()) == (0, "end"), result.stderr


def test_a_forked_process_is_told(run_python: RunPython) -> None:
    result = run_python(
        """
        import os, sys, warnings, pure_sound
        warnings.simplefilter("ignore", DeprecationWarning)
        engine = pure_sound.Engine()
        engine.log("trace", lambda record: None)
        child = os.fork()
        if child == 0:
            told = 0
            for call in (engine.metrics, engine.health, engine.usage, lambda: engine.log("info")):
                try:
                    call()
                except pure_sound.ConflictError:
                    told += 1
            sys.exit(told)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """
    )
    assert result.stdout.split() == ["4"], result.stderr
