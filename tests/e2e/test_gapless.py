"""Length and position: the sound starts and ends where it did, in every format, as ffmpeg decodes it."""

import numpy as np
import pytest
from scipy.signal import resample_poly

from conftest import MUSIC, SPEECH, ffmpeg_md5, ffmpeg_pcm, puresound


def shift_of(reference, samples):
    """Frames by which `samples` comes later than `reference`, by cross-correlation over +/-4096 frames.

    Of second differences: they weigh the highs, whose peak is sharp, and leave out the lows, whose phase a codec's
    high-pass turns (with plain samples, libopus itself reads -1 on this music).
    """
    a, b = np.diff(reference.mean(1), 2), np.diff(samples.mean(1), 2)
    n = 1 << int(np.ceil(np.log2(len(a) + len(b))))
    c = np.fft.irfft(np.conj(np.fft.rfft(a, n)) * np.fft.rfft(b, n), n)
    lags = np.concatenate([np.arange(4097), np.arange(-4096, 0)])
    return int(lags[np.argmax(c[lags])])


@pytest.mark.parametrize("name", ["a.wav", "a.w64", "a.aiff", "a.caf", "a.flac", "alac.m4a"])
@pytest.mark.parametrize("source", ["speech_wav", "music_wav"])
def test_lossless_formats_hold_exactly_the_samples(name, source, request, tmp_path):
    media = request.getfixturevalue(source)
    extra = ["--format", "alac"] if name.startswith("alac") else []
    puresound("convert", media, "-o", tmp_path / name, *extra)
    assert ffmpeg_md5(tmp_path / name) == ffmpeg_md5(media)


@pytest.mark.parametrize("ext", ["mp3", "m4a", "opus"])
@pytest.mark.parametrize("media", [SPEECH, MUSIC], ids=["speech", "music"])
def test_lossy_formats_keep_length_and_position(ext, media, tmp_path):
    path = tmp_path / f"a.{ext}"
    report = puresound("convert", media, "-o", path, "--json").json
    source, rate = ffmpeg_pcm(media)
    samples, out_rate = ffmpeg_pcm(path)
    reference = resample_poly(source, out_rate, rate, axis=0) if out_rate != rate else source
    want = -(-len(source) * out_rate // rate)
    assert report["outputs"][0]["encoded"]["frames"] == pytest.approx(want, abs=1 if out_rate != rate else 0)
    # ffmpeg 5 drops the padding at the end of MP4 by whole AAC frames only: up to 1023 frames remain.
    slack = 1023 if ext == "m4a" else 1 if out_rate != rate else 0
    assert want - (slack if ext != "m4a" else 0) <= len(samples) <= want + slack
    assert shift_of(reference, samples) == 0


@pytest.mark.parametrize("ext", ["mp3", "m4a", "opus", "flac"])
def test_our_own_reading_gives_back_the_same_length(ext, speech_wav, tmp_path):
    path = tmp_path / f"a.{ext}"
    report = puresound("convert", speech_wav, "-o", path, "--json").json
    puresound("decode", path, tmp_path / "back.wav")
    samples, _ = ffmpeg_pcm(tmp_path / "back.wav")
    assert len(samples) == report["outputs"][0]["encoded"]["frames"]
    probed = puresound("probe", path, "--json").json["stream"]["duration"]
    assert probed["exact"] and probed["frames"] == len(samples)


def test_filters_and_level_do_not_move_the_sound(tmp_path):
    path = tmp_path / "a.flac"
    puresound("process", SPEECH, "-o", path, "--preset", "podcast")
    source, rate = ffmpeg_pcm(SPEECH)
    samples, out_rate = ffmpeg_pcm(path)
    assert (len(samples), out_rate) == (len(source), rate)
    # A minimum-phase high-pass turns the phase a little; one frame at 16 kHz is 62 microseconds.
    assert abs(shift_of(source, samples)) <= 1


def test_trim_is_exact_to_the_frame(speech_wav, tmp_path):
    path = tmp_path / "a.wav"
    puresound("process", speech_wav, "-o", path, "--trim-start", "1.5", "--trim-end", "3.25")
    source, rate = ffmpeg_pcm(speech_wav)
    samples, _ = ffmpeg_pcm(path)
    assert np.array_equal(samples, source[int(1.5 * rate):int(3.25 * rate)])


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000, 96_000])
def test_resample_gives_the_right_length_and_position(rate, speech_wav, tmp_path):
    path = tmp_path / "a.wav"
    puresound("resample", speech_wav, path, "--rate", rate)
    source, from_rate = ffmpeg_pcm(speech_wav)
    samples, out_rate = ffmpeg_pcm(path)
    assert out_rate == rate and abs(len(samples) - len(source) * rate / from_rate) <= 1
    assert shift_of(resample_poly(source, rate, from_rate, axis=0), samples) == 0
