"""An editable install of the client, as the project's own `.venv` has it: type checkers find the package."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.examples import ROOT

BUILD = "from setuptools.build_meta import build_editable; build_editable('wheel')"


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
