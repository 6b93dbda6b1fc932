"""The lab as a service answers it: models that were trained, and what they write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from softkv.answers.answer import REMOVED_ATTRIBUTES, Verdict
from softkv.record import Record
from softkv.wire import decode_array

if TYPE_CHECKING:
    from softkv.wire import Array


class LabModel(Record):
    """A model that was trained; `accuracy` on what it never saw, all of the target right."""

    id: str
    task: str
    model: str
    parameters: int
    accuracy: float
    seconds: float
    seed: int


class Lab(Record):
    """Whether this client may train, whether a model is being trained, and those that are kept, the last one first."""

    open: bool
    training: bool
    models: list[LabModel]


class DecodedToken(Record):
    """A token that was written, and how likely it was after those before it."""

    text: str
    probability: float


class Decoded(Record):
    """What a model wrote, and what each token of it rests on.

    Attributes:
        text: all of it.
        source: the n tokens that were read.
        tokens: the m tokens that were written.
        attention: of each layer, [n_heads, m, n].
        source_attention: of each layer of the encoder, [n_heads, n, n].
    """

    text: str
    source: list[str]
    tokens: list[DecodedToken]
    attention: list[Array]
    source_attention: list[Array]


def parse_lab(content: Mapping[str, Any]) -> Lab:
    """The lab, as it is answered."""
    models = [LabModel.read(each) for each in content["models"]]
    return Lab(open=content["open"], training=content["training"], models=models)


def parse_decoded(content: Mapping[str, Any]) -> Decoded:
    """What was written, as it is answered."""
    return Decoded(
        text=content["text"],
        source=content["source"],
        tokens=[DecodedToken.read(each) for each in content["tokens"]],
        attention=[decode_array(each) for each in content["attention"]],
        source_attention=[decode_array(each) for each in content["source_attention"]],
    )


class JoinLink(Record):
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
    joining: JoinLink


class RoomRow(Record):
    """A row of a room."""

    id: str
    key: str
    value: str


class WaitingQuestion(Record):
    """A question that waits for who presents."""

    number: int
    query: str


class GuessCount(Record):
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

    _instead = REMOVED_ATTRIBUTES

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
    waiting: list[WaitingQuestion]
    question: RoomQuestion | None = None


def parse_opened_room(content: Mapping[str, Any]) -> OpenedRoom:
    """A room that was opened, from the wire."""
    return OpenedRoom.read(content, joining=JoinLink.read(content["joining"]))


def parse_question(content: Mapping[str, Any]) -> RoomQuestion:
    """A question from the wire."""
    answer = content.get("answer")
    if answer is not None:
        answer = RoomAnswer.read(answer, matches=[RoomMatch.read(each) for each in answer["matches"]])
    return RoomQuestion.read(content, answer=answer)


def parse_room(content: Mapping[str, Any]) -> Room:
    """A room from the wire."""
    shown = content.get("question")
    return Room.read(
        content,
        rows=[RoomRow.read(each) for each in content["rows"]],
        waiting=[WaitingQuestion.read(each) for each in content["waiting"]],
        question=None if shown is None else parse_question(shown),
    )
