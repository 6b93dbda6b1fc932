"""Calls without a collection: encode texts, trace a model's heads, attend over arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from softkv import validation
from softkv.answers.arrays import Attended, Embeddings, RankedDocument, Trace, parse_attended, parse_embeddings
from softkv.answers.arrays import parse_trace as traced
from softkv.calls.call import WRITE_TIMEOUT, Call, Plan, ServiceCache
from softkv.calls.service import get_limit
from softkv.problems import invalid_value, invalid_value_at
from softkv.questions import Normaliser, TracedField
from softkv.wire import VECTOR_FORMAT, drop_omitted, encode_json, to_nested_lists

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from softkv.answers.encoded import Encoded

Purpose: TypeAlias = Literal["document", "query"]
# A request of this size takes moments, and its answer has one or two megabytes.
_TEXTS_PER_CALL = 1000


def encode(
    cache: ServiceCache,
    texts: Sequence[str],
    *,
    model: str | None = None,
    purpose: Purpose | None = None,
    tokens: bool = False,
) -> Plan[Encoded]:
    """Encode texts as vectors.

    Args:
        texts: any number of texts; they are sent in several requests.
        model: a name that `models()` lists; the service's model if left out.
        purpose: whether the texts are documents or queries, for models that distinguish them.
        tokens: whether to return the tokens of each text.

    Returns:
        An `Encoded`: float32 [n, d] with a row per text, and attributes such as `token_counts` and `truncated`.

    Raises:
        Invalid: `texts` is not a list of texts.
        Unsupported: the service has no encoder.

    Example:
        >>> client.encode(["pets that purr", "tax law"]).shape
    """
    if isinstance(texts, str):
        raise invalid_value("/texts", "wanted a list of texts, got one text: write encode([text])[0]")
    text_list = validation.require_list(texts, "/texts")
    batch_size = min(
        _TEXTS_PER_CALL, (yield from get_limit(cache, "encode_texts_with_tokens" if tokens else "encode_texts"))
    )
    options = drop_omitted(model=model, purpose=purpose, tokens=tokens or None, vector_format=VECTOR_FORMAT)
    answers = []
    for begin in range(0, max(len(text_list), 1), batch_size):
        content = encode_json({"texts": text_list[begin : begin + batch_size], **options})
        call: Call[Mapping[str, Any]] = Call("POST", "/v1/encode", _parse_json, content=content, timeout=WRITE_TIMEOUT)
        answers.append((yield from call))
    from softkv.answers.encoded import parse_encoded

    return parse_encoded(answers)


def rerank(
    cache: ServiceCache, query: str, documents: Sequence[str], *, model: str | None = None, top_n: int | None = None
) -> Call[list[RankedDocument]]:
    """Order documents by their relevance to a query, by a cross-encoder of the service.

    Args:
        query: the query.
        documents: 1 to 1,000 texts.
        model: the name of a reranker; the first one of the service if left out.
        top_n: how many documents to return; all if left out.

    Returns:
        A list of `RankedDocument`, the most relevant first.

    Raises:
        Invalid: a text is missing or too long.
        NotFound: the service has no such reranker.

    Example:
        >>> best = client.rerank("what does a cat need?", ["a cat needs sleep", "tax law"])[0]
    """
    content = encode_json(
        drop_omitted(query=query, documents=validation.require_list(documents, "/documents"), model=model, top_n=top_n)
    )

    def parse(reply: Any) -> list[RankedDocument]:
        return [RankedDocument.read(result) for result in reply.json()["results"]]

    return Call("POST", "/v1/rerank", parse, content=content, timeout=WRITE_TIMEOUT)


def score(
    cache: ServiceCache, text_1: str | Sequence[str], text_2: str | Sequence[str], *, model: str | None = None
) -> Call[list[float]]:
    """Score pairs of texts by a cross-encoder of the service.

    Args:
        text_1: the first text of all pairs, or a list with that of each pair.
        text_2: the second texts.
        model: the name of a reranker; the first one of the service if left out.

    Returns:
        A list with the score of each pair, in order.

    Raises:
        Invalid: the lists have unlike lengths, or a text is too long.
        NotFound: the service has no such reranker.

    Example:
        >>> client.score("what does a cat need?", ["sleep", "tax law"])
    """
    first, second = (text if isinstance(text, str) else list(text) for text in (text_1, text_2))
    content = encode_json(drop_omitted(text_1=first, text_2=second, model=model))

    def parse(reply: Any) -> list[float]:
        return [line["score"] for line in reply.json()["data"]]

    return Call("POST", "/v1/score", parse, content=content, timeout=WRITE_TIMEOUT)


def trace(
    cache: ServiceCache,
    text: str,
    pair: str | None = None,
    *,
    model: str | None = None,
    layers: Sequence[int] | None = None,
    heads: Sequence[int] | None = None,
    causal: bool = False,
    purpose: Purpose | None = None,
    include: Sequence[TracedField] | None = None,
) -> Call[Trace]:
    """Return the attention weights of each head of a model for a text.

    docs/guide/encoding.md explains each argument.

    Args:
        text: the text to encode.
        pair: a second text, encoded after the first.
        model: a name that `models()` lists; the service's model if left out.
        layers: the layers to return; the last if left out.
        heads: the heads to return; all if left out.
        causal: whether each token attends only to itself and earlier tokens.
        purpose: whose prompt the model reads before the text; no prompt if left out.
        include: further arrays to return.

    Returns:
        A `Trace`.

    Raises:
        Invalid: a layer, a head or another argument does not exist.

    Example:
        >>> client.trace("pets that purr").attention.shape
    """
    request = drop_omitted(
        text=text,
        pair=pair,
        model=model,
        layers=layers,
        heads=heads,
        causal=causal or None,
        purpose=purpose,
        include=include,
    )
    content = encode_json({**request, "vector_format": VECTOR_FORMAT})
    return Call("POST", "/v1/trace", lambda reply: traced(reply.json()), content=content, timeout=WRITE_TIMEOUT)


def attend(
    cache: ServiceCache,
    query: ArrayLike,
    key: ArrayLike,
    value: ArrayLike,
    *,
    similarity: Literal["cosine", "dot", "scaled_dot", "gaussian", "bilinear", "additive"] | None = None,
    temperature: float | None = None,
    mask: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    null: float | None = None,
    normaliser: Normaliser | None = None,
    parameters: Mapping[str, ArrayLike] | None = None,
    projections: Mapping[str, Any] | None = None,
    hopfield_steps: int | None = None,
    include: Sequence[Literal["weights", "logits"]] | None = None,
    intermediates: bool = False,
) -> Call[Attended]:
    """Attend over arrays that are sent with the call.

    The shapes are query [m, d], key [n, d] and value [n, d_v]; leading dimensions broadcast.

    Args:
        query: the queries.
        key: the keys.
        value: the values.
        similarity: how queries are compared with keys.
        temperature: 0, or from 1e-30 on.
        mask: true for each key that may be attended to.
        bias: numbers that are added to the logits.
        null: the similarity of an additional key with the value zero.
        normaliser: the function that turns logits into weights.
        parameters: `W` for bilinear; `W_q`, `W_k` and `v` for additive similarity.
        projections: `W_Q`, `W_K`, `W_V`, `W_O` and `n_heads` for multi-head attention.
        hopfield_steps: the number of attention steps, each with the previous output as the query.
        include: which of the two matrices to return; both if left out. For many queries and keys, leave both out with
            `[]`.
        intermediates: whether to return every intermediate array by name.

    Returns:
        An `Attended`.

    Raises:
        Invalid: the shapes do not fit, or an argument is out of range.

    Example:
        >>> client.attend([[1.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]], [[1.0], [2.0]]).weights
    """
    arrays = {"query": query, "key": key, "value": value, "mask": mask, "bias": bias}
    request = {name: to_nested_lists(array, f"/{name}") for name, array in arrays.items() if array is not None}
    request |= drop_omitted(
        similarity=similarity,
        temperature=temperature,
        null=null,
        normaliser=normaliser,
        parameters=_nest_arrays(parameters, "/parameters"),
        projections=_nest_arrays(projections, "/projections"),
        hopfield_steps=hopfield_steps,
        include=include,
        intermediates=intermediates or None,
        vector_format=VECTOR_FORMAT,
    )
    return Call("POST", "/v1/attend", lambda reply: parse_attended(reply.json()), content=encode_json(request))


def embed(
    cache: ServiceCache,
    input: str | Sequence[str] | Sequence[int] | Sequence[Sequence[int]],  # noqa: A002  # OpenAI's name
    model: str,
    *,
    dimensions: int | None = None,
    purpose: Purpose | None = None,
) -> Call[Embeddings]:
    """Encode texts through the endpoint that is compatible with OpenAI's.

    `encode` accepts more texts and returns more about each.

    Args:
        input: a text, a list of texts, a list of tokens, or a list of lists of tokens.
        model: the name of the model.
        dimensions: the width of the vectors.
        purpose: whether the texts are documents or queries.

    Returns:
        An `Embeddings`.

    Raises:
        Invalid: an argument is invalid.

    Example:
        >>> client.embed("pets that purr", client.info().encoder).vectors.shape
    """
    request = drop_omitted(
        input=input, model=model, dimensions=dimensions, purpose=purpose, encoding_format=VECTOR_FORMAT
    )
    return Call(
        "POST",
        "/v1/embeddings",
        lambda reply: parse_embeddings(reply.json()),
        content=encode_json(request),
        timeout=WRITE_TIMEOUT,
    )


def _parse_json(reply: Any) -> Mapping[str, Any]:
    """Parse the JSON object in a reply."""
    content: Mapping[str, Any] = reply.json()
    return content


def _nest_arrays(arrays: Mapping[str, Any] | None, pointer: str) -> dict[str, Any] | None:
    """Convert named arrays to nested lists; keep the number `n_heads`."""
    if arrays is None:
        return None
    if not isinstance(arrays, Mapping):
        raise invalid_value_at(pointer, f"wanted arrays by their names, got {validation.describe_value(arrays)}")
    return {
        name: array if name == "n_heads" else to_nested_lists(array, f"{pointer}/{name}")
        for name, array in arrays.items()
    }
