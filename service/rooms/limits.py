"""How much rooms may hold, so that they are no way to fill a service's memory."""

from __future__ import annotations

from dataclasses import dataclass


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
