"""The example programs, run as people run them."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import MUSIC, ROOT, SPEECH

import pure_sound

EXAMPLES = ROOT / "examples"


def run(program: Path, *args: str | Path) -> str:
    result = subprocess.run(
        [sys.executable, program, *map(str, args)], capture_output=True, text=True, timeout=420, check=False
    )
    assert result.returncode == 0, result.stderr[-4000:]
    return result.stdout


def need(*modules: str) -> None:
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Some recordings, each a little different, and a file that is none."""
    source = tmp_path / "recordings"
    source.mkdir()
    speech = pure_sound.decode(SPEECH)
    for index in range(4):
        pure_sound.encode(speech.between(index / 4, index / 4 + 2), source / f"take{index}.flac")
    return source


def test_batch_of_a_folder(folder: Path, tmp_path: Path) -> None:
    need("tqdm")
    (folder / "notes.txt").write_text("no audio")
    out = run(EXAMPLES / "python" / "batch_folder.py", folder, tmp_path / "out", "--format", "opus", "--jobs", "2")
    assert "4 done, 0 failed" in out
    assert sorted(os.listdir(tmp_path / "out")) == [f"take{index}.opus" for index in range(4)]


def test_analysis_makes_a_picture_and_a_page(tmp_path: Path) -> None:
    need("matplotlib")
    out = run(EXAMPLES / "python" / "analyse.py", MUSIC, tmp_path)
    assert "LUFS" in out
    assert (tmp_path / "analysis.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "analysis.html").read_text(encoding="utf-8")


def test_stream_through_a_chain(tmp_path: Path) -> None:
    out = run(EXAMPLES / "python" / "record_stream.py", SPEECH, tmp_path / "out.flac")
    assert out.startswith(f"{pure_sound.decode(SPEECH).frames} frames")
    assert pure_sound.decode(tmp_path / "out.flac").frames == pure_sound.decode(SPEECH).frames


@pytest.mark.parametrize(("program", "module"), [("dask_batch.py", "distributed"), ("ray_batch.py", "ray")])
def test_cluster_gives_the_same_although_a_worker_dies(
    folder: Path, tmp_path: Path, program: str, module: str
) -> None:
    need(module)
    local = tmp_path / "local"
    local.mkdir()
    for path in folder.iterdir():
        pure_sound.process(path, local / path.name, preset="podcast")
    out = run(EXAMPLES / "distributed" / program, folder, tmp_path / "cluster", "--kill-a-worker")
    assert "killed worker" in out
    # Whole files with the same bytes, and nothing else.
    assert sorted(os.listdir(tmp_path / "cluster")) == sorted(os.listdir(local))
    for path in local.iterdir():
        assert (tmp_path / "cluster" / path.name).read_bytes() == path.read_bytes(), path.name
    shutil.rmtree(local)
