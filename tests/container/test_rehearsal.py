"""docker/rehearsal.py leaves the bytecode of all that a start and a first answer import."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools import ROOT

pytestmark = pytest.mark.process


def bytecode(folder: Path) -> set[str]:
    """Return the files of bytecode below a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*.pyc")}


def test_after_a_rehearsal_without_leave_to_write_bytecode_another_compiles_nothing(tmp_path: Path) -> None:
    variables = os.environ | {"PYTHONPYCACHEPREFIX": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    rehearsal = [sys.executable, str(ROOT / "docker" / "rehearsal.py")]
    subprocess.run(rehearsal, env=variables, capture_output=True, check=True)
    written = bytecode(tmp_path)
    assert any("softkv_service/app." in name for name in written)
    assert any("uvicorn/server." in name for name in written)
    del variables["PYTHONDONTWRITEBYTECODE"]
    subprocess.run(rehearsal, env=variables, capture_output=True, check=True)
    added = {Path(name).name.partition(".")[0] for name in bytecode(tmp_path) - written}
    assert added <= {"compileall", "filecmp", "py_compile"}  # the rehearsal itself imports these, and no start
