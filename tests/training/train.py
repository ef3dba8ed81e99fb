#!/usr/bin/env python3
"""Trains the head of the classifier of content on what `dataset.py` made, writes core/src/analysis/content/model/head.weights, tells how it does.

    train.py SET [--write] [--conditions plain,mp3,telephone,quiet]

Each training segment is heard twice, the second time with another tilt, band, room and level. A linear layer with weight decay is fitted to
its seconds (L-BFGS); classes weigh the same. A recording's class is that of the mean probability of its seconds, as in segments.rs. Tables are
of packages that were not trained with: F1 of each class, its mean, and F1 of "speech is heard" and "music is heard".
Needs numpy, scipy, soundfile, ffmpeg.
"""

import argparse
import csv
import multiprocessing
from functools import partial
from pathlib import Path

import network
import numpy as np
import soundfile as sf
from dataset import RATE_HZ, bandlimit, rms, rng_for, transcode
from scipy.optimize import minimize
from scipy.signal import fftconvolve

CLASSES = [*network.KINDS, "silence"]
WEIGHT_DECAY = 1e-3
SILENCE_DBFS, NOTHING_DBFS = -60, -80


def telephone(x):
    return bandlimit(x, RATE_HZ, 3400, 300)


def changed(x, key):
    """another tilt, band, room and level of the same content"""
    rng = rng_for("changed", key)
    spectrum, hz = np.fft.rfft(x), np.fft.rfftfreq(len(x), 1 / RATE_HZ)
    octaves = np.log2(np.maximum(hz, 30) / 1000)
    gain_db = rng.uniform(-3, 3) * octaves + np.interp(octaves, np.linspace(-5, 3, 9), rng.normal(0, 3, 9))
    y = np.fft.irfft(spectrum * 10 ** (gain_db / 20), len(x))
    band = rng.uniform()
    if band < 0.35:
        y = telephone(y)
    elif band < 0.5:
        y = bandlimit(y, RATE_HZ, rng.uniform(3400, 6000))
    if rng.uniform() < 0.3:
        t = np.arange(int(RATE_HZ * rng.uniform(0.1, 0.6)))
        room = rng.standard_normal(len(t)) * np.exp(-6.9 * t / len(t))
        room[0] = np.linalg.norm(room) * rng.uniform(0.5, 3)
        y = fftconvolve(y, room)[: len(x)]
    return y / rms(y) * max(rms(x), 1e-9)


CONDITIONS = {
    "plain": lambda x, _: x,
    "changed": changed,
    "mp3": lambda x, _: transcode(x, RATE_HZ, "mp3", 64),
    "telephone": lambda x, _: telephone(x),
    "quiet": lambda x, _: x * 10 ** (-30 / 20),
}


def hear(condition, path):
    """Features, levels and events of the seconds of a file."""
    global net
    net = globals().get("net") or network.Network()
    x, _ = sf.read(str(path), dtype="float32")
    features, levels, events = network.seconds(net, np.asarray(CONDITIONS[condition](x, path.name), np.float32))
    return features.astype(np.float16), levels, events


def heard(pool, folder, rows, condition, splits):
    """[(row, features, levels, events)] of the rows of these splits; kept in a file."""
    rows = [row for row in rows if row["split"] in splits]
    kept = folder / f"heard-{condition}-{'-'.join(splits)}.npz"
    if not kept.exists():
        all_of_them = list(zip(*pool.map(partial(hear, condition), [folder / row["path"] for row in rows], chunksize=10), strict=True))
        counts = [len(levels) for levels in all_of_them[1]]
        features, levels, events = (np.concatenate(part) for part in all_of_them)
        np.savez(kept, features=features, levels=levels, events=events, counts=counts)
    data = np.load(kept)
    ends = np.cumsum(data["counts"])[:-1]
    parts = (np.split(data[name], ends) for name in ("features", "levels", "events"))
    return list(zip(rows, *parts, strict=True))


def fit(features, kinds, decay):
    """weights (features, kinds) and bias, for features as they are"""
    mean, spread = features.mean(0), features.std(0) + 1e-2
    x = (features - mean) / spread
    count, width = x.shape
    importance = (1 / np.bincount(kinds))[kinds]
    importance = (importance / importance.sum()).astype(np.float32)
    target = np.eye(len(network.KINDS), dtype=np.float32)[kinds]

    def loss(values):
        weights, bias = values[:-4].reshape(width, 4).astype(np.float32), values[-4:].astype(np.float32)
        p = softmax(x @ weights + bias)
        error = (p - target) * importance[:, None]
        value = -(importance * np.log(p[np.arange(count), kinds] + 1e-12)).sum() + decay * (weights**2).sum()
        return float(value), np.r_[(x.T @ error + 2 * decay * weights).ravel(), error.sum(0)].astype(float)

    found = minimize(loss, np.zeros(width * 4 + 4), jac=True, method="L-BFGS-B", options={"maxiter": 300}).x
    weights = found[:-4].reshape(width, 4) / spread[:, None]
    return weights.astype(np.float32), (found[-4:] - mean @ weights).astype(np.float32)


def softmax(scores):
    parts = np.exp(scores - scores.max(1, keepdims=True))
    return parts / parts.sum(1, keepdims=True)


def judge(features, levels, events, weights, bias):
    """The class of a recording, as segments.rs finds it."""
    p = np.zeros((len(levels), 5))
    p[:, :4] = network.kinds(features.astype(np.float32), events, weights, bias)
    quiet = levels < SILENCE_DBFS
    p[quiet, 4], p[quiet, 3] = p[quiet, 3], 0
    p[levels < NOTHING_DBFS] = [0, 0, 0, 0, 1]
    sounds = p.argmax(1) != 4
    return CLASSES[int(p[sounds].mean(0).argmax())] if sounds.any() else "silence"


def scores(truth, got):
    def f1(positive):
        both = sum(positive(t) and positive(g) for t, g in zip(truth, got, strict=True))
        return 2 * both / max(1, sum(map(positive, truth)) + sum(map(positive, got)))

    each = {name: f1(lambda label, name=name: label == name) for name in CLASSES}
    return {
        "macro": float(np.mean(list(each.values()))),
        **each,
        "speech heard": f1(lambda label: label.startswith("speech")),
        "music heard": f1(lambda label: label in ("music", "speech_over_music")),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("set", type=Path)
    parser.add_argument("--write", action="store_true", help="write head.weights")
    parser.add_argument("--conditions", default="plain,mp3,telephone,quiet")
    parser.add_argument("--packages", action="store_true", help="tell the share of right answers of each package, too")
    given = parser.parse_args()
    with open(given.set / "manifest.csv", newline="") as f:
        rows = list(csv.DictReader(f))
    with multiprocessing.Pool() as pool:
        train = [one for name in ("plain", "changed") for one in heard(pool, given.set, rows, name, ("train",))]
        features, kinds = [], []
        for row, x, levels, _ in train:
            if row["label"] != "silence":
                features.append(x[levels > NOTHING_DBFS].astype(np.float32))
                kinds.append(np.full(len(features[-1]), CLASSES.index(row["label"])))
        weights, bias = fit(np.concatenate(features), np.concatenate(kinds), WEIGHT_DECAY)
        if given.write:
            data = b"PSNDHED1" + weights.T.astype("<f4").tobytes() + bias.astype("<f4").tobytes()
            (network.MODEL / "head.weights").write_bytes(data)
        for condition in given.conditions.split(","):
            for split in ("val", "test"):
                told = heard(pool, given.set, rows, condition, (split,))
                truth = [row["label"] for row, *_ in told]
                got = [judge(*heard_of_it, weights, bias) for _, *heard_of_it in told]
                print(f"{condition:10s} {split:5s}", "  ".join(f"{k} {v:.3f}" for k, v in scores(truth, got).items()), flush=True)
                for package in sorted({row["package"] for row, *_ in told} if given.packages else ()):
                    mine = [(t, g) for (row, *_), t, g in zip(told, truth, got, strict=True) if row["package"] == package]
                    print(f"    {package:34s} {sum(t == g for t, g in mine)} of {len(mine)}")


if __name__ == "__main__":
    main()
