"""An editable installation compiles the kernels for its processor alone, and knows when it has come to another."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from softkv_attention.kernels.native.build import PLATFORMS, kinds_here
from softkv_attention.kernels.native.kinds import KINDS, kinds_in, this_platform
from softkv_attention.kernels.native.library import usable_kinds
from tools import ROOT

pytestmark = pytest.mark.skipif(this_platform() not in PLATFORMS, reason="needs a platform that has kernels")

ONE_FUNCTION = """
#include "lanes.h"
EXPORT void KERNEL(accumulate)(void);
EXPORT void KERNEL(accumulate)(void) {}
"""


def without_kernels(folder: Path) -> Path:
    """Copy the sources of softkv-core, whose C files have one function alone, into a folder like the repository."""
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", "build", "softkv-kernels.*")
    shutil.copytree(ROOT / "attention", folder / "attention", ignore=ignored)
    for source in (folder / "attention" / "softkv_attention" / "kernels" / "native").glob("*.c"):
        if source.name != "library.c":
            source.write_text(ONE_FUNCTION if source.name == "keys.c" else "", encoding="utf-8")
    (folder / "service" / "softkv_service").mkdir(parents=True)
    (folder / "service" / "softkv_service" / "app.py").touch()
    return folder


def kinds_of_library(library: Path) -> list[str]:
    """Return the names of the kinds of processor whose code a library holds."""
    return [kind.name for kind in kinds_in(ctypes.CDLL(str(library)), KINDS)]


def ran(checkout: Path, code: str) -> subprocess.CompletedProcess[str]:
    """Run Python in the folder of the kernels of a checkout."""
    folder = checkout / "attention" / "softkv_attention" / "kernels"
    code = f"from pathlib import Path\nfrom native.build import *\nname = this_platform()\n{code}"
    return subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)


def test_this_processor_runs_the_kinds_that_are_compiled_for_it() -> None:
    kinds = kinds_here()
    assert usable_kinds()[0] in kinds
    assert len(kinds) == (2 if kinds[0].name == "amx" else 1)


def test_a_library_has_all_kinds_or_those_of_this_processor(tmp_path: Path) -> None:
    checkout, libraries = without_kernels(tmp_path), {}
    for order, option in enumerate(("for_this_processor=True", "", "for_this_processor=True")):
        (into := tmp_path / f"into-{order}").mkdir()
        ended = ran(checkout, f"print(obtain(name, Path({str(into)!r}), {option}))")
        libraries[order] = Path(ended.stdout.strip())
    everything = [kind.name for kind in PLATFORMS[this_platform()].kinds]
    assert kinds_of_library(libraries[0]) == [kind.name for kind in kinds_here()]
    assert kinds_of_library(libraries[1]) == everything
    assert kinds_of_library(libraries[2]) == everything  # it was compiled already
    assert len(list((tmp_path / "dist" / "kernels").glob("softkv-kernels-*"))) == 2


@pytest.mark.parametrize(
    ("kinds", "fits"),
    [("PLATFORMS[name].kinds", True), ("kinds_here()", True), ("kinds_here()[1:]", False), ("[]", False)],
)
def test_a_library_fits_if_it_has_the_best_code_for_this_processor(tmp_path: Path, kinds: str, fits: bool) -> None:
    checkout = without_kernels(tmp_path)
    assert ran(checkout, "exit(not fits())").returncode == 0  # SOFTKV_PLATFORM=any left it out
    compiling = f"compile_library(name, HERE / f'softkv-kernels{{PLATFORMS[name].suffix}}', {kinds})"
    assert ran(checkout, compiling).returncode == 0
    asking = [sys.executable, "-m", "native.build", "--fits"]
    folder = checkout / "attention" / "softkv_attention" / "kernels"
    assert (subprocess.run(asking, cwd=folder, check=False).returncode == 0) == fits


def test_a_damaged_library_does_not_fit(tmp_path: Path) -> None:
    damaging = "(HERE / f'softkv-kernels{PLATFORMS[name].suffix}').write_bytes(b'no library')\nexit(not fits())"
    assert ran(without_kernels(tmp_path), damaging).returncode == 1
