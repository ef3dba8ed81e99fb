"""A notebook as a program: run it whole, or cell by cell in an editor that knows `# %%`.

    python analyse.py recording.mp3 folder
"""

# %% Read a recording: samples are a numpy array of (channels, frames).
from __future__ import annotations

import sys
from pathlib import Path

import matplotlib
import numpy

import pure_sound

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402

source, folder = Path(sys.argv[1]), Path(sys.argv[2])
audio = pure_sound.decode(source)
print(audio)

# %% Measure it.
loudness = audio.measure()
print(f"{loudness['integrated_lufs']:.1f} LUFS, true peak {loudness['true_peak_dbtp']:.1f} dBTP")

# %% Clean it: a chain works in place, so it gets a copy.
cleaned = pure_sound.Audio(audio.samples.copy(), audio.rate_hz, audio.layout)
chain = pure_sound.Chain(
    ["highpass:cutoff_hz=90", {"type": "compressor", "threshold_dbfs": -24, "ratio": 3}], audio.rate_hz, audio.channels
)
chain.process(cleaned.samples)

# %% Loudness over time, before and after.
figure, (top, bottom) = pyplot.subplots(2, 1, figsize=(9, 6), sharex=True, layout="constrained")
for name, one in (("before", audio), ("after", cleaned)):
    meter = pure_sound.Meter(one.rate_hz, one.channels)
    step = one.rate_hz // 10
    curve = []
    for start in range(0, one.frames - step, step):
        meter.push(one.samples[:, start : start + step])
        curve.append(max(meter.short_term_lufs, -70.0))
    top.plot(numpy.arange(1, len(curve) + 1) / 10, curve, label=name)
top.set_ylabel("short-term loudness, LUFS")
top.legend()

# %% Spectrum over time.
bottom.specgram(cleaned.samples.mean(axis=0) + 1e-9, NFFT=1024, Fs=cleaned.rate_hz, noverlap=512)
bottom.set_ylabel("Hz")
bottom.set_xlabel("s")
folder.mkdir(parents=True, exist_ok=True)
figure.savefig(folder / "analysis.png", dpi=100)

# %% What a notebook shows for audio, as a page of its own.
page = f"<!doctype html><meta charset='utf-8'><title>{source.name}</title>{audio._repr_html_()}"
(folder / "analysis.html").write_text(page, encoding="utf-8")
print(folder / "analysis.png")
