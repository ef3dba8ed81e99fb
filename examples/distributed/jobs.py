"""What both programs share: one job, the options, and the death of a worker."""

from __future__ import annotations

import argparse
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Job:
    """One file to make. Goes to the worker through pickle."""

    source: str
    target: str
    preset: str
    #: Folder where a worker leaves its process number when it starts, so that somebody can kill it.
    marks: str | None = None


def work(job: Job) -> tuple[str, float | None]:
    """Runs in a worker: (target, loudness of the result)."""
    import pure_sound

    if job.marks is not None:
        (Path(job.marks) / str(os.getpid())).touch()
    report = pure_sound.process(job.source, job.target, preset=job.preset)
    measured = pure_sound.measure(report["outputs"][0]["path"])
    return job.target, measured["integrated_lufs"]


def arguments(description: str | None) -> argparse.Namespace:
    """The options of both programs."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--preset", default="podcast")
    parser.add_argument("--format", default="flac")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--kill-a-worker", action="store_true")
    return parser.parse_args()


def jobs_of(args: argparse.Namespace) -> list[Job]:
    """A job for each file of the folder."""
    args.target.mkdir(parents=True, exist_ok=True)
    marks = None
    if args.kill_a_worker:
        folder = args.target / "marks"
        folder.mkdir()
        marks = str(folder.absolute())
    return [
        Job(str(path.absolute()), str((args.target / f"{path.stem}.{args.format}").absolute()), args.preset, marks)
        for path in sorted(args.source.iterdir())
    ]


def kill_a_worker(job: Job) -> None:
    """Kills the first worker that has begun with a job."""
    if job.marks is None:
        return
    marks = Path(job.marks)
    patience = time.monotonic() + 120
    while not (begun := list(marks.iterdir())):
        if time.monotonic() > patience:
            raise SystemExit("no worker has begun within 120 s")
        time.sleep(0.005)
    os.kill(int(begun[0].name), signal.SIGKILL)
    print(f"killed worker {begun[0].name}")


def tell(results: list[tuple[str, float | None]], jobs: list[Job]) -> None:
    """Prints the results and puts the marks away."""
    for target, loudness in sorted(results):
        print(f"{Path(target).name}: {'silent' if loudness is None else f'{loudness:.1f} LUFS'}")
    if jobs and jobs[0].marks is not None:
        for mark in Path(jobs[0].marks).iterdir():
            mark.unlink()
        Path(jobs[0].marks).rmdir()
