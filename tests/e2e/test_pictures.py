"""`waveform`, `spectrogram` and pages: PNGs are read by a decoder of this file, pages by Python's HTML parser."""

import json
import struct
import subprocess
import zlib
from html.parser import HTMLParser

import numpy as np
import pytest
import soundfile

from conftest import MUSIC, ROOT, SPEECH, puresound


def read_png(path):
    """Width, height and (height, width, 3) of an indexed PNG with every filter, by zlib and numpy."""
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, chunks = 8, {}
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + length]
        assert zlib.crc32(kind + body) == struct.unpack(">I", data[at + 8 + length:at + 12 + length])[0]
        chunks[kind] = chunks.get(kind, b"") + body
        at += 12 + length
    width, height, depth, colour = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    assert (depth, colour) == (8, 3)
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), dtype=np.uint8).reshape(height, width + 1)
    assert not rows[:, 0].any(), "no filter"
    palette = np.frombuffer(chunks[b"PLTE"], dtype=np.uint8).reshape(-1, 3)
    return palette[rows[:, 1:]]


def tone(path, hz, seconds=2.0, rate=48000, amplitude=0.25):
    t = np.arange(int(seconds * rate)) / rate
    soundfile.write(path, amplitude * np.sin(2 * np.pi * hz * t), rate, subtype="PCM_16")
    return path


@pytest.mark.parametrize("hz", [1000, 6000, 15000])
def test_a_tone_is_at_its_row(hz, tmp_path):
    out = tmp_path / "s.png"
    puresound("spectrogram", tone(tmp_path / "t.wav", hz), out, "--no-axes", "--width", 200, "--height", 241, "--colours", "grey")
    picture = read_png(out)
    assert picture.shape == (241, 200, 3)
    row = picture[:, 100, 0].argmax()
    assert abs(row - (1 - hz / 24000) * 240) <= 1


def test_levels_agree_with_scipy(tmp_path):
    """A floor of noise and a tone: the middle column in dB against scipy's transform of the same frames."""
    rng = np.random.default_rng(5)
    rate, frames = 48000, 48000
    samples = 0.1 * np.sin(2 * np.pi * 3000 * np.arange(frames) / rate) + 0.01 * rng.standard_normal(frames)
    soundfile.write(tmp_path / "n.wav", samples, rate, subtype="FLOAT")
    puresound("spectrogram", tmp_path / "n.wav", tmp_path / "n.png", "--no-axes", "--width", 64, "--height", 241, "--colours", "grey",
              "--min-db", -120, "--max-db", 0)
    got = read_png(tmp_path / "n.png")[:, :, 0].astype(float) / 255 * 120 - 120
    window = np.hanning(2049)[:-1]
    spectra = [20 * np.log10(np.abs(np.fft.rfft(samples[s:s + 2048] * window)) / 512) for s in range(2048, 44000, 512)]
    mean = 10 * np.log10(np.mean(10 ** (np.array(spectra) / 10), axis=0))
    # Rows of 100 Hz hold four or five bins, of which the strongest counts: between the mean of the noise and some decibels more.
    noise = np.median(mean[600:])
    rows = got[20:120, 16:48]
    assert noise < np.median(rows) < noise + 6
    assert abs(got[210, 16:48].max() - (-20)) < 0.6, "a sine of 0.1 is at -20 dBFS"


def test_silence_is_the_floor(tmp_path):
    soundfile.write(tmp_path / "z.wav", np.zeros(48000), 48000)
    puresound("spectrogram", tmp_path / "z.wav", tmp_path / "z.png", "--no-axes", "--colours", "paper", "--width", 50, "--height", 50)
    assert (read_png(tmp_path / "z.png") == 255).all()


def test_clipping_reaches_the_edge_and_is_marked(tmp_path):
    samples = np.clip(1.5 * np.sin(np.arange(48000) * 0.05), -1, 1)
    samples[:24000] *= 0.5
    soundfile.write(tmp_path / "c.wav", samples, 48000, subtype="PCM_16")
    puresound("waveform", tmp_path / "c.wav", tmp_path / "c.png", "--no-axes", "--width", 100, "--height", 101)
    picture = read_png(tmp_path / "c.png")
    red, blue = [0xD1, 0x24, 0x2F], [0x1F, 0x6F, 0xEB]
    assert (picture[0, 60:95] == red).all() and not (picture[0, :45] == red).all(axis=1).any()
    assert (picture[26:75, 10:40] == blue).all() and not (picture[:24, 10:40] == blue).all(axis=2).any()


def test_sizes_and_names_are_refused(tmp_path):
    for args, words in [(("--width", 9000), "width"), (("--height", 4), "height"), (("--fft-size", 1000), "power of two"),
                        (("--min-db", 0, "--max-db", 0), "max_db")]:
        failed = puresound("spectrogram", SPEECH, tmp_path / "x.png", *args, check=5)
        assert words in failed.err
    assert "png" in puresound("waveform", SPEECH, tmp_path / "x.jpg", check=5).err
    puresound("waveform", SPEECH, tmp_path / "x.json", "--width", 100, check=8)
    assert not list(tmp_path.iterdir())


def test_peaks_and_pictures_from_standard_input(tmp_path):
    puresound("waveform", "-", tmp_path / "p.json", "--samples-per-pixel", 1000, "--bits", 8, input=SPEECH.read_bytes())
    peaks = json.loads((tmp_path / "p.json").read_text())
    samples, rate = soundfile.read(SPEECH, dtype="int16")
    assert (peaks["sample_rate"], peaks["bits"], peaks["length"]) == (rate, 8, -(-len(samples) // 1000))
    assert peaks["data"][1] == int(samples[:1000].max() / 256)
    puresound("analyse", SPEECH, "--peaks", tmp_path / "q.json", "--samples-per-pixel", 1000, "--peak-bits", 8)
    assert json.loads((tmp_path / "q.json").read_text()) == peaks
    puresound("spectrogram", "-", tmp_path / "a.png", input=MUSIC.read_bytes())
    puresound("spectrogram", MUSIC, tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


class Page(HTMLParser):
    """Tags, attributes and text of a page; fails when tags do not match."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.text = [], set(), [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


ALLOWED = set("html head meta title style body main h1 h2 p div span b i bdi section svg g line rect text path polyline image table thead tbody "
              "tr th td footer".split())


def page(path):
    got = Page(path.read_text(encoding="utf-8"))
    assert got.tags <= ALLOWED, got.tags - ALLOWED
    for name, value in got.attributes:
        assert not name.startswith("on") and "javascript" not in value
        assert name not in ("src",) and (name != "href" or value.startswith("data:image/png;base64,"))
    return got


def test_a_page_of_an_analysis(tmp_path):
    out = tmp_path / "a.html"
    done = puresound("analyse", SPEECH, "--html", out, "--spec", "ebu_r128", "--json")
    assert done.json["analysis_version"] == 1
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.validate(done.json, json.loads((ROOT / "configs" / "schema" / "analysis.json").read_text()))
    text = " ".join(page(out).text)
    plain = puresound("check", SPEECH, "--spec", "ebu_r128", "--json", check=None).json
    for verdict in plain["quality"]["verdicts"]:
        assert verdict["explanation"] in text
    assert f"{plain['quality']['loudness']['integrated_lufs']:.1f} LUFS" in text
    assert "EBU R 128 version 4.0 (2020)" in text
    # The same analysis as without a page.
    assert puresound("analyse", SPEECH, "--json").json == done.json


def test_hostile_names_and_tags_are_text(tmp_path):
    hostile = "\"><script>alert(1)<!--<svg onload=alert(2)>.flac"
    path, out = tmp_path / hostile.replace("/", ""), tmp_path / "h.html"
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-i", SPEECH, "-t", "3", "-metadata", "title=</td></table><script>alert(3)</script>",
                    "-metadata", "comment=\u202egnp.exe", path], check=True)
    puresound("analyse", path, "--html", out)
    got = page(out)
    text = "".join(got.text)
    assert path.name in text and "</td></table><script>alert(3)</script>" in text
    assert "\u202e" not in out.read_text(encoding="utf-8")
    puresound("process", path, "-o", tmp_path / "<img src=x onerror=alert(4)>.wav", "--preset", "podcast", "--html", out)
    assert "<img src=x onerror=alert(4)>.wav" in "".join(page(out).text)


def test_a_page_of_before_and_after(tmp_path):
    loud, out = tmp_path / "loud.wav", tmp_path / "p.html"
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-i", SPEECH, "-af", "volume=20dB", loud], check=True)
    puresound("process", loud, "-o", tmp_path / "x.opus", "--preset", "podcast", "--filter", "declip", "--html", out)
    got = page(out)
    text = " ".join(got.text)
    assert "target of the run" in "".join(got.text) and "loud.wav \u2192 x.opus" in text
    assert ("image" in got.tags) and sum(name == "href" for name, _ in got.attributes) == 2
    assert "denoise_spectral" in text and "before" in text and "after" in text
    # From a pipe and to a pipe, too.
    puresound("process", "-", "-o", "-", "--format", "wav", "--preset", "podcast", "--html", out, input=SPEECH.read_bytes())
    page(out)
