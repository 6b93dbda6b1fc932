"""`softkv bench`: runs the repository's benchmarks with whatever follows."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from softkv_service.commands import bench
from tests.service.commands.conftest import COMMAND, Softkv


def test_further_arguments_go_to_the_benchmarks(tmp_path: Path) -> None:
    """A repository whose benchmarks only print their arguments."""
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "__init__.py").touch()  # without it, the package of this checkout comes first
    (tmp_path / "benchmarks" / "__main__.py").write_text(
        "import sys; print(sys.argv[1:]); sys.exit('--bad' in sys.argv)"
    )
    code = (
        "from pathlib import Path; from softkv_service.commands import bench;"
        f"bench._REPOSITORY = Path({str(tmp_path)!r}); from softkv.scripts import softkv; softkv()"
    )
    run = [*COMMAND[:2], code, "bench"]
    ended = subprocess.run([*run, "scan", "--help", "-n", "3"], capture_output=True, text=True, check=True)
    assert ended.stdout == "['scan', '--help', '-n', '3']\n"
    failed = subprocess.run([*run, "--bad"], capture_output=True, text=True, check=False)
    assert failed.returncode == 1
    assert "the benchmarks ended with 1" in failed.stderr


def test_an_installed_package_names_the_place_of_the_benchmarks(
    bare: Softkv, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "_REPOSITORY", tmp_path)
    ended = bare("bench")
    assert ended.exit_code == 1
    assert "make bench" in ended.stderr
