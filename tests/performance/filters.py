#!/usr/bin/env python3
"""Filters side by side with Pedalboard, ffmpeg and SoX on one core, stereo, 44.1 kHz, 32-bit float. Asserts nothing.

    tests/performance/filters.py                        all cases, 5 rounds of 60 s of music
    tests/performance/filters.py --case 'chain*' -n 9   some of them, more rounds
    tests/performance/filters.py --list                 what runs

Needs Debian's ffmpeg and sox; Pedalboard is installed into target/performance/peers. A peer that is missing is left out.

Prints for each case our time, scaled to ten minutes of sound, and the ratio peer / ours of each peer: above 1 we are faster.
`floor` is what the project promises against the fastest peer. Last comes the longest block of a live chain of 8 filters in
blocks of 64 frames, against the mean block, and how many times faster than real time it runs.

Method: everything is pinned to one core and compared by CPU time (user and system). Ours (core/examples/filter_speed.rs) and
Pedalboard process the recording in memory: ours is the difference of a run that does it 11 or 101 times and one that does it once,
Pedalboard's is told by its process. ffmpeg and SoX read a file in memory: theirs is the difference of a run with the filter six
times in a row and one with it once, so that neither reading nor conversion counts; it is compared with the same difference of
ours, which has no copy of the recording in it either. Every round runs every command once, in turn; the least time of all
rounds counts.
"""

import argparse
import fnmatch
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RATE_HZ = 44_100
# How often more a filter stands in the second run of ffmpeg and SoX.
REPEATS = 5
PEDALBOARD = "pedalboard==0.9.26"

EQ = "low_shelf:frequency_hz=120,gain_db=3|peak_eq:frequency_hz=1000,gain_db=-3,q=1|high_shelf:frequency_hz=8000,gain_db=2"
EQ_FF = "lowshelf=f=120:g=3,equalizer=f=1000:t=q:w=1:g=-3,highshelf=f=8000:g=2"
EQ_PB = "LowShelfFilter(120,3,0.7),PeakFilter(1000,-3,1),HighShelfFilter(8000,2,0.7)"
EQ_SOX = "bass 3 120 equalizer 1000 1q -3 treble 2 8000"
COMP = "compressor:threshold_dbfs=-20,ratio=3,attack_ms=10,release_ms=150"
COMP_FF = "acompressor=threshold=-20dB:ratio=3:attack=10:release=150"
COMP_PB = "Compressor(-20,3,10,150)"
COMP_SOX = "compand 0.01,0.15 6:-20,-20,0,-13.3"

# 31 bells, a third of an octave apart.
GRAPHIC_HZ = [round(1000 * 10 ** (n / 10), 1) for n in range(-17, 14)]
GRAPHIC = "|".join(f"peak_eq:frequency_hz={hz},gain_db=2,q=4.3" for hz in GRAPHIC_HZ)
GRAPHIC_FF = ",".join(f"equalizer=f={hz}:t=q:w=4.3:g=2" for hz in GRAPHIC_HZ)
GRAPHIC_SOX = " ".join(f"equalizer {hz} 4.3q 2" for hz in GRAPHIC_HZ)

# name -> (floor, ours, {peer: its filters})
CASES = {
    "chain: highpass, 3-band EQ, compressor, limiter": (2, f"highpass:cutoff_hz=80|{EQ}|{COMP}|limiter:ceiling_dbtp=-1", {
        "pedalboard": f"HighpassFilter(80),{EQ_PB},{COMP_PB},Limiter(-1,80)",
        "ffmpeg": f"highpass=f=80,{EQ_FF},{COMP_FF},alimiter=limit=-1dB:level=0",
        "sox": f"highpass 80 {EQ_SOX} {COMP_SOX} gain -l 0"}),
    "gain": (1, "gain:gain_db=-3", {"pedalboard": "Gain(-3)", "ffmpeg": "volume=-3dB", "sox": "vol 0.708"}),
    "highpass": (1, "highpass:cutoff_hz=80", {"pedalboard": "HighpassFilter(80)", "ffmpeg": "highpass=f=80", "sox": "highpass 80"}),
    "peak_eq": (1, "peak_eq:gain_db=-3", {"pedalboard": "PeakFilter(1000,-3,1)", "ffmpeg": "equalizer=f=1000:t=q:w=1:g=-3", "sox": "equalizer 1000 1q -3"}),
    "3-band EQ": (1, EQ, {"pedalboard": EQ_PB, "ffmpeg": EQ_FF, "sox": EQ_SOX}),
    "compressor": (1, COMP, {"pedalboard": COMP_PB, "ffmpeg": COMP_FF, "sox": COMP_SOX}),
    "compressor, unlinked": (1, f"{COMP},link=false", {"pedalboard": COMP_PB}),
    "compressor, peak": (1, f"{COMP},detector=peak", {"pedalboard": COMP_PB, "ffmpeg": f"{COMP_FF}:detection=peak:link=maximum"}),
    "limiter": (1, "limiter:ceiling_dbtp=-6", {"pedalboard": "Limiter(-6,80)", "ffmpeg": "alimiter=limit=-6dB:level=0"}),
    "gate": (1, "gate:threshold_dbfs=-30", {"pedalboard": "NoiseGate(-30,10,1,150)", "ffmpeg": "agate=threshold=-30dB"}),
    "expander": (1, "expander:threshold_dbfs=-30", {"ffmpeg": "agate=threshold=-30dB:ratio=2:detection=rms", "sox": "compand 0.003,0.2 -80,-130,-30,-30,0,0"}),
    "de_esser": (1, "de_esser:threshold_db=-30", {"ffmpeg": "deesser"}),
    "leveler": (1, "leveler", {"ffmpeg dynaudnorm": "dynaudnorm", "ffmpeg speechnorm": "speechnorm"}),
    "multiband_compressor": (1, "multiband_compressor", {"ffmpeg": "mcompand", "sox": "mcompand '0.03,0.25 6:-24,-24,0,-14.4' 200 '0.01,0.15 6:-24,-24,0,-14.4' 3000 '0.003,0.08 6:-24,-24,0,-14.4'"}),
    "clipper, hard, 1x": (1, "clipper:shape=hard,oversampling=1x,ceiling_dbfs=-6", {"pedalboard": "Clipping(-6)", "ffmpeg": "asoftclip=type=hard:oversample=1"}),
    "clipper, tanh, 1x": (1, "clipper:shape=tanh,oversampling=1x,ceiling_dbfs=-6", {"ffmpeg": "asoftclip=type=tanh:oversample=1"}),
    "clipper, tanh, 4x": (1, "clipper:shape=tanh,oversampling=4x,ceiling_dbfs=-6", {"ffmpeg": "asoftclip=type=tanh:oversample=4"}),
    "ducker": (1, "ducker:key_channel=1", {"ffmpeg": "asplit[a][b];[a][b]sidechaincompress"}),
    "lowpass": (1, "lowpass:cutoff_hz=8000", {"pedalboard": "LowpassFilter(8000)", "ffmpeg": "lowpass=f=8000", "sox": "lowpass 8000"}),
    "bandpass": (1, "bandpass", {"ffmpeg": "bandpass=f=1000", "sox": "bandpass 1000 1q"}),
    "notch": (1, "notch", {"ffmpeg": "bandreject=f=1000", "sox": "bandreject 1000 1q"}),
    "allpass": (1, "allpass", {"ffmpeg": "allpass=f=1000", "sox": "allpass 1000 1q"}),
    "low_shelf": (1, "low_shelf:gain_db=3", {"pedalboard": "LowShelfFilter(120,3,0.7)", "ffmpeg": "lowshelf=f=120:g=3", "sox": "bass 3 120"}),
    "high_shelf": (1, "high_shelf:gain_db=3", {"pedalboard": "HighShelfFilter(8000,3,0.7)", "ffmpeg": "highshelf=f=8000:g=3", "sox": "treble 3 8000"}),
    "tilt_eq": (1, "tilt_eq:gain_db=3", {"ffmpeg": "tiltshelf=f=1000:g=3"}),
    "echo": (1, "echo", {"pedalboard": "Delay(0.3,0.4,0.4)", "ffmpeg": "aecho", "sox": "echo 0.8 0.88 300 0.4"}),
    "chorus": (1, "chorus", {"pedalboard": "Chorus()", "ffmpeg": "chorus=0.7:0.9:25:0.4:0.5:1", "sox": "chorus 0.7 0.9 25 0.4 0.5 1 -s"}),
    "flanger": (1, "flanger", {"ffmpeg": "flanger", "sox": "flanger"}),
    "phaser": (1, "phaser", {"pedalboard": "Phaser()", "ffmpeg": "aphaser", "sox": "phaser 0.8 0.74 3 0.4 0.5 -t"}),
    "tremolo": (1, "tremolo", {"ffmpeg": "tremolo", "sox": "tremolo 5 50"}),
    "vibrato": (1, "vibrato", {"ffmpeg": "vibrato"}),
    "bitcrush": (1, "bitcrush", {"pedalboard": "Bitcrush(8)", "ffmpeg": "acrusher=bits=8:mix=1"}),
    "reverb": (1, "reverb", {"pedalboard": "Reverb()", "sox": "reverb"}),
    "crossfeed": (1, "crossfeed", {"ffmpeg": "crossfeed"}),
    "exciter": (1, "exciter", {"ffmpeg": "aexciter"}),
    "31 bells": (1, GRAPHIC, {"ffmpeg": GRAPHIC_FF, "sox": GRAPHIC_SOX}),
    "transient_shaper": (None, "transient_shaper", {}),
}

LIVE = ["highpass", "gate", "de_esser", "peak_eq:gain_db=-3", "compressor", "high_shelf:gain_db=2", "stereo:width_percent=120", "limiter"]

# Runs in the interpreter that has Pedalboard: cases as JSON in, seconds per round out.
PEDALBOARD_RUN = """
import json, sys, time
import numpy as np
from pedalboard import *
path, rate = sys.argv[1], int(sys.argv[2])
x = np.ascontiguousarray(np.fromfile(path, np.float32).reshape(-1, 2).T)
out = {}
for name, text in json.load(sys.stdin).items():
    board = Pedalboard(list(eval("(" + text + ",)")))
    start = time.process_time()
    board(x, rate)
    out[name] = time.process_time() - start
print(json.dumps(out))
"""


def pinned(core):
    return ["taskset", "-c", str(core)] if shutil.which("taskset") else []


def cpu_s(command):
    """CPU time of one run."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    error = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: {error.decode('utf-8', 'replace')[-300:]}")
    return usage.ru_utime + usage.ru_stime


def ffmpeg(wav, filters, times):
    if ";" in filters:  # with [a] and [b] inside; each copy takes the output of the one before
        rows = [filters.replace("[a]", f"[a{n}]").replace("[b]", f"[b{n}]") for n in range(times)]
        text = ";".join((f"[o{n - 1}]" if n else "") + row + f"[o{n}]" for n, row in enumerate(rows))
        graph = ["-filter_complex_threads", "1", "-filter_complex", text, "-map", f"[o{times - 1}]"]
    else:
        graph = ["-af", ",".join([filters] * times)]
    return ["ffmpeg", "-v", "error", "-nostdin", "-filter_threads", "1", "-i", wav, *graph, "-c:a", "pcm_f32le", "-f", "null", "-"]


def sox(wav, effects, times):
    return ["sox", "-V1", wav, "-n", *shlex.split(effects) * times]


def pedalboard_python(folder):
    """The interpreter of a virtual environment with Pedalboard; None when it cannot be made."""
    python = folder / "peers" / "bin" / "python"
    try:
        if not python.exists():
            subprocess.run([sys.executable, "-m", "venv", folder / "peers"], check=True)
        if subprocess.run([python, "-c", "import pedalboard"], capture_output=True).returncode != 0:
            subprocess.run([python, "-m", "pip", "install", "--quiet", PEDALBOARD], check=True)
        return python
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"left out: pedalboard ({error})", file=sys.stderr)
        return None


def ours_s(binary, raw, chain, pin):
    """CPU time of one pass, with the copies into the chain and out of it."""
    command = lambda rounds: [*pin, binary, raw, str(RATE_HZ), "2", str(rounds), "4096", f"x={chain}"]
    once = cpu_s(command(1))
    some = cpu_s(command(11)) - once
    if some > 0.2:
        return some / 10
    # What is quick needs more passes to stand out from the start of the program.
    return (cpu_s(command(101)) - once) / 100


def live_blocks(binary, raw, pin):
    """Mean and worst block of the live chain in blocks of 64 frames."""
    command = [*pin, binary, raw, str(RATE_HZ), "2", "10", "64", f"live={'|'.join(LIVE)}"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", default="*", help="pattern of case names")
    parser.add_argument("-n", "--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=60, help="length of the recording")
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--binary", type=Path, help="a built filter_speed; it is built otherwise")
    parser.add_argument("--music", type=Path, default=ROOT / "examples/media/music.mp3")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--list", action="store_true")
    args = parser.parse_args()
    cases = {n: c for n, c in CASES.items() if fnmatch.fnmatch(n, args.case)}
    if args.list:
        for name, (floor, mine, peers) in cases.items():
            print(f"{name} (floor {floor})\n    ours: {mine}")
            for peer, text in peers.items():
                print(f"    {peer}: {text}")
        return
    folder = ROOT / "target" / "performance"
    folder.mkdir(parents=True, exist_ok=True)
    binary = args.binary
    if binary is None:
        subprocess.run(["cargo", "build", "--release", "--quiet", "-p", "pure-sound", "--example", "filter_speed"], cwd=ROOT, check=True)
        binary = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release/examples/filter_speed"
    python = pedalboard_python(folder)
    tools = [tool for tool in ("ffmpeg", "sox") if shutil.which(tool)]
    if "ffmpeg" not in tools:
        sys.exit("ffmpeg is needed to make the recording")
    pin = pinned(args.core)
    memory = Path("/dev/shm") if Path("/dev/shm").is_dir() else None
    best = {}  # (case, who) -> seconds

    def note(case, who, seconds):
        best[case, who] = min(seconds, best.get((case, who), float("inf")))

    with tempfile.TemporaryDirectory(dir=memory) as work:
        wav, raw = Path(work) / "x.wav", Path(work) / "x.raw"
        source = ["ffmpeg", "-v", "error", "-nostdin", "-stream_loop", "-1", "-i", args.music, "-t", str(args.seconds), "-ar", str(RATE_HZ), "-ac", "2"]
        subprocess.run([*source, "-c:a", "pcm_f32le", wav, "-f", "f32le", "-ar", str(RATE_HZ), "-ac", "2", "-t", str(args.seconds), raw], check=True)
        for _ in range(args.rounds):
            for name, (_, mine, _) in cases.items():
                for times in (1, 1 + REPEATS):
                    note(name, ("ours", times), ours_s(binary, raw, "|".join([mine] * times), pin))
            if python:
                texts = {n: c[2]["pedalboard"] for n, c in cases.items() if "pedalboard" in c[2]}
                out = subprocess.run([*pin, python, "-c", PEDALBOARD_RUN, raw, str(RATE_HZ)], input=json.dumps(texts), check=True,
                                     capture_output=True, text=True).stdout
                for name, seconds in json.loads(out).items():
                    note(name, "pedalboard", seconds)
            for tool in tools:
                run = {"ffmpeg": ffmpeg, "sox": sox}[tool]
                for name, (_, _, peers) in cases.items():
                    for peer, text in peers.items():
                        if peer.split()[0] == tool:
                            try:
                                for times in (1, 1 + REPEATS):
                                    note(name, (peer, times), cpu_s([*pin, *run(wav, text, times)]))
                            except RuntimeError as error:
                                print(f"left out: {peer} for {name} ({error})", file=sys.stderr)
        live = [live_blocks(binary, raw, pin) for _ in range(2)]

    scale = 600 / args.seconds
    figures = {}
    print(f"{'case':48} {'ours':>8}  {'floor':>5}  ratios")
    for name, (floor, _, peers) in cases.items():
        mine = best[name, ("ours", 1)]

        def in_a_row(who, name=name):
            return (best[name, (who, 1 + REPEATS)] - best[name, (who, 1)]) / REPEATS

        ratios = {}
        for peer in peers:
            if (name, peer) in best:
                ratios[peer] = best[name, peer] / mine
            elif (name, (peer, 1 + REPEATS)) in best:
                ratios[peer] = in_a_row(peer) / in_a_row("ours")
        least = min(ratios.values(), default=None)
        verdict = "" if floor is None or least is None else "" if least >= floor else "   UNDER THE FLOOR"
        text = ", ".join(f"{peer} {ratio:.2f}" for peer, ratio in sorted(ratios.items(), key=lambda r: r[1]))
        print(f"{name:48} {mine * scale:6.3f} s  {floor or '-':>5}  {text}{verdict}")
        figures[name] = {"ours_s_per_10_min": mine * scale, "floor": floor, "ratios": ratios}
    mean_us = min(row["mean_us"] for row in live)
    worst = min(row["worst_us"] / row["mean_us"] for row in live)
    realtime = 64 / RATE_HZ * 1e6 / mean_us
    print(f"\nlive chain of {len(LIVE)} filters, blocks of 64 frames: mean {mean_us:.2f} us, worst / mean {worst:.2f} (at most 3), "
          f"{realtime:.0f} times real time (at least 200)")
    figures["live"] = {"mean_us": mean_us, "worst_over_mean": worst, "times_realtime": realtime}
    if args.json:
        args.json.write_text(json.dumps({"time": time.strftime("%Y-%m-%d"), "seconds": args.seconds, "rounds": args.rounds, "cases": figures}, indent=1) + "\n")


if __name__ == "__main__":
    main()
