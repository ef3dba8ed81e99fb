#!/usr/bin/env python3
"""Plants faults in real recordings and prints how often `puresound check` finds each, and what it says about the same pieces without.

    python tests/performance/quality.py FILE_OR_FOLDER... [--binary target/release/puresound] [--only NAME,...] [--pieces 60] [--missed]

Pieces of 8 s (mono, own rate, peak -6 dBFS, 16 bits) are cut from the files, from each no more than needed. One fault is planted at a time,
at a place that is drawn once per piece from a fixed seed. Needs numpy and ffmpeg.
"""
import argparse
import collections
import json
import pathlib
import subprocess
import tempfile
import wave
from concurrent.futures import ThreadPoolExecutor

import numpy as np

SECONDS = 8


def rms(x):
    return np.sqrt(np.mean(x * x)) + 1e-12


def read(path, rate):
    got = subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-i", path, "-ac", "1", "-f", "f32le", "-"], capture_output=True)
    return np.frombuffer(got.stdout, "<f4").astype(float)


def pieces(inputs, count):
    files = []
    for given in map(pathlib.Path, inputs):
        files += sorted(p for p in given.rglob("*") if p.is_file()) if given.is_dir() else [given]
    cut = collections.defaultdict(list)
    for file in files:
        told = subprocess.run(["ffprobe", "-v", "error", "-select_streams", "a:0", "-show_entries", "stream=sample_rate", "-of", "csv=p=0", file],
                              capture_output=True, text=True).stdout.split()
        if not told:
            continue
        rate = int(told[0].strip(","))
        x = read(file, rate)
        for start in range(0, len(x) - SECONDS * rate + 1, SECONDS * rate):
            x_ = x[start:start + SECONDS * rate]
            if rms(x_) > 0.003 and len(cut[file]) < 40:
                cut[file].append((f"{file.name}@{start // rate}", rate, x_ / np.abs(x_).max() * 0.5))
    # The first piece of each file, then the second...: as many files as can be.
    order = [p for turn in range(40) for c in cut.values() for p in c[turn:turn + 1]]
    return order[:count]


def loud(x, rng, before, after):
    """A place with sound on both sides, where it is among the louder half."""
    level = np.sqrt(np.convolve(x * x, np.ones(before) / before, "valid"))
    at = np.arange(before, len(x) - after - before)
    both = np.minimum(level[at - before], level[at + after])
    return int(rng.choice(at[both >= np.median(both)]))


def hum(n, rate, base):
    t = np.arange(n) / rate
    return sum(np.sin(2 * np.pi * base * k * t + k) / k for k in range(1, 6))


def splice(x, rate, rng, least):
    """100 ms are cut out where the waveform jumps by at least so much."""
    cut = rate // 10
    at = np.arange(rate // 2, len(x) - cut - rate // 2)
    at = at[np.abs(x[at + cut] - x[at - 1]) >= least]
    if len(at) == 0:
        return None
    k = int(rng.choice(at))
    return np.concatenate([x[:k], x[k + cut:]])


def resampled(x, rate, low):
    if rate < low * 1.5:
        return None
    run = ["ffmpeg", "-nostdin", "-v", "error", "-f", "f32le", "-ar", str(rate), "-ac", "1", "-i", "-", "-ar"]
    down = subprocess.run([*run, str(low), "-f", "f32le", "-"], input=x.astype("<f4").tobytes(), capture_output=True).stdout
    run[7] = str(low)
    up = subprocess.run([*run, str(rate), "-f", "f32le", "-"], input=down, capture_output=True).stdout
    return np.frombuffer(up, "<f4").astype(float)


def through(x, rate, encoder, rate_kbps, suffix):
    with tempfile.TemporaryDirectory() as folder:
        raw = ["ffmpeg", "-nostdin", "-v", "error", "-f", "f32le", "-ar", str(rate), "-ac", "1", "-i", "-"]
        path = f"{folder}/x.{suffix}"
        subprocess.run([*raw, "-c:a", encoder, "-b:a", f"{rate_kbps}k", path], input=x.astype("<f4").tobytes(), capture_output=True)
        return read(path, rate)[:len(x)]


def dropped(x, rate, rng, ms):
    n = rate * ms // 1000
    k = loud(x, rng, rate // 50, n + rate // 50)
    y = x.copy()
    y[k:k + n] = 0
    return y


def clicked(x, rate, rng, size):
    y = x.copy()
    at = rng.integers(rate // 2, len(x) - rate // 2, 5)
    y[at] += size * np.where(x[at] > 0, -1, 1)
    return y


def noisy(x, rng, db):
    z = rng.standard_normal(len(x))
    return x + z / rms(z) * rms(x) * 10 ** (db / 20)


def humming(x, rate, base, db):
    h = hum(len(x), rate, base)
    return x + h / rms(h) * rms(x) * 10 ** (db / 20)


def over(x, db, then=1.0):
    return np.clip(x * 2 * 10 ** (db / 20), -1, 1) * 0.999 * then


# Name, expected verdict, what makes it of (samples, rate, generator); a pair: two channels.
FAULTS = [
    *((f"clipped {db} dB", "clipping", lambda x, r, g, db=db: over(x, db)) for db in (3, 6, 12)),
    ("clipped 6 dB, halved", "clipping", lambda x, r, g: over(x, 6, 0.5)),
    *((f"offset {v}", "dc_offset", lambda x, r, g, v=v: x - x.mean() + v) for v in (0.02, 0.002)),
    *((f"hum {b} Hz {db} dB", "hum", lambda x, r, g, b=b, db=db: humming(x, r, b, db)) for b in (50, 60) for db in (-20, -35, -50)),
    *((f"noise {db} dB", "noise", lambda x, r, g, db=db: noisy(x, g, db)) for db in (-5, -10, -15)),
    *((f"5 clicks of {v}", "clicks", lambda x, r, g, v=v: clicked(x, r, g, v)) for v in (0.4, 0.1)),
    *((f"drop-out {ms} ms", "drop_outs", lambda x, r, g, ms=ms: dropped(x, r, g, ms)) for ms in (2, 20, 200)),
    *((f"splice with a jump of {v}", "discontinuities", lambda x, r, g, v=v: splice(x, r, g, v)) for v in (0.2, 0.05)),
    *((f"from {low} Hz", "upsampled", lambda x, r, g, low=low: resampled(x, r, low)) for low in (16_000, 22_050)),
    *((f"from {c} {b}k", "lossy_origin", lambda x, r, g, c=c, b=b, s=s: through(x, r, c, b, s) if r >= 32_000 else None)
      for c, b, s in (("libmp3lame", 64, "mp3"), ("libmp3lame", 96, "mp3"), ("aac", 64, "m4a"))),
    ("inverse channels", "phase_inverted", lambda x, r, g: (x, -x)),
    ("same channels", "false_stereo", lambda x, r, g: (x, x)),
    ("16 bits in 24", "fake_bit_depth", lambda x, r, g: x),
]


def write(path, rate, y, wide):
    y = np.stack(y, 1) if isinstance(y, tuple) else y[:, None]
    words = np.clip(np.round(y * 32768), -32768, 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(y.shape[1])
        file.setframerate(rate)
        file.setsampwidth(3 if wide else 2)
        if wide:
            words = np.pad(words.astype("<i2").view("u1").reshape(-1, 2), ((0, 0), (1, 0)))
        file.writeframes(words.tobytes())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("inputs", nargs="+")
    parser.add_argument("--binary", default="target/release/puresound")
    parser.add_argument("--only", default="")
    parser.add_argument("--pieces", type=int, default=60)
    parser.add_argument("--missed", action="store_true", help="name the pieces that were missed")
    args = parser.parse_args()
    folder = tempfile.TemporaryDirectory()
    number = iter(range(10**9))

    def judge(rate, y, wide=False):
        path = pathlib.Path(folder.name) / f"{next(number)}.wav"
        write(path, rate, y, wide)
        done = subprocess.run([args.binary, "check", path, "--json"], capture_output=True, text=True)
        path.unlink()
        return json.loads(done.stdout)["quality"]

    chosen = pieces(args.inputs, args.pieces)
    pool = ThreadPoolExecutor(2)
    clean = list(pool.map(lambda p: judge(p[1], p[2]), chosen))
    names = [{v["name"]: v["severity"] for v in c["verdicts"]} for c in clean]
    print(f"{len(chosen)} pieces as they are, verdicts of severity warning or error:")
    told = collections.defaultdict(list)
    for piece, given in zip(chosen, names):
        for name, severity in given.items():
            if severity != "info" or name in ("lossy_origin", "dc_offset"):
                told[name + (" (info)" if severity == "info" else "")].append(piece[0])
    for name, which in sorted(told.items()):
        print(f"  {name}: {len(which)}: {', '.join(which[:12])}")
    print("planted, in pieces without that verdict: found of all")
    for kind, name, plant in FAULTS:
        if args.only and not any(word in kind for word in args.only.split(",")):
            continue

        def one(index):
            _, rate, x = chosen[index]
            y = plant(x, rate, np.random.default_rng([index, len(kind)]))
            if y is None or name in names[index]:
                return None
            got = judge(rate, y, kind == "16 bits in 24")
            return name in [v["name"] for v in got["verdicts"]]

        found = list(pool.map(one, range(len(chosen))))
        tried = [f for f in found if f is not None]
        print(f"  {kind}: {sum(tried)} of {len(tried)}" + (f" ({100 * sum(tried) / len(tried):.0f} %)" if tried else ""), flush=True)
        if args.missed:
            print("    missed:", ", ".join(chosen[i][0] for i, f in enumerate(found) if f is False))


if __name__ == "__main__":
    main()
