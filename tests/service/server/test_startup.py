"""Messages while a service loads: each change once, and at the end that it is ready; the clock is simulated."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from service.api.routes.service import ReadinessReport
from service.retrieval.documents.seeding import Progress
from service.server.startup import COMPILATION_SECONDS, SECONDS_BETWEEN, StartupProgress

LOADS = ReadinessReport(["something"], [])
READY = ReadinessReport([], [])
ADDRESS = "http://127.0.0.1:8000"


class Service:
    """Parts that a test sets, and a clock that it turns."""

    def __init__(self, *demos: Progress) -> None:
        self.now = 0.0
        self.machine_code = SimpleNamespace(ready=False)
        self.demo = SimpleNamespace(progress={demo.name: demo for demo in demos})

    def starting(self, address: str = ADDRESS) -> StartupProgress:
        return StartupProgress(self, address, lambda: self.now)


def lines(starting, standing=LOADS):
    return [message.line for message in starting.messages(standing)]


def test_a_start_says_each_step_once_and_last_what_to_try():
    library, python = Progress("library"), Progress("python")
    service = Service(library, python)
    starting = service.starting()
    assert lines(starting) == []
    library.done = library.total = 110
    service.now = 1.0
    assert lines(starting) == ['library 110 of 110, try softkv attend library "pets that purr"']
    assert lines(starting) == []
    service.now = COMPILATION_SECONDS
    assert lines(starting) == ["compiling machine code, which takes about a minute once; until then answers are slower"]
    python.total = 5013
    assert lines(starting) == []
    service.now += SECONDS_BETWEEN
    python.done = 512
    assert lines(starting) == ["python 512 of 5013"]
    service.machine_code.ready = True
    python.done = 5013
    assert lines(starting) == ["python 5013 of 5013", "machine code is ready"]
    assert not starting.finished
    assert lines(starting, READY) == ['ready: try softkv attend library "pets that purr"']
    assert starting.finished
    assert lines(starting, READY) == []


def test_what_was_kept_is_not_said_to_be_made():
    service = Service()
    starting = service.starting()
    service.machine_code.ready = True
    service.now = 10.0
    assert lines(starting, READY) == [f"ready: open {ADDRESS}, or try softkv demo library"]


@pytest.mark.parametrize("demos", [[], [Progress("library", 3, 3)]])
def test_an_address_that_commands_do_not_take_by_themselves_is_said(demos):
    service = Service(*demos)
    service.machine_code.ready = True
    (*_, last) = lines(service.starting("http://127.0.0.1:9000"), READY)
    assert "--url http://127.0.0.1:9000 library" in last


def test_a_start_that_failed_says_so_and_why():
    broken = Progress("library", failure="no such file")
    starting = Service(broken).starting()
    (message,) = starting.messages(ReadinessReport([], ["library: no such file"]))
    assert message.line == "not ready: library: no such file"
    assert (message.event, message.fields) == ("not ready", {"failed": ["library: no such file"]})
    assert starting.finished


def test_programs_are_told_names_and_numbers():
    starting = Service(Progress("library", 110, 110)).starting()
    (message,) = starting.messages(LOADS)
    assert (message.event, dict(message.fields)) == ("demo collection loaded", {"name": "library", "documents": 110})
