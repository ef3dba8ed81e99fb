#!/usr/bin/env python3
"""Runs `puresound analyse` beside librosa on a file: how far the numbers differ, and the ratio of the times.

    python tests/performance/analysis.py FILE [--binary target/release/puresound] [--seconds 120]

Needs librosa and soundfile, and ffmpeg to read what is no WAV. Both sides work on the same mono WAV file at its own rate. librosa is
run once on two seconds first, so that its compilation is not timed. Its time is user and system time of this process, ours that of the
other process, decoding and loudness included.
"""
import argparse
import json
import pathlib
import resource
import subprocess
import tempfile

import librosa
import numpy as np
import soundfile


def with_librosa(y, sr):
    f = librosa.feature
    return {
        "centroid_hz": f.spectral_centroid(y=y, sr=sr),
        "bandwidth_hz": f.spectral_bandwidth(y=y, sr=sr),
        "rolloff_hz": f.spectral_rolloff(y=y, sr=sr),
        "flatness": f.spectral_flatness(y=y),
        "zero_crossing_rate": f.zero_crossing_rate(y),
        "rms": f.rms(y=y),
        "mel": f.melspectrogram(y=y, sr=sr),
        "mfcc": f.mfcc(y=y, sr=sr),
        "chroma": f.chroma_stft(y=y, sr=sr, tuning=0.0),
        "contrast_db": f.spectral_contrast(y=y, sr=sr),
        "onset_strength": librosa.onset.onset_strength(y=y, sr=sr),
        "stft": np.abs(librosa.stft(y)),
        "tempo": f.tempo(y=y, sr=sr),
    }


def cpu(who):
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    parser.add_argument("--binary", default="target/release/puresound")
    parser.add_argument("--seconds", type=float, default=120)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        wav = pathlib.Path(folder) / "in.wav"
        command = ["ffmpeg", "-v", "error", "-i", args.file, "-t", str(args.seconds), "-ac", "1", "-c:a", "pcm_f32le", wav]
        subprocess.run(command, check=True)
        y, sr = soundfile.read(wav, dtype="float32")

        def ours(*more):
            before = cpu(resource.RUSAGE_CHILDREN)
            done = subprocess.run([args.binary, "analyse", wav, "--json", *more], check=True, capture_output=True)
            return json.loads(done.stdout), cpu(resource.RUSAGE_CHILDREN) - before

        analysis, _ = ours("--series")
        _, bare_s = ours("--no-pitch")
        _, full_s = ours()
    with_librosa(y[: 2 * sr], sr)
    before = cpu(resource.RUSAGE_SELF)
    reference = with_librosa(y, sr)
    librosa_s = cpu(resource.RUSAGE_SELF) - before

    print(f"{len(y) / sr:.1f} s at {sr} Hz; differences by the largest value of librosa's array")
    print(f"{'feature':20} {'maximum':>9} {'median':>9}")
    for name, expected in reference.items():
        if name in ("stft", "tempo"):
            continue
        got = np.atleast_2d(np.array(analysis["series"][name]))
        difference = np.abs(got - np.atleast_2d(expected)) / np.abs(expected).max()
        print(f"{name:20} {difference.max():9.1e} {np.median(difference):9.1e}")
    tempo = analysis["rhythm"]["tempo"]
    print(f"tempo: librosa {reference['tempo'][0]:.1f}, here {tempo['bpm']:.1f} bpm" if tempo else "tempo: none")
    print(f"CPU time: librosa {librosa_s:.2f} s; here {bare_s:.2f} s ({librosa_s / bare_s:.1f} times), "
          f"with pitch {full_s:.2f} s ({librosa_s / full_s:.1f} times); decoding and loudness included")


main()
