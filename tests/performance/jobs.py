#!/usr/bin/env python3
"""Many short recordings to Opus: by the queue with two workers, by `puresound batch` with two threads, by `xargs -P2 ffmpeg`.

    python tests/performance/jobs.py [--files 500] [--seconds 4] [--rounds 3] [--binary target/release/puresound]

Pieces are cut from the recordings in examples/media. Each round runs all three, one after the other in another order, and prints files per
second of wall time; then the medians, and the ratios: the queue against the direct loop (goal: at least 0.95) and against ffmpeg (at least
2). Queued time is that of the worker, from its start to its end with nothing left; submitting is told beside it. Ours measure each result
again after encoding; ffmpeg does not.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MEDIA = ROOT / "examples" / "media"
ENV = {**os.environ, "PURESOUND_CONFIG": ""}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--binary", type=Path, default=ROOT / "target" / "release" / "puresound")
    args = parser.parse_args()
    # Not in memory: the queue is meant to be on a disk.
    base = tempfile.mkdtemp(prefix="jobs-", dir=ROOT / "target")
    try:
        run(args, Path(base))
    finally:
        shutil.rmtree(base)


def run(args, base):
    source = base / "in"
    source.mkdir()
    cut(source, args.files, args.seconds)
    ways = {"queue": queue, "direct": direct, "ffmpeg": ffmpeg}
    times = {name: [] for name in ways}
    submitted = []
    for n in range(args.rounds):
        order = list(ways)[n % 3:] + list(ways)[:n % 3]
        for name in order:
            out = base / f"{name}-{n}"
            out.mkdir()
            seconds, beside = ways[name](args.binary, source, out, base / f"jobs-{n}.db")
            made = len([p for p in out.iterdir() if p.suffix == ".opus"])
            assert made == args.files, f"{name}: {made} of {args.files} files"
            times[name].append(seconds)
            submitted += [beside] if name == "queue" else []
            print(f"round {n + 1} {name}: {args.files / seconds:.1f} files/s", flush=True)
            shutil.rmtree(out)
    medians = {name: statistics.median(all) for name, all in times.items()}
    for name, seconds in medians.items():
        print(f"{name}: {args.files / seconds:.1f} files/s, {seconds:.2f} s for {args.files} files of {args.seconds:g} s")
    print(f"submitting: {statistics.median(submitted):.2f} s")
    line("the queue against the direct loop", medians["direct"] / medians["queue"], 0.95)
    line("the queue against xargs -P2 ffmpeg", medians["ffmpeg"] / medians["queue"], 2.0)


def line(what, ratio, goal):
    print(f"{what}: {ratio:.2f}, goal >= {goal}: {'PASS' if ratio >= goal else 'MISSED'}")


def cut(folder, count, seconds):
    """So many pieces, one after the other, from both recordings in turn."""
    recordings = [MEDIA / "speech.flac", MEDIA / "music.mp3"]
    lengths = [float(subprocess.run(["ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", str(path)],
                                    capture_output=True, check=True, text=True).stdout) for path in recordings]
    for n in range(count):
        path, length = recordings[n % 2], lengths[n % 2]
        start = (n // 2 * 0.37) % max(length - seconds, 0.1)
        subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-ss", f"{start:.2f}", "-t", f"{seconds}", "-i", str(path), "-c:a", "pcm_s16le",
                        str(folder / f"{n:04}.wav")], check=True)


def timed(*command, **options):
    begun = time.monotonic()
    subprocess.run([str(word) for word in command], check=True, env=ENV, stdout=subprocess.DEVNULL, **options)
    return time.monotonic() - begun


def queue(binary, source, out, db):
    beside = timed(binary, "jobs", "submit", source, "-o", out, "--format", "opus", "--bitrate", "64", "--db", db)
    return timed(binary, "worker", "--workers", "2", "--until-idle", "--db", db), beside


def direct(binary, source, out, _):
    return timed(binary, "batch", source, "-o", out, "--format", "opus", "--bitrate", "64", "--jobs", "2"), None


def ffmpeg(_, source, out, __):
    names = "".join(f"{path}\n" for path in sorted(source.iterdir()))
    shell = f'ffmpeg -v error -nostdin -i "$1" -c:a libopus -b:a 64k "{out}/$(basename "$1" .wav).opus"'
    return timed("xargs", "-P2", "-n1", "sh", "-c", shell, "sh", input=names.encode()), None


if __name__ == "__main__":
    main()
