"""The classifier of content up to its head, in numpy: an implementation beside the one in Rust, to train with and to compare with.

core/src/analysis/content holds the other one; the weights are read from its files.
"""

from pathlib import Path

import numpy as np

MODEL = Path(__file__).parents[2] / "core/src/analysis/content/model"
RATE_HZ, HOP, FRAME, FFT, BANDS, MEMORY, HIDDEN = 16_000, 160, 400, 512, 80, 128, 256
SUNG = 0.4
INAUDIBLE = 1e-8
KINDS = ["speech", "music", "speech_over_music", "noise"]


class Weights:
    """Floats and matrices of 8 bits with a factor for each row, as weights.rs reads them."""

    def __init__(self, data, name):
        assert data[:8] == name, data[:8]
        self.data, self.at = data, 8

    def floats(self, *shape):
        count = int(np.prod(shape))
        values = np.frombuffer(self.data, "<f4", count, self.at).reshape(shape)
        self.at += 4 * count
        return values

    def matrix(self, rows, columns):
        factors = self.floats(rows)
        values = np.frombuffer(self.data, np.int8, rows * columns, self.at).reshape(rows, columns)
        self.at += rows * columns
        return values * factors[:, None]


def mel_bank():
    mel = lambda hz: 2595 * np.log10(1 + np.asarray(hz, float) / 700)
    low, high = mel(20), mel(8000)
    step = (high - low) / (BANDS + 1)
    middle = low + step * np.arange(1, BANDS + 1)
    bank = np.maximum(0, 1 - np.abs(mel(np.arange(FFT // 2 + 1) * RATE_HZ / FFT) - middle[:, None]) / step)
    bank[:, FFT // 2] = 0
    return bank.astype(np.float32)


BANK = mel_bank()
WINDOW = ((0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME) / (FRAME - 1))) ** 0.85).astype(np.float32)


def log_mel(samples):
    """Rows of log powers (frames, 80), and the mean square of each."""
    samples = np.concatenate([samples, np.zeros(FRAME - 1, np.float32)])
    frames = np.lib.stride_tricks.sliding_window_view(samples, FRAME)[::HOP]
    squares = np.mean(frames**2, axis=1)
    frames = (frames - frames.mean(1, keepdims=True)) * np.float32(32768)
    frames = frames - 0.97 * np.concatenate([frames[:, :1], frames[:, :-1]], 1)
    power = np.abs(np.fft.rfft(frames * WINDOW, FFT)) ** 2
    return np.log(np.maximum(power @ BANK.T, np.finfo(np.float32).eps)).astype(np.float32), squares


def level(rows, squares, piece=1000):
    """Brings pieces of 10 s to the same level, as far as they and the one before are loud."""
    rows = rows.copy()
    for start in range(0, len(rows), piece):
        near = squares[max(0, start - piece) : start + piece]
        loud = near[near > near.max() * 1e-3]
        gain_db = min(-23 - 10 * np.log10(loud.mean() + 1e-12 if len(loud) else 1e-12), 60)
        rows[start : start + piece] += np.float32(gain_db / 10 * np.log(10))
    return rows


class Network:
    def __init__(self):
        w = Weights((MODEL / "network.weights").read_bytes(), b"PSNDAED1")
        self.mean, self.scale = w.floats(BANDS), w.floats(BANDS)
        dense = lambda i, o, bias=True: (w.matrix(o, i), w.floats(o) if bias else np.zeros(o, np.float32))
        memory = lambda: np.concatenate([w.matrix(MEMORY, 20), w.matrix(MEMORY, 20)], 1)
        self.first = [dense(BANDS, HIDDEN), dense(HIDDEN, MEMORY)]
        self.memory = memory()
        self.blocks = [(dense(MEMORY, HIDDEN), dense(HIDDEN, MEMORY, False), memory()) for _ in range(7)]
        self.hidden = dense(MEMORY, HIDDEN)
        self.events = dense(HIDDEN, 3)
        assert w.at == len(w.data)

    def hear(self, rows):
        """Memory (frames, 128), hidden (frames, 256), probabilities of speech, singing, music (frames, 3)."""
        run = lambda x, layer: x @ layer[0].T + layer[1]
        relu = lambda x: np.maximum(x, 0)
        x = (rows - self.mean) * self.scale
        for layer in self.first:
            x = relu(run(x, layer))
        x = remember(x, self.memory)
        for up, down, memory in self.blocks:
            x = x + remember(run(relu(run(x, up)), down), memory)
        hidden = relu(run(x, self.hidden))
        return x, hidden, 1 / (1 + np.exp(-run(hidden, self.events)))


def remember(x, taps):
    padded = np.concatenate([np.zeros((19, MEMORY), np.float32), x, np.zeros((20, MEMORY), np.float32)])
    out = x.copy()
    for k in range(40):
        out += padded[k : k + len(x)] * taps[:, k]
    return out


def seconds(network, samples):
    """Features (seconds, 928), level in dBFS and events (seconds, 3) of each second, the last one of half a second or more."""
    rows, squares = log_mel(np.asarray(samples, np.float32))
    rows = level(rows, squares)
    memory, hidden, events = network.hear(rows)
    features, levels, means = [], [], []
    for start in range(0, len(rows), 100):
        part = slice(start, start + 100)
        count = len(rows[part])
        if start > 0 and count < 50:
            break
        # What cannot be heard tells nothing; it is silence when there is hardly anything else.
        heard = squares[part] >= INAUDIBLE
        nothing = 10 * heard.sum() < count
        heard = np.ones(count, bool) if nothing else heard
        features.append(np.concatenate([f(x[part][heard], axis=0) for x in (hidden, memory, rows) for f in (np.mean, np.std)]))
        levels.append(-200 if nothing else 10 * np.log10(squares[part].mean() + 1e-20))
        means.append(events[part][heard].mean(0))
    return np.array(features, np.float32), np.array(levels), np.array(means)


def kinds(features, events, weights, bias):
    """Probabilities of the kinds (seconds, 4). Where somebody sings instead of speaking it is music, with instruments or without."""
    scores = features @ weights + bias
    p = np.exp(scores - scores.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    sung = (events[:, 1] > events[:, 0]) & (events[:, 1] >= SUNG)
    p[sung] = p[sung] @ np.array([[0, 1, 0, 0], [0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
    return p
