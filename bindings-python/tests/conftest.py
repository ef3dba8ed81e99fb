"""What the tests share."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy
import pytest
from numpy.typing import NDArray

import pure_sound

ROOT = Path(__file__).parents[2]
SPEECH = ROOT / "examples" / "media" / "speech.flac"
MUSIC = ROOT / "examples" / "media" / "music.mp3"


@pytest.fixture
def noise() -> NDArray[numpy.float32]:
    """A second of stereo noise at 48 kHz, (channels, frames)."""
    generator = numpy.random.default_rng(7)
    return generator.uniform(-0.25, 0.25, (2, 48_000)).astype(numpy.float32)


@pytest.fixture
def long_audio() -> pure_sound.Audio:
    """Ten minutes of stereo noise: enough work to be stopped in the middle of."""
    generator = numpy.random.default_rng(8)
    minute = generator.uniform(-0.25, 0.25, (2, 60 * 48_000)).astype(numpy.float32)
    return pure_sound.Audio(numpy.tile(minute, 10), 48_000)


@pytest.fixture
def run_python() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a program in an interpreter of its own."""

    def run(program: str, *args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-X", "faulthandler", "-c", textwrap.dedent(program), *args],
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    return run
