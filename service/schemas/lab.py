"""The lab on the wire: training a small model, and decoding with it."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from annotated_types import Len
from pydantic import ConfigDict, Field

from service.lab import MOST_SECONDS, Model
from service.schemas.vector import NestedAnswer
from service.schemas.wire import Form, InParts, Text, Wire

LabTask = Literal["copy", "reverse", "dates", "numbers", "pictures", "pairs"]
MOST_PAIRS = 64
MOST_STEPS = 100_000
MAX_SEED = 2**32 - 1


class LabPair(Wire):
    """A question and the key that it belongs to."""

    query: Text = Field(description="What attends.")
    key: Text = Field(description="What it is to attend to, before all other pairs' keys.")


class TrainRequest(Wire):
    """What to train, and for how long."""

    task: LabTask = Field(
        description="`copy` and `reverse` letters; `dates` → ISO 8601; English `numbers` → French ones; `pictures` → "
        "what they show; or W_Q and W_K of `pairs`."
    )
    model: Model = Field(
        "transformer",
        description="Or a recurrent network of as many parameters, with Bahdanau's attention over the source or "
        "without. Pictures and pairs have the first only.",
    )
    seconds: float = Field(30, ge=1, le=MOST_SECONDS, description="How long it may take from the first step on.")
    steps: int | None = Field(
        None, ge=1, le=MOST_STEPS, description="At most so many; then what is learned follows from the seed alone."
    )
    seed: int = Field(0, ge=0, le=MAX_SEED, description="Of the first parameters, the examples and the tests.")
    pairs: Annotated[list[LabPair], Len(2, MOST_PAIRS), InParts] | None = Field(
        None, description="For the task `pairs`, from 2 to 64; every fifth is not learned from."
    )

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"task": "dates", "seconds": 1},
                {"task": "reverse", "model": "gru", "seconds": 2, "steps": 1, "seed": 1},
                {
                    "task": "pairs",
                    "steps": 2,
                    "pairs": [{"query": "purrs", "key": "a cat"}, {"query": "barks", "key": "a dog"}],
                },
            ]
        }
    )


class LabModel(Wire):
    """A model that was trained."""

    id: str
    task: LabTask
    model: Model
    parameters: int = Field(description="How many numbers it learned.")
    accuracy: float = Field(description="On unseen sources of the trained lengths, all of the target right.")
    seconds: float = Field(description="What its training might take.")
    seed: int


class LabAnswer(Wire):
    """What the lab is at."""

    open: bool = Field(description="Whether the caller may train here.")
    training: bool = Field(description="Whether a model is being trained: one is at a time.")
    models: list[LabModel] = Field(description="Those that are kept, the last one first, until the service ends.")


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
