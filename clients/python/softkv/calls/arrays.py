"""The calls that need no collection: texts to vectors, what heads look at, attention on arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from softkv import validation
from softkv.answers.arrays import Attended, Embeddings, Trace, parse_attended, parse_embeddings
from softkv.answers.arrays import parse_trace as traced
from softkv.calls.call import WRITE_TIMEOUT, Call, Plan, ServiceCache
from softkv.calls.queries import Normaliser
from softkv.calls.service import get_limit
from softkv.problems import invalid_value, invalid_value_at, raise_flaws
from softkv.wire import VECTOR_FORMAT, drop_omitted, encode_json, to_nested_lists

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from softkv.answers.encoded import Encoded

Purpose: TypeAlias = Literal["document", "query"]
# What a request takes in moments; the answer to it has a megabyte or two.
_TEXTS_PER_CALL = 1000


def encode(
    known: ServiceCache,
    texts: Sequence[str],
    *,
    model: str | None = None,
    purpose: Purpose | None = None,
    tokens: bool = False,
) -> Plan[Encoded]:
    """Texts → float32 [n, d], a row a text, with `.token_counts` and `.truncated` beside it.

    Args:
        texts: of any number; they go to the service in parts.
        model: a name of `models()`; left out, the service's.
        purpose: whether they are documents or queries, to a model that reads these differently.
        tokens: the tokens of each text too.
    """
    if isinstance(texts, str):
        raise invalid_value("/texts", "wanted a list of texts, got one text: write encode([text])[0]")
    asked = validation.require_list(texts, "/texts")
    most = min(_TEXTS_PER_CALL, (yield from get_limit(known, "encode_texts_with_tokens" if tokens else "encode_texts")))
    options = drop_omitted(model=model, purpose=purpose, tokens=tokens or None, vector_format=VECTOR_FORMAT)
    answers = []
    for begin in range(0, max(len(asked), 1), most):
        content = encode_json({"texts": asked[begin : begin + most], **options})
        call: Call[Mapping[str, Any]] = Call("POST", "/v1/encode", _parse_json, content=content, timeout=WRITE_TIMEOUT)
        answers.append((yield from call))
    from softkv.answers.encoded import parse_encoded

    return parse_encoded(answers)


def trace(
    known: ServiceCache,
    text: str,
    pair: str | None = None,
    *,
    model: str | None = None,
    layers: Sequence[int] | None = None,
    heads: Sequence[int] | None = None,
    causal: bool = False,
    include: Sequence[Literal["logits", "query", "key", "value", "changes"]] | None = None,
) -> Call[Trace]:
    """Follow a text, and perhaps a second one behind it, through a model; docs/encoding.md tells of each argument."""
    request = drop_omitted(
        text=text, pair=pair, model=model, layers=layers, heads=heads, causal=causal or None, include=include
    )
    content = encode_json({**request, "vector_format": VECTOR_FORMAT})
    return Call("POST", "/v1/trace", lambda reply: traced(reply.json()), content=content, timeout=WRITE_TIMEOUT)


def attend(
    known: ServiceCache,
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
    """Attention on arrays of your own: query [m, d], key [n, d], value [n, d_v]; leading dimensions broadcast.

    Args:
        mask: true where a key may be attended to.
        bias: added to the logits.
        null: the similarity of one more key, whose value is zero.
        parameters: `W` of bilinear; `W_q`, `W_k` and `v` of additive.
        projections: `W_Q`, `W_K`, `W_V`, `W_O` and `n_heads`: multi-head attention.
        hopfield_steps: attend so many times, each output the next query.
        include: which of the two matrices to answer, both if left out; many queries of many keys want neither.
        intermediates: every array on the way, by its name.
    """
    raise_flaws(
        chain(
            validation.check_temperature(temperature),
            validation.check_number(hopfield_steps, "/hopfield_steps", least=0, most=100),
        )
    )
    arrays = {"query": query, "key": key, "value": value, "mask": mask, "bias": bias}
    request = {name: to_nested_lists(each, f"/{name}") for name, each in arrays.items() if each is not None}
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
    known: ServiceCache,
    input: str | Sequence[str] | Sequence[int] | Sequence[Sequence[int]],  # noqa: A002  # OpenAI's name
    model: str,
    *,
    dimensions: int | None = None,
    purpose: Purpose | None = None,
) -> Call[Embeddings]:
    """Vectors as OpenAI's clients ask for them; `encode` takes more texts and says more of each."""
    raise_flaws(validation.check_number(dimensions, "/dimensions", least=1))
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
    content: Mapping[str, Any] = reply.json()
    return content


def _nest_arrays(arrays: Mapping[str, Any] | None, pointer: str) -> dict[str, Any] | None:
    """Arrays by name as nested lists; a number stays one."""
    if arrays is None:
        return None
    if not isinstance(arrays, Mapping):
        raise invalid_value_at(pointer, f"wanted arrays by their names, got {validation.describe_value(arrays)}")
    return {
        name: each if name == "n_heads" else to_nested_lists(each, f"{pointer}/{name}") for name, each in arrays.items()
    }
