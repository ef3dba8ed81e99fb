#!/usr/bin/env python3
"""Speed side by side with the tools people use today. Prints ratios peer / ours; above 1 we are faster. Asserts nothing.

    tests/performance/run.py                          all cases, 5 rounds
    tests/performance/run.py --case 'main/*' -n 9     some of them, more rounds
    tests/performance/run.py --material DIR           own recordings: DIR/speech.wav (mono), DIR/music.wav (stereo)
    tests/performance/run.py --long                   with the two-hour file (peak memory)
    tests/performance/run.py --list                   the command lines

Needs Debian's ffmpeg, flac, lame, opus-tools, vorbis-tools, mpg123, faad, sox; a peer that is not installed is left out.
Ten minutes of speech and of music are made once, in target/performance, from examples/media, varied in level and speed so
that no two stretches are equal. They are short clips over and over: for figures to quote, use --material.

Method: every round runs every command of a case once, in turn, so that drift of the machine hits all alike; the ratio is the
median of the rounds' ratios. Cases at 1 core are pinned with taskset and compare CPU time (user + system, all processes of a
command); cases at 2 cores compare wall time. Everybody reads from and writes to the same memory file system.
"""

import argparse
import fnmatch
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FF = "ffmpeg -v error -nostdin -y -filter_threads 1"
FF_INFO = "ffmpeg -hide_banner -nostats -nostdin -y -filter_threads 1"
SECONDS = 600

# The chain of the podcast preset, as ffmpeg has it. Chain once into a float WAV while measuring, then gain, limiter at
# four times the rate, encode: the fastest job with ffmpeg that keeps a true-peak ceiling before the codec.
CHAIN = "highpass=f=80,afftdn=nr=12:nf=-50,acompressor=threshold=-18dB:ratio=3:attack=10:release=120"
LIMIT = "aresample=176400,alimiter=limit=-1.3dB:attack=5:release=50:level=0"
ENCODERS = {
    "mp3": ("-c:a libmp3lame -b:a 128k", 44100, "--bitrate 128"),
    "opus": ("-c:a libopus -b:a 64k", 48000, "--bitrate 64"),
    "m4a": ("-c:a aac -b:a 128k", 44100, "--bitrate 128"),
    "flac": ("-c:a flac -sample_fmt s16", 44100, "--bits 16"),
}


def two_pass(source, ext):
    options, rate, _ = ENCODERS[ext]
    return (f"i=$({FF_INFO} -i {source} -filter_complex '[0:a]{CHAIN},asplit[a][b];[a]ebur128=framelog=verbose[m]' "
            "-map '[b]' -c:a pcm_f32le {t}/m.wav -map '[m]' -f null - 2>&1 | sed -n 's/^ *I: *\\(.*\\) LUFS/\\1/p' | tail -1); "
            f"{FF} -i {{t}}/m.wav -af volume=$(awk \"BEGIN{{print -16-($i)}}\")dB,{LIMIT} -ar {rate} {options} {{t}}/p.{ext}; "
            "rm -f {t}/m.wav")


def cases():
    """name -> (cores, {command name: shell line}); 'ours' is the one that the others are compared with."""
    all_cases = {}
    for ext, (_, _, ours) in ENCODERS.items():
        for cores in (1, 2):
            all_cases[f"main/{ext}/{cores}-core"] = (cores, {
                "ours": f"{{b}} process {{m}}/speech.mp3 -o {{t}}/o.{ext} --preset podcast {ours} --quiet",
                "ffmpeg 2pass-tp": two_pass("{m}/speech.mp3", ext)})
    null = "-f null -"
    all_cases["loudness/I+LRA+TP"] = (1, {
        "ours": "{b} loudness {m}/music.wav --json",
        "ffmpeg ebur128": f"{FF} -i {{m}}/music.wav -af ebur128=peak=true:framelog=verbose {null}"})
    own_tool = {"flac": ("flac", "flac -s -f -d {m}/music.flac -o {t}/p.wav"), "mp3": ("mpg123", "mpg123 -q -e f32 -w {t}/p.wav {m}/music.mp3"),
                "ogg": ("oggdec", "oggdec -Q -o {t}/p.wav {m}/music.ogg"),
                "opus": ("opusdec", "opusdec --quiet --float {m}/music.opus {t}/p.wav"),
                "m4a": ("faad", "faad -q -b 4 -o {t}/p.wav {m}/music.m4a"), "wav": ("sox", "sox {m}/music.wav {t}/p.wav")}
    for ext, (name, line) in own_tool.items():
        sample = "pcm_s16le" if ext in ("wav", "flac") else "pcm_f32le"
        all_cases[f"decode/{ext}"] = (1, {
            "ours": f"{{b}} decode {{m}}/music.{ext} {{t}}/o.wav",
            "ffmpeg": f"{FF} -i {{m}}/music.{ext} -c:a {sample} {{t}}/f.wav", name: line})
    all_cases["resample/44.1-48"] = (1, {
        "ours": "{b} resample {m}/music-f32.wav {t}/o.wav --rate 48000",
        "ffmpeg soxr": f"{FF} -i {{m}}/music-f32.wav -af aresample=48000:resampler=soxr -c:a pcm_f32le {{t}}/p.wav",
        "sox -h": "sox {m}/music-f32.wav {t}/q.wav rate -h 48000"})
    convert = "{b} convert {m}/music.wav -o {t}/o.%s --no-verify --quiet %s"
    encode = f"{FF} -i {{m}}/music.wav %s {{t}}/p.%s"
    all_cases["encode/flac-5"] = (1, {"ours": convert % ("flac", "--compression 5"), "flac -5": "flac -s -f -5 {m}/music.wav -o {t}/q.flac",
                                      "ffmpeg": encode % ("-c:a flac -compression_level 5", "flac")})
    all_cases["encode/flac-8"] = (1, {"ours": convert % ("flac", "--compression 8"), "flac -8": "flac -s -f -8 {m}/music.wav -o {t}/q.flac",
                                      "ffmpeg": encode % ("-c:a flac -compression_level 8", "flac")})
    all_cases["encode/mp3-128"] = (1, {"ours": convert % ("mp3", "--bitrate 128"), "lame": "lame --quiet -b 128 {m}/music.wav {t}/q.mp3",
                                       "ffmpeg": encode % ("-c:a libmp3lame -b:a 128k", "mp3")})
    all_cases["encode/opus-96"] = (1, {"ours": convert % ("opus", "--bitrate 96"), "opusenc": "opusenc --quiet --bitrate 96 {m}/music.wav {t}/q.opus",
                                       "ffmpeg": encode % ("-c:a libopus -b:a 96k", "opus")})
    all_cases["encode/aac-128"] = (1, {"ours": convert % ("m4a", "--bitrate 128"), "ffmpeg": encode % ("-c:a aac -b:a 128k", "m4a")})
    all_cases["start-up/wav-flac"] = (1, {"ours": "{b} convert {m}/one.wav -o {t}/o.flac --no-verify --quiet", "flac": "flac -s -f {m}/one.wav -o {t}/q.flac",
                                          "ffmpeg": f"{FF} -i {{m}}/one.wav {{t}}/p.flac"})
    all_cases["memory/2h-podcast-opus"] = (2, {
        "ours": "{b} process {m}/long.wav -o {t}/o.opus --preset podcast --quiet",
        "ffmpeg wav-opus": f"{FF} -i {{m}}/long.wav -c:a libopus -b:a 96k {{t}}/p.opus"})
    return all_cases


def ffmpeg(*args):
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-y", *map(str, args)], check=True)


def material(folder, own, long):
    """Makes what is missing of the test files."""
    folder.mkdir(parents=True, exist_ok=True)
    stamp = folder / "made-from"
    if not stamp.exists() or stamp.read_text() != str(own):
        for old in folder.iterdir():
            old.unlink()
        stamp.write_text(str(own))
    for name, clip, layout in (("speech", "speech.flac", "mono"), ("music", "music.mp3", "stereo")):
        target = folder / f"{name}.wav"
        if not target.exists():
            ready = own / f"{name}.wav" if own else varied(folder, ROOT / "examples/media" / clip, layout)
            ffmpeg("-i", ready, "-t", SECONDS, "-ar", 44100, "-ac", 1 if layout == "mono" else 2, "-c:a", "pcm_s16le", target)
    music = folder / "music.wav"
    made = {"speech.mp3": ["-i", folder / "speech.wav", "-c:a", "libmp3lame", "-b:a", "128k"],
            "music-f32.wav": ["-i", music, "-c:a", "pcm_f32le"], "music.flac": ["-i", music],
            "music.mp3": ["-i", music, "-c:a", "libmp3lame", "-q:a", 2], "music.ogg": ["-i", music, "-c:a", "libvorbis", "-q:a", 5],
            "music.opus": ["-i", music, "-c:a", "libopus", "-b:a", "96k"], "music.m4a": ["-i", music, "-c:a", "aac", "-b:a", "165k"],
            "one.wav": ["-i", music, "-t", 1]}
    if long:
        made["long.wav"] = ["-stream_loop", -1, "-i", music, "-t", 7200, "-c:a", "pcm_s16le"]
    for name, options in made.items():
        if not (folder / name).exists():
            ffmpeg(*options, folder / name)


def varied(folder, clip, layout):
    """The clip again and again, each time at another speed (0.9 to 1.1) and level (-6 to +3 dB): ten minutes."""
    target = folder / f"varied-{layout}.wav"
    steps, text = 40, []
    for i in range(steps):
        tempo = 0.9 + 0.2 * ((i * 7) % steps) / steps
        gain = -6 + 9 * ((i * 11) % steps) / steps
        text.append(f"[{i}:a]aresample=44100,atempo={tempo:.4f},volume={gain:.2f}dB[a{i}]")
    graph = ";".join(text) + ";" + "".join(f"[a{i}]" for i in range(steps)) + f"concat=n={steps}:v=0:a=1[a]"
    inputs = [x for _ in range(steps) for x in ("-i", clip)]
    ffmpeg(*inputs, "-filter_complex", graph, "-map", "[a]", "-t", SECONDS, target)
    return target


def run(line, cores):
    """One run: CPU and wall seconds, peak MiB of the largest process."""
    pin = ["taskset", "-c", "0"] if cores == 1 and shutil.which("taskset") else []
    start = time.perf_counter()
    process = subprocess.Popen([*pin, "/bin/sh", "-c", line], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE)
    error = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    code = process.returncode = os.waitstatus_to_exitcode(status)
    if code != 0:
        raise RuntimeError(f"exit {code}: {error.decode('utf-8', 'replace')[-300:]}")
    return usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024


def measured(path):
    """What the output of a main job measures: LUFS, dBTP."""
    text = subprocess.run(["ffmpeg", "-hide_banner", "-nostats", "-nostdin", "-i", path, "-af", "ebur128=peak=true:framelog=verbose", "-f",
                           "null", "-"], capture_output=True, text=True).stderr
    summary = text[text.rfind("Summary:"):]
    find = lambda key: (re.findall(rf"{key}:\s+(-?[\d.]+|-inf)", summary) or ["?"])[-1]
    return f"{find('I')} LUFS, {find('Peak')} dBTP"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", default="*", help="pattern of case names")
    parser.add_argument("-n", "--rounds", type=int, default=5)
    parser.add_argument("--binary", default=str(ROOT / "target/release/puresound"))
    parser.add_argument("--material", type=Path, help="folder with speech.wav and music.wav of ten minutes or more")
    parser.add_argument("--long", action="store_true", help="run memory/* too: makes a file of 1.3 GB")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--list", action="store_true")
    args = parser.parse_args()
    selected = {n: c for n, c in cases().items() if fnmatch.fnmatch(n, args.case) and (args.long or not n.startswith("memory/"))}
    if args.list:
        for name, (_, commands) in selected.items():
            for peer, line in commands.items():
                print(f"{name}\t{peer}\t{line}")
        return
    folder = ROOT / "target" / "performance"
    material(folder, args.material and args.material.resolve(), args.long)
    shm = "/dev/shm" if os.path.isdir("/dev/shm") else None
    figures = []
    print(f"{args.rounds} rounds, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; ratio = peer / ours, above 1: ours is faster\n")
    print("| case | command | CPU s | wall s | peak MiB | ratio CPU | ratio wall | result |\n|---|---|---|---|---|---|---|---|")
    for name, (cores, commands) in selected.items():
        with tempfile.TemporaryDirectory(prefix="puresound-perf-", dir=shm) as scratch:
            commands = {k: v.replace("{b}", args.binary).replace("{m}", str(folder)).replace("{t}", scratch)
                        for k, v in commands.items() if k == "ours" or shutil.which(re.sub(r"^i=\$\(", "", v).split()[0])}
            rounds, broken = [], {}
            count = 1 if name.startswith("memory/") else args.rounds
            for index in range(count + (count > 1)):  # the first round warms up
                taken = {}
                for peer, line in commands.items():
                    try:
                        taken[peer] = run(line, cores)
                    except RuntimeError as error:
                        broken[peer] = str(error)
                if index > 0 or count == 1:
                    rounds.append(taken)
            for peer in commands:
                if peer in broken:
                    print(f"| {name} | {peer} | failed: {broken[peer]} | | | | | |")
                    continue
                of = lambda i, peer=peer: statistics.median(r[peer][i] for r in rounds)
                ratio = lambda i, peer=peer: statistics.median(r[peer][i] / r["ours"][i] for r in rounds if "ours" in r)
                result = ""
                if name.startswith("main/"):
                    result = measured(f"{scratch}/{'o' if peer == 'ours' else 'p'}.{name.split('/')[1]}")
                row = {"case": name, "command": peer, "cpu_s": of(0), "wall_s": of(1), "peak_mib": of(2), "result": result}
                if "ours" not in broken:
                    row |= {"ratio_cpu": ratio(0), "ratio_wall": ratio(1)}
                figures.append(row)
                show = lambda key: f"{row[key]:.2f}" if key in row and peer != "ours" else ""
                print(f"| {name} | {peer} | {of(0):.3f} | {of(1):.3f} | {of(2):.0f} | {show('ratio_cpu')} | {show('ratio_wall')} | {result} |", flush=True)
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
