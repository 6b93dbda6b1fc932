"""The interface of a contender: start, fill, and query in one or several ways."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.callers import Address, CallRefused, Wire, ask
from benchmarks.contenders.documents import Documents
from benchmarks.contenders.server import Server
from benchmarks.keys import Array
from benchmarks.running import Service

SECONDS_TO_START = 600


@dataclass(frozen=True)
class Way:
    """One way to ask a store for the ten nearest, with text and metadata.

    Attributes:
        name: of the contender in the tables.
        address: where it listens.
        wire: what it speaks.
        requests: by filter (`percent` below that, None for no filter), one for each query.
        ids: of an answer as it came over the wire, the nearest first.
        pid: of the server's first process, None for one whose processor time is not of interest.
    """

    name: str
    address: Address
    wire: Wire
    requests: Mapping[int | None, Sequence[bytes]]
    ids: Callable[[bytes], list[str]]
    pid: int | None = None


class Store(ABC):
    """A server with data in a directory of its own."""

    name: str
    server: Server | Service

    @abstractmethod
    def fill(self, documents: Documents) -> None:
        """Store all of them, until the first question can be answered as fast as the last."""

    @abstractmethod
    def ways(self, queries: Array, filters: Sequence[int | None]) -> list[Way]:
        """Return the ways to query it while it runs."""

    @abstractmethod
    def wait_until_started(self) -> None:
        """Until it can be filled or asked."""

    @property
    def pid(self) -> int:
        """Return the pid of its first process."""
        pid: int = self.server.process.pid
        return pid


def seconds_to_first_answer(store: Store, way: Way) -> float:
    """From starting the process to its first good answer; it is stopped afterwards."""
    started = time.perf_counter()
    with store.server:
        until_answered(lambda: ask(way.address, way.wire, way.requests[None][0]))
        return time.perf_counter() - started


def until_answered(asking: Callable[[], object], seconds: float = SECONDS_TO_START) -> None:
    """Again and again until it is not refused.

    Raises:
        TimeoutError: it still was after that time.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            asking()
        except (OSError, CallRefused) as error:
            if time.monotonic() > deadline:
                raise TimeoutError(f"no answer in {seconds:.0f} s: {error}") from error
            time.sleep(0.01)
        else:
            return


def size_on_disk(directory: Path) -> float:
    """MiB of all files below."""
    return sum(file.lstat().st_blocks * 512 for file in directory.rglob("*") if file.is_file()) / 2**20
