"""Wrong use and broken input: a typed error, the documented exit code, nothing lost, nothing left."""

import os
import resource
import shutil
import signal
import subprocess

import pytest

from conftest import BIN, SPEECH, names, puresound


def refused(code, *args, **kwargs):
    """The run fails with `code`, says so in text and in JSON."""
    plain = puresound(*args, check=code, **kwargs)
    assert plain.err.startswith("error: "), plain.err
    error = puresound(*args, "--json", check=code, **kwargs).json["error"]
    assert error["exit_code"] == code and error["message"]
    return error


def test_missing_file(tmp_path):
    assert refused(7, "process", tmp_path / "no.wav", "-o", tmp_path / "x.wav")["name"] == "NOT_FOUND"
    assert names(tmp_path) == []


def test_missing_output_folder(tmp_path):
    assert refused(7, "process", SPEECH, "-o", tmp_path / "no" / "x.wav")["kind"] == "io"


@pytest.mark.parametrize("content, code, name", [
    (b"", 3, "EMPTY"),
    (b"This is not audio. " * 50, 3, "NOT_AUDIO"),
    (b"\x00" * 10_000, 3, "NOT_AUDIO"),
    (b"RIFF\xff\xff\xff\xffWAVE", 3, None),
    (b"fLaC", 3, None),
    (b"\x89PNG\r\n\x1a\n" + b"x" * 200, 3, "NOT_AUDIO"),
])
def test_files_without_audio(content, code, name, tmp_path):
    source = tmp_path / "in.wav"
    source.write_bytes(content)
    for command in (["probe", source], ["loudness", source], ["process", source, "-o", tmp_path / "x.flac"],
                    ["decode", source, tmp_path / "x.wav"]):
        error = refused(code, *command)
        assert name is None or error["name"] == name
    assert names(tmp_path) == ["in.wav"]


def test_a_folder_is_no_input(tmp_path):
    refused(5, "process", tmp_path, "-o", tmp_path / "x.wav")
    assert names(tmp_path) == []


def test_a_folder_is_no_output(tmp_path):
    (tmp_path / "x.wav").mkdir()
    refused(8, "process", SPEECH, "-o", tmp_path / "x.wav")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_unreadable_file(tmp_path):
    source = tmp_path / "in.flac"
    shutil.copy(SPEECH, source)
    source.chmod(0)
    program = tmp_path / "puresound"
    shutil.copy(BIN, program)
    program.chmod(0o755)
    for folder in [tmp_path, *tmp_path.parents][:-1]:
        if folder.stat().st_mode & 0o001 == 0:
            folder.chmod(folder.stat().st_mode | 0o055)
    done = subprocess.run([str(program), "probe", str(source)], capture_output=True, user=65534, group=65534)
    assert done.returncode == 7, done.stderr
    assert b"hint: check the permissions" in done.stderr


def test_output_equal_to_the_input_is_refused(tmp_path):
    source = tmp_path / "in.flac"
    shutil.copy(SPEECH, source)
    before = source.read_bytes()
    (tmp_path / "link.flac").symlink_to(source)
    os.link(source, tmp_path / "hard.flac")
    for output in ("in.flac", "./in.flac", "link.flac", "hard.flac"):
        refused(8, "process", source, "-o", tmp_path / output)
    assert source.read_bytes() == before


def test_the_same_output_twice_is_refused(tmp_path):
    refused(8, "process", SPEECH, "-o", tmp_path / "a.wav", "-o", tmp_path / "a.wav")


def test_an_output_that_exists_survives_a_failure_and_a_refusal(tmp_path):
    target = tmp_path / "x.wav"
    target.write_bytes(b"precious")
    refused(8, "process", SPEECH, "-o", target, "--no-overwrite")
    broken = tmp_path / "broken.flac"
    broken.write_bytes(b"no audio")
    refused(3, "process", broken, "-o", target)
    assert target.read_bytes() == b"precious"


@pytest.mark.parametrize("code, args", [
    (5, ["--preset", "podcats"]),
    (5, ["--filter", "higpass"]),
    (5, ["--filter", "highpass:cutof_hz=80"]),
    (5, ["--filter", "highpass:cutoff_hz=0"]),
    (5, ["--filter", "highpass:cutoff_hz=nan"]),
    (5, ["--loudness", "-100"]),
    (5, ["--loudness", "nan"]),
    (5, ["--loudness", "-16", "--true-peak", "3"]),
    (5, ["--rate", "1"]),
    (5, ["--layout", "septophonic"]),
    (5, ["--trim-start", "3", "--trim-end", "2"]),
    (5, ["--format", "mp9"]),
    (5, ["--limit", "max_second=3"]),
    (6, ["--limit", "max_seconds=1"]),
    (8, ["--true-peak", "-1"]),
    (8, ["--bitrate", "64"]),
    (2, ["--loudness"]),
    (2, ["--no-such-option"]),
    (2, ["--json", "--jsonl"]),
])
def test_wrong_options(code, args, tmp_path):
    result = puresound("process", SPEECH, "-o", tmp_path / "x.wav", *args, check=code)
    assert result.err.startswith("error: ")
    assert names(tmp_path) == []


def test_a_wrong_name_gets_a_suggestion(tmp_path):
    error = puresound("process", SPEECH, "-o", tmp_path / "x.wav", "--preset", "podcats", check=5).err
    assert "did you mean 'podcast'?" in error and "hint: 'puresound presets'" in error


def test_an_unknown_output_extension(tmp_path):
    assert refused(5, "process", SPEECH, "-o", tmp_path / "x.xyz")["name"] == "UNKNOWN_NAME"


@pytest.mark.parametrize("cut", [50, 1_000, 100_000, 300_000])
def test_a_truncated_file_is_decoded_with_the_damage_told_or_refused(cut, tmp_path):
    source = tmp_path / "cut.flac"
    source.write_bytes(SPEECH.read_bytes()[:cut])
    result = puresound("process", source, "-o", tmp_path / "x.wav", "--json", check=None)
    if result.code == 0:
        damage = result.json["damage"]
        assert damage["truncated"] or damage["event_count"] > 0
    else:
        assert result.code == 3 and names(tmp_path) == ["cut.flac"]


def full_disk(tmp_path, kib):
    """A folder on a file system of that size; None when this machine does not allow mounting."""
    folder = tmp_path / "small"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", str(folder)], capture_output=True)
    return folder if done.returncode == 0 else None


@pytest.mark.parametrize("ext", ["wav", "flac", "mp3", "m4a", "opus"])
def test_disk_full(ext, music_wav, tmp_path):
    folder = full_disk(tmp_path, 64)
    if folder is None:
        pytest.skip("cannot mount a small file system here; see test_file_size_limit")
    try:
        error = refused(7, "process", music_wav, "-o", folder / f"x.{ext}")
        assert error["causes"] and "make room" in error["hint"]
        assert names(folder) == []
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("ext", ["wav", "flac", "mp3", "m4a", "opus"])
def test_file_size_limit(ext, music_wav, tmp_path):
    """As disk full, by the limit of the process: writes fail with EFBIG."""
    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, 65_536))
    result = puresound("process", music_wav, "-o", tmp_path / f"x.{ext}", "--loudness", "-20", check=7,
                       preexec_fn=limit, restore_signals=False)
    assert "because: " in result.err
    assert names(tmp_path) == []


def test_full_device_on_standard_output(tmp_path):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([BIN, "process", str(SPEECH), "-o", "-", "--format", "wav"], stdout=full,
                              stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    assert done.returncode == 7 and b"standard output" in done.stderr
