"""The commands, run as their users run them: against the real service, or as the service."""

from __future__ import annotations

import logging
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from softkv.cli import program
from tests.captured_logs import capture_logs
from tests.running import RunningService

COMMAND = [sys.executable, "-c", "from softkv.scripts import softkv; softkv()"]

Softkv = Callable[..., Result]

app = program()


@dataclass
class Serving:
    """A process of `softkv serve`: where it answers, the line that said so, and those before it."""

    url: str
    announced: str
    process: subprocess.Popen[str]
    before: list[str]

    def stop(self, number: signal.Signals) -> tuple[int, str]:
        """Send a signal → the exit code, and what was written to standard error since the announcement."""
        assert self.process.stderr is not None
        timeout = threading.Timer(60, self.process.kill)
        timeout.start()
        self.process.send_signal(number)
        errors = self.process.stderr.read()  # `communicate` would leave out what was read beside the announcement
        timeout.cancel()
        return self.process.wait(), errors


@contextmanager
def serving(
    data_dir: Path, *options: str, command: Sequence[str] = COMMAND, folder: Path | None = None
) -> Iterator[Serving]:
    """Run `softkv serve` on a free port, in a folder, without an encoder so that it starts in a second."""
    arguments = [*command, "serve", "--port", "0", "--data-dir", str(data_dir), "--encoder", "none", *options]
    process = subprocess.Popen(arguments, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    lines: list[str] = []
    try:
        for line in process.stderr:
            lines.append(line)
            if match := re.search(r"(http:/|Unix socket )/[^\s\"]+", line):
                yield Serving(match.group(), line, process, lines[:-1])
                break
        else:
            pytest.fail(f"the service ended with {process.wait()} before it listened: {''.join(lines)}")
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


@pytest.fixture
def softkv(service: RunningService) -> Softkv:
    """Run a command in this process against the service with the real encoder."""
    return command_runner(service)


def command_runner(service: RunningService) -> Softkv:
    """Return a function that runs a command in this process against a service."""

    def run(*arguments: str, input: str | bytes | None = None, **environment: str) -> Result:  # noqa: A002
        # The service runs in this process too, and its log is not output of the command.
        logging.disable(logging.INFO)
        try:
            with capture_logs():
                return CliRunner().invoke(app, [*arguments, "--url", service.url], input=input, env=environment)
        finally:
            logging.disable(logging.NOTSET)

    return run


@pytest.fixture(scope="session")
def bare() -> Softkv:
    """Run a command in this process, without an address."""

    def run(*arguments: str, input: str | bytes | None = None, **environment: str) -> Result:  # noqa: A002
        return CliRunner().invoke(app, list(arguments), input=input, env=environment)

    return run
