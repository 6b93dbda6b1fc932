"""Rooms on the wire: their rows, questions, guesses and answers."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Len
from pydantic import ConfigDict, Field
from typing_extensions import TypeAliasType

from attention.lookup import Stands
from service.rooms import Limits
from service.schemas.wire import OrNull, Temperature, Text, Wire

MAX_TEXT = 480  # characters: such texts the encoder's cache keeps

RoomCode = TypeAliasType(
    "RoomCode",
    Annotated[str, Field(pattern=r"^[A-Z]{4}$", examples=["MATH"], description="Four letters.")],
)
RoomId = TypeAliasType(
    "RoomId",
    Annotated[
        str,
        Field(
            pattern=r"^[A-Za-z0-9_-]{1,64}$",
            examples=["row-1"],
            description="1 to 64 letters, digits, dashes or underscores, of the caller's choice.",
        ),
    ],
)
RoomText = Annotated[Text, Field(min_length=1, max_length=MAX_TEXT)]


MOST_ROWS = Limits.rows


class RowBody(Wire):
    """A row for a room."""

    key: RoomText = Field(description="What attention encodes.")
    value: RoomText | None = Field(None, description="Left out: the key.")

    model_config = ConfigDict(json_schema_extra={"examples": [{"key": "cats", "value": "They purr."}]})


class FirstRow(RowBody):
    """A row that a room opens with."""

    id: RoomId | None = Field(None, description="Left out: its position, from 1.")

    model_config = ConfigDict(json_schema_extra={"examples": [{"id": "row-1", "key": "cats", "value": "They purr."}]})


class OpenRequest(Wire):
    """A room to open."""

    code: RoomCode | None = Field(None, description="Under which code, where it is free. Left out: a new one.")
    rows: Annotated[list[FirstRow], Len(0, MOST_ROWS)] = Field(
        [], description="What it holds from the beginning; at most 1,000, each id once."
    )

    model_config = ConfigDict(json_schema_extra={"examples": [{}, {"rows": [{"key": "cats", "value": "They purr."}]}]})


class Joining(Wire):
    """How others come in: an address, and the same as a QR code."""

    address: str = Field(description="Of the page that joins the room, as other machines of the network reach it.")
    size: int = Field(description="Modules of the QR code's side, with the quiet zone around it.")
    path: str = Field(description="Its dark modules, as the path of an SVG whose view box is 0 0 size size.")


class OpenedRoom(Wire):
    """A room that was opened."""

    code: RoomCode
    secret: str = Field(
        description="Of who presents, told here and nowhere else: sent as `X-Room-Secret`, it asks questions, shows "
        "answers, removes rows and closes the room."
    )
    seconds_left: float = Field(description="How long the room lives if nobody uses it.")
    joining: Joining


class RoomRow(Wire):
    """A row of a room."""

    id: RoomId
    key: str
    value: str


class Room(Wire):
    """All that a room holds."""

    code: RoomCode
    version: int = Field(description="Counts its changes.")
    seconds_left: float = Field(description="How long it lives if nobody uses it.")
    listeners: int = Field(description="How many listen to its events.")
    rows: list[RoomRow] = Field(description="In the order in which they came.")
    waiting: list[Asked] = Field(description="Questions that somebody would like to be asked, oldest first.")
    question: RoomQuestion | None = Field(None, description="The one that is shown to all; absent before the first.")


class AskRequest(Wire):
    """A question to the rows of a room."""

    query: RoomText = Field(description="The question: a text.")
    temperature: Temperature | None = Field(
        None, description="Of attention, where who presents asks. Left out: the encoder's own."
    )

    model_config = ConfigDict(json_schema_extra={"examples": [{"query": "pets that purr"}]})


class Asked(Wire):
    """A question that waits for who presents."""

    number: int = Field(description="Its number, among the questions of the room.")
    query: str


class GuessRequest(Wire):
    """A guess of which row will weigh most."""

    question: int = Field(description="The question's number.")
    row: OrNull[RoomId] = Field(description="The row's id; null for none of them.")

    model_config = ConfigDict(json_schema_extra={"examples": [{"question": 1, "row": "row-1"}]})


class Guessed(Wire):
    """A guess was taken."""

    number: int = Field(description="The question's number.")
    guesses: int = Field(description="How many have guessed.")


class RevealRequest(Wire):
    """The question whose answer is to be shown."""

    question: int = Field(description="Its number.")

    model_config = ConfigDict(json_schema_extra={"examples": [{"question": 1}]})


class RoomMatch(Wire):
    """What a row got of the answer, and how many had guessed it."""

    id: RoomId
    weight: float
    similarity: float
    guesses: int = Field(description="How many guessed that this row would weigh most.")


class RoomAnswer(Wire):
    """The answer of a room's rows: match weights and the null's are one together."""

    matches: list[RoomMatch] = Field(description="Every row, the heaviest first.")
    null_weight: float = Field(description="Of none of these.")
    null_similarity: OrNull[float] = Field(description="Null where the room holds no row.")
    null_guesses: int = Field(description="How many guessed none of these.")
    verdict: Stands = Field(description="As the `evidence` of an answer has it.")
    verdict_certain: bool = Field(description="As the `evidence` of an answer has it.")


class RoomQuestion(Wire):
    """A question that is shown to all."""

    number: int = Field(description="Counts the questions of the room, from 1.")
    query: str
    temperature: Temperature | None = Field(
        None, description="At which it was asked; absent before the answer where none was sent."
    )
    guesses: int = Field(description="How many have guessed; of which rows, only the answer says.")
    answer: RoomAnswer | None = Field(None, description="Absent until it is shown.")
