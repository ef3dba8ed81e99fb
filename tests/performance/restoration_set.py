"""The material of restoration.py: real speech and real noise out of Debian and PyPI packages, mixed at stated ratios.

Speech: LibriVox (Debian pocketsphinx-testdata) and the telephone prompts of Asterisk in four languages (G.722, 16 kHz).
Noise: recordings of traffic, machines, crowds, water and birds out of two games (Debian lincity-ng-data, searchandrescue-data,
stormbaancoureur-data) and out of the PyPI wheel `ambience`. Short ones are looped with a cross-fade.

Two parts that share neither a voice nor a noise: `tune`, which the filters were adjusted with, and `held`, which they were not.
"""

import subprocess
import zipfile
from pathlib import Path

import numpy as np
from scipy import signal

RATE = 16_000
LEAD_S = 1.5  # noise alone before the speech: what profile-based peers learn from
DEBIAN = ["pocketsphinx-testdata", "asterisk-core-sounds-en-g722", "asterisk-core-sounds-fr-g722",
          "asterisk-core-sounds-es-g722", "asterisk-core-sounds-ru-g722", "lincity-ng-data", "searchandrescue-data",
          "stormbaancoureur-data"]
PYPI = ["ambience"]
BOOKS = "usr/share/pocketsphinx/test/data/librivox"
PROMPTS = "usr/share/asterisk/sounds"
CITY = "usr/share/games/lincity-ng/sounds"
RESCUE = "usr/share/games/searchandrescue/sounds"
VOICES = {
    "tune": {"librivox": BOOKS, "french": f"{PROMPTS}/fr_CA_f_June"},
    "held": {"english": f"{PROMPTS}/en_US_f_Allison", "spanish": f"{PROMPTS}/es_MX_f_Allison",
             "russian": f"{PROMPTS}/ru_RU_f_IvrvoiceRU"},
}
NOISES = {
    "tune": {"train": "sounds/town/train.ogg", "traffic": f"{CITY}/TraficHigh3.wav", "factory": f"{CITY}/IndustryHigh2.wav",
             "market": f"{CITY}/MarketMed1.wav", "helicopter": f"{RESCUE}/hh65/engine_inside.wav",
             "mine": f"{CITY}/CoalMine2.wav"},
    "held": {"rainforest": "sounds/nature/amazon-rainforest.ogg", "jet": f"{RESCUE}/jet_engine_inside2.wav",
             "car": "usr/share/games/stormbaancoureur/sounds/camaro_s16_le.wav", "crowd": f"{CITY}/SportsCroud1.wav",
             "water": f"{CITY}/Water4.wav", "street": f"{CITY}/TraficHigh2.wav", "mill": f"{CITY}/WindMillHTech2.wav"},
}


def fetch(folder):
    """Unpacks the packages below `folder`, once."""
    done = folder / "fetched"
    if done.exists():
        return folder
    loads = folder / "downloads"
    loads.mkdir(parents=True, exist_ok=True)
    subprocess.run(["apt-get", "-q", "download", *DEBIAN], cwd=loads, check=True)
    subprocess.run(["python3", "-m", "pip", "-q", "download", "--no-deps", *PYPI], cwd=loads, check=True)
    for package in loads.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", package, folder], check=True)
    for wheel in loads.glob("*.whl"):
        zipfile.ZipFile(wheel).extractall(folder)
    done.touch()
    return folder


def decode(path, rate=RATE):
    """One channel at `rate`, through ffmpeg."""
    form = ["-f", "g722"] if path.suffix == ".g722" else []
    raw = subprocess.run(["ffmpeg", "-v", "error", "-nostdin", *form, "-i", path, "-ac", "1", "-ar", str(rate), "-f", "f32le", "-"],
                         check=True, capture_output=True).stdout
    return np.frombuffer(raw, np.float32).astype(np.float64)


def active_rms(x):
    """RMS of the 20 ms frames within 35 dB of the loudest: speech without its pauses."""
    frames = x[:len(x) // 320 * 320].reshape(-1, 320)
    power = (frames ** 2).mean(1)
    return np.sqrt(power[power > power.max() * 10 ** -3.5].mean())


def voice(folder, seconds):
    """The longest recordings of a folder in a row, active level -26 dBFS."""
    files = sorted((p for p in folder.iterdir() if p.is_file()), key=lambda p: (-p.stat().st_size, p.name))
    parts, length = [], 0
    for path in files:
        part = decode(path)
        part = part / active_rms(part)
        parts += [part, np.zeros(RATE // 3)]
        length += len(part) + RATE // 3
        if length > seconds * RATE:
            break
    x = np.concatenate(parts)[:int(seconds * RATE)]
    return signal.sosfiltfilt(signal.butter(2, 60, "high", fs=RATE, output="sos"), x) * 10 ** (-26 / 20)


def noise(path, frames, start=0.3):
    """`frames` of a recording without what is under 20 Hz, looped with a cross-fade of 0.2 s where it is too short; RMS 1."""
    x = signal.sosfiltfilt(signal.butter(2, 20, "high", fs=RATE, output="sos"), decode(path))
    x = x[int(start * RATE):len(x) - RATE // 10]
    fade = RATE // 5
    ramp = np.sqrt(np.arange(fade) / fade)
    loop = x[:-fade].copy()
    loop[:fade] = loop[:fade] * ramp + x[-fade:] * ramp[::-1]
    y = np.concatenate([x[:-fade], np.tile(loop, frames // len(loop) + 1)])[:frames]
    return y / np.sqrt((y ** 2).mean())


def mixtures(folder, part, snrs=(0, 5, 10), seconds=20.0):
    """Yields (name, clean, noisy), both starting with LEAD_S seconds without speech."""
    voices = [voice(folder / path, seconds) for path in VOICES[part].values()]
    names = list(VOICES[part])
    lead = np.zeros(int(LEAD_S * RATE))
    for index, (name, path) in enumerate(NOISES[part].items()):
        clean = np.concatenate([lead, voices[index % len(voices)]])
        disturbance = noise(folder / path, len(clean))
        for snr in snrs:
            level = active_rms(clean) * 10 ** (-snr / 20)
            yield (name, names[index % len(voices)], snr), clean, clean + level * disturbance
