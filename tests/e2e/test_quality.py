"""`check`: faults planted with other tools are found, containers do not matter, specifications decide the exit code."""

import csv
import json
import subprocess

import numpy as np
import pytest
import soundfile

from conftest import MUSIC, ROOT, SPEECH, puresound


def ffmpeg(source, to, *args):
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-y", "-i", source, *args, to], check=True)
    return to


def check(path, *args, code=0):
    return puresound("check", path, "--json", *args, check=code).json


def verdicts(path):
    return {v["name"]: v for v in check(path)["quality"]["verdicts"]}


def test_clean_speech_has_nothing_above_info_but_one_impulse():
    # The offset of 0.7 % is real: ffmpeg's astats measures it too. The impulse of half a millisecond at 10.73 s, 3 % of full scale, may be
    # of the lips: the detector cannot tell it from a click.
    found = verdicts(SPEECH)
    assert {name for name, v in found.items() if v["severity"] != "info"} <= {"clicks"}
    assert found.get("clicks", {"occurrences": 0})["occurrences"] <= 1


@pytest.mark.parametrize(
    ("name", "planted"),
    [
        ("clipping", ["-af", "volume=14dB"]),
        ("clipping", ["-af", "volume=14dB,aresample=osf=s16,volume=-8dB"]),
        ("dc_offset", ["-af", "dcshift=0.05"]),
        ("fake_bit_depth", ["-c:a", "pcm_s24le"]),
        ("false_stereo", ["-ac", "2"]),
        ("phase_inverted", ["-af", "pan=stereo|c0=c0|c1=-1*c0"]),
        ("silent_channel", ["-af", "pan=stereo|c0=c0|c1=0*c0"]),
        ("channel_imbalance", ["-af", "pan=stereo|c0=c0|c1=0.3*c0"]),
        ("upsampled", ["-ar", "48000"]),
        ("silence_at_end", ["-af", "apad=pad_dur=12"]),
    ],
)
def test_a_planted_fault_is_found(name, planted, tmp_path):
    path = ffmpeg(SPEECH, tmp_path / "planted.wav", *planted)
    before, after = verdicts(SPEECH), verdicts(path)
    assert name in after, after
    # More than there was: the offset of the recording is told anyhow.
    assert name not in before or after[name]["value"] > before[name]["value"]


@pytest.mark.parametrize("base_hz", [50, 60])
def test_hum_made_by_sox_is_found_with_its_base(base_hz, tmp_path):
    hum, mixed = tmp_path / "hum.wav", tmp_path / "mixed.wav"
    tones = [word for k in (1, 2, 3) for word in ("sine", str(base_hz * k))]
    subprocess.run(["sox", "-n", "-r", "16000", "-c", "3", "-b", "16", hum, "synth", "24", *tones, "remix", "-m", "1-3", "vol", "0.02"],
                   check=True)
    subprocess.run(["sox", "-m", "-v", "1", SPEECH, "-v", "1", hum, mixed], check=True)
    assert "hum" in verdicts(mixed)
    assert check(mixed)["quality"]["measurements"]["hum_hz"] == base_hz


def test_noise_under_music_is_found(tmp_path):
    music, noisy = ffmpeg(MUSIC, tmp_path / "music.wav", "-ac", "1", "-t", "8"), tmp_path / "noisy.wav"
    samples, rate = soundfile.read(music)
    assert "noise" not in verdicts(music)
    noise = np.random.default_rng(1).standard_normal(len(samples))
    soundfile.write(noisy, samples + noise * np.sqrt(np.mean(samples**2)) * 10 ** (-10 / 20), rate, subtype="PCM_16")
    assert "noise" in verdicts(noisy)


@pytest.mark.parametrize("ms", [5, 30])
def test_a_drop_out_is_found_where_it_is(ms, tmp_path):
    samples, rate = soundfile.read(SPEECH)
    frames, side = ms * rate // 1000, rate // 50
    # Where it is loud in the 20 ms before and behind the gap.
    level = np.convolve(samples**2, np.ones(side), "valid")
    both = np.minimum(level[: len(level) - frames - side], level[frames + side :])
    start = int(both.argmax()) + side
    samples[start : start + frames] = 0
    path = tmp_path / "gap.wav"
    soundfile.write(path, samples, rate, subtype="PCM_16")
    found = verdicts(path)["drop_outs"]
    assert found["occurrences"] == 1
    # The wave may cross zero right beside the gap: a quarter of a millisecond is four samples.
    assert abs(found["times"][0]["start_s"] - start / rate) < 0.00026
    assert abs(found["times"][0]["end_s"] - (start + frames) / rate) < 0.00026


def test_the_same_samples_get_the_same_report_from_any_container(tmp_path):
    wav = ffmpeg(MUSIC, tmp_path / "a.wav", "-c:a", "pcm_s16le", "-t", "8")
    reference = check(wav)
    for name in ("a.flac", "a.aiff", "a.caf"):
        assert check(ffmpeg(wav, tmp_path / name)) == reference, name


def test_a_lossy_past_is_told(tmp_path):
    noise = tmp_path / "noise.wav"
    subprocess.run(["sox", "-n", "-r", "44100", "-c", "1", "-b", "16", noise, "synth", "12", "pinknoise", "tremolo", "3", "90", "vol", "0.5"],
                   check=True)
    assert "lossy_origin" not in verdicts(noise)
    assert "lossy_origin" in verdicts(ffmpeg(MUSIC, tmp_path / "decoded.wav"))


def test_specifications_decide_the_exit_code(tmp_path):
    failed = check(SPEECH, "--spec", "apple_podcasts,no_faults", code=1)["delivery"]
    assert [d["passed"] for d in failed] == [False, True]
    assert "integrated_lufs" in failed[0]["rules"][0]["reason"]
    level = tmp_path / "level.wav"
    puresound("process", SPEECH, "-o", level, "--loudness", "-16", "--true-peak", "-1.5")
    assert check(level, "--spec", "apple_podcasts")["delivery"][0]["passed"]
    wrong = puresound("check", SPEECH, "--spec", "ebu_r182", check=5)
    assert "ebu_r128" in wrong.err
    puresound("check", SPEECH, "--spec", "all")


def test_the_output_fits_its_schemas():
    jsonschema = pytest.importorskip("jsonschema")
    done = check(SPEECH, "--spec", "all")
    jsonschema.validate(done, json.loads((ROOT / "configs" / "schema" / "check.json").read_text()))


def test_files_that_nobody_broke_are_counted():
    """Prints how often each verdict is given to conformance files; none of them must stop the program."""
    corpus = ROOT.parent / "shared" / "corpus"
    if not (corpus / "MANIFEST.tsv").exists():
        pytest.skip("the test corpus is not there")
    with open(corpus / "MANIFEST.tsv", newline="") as file:
        rows = [r for r in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE) if r["class"] == "exact"]
    counts, files = {}, 0
    for row in rows[:80]:
        done = puresound("check", corpus / row["path"], "--json", check=None)
        assert done.code in (0, 3, 4), (row["path"], done.err)
        if done.code == 0:
            files += 1
            for v in done.json["quality"]["verdicts"]:
                if v["severity"] != "info":
                    counts.setdefault(v["name"], []).append(row["path"])
    print(f"{files} files")
    for name, paths in sorted(counts.items()):
        print(f"  {name}: {len(paths)}: {', '.join(p.rsplit('/', 1)[-1] for p in paths[:6])}")
    assert files > 20
