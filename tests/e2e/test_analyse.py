"""The command `analyse`, beside numbers that numpy makes of what ffmpeg decodes."""

import json
import shutil
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


def test_the_fingerprint_is_that_of_fpcalc():
    told = puresound("analyse", SPEECH, "--fingerprint", "--no-pitch", "--json").json["fingerprint"]
    fpcalc = shutil.which("fpcalc")
    if fpcalc is None:
        pytest.skip("fpcalc is not installed")
    # It takes the end of a FLAC file for an error, and tells the fingerprint.
    theirs = json.loads(subprocess.run([fpcalc, "-json", SPEECH], capture_output=True).stdout)
    # Lossless: both see the same samples.
    assert told["text"] == theirs["fingerprint"] and told["duration_s"] == pytest.approx(theirs["duration"], abs=0.01)


def test_what_is_off_by_default_is_there_when_asked_for(tmp_path):
    plain = puresound("analyse", SPEECH, "--no-pitch", "--json").json
    asked = puresound("analyse", SPEECH, "--no-pitch", "--json", "--cqt", "--hpss", "--fingerprint").json
    names = {"cqt", "chroma_cqt", "harmonic_ratio"}
    assert all(asked["features"][name] for name in names) and asked["fingerprint"]
    assert not any(plain["features"].get(name) for name in names) and not plain.get("fingerprint")
    # 440 Hz is the A, the tenth of the pitch classes, and rings.
    path = tmp_path / "a.wav"
    subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "sine=440:duration=5:sample_rate=44100", str(path)], check=True)
    tone = puresound("analyse", path, "--no-pitch", "--json", "--cqt", "--hpss").json["features"]
    assert np.argmax(tone["chroma_cqt"]["mean"]) == 9 and np.argmax(tone["cqt"]["mean"]) == 45  # C1 to A4
    assert tone["harmonic_ratio"]["mean"] > 0.9


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
