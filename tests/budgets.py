"""Marks with a budget of minutes each: where the tests of one take longer, the session fails and names the slowest."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Generator, Mapping
from dataclasses import dataclass

import pytest

SLOWEST = 3
"""Tests that are named where minutes are short."""


@dataclass(frozen=True)
class Budget:
    """A mark: how many minutes its tests may take together on two cores, and what they need.

    Two or three times what they take, and a minute at least: a busy machine is no failure.
    """

    minutes: float
    needs: str


BUDGETS: Mapping[str, Budget] = {
    "browser": Budget(42, "the page in a browser; two processes share its files, so half of that by the clock"),
    "container": Budget(9, "the image, built and run by podman or docker"),
    "integration": Budget(1, "other libraries, in .venv-integrations"),
    "kill": Budget(4, "processes that are killed at many moments"),
    "node": Budget(4, "a registry of npm that has what clients/typescript/package.json names"),
    "postgres": Budget(5, "a PostgreSQL server, 15 or later"),
    "ray": Budget(10, "Ray, in .venv-cluster, and a PostgreSQL server"),
    "thorough": Budget(26, "the same tried in very many ways, or slowly; two processes share its files, too"),
}


class Budgets:
    """The plugin: adds up what the tests of each mark take, their fixtures included.

    Args:
        budgets: of each mark.
        minutes: what the session may take as a whole; None for any time.
    """

    def __init__(self, budgets: Mapping[str, Budget], minutes: float | None) -> None:
        self._budgets = budgets
        self._minutes = minutes
        self._began = time.monotonic()
        self._seconds: defaultdict[str, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))

    def pytest_configure(self, config: pytest.Config) -> None:
        """Make the marks known."""
        for mark, budget in self._budgets.items():
            config.addinivalue_line("markers", f"{mark}: {budget.needs}; {budget.minutes:g} minutes in all")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Write a test's marks into its report, which may come from another process."""
        report = yield
        report.marks = [mark.name for mark in item.iter_markers()]
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """After a test's setup, after its body, and after its teardown."""
        for name in {"", *set(report.marks) & self._budgets.keys()}:
            self._seconds[name][report.nodeid] += report.duration

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail a session that would have passed; not in one of several processes, which the first one adds up."""
        self._ended = time.monotonic()
        if hasattr(session.config, "workerinput"):
            return
        if session.exitstatus == pytest.ExitCode.OK and self._exceeded():
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """What each mark took, and what is to be done where that was too much."""
        for mark in sorted(self._seconds.keys() & self._budgets.keys()):
            spent, budget = self._spent(mark), self._budgets[mark].minutes
            terminalreporter.write_line(f"{mark}: {spent:.2f} of {budget:g} minutes")
        for said in self._exceeded():
            terminalreporter.write_line(said, red=True)

    def _spent(self, mark: str) -> float:
        return sum(self._seconds.get(mark, {}).values()) / 60

    def _exceeded(self) -> list[str]:
        said = [
            f"BUDGET EXCEEDED: the tests marked {mark} took {self._spent(mark):.2f} minutes, their budget is "
            f"{budget.minutes:g}: make them faster, or raise it in tests/budgets.py and say why. {self._slowest(mark)}"
            for mark, budget in self._budgets.items()
            if self._spent(mark) > budget.minutes
        ]
        whole = (self._ended - self._began) / 60
        if self._minutes is not None and whole > self._minutes:
            said.append(
                f"BUDGET EXCEEDED: all tests took {whole:.2f} minutes, --minutes is {self._minutes:g}: make them "
                f"faster, move some to make test-long, or allow more where this machine is busy. {self._slowest('')}"
            )
        return said

    def _slowest(self, mark: str) -> str:
        first = sorted(self._seconds.get(mark, {}).items(), key=lambda one: one[1], reverse=True)[:SLOWEST]
        return "The slowest:" + "".join(f"\n  {seconds:.2f} s {name}" for name, seconds in first)
