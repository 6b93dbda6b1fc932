"""An editable install of the client, as the project's own `.venv` has it: type checkers find the package."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.examples import ROOT

BUILD = "from setuptools.build_meta import build_editable; build_editable('wheel')"
PROGRAM = "import softkv\nreveal_type(softkv.Client('http://127.0.0.1:9').collection('notes').exists('a'))\n"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the client's project, with its editable wheel in the folder `wheel`."""
    copy = tmp_path_factory.mktemp("editable") / "python"
    shutil.copytree(ROOT / "clients" / "python", copy, ignore=shutil.ignore_patterns("*.egg-info", "build"))
    (copy / "wheel").mkdir()
    subprocess.run([sys.executable, "-c", BUILD], cwd=copy, check=True, capture_output=True)
    return copy


def unpack(project: Path, site: Path) -> None:
    """Install the wheel as pip does: unpack it."""
    (wheel,) = (project / "wheel").glob("*.whl")
    ZipFile(wheel).extractall(site)


def test_an_editable_install_is_a_folder_in_a_pth_file_without_an_import_hook(project: Path, tmp_path: Path) -> None:
    unpack(project, tmp_path)
    assert [path.read_text().splitlines() for path in tmp_path.glob("*.pth")] == [[str(project)]]
    assert list(tmp_path.glob("*.py")) == []


@pytest.mark.thorough
def test_mypy_sees_its_types_outside_the_checkout(project: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "env", with_pip=False)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    unpack(project, site := tmp_path / "env" / "lib" / version / "site-packages")
    # httpx2 and NumPy, whose types the client's own need.
    (site / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (tmp_path / "program.py").write_text(PROGRAM)
    command = [sys.executable, "-m", "mypy", "--no-incremental", "--python-executable", tmp_path / "env/bin/python"]
    done = subprocess.run(
        [*command, "program.py"], cwd=tmp_path, env={"PATH": ""}, capture_output=True, text=True, check=False
    )
    assert 'Revealed type is "bool"' in done.stdout, done.stdout + done.stderr
    assert done.returncode == 0, done.stdout
