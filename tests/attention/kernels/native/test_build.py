"""The library of kernels in C is compiled once, and every environment and wheel that is to have it gets it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from softkv_attention.kernels.native.build import PLATFORMS, kinds_here
from softkv_attention.kernels.native.kinds import this_platform
from tests.attention.kernels.native.test_build_kinds import kinds_of_library, without_kernels
from tools import ROOT

UV = shutil.which("uv") or shutil.which("uv", path=ROOT / ".venv-uv" / "bin")
LIBRARY = f"softkv-kernels{PLATFORMS[this_platform()].suffix}" if this_platform() in PLATFORMS else ""
pytestmark = [
    pytest.mark.install,
    pytest.mark.skipif(UV is None, reason="needs uv"),
    pytest.mark.skipif(not LIBRARY, reason="needs a platform that has kernels"),
]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the sources of softkv-core without kernels, in a folder like the repository."""
    return without_kernels(tmp_path)


def installing(checkout: Path, name: str, *arguments: str, **variables: str) -> subprocess.Popen[str]:
    """Begin to install softkv-core into a new environment, which has the build's requirements from this one."""
    folder = checkout / name
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    [packages] = folder.glob("lib/python*/site-packages")
    (packages / "beside.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    uv = [str(UV), "pip", "install", "--python", str(folder / "bin" / "python"), "--no-index", "--no-deps"]
    return subprocess.Popen(
        [*uv, "--no-build-isolation", *(arguments or [str(checkout / "attention")])],
        env=os.environ | {"UV_CACHE_DIR": str(checkout / "cache"), **variables},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def ended(installation: subprocess.Popen[str]) -> str:
    """Wait until an installation has succeeded, and return its output."""
    output, _ = installation.communicate()
    assert installation.returncode == 0, output
    return output


@pytest.mark.parametrize("order", ["with, without", "without, with", "at once"])
def test_an_environment_without_kernels_does_not_change_another(checkout: Path, order: str) -> None:
    variables = {"with": {}, "without": {"SOFTKV_PLATFORM": "any"}}
    if order == "at once":
        for one in [installing(checkout, name, **these) for name, these in variables.items()]:
            ended(one)
    else:
        for name in order.split(", "):
            ended(installing(checkout, name, **variables[name]))
    libraries = {name: len(list((checkout / name).rglob(LIBRARY))) for name in variables}
    assert libraries == {"with": 1, "without": 0}
    if order == "with, without":  # a wheel may go to another machine
        [library] = (checkout / "with").rglob(LIBRARY)
        assert kinds_of_library(library) == [kind.name for kind in PLATFORMS[this_platform()].kinds]


def test_two_editable_installations_at_once_compile_one_library(checkout: Path) -> None:
    editable = ("-e", str(checkout / "attention"))
    for one in [installing(checkout, name, *editable, UV_CACHE_DIR=str(checkout / name / "own")) for name in "ab"]:
        ended(one)
    [compiled] = (checkout / "dist" / "kernels").glob("softkv-kernels-*")
    library = checkout / "attention" / "softkv_attention" / "kernels" / "native" / LIBRARY
    assert library.read_bytes() == compiled.read_bytes()
    assert kinds_of_library(library) == [kind.name for kind in kinds_here()]
    before = compiled.stat().st_mtime_ns
    library.unlink()
    ended(installing(checkout, "c", "--refresh-package", "softkv-core", *editable))
    assert library.read_bytes() == compiled.read_bytes()
    assert compiled.stat().st_mtime_ns == before


def test_a_compiler_that_fails_ends_the_installation_and_names_the_way_out(checkout: Path) -> None:
    (checkout / "attention" / "softkv_attention" / "kernels" / "native" / "library.c").write_text(
        "#error wrong\n", encoding="utf-8"
    )
    failed = installing(checkout, "failed")
    output, _ = failed.communicate()
    assert failed.returncode != 0
    assert "SOFTKV_PLATFORM=any" in output
    ended(installing(checkout, "without", SOFTKV_PLATFORM="any"))
