#!/usr/bin/env python3
"""A job that brings its worker down whenever it runs (G4): it is given up after three crashes, and its neighbours do not suffer.

    tests/faults/poison.py [--neighbours 20] [--threads 4]

The script is the poison: it kills -9 the worker process as soon as it sees the job run there.
"""

import argparse
import time

from common import Store, Worker, end, folder, line, puresound, tone

LEASE_MS = 1000


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--neighbours", type=int, default=20)
    parser.add_argument("--threads", type=int, default=4)
    args = parser.parse_args()
    with folder() as here:
        db, source = here / "jobs.db", here / "in"
        source.mkdir()
        # Long enough to be seen, and neighbours long enough to run beside it.
        tone(here / "poison.wav", seconds=300)
        tone(here / "tone.wav", seconds=20)
        for n in range(args.neighbours):
            (source / f"{n:03}.wav").symlink_to(here / "tone.wav")
        half = ["--format", "opus", "--db", db, "--loudness", "-18"]
        puresound("jobs", "submit", here / "poison.wav", "-o", here / "poison.opus", *half)
        puresound("jobs", "submit", source, "-o", here / "out", *half)
        store = Store(db)
        worker, kills, begun = start(here, db, args), 0, time.monotonic()
        while store.count_over() < args.neighbours + 1 and time.monotonic() - begun < 300:
            holder = held(store)
            time.sleep(0.05)
            # One that is handed back at once, because it may run alone only, has not run.
            if holder and holder == held(store) and holder[0].split("/")[0] == worker.name:
                worker.kill()
                kills += 1
                worker = start(here, db, args)
        worker.terminate(30)
        jobs = list(store.jobs().values())
        poison = next(job for job in jobs if "poison" in job["spec"]["payload"]["input"])
        others = [job for job in jobs if job is not poison]
        line("G4", "crashes until the poison job is dead", f"{poison['crashes']} ({poison['state']})", "<= 3 (dead)",
             poison["state"] == "dead" and poison["crashes"] <= 3)
        done = sum(job["state"] == "succeeded" for job in others)
        attempts = sum(job["attempts"] for job in others)
        crashes = max(job["crashes"] for job in others)
        line("G4", f"neighbours done, failures charged to them (most crashes seen by one: {crashes}, kills: {kills})",
             f"{done} of {len(others)}, {attempts}", f"{len(others)} of {len(others)}, 0",
             done == len(others) and attempts == 0)
    end()


def held(store):
    """Who has the poison job, with which lease."""
    poison = next(job for job in store.jobs().values() if "poison" in job["spec"]["payload"]["input"])
    return poison["holder"] and (poison["holder"]["worker"], poison["holder"]["token"])


def start(here, db, args):
    return Worker(db, args.threads, here / "log", lease_ms=LEASE_MS)


if __name__ == "__main__":
    main()
