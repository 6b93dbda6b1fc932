"""The lab as a service answers it: models that were trained, and what they write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from softkv.record import Record
from softkv.wire.vectors import incoming

if TYPE_CHECKING:
    from softkv.wire.vectors import Array


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


def lab(content: Mapping[str, Any]) -> Lab:
    """The lab, as it is answered."""
    models = [LabModel.read(each) for each in content["models"]]
    return Lab(open=content["open"], training=content["training"], models=models)


def decoded(content: Mapping[str, Any]) -> Decoded:
    """What was written, as it is answered."""
    return Decoded(
        text=content["text"],
        source=content["source"],
        tokens=[DecodedToken.read(each) for each in content["tokens"]],
        attention=[incoming(each) for each in content["attention"]],
        source_attention=[incoming(each) for each in content["source_attention"]],
    )
