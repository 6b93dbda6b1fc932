"""A cluster of real processes: `softkv shard` for machines, `softkv serve` in front of them, each as one starts it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Self

import httpx

from benchmarks.contenders.server import free_port
from tests.running import children_of
from tests.waiting import until

COMMAND = [sys.executable, "-c", "from service.cli import main; main()"]
START_SECONDS = 180
STOP_SECONDS = 120
TRIES = 3
"""On a machine that is busy Ray may give up on a node that starts."""


class _Process:
    """A command that may be ended and begun again.

    Args:
        folder: where it says what it does, in `NAME.log`.
    """

    def __init__(self, name: str, folder: Path, command: str, options: Mapping[str, str]) -> None:
        self.name, self._log = name, folder / f"{name}.log"
        self._command = [
            *COMMAND,
            command,
            *(part for option, value in options.items() for part in (f"--{option}", value)),
        ]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Begin; what it says is added to the file."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log)

    def stop(self) -> int:
        """End it by SIGTERM; return its exit code."""
        self.process.terminate()
        return self.process.wait(STOP_SECONDS)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """End it, whatever it does."""
        if self.process.poll() is None:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(30)
        self.kill()

    def _wait(self, ready: Callable[[], bool]) -> None:
        """Wait until it is ready; if it ends before, start it again, as its supervisor would."""
        for _ in range(TRIES):
            until(lambda: ready() or not self.runs, START_SECONDS, lambda: self.said)
            if self.runs:
                return
            self.start()
        raise AssertionError(self.said)

    @property
    def runs(self) -> bool:
        return self.process.poll() is None

    @property
    def said(self) -> str:
        """All that it said, also before it was begun again."""
        return self._log.read_text()


class Machine(_Process):
    """`softkv shard`.

    Args:
        address: of the database.
        head: `HOST:PORT` of Ray's.
    """

    def __init__(self, name: str, address: str, head: str, folder: Path, *, slots: int = 2, copies: int = 2) -> None:
        self._ready = folder / f"{name}.ready"
        options = {
            "store": address,
            "shards": f"ray://{head}",
            "slots": str(slots),
            "copies": str(copies),
            "name": name,
        }
        options |= {"data-dir": str(folder / f"{name}-data"), "ready-file": str(self._ready)}
        super().__init__(name, folder, "shard", options)

    def start(self) -> None:
        """Start it; a killed process has left its file."""
        self._ready.unlink(missing_ok=True)
        super().start()

    def wait_until_ready(self) -> None:
        """Wait until it holds all of its ranges."""
        self._wait(self._ready.exists)

    def slots(self) -> list[int]:
        """The processes of its slots."""
        node = self._node()
        return [slot for slot in slots_running(os.environ["RAY_AUTH_TOKEN"]) if _group_of(_parent_of(slot)) == node]

    def kill(self) -> None:
        """Send SIGKILL to the process, its node and slots at once, like a power failure."""
        with suppress(ValueError):  # its node is gone already
            slots = self.slots()
            os.killpg(self._node(), signal.SIGKILL)
            for slot in slots:
                with suppress(ProcessLookupError):
                    os.kill(slot, signal.SIGKILL)
        super().kill()

    def _node(self) -> int:
        [node] = children_of(self.process.pid, module="ray.scripts.scripts")
        return node


class Api(_Process):
    """`softkv serve` in front of slots, at a port that stays its own.

    Attributes:
        url: where it answers.
    """

    def __init__(self, name: str, address: str, head: str, folder: Path, *, copies: int = 2) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        options = {"store": address, "shards": f"ray://{head}", "copies": str(copies), "port": str(port)}
        super().__init__(name, folder, "serve", {**options, "encoder": "none", "data-dir": str(folder / name)})

    def wait_until_ready(self) -> None:
        """Wait until /readyz reports that it is ready."""
        self._wait(self._answers)

    def _answers(self) -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(f"{self.url}/readyz", timeout=30).status_code == 200
        return False


def slots_running(token: str) -> list[int]:
    """The processes of the slots of a cluster, which have its token."""
    running = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (
                b"ray::_NodeActor" in (folder / "cmdline").read_bytes()
                and token.encode() in (folder / "environ").read_bytes()
            ):
                running.append(int(folder.name))
    return running


def _parent_of(process: int) -> int:
    with suppress(OSError):
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


def _group_of(process: int) -> int:
    with suppress(OSError):
        return os.getpgid(process) if process else 0
    return 0
