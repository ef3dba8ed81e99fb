#!/usr/bin/env python3
"""Tempo side by side with Rubber Band (R2 and R3), ffmpeg atempo and SoX tempo: quality and speed. Asserts nothing.

    tests/performance/stretch.py                      all tools, speech and music of examples/media
    tests/performance/stretch.py --material DIR       own recordings: DIR/speech.wav (mono), DIR/music.wav (stereo)
    tests/performance/stretch.py --tempo 0.8 1.25     these tempos

Needs Debian's rubberband-cli, ffmpeg, sox (a peer that is not installed is left out) and Python with numpy, scipy, soundfile.

Measures:
- convergence: a file is stretched by t, the result by 1/t, and the magnitudes B of its short-time Fourier transform (Hann
  windows of 2048 and of 512 frames, hop a quarter) are compared with those of the original, A: ||A - B|| / ||A||, Frobenius
  norms. 0 is the original. The long window judges tones, the short one attacks and positions. Smaller is better.
- length: frames by which the output differs from frames / t, rounded half up, worst case.
- tone: a sine of 440 Hz is stretched; error of its frequency in cents, and how far its level moves, in dB.
- CPU: user and system seconds of all runs of the row on one core, start-up and files included; the ratio is peer / ours.
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import hilbert, stft

ROOT = Path(__file__).resolve().parents[2]
RATE = 44100


def tools(binary):
    """name -> line(input, output, tempo, material)"""
    ours = f"{binary} process {{i}} -o {{o}} --keep-level --no-verify --quiet --bits float --filter tempo:factor={{t}},mode=%s"
    return {
        "ours music": lambda kind: ours % "music",
        "ours speech": lambda kind: ours % "speech",
        "rubberband R2": lambda kind: "rubberband -q -2 -T {t} {i} {o}",
        "rubberband R3": lambda kind: "rubberband -q -3 -T {t} {i} {o}",
        "ffmpeg atempo": lambda kind: "ffmpeg -v error -nostdin -y -i {i} -af atempo={t} -c:a pcm_f32le {o}",
        "sox tempo": lambda kind: "sox -V1 {i} -e float -b 32 {o} tempo -%s {t}" % ("s" if kind == "speech" else "m"),
    }


def run(line, source, target, tempo):
    """CPU seconds of one stretch."""
    pin = ["taskset", "-c", "0"] if shutil.which("taskset") else []
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    words = line.format(i=source, o=target, t=repr(tempo)).split()
    subprocess.run([*pin, *words], check=True, stdin=subprocess.DEVNULL, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def convergence(a, b, size):
    frames = min(len(a), len(b))
    difference = total = 0.0
    for x, y in zip(a[:frames].T, b[:frames].T):
        x, y = (np.abs(stft(z, nperseg=size, noverlap=size * 3 // 4, window="hann")[2]) for z in (x, y))
        difference, total = difference + np.sum((x - y) ** 2), total + np.sum(x ** 2)
    return np.sqrt(difference / total)


def tone(samples):
    """Error in cents against 440 Hz, and the span of the level in dB, without the ends."""
    analytic = hilbert(samples)[RATE // 4: -RATE // 4]
    level = np.convolve(np.abs(analytic), np.hanning(441) / np.hanning(441).sum(), "valid")
    turns = np.unwrap(np.angle(analytic))
    hertz = np.polyfit(np.arange(len(turns)) / RATE, turns, 1)[0] / (2 * np.pi)
    return 1200 * np.log2(hertz / 440), 20 * np.log10(level.max() / level.min())


def material(folder, own):
    for kind, clip, channels in (("speech", "speech.flac", 1), ("music", "music.mp3", 2)):
        source = own / f"{kind}.wav" if own else ROOT / "examples/media" / clip
        subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-y", "-i", source, "-ar", str(RATE), "-ac", str(channels), "-c:a",
                        "pcm_f32le", folder / f"{kind}.wav"], check=True)
    time = np.arange(4 * RATE) / RATE
    soundfile.write(folder / "tone.wav", 0.5 * np.sin(2 * np.pi * 440 * time), RATE, subtype="FLOAT")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--material", type=Path, help="folder with speech.wav and music.wav")
    parser.add_argument("--tempo", type=float, nargs="+", default=[0.75, 0.9, 1.25, 1.5, 2.0])
    parser.add_argument("--binary", default=os.environ.get("PURESOUND_BIN", str(ROOT / "target/release/puresound")))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="puresound-stretch-") as scratch:
        folder = Path(scratch)
        material(folder, args.material)
        print(f"tempos {', '.join(map(str, args.tempo))}; means over them\n")
        print("| material | tool | convergence 2048 | convergence 512 | length | tone, cents | tone, dB | CPU s | ratio |")
        print("|---|---|---|---|---|---|---|---|---|")
        for kind in ("speech", "music"):
            original, _ = soundfile.read(folder / f"{kind}.wav", always_2d=True)
            ours = None
            own_first = sorted(tools(args.binary).items(), key=lambda tool: tool[0] != f"ours {kind}")
            for name, line_for in own_first:
                line = line_for(kind)
                if shutil.which(line.split()[0]) is None:
                    continue
                figures, lengths, tones, cpu = [], [], [], 0.0
                for tempo in args.tempo:
                    once, twice, sine = (folder / f"{n}.wav" for n in ("once", "twice", "sine"))
                    cpu += run(line, folder / f"{kind}.wav", once, tempo)
                    cpu += run(line, once, twice, 1 / tempo)
                    lengths.append(soundfile.info(once).frames - int(len(original) / tempo + 0.5))
                    back, _ = soundfile.read(twice, always_2d=True)
                    figures.append([convergence(original, back, size) for size in (2048, 512)])
                    run(line, folder / "tone.wav", sine, tempo)
                    tones.append(tone(soundfile.read(sine)[0]))
                if name == f"ours {kind}":
                    ours = cpu
                mean = np.mean(figures, axis=0)
                cents = max((t[0] for t in tones), key=abs)
                span = max(t[1] for t in tones)
                ratio = f"{cpu / ours:.1f}" if ours else ""
                print(f"| {kind} | {name} | {mean[0]:.3f} | {mean[1]:.3f} | {max(lengths, key=abs)} | {cents:.2f} | {span:.2f} | "
                      f"{cpu:.2f} | {ratio} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
