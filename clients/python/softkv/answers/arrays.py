"""What comes of arrays and of one text: attention with its steps, a trace of a model's heads, OpenAI's embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from softkv.record import Record
from softkv.wire import decode_array, decode_optional_array

if TYPE_CHECKING:
    from softkv.wire import Array


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


def parse_attended(content: Mapping[str, Any]) -> Attended:
    """Attention on arrays from the wire."""
    return Attended(
        decode_array(content["output"]),
        decode_optional_array(content.get("weights")),
        decode_optional_array(content.get("logits")),
        decode_optional_array(content["log_partition"]),
        decode_array(content["null_weight"]),
        {name: decode_array(each) for name, each in content.get("intermediates", {}).items()},
    )


def parse_trace(content: Mapping[str, Any]) -> Trace:
    """A trace from the wire."""
    changes = content.get("changes")
    return Trace(
        content["model"],
        [Token(each["text"], each["start"], each["end"], each["sequence"]) for each in content["tokens"]],
        content["layers"],
        content["heads"],
        decode_array(content["attention"]),
        decode_optional_array(content.get("logits")),
        decode_optional_array(content.get("query")),
        decode_optional_array(content.get("key")),
        decode_optional_array(content.get("value")),
        None if changes is None else [{name: decode_array(moved) for name, moved in each.items()} for each in changes],
    )


def parse_embeddings(content: Mapping[str, Any]) -> Embeddings:
    """Embeddings from the wire, each in base64."""
    import numpy as np

    found = sorted(content["data"], key=lambda each: int(each["index"]))
    vectors = [decode_array({"base64": each["embedding"]}) for each in found]
    usage = content["usage"]
    return Embeddings(
        np.stack(vectors), content["model"], usage["prompt_tokens"], usage["total_tokens"], content["truncated"]
    )
