"""What comes of arrays and of one text: attention with its steps, a trace of a model's heads, OpenAI's embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from softkv.record import Record
from softkv.wire.vectors import incoming, maybe_incoming

if TYPE_CHECKING:
    from softkv.wire.vectors import Array


class Attended(Record):
    """Attention on arrays: what came of it, and where they were asked for all arrays on the way by their names.

    A number that is not finite is NaN, as the logit of a key that is masked. Weights and logits are None where
    `include` left them out.
    """

    output: Array
    weights: Array | None
    logits: Array | None
    log_partition: Array | None
    null_weight: Array
    intermediates: Mapping[str, Array]


class Token(Record):
    """What a model reads as one: characters from `start` up to `end`, of which text; None: the model's own."""

    text: str
    start: int
    end: int
    sequence: int | None


class Trace(Record):
    """What heads look at.

    Attributes:
        attention: [layer, head, i, j], the weight of token j for token i.
        changes: where they were asked for, how far each layer moves each token, by `attention`, by its `feed_forward`
            network, and as a whole `layer`.
    """

    model: str
    tokens: list[Token]
    layers: list[int]
    heads: list[int]
    attention: Array
    logits: Array | None
    query: Array | None
    key: Array | None
    value: Array | None
    changes: list[Mapping[str, Array]] | None


class Embeddings(Record):
    """Vectors of texts as OpenAI's calls answer them: [n, d], and how many tokens were read."""

    vectors: Array
    model: str
    prompt_tokens: int
    total_tokens: int
    truncated: list[int]


def attended(content: Mapping[str, Any]) -> Attended:
    """Attention on arrays from the wire."""
    return Attended(
        incoming(content["output"]),
        maybe_incoming(content.get("weights")),
        maybe_incoming(content.get("logits")),
        maybe_incoming(content["log_partition"]),
        incoming(content["null_weight"]),
        {name: incoming(each) for name, each in content.get("intermediates", {}).items()},
    )


def trace(content: Mapping[str, Any]) -> Trace:
    """A trace from the wire."""
    changes = content.get("changes")
    return Trace(
        content["model"],
        [Token(each["text"], each["start"], each["end"], each["sequence"]) for each in content["tokens"]],
        content["layers"],
        content["heads"],
        incoming(content["attention"]),
        maybe_incoming(content.get("logits")),
        maybe_incoming(content.get("query")),
        maybe_incoming(content.get("key")),
        maybe_incoming(content.get("value")),
        None if changes is None else [{name: incoming(moved) for name, moved in each.items()} for each in changes],
    )


def embeddings(content: Mapping[str, Any]) -> Embeddings:
    """Embeddings from the wire, each in base64."""
    import numpy as np

    found = sorted(content["data"], key=lambda each: int(each["index"]))
    vectors = [incoming({"base64": each["embedding"]}) for each in found]
    usage = content["usage"]
    return Embeddings(
        np.stack(vectors), content["model"], usage["prompt_tokens"], usage["total_tokens"], content["truncated"]
    )
