"""The package as a package: types, stubs, import, version."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

import pure_sound

HERE = Path(__file__).parents[1]
RunPython = Callable[..., subprocess.CompletedProcess[str]]


def test_version_is_that_of_the_workspace() -> None:
    manifest = tomllib.loads((HERE.parent / "Cargo.toml").read_text(encoding="utf-8"))
    want = manifest["workspace"]["package"]["version"]
    assert pure_sound.__version__ == pure_sound.version() == want == importlib.metadata.version("pure-sound")


def test_the_package_is_typed() -> None:
    package = Path(pure_sound.__file__).parent
    assert (package / "py.typed").exists() and (package / "_native.pyi").exists() and (package / "types.py").exists()


def test_types_are_fresh() -> None:
    result = subprocess.run(
        [sys.executable, HERE / "tools" / "generate_types.py", "--check"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_mypy_is_content() -> None:
    pytest.importorskip("mypy")
    result = subprocess.run(
        [sys.executable, "-m", "mypy", "--cache-dir", str(HERE.parent / "target" / "mypy")],
        cwd=HERE,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout


def test_everything_public_is_there_and_documented() -> None:
    for name in pure_sound.__all__:
        thing = getattr(pure_sound, name)
        if callable(thing) and getattr(thing, "__module__", "").startswith("pure_sound"):
            assert thing.__doc__, name


def test_import_leaves_big_modules_alone(run_python: RunPython) -> None:
    result = run_python(
        """
        import json, sys
        import pure_sound
        print(json.dumps([name for name in ("numpy", "asyncio", "concurrent.futures", "html", "inspect") if name in sys.modules]))
        """
    )
    assert json.loads(result.stdout) == [], result.stderr


def test_stubs_are_fresh(tmp_path: Path) -> None:
    maturin = shutil.which("maturin", path=str(Path(sys.executable).parent)) or shutil.which("maturin")
    if maturin is None:
        pytest.skip("maturin is not installed")
    # That of the wheel, so that nothing is compiled twice.
    profile = os.environ.get("PURESOUND_PROFILE", "release")
    result = subprocess.run(
        [maturin, "generate-stubs", "--locked", "--profile", profile, "-m", str(HERE / "Cargo.toml"), "-o", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    fresh = next(tmp_path.rglob("_native.pyi")).read_text(encoding="utf-8")
    assert fresh == (HERE / "python" / "pure_sound" / "_native.pyi").read_text(encoding="utf-8")
