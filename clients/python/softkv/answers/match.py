"""A document that an answer names."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from softkv.answers.document import short
from softkv.record import Record
from softkv.wire.vectors import incoming, maybe_incoming

if TYPE_CHECKING:
    from softkv.wire.vectors import Array

_OTHERS = {
    "score": "a match has no score: write weight, its share of the answer, or similarity",
    "text": "a match has no text: write key, by which it was found, or value",
}
_SHOWN = ("id", "weight", "similarity", "key", "value")


class Part(Record):
    """Which key of a document spoke, and of which part of its text: characters from `start` up to `end`."""

    index: int
    start: int | None = None
    end: int | None = None


class Explanation(Record):
    """How it came: similarity / temperature + Σ addends = logit, logit + log_parts − log_partition = log_weight.

    Attributes:
        addends: what words and each term of a bias added, in the words of the wire; None where nothing was asked.
    """

    similarity: float
    temperature: float
    logit: float | None
    log_partition: float | None
    log_weight: float | None
    log_parts: float | None = None
    addends: list[Mapping[str, Any]] | None = None


class Match(Record):
    """A document and its share of the answer; fields that `include` did not ask for are None.

    Attributes:
        logit: similarity / temperature, and what was added; minus infinity where there is no weight at temperature 0;
            None where matches have no temperature, as those of a sweep.
        weight: its share, 0 to 1; None where matches have none.
        confidence: the chance that it is the right one, where the collection is calibrated and asked as it was.
        part: of a document of several keys, the one that is most similar.
    """

    _instead = _OTHERS

    id: str
    similarity: float
    logit: float | None = None
    weight: float | None = None
    confidence: float | None = None
    part: Part | None = None
    key: str | None = None
    value: Any = None
    metadata: Mapping[str, Any] | None = None
    key_vector: Array | None = None
    key_vectors: list[Array] | None = None
    parts: list[Mapping[str, int]] | None = None
    value_vector: Array | None = None
    explanation: Explanation | None = None

    def __repr__(self) -> str:
        shown = {name: each for name, each in self._fields().items() if name in _SHOWN and each is not None}
        return f"Match({', '.join(f'{name}={short(each)}' for name, each in shown.items())})"


_FIELDS = frozenset(Match.__annotations__)


def match(content: Mapping[str, Any]) -> Match:
    """A match from the wire."""
    fields = {name: each for name, each in content.items() if name in _FIELDS}
    if "logit" in fields and fields["logit"] is None:
        fields["logit"] = -math.inf
    if "part" in fields:
        fields["part"] = Part.read(fields["part"])
    if "explanation" in fields:
        fields["explanation"] = Explanation.read(fields["explanation"])
    for name in ("key_vector", "value_vector"):
        if name in fields:
            fields[name] = maybe_incoming(fields[name])
    if "key_vectors" in fields:
        fields["key_vectors"] = [incoming(each) for each in fields["key_vectors"]]
    return Match(**fields)
