"""A room as a service answers it: its rows, its question, how others come in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from softkv.answers.answer import GAVE_WAY, Verdict
from softkv.record import Record


class Joining(Record):
    """How others come into a room.

    Attributes:
        address: of the page that joins it.
        size: modules of the side of its QR code.
        path: the dark ones, as the path of an SVG.
    """

    address: str
    size: int
    path: str


class OpenedRoom(Record):
    """A room that was opened; its `secret` is told here and nowhere else."""

    code: str
    secret: str
    seconds_left: float
    joining: Joining


class RoomRow(Record):
    """A row of a room."""

    id: str
    key: str
    value: str


class Asked(Record):
    """A question that waits for who presents."""

    number: int
    query: str


class Guessed(Record):
    """How many have guessed."""

    number: int
    guesses: int


class RoomMatch(Record):
    """What a row got of the answer, and how many had guessed it."""

    id: str
    weight: float
    similarity: float
    guesses: int


class RoomAnswer(Record):
    """What a room's rows answered, the heaviest first."""

    _instead = GAVE_WAY

    matches: list[RoomMatch]
    null_weight: float
    null_similarity: float | None
    null_guesses: int
    verdict: Verdict
    verdict_certain: bool


class RoomQuestion(Record):
    """A question that is shown to all; `answer` is None until it is shown."""

    number: int
    query: str
    guesses: int
    temperature: float | None = None
    answer: RoomAnswer | None = None


class Room(Record):
    """All that a room holds; `question` is None before the first."""

    code: str
    version: int
    seconds_left: float
    listeners: int
    rows: list[RoomRow]
    waiting: list[Asked]
    question: RoomQuestion | None = None


def opened(content: Mapping[str, Any]) -> OpenedRoom:
    """A room that was opened, from the wire."""
    return OpenedRoom.read(content, joining=Joining.read(content["joining"]))


def question(content: Mapping[str, Any]) -> RoomQuestion:
    """A question from the wire."""
    answer = content.get("answer")
    if answer is not None:
        answer = RoomAnswer.read(answer, matches=[RoomMatch.read(each) for each in answer["matches"]])
    return RoomQuestion.read(content, answer=answer)


def room(content: Mapping[str, Any]) -> Room:
    """A room from the wire."""
    shown = content.get("question")
    return Room.read(
        content,
        rows=[RoomRow.read(each) for each in content["rows"]],
        waiting=[Asked.read(each) for each in content["waiting"]],
        question=None if shown is None else question(shown),
    )
