"""A room on the wire: its code, its rows, how others come in."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Len
from pydantic import ConfigDict, Field

from service.rooms import Limits
from service.schemas.rooms.names import RoomCode, RoomId, RoomText
from service.schemas.rooms.question import Asked, RoomQuestion
from service.schemas.wire import Wire

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
