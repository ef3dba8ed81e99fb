#!/usr/bin/env python3
"""Restoration side by side with the tools people use today: noise, hum, clicks, clipping. Prints tables; asserts nothing.

    tests/performance/restoration.py                      everything, on material the filters were not tuned with
    tests/performance/restoration.py --only declick       noise, hum, declick or declip
    tests/performance/restoration.py --part tune          the material they were tuned with
    tests/performance/restoration.py --quick              one SNR, no PESQ

Needs Debian's ffmpeg and sox, and target/release/puresound (cargo build --release) or the file that PURESOUND_BIN names. The
speech and noise come out of Debian and
PyPI packages (see restoration_set.py); NumPy, SciPy, pesq, pystoi and noisereduce go into a Python environment in
target/performance.

Noise: SI-SDR (J. Le Roux et al., "SDR - Half-baked or Well Done?", ICASSP 2019), wide-band PESQ (ITU-T P.862.2) and STOI (C. Taal
et al., 2011) over the speech, each as the gain over the noisy input. Those that need a profile learn it from 1.4 s of noise
alone before the speech; nobody else is told anything. ffmpeg's `arnndn` is left out: it has no model of its own, and no package has
one. Delays are taken out by the highest correlation.
Hum, clicks, clipping: made here, so that the truth is known; SI-SDR against it.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "target" / "performance"
HOME = WORK / "restoration-venv"


def enter_venv():
    """Goes on in the environment with the packages, which is made at first."""
    python = HOME / "bin" / "python"
    if Path(sys.prefix).resolve() == HOME.resolve():
        return
    if not (HOME / "ready").exists():
        venv.create(HOME, with_pip=True, clear=True)
        pip = [python, "-m", "pip", "-q", "install"]
        subprocess.run([*pip, "numpy", "scipy", "pesq", "pystoi", "joblib", "tqdm"], check=True)
        # Its other dependencies draw pictures and plug in PyTorch, which the algorithms compared here do without.
        subprocess.run([*pip, "--no-deps", "noisereduce"], check=True)
        (HOME / "ready").touch()
    os.execv(python, [str(python), *sys.argv])


enter_venv()

import noisereduce  # noqa: E402
import numpy as np  # noqa: E402
from pesq import PesqError, pesq  # noqa: E402
from pystoi import stoi  # noqa: E402
from scipy import signal  # noqa: E402
from scipy.io import wavfile  # noqa: E402

import restoration_set as material  # noqa: E402

RATE = material.RATE
LEAD = int(material.LEAD_S * RATE)
PROFILE = int(1.4 * RATE)


def si_sdr(clean, got):
    """Scale-invariant signal-to-distortion ratio in dB."""
    clean, got = clean - clean.mean(), got - got.mean()
    target = (clean @ got) / (clean @ clean) * clean
    return 10 * np.log10((target @ target) / (((got - target) ** 2).sum() + 1e-20))


def aligned(clean, got, reach=2_000):
    """`got` as long as `clean` and in time with it."""
    got = np.resize(np.concatenate([got, np.zeros(reach)]), len(clean) + reach)[:len(clean)]
    score = signal.correlate(got, clean, "full", method="fft")[len(clean) - 1 - reach:len(clean) + reach]
    return np.roll(got, reach - int(np.argmax(score)))


def ours(binary, spec):
    def run(x, folder, rate):
        wavfile.write(folder / "in.wav", rate, x.astype(np.float32))
        filters = [part for one in spec.split("|") for part in ("--filter", one)]
        subprocess.run([binary, "process", folder / "in.wav", "-o", folder / "out.wav", *filters, "--bits", "float",
                        "--keep-level", "--no-verify", "--quiet"], check=True)
        return wavfile.read(folder / "out.wav")[1].astype(np.float64)
    return run


def ffmpeg(chain):
    def run(x, _, rate):
        raw = ["-f", "f32le", "-ar", str(rate), "-ac", "1"]
        done = subprocess.run(["ffmpeg", "-v", "error", *raw, "-i", "-", "-af", chain, *raw, "-"], check=True,
                              input=x.astype("<f4").tobytes(), capture_output=True)
        return np.frombuffer(done.stdout, "<f4").astype(np.float64)
    return run


def sox(amount):
    def run(x, folder, rate):
        raw = ["-t", "f32", "-r", str(rate), "-c", "1"]
        x.astype("<f4").tofile(folder / "in.f32")
        subprocess.run(["sox", *raw, folder / "in.f32", "-n", "trim", "0", "1.4", "noiseprof", folder / "profile"], check=True)
        subprocess.run(["sox", "-V1", *raw, folder / "in.f32", *raw, folder / "out.f32", "noisered", folder / "profile",
                        str(amount)], check=True)
        return np.fromfile(folder / "out.f32", "<f4").astype(np.float64)
    return run


def reduce_noise(**options):
    def run(x, _, rate):
        more = {"y_noise": x[:PROFILE]} if options.get("stationary") else {}
        return noisereduce.reduce_noise(y=x, sr=rate, **options, **more)
    return run


def table(title, rows, heads):
    width = max(len(name) for name in rows)
    print(f"\n## {title}\n\n{'':{width}}  " + "  ".join(f"{head:>9}" for head in heads))
    best = [max(values[k] for values in rows.values()) for k in range(len(heads))]
    for name, values in rows.items():
        cells = [f"{v:8.3f}{'*' if v == b else ' '}" for v, b in zip(values, best)]
        print(f"{name:{width}}  " + "  ".join(cells), flush=True)


def noise_tools(binary):
    return {
        "ours denoise_spectral": ours(binary, "denoise_spectral"),
        "ours denoise_rnn": ours(binary, "denoise_rnn"),
        "ours denoise_profile": ours(binary, "denoise_profile:end_s=1.4"),
        "ffmpeg afftdn": ffmpeg("afftdn"),
        "ffmpeg afftdn nf=-30 tn=1": ffmpeg("afftdn=nr=12:nf=-30:tn=1"),
        "ffmpeg anlmdn": ffmpeg("anlmdn"),
        "sox noisered 0.21": sox(0.21),
        "noisereduce": reduce_noise(),
        "noisereduce stationary": reduce_noise(stationary=True),
    }


def scores(clean, got, quick):
    """SI-SDR, PESQ and STOI of the speech."""
    clean, got = clean[LEAD:], got[LEAD:]
    try:
        quality = 0.0 if quick else pesq(RATE, clean, got, "wb")
    except PesqError:  # nothing that it takes for speech
        quality = 1.0
    return np.array([si_sdr(clean, got), quality, stoi(clean, got, RATE)])


def gains_of(job):
    """What each tool gains on one mixture."""
    binary, quick, (names, clean, noisy) = job
    before, gains = scores(clean, noisy, quick), {}
    with tempfile.TemporaryDirectory() as temporary:
        for name, tool in noise_tools(binary).items():
            gains[name] = scores(clean, aligned(clean, tool(noisy, Path(temporary), RATE)), quick) - before
    return names[2], gains


def noise(binary, folder, part, quick, seconds):
    snrs = (5,) if quick else (0, 5, 10)
    jobs = [(binary, quick, mixture) for mixture in material.mixtures(folder, part, snrs, seconds)]
    gains, began = {snr: [] for snr in snrs}, time.monotonic()
    with ProcessPoolExecutor() as pool:
        for count, (snr, gain) in enumerate(pool.map(gains_of, jobs), 1):
            gains[snr].append(gain)
            print(f"mixture {count} of {len(jobs)}, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    for snr in snrs:
        rows = {name: np.mean([gain[name] for gain in gains[snr]], 0) for name in noise_tools(binary)}
        table(f"Speech in noise at {snr} dB, {len(rows)} tools, {len(gains[snr])} mixtures of {seconds:g} s", rows,
              ["SI-SDR/dB", "PESQ", "STOI"])


def clean_clips(folder, rate=44_100):
    """Speech and music at 44.1 kHz: 12 s each."""
    speech = signal.resample_poly(np.concatenate([material.voice(folder / path, 12.0) for path in
                                                  list(material.VOICES["held"].values())[:1]]), rate, RATE)
    music = material.decode(ROOT / "examples" / "media" / "music.mp3", rate)[:12 * rate]
    return {"speech": speech * 0.2 / material.active_rms(speech) / 2, "music": music * 0.1 / np.sqrt((music ** 2).mean())}


def compare(title, folder, damage, tools):
    """Mean SI-SDR over the clips after `damage(x, random, rate)`."""
    rate, rows = 44_100, {"nothing": []}
    clips = clean_clips(folder)
    with tempfile.TemporaryDirectory() as temporary:
        for clip in clips.values():
            damaged = damage(clip, np.random.default_rng(7), rate)
            rows["nothing"].append(si_sdr(clip, damaged))
            for name, tool in tools.items():
                rows.setdefault(name, []).append(si_sdr(clip, aligned(clip, tool(damaged, Path(temporary), rate))))
    table(title + ", SI-SDR in dB", rows, list(clips))


def hum(binary, folder):
    def damage(x, random, rate):
        t = np.arange(len(x)) / rate
        phase = 2 * np.pi * (50.08 * t + 0.02 * np.sin(0.4 * t))
        tones = sum(np.sin(k * phase + random.uniform(0, 6.28)) / k for k in range(1, 16))
        return x + 0.03 * tones
    notches = ",".join(f"bandreject=f={50 * k}:width_type=h:w=2" for k in range(1, 16))
    compare("Hum of 50.08 Hz and 14 harmonics", folder, damage, {
        "ours dehum": ours(binary, "dehum"), "ffmpeg 15 x bandreject 2 Hz": ffmpeg(notches),
        "ffmpeg afftdn nf=-30 tn=1": ffmpeg("afftdn=nr=12:nf=-30:tn=1")})


def declick(binary, folder):
    def clicks(per_second, longest, level):
        def damage(x, random, rate):
            y = x.copy()
            for at in random.integers(2_000, len(x) - 2_000, int(per_second * len(x) / rate)):
                length = random.integers(1, longest + 1)
                y[at:at + length] += level * random.uniform(0.3, 1) * random.standard_normal(length)
            return y
        return damage
    peers = {"ours declick": ours(binary, "declick"), "ffmpeg adeclick": ffmpeg("adeclick"),
             "ffmpeg adeclick t=4": ffmpeg("adeclick=t=4"), "ffmpeg adeclick w=55 b=4": ffmpeg("adeclick=b=4")}
    compare("10 clicks a second, up to 20 samples, strong", folder, clicks(10, 20, 0.4), peers)
    compare("10 clicks a second, up to 60 samples, weak", folder, clicks(10, 60, 0.1), peers)
    compare("500 crackles a second, up to 3 samples", folder, clicks(500, 3, 0.1),
            {"ours decrackle": ours(binary, "decrackle"), **peers})


def declip(binary, folder):
    def clip(ratio_db):
        def damage(x, _, __):
            level = np.quantile(np.abs(x), 0.9999) * 10 ** (-ratio_db / 20)
            return np.clip(x, -level, level)
        return damage
    for ratio_db in (3, 6, 10):
        compare(f"Clipped {ratio_db} dB under the peak", folder, clip(ratio_db),
                {"ours declip": ours(binary, "declip"), "ffmpeg adeclip": ffmpeg("adeclip"),
                 "ffmpeg adeclip m=s": ffmpeg("adeclip=m=s")})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=["noise", "hum", "declick", "declip"])
    parser.add_argument("--part", choices=["tune", "held"], default="held")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seconds", type=float, default=10.0, help="speech in each mixture")
    parser.add_argument("--binary", type=Path, default=os.environ.get("PURESOUND_BIN", ROOT / "target" / "release" / "puresound"))
    args = parser.parse_args()
    args.binary = Path(args.binary)
    missing = [tool for tool in ("ffmpeg", "sox") if not shutil.which(tool)]
    if missing:
        sys.exit(f"not installed: {', '.join(missing)}")
    if not args.binary.exists():
        sys.exit(f"{args.binary} is not there: cargo build --release")
    folder = material.fetch(WORK / "restoration")
    steps = {"noise": lambda: noise(args.binary, folder, args.part, args.quick, args.seconds), "hum": lambda: hum(args.binary, folder),
             "declick": lambda: declick(args.binary, folder), "declip": lambda: declip(args.binary, folder)}
    for name, step in steps.items():
        if args.only in (None, name):
            step()


if __name__ == "__main__":
    main()
