#!/usr/bin/env python3
"""Makes the labelled recordings that the classifier of content is trained and tested with, from Debian packages.

    dataset.py OUT [--train 750] [--val 120] [--test 160]

Mono segments of 3 to 10 s at 16 kHz, one folder per split and label, and manifest.csv: speech in ten languages, music, speech over music
(-3 to 15 dB), noise (effects of games, many of them recordings; coloured noise, hum, wind, machines, ambience), silence. **A package is in one
split only**, also as the background of a mix. Every segment passes the same random chain (gain, band limit, noise, codec), so that neither
level nor bandwidth tell what it is. The same seed, packages and ffmpeg give the same segments.

Packages are downloaded by apt-get and unpacked into OUT/cache; nothing is installed. They are free software (see each one's copyright file);
the segments are made for training and tests, and are not shipped. Needs apt-get, dpkg-deb, ffmpeg, numpy, scipy, soundfile.
"""

import argparse
import csv
import hashlib
import re
import subprocess
import sys
from pathlib import Path

import numpy as np

RATE_HZ = 16_000
PROMPTS = r"/(silence|digits|letters|phonetic)/|beep|tt-monkeys|tt-weasels|ascending|descending"
NONE = r"^$"

# package, split, kind, paths, but not these
SOURCES = [
    ("asterisk-core-sounds-en-g722", "train", "speech", r"\.g722$", PROMPTS),
    ("asterisk-core-sounds-es-wav", "train", "speech", r"\.wav$", PROMPTS),
    ("asterisk-core-sounds-ru-g722", "train", "speech", r"\.g722$", PROMPTS),
    ("fillets-ng-data-cs", "train", "speech", r"/cs/.*\.ogg$", NONE),
    ("tuxpaint-stamps-default", "train", "speech", r"_desc(_\w+)?\.(ogg|wav)$", r"/alphabets/"),
    ("klettres-data", "train", "speech", r"/(syllab|alpha)/.*\.ogg$", NONE),
    ("wesnoth-1.16-music", "train", "music", r"\.ogg$", NONE),
    ("hedgewars-data", "train", "music", r"/Music/.*\.ogg$", NONE),
    ("hyperrogue-music", "train", "music", r"/music/.*\.ogg$", NONE),
    ("colobot-common-sounds", "train", "music", r"/music/.*\.ogg$", NONE),
    ("planetblupi-music-ogg", "train", "music", r"\.ogg$", NONE),
    ("lincity-ng-data", "train", "music", r"music/.*\.ogg$", NONE),
    ("hedgewars-data", "train", "fx", r"/Sounds/[^/]*\.ogg$", NONE),
    ("colobot-common-sounds", "train", "fx", r"/sounds/.*\.(wav|ogg)$", NONE),
    ("tuxpaint-stamps-default", "train", "fx", r"/(animals|vehicles|household)/.*\.(ogg|wav)$", r"_desc"),
    ("endless-sky-data", "train", "fx", r"/sounds/.*\.(wav|ogg|mp3)$", NONE),
    ("asterisk-core-sounds-en-wav", "train", "speech", r"\.wav$", PROMPTS),
    ("unknown-horizons", "train", "speech", r"/voice/.*\.ogg$", NONE),
    ("unknown-horizons", "train", "music", r"/music/.*\.ogg$", NONE),
    ("flare-game", "train", "music", r"/music/.*\.ogg$", NONE),
    ("freedroidrpg-data", "train", "music", r"/music/.*\.ogg$", NONE),
    ("widelands-data", "train", "music", r"/music/.*\.ogg$", NONE),
    ("btanks-data", "train", "music", r"/tunes/.*\.ogg$", NONE),
    ("wesnoth-1.16-data", "train", "fx", r"/sounds/.*\.(ogg|wav)$", NONE),
    ("megaglest-data", "train", "fx", r"/(commondata|tilesets)/.*\.(ogg|wav)$", r"music"),
    ("torcs-data", "train", "fx", r"/sound/.*\.wav$", NONE),
    ("btanks-data", "train", "fx", r"/sounds/.*\.(ogg|wav)$", NONE),
    ("widelands-data", "train", "fx", r"/sound/.*\.(ogg|wav)$", NONE),
    ("freedroidrpg-data", "train", "fx", r"/effects/.*\.(ogg|wav)$", r"voice_samples|comments"),
    ("unknown-horizons", "train", "fx", r"/sounds/.*\.ogg$", NONE),
    ("asterisk-core-sounds-it-wav", "val", "speech", r"\.wav$", PROMPTS),
    ("ktuberling-data", "val", "speech", r"\.(ogg|wav)$", NONE),
    ("warzone2100-music", "val", "music", r"\.(ogg|opus)$", NONE),
    ("fillets-ng-data", "val", "music", r"/music/.*\.ogg$", NONE),
    ("hyperrogue-music", "val", "fx", r"/sounds/.*\.(ogg|wav)$", NONE),
    ("bucklespring-data", "val", "fx", r"\.wav$", NONE),
    ("searchandrescue-data", "val", "fx", r"/sounds/.*\.(ogg|wav)$", NONE),
    ("lugaru-data", "val", "fx", r"\.(ogg|wav)$", r"[Mm]usic|[Mm]enu"),
    ("searchandrescue-data", "val", "music", r"/music/", NONE),
    ("asterisk-core-sounds-fr-g722", "test", "speech", r"\.g722$", PROMPTS),
    ("asterisk-prompt-it-menardi-wav", "test", "speech", r"\.wav$", r"/(silence|digits)/|beep|tt-monkeys|tt-weasels|ascending|descending"),
    ("fillets-ng-data-nl", "test", "speech", r"/nl/.*\.ogg$", NONE),
    ("nexuiz-music", "test", "music", r"\.(ogg|pk3)$", NONE),
    ("singularity-music", "test", "music", r"\.ogg$", NONE),
    ("asterisk-moh-opsound-wav", "test", "music", r"\.wav$", NONE),
    ("asc-music", "test", "music", r"\.(mp3|ogg)$", NONE),
    ("ufoai-sound", "test", "fx", r"\.(ogg|wav)$", r"/(music|voice|voices|speech|footsteps/unknown)/"),
    ("wordwarvi-sound", "test", "fx", r"\.(ogg|wav)$", r"intermission|music|theme|lucky"),
    ("alienblaster-data", "test", "fx", r"\.(wav|ogg)$", r"music"),
]
SPLITS = ("train", "val", "test")
LABELS = ("speech", "music", "speech_over_music", "noise", "silence")


def rng_for(*key):
    return np.random.default_rng(int.from_bytes(hashlib.sha256("|".join(map(str, key)).encode()).digest()[:8], "little"))


def fetch(pkg, cache):
    """apt-get download into cache/deb, unpack into cache/pkg/NAME; returns that folder or None."""
    deb, tree = cache / "deb", cache / "pkg" / pkg
    if tree.is_dir():
        return tree
    deb.mkdir(parents=True, exist_ok=True)
    have = sorted(deb.glob(pkg + "_*.deb"))
    if not have:
        r = subprocess.run(["apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", pkg], cwd=deb, capture_output=True, text=True)
        have = sorted(deb.glob(pkg + "_*.deb"))
        if not have:
            print("skipped", pkg, (r.stderr.strip().splitlines() or ["?"])[-1], file=sys.stderr)
            return None
    tmp = tree.with_suffix(".part")
    subprocess.run(["rm", "-rf", tmp]); tmp.mkdir(parents=True)
    subprocess.run(["dpkg-deb", "-x", str(have[-1]), str(tmp)], check=True)
    for z in list(tmp.rglob("*.pk3")):                      # game archives that are zip files
        subprocess.run(["python3", "-m", "zipfile", "-e", str(z), str(z) + ".d"], capture_output=True)
        z.unlink()
    tmp.rename(tree)
    return tree


def files_of(tree, inc, exc):
    out = []
    inc2, exc2 = re.compile(inc.replace("|pk3", "")), re.compile(exc)
    for p in sorted(tree.rglob("*")):
        s = "/" + str(p.relative_to(tree))
        if p.is_file() and not p.is_symlink() and inc2.search(s) and not exc2.search(s):
            out.append(p)
    return out


def load(path, rate, start=None, dur=None, mono=True):
    """float32 samples at `rate`, or None. libsndfile first, ffmpeg for what it cannot read."""
    import soundfile as sf
    from scipy.signal import resample_poly
    try:
        with sf.SoundFile(str(path)) as f:
            sr = f.samplerate
            if start is not None:
                f.seek(min(int(start * sr), max(0, f.frames - 1)))
            x = f.read(int(dur * sr) if dur else -1, dtype="float32", always_2d=True)
    except Exception:
        cmd = ["ffmpeg", "-v", "error"]
        if str(path).endswith(".g722"):
            cmd += ["-f", "g722"]
        cmd += (["-ss", str(start)] if start else []) + ["-i", str(path)] + (["-t", str(dur)] if dur else [])
        ch = 1 if mono else 2
        r = subprocess.run(cmd + ["-ac", str(ch), "-ar", str(rate), "-f", "f32le", "-"], capture_output=True)
        if not r.stdout:
            return None
        x, sr = np.frombuffer(r.stdout, "<f4").reshape(-1, ch).copy(), rate
    if mono:
        x = x.mean(axis=1, keepdims=True)
    if sr != rate:
        g = np.gcd(sr, rate)
        x = resample_poly(x, rate // g, sr // g, axis=0).astype(np.float32)
    return x[:, 0] if mono else x


def duration(path):
    import soundfile as sf
    try:
        i = sf.info(str(path)); return i.frames / i.samplerate
    except Exception:
        return 3.0 if str(path).endswith(".g722") else 60.0


def rms(x):
    return float(np.sqrt(np.mean(np.square(x, dtype=np.float64)) + 1e-20))


def trim(x, rate):
    """cut leading and trailing parts more than 45 dB under the peak frame"""
    n = rate // 50
    if len(x) < 2 * n:
        return x
    e = np.array([rms(x[i:i + n]) for i in range(0, len(x) - n, n)])
    k = np.where(e > e.max() * 10 ** (-45 / 20))[0]
    return x[k[0] * n:(k[-1] + 1) * n] if len(k) else x


class Pool:
    """segments from one (package, kind)"""
    def __init__(self, pkg, kind, paths, rate):
        self.pkg, self.kind, self.paths, self.rate, self.memo = pkg, kind, paths, rate, {}

    def get(self, rng, want):
        rate, n = self.rate, int(want * self.rate)
        if self.kind == "music":
            for _ in range(8):
                p = self.paths[rng.integers(len(self.paths))]
                d = self.memo.setdefault(p, duration(p))
                if d < want + 2:
                    continue
                x = load(p, rate, start=float(rng.uniform(0.5, d - want - 1)), dur=want + 0.2)
                if x is not None and len(x) >= n and rms(x[:n]) > 1e-3:
                    return x[:n], p.name
            return None, None
        out, names, total = [], [], 0                          # speech, fx: join short files
        gap = (0.05, 0.5) if self.kind == "speech" else (0.0, 0.4)
        for _ in range(60):
            p = self.paths[rng.integers(len(self.paths))]
            x = self.memo.get(p)
            if x is None:
                x = load(p, rate, dur=15)
                x = trim(x, rate) if x is not None and len(x) else np.zeros(0, np.float32)
                self.memo[p] = x
            if len(x) < 0.15 * rate or rms(x) < 1e-3:
                continue
            x = x * np.float32(0.08 / rms(x))
            out += [x, np.zeros(int(rng.uniform(*gap) * rate), np.float32)]
            names.append(p.name); total += len(out[-1]) + len(out[-2])
            if total >= n:
                return np.concatenate(out)[:n], "+".join(names[:4])
        return None, None


def coloured(rng, n, rate):
    kind = ["white", "pink", "brown", "hum", "wind", "crackle", "machine", "ambience", "ambience", "ambience", "ambience"][rng.integers(11)]
    w = rng.standard_normal(n)
    if kind == "ambience":                                  # traffic, rain, room, forest: shaped, slowly moving noise and sparse events
        f, t = np.fft.rfftfreq(n, 1 / rate), np.arange(n) / rate
        x = np.zeros(n)
        for _ in range(rng.integers(1, 4)):
            o = np.log2(np.maximum(f, 20) / 1000)
            g = np.interp(o, np.arange(-6, 4.01, 0.5), np.cumsum(rng.normal(0, 2.5, 21)) - rng.uniform(0, 6) * np.arange(-6, 4.01, 0.5))
            y = np.fft.irfft(np.fft.rfft(rng.standard_normal(n)) * 10 ** (g / 20), n)
            k = rng.uniform(0, 1, max(2, int(n / rate * rng.uniform(0.3, 4)) + 2)) ** 2
            x += y / rms(y) * (np.interp(t / t[-1], np.linspace(0, 1, len(k)), k) + rng.uniform(0.1, 1)) * 10 ** (rng.uniform(-15, 0) / 20)
        for _ in range(rng.poisson(rng.choice([0, 2, 12]) * n / rate / 4)):   # chirps and knocks
            d = int(rng.uniform(0.03, 0.4) * rate); a = rng.integers(0, max(1, n - d)); u = np.arange(d) / rate
            f0, f1 = rng.uniform(1500, 6500, 2); e = np.hanning(d) if rng.uniform() < 0.6 else np.exp(-u * rng.uniform(20, 90))
            ev = np.sin(2 * np.pi * (f0 * u + (f1 - f0) * u * u / (2 * d / rate))) if rng.uniform() < 0.6 else rng.standard_normal(d)
            x[a:a + d] += ev * e * rms(x) * rng.uniform(0.5, 5)
        return (x / rms(x) * 0.05).astype(np.float32), kind
    if kind in ("pink", "brown", "wind"):
        f = np.fft.rfftfreq(n, 1 / rate); f[0] = f[1]
        x = np.fft.irfft(np.fft.rfft(w) / f ** (0.5 if kind == "pink" else 1.0), n)
        if kind == "wind":
            k = rng.uniform(0, 1, max(2, n // rate + 2))
            x *= np.interp(np.arange(n) / rate, np.arange(len(k)), k) + 0.05
    elif kind == "hum":
        t, f0 = np.arange(n) / rate, [50.0, 60.0][rng.integers(2)] * rng.uniform(0.998, 1.002)
        x = sum(rng.uniform(0.1, 1) / h * np.sin(2 * np.pi * f0 * h * t + rng.uniform(0, 6)) for h in range(1, 11)) + 0.03 * w
    elif kind == "crackle":
        x = 0.02 * w + (rng.uniform(size=n) < rng.uniform(5, 60) / rate) * rng.standard_normal(n) * 5
    elif kind == "machine":
        t, f0 = np.arange(n) / rate, rng.uniform(15, 120)
        x = w * (0.5 + 0.5 * np.sin(2 * np.pi * f0 * t)) + 0.3 * np.sin(2 * np.pi * f0 * 4 * t)
    else:
        x = w
    return (x / rms(x) * 0.05).astype(np.float32), kind


def bandlimit(x, rate, hz, lo=None):
    from scipy.signal import butter, sosfilt
    y = sosfilt(butter(8, min(hz, rate * 0.49), fs=rate, output="sos"), x)
    if lo:
        y = sosfilt(butter(4, lo, "high", fs=rate, output="sos"), y)
    return y.astype(np.float32)


CODECS = {"mp3": ("libmp3lame", "mp3"), "opus": ("libopus", "ogg"), "aac": ("aac", "adts"), "vorbis": ("libvorbis", "ogg")}


def transcode(x, rate, codec, kbps):
    """encode and decode with ffmpeg; x is (n,) or (n, ch); the length is kept, a delay may remain"""
    ch = 1 if x.ndim == 1 else x.shape[1]
    enc, fmt = CODECS[codec]
    e = subprocess.run(["ffmpeg", "-v", "error", "-f", "f32le", "-ar", str(rate), "-ac", str(ch), "-i", "-", "-c:a", enc, "-b:a", f"{kbps}k", "-f", fmt, "-"],
                       input=x.astype("<f4").tobytes(), capture_output=True)
    d = subprocess.run(["ffmpeg", "-v", "error", "-i", "-", "-ar", str(rate), "-ac", str(ch), "-f", "f32le", "-"], input=e.stdout, capture_output=True)
    y = np.frombuffer(d.stdout, "<f4").reshape(-1, ch)
    if len(y) < len(x):
        y = np.concatenate([y, np.zeros((len(x) - len(y), ch), np.float32)])
    y = y[:len(x)]
    return y[:, 0].copy() if x.ndim == 1 else y.copy()


def write(path, x, rate):
    import soundfile as sf
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(str(path), np.clip(x, -1, 1), rate, subtype="PCM_16")


def write(path, x):
    import soundfile as sf

    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(str(path), np.clip(x, -1, 1), RATE_HZ, subtype="PCM_16")


def silence(rng, count):
    """zeros, dither, hiss or quiet hum"""
    kind = ("zeros", "dither", "hiss", "quiet")[rng.integers(4)]
    if kind == "quiet":
        return coloured(rng, count, RATE_HZ)[0] / 0.05 * 10 ** (rng.uniform(-85, -65) / 20), kind
    level = {"zeros": 0, "dither": 1.5 / 65536, "hiss": 10 ** (rng.uniform(-80, -62) / 20)}[kind]
    return (rng.standard_normal(count) * level).astype(np.float32), kind


def noise(rng, pools, seconds):
    """synthetic, an effect, or an effect in a background; each a third"""
    choice = rng.integers(3)
    if choice == 0:
        return *coloured(rng, int(seconds * RATE_HZ), RATE_HZ), "synthetic"
    pool = pick(rng, pools["fx"])
    x, source = pool.get(rng, seconds)
    if x is not None and choice == 1:
        bed, kind = coloured(rng, len(x), RATE_HZ)
        x, source = x / rms(x) + bed / rms(bed) * 10 ** (rng.uniform(-15, 10) / 20), f"{source} / {kind}"
    return x, source, pool.pkg


def mix(rng, x, pools, seconds):
    """with music under it, and how far below"""
    bed, source = pick(rng, pools["music"]).get(rng, seconds)
    if bed is None:
        return None, "", ""
    ratio_db = float(rng.uniform(-3, 15))
    bed = bed[: len(x)]
    return x[: len(bed)] / rms(x) + bed / rms(bed) * 10 ** (-ratio_db / 20), source, round(ratio_db, 1)


def pick(rng, items):
    return items[rng.integers(len(items))]


def disguise(rng, x, label, codec_share, row):
    """the chain that every segment passes: noise, band, codec, level"""
    if label != "noise" and rng.uniform() < 0.4:
        row["snr_db"] = round(float(rng.uniform(8, 35)), 1)
        bed, _ = coloured(rng, len(x), RATE_HZ)
        x = x / rms(x) + bed / rms(bed) * 10 ** (-row["snr_db"] / 20)
    u = rng.uniform()
    if u < 0.25:
        x, row["band"] = bandlimit(x, RATE_HZ, 3400, 300), "300-3400"
    elif u < 0.5:
        hz = float(rng.uniform(3500, 7500))
        x, row["band"] = bandlimit(x, RATE_HZ, hz), f"0-{hz:.0f}"
    if rng.uniform() < codec_share:
        codec, kbps = (("mp3", 32), ("mp3", 64), ("opus", 12), ("opus", 24), ("aac", 48))[rng.integers(5)]
        x, row["codec"] = transcode(x / (np.abs(x).max() + 1e-9) * 0.7, RATE_HZ, codec, kbps), f"{codec}{kbps}"
    row["level_dbfs"] = round(float(rng.uniform(-38, -14)), 1)
    x = x / rms(x) * 10 ** (row["level_dbfs"] / 20)
    return x * min(1, 0.98 / np.abs(x).max())


def segment(rng, label, pools, codec_share, row):
    seconds = float(rng.uniform(3, 10))
    if label == "silence":
        x, row["source"] = silence(rng, int(seconds * RATE_HZ))
        row["package"] = "synthetic"
        return x
    if label == "noise":
        x, row["source"], row["package"] = noise(rng, pools, seconds)
    else:
        pool = pick(rng, pools["music" if label == "music" else "speech"])
        x, row["source"] = pool.get(rng, seconds)
        row["package"] = pool.pkg
        if label == "speech_over_music" and x is not None:
            x, bed, row["speech_to_music_db"] = mix(rng, x, pools, seconds)
            row["source"] = f"{row['source']} / {bed}"
    return None if x is None else disguise(rng, x, label, codec_share, row)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    for split, count in zip(SPLITS, (750, 120, 160), strict=True):
        parser.add_argument(f"--{split}", type=int, default=count, help="segments a label; a quarter of it for silence")
    parser.add_argument("--codec", type=float, default=0.15, help="share of segments that a codec coded")
    parser.add_argument("--max-files", type=int, default=250, help="files of a package at most")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    pools = {split: {"speech": [], "music": [], "fx": []} for split in SPLITS}
    for package, split, kind, include, exclude in SOURCES:
        tree = fetch(package, given.out / "cache")
        paths = files_of(tree, include, exclude) if tree else []
        if len(paths) > given.max_files:
            chosen = rng_for(given.seed, package, kind).choice(len(paths), given.max_files, replace=False)
            paths = [paths[i] for i in sorted(chosen)]
        print(f"{package:34s} {split:5s} {kind:6s} {len(paths)} files", file=sys.stderr)
        if paths:
            pools[split][kind].append(Pool(package, kind, paths, RATE_HZ))
    rows = []
    for split in SPLITS:
        for label in LABELS:
            count = getattr(given, split)
            for i in range(max(1, count // 4) if label == "silence" else count):
                rng = rng_for(given.seed, split, label, i)
                path = Path(split) / label / f"{i:05d}.wav"
                row = {"path": str(path), "split": split, "label": label}
                x = segment(rng, label, pools[split], given.codec, row)
                if x is not None:
                    write(given.out / path, x)
                    rows.append(row | {"seconds": round(len(x) / RATE_HZ, 2)})
            print(split, label, sum(r["split"] == split and r["label"] == label for r in rows), file=sys.stderr)
    with open(given.out / "manifest.csv", "w", newline="") as f:
        table = csv.DictWriter(f, list(dict.fromkeys(key for row in rows for key in row)))
        table.writeheader()
        table.writerows(rows)


if __name__ == "__main__":
    main()
