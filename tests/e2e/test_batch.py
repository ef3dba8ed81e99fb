"""A folder in, a folder out."""

import json
import shutil
import signal
import subprocess
import time

import pytest

from conftest import BIN, MUSIC, SPEECH, ffprobe, names, puresound

STATE = ".puresound-batch.jsonl"


@pytest.fixture
def folder(tmp_path):
    """Two recordings, one in a folder below, and a broken one."""
    root = tmp_path / "in"
    (root / "sub").mkdir(parents=True)
    shutil.copy(SPEECH, root / "talk.flac")
    shutil.copy(MUSIC, root / "sub" / "song.mp3")
    (root / "broken.wav").write_bytes(b"no audio at all")
    (root / "notes.txt").write_text("not looked at")
    return root


def batch(root, out, *args, check=0):
    return puresound("batch", root, "-o", out, "--preset", "podcast", "--format", "opus", *args, check=check)


def counts(result):
    summary = result.json
    return {k: summary[k] for k in ("done", "skipped", "failed")}


def test_a_broken_file_does_not_stop_the_rest(folder, tmp_path):
    out = tmp_path / "out"
    result = batch(folder, out, "--json", check=1)
    assert counts(result) == {"done": 2, "skipped": 0, "failed": 1}
    assert names(out) == [STATE, "sub", "sub/song.opus", "talk.opus"]
    failed = next(r for r in result.json["results"] if r["status"] == "failed")
    assert failed["input"] == "broken.wav" and failed["error"]["name"] == "NOT_AUDIO"
    assert ffprobe(out / "talk.opus")[0]["codec_name"] == "opus"


def test_unchanged_files_are_skipped_and_changed_ones_are_not(folder, tmp_path):
    out = tmp_path / "out"
    batch(folder, out, check=1)
    assert counts(batch(folder, out, "--json", check=1)) == {"done": 0, "skipped": 2, "failed": 1}
    assert counts(batch(folder, out, "--resume", "--json")) == {"done": 0, "skipped": 3, "failed": 0}
    # Another input, another output, another recipe: each is a reason to do it again.
    shutil.copy(MUSIC, folder / "talk.flac")
    assert counts(batch(folder, out, "--json", check=1))["done"] == 1
    (out / "talk.opus").write_bytes(b"spoilt")
    assert counts(batch(folder, out, "--json", check=1))["done"] == 1
    assert counts(batch(folder, out, "--json", "--loudness", "-20", check=1))["done"] == 2
    assert counts(batch(folder, out, "--json", "--loudness", "-20", "--force", check=1))["done"] == 2


def test_two_inputs_for_one_output(folder, tmp_path):
    out = tmp_path / "out"
    shutil.copy(MUSIC, folder / "talk.mp3")
    result = batch(folder, out, "--json", check=8)
    assert "talk.flac and talk.mp3" in result.json["error"]["message"] and not out.exists()
    batch(folder, out, "--disambiguate", check=1)
    assert names(out) == [STATE, "sub", "sub/song.opus", "talk.flac.opus", "talk.mp3.opus"]


def test_pattern_dry_run_and_wrong_folders(folder, tmp_path):
    out = tmp_path / "out"
    assert batch(folder, out, "--pattern", "*.mp3", "--dry-run", "--json").json["planned"] == 1
    assert not out.exists()
    batch(folder, out, "--pattern", "sub/*")
    assert names(out) == [STATE, "sub", "sub/song.opus"]
    batch(folder, folder, check=8)
    batch(folder / "no", out, check=7)
    batch(folder, out, "--preset", "podcats", check=2)  # given twice
    puresound("batch", folder, "-o", out, "--format", "opus", "--preset", "podcats", check=5)


def test_an_output_folder_inside_the_input_is_not_read_again(folder):
    (folder / "broken.wav").unlink()
    out = folder / "out"
    batch(folder, out)
    assert counts(batch(folder, out, "--json")) == {"done": 0, "skipped": 2, "failed": 0}
    assert names(out) == [STATE, "sub", "sub/song.opus", "talk.opus"]


def test_json_lines_name_every_file(folder, tmp_path):
    events = [json.loads(line) for line in batch(folder, tmp_path / "out", "--jsonl", check=1).out.splitlines()]
    assert sorted(e["input"] for e in events if e["event"] == "file") == ["broken.wav", "sub/song.mp3", "talk.flac"]
    assert events[-1]["event"] == "summary" and events[-1]["done"] == 2


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGKILL], ids=["SIGINT", "SIGKILL"])
def test_an_interrupted_batch_goes_on_where_it_was(sig, tmp_path):
    root, out = tmp_path / "in", tmp_path / "out"
    root.mkdir()
    for i in range(24):
        shutil.copy(MUSIC, root / f"{i:02}.mp3")
    process = subprocess.Popen([BIN, "batch", str(root), "-o", str(out), "--preset", "podcast", "--format", "opus"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and len(list(out.glob("*.opus"))) < 3:
        time.sleep(0.02)
    process.send_signal(sig)
    code = process.wait(timeout=30)
    assert code in (130, -signal.SIGKILL)
    done = {p.name: p.stat().st_mtime_ns for p in out.glob("*.opus")}
    assert 3 <= len(done) < 24
    # Nothing half: every name in the folder is a whole file or the notes.
    assert all(n == STATE or n.endswith(".opus") for n in names(out))
    for name in done:
        assert float(ffprobe(out / name)[1]["duration"]) > 19.9
    noted = (out / STATE).read_bytes().count(b"\n")
    result = batch(root, out, "--json")
    # A file that was in place but not yet noted is done again: at most one per job.
    assert counts(result)["skipped"] == noted and counts(result)["done"] == 24 - noted and len(done) - noted <= 2
    again = {p.name: p.stat().st_mtime_ns for p in out.glob("*.opus")}
    assert len(again) == 24 and sum(again[n] != t for n, t in done.items()) <= len(done) - noted
