"""Files of uses that a type checker must understand: it knows their results, and rejects the lines marked as wrong."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.examples import ROOT

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
    lines = file.read_text(encoding="utf-8").splitlines()
    expected = {(number, said[1]) for number, line in enumerate(lines, start=1) if (said := WRONG.search(line))}
    assert len(expected) == mistakes
    assert actual == expected, done.stdout + done.stderr
