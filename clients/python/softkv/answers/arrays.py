"""Results of calls on arrays and single texts: attention, traces of a model's heads, embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

from softkv.answers.info import KeptProjection, TrainingReport
from softkv.record import LEFT_OUT, VECTORS, Record
from softkv.wire import decode_array, decode_optional_array

if TYPE_CHECKING:
    from softkv.wire import Array


class Attended(Record, schema="AttentionAnswer"):
    """The result of attention, with the same nesting as the arrays of the request.

    A number that is not finite is NaN, such as the logit of a masked key. Weights and logits are None if `include`
    leaves them out. `intermediates` has every intermediate array by name if it was requested.

    Attributes:
        output: [..., m, d_v]: weights · value, through W_O if there are projections.
        weights: [..., m, n], with heads [..., n_heads, m, n]; they sum to 1 with null_weight. Left out if `include`
            does not list them.
        logits: similarity / temperature + bias, in the shape of the weights; None for minus infinity. Left out if
            `include` does not list them.
        log_partition: [..., m]: ln Σ exp(logit), including the null key; None for normalisers other than softmax.
        null_weight: [..., m]: the weight of the null key; 0 without a null key.
        intermediates: by name: query, key, value (projected, split into heads), similarities, logits, weights,
            null_weight. With projections also heads and concatenated. With hopfield_steps instead states, weights
            and energies, one per step.
    """

    output: Array
    weights: Annotated[Array | None, LEFT_OUT]
    logits: Annotated[Array | None, LEFT_OUT]
    log_partition: Array | None
    null_weight: Array
    intermediates: Annotated[Mapping[str, Array], LEFT_OUT]


class Projection(KeptProjection, schema="StoredProjection"):
    """The map q → q + (q·downᵀ)·up of a collection's queries.

    Attributes:
        down, up: [r, d], the directions that are read from a query, and what each adds.
    """

    down: Annotated[Array, VECTORS]
    up: Annotated[Array, VECTORS]


class ProjectionFound(Record):
    """The projection of a collection.

    Attributes:
        projection: the map; None if queries are compared as they are.
        collection: the name of the collection that answered, if an alias was named.
    """

    projection: Projection | None
    collection: str | None = None


def parse_projection(content: Mapping[str, Any] | None) -> Projection | None:
    """Parse a projection; return None for null."""
    if content is None:
        return None
    down, up = (decode_array([decode_array(vector) for vector in content[name]]) for name in ("down", "up"))
    trained = content["trained"] and TrainingReport.read(content["trained"])
    return Projection.read(content, trained=trained, down=down, up=up)


class Piece(Record, schema="Token"):
    """A token: the piece of the text from character `start` up to `end`, in Unicode code points.

    Both are 0 for a token that is not in the text: a special token, such as `[CLS]`, or a token of the model's
    prompt.
    """

    text: str
    start: int
    end: int


class EncodeAnswer(Record):
    """The vectors of the texts, in order, and facts about how the model read each text.

    An encoder behind a URL does not tell the tokens of a text: then `token_counts`, `truncated` and
    `unknown_tokens` are None.

    Attributes:
        embeddings: [n, dimension]: one vector per text.
        token_counts: the number of tokens of each whole text, special tokens included.
        truncated: whether each text is longer than the model reads.
        unknown_tokens: the number of tokens of each text that the model does not know, and reads as one and the
            same.
        tokens: the tokens that the model reads of each text.
    """

    model: str
    dimension: int
    embeddings: Array
    token_counts: list[int] | None
    truncated: list[bool] | None
    unknown_tokens: list[int] | None
    tokens: list[list[Piece]] | None = None


class Token(Record, schema="TracedToken"):
    """A token of a traced text; `start` and `end` are 0 for a special token, which is in neither text.

    Attributes:
        start: the position of its first character in its text, in Unicode code points.
        sequence: 0 in the text, 1 in its pair; None if the model added it, such as [CLS].
    """

    text: str
    start: int
    end: int
    sequence: int | None


class Changes(TypedDict):
    """By how much each step of a layer changes each token's vector, as a share of the length of that vector: [n].

    Attributes:
        attention: the change by attention.
        feed_forward: the change by the feed-forward network.
        layer: the change by the whole layer, including normalisation.
    """

    attention: Array
    feed_forward: Array
    layer: Array


class Neurons(TypedDict):
    """For each token, the neurons of a layer's feed-forward network that count most: [layer, i, neuron].

    Attributes:
        index: the neuron, from 0.
        score: the product of the token with the neuron's key, and a bias, before the activation function.
        activation: the factor of the neuron's value.
        share: the neuron's share of what the network adds to the token; those of all neurons and of a bias sum to 1.
    """

    index: Array
    score: Array
    activation: Array
    share: Array


class TracedVector(TypedDict):
    """The vector of a traced text.

    Attributes:
        pooled: the vector that is pooled from those of the tokens.
        embedding: the embedding that the steps of the trace end with, in float32.
        searched: the embedding with which the service searches, in the number format of its encoder. Left out without
            a purpose.
    """

    pooled: Array
    embedding: Array
    searched: Annotated[Array, LEFT_OUT]


class Trace(Record, schema="TraceAnswer"):
    """The tokens, and how each token attends to the others, for each chosen layer and head.

    It has no `plot()`, as one picture shows one head: `pyplot.imshow(trace.attention[0, 3])`.

    Attributes:
        layers: the layers of the answer, from 0.
        heads: the heads of the answer, from 0.
        attention: [layer, head, i, j], the weight of token j for token i; rows sum to 1.
        logits: [layer, head, i, j]; None if `causal` hides token j.
        query, key, value: [layer, head, i, d_k].
        written: [layer, head, i, d], what the head adds to token i: its weighted sum of values, times its rows of W_O.
        hidden_states: [layer, step, i, d], the tokens as they come in; what attention adds; the tokens then; what the
            feed-forward network adds; the tokens as they go out.
        neurons: the neurons that count most for each token, by `index`, `score`, `activation` and `share`.
        vector: the text's vector, `pooled`, the `embedding`, and the one `searched` with if there is a purpose.
        without_head: [layer, head, d], the embedding with zeros for the output of that head alone, of all layers.
        changes: how far each layer moves each token, if requested: by `attention`, by `feed_forward`, and by the
            whole `layer`.
    """

    model: str
    tokens: list[Token]
    layers: list[int]
    heads: list[int]
    attention: Array
    logits: Annotated[Array | None, LEFT_OUT]
    query: Annotated[Array | None, LEFT_OUT]
    key: Annotated[Array | None, LEFT_OUT]
    value: Annotated[Array | None, LEFT_OUT]
    written: Annotated[Array | None, LEFT_OUT]
    hidden_states: Annotated[Array | None, LEFT_OUT]
    neurons: Annotated[Annotated[Mapping[str, Array], Neurons] | None, LEFT_OUT]
    vector: Annotated[Annotated[Mapping[str, Array], TracedVector] | None, LEFT_OUT]
    without_head: Annotated[Array | None, LEFT_OUT]
    changes: Annotated[list[Annotated[Mapping[str, Array], Changes]] | None, LEFT_OUT]


class RankedDocument(Record, closed=False):
    """A document of a reranking: its position in the request, and its relevance, 0 to 1.

    Attributes:
        index: the position of the document in the request, from 0.
        relevance_score: 1 / (1 + exp(−logit)), 0 to 1.
    """

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
        decode_optional_array(content.get("written")),
        decode_optional_array(content.get("hidden_states")),
        _parse_arrays(content.get("neurons")),
        _parse_arrays(content.get("vector")),
        decode_optional_array(content.get("without_head")),
        None if changes is None else [{name: decode_array(array) for name, array in item.items()} for item in changes],
    )


def _parse_arrays(arrays: Mapping[str, Any] | None) -> dict[str, Array] | None:
    return None if arrays is None else {name: decode_array(array) for name, array in arrays.items()}


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
