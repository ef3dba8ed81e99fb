"""The command `analyse`, beside numbers that numpy makes of what ffmpeg decodes."""

import json
import struct
import subprocess

import numpy as np
import pytest
from conftest import SPEECH, ffmpeg_pcm, puresound


def test_numbers_are_those_of_an_independent_transform():
    told = puresound("analyse", SPEECH, "--json", "--series", "--no-pitch").json
    samples, rate = ffmpeg_pcm(SPEECH)
    x = samples[:, 0]
    assert (told["spec"]["rate_hz"], told["frames"]) == (rate, len(x))
    loudness = puresound("loudness", SPEECH, "--json").json
    assert told["loudness"] == {name: loudness[name] for name in told["loudness"]}
    # librosa.feature.spectral_centroid: n_fft 2048, hop 512, periodic Hann, centred with zeros.
    padded = np.pad(x, 1024)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(2048) / 2048)
    frames = np.lib.stride_tricks.sliding_window_view(padded, 2048)[::512]
    magnitude = np.abs(np.fft.rfft(frames * window))
    centroid = (magnitude @ (np.arange(1025) * rate / 2048)) / magnitude.sum(axis=1)
    series = np.array(told["series"]["centroid_hz"])
    assert series.shape[-1] == len(centroid)
    # Single precision in the transform.
    assert np.abs(series.ravel() / centroid - 1).max() < 1e-3


def test_a_click_track_has_its_tempo(tmp_path):
    rate, period = 22_050, 0.5
    x = np.zeros(rate * 20)
    x[(np.arange(1, 39) * period * rate).astype(int)] = 0.9
    path = tmp_path / "clicks.wav"
    subprocess.run(["ffmpeg", "-v", "error", "-f", "f64le", "-ar", str(rate), "-i", "-", str(path)],
                   input=x.tobytes(), check=True)
    told = puresound("analyse", path, "--json", "--no-pitch").json
    # One frame of 512 in the period of 21.5 of them moves the tempo by 5 %.
    assert told["rhythm"]["tempo"]["bpm"] == pytest.approx(120, rel=0.05)


def test_peaks_are_the_least_and_greatest_samples(tmp_path):
    samples, _ = ffmpeg_pcm(SPEECH)
    whole = np.round(samples[:, 0] * 32768).astype(int)
    text, binary = tmp_path / "p.json", tmp_path / "p.dat"
    puresound("analyse", SPEECH, "--json", "--peaks", text)
    puresound("analyse", SPEECH, "--json", "--peaks", binary)
    told = json.loads(text.read_text())
    assert (told["version"], told["bits"], told["samples_per_pixel"]) == (2, 16, 256)
    pixels = [whole[i:i + 256] for i in range(0, len(whole), 256)]
    want = [value for p in pixels for value in (p.min(), p.max())]
    assert told["length"] == len(pixels)
    assert np.abs(np.array(told["data"]) - want).max() <= 1
    # Header of audiowaveform's DAT format, version 2: version, flags (1 is 8 bits), rate, samples per pixel, length, channels.
    raw = binary.read_bytes()
    assert struct.unpack("<iIiiIi", raw[:24]) == (2, 0, told["sample_rate"], 256, len(pixels), 1)
    assert np.frombuffer(raw[24:], "<i2").tolist() == told["data"]


def test_mistakes_are_told(tmp_path):
    puresound("analyse", tmp_path / "none.wav", check=7)
    wrong = puresound("analyse", SPEECH, "--peaks", tmp_path / "p.png", check=None)
    assert wrong.code in (2, 4, 5) and "dat" in wrong.err
    assert not (tmp_path / "p.png").exists()
