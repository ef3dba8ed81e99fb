"""Jobs: what survives the program that asked for it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import SPEECH

import pure_sound


def request(folder: Path, name: str) -> dict[str, object]:
    return {"input": str(SPEECH), "output": str(folder / name)}


def test_a_batch_is_done_by_threads(tmp_path: Path) -> None:
    with pure_sound.Jobs(tmp_path / "jobs.db") as jobs:
        made = jobs.submit(request(tmp_path, "a.flac"), request(tmp_path, "b.opus"), batch="two", priority=3)
        ids = [job["id"] for job in made["jobs"]]
        assert jobs.wait(ids, 0.05) is False
        jobs.start(workers=2)
        assert jobs.wait(ids, 120) is True
        assert jobs.wait() is True
        assert jobs.wait([]) is True
        assert jobs.stop() == 0
        assert [job["state"] for job in jobs] == ["succeeded", "succeeded"]
        assert made["batch"] is not None and jobs.batch(made["batch"])["states"] == {"succeeded": 2}
        assert [step["to"] for step in jobs.history(ids[0])][-1] == "succeeded"
        assert len(jobs.list(limit=1)) == 1
        assert "succeeded" in repr(jobs.get(ids[0]))
    assert (tmp_path / "a.flac").exists() and (tmp_path / "b.opus").exists()
    jobs.close()
    with pytest.raises(pure_sound.errors.ClosedError):
        jobs.stats()


def test_jobs_survive_the_program(tmp_path: Path) -> None:
    code = f"""
import pure_sound
pure_sound.Jobs({str(tmp_path / "jobs.db")!r}).submit({request(tmp_path, "late.wav")!r})
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    with pure_sound.Jobs(tmp_path / "jobs.db") as jobs:
        [job] = jobs
        assert job["state"] == "available"
        jobs.start(workers=1)
        assert jobs.wait(job["id"], 120)
    assert (tmp_path / "late.wav").exists()


def test_events_tell_of_them(tmp_path: Path) -> None:
    with pure_sound.Engine() as engine, pure_sound.Jobs(engine=engine) as jobs:
        states: list[str] = []
        with engine.subscribe("job.state", lambda event: states.append(event["payload"]["state"])):
            made = jobs.submit(request(tmp_path, "a.wav"))
            jobs.start()
            assert jobs.wait((job["id"] for job in made["jobs"]), 120)
            jobs.stop()
            deadline = time.monotonic() + 10
            while "succeeded" not in states and time.monotonic() < deadline:
                time.sleep(0.01)
        assert states[-1] == "succeeded"


def test_closing_hands_back_what_runs(tmp_path: Path) -> None:
    database = tmp_path / "jobs.db"
    with pure_sound.Jobs(database) as jobs:
        loop = {**request(tmp_path, "x.flac"), "filters": [{"type": "pitch", "semitones": 3}] * 8}
        made = jobs.submit(loop)
        jobs.start(workers=1)
        id = made["jobs"][0]["id"]
        deadline = time.monotonic() + 60
        while jobs.get(id)["state"] == "available" and time.monotonic() < deadline:
            time.sleep(0.005)
    with pure_sound.Jobs(database) as jobs:
        job = jobs.get(id)
        assert job["state"] in ("available", "succeeded") and job["attempts"] == 0


def test_a_cancelled_wait_leaves_the_jobs(tmp_path: Path) -> None:
    token = pure_sound.CancelToken()
    token.cancel()
    with pure_sound.Jobs() as jobs:
        made = jobs.submit(request(tmp_path, "a.wav"), run_at_ms=10**13)
        id = made["jobs"][0]["id"]
        with pytest.raises(pure_sound.errors.CancelledError):
            jobs.wait(id, cancel=token)
        assert jobs.get(id)["state"] == "scheduled"
        assert jobs.cancel(id, "no more") == "cancelled"
        assert jobs.cancel(id) == "over"
        with pytest.raises(pure_sound.errors.ConflictError):
            jobs.wait()
        with pytest.raises(pure_sound.errors.InvalidValueError, match="timeout_s"):
            jobs.wait(id, -1)
