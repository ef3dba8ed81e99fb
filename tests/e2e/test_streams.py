"""Pipes, JSON, threads: the same bytes from everywhere, and output that programs can read."""

import json
import os
import re
import subprocess

import pytest

from conftest import BIN, MUSIC, ROOT, SPEECH, ffmpeg_loudness, ffmpeg_pcm, names, puresound


@pytest.mark.parametrize("ext", ["wav", "flac", "mp3", "m4a", "opus"])
def test_pipes_give_the_same_bytes_as_files(ext, tmp_path):
    path = tmp_path / f"a.{ext}"
    puresound("process", SPEECH, "-o", path, "--preset", "podcast")
    piped = puresound("process", "-", "-o", "-", "--format", ext, "--preset", "podcast", input=SPEECH.read_bytes())
    assert piped.out == path.read_bytes()


def test_a_named_pipe_is_an_input(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    writer = subprocess.Popen(["sh", "-c", f"cat '{SPEECH}' > '{fifo}'"])
    assert puresound("probe", fifo, "--json").json["stream"]["codec"] == "flac"
    writer.wait(timeout=10)


@pytest.mark.parametrize("preset, ext", [("podcast", "opus"), ("podcast", "mp3"), ("podcast", "m4a"), ("streaming", "flac"),
                                         ("audiobook_acx", "wav")])
@pytest.mark.parametrize("media", [SPEECH, MUSIC], ids=["speech", "music"])
def test_threads_and_spool_do_not_change_a_byte(preset, ext, media, tmp_path):
    files = []
    for index, extra in enumerate([["--threads", "1"], ["--threads", "2"], ["--threads", "5", "--spool-memory", "1"]]):
        path = tmp_path / f"{index}.{ext}"
        puresound("process", media, "-o", path, "--preset", preset, *extra)
        files.append(path.read_bytes())
    assert files[0] == files[1] == files[2]


def test_several_outputs_are_as_good_as_single_ones(tmp_path):
    """The gain is solved at the rate that all outputs share, so the bytes may differ; length and level may not."""
    paths = [tmp_path / f"all.{ext}" for ext in ("opus", "mp3", "flac")]
    puresound("process", SPEECH, *[x for p in paths for x in ("-o", p)], "--preset", "podcast")
    for path in paths:
        alone = tmp_path / f"alone{path.suffix}"
        puresound("process", SPEECH, "-o", alone, "--preset", "podcast")
        assert len(ffmpeg_pcm(alone)[0]) == len(ffmpeg_pcm(path)[0])
        # Both are within 0.1 LU of the target.
        assert ffmpeg_loudness(alone)[0] == pytest.approx(ffmpeg_loudness(path)[0], abs=0.2), path.name


@pytest.mark.parametrize("args", [
    ["--help"], ["presets"], ["filters"], ["filters", "--json"], ["probe", SPEECH], ["tags", SPEECH, "--json"],
    ["completions", "zsh"], ["process", SPEECH, "-o", "-", "--format", "wav"],
])
def test_a_closed_pipe_is_no_crash(args):
    process = subprocess.Popen([BIN, *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    process.stdout.close()
    error = process.stderr.read().decode()
    assert process.wait(timeout=60) == 0 and "panicked" not in error, error


def test_json_of_every_command(tmp_path):
    out = tmp_path / "x.opus"
    for args in (["presets"], ["presets", "show", "podcast"], ["filters"], ["filters", "show", "highpass"], ["probe", SPEECH],
                 ["tags", SPEECH], ["loudness", SPEECH], ["loudness", SPEECH, MUSIC],
                 ["plan", SPEECH, "-o", out, "--preset", "podcast"], ["process", SPEECH, "-o", out, "--dry-run"],
                 ["process", SPEECH, "-o", out, "--preset", "podcast"], ["convert", SPEECH, "-o", out],
                 ["decode", SPEECH, tmp_path / "x.wav"], ["resample", SPEECH, tmp_path / "x.wav", "--rate", "8000"]):
        result = puresound(*args, "--json")
        # Strict: NaN and Infinity are no JSON.
        json.loads(result.out, parse_constant=lambda c: pytest.fail(f"{c} in the JSON of {args}"))
        assert result.err == ""


def test_a_dry_run_writes_nothing(tmp_path):
    plan = puresound("process", SPEECH, "-o", tmp_path / "x.opus", "--preset", "podcast", "--dry-run", "--json").json
    assert plan["steps"] and plan["outputs"][0]["encoder"]["spec"]["rate_hz"] == 48_000
    text = puresound("plan", SPEECH, "-o", tmp_path / "x.opus", "--preset", "podcast").out.decode()
    assert "highpass" in text and "x.opus" in text
    assert names(tmp_path) == []


def test_json_lines_tell_progress_and_end_with_the_report(tmp_path):
    lines = puresound("process", SPEECH, "-o", tmp_path / "x.opus", "--preset", "podcast", "--jsonl").out.splitlines()
    events = [json.loads(line) for line in lines]
    assert events[-1]["event"] == "report" and events[-1]["report"]["outputs"]
    fractions = [e["fraction"] for e in events[:-1] if e["event"] == "progress"]
    assert fractions and fractions == sorted(fractions) and 0 <= fractions[0] and fractions[-1] <= 1


def test_the_text_report_says_what_matters(tmp_path):
    text = puresound("process", SPEECH, "-o", tmp_path / "x.opus", "--preset", "podcast").out.decode()
    for word in ("before", "after", "target", "LUFS", "dBTP", "target met", "x.opus"):
        assert word in text, text
    assert puresound("process", SPEECH, "-o", tmp_path / "x.opus", "--preset", "podcast", "--quiet").out == b""


def test_standard_output_takes_one_thing_only(tmp_path):
    assert puresound("process", SPEECH, "-o", "-", "--format", "wav", "--json", check=8).json["error"]["name"] == "CONFLICT"
    puresound("process", SPEECH, "-o", "-", "-o", "-", "--format", "wav", check=8)
    puresound("process", SPEECH, "-o", "-", check=8)


def test_completions_for_every_shell():
    for shell in ("bash", "zsh", "fish", "elvish", "powershell"):
        assert b"puresound" in puresound("completions", shell).out


@pytest.mark.parametrize("name", ["recipe", "preset", "plan", "report", "probe"])
def test_the_schemas_are_fresh(name):
    fresh = puresound("schema", name).out.decode()
    assert (ROOT / "configs" / "schema" / f"{name}.json").read_text() == fresh, "run tests/update-generated"


def test_the_page_about_presets_is_fresh():
    fresh = puresound("presets", "--markdown").out.decode()
    assert (ROOT / "docs" / "presets.md").read_text() == fresh, "run tests/update-generated"


def test_the_pages_about_filters_are_fresh(tmp_path):
    (tmp_path / "SUMMARY.md").write_text((ROOT / "docs" / "SUMMARY.md").read_text())
    puresound("filters", "--docs", str(tmp_path))
    fresh = {str(p.relative_to(tmp_path)): p.read_text() for p in tmp_path.rglob("*.*")}
    kept = {str(p.relative_to(ROOT / "docs")): p.read_text() for p in (ROOT / "docs" / "filters").iterdir()}
    kept |= {name: (ROOT / "docs" / name).read_text() for name in ("filters.md", "SUMMARY.md")}
    assert sorted(fresh) == sorted(kept), "run tests/update-generated"
    number = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
    for name, text in fresh.items():
        if not name.endswith(".svg"):
            assert kept[name] == text, f"{name}: run tests/update-generated"
            continue
        # FFTs differ in the last bits between CPUs: what lies between two tenths of a pixel may fall either way.
        assert number.sub("#", kept[name]) == number.sub("#", text), f"{name}: run tests/update-generated"
        pairs = zip(number.findall(kept[name]), number.findall(text))
        assert all(abs(float(a) - float(b)) < 0.15 for a, b in pairs), f"{name}: run tests/update-generated"
