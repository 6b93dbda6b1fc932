"""Listeners of a room: each has a bounded queue; a listener that reads too slowly is disconnected, and may
reconnect.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, NamedTuple

from softkv_workshop.rooms.limits import ListenersFull


class Update(NamedTuple):
    """A change of a room.

    Attributes:
        name: the kind of change.
        data: the content of the update, which can be written as JSON.
        version: the version of the room: the number of its changes so far.
        private: whether only the presenter's listeners get it.
    """

    name: str
    data: Any
    version: int
    private: bool = False


class Listeners:
    """The listeners of one room."""

    def __init__(self, limit: int, updates: int) -> None:
        self._most = limit
        self._updates = updates
        self._all: set[Listener] = set()

    def __len__(self) -> int:
        return len(self._all)

    def check(self) -> None:
        """Raise ListenersFull if no more listeners are allowed."""
        if len(self._all) >= self._most:
            raise ListenersFull(
                f"{self._most} listen to this room, the most that it has at once: try again when one has gone"
            )

    def publish(self, update: Update) -> None:
        """Send an update to all listeners; disconnect those that are too far behind."""
        for listener in list(self._all):
            if update.private and not listener.is_presenter:
                continue
            if not listener.put(update, self._updates):
                self._all.discard(listener)

    def end(self) -> None:
        """End all listeners after the updates that they already have."""
        for listener in self._all:
            listener.end()
        self._all.clear()

    def add(self, *, is_presenter: bool = False) -> Listener:
        """Add a listener to the room, and return it.

        Raises:
            ListenersFull: the room has the maximum number of listeners.
        """
        self.check()
        listener = Listener(is_presenter)
        self._all.add(listener)
        return listener

    def remove(self, listener: Listener) -> None:
        """Remove a listener; ignore unknown ones."""
        self._all.discard(listener)


class Listener:
    """A listener of a room: a bounded queue of updates, which `Listeners` fills."""

    def __init__(self, is_presenter: bool = False) -> None:
        self.is_presenter = is_presenter
        self._waiting = deque[Update]()
        self._changed = asyncio.Event()
        self._over = False

    def put(self, update: Update, limit: int) -> bool:
        """Add an update and return True; if the queue is full, end the listener and return False."""
        if len(self._waiting) >= limit:
            self._waiting.clear()
            self.end()
            return False
        self._waiting.append(update)
        self._changed.set()
        return True

    def end(self) -> None:
        """End the queue: no more updates follow."""
        self._over = True
        self._changed.set()

    async def next(self) -> Update | None:
        """Wait for the next update and return it; return None at the end."""
        while not self._waiting:
            if self._over:
                return None
            self._changed.clear()
            await self._changed.wait()
        return self._waiting.popleft()
