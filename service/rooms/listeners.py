"""Who listens to a room: each has a bounded queue, and who is too slow for it is dropped and may come back."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, NamedTuple

from service.rooms.limits import ListenersFull


class Update(NamedTuple):
    """Something that changed.

    Attributes:
        name: what kind of change.
        data: what can be written as JSON.
        version: of the room, which counts its changes.
    """

    name: str
    data: Any
    version: int


class Listeners:
    """Those of one room."""

    def __init__(self, most: int, updates: int) -> None:
        self._most = most
        self._updates = updates
        self._all: set[Listener] = set()

    def __len__(self) -> int:
        return len(self._all)

    def check(self) -> None:
        """Raises: ListenersFull where one more were too many."""
        if len(self._all) >= self._most:
            raise ListenersFull(
                f"{self._most} listen to this room, the most that it has at once: try again when one has gone"
            )

    def tell(self, update: Update) -> None:
        """Let all hear it; who is too far behind is dropped."""
        for listener in list(self._all):
            if not listener.hear(update, self._updates):
                self._all.discard(listener)

    def end(self) -> None:
        """Let all go when they have heard what they were told."""
        for listener in self._all:
            listener.end()
        self._all.clear()

    def add(self) -> Listener:
        """One more.

        Raises:
            ListenersFull: there are too many.
        """
        self.check()
        listener = Listener()
        self._all.add(listener)
        return listener

    def leave(self, listener: Listener) -> None:
        """One less, if it was there still."""
        self._all.discard(listener)


class Listener:
    """One of them, as a queue that only `Listeners` fills."""

    def __init__(self) -> None:
        self._waiting = deque[Update]()
        self._changed = asyncio.Event()
        self._over = False

    def hear(self, update: Update, most: int) -> bool:
        """Whether there was room for it; where not, this listener hears nothing any more."""
        if len(self._waiting) >= most:
            self._waiting.clear()
            self.end()
            return False
        self._waiting.append(update)
        self._changed.set()
        return True

    def end(self) -> None:
        """Nothing comes any more."""
        self._over = True
        self._changed.set()

    async def next(self) -> Update | None:
        """What comes next; None when nothing will."""
        while not self._waiting:
            if self._over:
                return None
            self._changed.clear()
            await self._changed.wait()
        return self._waiting.popleft()
