"""Recordings put before, after and on top of another one, judged by samples that ffmpeg made and decoded."""

import base64
import json
import subprocess

import numpy as np
import pytest

from conftest import ffmpeg_pcm, puresound

RATE = 48_000


def tone(path, seconds, frequency_hz, rate=RATE, channels=1, gain=0.25):
    """A sine of amplitude `gain` in a file whose format the name says."""
    # Not by -ac: that would change the level.
    each = "|".join([f"{gain}*sin({2 * np.pi * frequency_hz}*t)"] * channels)
    source = f"aevalsrc={each}:d={seconds}:s={rate}"
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-f", "lavfi", "-i", source, str(path)], check=True)
    return path


def sine(seconds, frequency_hz, gain=0.25):
    return gain * np.sin(2 * np.pi * frequency_hz * np.arange(round(seconds * RATE)) / RATE)


def apply(source, out, spec, check=0):
    return puresound("process", source, "-o", out, "--filter", json.dumps(spec), "--keep-level", "--bits", "24", check=check)


@pytest.fixture
def talk(tmp_path):
    return tone(tmp_path / "talk.wav", 3, 440, channels=2)


def test_intro_and_outro_of_other_formats(talk, tmp_path):
    intro = tone(tmp_path / "intro.flac", 1.5, 300, rate=44_100)
    outro = tone(tmp_path / "outro.wav", 1, 700, rate=24_000, channels=2)
    out = tmp_path / "out.wav"
    apply(talk, out, {"type": "concat", "before": [str(intro)], "after": [str(outro)]})
    samples, rate = ffmpeg_pcm(out)
    assert rate == RATE and samples.shape == (round(5.5 * RATE), 2)
    want = np.concatenate([sine(1.5, 300), sine(3, 440), sine(1, 700)])
    # Inputs of 16 bits, and a few ms where a sine of another rate begins or ends and the resampler rings.
    ringing = np.zeros(len(want), bool)
    for at_s in (0, 1.5, 4.5, 5.5):
        ringing[max(round((at_s - 0.02) * RATE), 0):round((at_s + 0.02) * RATE)] = True
    for channel in samples.T:
        assert np.abs(channel - want)[~ringing].max() < 1e-4


def test_crossfade_and_data_url(talk, tmp_path):
    # A command line takes 128 KiB in one argument.
    intro = tone(tmp_path / "intro.wav", 0.9, 440)
    url = "data:audio/wav;base64," + base64.b64encode(intro.read_bytes()).decode()
    out = tmp_path / "out.wav"
    # Equal gains of the same sound in phase: 0.4 s are 176 periods.
    apply(talk, out, {"type": "concat", "before": [url], "crossfade_s": 0.5, "curve": "equal_gain"})
    samples, _ = ffmpeg_pcm(out)
    assert len(samples) == round(3.4 * RATE)
    assert np.abs(samples[:, 0] - sine(3.4, 440)).max() < 1e-4  # two roundings to 16 bits


def test_music_under_speech_loops_and_ends_with_it(talk, tmp_path):
    bed = tone(tmp_path / "bed.wav", 0.5, 1000)
    out = tmp_path / "out.wav"
    spec = {"type": "mix", "curve": "equal_gain", "inputs": [
        {"path": str(bed), "gain_db": -6.0206, "start_s": 0.5, "fade_in_s": 0.2, "fade_out_s": 1, "loop": True}]}
    apply(talk, out, spec)
    samples, _ = ffmpeg_pcm(out)
    assert len(samples) == 3 * RATE
    t = np.arange(3 * RATE) / RATE
    gain = 0.5 * (t >= 0.5) * np.clip((t - 0.5) / 0.2, 0, 1) * np.clip(3 - t, 0, 1)
    want = sine(3, 440) + gain * sine(3, 1000)
    # Two roundings to 16 bits, and half a frame of the fades (1e-5 of a gain of 0.125).
    assert np.abs(samples[:, 0] - want).max() < 1e-4


def test_the_longest_says_the_length_and_lossy_inputs_work(talk, tmp_path):
    bed = tone(tmp_path / "bed.mp3", 4, 1000, rate=44_100, channels=2)
    out = tmp_path / "out.flac"
    apply(talk, out, {"type": "mix", "length": "longest", "inputs": [{"path": str(bed), "start_s": 1}]})
    samples, _ = ffmpeg_pcm(out)
    # The encoder's padding is removed; the length comes from a rate conversion.
    assert abs(len(samples) - 5 * RATE) <= 2
    power = np.mean(samples[round(3.5 * RATE):round(4.5 * RATE), 0] ** 2)
    # LAME lowers the level by 0.95 before it encodes.
    assert power == pytest.approx((0.95 * 0.25) ** 2 / 2, rel=0.02)


def test_a_late_recorder_is_aligned_and_the_report_says_so(tmp_path):
    source = "anoisesrc=d=4:c=pink:r=48000:seed=7:a=0.4"
    room, late = tmp_path / "room.wav", tmp_path / "late.flac"
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-f", "lavfi", "-i", source, str(room)], check=True)
    # A recorder that was started 0.75 s earlier, so that all is later in it, with another sound.
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-i", str(room), "-af", "lowpass=f=6000,adelay=750", str(late)], check=True)
    out = tmp_path / "out.wav"
    done = puresound("process", late, "-o", out, "--filter", f"align:reference={room}", "--keep-level", "--bits", "24", "--json")
    cut = [f for f in done.json["findings"] if f["filter"] == "align"]
    # The low-pass delays by some frames of its own.
    assert [f["what"] for f in cut] == ["cut"] and cut[0]["end_s"] == pytest.approx(0.75, abs=0.001)
    (samples, _), (before, _) = ffmpeg_pcm(out), ffmpeg_pcm(late)
    assert np.abs(samples - before[round(cut[0]["end_s"] * RATE):]).max() < 1e-6


def test_a_recipe_names_them_and_the_plan_reads_them(talk, tmp_path):
    intro = tone(tmp_path / "intro.wav", 1, 300)
    recipe, out = tmp_path / "recipe.json", tmp_path / "out.wav"
    recipe.write_text(json.dumps({"filters": [{"type": "bandreject", "frequency_hz": 50}, {"type": "concat", "before": [str(intro)]}]}))
    args = [talk, "-o", out, "--recipe", recipe, "--json"]
    assert "concat" in json.dumps(puresound("plan", *args).json)
    assert not out.exists()
    puresound("process", *args)
    assert len(ffmpeg_pcm(out)[0]) == 4 * RATE


def test_what_cannot_be_read_is_named_before_anything_is_written(talk, tmp_path):
    (tmp_path / "text.wav").write_text("no audio here")
    for place, words in [("missing.wav", "missing.wav"), (str(tmp_path / "text.wav"), ""), ("data:audio/wav;base64,%%%", "base64"), ("", "before")]:
        before = sorted(p.name for p in tmp_path.iterdir())
        done = apply(talk, tmp_path / "out.wav", {"type": "concat", "before": [place]}, check=None)
        assert done.code != 0 and words in done.err, (place, done.err)
        assert sorted(p.name for p in tmp_path.iterdir()) == before
    done = apply(talk, tmp_path / "out.wav", {"type": "mix", "inputs": [{"path": "x.wav", "gain_db": 99}]}, check=None)
    assert done.code != 0 and "mix.inputs[0].gain_db is 99 dB, allowed is -120 to 60 dB" in done.err
