"""Budgets of minutes, kept and exceeded by small suites that are made up."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.thorough
ROOT = Path(__file__).parents[1]
CONFTEST = """
from tests.budgets import Budget, Budgets

def pytest_configure(config):
    budgets = {"slow": Budget(0.02, "time"), "quick": Budget(0.5, "nothing"), "unused": Budget(0, "nothing")}
    config.pluginmanager.register(Budgets(budgets, MINUTES))
"""
SUITE = """
import time
import pytest

@pytest.fixture(scope="module")
def made():
    time.sleep(0.3)
    yield
    time.sleep(0.01)

@pytest.mark.slow
def test_with_what_is_made(made):
    time.sleep(SECONDS)

@pytest.mark.slow
@pytest.mark.quick
def test_of_two_marks():
    pass

def test_without_a_mark():
    time.sleep(0.6)
"""


def run(
    folder: Path, *options: str, seconds: float, minutes: float | None = None, suite: str = SUITE
) -> tuple[int, str]:
    """(exit code, what it printed) of the suite, whose slow test sleeps so long, with these options."""
    (folder / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers -p no:cacheprovider\n")
    (folder / "conftest.py").write_text(CONFTEST.replace("MINUTES", repr(minutes)))
    (folder / "test_suite.py").write_text(suite.replace("SECONDS", repr(seconds)))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def test_within_its_budget_a_mark_is_told_of_and_nothing_fails(tmp_path):
    code, printed = run(tmp_path, seconds=0, minutes=5)
    assert code == 0, printed
    assert re.search(r"^slow: 0\.\d\d of 0\.02 minutes$", printed, re.MULTILINE)
    assert "quick: 0.00 of 0.5 minutes" in printed
    assert "unused" not in printed
    assert "EXCEEDED" not in printed


def test_over_its_budget_a_session_that_passes_fails_and_names_the_slowest(tmp_path):
    code, printed = run(tmp_path, seconds=1)  # and its fixture 0.3
    assert code == pytest.ExitCode.TESTS_FAILED
    assert "3 passed" in printed
    assert re.search(r"the tests marked slow took 0\.02 minutes, their budget is 0\.02:", printed)
    first, second = re.findall(r"^  ([\d.]+) s (\S+)$", printed, re.MULTILINE)
    assert first[1] == "test_suite.py::test_with_what_is_made"
    assert float(first[0]) >= 1.3 > float(second[0])


def test_over_its_minutes_the_session_fails_whatever_the_marks(tmp_path):
    code, printed = run(tmp_path, seconds=0, minutes=0.5 / 60)
    assert code == pytest.ExitCode.TESTS_FAILED
    assert "all tests took 0.0" in printed
    assert re.search(r"The slowest:\n  0\.6\d* s test_suite.py::test_without_a_mark", printed)


@pytest.mark.parametrize("minutes", [None, 0.5 / 60])
def test_several_processes_keep_one_budget(tmp_path, minutes):
    code, printed = run(tmp_path, "-n", "2", seconds=0 if minutes else 1, minutes=minutes)
    assert code == pytest.ExitCode.TESTS_FAILED
    assert "3 passed" in printed
    assert printed.count("BUDGET EXCEEDED") == 1
    assert ("all tests took" if minutes else "the tests marked slow took 0.02 minutes") in printed
    assert "quick: 0.00 of 0.5 minutes" in printed


def test_what_fails_anyway_fails_as_it_did(tmp_path):
    code, printed = run(tmp_path, seconds=0, minutes=1e-6, suite="import nothing_of_this_name")
    assert code == pytest.ExitCode.INTERRUPTED
    assert "EXCEEDED" in printed


def test_a_mark_without_a_budget_is_no_mark(tmp_path):
    code, printed = run(tmp_path, seconds=0, suite="import pytest\n@pytest.mark.slwo\ndef test_of_a_typo(): pass")
    assert code == pytest.ExitCode.INTERRUPTED
    assert "'slwo' not found in `markers`" in printed
