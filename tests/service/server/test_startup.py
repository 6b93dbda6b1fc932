"""Messages while a service loads: each change once, and at the end that it is ready; the clock is simulated."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from softkv_service.api.state import ReadinessReport
from softkv_service.retrieval.documents.seeding import Progress
from softkv_service.server.startup import LISTED, SECONDS_BETWEEN, StartupProgress, softkv_command

LOADS = ReadinessReport(["something"], [])
READY = ReadinessReport([], [])
ADDRESS = "http://127.0.0.1:8000"


class Service:
    """Parts that a test sets, and a clock that it turns."""

    def __init__(self, *demos: Progress) -> None:
        self.now = 0.0
        self.demo = SimpleNamespace(progress={demo.name: demo for demo in demos})

    def starting(self, address: str = ADDRESS, command: str = "softkv") -> StartupProgress:
        return StartupProgress(self, address, command, lambda: self.now)


def lines(starting, standing=LOADS):
    return [message.line for message in starting.messages(standing)]


def test_a_start_reports_each_step_once_and_ends_with_a_command_to_try():
    library, python = Progress("library"), Progress("python")
    service = Service(library, python)
    starting = service.starting()
    assert lines(starting) == ["loading something"]
    library.done = library.total = 110
    service.now = 1.0
    assert lines(starting) == ['library 110 of 110, try softkv attend library "pets that purr"']
    assert lines(starting) == []
    python.total = 5013
    assert lines(starting) == []
    service.now += SECONDS_BETWEEN
    python.done = 512
    assert lines(starting) == ["python 512 of 5013"]
    python.done = 5013
    assert lines(starting) == ["python 5013 of 5013"]
    assert not starting.finished
    assert lines(starting, READY) == [f'ready: open {ADDRESS}, or try softkv attend library "pets that purr"']
    assert starting.finished
    assert lines(starting, READY) == []


def test_the_first_line_names_parts_that_load_and_counts_the_rest():
    parts = [f"collection {number}" for number in range(LISTED + 3)]
    (first,) = Service().starting().messages(ReadinessReport(parts, []))
    assert first.line == f"loading {', '.join(parts[:LISTED])} and 3 more"
    assert first.fields == {"loading": parts}


@pytest.mark.parametrize(
    ("address", "command", "names", "last"),
    [
        (ADDRESS, "softkv", [], ""),  # nothing that writes is proposed
        (ADDRESS, ".venv/bin/softkv", ["library"], ', or try .venv/bin/softkv attend library "pets that purr"'),
        (ADDRESS, "softkv", ["library", "library-zh"], ', or try softkv attend library-zh "睡不着怎么办"'),
        (
            "http://127.0.0.1:9000",
            "softkv",
            ["library"],
            ', or try softkv attend --url http://127.0.0.1:9000 library "pets that purr"',
        ),
    ],
)
def test_the_suggested_command_runs_as_it_is(address, command, names, last):
    service = Service(*(Progress(name, 110, 110) for name in names))
    assert lines(service.starting(address, command), READY)[-1] == f"ready: open {address}{last}"


def test_the_command_is_a_path_if_the_shell_would_not_find_the_name(tmp_path, monkeypatch):
    folder = tmp_path / ".venv" / "bin"
    folder.mkdir(parents=True)
    (folder / "softkv").write_text("#!/bin/sh\n")
    (folder / "softkv").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert softkv_command() == ".venv/bin/softkv"
    monkeypatch.chdir(folder)
    assert softkv_command() == "./softkv"
    monkeypatch.chdir(tmp_path.parent)
    assert softkv_command() == f"{tmp_path.name}/.venv/bin/softkv"
    monkeypatch.setenv("PATH", str(folder))
    assert softkv_command() == "softkv"


def test_a_failed_start_reports_its_reason():
    broken = Progress("library", failure="no such file")
    starting = Service(broken).starting()
    (message,) = starting.messages(ReadinessReport([], ["library: no such file"]))
    assert message.line == "not ready: library: no such file"
    assert (message.event, message.fields) == ("not ready", {"failed": ["library: no such file"]})
    assert starting.finished


def test_messages_carry_names_and_numbers_for_programs():
    starting = Service(Progress("library", 110, 110)).starting()
    first, message = starting.messages(LOADS)
    assert (first.event, first.fields) == ("loading", {"loading": ["something"]})
    assert (message.event, dict(message.fields)) == ("demo collection loaded", {"name": "library", "documents": 110})
