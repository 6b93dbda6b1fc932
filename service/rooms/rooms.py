"""All rooms of a service, by their codes: opened, found, and gone when nobody has used them for so long."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Sequence

from service.rooms.errors import RoomNotFound, RoomsFull, RoomTaken
from service.rooms.limits import Limits, exceeds_share
from service.rooms.room import Room

LETTERS = "BCDFGHJKLMNPQRSTVWXZ"  # without vowels a code spells nothing
CODE_LENGTH = 4
CLOSED = "this room was closed by who presents"
EXPIRED = "nobody used this room for so long that it has ended"


class Rooms:
    """The rooms that are open. For one event loop.

    Attributes:
        limits: of each, and how many.
    """

    def __init__(self, limits: Limits | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.limits = limits or Limits()
        self._clock = clock
        self._open: dict[str, Room] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._open)

    def open(self, caller: str = "", code: str | None = None, rows: Sequence[tuple[str, str, str]] = ()) -> Room:
        """A new room, under a code that was wished for or one of its own, with rows of (id, key, value).

        Raises:
            RoomTaken: a room is open under that code.
            RoomsFull: as many are open as may be, or as this caller may have.
            RoomFull: the rows are more than a room holds.
        """
        self.sweep()
        if code is not None and code in self._open:
            raise RoomTaken(f"a room is open under {code}: leave the code out for a room of your own, or join that one")
        most, taken = self.limits.rooms, len(self._open)
        if taken >= most:
            raise RoomsFull(f"{most} rooms are open, the most of this service: try again when one is closed or over")
        own = sum(room.caller == caller for room in self._open.values())
        if exceeds_share(own, taken, most):
            raise RoomsFull(f"{own} rooms of this caller are open, and few are left for others: close one of them")
        room = Room(code or self._new_code(), caller, self.limits, self._clock)
        room.fill(rows, room.secret)
        self._open[room.code] = room
        self._wake()
        return room

    def find(self, code: str, *, use: bool = True) -> Room:
        """The room of that code, which lives on by being used.

        Raises:
            RoomNotFound: none is open under it.
        """
        self.sweep()
        room = self._open.get(code)
        if room is None:
            raise RoomNotFound(code)
        if use:
            room.use()
        return room

    def close(self, room: Room, reason: str = CLOSED) -> None:
        """End a room, now."""
        if self._open.get(room.code) is room:
            del self._open[room.code]
        room.end(reason)

    def sweep(self) -> None:
        """End those that nobody has used for so long."""
        for room in [each for each in self._open.values() if each.seconds_left <= 0]:
            self.close(room, EXPIRED)

    def _wake(self) -> None:
        """See to it that the next room to end does so, though nobody asks for it."""
        if self._timer is not None or not self._open:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # nobody listens without one
            return
        soonest = min(room.seconds_left for room in self._open.values())
        self._timer = loop.call_later(soonest + 0.01, self._woken)

    def _woken(self) -> None:
        self._timer = None
        self.sweep()
        self._wake()

    def _new_code(self) -> str:
        while True:
            code = "".join(secrets.choice(LETTERS) for _ in range(CODE_LENGTH))
            if code not in self._open:
                return code
