"""How much rooms may hold, so that they are no way to fill a service's memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from service.rooms.errors import RoomFull

FREE_FACTOR = 3
_SHARED = {"rows": "rows", "bytes": "bytes of text", "waiting": "questions that wait", "guesses": "guesses"}


@dataclass(frozen=True)
class Limits:
    """Of one service. What rooms can hold in all is `rooms` × `bytes`, and as much again for Python's objects.

    A room has texts and no vectors: those are kept where all encoded texts are, as many as there is room for.

    Attributes:
        rooms: open at once.
        rows: of a room.
        bytes: of a room's rows and questions, in UTF-8.
        listeners: of a room at once.
        waiting: questions that wait for who presents.
        guesses: of a question.
        seconds: how long a room lives after its last use.
        updates: that a listener may be behind before it is dropped.
    """

    rooms: int = 64
    rows: int = 1000
    bytes: int = 262_144
    listeners: int = 200
    waiting: int = 50
    guesses: int = 1000
    seconds: float = 7200.0
    updates: int = 256

    def share(self, what: Literal["rows", "bytes", "waiting", "guesses"], own: int, taken: int, more: int = 1) -> None:
        """Raise RoomFull where that were more of a room than a caller may have, who has `own` of the `taken`."""
        if exceeds_share(own, taken, getattr(self, what), more):
            raise RoomFull(
                f"{own} of the {taken} {_SHARED[what]} in this room came from where this comes from, and what is left "
                "is for others: remove rows, or ask who presents to"
            )


def exceeds_share(own: int, taken: int, most: int, wanted: int = 1) -> bool:
    """Whether `wanted` more is more than a caller may have, who has `own` of the `taken`.

    That is three times what stays free, so that one alone has three quarters at most; and one thing in any case.
    """
    return own + wanted > max(1, FREE_FACTOR * (most - taken - wanted))
