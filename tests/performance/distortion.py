#!/usr/bin/env python3
"""Distortion of dynamic filters and aliases of non-linear ones, as tables with limits: fails when a figure is over its own.

    tests/performance/distortion.py

Where the limits come from stands beside them. Some follow from what a filter is for and how it works; the rest are what was
measured, with 3 dB of room, and are there so that it does not become worse.

Needs Python with NumPy and SciPy, and target/release/puresound (cargo build --release) or the file that PURESOUND_BIN names.

THD+N: a sine of 997 Hz, and one of 50 Hz, at -6 dBFS and 48 kHz, settled for 5 s; then 1 s, exactly so many periods that no window
is needed: what is left beside the sine, against the sine (as AES17-2020, 6.3, without its weighting or band limit). The settings
are such that each filter changes the level all the time: what a gain that moves does to a steady sound is what is measured.

Aliases: a sine of 4999 Hz at 0 dBFS and 48 kHz, whose harmonics above 24 kHz fold to frequencies that no harmonic has. The
greatest of those below 20 kHz (the filters of the oversampling let a little through where nobody hears it), and the greatest harmonic
below 20 kHz beside it, in dB below the sine. `bitcrush` is meant to alias.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from scipy.io import wavfile

ROOT = Path(__file__).resolve().parents[2]
RATE = 48_000
# The file in 32-bit float: each sample is rounded by up to 2^-24 of itself, evenly: -149 dB in all. A filter whose gain stands
# still adds a few more such roundings: 10 dB.
ROUNDING_DB = -139
# How far a gain ripples on a sine follows from every time constant of the filter at once; no simple bound is close enough to find a
# fault. Against the figures of docs/performance.md.
MEASURED = "measured, and 3 dB"

# filter: (limit at 997 Hz, limit at 50 Hz, where they come from)
DYNAMICS = {
    "compressor:threshold_dbfs=-20": (-110, -60, MEASURED),
    "compressor:threshold_dbfs=-20,detector=peak": (-67, -41, MEASURED),
    "multiband_compressor": (-112, -66, MEASURED),
    "expander:threshold_dbfs=-3": (-108, -57, MEASURED),
    "gate:threshold_dbfs=-20": (ROUNDING_DB, ROUNDING_DB, "open: its gain is 1, only rounding is left"),
    # 50 Hz: the attenuation of 0.5 recovers over half a period less the look-ahead, 8 of 80 ms, by 0.1: half of that on each side.
    "limiter:ceiling_dbtp=-12": (-77, -32, "50 Hz: recovery within half a period; 997 Hz: measured, and 3 dB"),
    # At 50 Hz nothing is in its band.
    "de_esser:threshold_db=-40": (-108, ROUNDING_DB, "997 Hz: measured, and 3 dB; 50 Hz: only rounding"),
    "leveler": (ROUNDING_DB, ROUNDING_DB, "its gain stands still on a steady sound: only rounding"),
    "ducker:key_channel=2": (ROUNDING_DB, ROUNDING_DB, "its gain stands still on a steady key: only rounding"),
    "transient_shaper": (-65, -39, MEASURED),
    "dynamic_eq:frequency_hz=500,q=0.5,range_db=-6": (ROUNDING_DB, -66, "997 Hz: only rounding; 50 Hz: measured, and 3 dB"),
}
# How far the level of the tone may be from what the settings ask for, in dB: (at 997 Hz, error allowed). The gate's is open at
# -6 dBFS and may not touch it; the limiter brings -6 dBFS to its ceiling of -12.
GAINS = {"gate:threshold_dbfs=-20": (0.0, 0.01), "limiter:ceiling_dbtp=-12": (-6.0, 0.05), "ducker:key_channel=2": (-12.0, 0.05)}
# filter: (limit of the alias, where it comes from)
BENT = {
    "clipper:drive_db=12,oversampling=1x": (-18, MEASURED),
    "clipper:drive_db=12,oversampling=2x": (-38, MEASURED),
    "clipper:drive_db=12,oversampling=4x": (-57, MEASURED),
    "clipper:drive_db=12,oversampling=8x": (-74, MEASURED),
    "clipper:drive_db=12,shape=hard": (-45, MEASURED),
    "saturation": (-100, "stop band of the oversampling, -100 dB"),
    "exciter": (-88, MEASURED),
    "limiter:ceiling_dbtp=-6": (-79, MEASURED),
    "bitcrush": (None, "is meant to alias"),
}


def through(binary, spec, x):
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.wav", Path(folder) / "out.wav"
        wavfile.write(source, RATE, np.stack([x, x], 1).astype(np.float32))
        done = subprocess.run([binary, "process", source, "-o", target, "--filter", spec, "--bits", "float", "--keep-level", "--no-verify",
                               "--quiet"], capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{spec}: {done.stderr}")
        return wavfile.read(target)[1][:, 0].astype(np.float64)


def sine(hz, level_db, seconds):
    return 10 ** (level_db / 20) * np.sin(2 * np.pi * hz * np.arange(seconds * RATE) / RATE)


def settled(binary, spec, hz, level_db):
    """Amplitudes at whole Hz of the second that begins after 5 s."""
    y = through(binary, spec, sine(hz, level_db, 7))[5 * RATE:6 * RATE]
    return 2 * np.abs(np.fft.rfft(y)) / RATE


def main():
    binary = Path(os.environ.get("PURESOUND_BIN", ROOT / "target" / "release" / "puresound"))
    if not binary.exists():
        sys.exit(f"{binary} is not there: cargo build --release")
    over = []

    def verdict(name, pairs):
        bad = [f"{name}: {what} {value:.1f}, limit {limit}" for what, value, limit in pairs if limit is not None and not value <= limit]
        over.extend(bad)
        return "FAIL" if bad else "ok"

    print(f"{'THD+N, dB':48} {'gain, dB':>9} {'997 Hz':>8} {'limit':>6} {'50 Hz':>8} {'limit':>6}")
    for spec, (high, low, source) in DYNAMICS.items():
        cells = []
        for hz in (997, 50):
            lines = settled(binary, spec, hz, -6)
            rest = np.sqrt((np.delete(lines, [0, hz]) ** 2).sum())
            cells += [20 * np.log10(lines[hz]) + 6, 20 * np.log10(rest / lines[hz])]
        pairs = [("997 Hz", cells[1], high), ("50 Hz", cells[3], low)]
        if spec in GAINS:
            pairs.append(("error of the gain", abs(cells[0] - GAINS[spec][0]), GAINS[spec][1]))
        print(f"{spec:48} {cells[0]:9.2f} {cells[1]:8.1f} {high:6} {cells[3]:8.1f} {low:6}  {verdict(spec, pairs)} ({source})", flush=True)
    print(f"\n{'4999 Hz, dB below it':48} {'harmonic':>9} {'alias':>8} {'limit':>6}")
    for spec, (limit, source) in BENT.items():
        lines = settled(binary, spec, 4_999, 0)
        harmonics = np.arange(2, 5) * 4_999
        other = np.delete(lines[:20_000], [0, 4_999, *harmonics])
        harmonic, alias = (20 * np.log10(max(part.max(), 1e-12) / lines[4_999]) for part in (lines[harmonics], other))
        shown = "" if limit is None else limit
        print(f"{spec:48} {harmonic:9.1f} {alias:8.1f} {shown:>6}  {verdict(spec, [('alias', alias, limit)])} ({source})", flush=True)
    if over:
        sys.exit("over their limits:\n" + "\n".join(over))


if __name__ == "__main__":
    main()
