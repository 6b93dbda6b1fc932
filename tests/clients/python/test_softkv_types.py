"""A type checker accepts correct uses of the client and reports mistakes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.examples import ROOT

TYPED = Path(__file__).with_name("typed.py")
WRONG = re.compile(r"# wrong: ([\w-]+)$")


@pytest.mark.thorough
def test_a_type_checker_knows_results_and_rejects_wrong_arguments():
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--show-error-codes", "--no-error-summary", str(TYPED)],
        capture_output=True, text=True, cwd=ROOT, env={**os.environ, "MYPYPATH": str(ROOT / "clients" / "python")},
    )  # fmt: skip
    actual = {
        (int(line), code) for line, code in re.findall(r":(\d+): error: .*\[([\w-]+)\]$", done.stdout, re.MULTILINE)
    }
    lines = TYPED.read_text(encoding="utf-8").splitlines()
    expected = {(number, said[1]) for number, line in enumerate(lines, start=1) if (said := WRONG.search(line))}
    assert len(expected) == 6
    assert actual == expected, done.stdout + done.stderr
