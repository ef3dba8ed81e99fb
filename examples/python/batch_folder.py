"""Processes every recording of a folder, some at a time, with a progress bar.

    python batch_folder.py recordings levelled --preset podcast --format opus

Ctrl-C stops at once and leaves only whole files.
"""

from __future__ import annotations

import argparse
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm import tqdm

import pure_sound


def inputs_of(folder: Path) -> list[Path]:
    """The files of a folder that are recordings, by their content."""
    found = []
    for path in sorted(folder.iterdir()):
        try:
            if path.is_file():
                pure_sound.probe(path)
                found.append(path)
        except pure_sound.PureSoundError:
            continue
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--preset", default="podcast")
    parser.add_argument("--format", default="opus")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    args.target.mkdir(parents=True, exist_ok=True)
    files = inputs_of(args.source)
    failed: list[tuple[Path, Exception]] = []
    cancel, lock = pure_sound.CancelToken(), threading.Lock()

    # One job at a time per thread: the jobs share the engine's threads.
    with tqdm(total=len(files), unit="file") as bar, ThreadPoolExecutor(args.jobs) as pool:

        def work(path: Path) -> None:
            done = 0.0

            def advance(progress: pure_sound.Progress) -> None:
                nonlocal done
                with lock:
                    bar.update(progress.fraction - done)
                done = progress.fraction

            target = args.target / f"{path.stem}.{args.format}"
            try:
                pure_sound.process(path, target, preset=args.preset, progress=advance, cancel=cancel)
            except pure_sound.CancelledError:
                return
            except pure_sound.PureSoundError as error:
                failed.append((path, error))

        try:
            list(pool.map(work, files))
        except KeyboardInterrupt:
            cancel.cancel()
            raise
    for path, error in failed:
        print(f"{path}: {error}")
    print(f"{len(files) - len(failed)} done, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
