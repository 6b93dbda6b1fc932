"""Models of the lab's calls: training a small model, and decoding with it."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Len
from pydantic import ConfigDict, Field

from softkv_service.schemas.vector import NestedAnswer
from softkv_service.schemas.wire import InParts, Text, Wire, exactly_one
from softkv_workshop.lab import MAX_SECONDS, Model

LabTask = Literal["copy", "reverse", "dates", "numbers", "translation", "pictures", "pairs"]
MOST_PAIRS = 64
MOST_STEPS = 100_000
MAX_SEED = 2**32 - 1


class LabPair(Wire):
    """A pair to train on: a question, and the key that should get the most weight for it."""

    query: Text = Field(description="The text that attends.")
    key: Text = Field(description="The text that it shall attend to most, among the keys of all pairs.")


class TrainRequest(Wire):
    """A training run: the task, the kind of model, and the time limit."""

    task: LabTask = Field(
        description="`copy` and `reverse` letters; `dates` → ISO 8601; English `numbers` → French ones; "
        "`translation` of short English sentences → French; `pictures` → what they show; or W_Q and W_K of `pairs`."
    )
    model: Model = Field(
        "transformer",
        description="A transformer, or a recurrent network (GRU) of as many parameters, with or without "
        "Bahdanau's attention over the source. For pictures and pairs, only a transformer.",
    )
    seconds: float = Field(
        30, ge=1, le=MAX_SECONDS, description="Seconds from the first step on that the training may take."
    )
    steps: int | None = Field(
        None,
        ge=1,
        le=MOST_STEPS,
        description="The maximum number of steps. If it ends the training, the result follows from the seed alone.",
    )
    seed: int = Field(
        0, ge=0, le=MAX_SEED, description="The seed of the initial parameters, the examples and the tests."
    )
    pairs: Annotated[list[LabPair], Len(2, MOST_PAIRS), InParts] | None = Field(
        None, description="For the task `pairs`: 2 to 64 pairs. Every fifth is kept for the test."
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
    """A small model that the lab has trained, with its task and its accuracy."""

    id: str
    task: LabTask
    model: Model
    parameters: int = Field(description="The number of parameters.")
    accuracy: float = Field(
        description="The share of unseen sources, of the trained lengths, whose whole target is right."
    )
    seconds: float = Field(description="Seconds that its training was allowed to take.")
    seed: int


class LabAnswer(Wire):
    """The state of the lab: its trained models, and whether a model is being trained."""

    open: bool = Field(description="Whether the caller may train here.")
    training: bool = Field(description="Whether a model is being trained. Only one is trained at a time.")
    models: list[LabModel] = Field(
        description="The trained models that the service keeps until it stops, the newest first."
    )


MAX_SOURCE = 200  # characters
MAX_SIDE = 64  # rows of a picture, before its exact size is checked


class DecodeRequest(Wire):
    """An input for a trained model to decode, by exactly one of `source` and `picture`."""

    model: str = Field(max_length=64, description="The id of a trained model, from the event `trained`.")
    source: str | None = Field(
        None,
        max_length=MAX_SOURCE,
        description="A text as a person writes it: `3 March 2014`, `three hundred two`, `abcab`.",
    )
    picture: list[list[Annotated[float, Field(ge=0, le=1)]]] | None = Field(
        None, max_length=MAX_SIDE, description="16 rows of 16 numbers, 0 for paper and 1 for ink."
    )

    model_config = ConfigDict(
        json_schema_extra={
            **exactly_one("source", "picture"),
            "examples": [
                {"model": "m-0123abcd", "source": "3 March 2014"},
                {"model": "m-4567cdef", "picture": [[0] * 16] * 16},
            ],
        }
    )


class DecodedToken(Wire):
    """A token of a trained model's output."""

    text: str
    probability: float = Field(description="The probability of this token, given the tokens before it.")


class DecodeAnswer(Wire):
    """The output of a trained model, and the attention of each of its tokens."""

    text: str = Field(description="The whole output.")
    source: list[str] = Field(description="The n tokens of the source; for a picture, the numbers of its patches.")
    tokens: list[DecodedToken] = Field(description="The m tokens of the output, with `<end>` as the last.")
    attention: NestedAnswer = Field(
        description="[layer][head][i][j]: the weight of token j of the source for token i of the output; "
        "empty for a network without attention."
    )
    source_attention: NestedAnswer = Field(
        description="[layer][head][i][j]: the same within the source, in the encoder; empty for recurrent networks."
    )
