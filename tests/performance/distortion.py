#!/usr/bin/env python3
"""Distortion of dynamic filters and aliases of non-linear ones, as tables. Asserts nothing: limits are in the filters' own tests.

    tests/performance/distortion.py

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
DYNAMICS = ["compressor:threshold_dbfs=-20", "compressor:threshold_dbfs=-20,detector=peak", "multiband_compressor", "expander:threshold_dbfs=-3",
            "gate:threshold_dbfs=-20", "limiter:ceiling_dbtp=-12", "de_esser:threshold_db=-40", "leveler", "ducker:key_channel=2",
            "transient_shaper", "dynamic_eq:frequency_hz=500,q=0.5,range_db=-6"]
BENT = ["clipper:drive_db=12,oversampling=1x", "clipper:drive_db=12,oversampling=2x", "clipper:drive_db=12,oversampling=4x",
        "clipper:drive_db=12,oversampling=8x", "clipper:drive_db=12,shape=hard", "saturation", "exciter", "limiter:ceiling_dbtp=-6", "bitcrush"]


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
    print(f"{'THD+N, dB':48} {'gain, dB':>9} {'997 Hz':>8} {'50 Hz':>8}")
    for spec in DYNAMICS:
        cells = []
        for hz in (997, 50):
            lines = settled(binary, spec, hz, -6)
            rest = np.sqrt((np.delete(lines, [0, hz]) ** 2).sum())
            cells += [20 * np.log10(lines[hz]) + 6, 20 * np.log10(rest / lines[hz])]
        print(f"{spec:48} {cells[0]:9.2f} {cells[1]:8.1f} {cells[3]:8.1f}", flush=True)
    print(f"\n{'4999 Hz, dB below it':48} {'harmonic':>9} {'alias':>8}")
    for spec in BENT:
        lines = settled(binary, spec, 4_999, 0)
        harmonics = np.arange(2, 5) * 4_999
        other = np.delete(lines[:20_000], [0, 4_999, *harmonics])
        row = (20 * np.log10(max(part.max(), 1e-12) / lines[4_999]) for part in (lines[harmonics], other))
        print(f"{spec:48} {next(row):9.1f} {next(row):8.1f}", flush=True)


if __name__ == "__main__":
    main()
