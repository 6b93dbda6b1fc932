"""A service in a process of its own, as an operator starts it, and what the system says of it."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import httpx

HOST = "127.0.0.1"


def free_port() -> int:
    """Return a free port below the ephemeral ones, so that the system gives it to no other process meanwhile."""
    while True:
        port = 10_000 + secrets.randbelow(20_000)
        with contextlib.suppress(OSError), socket.create_server((HOST, port)):
            return port


class Service:
    """`softkv serve` on a free port; leaving the block stops it as Ctrl-C would.

    Args:
        log: where it says what it does.
        checkout: the folder of another commit to run instead, by the Python of its .venv if it has one.
        program: the arguments of Python that run `softkv`.
    """

    def __init__(
        self,
        data: Path,
        *options: str,
        log: Path | None = None,
        checkout: Path | None = None,
        program: Sequence[str] = ("-m", "softkv_service"),
    ) -> None:
        self._log = log
        self._checkout = checkout and checkout.resolve()
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._command = [
            sys.executable if self._checkout is None else python_of(self._checkout),
            *program,
            "serve",
            "--port",
            str(port),
            "--data-dir",
            str(data.resolve()),
            *options,
        ]

    def __enter__(self) -> Service:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(30)

    def start(self) -> None:
        """Begin, or begin again after a kill, on the same port; what it logs is added to the file for that."""
        with (self._log or Path(os.devnull)).open("ab") as log:
            environment = None if self._checkout is None else environment_of(self._checkout)
            self.process = subprocess.Popen(self._command, stderr=log, cwd=self._checkout, env=environment)

    def kill(self) -> None:
        """SIGKILL, as from the kernel."""
        self.process.kill()
        self.process.wait()

    def client(self) -> httpx.Client:
        """A client with one connection that stays open."""
        return httpx.Client(base_url=self.url, timeout=600, trust_env=False)

    def wait_until_ready(self, seconds: float = 600) -> None:
        """Wait until /readyz reports that the service is ready."""
        deadline = time.monotonic() + seconds
        with self.client() as client:
            while time.monotonic() < deadline:
                try:
                    if client.get("/readyz").status_code == 200:
                        return
                except httpx.TransportError:
                    if self.process.poll() is not None:
                        raise RuntimeError("the service did not start") from None
                time.sleep(0.01)
        raise TimeoutError(f"the service was not ready in {seconds} s")

    def wait_until_idle(self, seconds: float = 600) -> None:
        """Until it does nothing any more behind the scenes: compiling, tidying up."""
        deadline, before = time.monotonic() + seconds, self.processor_seconds()
        while time.monotonic() < deadline:
            time.sleep(1)
            now = self.processor_seconds()
            if now - before < 0.05:
                return
            before = now
        raise TimeoutError(f"the service was still at work after {seconds} s")

    def processor_seconds(self) -> float:
        """Return the processor seconds of its threads and of its ended children since it started."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")

    def memory(self, which: str = "VmRSS") -> float:
        """Resident memory in MiB: now (VmRSS), or the most there was (VmHWM)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith(which))
        return int(line.split()[1]) / 1024


PACKAGES = (".", "attention", "service", "clients/python")
"""The folders of a checkout that have packages."""


def python_of(checkout: Path) -> str:
    """Return the Python of a checkout's .venv, else this one."""
    program = checkout / ".venv" / "bin" / "python"
    return str(program) if program.exists() else sys.executable


def environment_of(checkout: Path) -> dict[str, str]:
    """Return the environment in which the packages of a checkout come before installed ones."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(str(checkout / folder) for folder in PACKAGES)}
