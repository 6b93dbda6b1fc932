"""The calls that need no collection: texts to vectors, what heads look at, attention on arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from softkv.answers.arrays import Attended, Embeddings, Trace, attended, embeddings
from softkv.answers.arrays import trace as traced
from softkv.calls.attending import Normaliser
from softkv.calls.call import WRITE_SECONDS, Call, Plan
from softkv.calls.place import Known
from softkv.calls.service import limit
from softkv.problems import flawed, misfit, refuse
from softkv.wire import checks
from softkv.wire.body import body, said
from softkv.wire.vectors import FORMAT, nested

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from softkv.answers.encoded import Encoded

Purpose: TypeAlias = Literal["document", "query"]
# What a request takes in moments; the answer to it has a megabyte or two.
_TEXTS_AT_ONCE = 1000


def encode(
    known: Known,
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
        raise flawed("/texts", "wanted a list of texts, got one text: write encode([text])[0]")
    asked = checks.several(texts, "/texts")
    most = min(_TEXTS_AT_ONCE, (yield from limit(known, "encode_texts_with_tokens" if tokens else "encode_texts")))
    options = said(model=model, purpose=purpose, tokens=tokens or None, vector_format=FORMAT)
    answers = []
    for begin in range(0, max(len(asked), 1), most):
        content = body({"texts": asked[begin : begin + most], **options})
        call: Call[Mapping[str, Any]] = Call("POST", "/v1/encode", _json, content=content, timeout=WRITE_SECONDS)
        answers.append((yield from call))
    from softkv.answers.encoded import encoded

    return encoded(answers)


def trace(
    known: Known,
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
    request = said(
        text=text, pair=pair, model=model, layers=layers, heads=heads, causal=causal or None, include=include
    )
    content = body({**request, "vector_format": FORMAT})
    return Call("POST", "/v1/trace", lambda reply: traced(reply.json()), content=content, timeout=WRITE_SECONDS)


def attend(
    known: Known,
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
    refuse(chain(checks.temperature(temperature), checks.number(hopfield_steps, "/hopfield_steps", least=0, most=100)))
    arrays = {"query": query, "key": key, "value": value, "mask": mask, "bias": bias}
    request = {name: nested(each, f"/{name}") for name, each in arrays.items() if each is not None}
    request |= said(
        similarity=similarity,
        temperature=temperature,
        null=null,
        normaliser=normaliser,
        parameters=_nested_each(parameters, "/parameters"),
        projections=_nested_each(projections, "/projections"),
        hopfield_steps=hopfield_steps,
        include=include,
        intermediates=intermediates or None,
        vector_format=FORMAT,
    )
    return Call("POST", "/v1/attend", lambda reply: attended(reply.json()), content=body(request))


def embed(
    known: Known,
    input: str | Sequence[str] | Sequence[int] | Sequence[Sequence[int]],  # noqa: A002  # OpenAI's name
    model: str,
    *,
    dimensions: int | None = None,
    purpose: Purpose | None = None,
) -> Call[Embeddings]:
    """Vectors as OpenAI's clients ask for them; `encode` takes more texts and says more of each."""
    refuse(checks.number(dimensions, "/dimensions", least=1))
    request = said(input=input, model=model, dimensions=dimensions, purpose=purpose, encoding_format=FORMAT)
    return Call(
        "POST",
        "/v1/embeddings",
        lambda reply: embeddings(reply.json()),
        content=body(request),
        timeout=WRITE_SECONDS,
    )


def _json(reply: Any) -> Mapping[str, Any]:
    content: Mapping[str, Any] = reply.json()
    return content


def _nested_each(arrays: Mapping[str, Any] | None, pointer: str) -> dict[str, Any] | None:
    """Arrays by name as nested lists; a number stays one."""
    if arrays is None:
        return None
    if not isinstance(arrays, Mapping):
        raise misfit(pointer, f"wanted arrays by their names, got {checks.came(arrays)}")
    return {name: each if name == "n_heads" else nested(each, f"{pointer}/{name}") for name, each in arrays.items()}
