"""A source for a trained model, and what the model writes."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field

from service.schemas.vector import NestedAnswer
from service.schemas.wire import Form, Wire

MAX_SOURCE = 200  # characters
MAX_SIDE = 64  # rows of a picture, before its size is looked at


class DecodeRequest(Wire):
    """A source for a trained model: a text or a picture."""

    forms: ClassVar[tuple[Form, ...]] = (
        Form("DecodeText", "source", "A text for a model that reads texts."),
        Form("DecodePicture", "picture", "A picture for a model that reads pictures."),
    )

    model: str = Field(max_length=64, description="The id of a trained model, as `trained` told it.")
    source: str | None = Field(
        None, max_length=MAX_SOURCE, description="As a person writes it: `3 March 2014`, `three hundred two`, `abcab`."
    )
    picture: list[list[Annotated[float, Field(ge=0, le=1)]]] | None = Field(
        None, max_length=MAX_SIDE, description="16 rows of 16 numbers, 0 for paper and 1 for ink."
    )

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"model": "m-0123abcd", "source": "3 March 2014"},
                {"model": "m-4567cdef", "picture": [[0] * 16] * 16},
            ]
        }
    )


class DecodedToken(Wire):
    """A token that was written."""

    text: str
    probability: float = Field(description="Of this token, given those before it.")


class DecodeAnswer(Wire):
    """What was written, and what each token of it rests on."""

    text: str = Field(description="All of it.")
    source: list[str] = Field(description="The n tokens that were read; of a picture, the numbers of its patches.")
    tokens: list[DecodedToken] = Field(description="The m tokens that were written, `<end>` at their end.")
    attention: NestedAnswer = Field(
        description="[layer][head][i][j]: how much token i of the answer rests on token j of the source; none of a "
        "network without attention."
    )
    source_attention: NestedAnswer = Field(
        description="[layer][head][i][j], the same within the source, as the encoder read it; none of recurrent ones."
    )
