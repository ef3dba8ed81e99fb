#!/usr/bin/env python3
"""SIGTERM to a worker (G34): it takes nothing more, and ends within 10 s with its jobs done or handed back, at nobody's charge.

    tests/faults/drain.py [--seconds 3600]

SECONDS is the length of the recordings that cannot be done in time.
"""

import argparse
import time

from common import Store, Worker, end, folder, line, puresound, tone


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3600)
    args = parser.parse_args()
    with folder() as here:
        db, many = here / "jobs.db", here / "in"
        many.mkdir()
        make_long(here / "long.wav", args.seconds)
        tone(here / "tone.wav")
        for n in range(60):
            (many / f"{n:03}.wav").symlink_to(here / "tone.wav")
        opus = ["--format", "opus", "--db", db, "--loudness", "-18"]
        for n in range(2):
            puresound("jobs", "submit", here / "long.wav", "-o", here / f"long{n}.opus", *opus)
        store = Store(db)
        first = Worker(db, 2, here / "log")
        wait(lambda: sum(job["state"] == "running" for job in store.jobs().values()) == 2)
        second = Worker(db, 2, here / "log")
        puresound("jobs", "submit", many, "-o", here / "out", *opus)
        asked_ms, seconds = first.terminate(60)
        code = first.process.returncode
        # What was handed back and is taken up by the second worker.
        wait(lambda: store.count_over() >= 60 and len(picked(store, first, second)) == 2, 60)
        history, jobs = store.history(), store.jobs()
        later = [step for steps in history.values() for step in steps
                 if step["to"] == "running" and step["why"].startswith(f"taken by {first.name}/") and step["time_ms"] > asked_ms + 200]
        line("G34", "SIGTERM to the end of the worker, exit code", f"{seconds:.1f} s, {code}", "<= 10 s, 0", seconds <= 10 and code == 0)
        line("G34", "jobs taken after that", len(later), "0", not later)
        charged = sum(job["attempts"] + job["crashes"] for job in jobs.values())
        line("G34", "failures and crashes charged", charged, "0", charged == 0)
        waits = picked(store, first, second)
        worst = max(waits, default=None)
        line("G34", f"handed back and taken by another process, of {len(waits)}", f"{worst} ms", "2 jobs, <= 1000 ms",
             len(waits) == 2 and worst <= 1000)
        puresound("jobs", "cancel", *[f"{uuid(id)}" for id, job in jobs.items() if job["state"] == "running"], "--db", db)
        second.terminate(60)
        left = [p.name for p in here.iterdir() if p.suffix not in (".wav", ".db") and p.name not in ("in", "out", "log")]
        left = [name for name in left if not name.startswith("jobs.db")]
        line("G34", "files left behind", len(left), "0", not left)
    end()


def make_long(path, seconds):
    """A minute over and over: writing noise for hours in Python takes longer than the test."""
    import wave
    tone(path.with_suffix(".minute.wav"), seconds=60)
    with wave.open(str(path.with_suffix(".minute.wav")), "rb") as source:
        minute, params = source.readframes(source.getnframes()), source.getparams()
    with wave.open(str(path), "wb") as out:
        out.setparams(params)
        for _ in range(max(1, round(seconds / 60))):
            out.writeframes(minute)


def picked(store, first, second):
    """Milliseconds from handing back to the next time that a job was taken, by the second worker."""
    waits = []
    for steps in store.history().values():
        for one, two in zip(steps, steps[1:]):
            if one["why"] == "handed back" and two["to"] == "running" and two["why"].startswith(f"taken by {second.name}/"):
                waits.append(two["time_ms"] - one["time_ms"])
    return waits


def wait(done, seconds=30):
    until = time.monotonic() + seconds
    while not done() and time.monotonic() < until:
        time.sleep(0.02)


def uuid(id):
    text = id.hex()
    return "-".join([text[:8], text[8:12], text[12:16], text[16:20], text[20:]])


if __name__ == "__main__":
    main()
