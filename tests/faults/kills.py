#!/usr/bin/env python3
"""kill -9 of worker processes in the middle of many small jobs (G2), and how soon what they had is taken up again (G3).

    tests/faults/kills.py [--jobs 600] [--kills 12] [--seed N]      long form: --jobs 10000 --kills 200

Two worker processes with two threads each encode a tone of 1 s; one of them is killed at random moments and started anew. Needs Python and
the program only.
"""

import argparse
import hashlib
import random
import time

from common import Store, Worker, end, folder, line, puresound, tone

LEASE_MS = 2000
THREADS = 2


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=600)
    parser.add_argument("--kills", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    dice = random.Random(args.seed)
    with folder() as here:
        source, out, db = here / "in", here / "out", here / "jobs.db"
        source.mkdir()
        tone(here / "tone.wav")
        for n in range(args.jobs):
            (source / f"{n:05}.wav").symlink_to(here / "tone.wav")
        puresound("process", here / "tone.wav", "-o", here / "wanted.opus", "--loudness", "-18")
        wanted = hashlib.sha256((here / "wanted.opus").read_bytes()).hexdigest()
        # Kills here are not the fault of a job: none may be given up for them.
        puresound("jobs", "submit", source, "-o", out, "--format", "opus", "--loudness", "-18", "--db", db, max_crashes=1000)

        workers = [start(here, db) for _ in range(2)]
        store, killed = Store(db), {}
        while store.count_over() < args.jobs:
            assert all(worker.alive() for worker in workers), "a worker ended by itself"
            if len(killed) < args.kills:
                time.sleep(dice.uniform(0.05, 0.6))
                victim = dice.randrange(len(workers))
                killed[workers[victim].name] = workers[victim].kill()
                workers[victim] = start(here, db)
            else:
                time.sleep(0.1)
        for worker in workers:
            worker.terminate(30)

        jobs, history = store.jobs(), store.history()
        lost = sum(job["state"] != "succeeded" for job in jobs.values())
        files = list(out.iterdir())
        torn = sum(hashlib.sha256(f.read_bytes()).hexdigest() != wanted for f in files)
        strange = len({f.name for f in files} ^ {f"{n:05}.opus" for n in range(args.jobs)})
        reruns = sum(job["claims"] - 1 for job in jobs.values())
        twice = sum(sum(step["to"] == "succeeded" for step in steps) != 1 for steps in history.values())
        what = f"{len(killed)} kills, {args.jobs} jobs"
        line("G2", f"{what}: kills as planned", len(killed), f"{args.kills}", len(killed) == args.kills)
        line("G2", f"{what}: lost jobs, torn outputs, missing or strange files, not ended once", f"{lost}, {torn}, {strange}, {twice}",
             "0, 0, 0, 0", not (lost or torn or strange or twice))
        limit = len(killed) * THREADS
        line("G2", f"{what}: runs for nothing", reruns, f"<= {limit}", reruns <= limit)
        line("G2", f"{what}: database whole", store.integrity(), "True", store.integrity())
        again = restarts(history, killed)
        worst = max(again, default=0)
        goal = LEASE_MS + 2000
        line("G3", f"{what}: longest time from the kill to the next try, of {len(again)}, lease {LEASE_MS} ms", f"{worst} ms",
             f"<= {goal} ms", len(again) > 0 and worst <= goal)
    end()


def start(here, db):
    return Worker(db, THREADS, here / "log", lease_ms=LEASE_MS)


def restarts(history, killed):
    """Milliseconds from each kill to the next time that a job of the killed worker was taken."""
    times = []
    for steps in history.values():
        since = None
        for step in steps:
            if step["to"] != "running":
                continue
            if since is not None:
                times.append(step["time_ms"] - since)
            holder = step["why"].removeprefix("taken by ").split("/")[0]
            since = killed.get(holder)
            # Taken and ended before the kill: the job is over, and nothing comes after.
    return times


if __name__ == "__main__":
    main()
