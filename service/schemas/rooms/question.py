"""A question to a room on the wire: asked, guessed, answered."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from attention.lookup import Stands
from service.schemas.json_object import OrNull
from service.schemas.rooms.names import RoomId, RoomText
from service.schemas.wire import Temperature, Wire


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
