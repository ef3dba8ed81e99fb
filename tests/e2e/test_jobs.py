"""Queued work: it is done once, whoever is killed, and says why when it cannot be done."""

import json
import os
import shutil
import signal
import subprocess
import time

import pytest

from conftest import BIN, MUSIC, SPEECH, ffprobe, names, puresound

# Leases that end soon, so that tests need not wait for them.
QUICK = {**os.environ, "PURESOUND_JOBS__LEASE_MS": "2000"}


@pytest.fixture
def db(tmp_path):
    return tmp_path / "jobs.db"


def submit(db, *args, check=0):
    return puresound("jobs", "submit", *args, "--db", db, "--json", check=check)


def one(db, *args):
    (job,) = submit(db, *args).json["jobs"]
    return job["id"]


def show(db, job):
    return puresound("jobs", "show", job, "--db", db, "--json").json


def worker(db, *args, **kwargs):
    command = [BIN, "worker", "--db", str(db), "--jsonl", "--workers", "2", *map(str, args)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=QUICK, **kwargs)


def work(db, *args, check=0):
    return puresound("worker", "--db", db, "--workers", 2, "--until-idle", "--json", *args, check=check, env=QUICK)


def until(db, job, *states, seconds=60):
    """Waits for a state. The time is that of a hung test."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        now = show(db, job)
        if now["state"] in states:
            return now
        time.sleep(0.05)
    raise AssertionError(f"{now['state']} after {seconds} s: {now}")


def stop(process):
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert b"panicked" not in err, err
    return json.loads(out.splitlines()[-1])


def test_a_job_is_done_and_its_life_is_told(db, tmp_path):
    out = tmp_path / "deep" / "talk.opus"
    job = one(db, SPEECH, "-o", out, "--preset", "podcast", "--priority", "7", "--queue", "q", "--tenant", "t")
    waiting = show(db, job)
    assert (waiting["state"], waiting["spec"]["priority"], waiting["spec"]["tenant"]) == ("available", 7, "t")
    assert work(db).json == {"done": 1, "dead": 0, "handed_back": 0}
    assert ffprobe(out)[0]["codec_name"] == "opus"
    done = show(db, job)
    assert [step["to"] for step in done["history"]] == ["available", "running", "publishing", "succeeded"]
    assert done["result"]["met"] and done["published"][0]["bytes"] == out.stat().st_size
    # What it takes to write in a worker's name is nobody else's.
    assert "token" not in json.dumps(done)


def test_it_gives_the_bytes_of_process(db, tmp_path):
    args = ["--preset", "podcast", "--loudness", "-18", "--filter", "highpass:cutoff_hz=90"]
    one(db, SPEECH, "-o", tmp_path / "queued.opus", *args)
    work(db)
    puresound("process", SPEECH, "-o", tmp_path / "direct.opus", *args)
    assert (tmp_path / "queued.opus").read_bytes() == (tmp_path / "direct.opus").read_bytes()


def test_files_and_folders_make_a_batch(db, tmp_path):
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    shutil.copy(SPEECH, folder / "sub" / "a.flac")
    shutil.copy(MUSIC, folder / "b.mp3")
    out = tmp_path / "out"
    made = submit(db, folder, SPEECH, "-o", out, "--format", "opus", "--preset", "podcast", "--batch", "two and one").json
    assert len(made["jobs"]) == 3
    assert work(db).json["done"] == 3
    assert names(out) == ["b.opus", "speech.opus", "sub", "sub/a.opus"]
    batch = show(db, made["batch"])["batch"]
    assert (batch["name"], batch["states"]) == ("two and one", {"succeeded": 3})
    listed = puresound("jobs", "list", "--db", db, "--batch", made["batch"], "--state", "succeeded", "--json").json
    assert [j["id"] for j in listed["jobs"]] == [j["id"] for j in made["jobs"]]
    assert puresound("jobs", "list", "--db", db, "--queue", "other", "--json").json == {"jobs": []}


def test_what_is_no_audio_dies_with_the_reason(db, tmp_path):
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"no audio at all")
    job = one(db, bad, "-o", tmp_path / "bad.opus")
    good = one(db, SPEECH, "-o", tmp_path / "good.opus")
    assert work(db, check=1).json == {"done": 1, "dead": 1, "handed_back": 0}
    dead = show(db, job)
    assert dead["state"] == "dead" and dead["error"]["name"] == "NOT_AUDIO" and dead["attempts"] == 1
    assert show(db, good)["state"] == "succeeded"
    assert names(tmp_path) == ["bad.wav", "good.opus", "jobs.db"]
    # Mended, it can be tried again; what succeeded cannot.
    shutil.copy(MUSIC, bad)
    result = puresound("jobs", "retry", job, good, "--db", db, "--json", check=1).json["results"]
    assert result[0]["outcome"] == "waits again" and result[1]["error"]["name"] == "CONFLICT"
    assert work(db).json["done"] == 1


def test_an_input_that_is_gone_dies(db, tmp_path):
    source = tmp_path / "in.flac"
    shutil.copy(SPEECH, source)
    job = one(db, source, "-o", tmp_path / "out.opus")
    source.unlink()
    work(db, check=1)
    assert show(db, job)["error"]["name"] == "NOT_FOUND"


def test_a_killed_worker_loses_nothing(db, long_wav, tmp_path):
    first = one(db, long_wav, "-o", tmp_path / "long.mp3", "--preset", "podcast")
    second = one(db, SPEECH, "-o", tmp_path / "short.opus", "--queue", "later")
    process = worker(db, "--queue", "default")
    until(db, first, "running")
    time.sleep(0.5)
    process.kill()
    process.wait()
    # Linux: files have no name until they are complete.
    assert not [n for n in names(tmp_path) if n not in ("jobs.db", "jobs.db-wal", "jobs.db-shm")]
    assert show(db, first)["state"] == "running", "nobody knows yet"
    # Another worker takes it over when the lease is over, and does the other one meanwhile.
    assert work(db).json["done"] == 2
    done = show(db, first)
    assert (done["state"], done["crashes"], done["attempts"], done["claims"]) == ("succeeded", 1, 0, 2)
    assert "vanished" in json.dumps(done["history"])
    assert show(db, second)["crashes"] == 0
    ffprobe(tmp_path / "long.mp3")


def test_sigterm_hands_back_at_nobodys_charge(db, long_wav, tmp_path):
    job = one(db, long_wav, "-o", tmp_path / "long.mp3", "--preset", "podcast")
    process = worker(db, "--drain-seconds", "0")
    until(db, job, "running")
    assert stop(process) == {"event": "summary", "done": 0, "dead": 0, "handed_back": 1}
    back = show(db, job)
    assert (back["state"], back["attempts"], back["crashes"], back["holder"]) == ("available", 0, 0, None)
    assert names(tmp_path) == ["jobs.db"]


def test_sigterm_waits_for_what_is_nearly_done(db, tmp_path):
    job = one(db, SPEECH, "-o", tmp_path / "a.opus", "--preset", "podcast")
    process = worker(db, "--drain-seconds", "60")
    until(db, job, "running", "publishing", "succeeded")
    assert stop(process)["handed_back"] == 0
    assert show(db, job)["state"] == "succeeded"


def test_cancelling_waiting_and_running_jobs(db, long_wav, tmp_path):
    running = one(db, long_wav, "-o", tmp_path / "long.mp3", "--preset", "podcast")
    later = one(db, SPEECH, "-o", tmp_path / "a.opus", "--after", "1h")
    assert show(db, later)["state"] == "scheduled"
    process = worker(db)
    until(db, running, "running")
    result = puresound("jobs", "cancel", running, later, "--db", db, "--json", "--why", "changed my mind").json["results"]
    assert [r["outcome"] for r in result] == ["asked to stop", "cancelled"]
    over = until(db, running, "cancelled")
    assert over["history"][-1]["why"] == "changed my mind" and over["attempts"] == 0
    stop(process)
    assert names(tmp_path) == ["jobs.db"], "nothing partial is left"
    assert puresound("jobs", "cancel", running, "--db", db, "--json").json["results"][0]["outcome"] == "was over"


def test_pause_and_resume(db, tmp_path):
    job = one(db, SPEECH, "-o", tmp_path / "a.opus", "--queue", "night")
    other = one(db, SPEECH, "-o", tmp_path / "b.opus")
    puresound("jobs", "pause", "queue:night", "--db", db)
    assert work(db).json["done"] == 1
    assert (show(db, job)["state"], show(db, other)["state"]) == ("available", "succeeded")
    stats = puresound("jobs", "stats", "--db", db, "--json").json
    assert stats["queues"] == {"default": {"succeeded": 1}, "night": {"available": 1}}
    assert [(s["scope"], s["gate"]) for s in stats["scopes"]] == [("queue:night", "paused")]
    puresound("jobs", "resume", "queue:night", "--db", db)
    assert work(db).json["done"] == 1
    puresound("jobs", "pause", "--drain", "--db", db)
    assert submit(db, SPEECH, "-o", tmp_path / "c.opus", check=8).json["error"]["name"] == "CONFLICT"


def test_limits_hold_for_all_workers(db, tmp_path):
    for name in "abc":
        one(db, SPEECH, "-o", tmp_path / f"{name}.opus", "--queue", "narrow")
    limit = ["jobs", "limit", "--db", db]
    told = puresound(*limit, "queue:narrow", "--running", 1, "--rate", "100/1m", "--burst", 5, "--json").json
    rate = {"jobs": 100, "per_ms": 60_000, "burst": 5}
    assert told == {"scope": "queue:narrow", "limits": {"max_running": 1, "rate": rate}}
    # What is not named stays.
    told = puresound(*limit, "queue:narrow", "--rate", "none", "--json").json
    assert told["limits"] == {"max_running": 1, "rate": None}
    assert puresound(*limit, "--json").json == {"limits": [told]}
    assert puresound(*limit).out == b"queue:narrow: 1 run at once\n"
    workers = [worker(db, "--until-idle") for _ in range(2)]
    for process in workers:
        assert process.wait(timeout=120) == 0
    lives = [show(db, job["id"])["history"] for job in puresound("jobs", "list", "--db", db, "--json").json["jobs"]]
    times = sorted((life[1]["time_ms"], life[-1]["time_ms"]) for life in lives)
    assert all([step["to"] for step in life][1::2] == ["running", "succeeded"] for life in lives), lives
    assert all(before[1] <= after[0] for before, after in zip(times, times[1:])), f"one at a time: {times}"
    puresound(*limit, "queue:narrow", "--running", "none")
    assert puresound(*limit).out == b"no limits\n"


def test_a_rate_spreads_jobs(db, tmp_path):
    puresound("jobs", "limit", "all", "--rate", "1/2s", "--db", db)
    for name in "ab":
        one(db, SPEECH, "-o", tmp_path / f"{name}.opus")
    assert work(db).json["done"] == 2
    jobs = puresound("jobs", "list", "--db", db, "--json").json["jobs"]
    began = sorted(show(db, job["id"])["history"][1]["time_ms"] for job in jobs)
    # Times are told in whole milliseconds.
    assert began[1] - began[0] >= 1999, began


def test_purge_forgets_what_is_over(db, tmp_path):
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"no audio at all")
    dead = one(db, bad, "-o", tmp_path / "bad.opus")
    done = one(db, SPEECH, "-o", tmp_path / "good.opus")
    work(db, check=1)
    waiting = one(db, SPEECH, "-o", tmp_path / "later.opus", "--after", "1h")
    purge = ["jobs", "purge", "--db", db, "--json", "--older-than"]
    assert puresound(*purge, "1h").json == {"jobs": 0, "dry_run": False}
    assert puresound(*purge, "0", "--dry-run").json == {"jobs": 2, "dry_run": True}
    assert puresound(*purge, "0", "--state", "dead").json == {"jobs": 1, "dry_run": False}
    puresound("jobs", "show", dead, "--db", db, check=5)
    assert puresound(*purge, "0").json == {"jobs": 1, "dry_run": False}
    puresound("jobs", "show", done, "--db", db, check=5)
    assert show(db, waiting)["state"] == "scheduled"
    assert (tmp_path / "good.opus").exists(), "files are nobody's history"


def test_a_unique_key_is_there_once(db, tmp_path):
    first = submit(db, SPEECH, "-o", tmp_path / "a.opus", "--unique-key", "k").json["jobs"][0]
    again = submit(db, SPEECH, "-o", tmp_path / "b.opus", "--unique-key", "k").json["jobs"][0]
    assert (first["duplicate"], again["duplicate"], again["id"]) == (False, True, first["id"])
    submit(db, SPEECH, "-o", tmp_path / "c.opus", "--unique-key", "k", "--replace")
    assert work(db).json["done"] == 1
    assert (tmp_path / "c.opus").exists() and not (tmp_path / "a.opus").exists()
    assert not submit(db, SPEECH, "-o", tmp_path / "a.opus", "--unique-key", "k").json["jobs"][0]["duplicate"]


def test_higher_priorities_go_first(db, tmp_path):
    low = one(db, SPEECH, "-o", tmp_path / "low.opus", "--priority", "-1")
    high = one(db, SPEECH, "-o", tmp_path / "high.opus", "--priority", "1")
    puresound("worker", "--db", db, "--workers", 1, "--until-idle")
    began = [next(s["time_ms"] for s in show(db, job)["history"] if s["to"] == "running") for job in (high, low)]
    assert began == sorted(began)


def test_watch_ends_with_the_jobs(db, tmp_path):
    job = one(db, SPEECH, "-o", tmp_path / "a.opus", "--preset", "podcast")
    watch = subprocess.Popen([BIN, "jobs", "watch", job, "--db", str(db)], stdout=subprocess.PIPE, env=QUICK)
    work(db)
    out, _ = watch.communicate(timeout=60)
    lines = [json.loads(line) for line in out.splitlines()]
    assert watch.returncode == 0
    assert lines[-1]["state"] == "succeeded" and {line["id"] for line in lines} == {job}
    # Without a name: those that are not over, and there is none.
    assert puresound("jobs", "watch", "--db", db).out == b""
    parts = [line["progress"] for line in lines if line["state"] == "running"]
    assert parts == sorted(parts)


def test_a_schedule_makes_jobs(db, tmp_path):
    add = ["jobs", "schedule", "add", "nightly", SPEECH, "-o", tmp_path / "a.opus", "--db", db, "--json"]
    (status,) = puresound(*add, "--cron", "30 4 * * *").json["schedules"]
    assert time.gmtime(status["next_ms"] / 1000)[3:6] == (4, 30, 0) and status["made"] == 0
    # Every second: seen within the time of a hung test.
    puresound(*add, "--cron", "* * * * * *", "--missed", "skip")
    process = worker(db)
    end = time.monotonic() + 60
    while puresound("jobs", "stats", "--db", db, "--json").json["states"].get("succeeded", 0) < 2:
        assert time.monotonic() < end
        time.sleep(0.1)
    stop(process)
    listed = puresound("jobs", "schedule", "list", "--db", db, "--json").json["schedules"]
    assert [s["schedule"]["name"] for s in listed] == ["nightly"] and listed[0]["made"] >= 2
    done = puresound("jobs", "list", "--db", db, "--json").json["jobs"]
    ticks = [job["run_at_ms"] for job in done]
    assert len(set(ticks)) == len(ticks) and all(t % 1000 == 0 for t in ticks)
    puresound("jobs", "schedule", "remove", "nightly", "--db", db)
    puresound("jobs", "schedule", "remove", "nightly", "--db", db, check=5)
    puresound(*add, "--cron", "61 * * * *", check=5)
    puresound(*add, "--cron", "* * * * *", "--after", "1h", check=8)


@pytest.mark.parametrize("args, code", [
    (["submit", SPEECH, "-o", "OUT/a.opus", "--priority", "101"], 5),
    (["submit", SPEECH, "-o", "OUT/a.opus", "--at", "tomorrow"], 5),
    (["submit", SPEECH, "-o", "OUT/a.opus", "--at", "2030-01-01T00:00:00Z", "--after", "1h"], 2),
    (["submit", SPEECH, "-o", "OUT/a.opus", "--preset", "podcats"], 5),
    (["submit", SPEECH, "-o", "OUT/a.xyz"], 5),
    (["submit", SPEECH, SPEECH, "-o", "OUT", "--format", "opus"], 8),
    (["submit", SPEECH, MUSIC, "-o", "OUT"], 5),
    (["submit", "OUT/none.wav", "-o", "OUT/a.opus"], 7),
    (["submit", "-", "-o", "OUT/a.opus"], 8),
    (["submit", SPEECH, "-o", SPEECH], 8),
    (["submit"], 2),
    (["show", "x"], 2),
    (["show", "018f6d2e-0000-7000-8000-000000000000"], 5),
    (["cancel"], 2),
    (["cancel", "018f6d2e-0000-7000-8000-000000000000"], 5),
    (["pause", "queue"], 2),
    (["list", "--state", "lost"], 2),
    (["limit", "queue:q", "--running", "0"], 2),
    (["limit", "queue:q", "--rate", "5"], 2),
    (["limit", "queue:q", "--rate", "0/1s"], 5),
    (["limit", "--running", "1"], 2),
    (["purge"], 2),
    (["purge", "--older-than", "x"], 5),
    (["purge", "--older-than", "0", "--state", "running"], 5),
])
def test_bad_arguments(args, code, db, tmp_path):
    args = [str(a).replace("OUT", str(tmp_path)) for a in args]
    error = puresound("jobs", *args, "--db", db, "--json", check=code).json["error"]
    assert error["exit_code"] == code
    assert names(tmp_path) in ([], ["jobs.db"]), "nothing was queued or written"


def test_files_that_are_no_store(tmp_path):
    text = tmp_path / "text.db"
    text.write_text("this is no database " * 200)
    puresound("jobs", "list", "--db", text, check=3)
    puresound("jobs", "list", "--db", tmp_path / "no" / "jobs.db", check=7)
    assert text.read_text().startswith("this is no")


def test_the_store_of_the_configuration(tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text(f"jobs:\n  database: {tmp_path / 'configured.db'}\n  max_attempts: 2\n")
    job = puresound("jobs", "submit", SPEECH, "-o", tmp_path / "a.opus", "--config", config, "--json").json["jobs"][0]
    assert show(tmp_path / "configured.db", job["id"])["spec"]["max_attempts"] == 2
    # Without any, the one of the user.
    env = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")}
    puresound("jobs", "stats", env=env)
    assert (tmp_path / "state" / "puresound" / "jobs.db").exists()
