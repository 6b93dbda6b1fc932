"""Who is next where several callers wait: they take turns, however much each of them asks."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Generic, TypeVar

CALLER: ContextVar[str] = ContextVar("caller", default="")
"""Who is asking, in all that is done for a request; empty for the service itself."""

T = TypeVar("T")


class Turns(Generic[T]):
    """What waits, by caller: what one caller asks stays in its order, and between callers it goes round.

    `share` is how many of a caller's may be under way at once; it is `done` that gives one back.
    """

    def __init__(self, share: int | None = None) -> None:
        self._share = share
        self._waiting: OrderedDict[str, deque[T]] = OrderedDict()
        self._under_way: Counter[str] = Counter()

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def __iter__(self) -> Iterator[T]:
        return (each for waiting in self._waiting.values() for each in waiting)

    def put(self, caller: str, item: T) -> None:
        """Let it wait for its caller's turn."""
        self._waiting.setdefault(caller, deque()).append(item)

    def clear(self) -> None:
        """Let nobody wait any longer."""
        self._waiting.clear()

    def next(self) -> tuple[str, T] | None:
        """The next caller who has not his share under way, and what of his is next."""
        for caller, waiting in self._waiting.items():
            if self._share is None or self._under_way[caller] < self._share:
                return caller, waiting[0]
        return None

    def take(self) -> tuple[str, T] | None:
        """Take the next one out; its caller is the last one now."""
        found = self.next()
        if found is None:
            return None
        caller, item = found
        waiting = self._waiting[caller]
        waiting.popleft()
        if waiting:
            self._waiting.move_to_end(caller)
        else:
            del self._waiting[caller]
        if self._share is not None:
            self._under_way[caller] += 1
        return caller, item

    def done(self, caller: str) -> None:
        """One of his is no longer under way."""
        self._under_way[caller] -= 1
        if not self._under_way[caller]:
            del self._under_way[caller]


class Gate:
    """Lets in `most` at once, of one caller at most `share`; the others wait for their turns. For one event loop."""

    def __init__(self, most: int, share: int) -> None:
        self._free = most
        self._turns: Turns[asyncio.Future[None]] = Turns(share)

    async def enter(self, caller: str) -> None:
        """Wait for a turn; it is `leave` that ends it."""
        turn = asyncio.get_running_loop().create_future()
        self._turns.put(caller, turn)
        self._let_in()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave(caller)
            raise

    def leave(self, caller: str) -> None:
        """Let the next one in."""
        self._free += 1
        self._turns.done(caller)
        self._let_in()

    def _let_in(self) -> None:
        while self._free and (taken := self._turns.take()) is not None:
            caller, turn = taken
            if turn.cancelled():
                self._turns.done(caller)
            else:
                self._free -= 1
                turn.set_result(None)
