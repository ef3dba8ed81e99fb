#!/usr/bin/env python3
"""Figures of the Python package: overhead at the border, against peers, with other threads.

    python tests/performance/python.py [size] [overhead] [peers] [threads]

Run it with an interpreter that has the wheel installed, and for `peers` also soundfile, librosa, pedalboard, pydub, scipy (those that
are missing are told and skipped). Prints one line for each figure: what, value, goal, PASS or FAIL. Times are the best of several
runs, on whatever else the machine does: measure alone.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import timeit
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
MUSIC = ROOT / "examples" / "media" / "music.mp3"
PEERS = ("soundfile", "librosa", "pedalboard", "pydub")
failed = 0


def tell(what: str, value: float, unit: str, goal: float, at_most: bool = True) -> None:
    """Prints a figure and whether it meets its goal."""
    global failed
    good = value <= goal if at_most else value >= goal
    failed += not good
    print(f"{what}: {value:.3g} {unit} (goal {'<=' if at_most else '>='} {goal:g}) {'PASS' if good else 'FAIL'}", flush=True)


def best(work: Callable[[], object], runs: int = 7) -> float:
    """Shortest wall time of `work` in seconds."""
    return min(timeit.repeat(work, number=1, repeat=runs))


def size() -> None:
    """How large the extension and the wheel are."""
    import pure_sound

    [library] = Path(pure_sound.__file__).parent.glob("_native*.so")
    size_bytes = library.stat().st_size
    if shutil.which("strip"):
        with tempfile.NamedTemporaryFile() as stripped:
            subprocess.run(["strip", "-o", stripped.name, library], check=True)
            size_bytes = os.stat(stripped.name).st_size
    tell("extension, all formats and filters, stripped", size_bytes / 1e6, "MB", 12)
    wheels = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "wheels"
    for wheel in sorted(wheels.glob("pure_sound-*.whl")):
        print(f"  {wheel.name}: {wheel.stat().st_size / 1e6:.2f} MB")


def overhead() -> None:
    """What the border itself costs."""
    import numpy

    import pure_sound

    one = numpy.zeros((2, 1), numpy.float32)
    chain = pure_sound.Chain([], 48_000, 2)
    calls = 200_000
    small = min(timeit.repeat(lambda: chain.process(one), number=calls, repeat=7)) / calls
    empty = min(timeit.repeat(lambda: None, number=calls, repeat=7)) / calls
    tell("smallest call: Chain.process of one frame", (small - empty) * 1e6, "us", 0.5)
    token = pure_sound.CancelToken()
    reading = min(timeit.repeat(lambda: token.is_cancelled, number=calls, repeat=7)) / calls
    tell("smallest call: CancelToken.is_cancelled", (reading - empty) * 1e6, "us", 0.5)

    ten_seconds = numpy.random.default_rng(1).uniform(-0.5, 0.5, (2, 480_000)).astype(numpy.float32)
    copy = numpy.empty_like(ten_seconds)
    gain = pure_sound.Chain(["gain:gain_db=-0.001"], 48_000, 2)
    # In turns, so that both see the same machine.
    copied, gained = [], []
    for _ in range(40):
        copied.append(timeit.timeit(lambda: numpy.copyto(copy, ten_seconds), number=3) / 3)
        gained.append(timeit.timeit(lambda: gain.process(ten_seconds), number=3) / 3)
    print(f"  memcpy {min(copied) * 1e3:.3f} ms, gain in place {min(gained) * 1e3:.3f} ms")
    tell("10 s of stereo through a gain, speed against memcpy", min(copied) / min(gained), "x", 0.6, at_most=False)

    program = "import time; t = time.perf_counter(); import pure_sound; print(time.perf_counter() - t)"
    times = [float(subprocess.check_output([sys.executable, "-c", program])) for _ in range(10)]
    tell("import pure_sound", min(times) * 1e3, "ms", 50)


FOUR_FILTERS = {
    "soundfile": """
def chain(y, sr):
    from scipy import signal
    import numpy
    for sos in (signal.butter(2, 80, "highpass", fs=sr, output="sos"), signal.butter(2, 12000, "lowpass", fs=sr, output="sos"),
                signal.butter(1, (900, 1100), "bandstop", fs=sr, output="sos")):
        y = signal.sosfilt(sos, y, axis=0).astype("float32")
    return y * numpy.float32(0.7)
""",
    "pedalboard": """
def chain(y, sr):
    from pedalboard import Gain, HighpassFilter, LowpassFilter, Pedalboard, PeakFilter
    return Pedalboard([HighpassFilter(80), LowpassFilter(12000), PeakFilter(1000, -6, 1), Gain(-3)])(y, sr)
""",
    "pydub": """
def chain(y, sr):
    import numpy
    y = y.high_pass_filter(80).low_pass_filter(12000).apply_gain(-3).fade_in(10)
    return numpy.array(y.get_array_of_samples())
""",
    "pure_sound": """
def chain(y, sr):
    pure_sound.Chain(["highpass:cutoff_hz=80", "lowpass:cutoff_hz=12000", "peak_eq:frequency_hz=1000,gain_db=-6", "gain:gain_db=-3"],
                     sr, len(y)).process(y)
    return y
""",
}
FOUR_FILTERS["librosa"] = FOUR_FILTERS["soundfile"].replace("axis=0", "axis=-1")
LOAD = {
    "pure_sound": "import pure_sound\ndef load(p):\n    a = pure_sound.decode(p)\n    return a.samples, a.rate_hz\n",
    "soundfile": "import soundfile\ndef load(p):\n    return soundfile.read(p, dtype='float32', always_2d=True)\n",
    "librosa": "import librosa\ndef load(p):\n    return librosa.load(p, sr=None, mono=False)\n",
    "pedalboard": "from pedalboard.io import AudioFile\ndef load(p):\n    with AudioFile(p) as f:\n        return f.read(f.frames), f.samplerate\n",
    "pydub": "import numpy\nfrom pydub import AudioSegment\ndef load(p):\n    a = AudioSegment.from_file(p)\n    return a, a.frame_rate\n",
}
TO_NUMPY = "    y = numpy.array(y.get_array_of_samples()).reshape(-1, y.channels)\n"
ONE_FILE = {
    "pure_sound": """
def one(source, target):
    audio = pure_sound.decode(source)
    pure_sound.Chain(["gain:gain_db=-3"], audio.rate_hz, audio.channels).process(audio.samples)
    pure_sound.encode(audio, target)
""",
    "soundfile": """
def one(source, target):
    y, sr = load(source)
    soundfile.write(target, y * 0.7, sr, subtype="PCM_24")
""",
    "librosa": """
def one(source, target):
    import soundfile
    y, sr = load(source)
    soundfile.write(target, (y * 0.7).T, sr, subtype="PCM_24")
""",
    "pedalboard": """
def one(source, target):
    from pedalboard import Gain
    y, sr = load(source)
    with AudioFile(target, "w", sr, len(y), bit_depth=24) as f:
        f.write(Gain(-3)(y, sr))
""",
    "pydub": """
def one(source, target):
    load(source)[0].apply_gain(-3).export(target, format="wav").close()
""",
}


def timed_program(program: str, *args: str) -> float:
    """Wall time of a fresh interpreter from its first statement to the last, in seconds."""
    whole = f"import sys, time\nbegun = time.perf_counter()\n{program}\nprint(time.perf_counter() - begun)\n"
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", whole, *args], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return float(done.stdout.splitlines()[-1])


def peers() -> None:
    """The same jobs by others, side by side."""
    import numpy

    import pure_sound

    here = [name for name in PEERS if importlib.util.find_spec(name) and (name != "pydub" or shutil.which("ffmpeg"))]
    for name in PEERS:
        if name not in here:
            print(f"skipped: {name} is not installed")
    with tempfile.TemporaryDirectory() as folder:
        music = pure_sound.decode(MUSIC)
        repeats = -(-180 * music.rate_hz // music.frames)
        whole = pure_sound.Audio(numpy.tile(music.samples, repeats), music.rate_hz).between(0, 180)
        song = f"{folder}/song.mp3"
        pure_sound.encode(whole, song)

        def load(name: str) -> str:
            numpy_too = TO_NUMPY if name == "pydub" else ""
            return LOAD[name].replace("    return a, a.frame_rate\n", f"    y = a\n{numpy_too}    return y, a.frame_rate\n")

        rounds = 5
        for what, program in (
            ("import + decode 3 min of MP3", lambda name: load(name) + "y, sr = load(sys.argv[1])"),
            (
                "the same + 4 filters",
                lambda name: LOAD[name] + FOUR_FILTERS[name] + "y, sr = load(sys.argv[1])\ny = chain(y, sr)",
            ),
        ):
            times = {name: float("inf") for name in ("pure_sound", *here)}
            for turn in range(rounds):
                for name in times:
                    if turn == 0 or name != "pydub":
                        times[name] = min(times[name], timed_program(program(name), song))
            against(what, times)

        sources = Path(folder) / "in"
        sources.mkdir()
        for index in range(500):
            path = sources / f"{index:03}.mp3"
            if index < 10:
                pure_sound.encode(whole.between(index * 3, index * 3 + 3), path)
            else:
                shutil.copy(sources / f"{index % 10:03}.mp3", path)
        batch = """
from concurrent.futures import ThreadPoolExecutor
import os
files = sorted(os.listdir(sys.argv[1]))
os.makedirs(sys.argv[2], exist_ok=True)
with ThreadPoolExecutor(os.cpu_count()) as pool:
    list(pool.map(lambda name: one(f"{sys.argv[1]}/{name}", f"{sys.argv[2]}/{name[:-4]}.wav"), files))
assert len(os.listdir(sys.argv[2])) == 500
"""
        times = {}
        for name in ("pure_sound", *here):
            runs = [
                timed_program(LOAD[name] + ONE_FILE[name] + batch, str(sources), f"{folder}/{name}{turn}")
                for turn in range(1 if name == "pydub" else 2)
            ]
            times[name] = min(runs)
        against("500 files of 3 s: decode, gain, write WAV, in threads", times)


def against(what: str, times: dict[str, float]) -> None:
    """Prints the times and the comparison with each peer."""
    print(f"{what}: " + ", ".join(f"{name} {seconds:.3f} s" for name, seconds in times.items()))
    for name, seconds in times.items():
        if name != "pure_sound":
            tell(f"  against {name}", seconds / times["pure_sound"], "x", 1.0, at_most=False)


def threads() -> None:
    """Other Python threads during a long call; the way out of one."""
    import numpy

    import pure_sound

    noise = numpy.random.default_rng(1).uniform(-0.2, 0.2, (2, 60 * 48_000)).astype(numpy.float32)
    audio = pure_sound.Audio(numpy.tile(noise, 10), 48_000)
    engine = pure_sound.Engine({"engine": {"threads": 1}})

    def count(seconds: float) -> float:
        end, counted = time.perf_counter() + seconds, 0
        begun = time.perf_counter()
        while time.perf_counter() < end:
            for _ in range(1000):
                counted += 1
        return counted / (time.perf_counter() - begun)

    with tempfile.TemporaryDirectory() as folder:
        shares = []
        for turn in range(3):
            alone = count(1.0)
            token = pure_sound.CancelToken()
            begun = threading.Event()

            def run(turn: int = turn, token: pure_sound.CancelToken = token, begun: threading.Event = begun) -> None:
                try:
                    engine.process(
                        audio, f"{folder}/{turn}.flac", cancel=token, verify="none", progress=lambda p: begun.set()
                    )
                except pure_sound.CancelledError:
                    pass

            thread = threading.Thread(target=run)
            thread.start()
            begun.wait()
            shares.append(count(1.0) / alone)
            token.cancel()
            thread.join()
        tell("speed of a Python counter during a long call", max(shares) * 100, "%", 80, at_most=False)

        late = []
        for turn in range(5):
            sent = 0.0
            begun = threading.Event()

            def interrupt(begun: threading.Event = begun) -> None:
                nonlocal sent
                begun.wait()
                time.sleep(0.3)
                sent = time.perf_counter()
                os.kill(os.getpid(), signal.SIGINT)

            helper = threading.Thread(target=interrupt)
            helper.start()
            try:
                engine.process(audio, f"{folder}/stop{turn}.flac", progress=lambda p, begun=begun: begun.set())
            except KeyboardInterrupt:
                late.append(time.perf_counter() - sent)
            helper.join()
        if len(late) < 5:
            raise SystemExit("a call was not interrupted")
        tell("Ctrl-C to KeyboardInterrupt, the latest of 5", max(late), "s", 0.2)


def main() -> None:
    parts = {"size": size, "overhead": overhead, "threads": threads, "peers": peers}
    for name in sys.argv[1:] or parts:
        parts[name]()
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
