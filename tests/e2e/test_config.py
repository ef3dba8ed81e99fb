"""The configuration from the command line: shown with its origin, checked, and taken by the engine."""

import os

from conftest import SPEECH, puresound


def test_values_are_shown_with_their_origin(tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text("engine:\n  threads: 3\n")
    env = {**os.environ, "PURESOUND_SPOOL__MEMORY_MIB": "5"}
    shown = puresound("config", "show", "--origin", "--json", "--config", file, env=env).json
    assert shown["engine.threads"] == {"value": 3, "origin": f"{file}:2:3"}
    assert shown["spool.memory_mib"] == {"value": 5, "origin": "variable PURESOUND_SPOOL__MEMORY_MIB"}
    assert shown["limits.max_channels"] == {"value": 64, "origin": "built-in"}
    text = puresound("config", "show", "--origin", "--config", file).out.decode()
    assert ["engine.threads", "3", f"{file}:2:3"] in [line.split() for line in text.splitlines()]


def test_mistakes_are_refused_with_a_suggestion(tmp_path):
    file = tmp_path / "a.toml"
    file.write_text("[engine]\nthreds = 2\n[spool]\nmemory_mib = 0\n")
    for args in (["config", "check", file], ["probe", SPEECH, "--config", file]):
        err = puresound(*args, check=5).err
        assert "engine.threds: is not a key, did you mean 'engine.threads'?" in err
        assert "spool.memory_mib: is 0" in err
    file.write_text("[engine]\nthreads = 2\n")
    assert puresound("config", "check", file).out == b""


def test_a_job_takes_the_configuration(tmp_path):
    file = tmp_path / "a.json"
    file.write_text('{"engine": {"threads": 1}, "spool": {"memory_mib": 1}, "limits": {"max_seconds": 1}}')
    args = ["process", SPEECH, "-o", tmp_path / "a.flac", "--loudness", "-20"]
    assert "max_seconds" in puresound(*args, "--config", file, check=6).err
    # What the command line says wins, and the result does not depend on threads or spool.
    puresound(*args, "--config", file, "--limit", "max_seconds=600")
    configured = (tmp_path / "a.flac").read_bytes()
    puresound(*args)
    assert configured == (tmp_path / "a.flac").read_bytes()
    env = {**os.environ, "PURESOUND_LIMITS__MAX_CHANNELS": "none"}
    assert "PURESOUND_LIMITS__MAX_CHANNELS" in puresound(*args, check=5, env=env).err


def test_the_spool_is_as_large_as_configured():
    env = {**os.environ, "PURESOUND_SPOOL__MEMORY_MIB": "1"}
    args = ["plan", SPEECH, "-o", "x.flac", "--loudness", "-20", "--json"]
    default = puresound(*args).json["spool_memory_bytes"]
    small = puresound(*args, env=env).json["spool_memory_bytes"]
    # An option wins over the variable.
    both = puresound(*args, "--spool-memory", "32", env=env).json["spool_memory_bytes"]
    assert small <= 1 << 20 < default == both


def test_files_are_compared(tmp_path):
    (tmp_path / "a.yaml").write_text("limits: {max_channels: 2}\n")
    (tmp_path / "b.yaml").write_text("limits: {max_channels: 8}\n")
    changes = puresound("config", "diff", tmp_path / "a.yaml", tmp_path / "b.yaml", "--json").json
    assert [(c["path"], c["old"], c["new"]) for c in changes] == [("limits.max_channels", 2, 8)]
