"""The command `classify`, beside the same network in numpy, and on recordings of which it is known what they are."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import BIN, MUSIC, SPEECH, ffmpeg_pcm, puresound

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


PROGRAM = os.environ.get("PURESOUND_OBJECTS_BIN", BIN)


def speech_quality(path):
    done = subprocess.run([PROGRAM, "classify", path, "--speech-quality", "--json"], capture_output=True, text=True, check=False)
    if "feature ml" in done.stderr:
        assert "PURESOUND_OBJECTS_BIN" not in os.environ, f"{PROGRAM} was built without the feature ml"
        pytest.skip("needs a program with the feature ml")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout).get("speech_quality")


def test_speech_quality_is_that_of_the_reference_runtime(tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    x = pcm(SPEECH, 40)
    window = 144_160
    # No second window: which ones are heard is not the question here.
    x = x[: 2 * window - 1]
    told = speech_quality(plant(tmp_path / "x.wav", x))
    session = runtime.InferenceSession(str(network.MODEL / "dnsmos-p835.onnx"))
    raw = session.run(None, {session.get_inputs()[0].name: x[None, :window]})[0][0]
    # The polynomials of speechmos 0.0.1.1, `dnsmos.py`.
    signal = np.polyval([-0.08397278, 1.22083953, 0.0052439], raw[0])
    background = np.polyval([-0.13166888, 1.60915514, -0.39604546], raw[1])
    overall = np.polyval([-0.06766283, 1.11546468, 0.04602535], raw[2])
    assert told["windows"] == 1
    assert [told["signal_mos"], told["background_mos"], told["overall_mos"]] == pytest.approx([signal, background, overall], abs=1e-3)


def test_noise_makes_speech_worse_and_music_is_not_judged(tmp_path):
    x = pcm(SPEECH, 20)
    rng = np.random.default_rng(1)
    scores = []
    for snr_db in (60, 20, 5):
        noise = rng.standard_normal(len(x)) * np.sqrt(np.mean(x**2)) * 10 ** (-snr_db / 20)
        scores.append(speech_quality(plant(tmp_path / "x.wav", (0.5 * (x + noise)).astype(np.float32))))
    for name in ("background_mos", "overall_mos"):
        clean, hiss, loud = (score[name] for score in scores)
        assert clean > hiss > loud, f"{name}: {scores}"
    assert speech_quality(plant(tmp_path / "music.wav", pcm(MUSIC, 20))) is None


def test_speech_quality_without_the_network_says_how_to_get_it(tmp_path):
    done = puresound("classify", SPEECH, "--speech-quality", check=None)
    assert done.code == 0 or ("speech_quality" in done.err and "feature ml" in done.err), done.err
