"""`compare`: figures that can be computed with numpy, delays and codecs of other tools, limits and errors."""

import json

import jsonschema
import numpy as np
import pytest
import soundfile

from conftest import MUSIC, ROOT, SPEECH, ffmpeg_pcm, puresound
from test_quality import ffmpeg

BEST = {"snr_db": 200, "si_sdr_db": 200, "segmental_snr_db": 35, "log_spectral_distance_db": 0, "level_difference_db": 0, "correlation": 1}


def compare(a, b, *args, code=0):
    return puresound("compare", a, b, "--json", *args, check=code).json


@pytest.fixture(scope="module")
def music(tmp_path_factory):
    """Six seconds of stereo at 48 kHz, float64 (frames, channels)."""
    return ffmpeg_pcm(MUSIC)[0][48_000:48_000 * 7]


def write(path, samples, rate=48_000):
    soundfile.write(path, samples, rate, "FLOAT")
    return path


def test_a_file_is_like_itself_and_the_record_fits_its_schema(tmp_path, music):
    got = compare(SPEECH, SPEECH)
    differences = got["differences"]
    assert differences["identical"] and {name: differences[name] for name in BEST} == BEST
    ear = differences["perceptual"]
    assert ear["nmr_db"] < -100 and ear["two_f_score"] == 100
    assert (ear["disturbed_frames_ratio"], ear["adb"], ear["mfpd"], ear["avg_mod_diff1"]) == (0, 0, 0, 0)
    assert got["reference"]["frames"] == got["degraded"]["frames"] and got["alignment"]["offset_frames"] == 0
    schema = json.loads((ROOT / "configs" / "schema" / "comparison.json").read_text())
    jsonschema.validate(got, schema)
    noisy = write(tmp_path / "noisy.wav", music + np.random.default_rng(1).normal(0, 0.01, music.shape))
    jsonschema.validate(compare(write(tmp_path / "music.wav", music), noisy, "--match-level"), schema)


def test_ratios_are_those_of_numpy(tmp_path, music):
    rng = np.random.default_rng(2)
    original = write(tmp_path / "a.wav", music)
    for gain, noise in [(1.0, 0.001), (0.7, 0.03), (-1.0, 0.1)]:
        degraded = (gain * music + rng.normal(0, noise, music.shape)).astype(np.float32)
        got = compare(original, write(tmp_path / "b.wav", degraded))["differences"]
        r, d = music.astype(np.float32).astype(float), degraded.astype(float)
        snr = 10 * np.log10(np.sum(r * r) / np.sum((r - d) ** 2))
        scale = np.sum(r * d) / np.sum(r * r)
        si_sdr = 10 * np.log10(np.sum((scale * r) ** 2) / np.sum((d - scale * r) ** 2))
        assert got["snr_db"] == pytest.approx(snr, abs=1e-3) and got["si_sdr_db"] == pytest.approx(si_sdr, abs=1e-3)
        assert got["level_difference_db"] == pytest.approx(10 * np.log10(np.sum(d * d) / np.sum(r * r)), abs=1e-3)
        assert got["correlation"] == pytest.approx(np.sum(r * d) / np.sqrt(np.sum(r * r) * np.sum(d * d)), abs=1e-6)
        length = len(r) // 1024 * 1024
        energy, error = ((x[:length] ** 2).reshape(-1, 1024 * 2).sum(axis=1) for x in (r, r - d))
        loud = energy > 1e-6 * 2048
        segments = np.clip(10 * np.log10(energy[loud] / error[loud]), -10, 35)
        # The last segment is a shorter one.
        assert got["segmental_snr_db"] == pytest.approx(segments.mean(), abs=0.1)


def test_log_spectral_distance_is_that_of_numpy(tmp_path, music):
    degraded = music + np.random.default_rng(3).normal(0, 0.003, music.shape)
    got = compare(write(tmp_path / "a.wav", music), write(tmp_path / "b.wav", degraded))["differences"]
    window = np.hanning(2048)
    distances = []
    for channel in (0, 1):
        for start in range(0, len(music) - 2047, 1024):
            r, d = (x.astype(np.float32)[start:start + 2048, channel] for x in (music, degraded))
            if np.mean(r * r) > 1e-6:
                # A full-scale sine has half of the window's sum.
                levels = [np.maximum(np.abs(np.fft.rfft(x * window)) ** 2 / (window.sum() / 2) ** 2, 1e-10) for x in (r, d)]
                distances.append(np.sqrt(np.mean((10 * np.log10(levels[0] / levels[1])) ** 2)))
    assert got["log_spectral_distance_db"] == pytest.approx(np.mean(distances), rel=0.005)


@pytest.mark.parametrize("delay_ms", [7, 250, 4000])
def test_a_delay_made_by_ffmpeg_is_found_and_taken_away(delay_ms, tmp_path):
    late = ffmpeg(SPEECH, tmp_path / "late.wav", "-af", f"adelay={delay_ms}:all=1")
    got = compare(SPEECH, late)
    assert got["alignment"]["offset_s"] == pytest.approx(delay_ms / 1000, abs=2e-6)
    assert got["differences"]["snr_db"] > 60
    unaligned = compare(SPEECH, late, "--no-align")
    assert unaligned["alignment"] is None and unaligned["differences"]["snr_db"] < 10


def test_lower_rates_of_a_codec_are_worse(tmp_path):
    figures = []
    for kbps in (24, 64, 160):
        coded = ffmpeg(MUSIC, tmp_path / f"{kbps}.opus", "-c:a", "libopus", "-b:a", f"{kbps}k")
        got = compare(MUSIC, coded)
        assert abs(got["alignment"]["offset_frames"]) <= 1, got["alignment"]
        figures.append(got["differences"]["perceptual"])
    for worse, better in zip(figures, figures[1:]):
        assert worse["nmr_db"] > better["nmr_db"] + 3 and worse["avg_mod_diff1"] > better["avg_mod_diff1"]
        assert worse["two_f_score"] < better["two_f_score"] and worse["disturbed_frames_ratio"] > better["disturbed_frames_ratio"]


def test_limits_decide_the_exit_code(tmp_path):
    coded = ffmpeg(MUSIC, tmp_path / "coded.mp3", "-b:a", "128k")
    assert puresound("compare", MUSIC, coded, "--max", "nmr_db=0", "--min", "two_f_score=10", check=0).out
    missed = puresound("compare", MUSIC, coded, "--max", "nmr_db=-40", check=1)
    assert "nmr_db" in missed.err and b"NMR (after BS.1387)" in missed.out
    assert puresound("compare", MUSIC, coded, "--max", "nmr_dbs=-40", check=5).err.count("nmr_db")
    # What cannot be measured meets nothing.
    silence = write(tmp_path / "silence.wav", np.zeros((48_000, 2)))
    assert "not there" in puresound("compare", silence, coded, "--max", "nmr_db=0", check=1).err


def test_what_cannot_be_compared_is_refused(tmp_path):
    mono = ffmpeg(MUSIC, tmp_path / "mono.wav", "-ac", "1")
    refused = compare(MUSIC, mono, code=5)["error"]
    assert (refused["details"]["name"], refused["details"]["value"]) == ("channels", "2 and 1")
    assert compare(MUSIC, mono, "--mono")["differences"]["snr_db"] > 60
    assert puresound("compare", MUSIC, tmp_path / "none.wav", check=7).err
    assert puresound("compare", MUSIC, SPEECH.parent / "README.md", "--mono", check=3).err
    assert puresound("compare", MUSIC, mono, "--mono", "--max-offset", "61", check=5).err
    assert puresound("compare", "-", "-", check=8).err


def test_an_input_may_be_standard_input():
    with open(SPEECH, "rb") as file:
        assert puresound("compare", "-", SPEECH, "--json", stdin=file).json["differences"]["identical"]
