"""Who can be asked for which range: which slots there are, which did not answer lately, and how long they take."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Lock
from typing import Protocol

from attention.lookup import Message, to_bytes
from service.cluster.errors import RangesLost
from service.cluster.placement import owners
from service.cluster.round import Asked, Reply, Round
from service.storage import NodeRecord, NodeRegistry, StorageError

DEADLINE_SECONDS = 10.0
"""How long an answer may take; what is not there then is lost."""
HOLDERS_SECONDS = 0.5
"""Between two looks at who holds what."""
AVOIDED_SECONDS = 2.0
"""How long a slot that did not answer is asked last, and a range that nobody answered for is taken to be lost."""
RECENT, SLOW = 100, 0.95
LEAST_PATIENCE = 0.05
"""A slot is slow that takes longer than this part of the last calls of its kind, and than so many seconds."""


class Transport(Protocol):
    """Brings messages to slots."""

    def ask(self, slot: str, message: bytes) -> Future[bytes]:
        """What a slot answers; the future fails with SlotLost where it is gone, or is not there."""


class Calling:
    """Asks slots for ranges; for many threads.

    Args:
        register: which slots there are, and what they hold.
        copies: how many slots hold a range.
    """

    def __init__(
        self,
        transport: Transport,
        register: NodeRegistry,
        copies: int,
        *,
        seconds: float = DEADLINE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.seconds = seconds
        self.transport, self._register, self.copies, self._clock = transport, register, copies, clock
        self._took: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=RECENT))
        self._avoided: dict[str, float] = {}
        self._lost: dict[int, dict[int, float]] = {}
        self._known = _Known({}, (), float("-inf"))
        self._looking = Lock()

    def holders(self, collection: int, first_row: int) -> list[str]:
        """Who can be asked for a range, the first choice first: who has it ready, then who is to hold it.

        Raises:
            StorageError: nobody knows, since the store could not be asked yet.
        """
        known = self._look()
        names = known.names.get((collection, first_row))
        if names is None:
            ready = known.ready.get((collection, first_row), ())
            placed = owners(collection, first_row, known.members, self.copies)
            names = [name for name in placed if name in ready] + [name for name in ready if name not in placed]
            names += [name for name in placed if name not in ready]
            known.names[collection, first_row] = names
        now = self._clock()
        return sorted(names, key=lambda name: self._avoided.get(name, 0.0) > now)

    def lost(self, collection: int) -> frozenset[int]:
        """The ranges of a collection that nobody answered for a moment ago."""
        lost = self._lost.get(collection)
        if not lost:
            return frozenset()
        now = self._clock()
        return frozenset(first_row for first_row, until in list(lost.items()) if until > now)

    def _all_avoided(self, collection: int, first_row: int) -> bool:
        now = self._clock()
        return all(self._avoided.get(name, 0.0) > now for name in self.holders(collection, first_row))

    def avoid(self, slot: str) -> None:
        """Ask a slot last for a while."""
        self._avoided[slot] = self._clock() + AVOIDED_SECONDS

    def ask(self, asked: Asked, first_rows: Sequence[int], message: Callable[[Sequence[int]], Message]) -> list[Reply]:
        """Ask about ranges: each is in one of the answers.

        Args:
            message: what is asked of those who are asked about some of the ranges.

        Raises:
            VersionGone, RangesLost: there is no such answer.
            StorageError: nobody knows whom to ask.
        """
        try:
            return Round(self, asked, message, self._clock() + self.seconds).of(first_rows)
        except RangesLost as error:
            now = self._clock()
            lost = {*error.first_rows, *(row for row in first_rows if self._all_avoided(asked.collection, row))}
            earlier = {row: until for row, until in self._lost.get(asked.collection, {}).items() if until > now}
            self._lost[asked.collection] = {**earlier, **dict.fromkeys(lost, now + AVOIDED_SECONDS)}
            raise

    def begin(self, slot: str, asked: Asked, first_rows: Sequence[int], message: Message, left: float) -> Future[bytes]:
        """Send a slot one message."""
        said, arrays = message
        head = {"collection": asked.collection, "version": asked.version, "ranges": list(first_rows), "seconds": left}
        return self.transport.ask(slot, to_bytes({"condition": None, **said, **head}, arrays))

    def took(self, call: str, seconds: float) -> None:
        """So long a call took that was answered."""
        self._took[call].append(seconds)

    def patience(self, call: str) -> float:
        """Seconds after which a call is slow."""
        recent = sorted(self._took[call])
        usual = recent[int(SLOW * (len(recent) - 1))] if len(recent) == RECENT else self.seconds / 4
        return max(usual, LEAST_PATIENCE)

    def clock(self) -> float:
        """Seconds, ascending."""
        return self._clock()

    def _look(self) -> _Known:
        known = self._known
        if self._clock() < known.until or not self._looking.acquire(blocking=not known.members):
            return known
        try:
            ready = defaultdict[tuple[int, int], list[str]](list)
            for each in self._register.holders():
                ready[each.collection, each.first_row].append(each.node.name)
            until = self._clock() + HOLDERS_SECONDS
            self._known = _Known(ready, tuple(self._register.members()), until)
        except StorageError:
            if not known.members:
                raise
        finally:
            self._looking.release()
        return self._known


@dataclass(frozen=True)
class _Known:
    """What the register said.

    Attributes:
        ready: the names of the slots that have a range.
        until: when it is asked again.
        names: who can be asked for a range, as that was found.
    """

    ready: Mapping[tuple[int, int], Sequence[str]]
    members: Sequence[NodeRecord]
    until: float
    names: dict[tuple[int, int], list[str]] = field(default_factory=dict)
