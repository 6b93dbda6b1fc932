"""What names a room and what is in it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from typing_extensions import TypeAliasType

from service.schemas.wire import Text

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
