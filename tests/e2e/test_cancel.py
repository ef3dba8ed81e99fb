"""Ctrl-C, SIGTERM and kill -9 half-way: nothing partial is left, and what was there is untouched."""

import signal
import subprocess
import time

import pytest

from conftest import BIN, names

MOMENTS_S = [0.05, 0.3, 0.8, 1.5, 3.0]


def start(source, folder, temp):
    args = [BIN, "process", str(source), "-o", str(folder / "a.mp3"), "-o", str(folder / "b.flac"), "--preset", "podcast",
            "--temp-dir", str(temp), "--spool-memory", "1"]
    return subprocess.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def stop(process, moment, sig):
    """Sends the signal after a while; returns exit code, seconds until the end, or None when it was done before."""
    time.sleep(moment)
    if process.poll() is not None:
        return None
    sent = time.monotonic()
    process.send_signal(sig)
    code = process.wait(timeout=30)
    return code, time.monotonic() - sent


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("moment", MOMENTS_S)
def test_cancelled_runs_clean_up(sig, moment, long_wav, tmp_path):
    out, temp = tmp_path / "out", tmp_path / "temp"
    out.mkdir(), temp.mkdir()
    (out / "a.mp3").write_bytes(b"precious")
    process = start(long_wav, out, temp)
    stopped = stop(process, moment, sig)
    error = process.stderr.read().decode()
    assert "panicked" not in error
    if stopped is None:
        pytest.skip("the job was done before the signal")
    code, _seconds = stopped
    if code == 0:
        pytest.skip("the job ended while the signal was on its way")
    # Before the handler is installed, the signal itself ends the program: nothing has been written then.
    assert code == 130 or (moment < 0.2 and code == -sig), (code, error)
    assert names(out) == ["a.mp3"] and (out / "a.mp3").read_bytes() == b"precious"
    assert names(temp) == []


@pytest.mark.parametrize("moment", MOMENTS_S)
def test_kill_9_leaves_nothing(moment, long_wav, tmp_path):
    out, temp = tmp_path / "out", tmp_path / "temp"
    out.mkdir(), temp.mkdir()
    process = start(long_wav, out, temp)
    if stop(process, moment, signal.SIGKILL) is None:
        pytest.skip("the job was done before the signal")
    # Linux: files have no name until they are complete.
    assert names(out) in ([], ["a.mp3", "b.flac"], ["a.mp3"])
    assert names(temp) == []
    for path in out.iterdir():
        assert subprocess.run(["ffmpeg", "-v", "error", "-xerror", "-i", str(path), "-f", "null", "-"]).returncode == 0


def test_a_second_ctrl_c_ends_at_once(tmp_path):
    # Standard input that never ends keeps the program in a read, where no block boundary comes.
    process = subprocess.Popen([BIN, "decode", "-", str(tmp_path / "x.wav")], stdin=subprocess.PIPE,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=5) == 130
    process.stdin.close()
    assert names(tmp_path) == []
