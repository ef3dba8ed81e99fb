#!/usr/bin/env python3
"""Codes clips at many rates, has `puresound compare` and seabass-2f judge them, and prints how far the two are apart.

    python tests/performance/compare.py FILE... [--binary target/release/puresound] [--clips 14] [--seconds 6] [--json OUT.json]
    python tests/performance/compare.py FILE... --speed

Clips are cut from lossless files, one after the other from each file, at 48 kHz and 16 bits, coded by ffmpeg with Opus, MP3 and AAC,
decoded, and aligned here by numpy, so that both programs get the same samples. seabass-2f (PyPI, Apache-2.0) knows `adb`, `avg_mod_diff1` and
the score of the 2f-model; NMR and disturbed frames are made here from its ear model in numpy. Besides: is the offset found, does the NMR
fall with the bit rate. `--speed` measures the time per second of sound on two minutes of the first file. Needs numpy, soundfile, seabass-2f
(in a virtual environment of its own) and ffmpeg; seabass-2f takes 90 s to compile itself.
"""
import argparse
import collections
import functools
import json
import os
import pathlib
import resource
import subprocess
import tempfile
import time

import numpy as np
import soundfile

RATE = 48_000
CODECS = {
    "opus": ("ogg", ["-c:a", "libopus"], [16, 24, 32, 48, 64, 96, 128, 160]),
    "mp3": ("mp3", ["-c:a", "libmp3lame"], [64, 96, 128, 192, 256]),
    "aac": ("m4a", ["-c:a", "aac"], [48, 64, 96, 128, 192, 256]),
}


def ffmpeg(*args):
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-y", *map(str, args)], check=True)


def decoded(path, channels, *options):
    run = ["ffmpeg", "-nostdin", "-v", "error", *options, "-i", str(path), "-ac", str(channels), "-ar", str(RATE), "-f", "f32le", "-"]
    return np.frombuffer(subprocess.run(run, check=True, capture_output=True).stdout, "<f4").reshape(-1, channels)


def channels_of(path):
    run = ["ffprobe", "-v", "error", "-select_streams", "a:0", "-show_entries", "stream=channels", "-of", "csv=p=0", str(path)]
    return int(subprocess.run(run, check=True, capture_output=True, text=True).stdout.split()[0].strip(","))


def clips(files, count, seconds):
    """Pieces with sound in them, the first of each file, then the second of each..."""
    of_file = collections.OrderedDict()
    for file in map(pathlib.Path, files):
        channels = min(channels_of(file), 2)
        x = decoded(file, channels)
        length = int(seconds * RATE)
        starts = range(0, max(len(x) - int(0.75 * length), 1), length)
        pieces = [(f"{file.name}@{start / RATE:.0f}", x[start:start + length]) for start in starts]
        of_file[file] = [(name, x) for name, x in pieces if len(x) > 4 * RATE and np.sqrt(np.mean(x * x)) > 0.005]
    order = [p for turn in range(50) for pieces in of_file.values() for p in pieces[turn:turn + 1]]
    return order[:count]


def offset(reference, degraded):
    """By how many samples the second is later, by cross-correlation of the first channels."""
    n = 1 << (len(reference) + len(degraded)).bit_length()
    r, d = np.fft.rfft(reference[:, 0], n), np.fft.rfft(degraded[:, 0], n)
    c = np.fft.irfft(np.conj(r) * d, n)
    at = int(np.argmax(np.abs(c)))
    return at if at < n // 2 else at - n


def compare(binary, a, b, *options):
    done = subprocess.run([binary, "compare", str(a), str(b), "--json", *options], capture_output=True, check=True)
    return json.loads(done.stdout)


def oracle(reference, degraded):
    """What seabass-2f finds, and NMR and disturbed frames by its ear model."""
    from seabass.core.model_output_variables import PeaqModelOutputVariables
    from seabass.core.models.mms import _compute_mms

    class Kept(PeaqModelOutputVariables):
        """As the original, which computes every property anew each time."""

    for name, value in vars(PeaqModelOutputVariables).items():
        if isinstance(value, property):
            setattr(Kept, name, functools.cached_property(value.fget))
            getattr(Kept, name).__set_name__(Kept, name)
    # What it is given is scaled in place.
    movs = Kept(degraded.T.astype(float).copy(), reference.T.astype(float).copy())
    found = movs.compute()
    r, d = movs.ref_weighted_magnitude_squared, movs.test_weighted_magnitude_squared
    noise = np.einsum("bf,cft->cbt", movs.bark_filter_bank, (np.sqrt(r) - np.sqrt(d)) ** 2)
    bark = 0.25 * np.arange(109)
    mask = movs.ref_smeared_excitation_pattern * (10 ** (-0.1 * np.where(bark <= 12, 3, 0.25 * bark)))[None, :, None]
    ratio = noise / mask
    return {
        "adb": float(found["adb"]),
        "avg_mod_diff1": float(found["avg_mod_diff1"]),
        "two_f_score": float(np.clip(_compute_mms(float(found["avg_mod_diff1"]), float(found["adb"])), 0, 100)),
        "nmr_db": float(np.mean(10 * np.log10(np.maximum(ratio.mean(axis=1).mean(axis=-1), 1e-20)))),
        "disturbed_frames_ratio": float(np.mean(ratio.max(axis=1) >= 10 ** 0.15)),
    }


def judge(args):
    results = []
    started = time.time()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for name, x in clips(args.files, args.clips, args.seconds):
            original = folder / "original.wav"
            soundfile.write(original, x, RATE, "PCM_16")
            reference, _ = soundfile.read(original, dtype="float32", always_2d=True)
            for codec, (extension, encoder, rates) in CODECS.items():
                for kbps in rates:
                    coded = folder / f"coded.{extension}"
                    ffmpeg("-i", original, *encoder, "-b:a", f"{kbps}k", coded)
                    decoder = ["-c:a", "libopus"] if codec == "opus" else []
                    y = decoded(coded, reference.shape[1], *decoder)
                    lag = offset(reference, y)
                    a, b = reference[max(-lag, 0):], y[max(lag, 0):]
                    length = min(len(a), len(b))
                    soundfile.write(folder / "a.wav", a[:length], RATE, "FLOAT")
                    soundfile.write(folder / "b.wav", b[:length], RATE, "FLOAT")
                    ours = compare(args.binary, folder / "a.wav", folder / "b.wav", "--no-align")["differences"]
                    # With decoding and alignment of our own.
                    whole = compare(args.binary, original, coded)
                    theirs = oracle(a[:length].copy(), b[:length].copy())
                    results.append({
                        "clip": name, "codec": codec, "kbps": kbps, "lag": lag,
                        "found": whole["alignment"]["offset_frames"], "ours": ours | ours["perceptual"], "theirs": theirs,
                        "whole": whole["differences"] | whole["differences"]["perceptual"],
                    })
            print(f"{name}: {len(results)} pairs, {time.time() - started:.0f} s", flush=True)
            if args.json:
                pathlib.Path(args.json).write_text(json.dumps(results))
    return results


def report(results):
    take = lambda which, name: np.array([r[which][name] for r in results])
    print(f"\n{len(results)} pairs of {len({r['clip'] for r in results})} clips")
    print("| figure | correlation | mean error | 95 % | largest |\n|---|---|---|---|---|")
    for name in ("two_f_score", "adb", "avg_mod_diff1", "nmr_db", "disturbed_frames_ratio"):
        a, b = take("ours", name), take("theirs", name)
        error = np.abs(a - b)
        show = lambda e: f"{e.mean():.4f} | {np.percentile(e, 95):.4f} | {e.max():.4f}"
        print(f"| `{name}` | {np.corrcoef(a, b)[0, 1]:.5f} | {show(error)} |")
        if name in ("adb", "avg_mod_diff1"):
            relative = 100 * error / np.maximum(np.abs(b), 1e-9)
            print(f"| `{name}` in percent | | {show(relative)} |")
    wrong = [r for r in results if abs(r["found"] - r["lag"]) > 1]
    print(f"\noffset as by numpy, to a sample: {len(results) - len(wrong)} of {len(results)}")
    for r in wrong:
        print(f"  {r['clip']} {r['codec']} {r['kbps']}: {r['found']}, numpy {r['lag']}")
    rms = lambda name: np.sqrt(np.mean((take("ours", name) - take("whole", name)) ** 2))
    print(f"decoded and aligned by ourselves, root mean square difference: 2f {rms('two_f_score'):.3f}, NMR {rms('nmr_db'):.3f} dB")
    print("\n| codec | steps | NMR rises | by more than 0.5 dB | disturbed frames rise by 0.02 | mean NMR in dB by kbit/s |\n|---|---|---|---|---|---|")
    by = collections.defaultdict(dict)
    for r in results:
        by[r["codec"], r["clip"]][r["kbps"]] = r["ours"]
    for codec, (_, _, rates) in CODECS.items():
        steps = [(of[low], of[high]) for (c, _), of in by.items() if c == codec for low, high in zip(rates, rates[1:])]
        rises = [high["nmr_db"] - low["nmr_db"] for low, high in steps]
        disturbed = [high["disturbed_frames_ratio"] - low["disturbed_frames_ratio"] for low, high in steps]
        mean = {k: np.mean([of[k]["nmr_db"] for (c, _), of in by.items() if c == codec]) for k in rates}
        text = ", ".join(f"{k}: {v:.1f}" for k, v in mean.items())
        count = lambda values, limit: sum(v > limit for v in values)
        print(f"| {codec} | {len(steps)} | {count(rises, 0)} | {count(rises, 0.5)} | {count(disturbed, 0.02)} | {text} |")


def speed(args):
    """Processor time of one core per second of sound, decoding of WAV and conversion of the rate included."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for channels in (1, 2):
            for rate in (48_000, 44_100):
                a, b = folder / "a.wav", folder / "b.wav"
                ffmpeg("-stream_loop", -1, "-i", args.files[0], "-t", 120, "-ac", channels, "-ar", rate, a)
                ffmpeg("-i", a, "-c:a", "libmp3lame", "-b:a", "96k", folder / "b.mp3")
                ffmpeg("-i", folder / "b.mp3", "-c:a", "pcm_s16le", b)
                best = min(cpu_s([args.binary, "compare", a, b, "--json"]) for _ in range(3))
                print(f"{channels} channels of {rate} Hz: {best / 120:.4f} s per second")


def cpu_s(command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(list(map(str, command)), check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--binary", default="target/release/puresound")
    parser.add_argument("--clips", type=int, default=14)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--json", help="write all figures here, after each clip")
    parser.add_argument("--speed", action="store_true")
    args = parser.parse_args()
    args.binary = os.path.abspath(args.binary)
    if args.speed:
        return speed(args)
    report(judge(args))


if __name__ == "__main__":
    main()
