"""Files of uses that type checkers must understand: they know their results, and reject the lines marked as wrong."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.examples import ROOT
from tools.node import NodeMissingError, packages

WRONG = re.compile(r"# wrong: ([\w-]+)$")


def check_typed(file: Path, *, mistakes: int, folder: Path | None = None, python: str = sys.executable) -> None:
    """Run mypy on a file.

    Args:
        file: the file; a line that ends with `# wrong: code` has an error of that code.
        mistakes: the number of such lines.
        folder: where mypy runs, as in a project that has only installed packages; this repository if None.
        python: the Python whose packages mypy reads.

    Raises:
        AssertionError: mypy reports other errors, or not all of these.
    """
    options = ["--strict", "--show-error-codes", "--no-error-summary", "--python-executable", python]
    paths = {"MYPYPATH": str(ROOT / "clients" / "python")} if folder is None else {}
    environment = {name: value for name, value in os.environ.items() if name not in ("MYPYPATH", "PYTHONPATH")}
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *options, str(file)],
        capture_output=True,
        text=True,
        cwd=folder or ROOT,
        env=environment | paths,
        check=False,
    )
    errors = re.findall(r":(\d+): error: .*\[([\w-]+)\]$", done.stdout, re.MULTILINE)
    actual = {(int(line), code) for line, code in errors}
    expected = _wrong(file)
    assert len(expected) == mistakes
    assert actual == expected, done.stdout + done.stderr


def check_typed_by_pyright(file: Path, *, mistakes: int, folder: Path, python: str = sys.executable) -> None:
    """Run pyright on a copy of a file; its codes of errors are others, so only their lines are compared.

    Args:
        file: as for `check_typed`, and so is `mistakes`.
        folder: an empty folder of a project that has only installed packages.
        python: the Python whose packages pyright reads.

    Raises:
        AssertionError: pyright reports errors on other lines, or not on all of these.
    """
    shutil.copy(file, folder / "main.py")
    (folder / "pyrightconfig.json").write_text('{"include": ["main.py"], "typeCheckingMode": "strict"}')
    try:
        pyright = packages(Path(__file__).with_name("pyright"))
    except NodeMissingError as missing:
        pytest.skip(str(missing))
    done = pyright.run("pyright", "--outputjson", "--project", folder, "--pythonpath", python)
    found = [one for one in json.loads(done.stdout)["generalDiagnostics"] if one["severity"] == "error"]
    expected = {line for line, _ in _wrong(file)}
    assert len(expected) == mistakes
    assert {one["range"]["start"]["line"] + 1 for one in found} == expected, [one["message"] for one in found]


def _wrong(file: Path) -> set[tuple[int, str]]:
    """Return the number and the code of each line of a file that is marked as wrong."""
    lines = file.read_text(encoding="utf-8").splitlines()
    return {(number, said[1]) for number, line in enumerate(lines, start=1) if (said := WRONG.search(line))}
