"""Limits of rooms, so that they cannot fill the memory of a service, and the errors of rooms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


class RoomError(Exception):
    """The root of this room's errors."""


class RoomNotFound(RoomError):
    """No room is open under that code."""

    def __init__(self, code: str) -> None:
        super().__init__(
            f"no room is open under {code}: it is over, or never was. Rooms are in memory only and end some time after "
            "their last use, and when the service is restarted; ask who presents for the code"
        )


class RowNotFound(RoomError):
    """The room has no row of that id."""


class RoomTaken(RoomError):
    """A room is open under the code that was wished for."""


class RoomsFull(RoomError):
    """As many rooms are open as may be at once, or as one caller may have."""


class RoomFull(RoomError):
    """The room holds as much as it may."""


class ListenersFull(RoomError):
    """As many listen as may at once."""


class NotPresenter(RoomError):
    """This is for whoever opened the room, or who sent the row."""


class QuestionOver(RoomError):
    """The question that was meant is not the one that is open."""


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
