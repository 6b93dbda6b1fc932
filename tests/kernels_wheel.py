"""Make a wheel of machine code for this machine's family: `python -m tests.kernels_wheel DIST`, as `make kernels` does.

softkv loads what it holds and does not compile it, if it was made from the same kernels and by the same versions.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from importlib.metadata import distribution, version
from pathlib import Path

from attention.kernels import machine_code
from attention.kernels.cache import PACKAGE

ROOT = Path(__file__).parents[1]
PROJECT = """
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "softkv-kernels"
version = "{softkv}"
description = "Machine code of softkv's kernels for common processors."
requires-python = ">=3.11"
license = "Apache-2.0"
license-files = ["LICENSE"]
authors = [{{ name = "The softkv authors" }}]
dependencies = ["softkv=={softkv}", "numba=={numba}", "llvmlite=={llvmlite}"]

[project.urls]
Repository = "{repository}"

[tool.setuptools]
packages = ["{package}"]
package-data = {{ {package} = ["*/*"] }}

[tool.distutils.bdist_wheel]
python-tag = "{python}"
plat-name = "{platform}"
"""


def platform() -> str:
    """Return the oldest platform that numba's own wheel runs on: its machine code needs nothing newer."""
    wheel = distribution("numba").read_text("WHEEL") or ""
    platforms = [platform for tag in re.findall(r"^Tag: .+-(\S+)$", wheel, re.MULTILINE) for platform in tag.split(".")]
    return min(platforms, key=lambda name: [int(number) for number in re.findall(r"\d+", name)])


def pack(directory: Path, dist: Path, flags: list[str]) -> None:
    """Write a wheel of the machine code that a directory keeps.

    Args:
        directory: as `SOFTKV_CACHE_DIR`, with machine code.
        dist: where the wheel goes.
        flags: for `pip wheel`.

    Raises:
        FileNotFoundError: the directory keeps no machine code.
    """
    softkv = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    with tempfile.TemporaryDirectory() as temporary:
        project = Path(temporary)
        shutil.copytree(directory / "kernels", project / PACKAGE)
        (project / PACKAGE / "__init__.py").write_text('"""Machine code for softkv, in folders by content."""\n')
        shutil.copy(ROOT / "LICENSE", project)
        settings = PROJECT.format(
            package=PACKAGE,
            softkv=softkv["version"],
            repository=softkv["urls"]["Repository"],
            numba=version("numba"),
            llvmlite=version("llvmlite"),
            python=f"cp{sys.version_info.major}{sys.version_info.minor}",
            platform=platform(),
        )
        (project / "pyproject.toml").write_text(settings)
        pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*pip, *flags, "-w", str(dist), str(project)], check=True)


def main(dist: str, *flags: str) -> None:
    """Make machine code for each kind of processor of this machine's family, and pack it."""
    with tempfile.TemporaryDirectory() as directory:
        machine_code.main([directory, "--every-target"])
        pack(Path(directory), Path(dist), list(flags))


if __name__ == "__main__":
    main(*sys.argv[1:])
