"""What the end-to-end tests share: the binary, the recordings, and tools that did not come from this project.

Set PURESOUND_BIN to test another binary than target/release/puresound.
"""

import json
import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
MEDIA = ROOT / "examples" / "media"
SPEECH = MEDIA / "speech.flac"
MUSIC = MEDIA / "music.mp3"
# The configuration file of whoever runs the tests is none of their business.
os.environ["PURESOUND_CONFIG"] = ""
BIN = os.environ.get("PURESOUND_BIN", str(ROOT / "target" / "release" / "puresound"))


class Result:
    """One finished run of the program."""

    def __init__(self, done):
        self.code = done.returncode
        self.out = done.stdout
        self.err = done.stderr.decode("utf-8", "replace")
        assert "panicked at" not in self.err, self.err

    @property
    def json(self):
        return json.loads(self.out)


def puresound(*args, check=0, **kwargs):
    """Runs the program; `check` is the exit code to expect, None for any."""
    kwargs.setdefault("stdin", subprocess.DEVNULL if "input" not in kwargs else None)
    if kwargs["stdin"] is None:
        del kwargs["stdin"]
    done = subprocess.run([BIN, *map(str, args)], capture_output=True, timeout=300, **kwargs)
    result = Result(done)
    if check is not None:
        assert result.code == check, f"exit {result.code}, expected {check}: {result.err}"
    return result


def names(folder):
    """All names below a folder, hidden ones too."""
    return sorted(str(p.relative_to(folder)) for p in Path(folder).rglob("*"))


def ffprobe(path):
    out = subprocess.run(
        ["ffprobe", "-v", "error", "-select_streams", "a:0", "-show_streams", "-show_format", "-of", "json", str(path)],
        capture_output=True, check=True).stdout
    info = json.loads(out)
    return info["streams"][0], info["format"]


def _input(path):
    """Opus through libopus, the reference of RFC 6716: ffmpeg's own decoder gives another signal for speech modes (up to
    0.4 of full scale in the first 0.4 s of music at 24 kbit/s, where libopus, opusdec and we agree within 1e-4)."""
    decoder = ["-c:a", "libopus"] if str(path).endswith(".opus") else []
    return [*decoder, "-i", str(path)]


def ffmpeg_pcm(path, *options):
    """The file as ffmpeg decodes it: float64 (frames, channels) and the rate."""
    stream, _ = ffprobe(path)
    done = subprocess.run(["ffmpeg", "-v", "error", "-nostdin", *_input(path), *options, "-f", "f32le", "-"],
                          capture_output=True)
    assert done.returncode == 0 and not done.stderr, done.stderr
    samples = np.frombuffer(done.stdout, dtype="<f4").astype(np.float64)
    return samples.reshape(-1, int(stream["channels"])), int(stream["sample_rate"])


def ffmpeg_md5(path):
    """MD5 of the decoded samples as 32-bit integers."""
    return subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-i", str(path), "-f", "md5", "-c:a", "pcm_s32le", "-"],
                          capture_output=True, check=True).stdout.decode().strip()


def ffmpeg_loudness(path):
    """Integrated loudness in LUFS and true peak in dBTP, by ffmpeg's ebur128 filter.

    Its per-frame metadata has three decimals (the peak as a factor), the summary only one.
    """
    graph = "ebur128=peak=true:metadata=1,ametadata=mode=print:file=-"
    out = subprocess.run(["ffmpeg", "-v", "error", "-nostdin", *_input(path), "-af", graph, "-f", "null", "-"],
                         capture_output=True, check=True).stdout.decode()
    integrated = float(re.findall(r"lavfi\.r128\.I=(\S+)", out)[-1])
    peaks = [float(v) for v in re.findall(r"lavfi\.r128\.true_peaks_ch\d+=(\S+)", out)]
    return integrated, 20 * np.log10(max(max(peaks), 1e-10))


@pytest.fixture(scope="session")
def speech_wav(tmp_path_factory):
    """The speech recording as WAV, made by ffmpeg."""
    return _make(tmp_path_factory, "speech.wav", ["-i", SPEECH])


@pytest.fixture(scope="session")
def music_wav(tmp_path_factory):
    """The music recording as 16-bit WAV, made by ffmpeg."""
    return _make(tmp_path_factory, "music.wav", ["-i", MUSIC, "-c:a", "pcm_s16le"])


@pytest.fixture(scope="session")
def long_wav(tmp_path_factory):
    """20 minutes of stereo, the music over and over: long enough to be interrupted."""
    return _make(tmp_path_factory, "long.wav", ["-stream_loop", "-1", "-i", MUSIC, "-t", "1200", "-c:a", "pcm_s16le"])


def _make(factory, name, options):
    path = factory.mktemp("made") / name
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", *map(str, options), "-bitexact", str(path)], check=True)
    return path
