"""Editable wheels that one process builds for pip are those of setuptools, of every folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).parents[1]
PROJECT = """
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "{name}"
version = "1.0"
license = "MIT"

[project.scripts]
{name} = "{name}:run"
"""


def test_one_process_builds_a_wheel_of_each_folder_that_links_to_its_sources(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / name).mkdir(parents=True)
        (tmp_path / name / name / "__init__.py").write_text("def run(): print('first')")
        (tmp_path / name / "pyproject.toml").write_text(PROJECT.format(name=name))
    command = [sys.executable, ROOT / "tools" / "editable.py", "dist", "one", "two"]
    subprocess.run(command, cwd=tmp_path, check=True)
    wheels = sorted((tmp_path / "dist").glob("*.whl"))
    assert [wheel.name.split("-")[0] for wheel in wheels] == ["one", "two"]
    for wheel in wheels:
        with ZipFile(wheel) as archive:
            archive.extractall(tmp_path / "packages")
    for name in ("one", "two"):
        (tmp_path / name / name / "__init__.py").write_text("def run(): print('second')")
        scripts = tmp_path / "packages" / f"{name}-1.0.dist-info" / "entry_points.txt"
        assert f"{name} = {name}:run" in scripts.read_text()
        program = f"import site; site.addsitedir({str(tmp_path / 'packages')!r}); import {name}; {name}.run()"
        ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert ran.stdout == "second\n"
