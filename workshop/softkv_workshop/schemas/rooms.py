"""Models of rooms, the shared memory of a class: their rows, questions, guesses and answers."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Len
from pydantic import ConfigDict, Field
from typing_extensions import TypeAliasType

from softkv_attention.lookup import Stands
from softkv_service.retrieval.queries import MAX_WORDS
from softkv_service.schemas.collection import NullBackground
from softkv_service.schemas.wire import OrNull, Temperature, Text, Wire
from softkv_workshop.rooms import Limits

MAX_NAME = 24  # characters
MAX_TEXT = 480  # characters: the cache of the encoder keeps texts of this length

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
    """A row to put into a classroom's room: a key and its value."""

    key: RoomText = Field(description="The text that attention encodes.")
    value: RoomText | None = Field(None, description="Left out: the key.")
    by: Annotated[Text, Field(min_length=1, max_length=MAX_NAME)] | None = Field(
        None, description="The sender's name, which is shown with the row. Left out: none."
    )

    model_config = ConfigDict(json_schema_extra={"examples": [{"key": "cats", "value": "They purr."}]})


class FirstRow(RowBody):
    """A row that a classroom's room has from the start, with its id."""

    id: RoomId | None = Field(None, description="Left out: its position, from 1.")

    model_config = ConfigDict(json_schema_extra={"examples": [{"id": "row-1", "key": "cats", "value": "They purr."}]})


class OpenRequest(Wire):
    """A request to open a room, the shared memory of a class: its first rows and its code."""

    code: RoomCode | None = Field(None, description="The code of the room, if it is free. Left out: a new code.")
    rows: Annotated[list[FirstRow], Len(0, MOST_ROWS)] = Field(
        [], description="The first rows of the room; at most 1,000, each id once."
    )

    hold: bool = Field(False, description="Whether new rows and questions wait until the presenter releases them.")

    model_config = ConfigDict(json_schema_extra={"examples": [{}, {"rows": [{"key": "cats", "value": "They purr."}]}]})


class Joining(Wire):
    """The address at which participants join a classroom's room, as a URL and as a QR code."""

    address: str = Field(
        description="The URL of the page that joins the room, as other machines of the network reach it."
    )
    size: int = Field(description="The number of modules in a side of the QR code, with the quiet zone around it.")
    path: str = Field(
        description="The dark modules of the QR code, as the path of an SVG whose view box is 0 0 size size."
    )


class OpenedRoom(Wire):
    """A room that was opened for a class: its code, and the secret that its presenter sends with later calls."""

    code: RoomCode
    secret: str = Field(
        description="The secret of the presenter, which only this answer contains. Sent as `X-Room-Secret`, "
        "it allows the caller to ask questions, show answers, remove rows and close the room."
    )
    seconds_left: float = Field(description="Seconds that the room still lives if it is not used.")
    joining: Joining


class RoomRow(Wire):
    """A row of a classroom's room, as every participant sees it."""

    id: RoomId
    key: str
    value: str
    by: str | None = Field(None, description="The name that its sender gave; absent without one.")
    held: bool | None = Field(
        None, description="In the answer to its sender: true if it waits until the presenter releases it; else absent."
    )


class Room(Wire):
    """The whole state of a classroom's room: its rows, the question that is shown, and the questions that wait."""

    code: RoomCode
    version: int = Field(description="The number of changes so far.")
    seconds_left: float = Field(description="Seconds that the room still lives if it is not used.")
    listeners: int = Field(description="The number of listeners to its events.")
    hold: bool = Field(description="Whether new rows and questions wait, unseen, until the presenter releases them.")
    rows: list[RoomRow] = Field(description="The rows in the order in which they were added.")
    held: list[RoomRow] | None = Field(
        None, description="Rows that wait until the presenter releases them; absent for other callers."
    )
    waiting: list[Asked] = Field(
        description="Questions that wait for the presenter, oldest first; none for other callers while `hold` is true."
    )
    question: RoomQuestion | None = Field(
        None, description="The question that is shown to all; absent before the first."
    )


class QuestionChange(Wire):
    """A presenter's change of the question that a room shows."""

    number: int = Field(description="The number of the question, so that no other one is changed.")
    revealed: Literal[True] | None = Field(
        None, description="Closes the guesses, computes the answer and shows it to all. Left out: as it is."
    )
    shown_temperature: Temperature | None = Field(
        None, description="The temperature at which all see the answer, which must be shown. Left out: unchanged."
    )


class RoomChange(Wire):
    """A presenter's change of a room. A field that is left out stays as it is."""

    hold: bool | None = Field(
        None, description="Whether new rows and questions wait until the presenter releases them. Those that wait stay."
    )
    released: Annotated[list[RoomId], Len(0, MOST_ROWS)] | None = Field(
        None, description="The ids of rows that wait, to be shown to all participants."
    )
    question: QuestionChange | None = Field(None, description="A change of the question that is shown.")

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"hold": True},
                {"released": ["row-1"]},
                {"question": {"number": 1, "revealed": True}},
                {"question": {"number": 1, "shown_temperature": 0.2}},
            ]
        }
    )


class AskRequest(Wire):
    """A question to the rows of a classroom's room."""

    query: RoomText = Field(description="The question: a text.")
    temperature: Temperature | None = Field(
        None, description="The temperature of attention, if the presenter asks. Left out: that of the encoder."
    )

    model_config = ConfigDict(json_schema_extra={"examples": [{"query": "pets that purr"}]})


class Asked(Wire):
    """A question that a participant has suggested, and that waits for the presenter to ask it."""

    number: int = Field(description="The number of the question in the room.")
    query: str


class GuessRequest(Wire):
    """A participant's guess of which row will have the largest weight in the answer to the shown question."""

    question: int = Field(description="The number of the question.")
    row: OrNull[RoomId] = Field(description="The row's id; null for none of them.")

    model_config = ConfigDict(json_schema_extra={"examples": [{"question": 1, "row": "row-1"}]})


class Guessed(Wire):
    """The response to a participant's guess: the number of guesses so far."""

    number: int = Field(description="The number of the question.")
    guesses: int = Field(description="The number of guesses.")


class WordsRequest(Wire):
    """The question of a classroom's room that was answered, and the row whose similarity is to be explained."""

    question: int = Field(description="The number of the question.")
    row: RoomId | None = Field(None, description="The row's id. Left out: the heaviest row of the answer.")

    model_config = ConfigDict(json_schema_extra={"examples": [{"question": 1}, {"question": 1, "row": "row-1"}]})


class QuestionWord(Wire):
    """A word of the question: the piece from character `start` up to `end`, in Unicode code points."""

    text: str
    start: int
    end: int
    similarity: OrNull[float] = Field(
        description="The similarity of the row to the question without this word; null if nothing is left to read."
    )


class RoomWords(Wire):
    """The words of a question, and how similar a row of a classroom's room is to the question without each of them."""

    number: int = Field(description="The number of the question.")
    row: RoomId
    similarity: float = Field(description="The similarity of the row to the whole question.")
    words: list[QuestionWord] = Field(
        description=f"The first {MAX_WORDS} words of the question; a Chinese or Japanese character is a word."
    )


class RoomMatch(Wire):
    """A row in the answer of a classroom's room: its weight, and how many participants guessed it."""

    id: RoomId
    weight: float
    similarity: float
    guesses: int = Field(description="The number of guesses that this row would have the largest weight.")


class RoomAnswer(Wire):
    """The answer from the rows of a classroom's room. The weights of the matches and of the null key sum to one."""

    matches: list[RoomMatch] = Field(description="Every row, the heaviest first.")
    null_weight: float = Field(description='The weight of the null key, which means "none of these".')
    null_similarity: OrNull[float] = Field(description="The similarity of the null key; null if the room has no row.")
    null_guesses: int = Field(description='The number of guesses of "none of these".')
    verdict: Stands = Field(description="Equal to that in the `evidence` of an answer.")
    verdict_certain: bool = Field(description="Equal to that in the `evidence` of an answer.")
    background: NullBackground | None = Field(
        description="The basis of the null key, from which its similarity follows at any temperature; null without one."
    )


class RoomQuestion(Wire):
    """A question that the presenter of a classroom's room has asked, so that all participants see it."""

    number: int = Field(description="The number of the question in the room, from 1.")
    query: str
    temperature: Temperature | None = Field(
        None, description="The requested temperature; absent before the answer if the request had none."
    )
    shown_temperature: Temperature | None = Field(
        None, description="The temperature that the presenter has chosen since the answer was shown; absent before."
    )
    guesses: int = Field(description="The number of guesses. Only the answer shows which rows were guessed.")
    answer: RoomAnswer | None = Field(None, description="The answer; absent until it is shown.")
