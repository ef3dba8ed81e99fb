"""Log, metrics and health from the command line."""

import json
import os
import re

import pytest
from conftest import ROOT, SPEECH, names, puresound

LEVEL = ["--loudness", "-20"]


def samples(text):
    """Values by series."""
    lines = [line.split(" # ")[0] for line in text.splitlines() if line and not line.startswith("#")]
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines}


def test_the_figures_of_a_command_are_written(tmp_path):
    puresound("process", SPEECH, "-o", tmp_path / "a.flac", *LEVEL, "--metrics", tmp_path / "m.txt")
    text = (tmp_path / "m.txt").read_text()
    assert text.endswith("# EOF\n")
    found = samples(text)
    assert found['pure_sound_operations_total{operation="process",outcome="succeeded"}'] == 1
    assert found['pure_sound_process_outputs_total{format="flac"}'] == 1
    for stage in ("analyse", "solve", "encode", "verify", "publish"):
        assert found[f'pure_sound_process_stage_duration_seconds_count{{stage="{stage}"}}'] == 1
    assert found["pure_sound_process_audio_seconds_total"] > 1
    assert re.search(r'_bucket\{.*\} \d+ # \{trace_id="[0-9a-f-]{36}"\}', text)
    assert (tmp_path / "m.txt").stat().st_mode & 0o777 == 0o644
    assert names(tmp_path) == ["a.flac", "m.txt"]


def test_figures_are_written_also_when_the_command_fails(tmp_path):
    puresound("process", tmp_path / "no.wav", "-o", tmp_path / "a.flac", "--metrics", tmp_path / "m.prom", check=7)
    text = (tmp_path / "m.prom").read_text()
    assert samples(text)['pure_sound_operation_errors_total{operation="process",error="NOT_FOUND"}'] == 1
    assert "# TYPE pure_sound_operations_total counter" in text
    # What the older format does not have.
    assert "EOF" not in text and "trace_id" not in text and "# UNIT" not in text
    result = puresound("probe", SPEECH, "--metrics", tmp_path / "no" / "m.txt", check=7)
    assert "m.txt" in result.err


def test_a_batch_counts_all_files(tmp_path, speech_wav):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.wav", "b.wav"):
        (folder / name).write_bytes(speech_wav.read_bytes())
    (folder / "c.wav").write_bytes(b"no audio")
    puresound("batch", folder, "-o", tmp_path / "out", "--format", "flac", "--metrics", tmp_path / "m.txt", check=1)
    found = samples((tmp_path / "m.txt").read_text())
    outcomes = {o: found[f'pure_sound_operations_total{{operation="process",outcome="{o}"}}'] for o in ("succeeded", "failed")}
    assert outcomes == {"succeeded": 2, "failed": 1}


def test_the_list_of_metrics_is_the_documented_one():
    assert puresound("metrics", "--markdown").out.decode() == (ROOT / "docs" / "metrics.md").read_text()
    listed = puresound("metrics", "--json").json
    assert len(listed) >= 25 and all(m["name"].startswith("pure_sound_") and m["help"] for m in listed)
    text = puresound("metrics", "--openmetrics").out.decode()
    assert text.endswith("# EOF\n") and text.count("# TYPE ") == len(listed)


def test_the_log_tells_what_is_done_and_changes_nothing(tmp_path):
    run = ["process", SPEECH, *LEVEL, "--json", "-o"]
    quiet = puresound(*run, tmp_path / "a.flac")
    told = puresound(*run, tmp_path / "b.flac", "--log", "debug:json")
    assert quiet.err == ""
    assert (tmp_path / "a.flac").read_bytes() == (tmp_path / "b.flac").read_bytes()
    records = [json.loads(line) for line in told.err.splitlines()]
    by_message = {r["message"]: r for r in records}
    assert by_message["processed"]["level"] == "info" and by_message["verified"]["level"] == "debug"
    runs = {r["spans"][0]["fields"]["id"] for r in records}
    assert len(runs) == 1 and all(r["spans"][0]["name"] == "run" for r in records)

    text = puresound(*run, tmp_path / "c.flac", env={**os.environ, "PURESOUND_LOG": "info"}).err
    assert re.search(r"^\d\d:\d\d:\d\d\.\d{3}Z INFO  run\{id=[0-9a-f-]{36}\}:process\{.*\}: processed .*seconds=", text, re.M)
    assert "verified" not in text
    failed = puresound("process", tmp_path / "no.wav", "-o", tmp_path / "d.flac", "--log", "error", check=7).err
    assert "ERROR run{id=" in failed and "error=NOT_FOUND" in failed
    assert "loud" in puresound(*run, tmp_path / "d.flac", "--log", "loud", check=2).err


def test_progress_tells_rising_shares_of_all_outputs(tmp_path):
    out = puresound("process", SPEECH, "-o", tmp_path / "a.opus", "-o", tmp_path / "b.flac", *LEVEL, "--jsonl").out.decode()
    events = [json.loads(line) for line in out.splitlines()]
    fractions = [e["fraction"] for e in events if e["event"] == "progress"]
    assert fractions == sorted(fractions) and fractions[-1] == 1


def test_health_passes_where_there_is_room_and_fails_where_there_is_none(tmp_path):
    answer = puresound("health", "--json", "--temp-dir", tmp_path).json
    assert answer["status"] in ("pass", "warn") and answer["releaseId"]
    assert answer["checks"]["temp:writable"][0]["status"] == "pass"
    assert answer["checks"]["temp:free_bytes"][0]["observedValue"] > 0
    bad = puresound("health", "--json", "--temp-dir", tmp_path / "no", check=1)
    assert bad.json["status"] == "fail" and "temp:writable" in bad.err
    assert bad.json["checks"]["temp:writable"][0]["output"]
    # A restart would not make the folder appear.
    assert puresound("health", "--probe", "live", "--json", "--temp-dir", tmp_path / "no").json["status"] == "pass"
    assert "temp:writable" in puresound("health", "--temp-dir", tmp_path).out.decode()


def test_a_key_is_set_and_comments_stay(tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text("# mine\nlimits:\n  max_channels: 2  # two\n")
    file.chmod(0o640)
    done = puresound("config", "set", "limits.max_channels", "8", "--config", file, "--json").json
    assert (done["old"], done["new"], done["comments_kept"], done["hidden_by"]) == (2, 8, True, None)
    puresound("config", "set", "engine.threads", "1", "--file", file)
    assert file.read_text() == "# mine\nlimits:\n  max_channels: 8  # two\nengine:\n  threads: 1\n"
    assert file.stat().st_mode & 0o777 == 0o640 and names(tmp_path) == ["a.yaml"]
    before = file.read_bytes()
    assert "max_channels" in puresound("config", "set", "limits.max_chanels", "8", "--config", file, check=5).err
    assert "1 to 255" in puresound("config", "set", "limits.max_channels", "0", "--config", file, check=5).err
    assert file.read_bytes() == before
    env = {**os.environ, "PURESOUND_LIMITS__MAX_CHANNELS": "4"}
    hidden = puresound("config", "set", "limits.max_channels", "5", "--config", file, env=env).out.decode()
    assert "variable PURESOUND_LIMITS__MAX_CHANNELS says something else" in hidden


@pytest.mark.parametrize("variable", ["XDG_CONFIG_HOME", "HOME"])
def test_the_file_of_the_user_is_made_and_read(tmp_path, variable):
    env = {k: v for k, v in os.environ.items() if k not in ("PURESOUND_CONFIG", "XDG_CONFIG_HOME")}
    env[variable] = str(tmp_path)
    puresound("config", "set", "limits.max_seconds", "1", env=env)
    folder = tmp_path / ("puresound" if variable == "XDG_CONFIG_HOME" else ".config/puresound")
    assert (folder / "config.yaml").read_text() == "limits:\n  max_seconds: 1\n"
    assert "max_seconds" in puresound("probe", SPEECH, env=env, check=6).err
    # A file that is named wins.
    (tmp_path / "more.yaml").write_text("limits: {max_seconds: 600}\n")
    puresound("probe", SPEECH, "--config", tmp_path / "more.yaml", env=env)
    puresound("probe", SPEECH, env={**env, "PURESOUND_CONFIG": ""})
