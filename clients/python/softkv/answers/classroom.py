"""Results of calls about the lab, which trains small models, and about rooms, which a class shares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from softkv.answers.answer import Verdict
from softkv.answers.info import Background, parse_background
from softkv.record import Record
from softkv.wire import decode_array

if TYPE_CHECKING:
    from softkv.wire import Array


class LabModel(Record):
    """A model that the lab has trained.

    `accuracy` is the share of unseen examples for which its whole output is right.
    """

    id: str
    task: str
    model: str
    parameters: int
    accuracy: float
    seconds: float
    seed: int


class Lab(Record):
    """The lab's state: whether this client may train, whether a model is in training, and the models, newest first."""

    open: bool
    training: bool
    models: list[LabModel]


class DecodedToken(Record):
    """An output token, and its probability given the tokens before it."""

    text: str
    probability: float


class Decoded(Record):
    """The output of a trained model, with the attention of each output token.

    Attributes:
        text: the whole output.
        source: the n input tokens.
        tokens: the m output tokens.
        attention: per layer, [n_heads, m, n].
        source_attention: per layer of the encoder, [n_heads, n, n].
    """

    text: str
    source: list[str]
    tokens: list[DecodedToken]
    attention: list[Array]
    source_attention: list[Array]


def parse_lab(content: Mapping[str, Any]) -> Lab:
    """Parse the response with the lab's state."""
    models = [LabModel.read(model) for model in content["models"]]
    return Lab(open=content["open"], training=content["training"], models=models)


def parse_decoded(content: Mapping[str, Any]) -> Decoded:
    """Parse the response with the output of a model."""
    return Decoded(
        text=content["text"],
        source=content["source"],
        tokens=[DecodedToken.read(item) for item in content["tokens"]],
        attention=[decode_array(item) for item in content["attention"]],
        source_attention=[decode_array(item) for item in content["source_attention"]],
    )


class JoinLink(Record):
    """The address of a room's page for participants.

    Attributes:
        address: the URL.
        size: the side of its QR code, in modules.
        path: the dark modules, as the path of an SVG.
    """

    address: str
    size: int
    path: str


class OpenedRoom(Record):
    """A room that this call opened. The service sends its `secret`, which the presenter needs, only here."""

    code: str
    secret: str
    seconds_left: float
    joining: JoinLink


class RoomRow(Record):
    """A row of a room: a key and its value.

    `by` is the name that its sender gave, or None. `held` is True if it waits until the presenter releases it.
    """

    id: str
    key: str
    value: str
    by: str | None = None
    held: bool = False


class WaitingQuestion(Record):
    """A question that a participant has suggested, and that waits for the presenter to ask it."""

    number: int
    query: str


class GuessCount(Record):
    """The number of guesses for a question."""

    number: int
    guesses: int


class RoomMatch(Record):
    """A row's weight in the answer, and how many participants guessed that row."""

    id: str
    weight: float
    similarity: float
    guesses: int


class RoomAnswer(Record):
    """The answer of a room's rows, ordered by weight."""

    matches: list[RoomMatch]
    null_weight: float
    null_similarity: float | None
    null_guesses: int
    verdict: Verdict
    verdict_certain: bool
    background: Background | None = None


class QuestionWord(Record):
    """A word of a question, and how similar a row is to the question without it; None if nothing is left to read."""

    text: str
    start: int
    end: int
    similarity: float | None


class RoomWords(Record):
    """The similarity of a row to a question, and to the question without each of its words."""

    number: int
    row: str
    similarity: float
    words: list[QuestionWord]


class RoomQuestion(Record):
    """A question that everyone in a room sees; `answer` is None until the presenter reveals it.

    `shown_temperature` is the one that the presenter has chosen since then, or None.
    """

    number: int
    query: str
    guesses: int
    temperature: float | None = None
    answer: RoomAnswer | None = None
    shown_temperature: float | None = None


class Room(Record):
    """The content of a room; `question` is None before the first question is asked.

    `hold` is True while new rows and questions wait until the presenter releases them. `held` has those rows, and
    `joining` how others join now; both are None without the presenter's secret.
    """

    code: str
    version: int
    seconds_left: float
    listeners: int
    hold: bool
    rows: list[RoomRow]
    waiting: list[WaitingQuestion]
    held: list[RoomRow] | None = None
    question: RoomQuestion | None = None
    joining: JoinLink | None = None


def parse_opened_room(content: Mapping[str, Any]) -> OpenedRoom:
    """Parse the response with a room that was opened."""
    return OpenedRoom.read(content, joining=JoinLink.read(content["joining"]))


def parse_question(content: Mapping[str, Any]) -> RoomQuestion:
    """Parse the JSON of a room's question."""
    answer = content.get("answer")
    if answer is not None:
        matches = [RoomMatch.read(match) for match in answer["matches"]]
        answer = RoomAnswer.read(answer, matches=matches, background=parse_background(answer.get("background")))
    return RoomQuestion.read(content, answer=answer)


def parse_words(content: Mapping[str, Any]) -> RoomWords:
    """Parse the response with the words of a room's question."""
    return RoomWords.read(content, words=[QuestionWord.read(word) for word in content["words"]])


def parse_released(content: Mapping[str, Any]) -> list[RoomRow]:
    """Parse the response with the rows that were released."""
    return [RoomRow.read(item) for item in content["rows"]]


def parse_room(content: Mapping[str, Any]) -> Room:
    """Parse the JSON of a room's content."""
    shown, waiting_rows, joining = content.get("question"), content.get("held"), content.get("joining")
    return Room.read(
        content,
        rows=[RoomRow.read(item) for item in content["rows"]],
        waiting=[WaitingQuestion.read(item) for item in content["waiting"]],
        held=None if waiting_rows is None else [RoomRow.read(item) for item in waiting_rows],
        question=None if shown is None else parse_question(shown),
        joining=None if joining is None else JoinLink.read(joining),
    )
