"""The command `classify`, beside the same network in numpy, and on recordings of which it is known what they are."""

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import MUSIC, SPEECH, ffmpeg_pcm, puresound

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))
import network  # noqa: E402

RATE = 16_000


def pcm(path, seconds=20):
    samples, rate = ffmpeg_pcm(path)
    mono = samples.mean(axis=1)[: rate * seconds]
    if rate != RATE:
        from scipy.signal import resample_poly

        mono = resample_poly(mono, RATE, rate)
    return np.asarray(mono, np.float32)


def plant(path, samples):
    soundfile.write(path, samples, RATE, subtype="FLOAT")
    return path


def head():
    data = network.Weights((network.MODEL / "head.weights").read_bytes(), b"PSNDHED1")
    weights, bias = data.floats(4, 928), data.floats(4)
    assert data.at == len(data.data)
    return weights.T, bias


@pytest.mark.parametrize("source", [SPEECH, MUSIC])
def test_the_confidence_is_that_of_an_independent_implementation(tmp_path, source):
    x = pcm(source)
    told = puresound("classify", plant(tmp_path / "x.wav", x), "--json").json
    features, levels, events = network.seconds(network.Network(), x)
    p = network.kinds(features, events, *head())[levels > -60]
    expected = p.mean(axis=0)
    assert told["class"] == network.KINDS[int(expected.argmax())]
    # Single precision through ten layers, and other orders of the sums.
    assert told["confidence"] == pytest.approx(expected.max(), abs=1e-3)


def test_a_programme_is_divided_where_it_changes(tmp_path):
    speech, music = pcm(SPEECH, 10), pcm(MUSIC, 12)
    level = lambda x: 0.1 * x / np.sqrt(np.mean(x**2))
    hiss = 0.02 * np.random.default_rng(1).standard_normal(6 * RATE)
    parts = [level(music), level(speech), np.zeros(4 * RATE), hiss]
    path = plant(tmp_path / "programme.wav", np.concatenate(parts))
    told = puresound("classify", path, "--json").json
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.validate(told, puresound("schema", "content").json)
    assert [s["class"] for s in told["segments"]] == ["music", "speech", "silence", "noise"]
    borders = np.cumsum([len(part) / RATE for part in parts])
    assert np.abs(np.array([s["end_s"] for s in told["segments"]]) - borders).max() <= 1
    assert all(a["end_s"] == b["start_s"] for a, b in zip(told["segments"], told["segments"][1:]))
    # Who speaks, speaks in the second part.
    assert told["voice"] and all(11.5 < v["start_s"] < v["end_s"] < 22.5 for v in told["voice"])
    text = puresound("classify", path).out.decode()
    assert text.startswith(told["class"]) and "silence" in text
    analysed = puresound("analyse", path, "--content", "--no-pitch", "--json").json
    assert analysed["content"] == told
    page = tmp_path / "page.html"
    puresound("analyse", path, "--content", "--no-pitch", "--html", page)
    assert "Content" in page.read_text() and f"confidence {told['confidence']:.2f}" in page.read_text()
    assert "content" not in puresound("analyse", path, "--no-pitch", "--json").json


def test_speech_over_music_is_both(tmp_path):
    speech, music = pcm(SPEECH, 20), pcm(MUSIC, 20)
    n = min(len(speech), len(music))
    mixed = 0.1 * speech[:n] / np.std(speech) + 0.08 * music[:n] / np.std(music)
    told = puresound("classify", plant(tmp_path / "both.wav", mixed), "--json").json
    assert told["class"] == "speech_over_music"
    assert told["speech_ratio"] > 0.8 and told["music_ratio"] > 0.8


def test_lossy_quiet_and_narrow_recordings_are_what_they_were(tmp_path):
    for source, kind in [(SPEECH, "speech"), (MUSIC, "music")]:
        coded = tmp_path / f"{kind}.mp3"
        puresound("convert", source, "-o", coded, "--bitrate", "64")
        assert puresound("classify", coded, "--json").json["class"] == kind
        quiet = plant(tmp_path / f"{kind}.wav", pcm(source) * 10 ** (-30 / 20))
        assert puresound("classify", quiet, "--json").json["class"] == kind


def test_recommendations_say_what_was_heard():
    for source, kind in [(SPEECH, "speech"), (MUSIC, "music")]:
        told = puresound("recommend", source, "--json").json
        assert told["content"] == kind
        reason = next(r for r in told["preset"]["reasons"] if r["fact"] == kind)
        assert reason["value"] > 0.5 and reason["because"]


def test_mistakes_are_named(tmp_path):
    nothing = tmp_path / "text.wav"
    nothing.write_text("no audio at all")
    puresound("classify", nothing, check=3)
    wrong = puresound("classify", SPEECH, "--silence", "5", check=5)
    assert "silence_dbfs" in wrong.err and "-80" in wrong.err
