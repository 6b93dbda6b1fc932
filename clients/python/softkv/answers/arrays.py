"""Results of calls on arrays and single texts: attention, traces of a model's heads, embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from softkv.answers.info import TrainingReport
from softkv.record import Record
from softkv.wire import decode_array, decode_optional_array

if TYPE_CHECKING:
    from softkv.wire import Array


class Attended(Record):
    """The result of attention on arrays: output, weights and logits.

    A number that is not finite is NaN, such as the logit of a masked key. Weights and logits are None if `include`
    leaves them out. `intermediates` has every intermediate array by name if it was requested.
    """

    output: Array
    weights: Array | None
    logits: Array | None
    log_partition: Array | None
    null_weight: Array
    intermediates: Mapping[str, Array]


class Projection(Record):
    """The map q → q + (q·downᵀ)·up of a collection's queries.

    Attributes:
        rank, at, trained: as in `ProjectionInfo`.
        down, up: [r, d], the directions that are read from a query, and what each adds.
    """

    rank: int
    at: str
    trained: TrainingReport | None
    down: Array
    up: Array


def parse_projection(content: Mapping[str, Any] | None) -> Projection | None:
    """Parse a projection; return None for null."""
    if content is None:
        return None
    down, up = (decode_array([decode_array(vector) for vector in content[name]]) for name in ("down", "up"))
    trained = content["trained"] and TrainingReport.read(content["trained"])
    return Projection.read(content, trained=trained, down=down, up=up)


class Token(Record):
    """A token of a model: characters `start` to `end` (exclusive) of a text.

    `sequence` is 0 for the text and 1 for its pair, or None for the model's special tokens.
    """

    text: str
    start: int
    end: int
    sequence: int | None


class Trace(Record):
    """The attention of a model's heads for one text or a pair of texts.

    It has no `plot()`, as one picture shows one head: `pyplot.imshow(trace.attention[0, 3])`.

    Attributes:
        attention: [layer, head, i, j], the weight of token j for token i.
        changes: how far each layer moves each token, if requested: by `attention`, by `feed_forward`, and by the whole
            `layer`.
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


class RankedDocument(Record):
    """A document of a reranking: its position in the request, and its relevance, 0 to 1."""

    index: int
    relevance_score: float


class Embeddings(Record):
    """Vectors [n, d] in the form of OpenAI's API, with the number of tokens.

    Attributes:
        prompt_tokens, total_tokens: the number of tokens.
        estimated: whether these are estimated from the characters, because an encoder behind a URL does not tell them.
        truncated: the indices of texts that are longer than the model reads; None if the encoder does not tell.
    """

    vectors: Array
    model: str
    prompt_tokens: int
    total_tokens: int
    truncated: list[int] | None
    estimated: bool


def parse_attended(content: Mapping[str, Any]) -> Attended:
    """Parse the response of attention on arrays."""
    return Attended(
        decode_array(content["output"]),
        decode_optional_array(content.get("weights")),
        decode_optional_array(content.get("logits")),
        decode_optional_array(content["log_partition"]),
        decode_array(content["null_weight"]),
        {name: decode_array(array) for name, array in content.get("intermediates", {}).items()},
    )


def parse_trace(content: Mapping[str, Any]) -> Trace:
    """Parse the response with a trace of a model's heads."""
    changes = content.get("changes")
    return Trace(
        content["model"],
        [Token(item["text"], item["start"], item["end"], item["sequence"]) for item in content["tokens"]],
        content["layers"],
        content["heads"],
        decode_array(content["attention"]),
        decode_optional_array(content.get("logits")),
        decode_optional_array(content.get("query")),
        decode_optional_array(content.get("key")),
        decode_optional_array(content.get("value")),
        None
        if changes is None
        else [{name: decode_array(distances) for name, distances in item.items()} for item in changes],
    )


def parse_embeddings(content: Mapping[str, Any]) -> Embeddings:
    """Parse the response with embeddings, each in base64."""
    import numpy as np

    items = sorted(content["data"], key=lambda item: int(item["index"]))
    vectors = [decode_array({"base64": item["embedding"]}) for item in items]
    usage = content["usage"]
    return Embeddings(
        np.stack(vectors),
        content["model"],
        usage["prompt_tokens"],
        usage["total_tokens"],
        content["truncated"],
        usage.get("estimated", False),
    )
