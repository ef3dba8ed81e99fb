"""The examples of the documentation, run in order in one namespace, as its reader would."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import MUSIC, ROOT


@pytest.mark.parametrize("page", ["docs/python.md", "bindings-python/README.md"])
def test_examples_run(page: str, tmp_path: Path) -> None:
    shutil.copy(MUSIC, tmp_path / "talk.mp3")
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    program = tmp_path / "page.py"
    program.write_text("\n".join(blocks), encoding="utf-8")
    result = subprocess.run(
        [sys.executable, program], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "talk.opus").exists()
