"""Limits of rooms, so that they cannot fill the memory of a service, and the errors of rooms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


class RoomError(Exception):
    """Base class of the errors of rooms."""


class RoomNotFound(RoomError):
    """No room is open under that code."""

    def __init__(self, code: str) -> None:
        super().__init__(
            f"there is no room {code}: check the letters. Rooms are in memory only, so all of them end when the "
            "service is restarted"
        )


class RoomOver(RoomError):
    """The room under that code has ended."""

    def __init__(self, code: str) -> None:
        super().__init__(
            f"room {code} is over: the presenter closed it, or it was not used for too long. Ask the presenter for a "
            "new code"
        )


class RowNotFound(RoomError):
    """The room has no row with that id."""


class RoomTaken(RoomError):
    """A room is open under the requested code."""


class RoomsFull(RoomError):
    """The maximum number of rooms is open: of all callers together, or of this caller."""


class RoomFull(RoomError):
    """The room has reached a limit, for example of rows or bytes."""


class ListenersFull(RoomError):
    """The room has the maximum number of listeners."""


class NotPresenter(RoomError):
    """The caller is not the presenter of the room, nor the caller that sent the row."""


class QuestionOver(RoomError):
    """The question is not the current one, or its answer is shown already, or not yet."""


FREE_FACTOR = 3
_SHARED = {"rows": "rows", "bytes": "bytes of text", "waiting": "questions that wait", "guesses": "guesses"}


@dataclass(frozen=True)
class Limits:
    """The limits of one service.

    All rooms together hold at most `rooms` × `bytes`, and as much again for Python's objects.

    A room has texts and no vectors: vectors are in the encoder's cache, which has its own limit.

    Attributes:
        rooms: the number of open rooms.
        rows: the number of rows of a room.
        bytes: the bytes of a room's rows and questions, in UTF-8.
        listeners: the number of simultaneous listeners of a room.
        waiting: the number of questions that wait for the presenter.
        guesses: the number of guesses for a question.
        seconds: the lifetime of a room after its last use.
        ended: the number of ended rooms whose codes are remembered.
        ended_seconds: the time for which they are remembered.
        updates: the most updates that a listener may be behind before it is dropped.
        silent_seconds: a listener gets a sign of life after this time without an update.
    """

    rooms: int = 64
    rows: int = 1000
    bytes: int = 262_144
    listeners: int = 200
    waiting: int = 50
    guesses: int = 1000
    seconds: float = 7200.0
    ended: int = 1000
    ended_seconds: float = 86_400.0
    updates: int = 256
    silent_seconds: float = 3.0

    def share(
        self, resource: Literal["rows", "bytes", "waiting", "guesses"], count: int, total: int, more: int = 1
    ) -> None:
        """Raise RoomFull if a caller that already has `count` of the room's `total` of a resource may not add `more` of
        it.
        """
        if exceeds_share(count, total, getattr(self, resource), more):
            raise RoomFull(
                f"{count} of the {total} {_SHARED[resource]} in this room came from where this comes from, and what is "
                "left is for others: remove rows, or ask the presenter to"
            )


def exceeds_share(count: int, total: int, limit: int, more: int = 1) -> bool:
    """Return whether a caller that has `count` of the `total` in use would exceed its share with `more`.

    A caller may have at most three times what stays free, so a single caller gets at most three quarters of the limit.
    The first item of a caller is always allowed.
    """
    return count + more > max(1, FREE_FACTOR * (limit - total - more))
