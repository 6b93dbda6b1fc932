"""softkv's processes in front of a Ray cluster of `machines.py`, each started as an operator starts it."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import httpx

from benchmarks.running import free_port
from extensions.cluster.tests.machines import ROOT
from tests.waiting import until

COMMAND = (sys.executable, "-c", "from softkv.scripts import softkv; softkv()")
START_SECONDS = 240


def _accept_interrupts() -> None:
    """Let SIGINT end the process, which a shell has background jobs ignore."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Process:
    """A command of softkv that can be ended and started again.

    Args:
        log: the file of what the process writes.
    """

    def __init__(self, environment: Mapping[str, str], log: Path, *arguments: str) -> None:
        self._environment, self._log, self._command = environment, log, [*COMMAND, *arguments]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.runs:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(30)
        self.kill()

    def start(self) -> None:
        """Start the process; its output is added to the log."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command, stdout=log, stderr=log, env=self._environment, cwd=ROOT, preexec_fn=_accept_interrupts
            )

    def wait(self) -> int:
        """Wait until the process ends, and return its exit code."""
        return self.process.wait(START_SECONDS)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.process.kill()
        self.process.wait()

    @property
    def runs(self) -> bool:
        return self.process.poll() is None

    @property
    def output(self) -> str:
        """Everything that the process has written since its first start."""
        return self._log.read_text()


class Service(Process):
    """`softkv serve` at a port that stays its own.

    Args:
        store, shards: the addresses of the database and of the Ray cluster.

    Attributes:
        url: the address of the service.
    """

    def __init__(self, environment: Mapping[str, str], log: Path, store: str, shards: str) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        options = {"store": store, "shards": shards, "port": str(port), "encoder": "none", "data-dir": str(log.parent)}
        super().__init__(environment, log, "serve", *as_arguments(options))

    def wait_until_ready(self) -> None:
        """Wait until the service has everything that it needs for answers."""
        until(lambda: self._is_ready() or not self.runs, START_SECONDS, lambda: self.output)
        assert self.runs, self.output

    def status(self) -> dict[str, Any] | None:
        """Return what the service says about servers and shards; None if it does not answer."""
        with suppress(httpx.TransportError):
            shards: dict[str, Any] = httpx.get(f"{self.url}/v1", timeout=30, trust_env=False).json()["shards"]
            return shards
        return None

    def _is_ready(self) -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(f"{self.url}/readyz", timeout=30, trust_env=False).status_code == 200
        return False


def run(environment: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of softkv until it ends."""
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        env=environment,
        cwd=ROOT,
        timeout=START_SECONDS,
        check=False,
    )


def as_arguments(options: Mapping[str, str]) -> list[str]:
    """Return options as parts of a command line."""
    return [part for name, value in options.items() for part in (f"--{name}", value)]
