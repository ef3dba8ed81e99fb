#!/usr/bin/env python3
"""Writes features.json: what librosa says about small signals that are made of formulas.

    python tests/conformance/features.py        needs librosa 0.11, numpy, and fpcalc 1.5 (Debian: libchromaprint-tools)

core/src/analysis/conformance.rs makes the same signals and compares.
"""
import json
import pathlib
import subprocess
import tempfile
import wave

import librosa
import numpy as np

RATE = 22_050
MEDIA = pathlib.Path(__file__).parents[2] / "examples" / "media"
FRAMES = 22_050


def noise(count, seed=1):
    """Linear congruential generator of Numerical Recipes, -1 to 1."""
    out = np.empty(count)
    for i in range(count):
        seed = (seed * 1_664_525 + 1_013_904_223) % (1 << 32)
        out[i] = (seed >> 8) / (1 << 23) - 1.0
    return out


def signal():
    """A tone of three harmonics that rises from 220 Hz, decaying clicks each quarter of a second, faint noise; silence at the end."""
    t = np.arange(FRAMES) / RATE
    phase = 2 * np.pi * (220.0 * t + 40.0 * t * t)
    tone = 0.3 * np.sin(phase) + 0.15 * np.sin(2 * phase) + 0.1 * np.sin(3 * phase)
    since = t % 0.25
    click = 0.4 * np.exp(-since * 80.0) * np.sin(2 * np.pi * 4000.0 * t)
    x = (tone + click) + 0.01 * noise(FRAMES)
    x[t >= 0.9] = 0.0
    return x.astype(np.float32)


def envelope():
    """An onset strength of 12 s at 43 frames per second: pulses at 132 beats per minute, every other one weaker, and noise."""
    x = 0.2 * np.abs(noise(516, 7))
    step = 43.06640625 * 60.0 / 132.0
    for i in range(26):
        x[int(8 + i * step)] += 1.0 if i % 2 == 0 else 0.6
    return x.astype(np.float32)


def fingerprint(y, sr):
    """What fpcalc says of the signal six times over, in 16 bits."""
    samples = np.round(np.tile(y, 6) * 32768).astype("<i2")
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/in.wav"
        with wave.open(path, "wb") as file:
            file.setparams((1, 2, sr, len(samples), "NONE", ""))
            file.writeframes(samples.tobytes())
        return fpcalc(path)


def fpcalc(path):
    # Its exit code tells of the end of the file as an error.
    return subprocess.run(["fpcalc", "-plain", path], capture_output=True, text=True).stdout.strip()


def rounded(values):
    return [[float(f"{v:.7g}") for v in row] for row in np.atleast_2d(values)]


def main():
    y, sr = signal(), RATE
    mel = librosa.feature.melspectrogram(y=y, sr=sr)
    mfcc = librosa.feature.mfcc(y=y, sr=sr)
    short = np.abs(librosa.stft(y, n_fft=512, hop_length=160, win_length=400)) ** 2
    htk = librosa.filters.mel(sr=sr, n_fft=512, n_mels=40, htk=True, norm=None) @ short
    harmonic, percussive = librosa.decompose.hpss(librosa.stft(y))
    arrays = {
        "centroid_hz": librosa.feature.spectral_centroid(y=y, sr=sr),
        "bandwidth_hz": librosa.feature.spectral_bandwidth(y=y, sr=sr),
        "rolloff_hz": librosa.feature.spectral_rolloff(y=y, sr=sr),
        "flatness": librosa.feature.spectral_flatness(y=y),
        "zero_crossing_rate": librosa.feature.zero_crossing_rate(y),
        "rms": librosa.feature.rms(y=y),
        "onset_strength": librosa.onset.onset_strength(y=y, sr=sr),
        "mel": mel[::8],
        "mel_htk": htk[::4, ::4],
        "mfcc": mfcc,
        "mfcc_delta": librosa.feature.delta(mfcc)[:5],
        "mfcc_delta2": librosa.feature.delta(mfcc, order=2)[:5],
        "chroma": librosa.feature.chroma_stft(y=y, sr=sr, tuning=0.0),
        "contrast_db": librosa.feature.spectral_contrast(y=y, sr=sr),
        "cqt": abs(librosa.cqt(y, sr=sr, tuning=0.0))[::4],
        "chroma_cqt": librosa.feature.chroma_cqt(y=y, sr=sr, tuning=0.0),
        "harmonic_energy": (abs(harmonic) ** 2).sum(axis=0),
        "percussive_energy": (abs(percussive) ** 2).sum(axis=0),
        "yin_hz": librosa.yin(y, fmin=65, fmax=2000, sr=sr),
    }
    onset = envelope()
    tempo = float(librosa.feature.tempo(onset_envelope=onset, sr=sr)[0])
    _, beats = librosa.beat.beat_track(onset_envelope=onset, sr=sr, bpm=132.0)
    onsets = librosa.onset.onset_detect(onset_envelope=onset, sr=sr)
    out = {
        "librosa": librosa.__version__,
        "arrays": {name: rounded(a) for name, a in arrays.items()},
        "tempo_bpm": tempo,
        "beats": [int(b) for b in beats],
        "onsets": [int(o) for o in onsets],
        "fingerprint": fingerprint(y, sr),
        "recordings": {name: fpcalc(MEDIA / name) for name in ("music.mp3", "speech.flac")},
        "tuning": float(librosa.estimate_tuning(y=y, sr=sr)),
    }
    path = pathlib.Path(__file__).with_name("features.json")
    path.write_text(json.dumps(out, separators=(",", ":")) + "\n")
    print(path.stat().st_size, "bytes, tempo", tempo, "tuning", out["tuning"], len(beats), "beats", len(onsets), "onsets")


main()
