"""Traces of a text through the layers of the model."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from softkv_attention.kernels import one_blas_thread
from softkv_service.encoding import (
    Encoder,
    Purpose,
    TracedText,
    read_pair,
    trace_layers,
    trace_without_heads,
    traceable,
)
from softkv_service.retrieval.errors import Flaw, InvalidContent, TooLarge

if TYPE_CHECKING:  # imported at run time only by processes that load a model
    from softkv_attention.transformer import SentenceEncoder, TracedLayer

MAX_CHARACTERS = 65_536  # far more than the tokens of any model; a longer text is refused without tokenising it
MAX_NUMBERS = 2**20
MAX_TOKENS_WITHOUT_HEADS = 64
"""The most tokens of a text that is encoded once without each head."""
NEURONS = 8
"""The neurons of a layer that a trace shows for each token."""
OF_HEADS = {"attention": "weights", "logits": "logits", "query": "query", "key": "key", "value": "value"}
"""The arrays by head: their names in an answer, and in a TracedLayer."""
HIDDEN_STATES = ("input", "attention", "middle", "feed_forward", "output")
"""The hidden states of a layer, in the order of computation: fields of a TracedLayer."""
OF_WHOLE_TEXTS = ("vector", "without_head")
"""The arrays that only a text alone has, if each of its tokens sees all of it."""


@dataclass(frozen=True)
class Trace:
    """The tokens of a text, and what the model computes from them.

    Attributes:
        text: the tokens.
        layers: the indices of the traced layers, in the requested order.
        heads: the indices of their heads.
        arrays: float32 arrays by their names in the answer; those of `vector` and `neurons` have names below these.
        changes: how far each step of each layer moves each token, if requested.
    """

    text: TracedText
    layers: list[int]
    heads: Sequence[int]
    arrays: dict[str, Any]
    changes: list[dict[str, Any]] | None


def trace_text(
    encoder: Encoder,
    text: str,
    pair: str | None,
    *,
    purpose: Purpose | None,
    layers: Sequence[int] | None,
    heads: Sequence[int] | None,
    causal: bool,
    include: Collection[str],
) -> Trace:
    """Trace a text, or a pair of texts, through the layers of the model; blocks.

    Args:
        encoder: the model.
        text: the text.
        pair: a second text after it; None for none.
        purpose: the model's prompt for it is read before the text; None for no prompt.
        layers: the layers to return, from 0, or from the last one as −1; None for the last.
        heads: the heads to return, counted in the same way; None for all.
        causal: whether each token attends only to itself and those before it.
        include: the names of further arrays to return, on which the limit of the answer's size depends.

    Raises:
        InvalidContent: the model has no such layer or head, or the text is not alone and has no vector.
        TooLarge: the text is too long, or the answer too large.
        Untraceable: the model cannot be traced.
    """
    model = traceable(encoder)
    chosen = [-1] if layers is None else list(layers)
    n_layers, n_heads = len(model.encoder.layers), model.encoder.layers[0].attention.n_heads
    _check_numbers("layer", chosen, n_layers)
    _check_numbers("head", heads or [], n_heads)
    alone = [name for name in OF_WHOLE_TEXTS if name in include]
    if alone and (causal or pair is not None):
        raise InvalidContent.at(
            "/include", f"{alone[0]} is of one text without causal: leave out pair and causal, or {alone[0]}"
        )
    if len(text) + len(pair or "") > MAX_CHARACTERS:
        raise TooLarge.at("/text", f"{len(text) + len(pair or '')} characters came, a trace takes {MAX_CHARACTERS}")
    read = read_pair(encoder, text, pair, purpose)
    n, h = len(read.ids), n_heads if heads is None else len(heads)
    if encoder.max_tokens is not None and n > encoder.max_tokens:
        raise TooLarge.at("/text", f"the text has {n} tokens, {encoder.name} reads {encoder.max_tokens}: shorten it")
    if "without_head" in include and n > MAX_TOKENS_WITHOUT_HEADS:
        raise TooLarge.at(
            "/text",
            f"the text has {n} tokens, without_head takes {MAX_TOKENS_WITHOUT_HEADS}: shorten it, or leave out "
            "without_head",
        )
    numbers = _count_numbers(model, include, n, len(chosen), h)
    if numbers > MAX_NUMBERS:
        raise TooLarge.at(
            "/layers",
            f"the answer would hold {numbers} numbers, at most {MAX_NUMBERS} are sent: name fewer layers or heads, "
            "or a shorter text",
        )
    with one_blas_thread():
        last = [n_layers - 1] if "vector" in include else []
        traced = trace_layers(model, read, layers=[*chosen, *last], heads=heads, causal=causal)
        shown = traced[: len(chosen)]
        arrays: dict[str, Any] = {
            name: np.stack([getattr(layer, field) for layer in shown])
            for name, field in OF_HEADS.items()
            if name == "attention" or name in include
        }
        if "written" in include:
            arrays["written"] = np.stack(
                [model.encoder.layers[layer.layer].attention.write(layer.head_output, layer.heads) for layer in shown]
            )
        if "hidden_states" in include:
            arrays["hidden_states"] = np.stack([[getattr(layer, name) for name in HIDDEN_STATES] for layer in shown])
        if "neurons" in include:
            arrays["neurons"] = _neurons(model, shown)
        if "vector" in include:
            arrays["vector"] = _vector(encoder, model, text, purpose, traced[-1].output)
        if "without_head" in include:
            arrays["without_head"] = trace_without_heads(model, read)
        changes = [_changes(layer) for layer in shown] if "changes" in include else None
        return Trace(read, [layer.layer for layer in shown], shown[0].heads, arrays, changes)


def _count_numbers(model: SentenceEncoder, include: Collection[str], n: int, n_layers: int, n_heads: int) -> int:
    """Return how many numbers the answer about n tokens has."""
    attention = model.encoder.layers[0].attention
    width, d_model = int(attention.W_Q.shape[-1]) // attention.n_heads, int(attention.W_O.shape[-1])
    of_head = {"attention": n, "logits": n, "query": width, "key": width, "value": width, "written": d_model}
    of_layer = {"hidden_states": len(HIDDEN_STATES) * d_model, "neurons": 4 * NEURONS}
    numbers = n_layers * n * n_heads * sum(of_head[name] for name in of_head if name == "attention" or name in include)
    numbers += n_layers * n * sum(of_layer[name] for name in of_layer if name in include)
    if "without_head" in include:
        numbers += len(model.encoder.layers) * attention.n_heads * model.dimension
    return numbers


def _neurons(model: SentenceEncoder, layers: Sequence[TracedLayer]) -> dict[str, NDArray[Any]]:
    """Return the strongest neurons of each layer for each token, by their fields: [layer, n, k]."""
    from softkv_attention.transformer import Neurons, strongest_neurons

    strongest = [strongest_neurons(model.encoder.layers[layer.layer], layer.middle, NEURONS) for layer in layers]
    return {name: np.stack([getattr(neurons, name) for neurons in strongest]) for name in Neurons._fields}


def _vector(
    encoder: Encoder, model: SentenceEncoder, text: str, purpose: Purpose | None, output: NDArray[np.float32]
) -> dict[str, NDArray[np.float32]]:
    """Return the vector of a text: pooled, as the steps of the trace end, and as the service searches with it."""
    y = output if model.encoder.norm is None else model.encoder.norm(output)
    pooled = model.join_poolings(y, np.ones(len(y), np.bool))
    vector = {"pooled": pooled, "embedding": model.finish(pooled)}
    if purpose is not None:
        vector["searched"] = encoder.encode([text], purpose).vectors[0]
    return vector


def _changes(layer: TracedLayer) -> dict[str, Any]:
    return {
        "attention": layer.attention_change,
        "feed_forward": layer.feed_forward_change,
        "layer": layer.change,
    }


def _check_numbers(kind: str, numbers: Sequence[int], count: int) -> None:
    flaws = [
        Flaw(
            f"/{kind}s/{i}",
            f"the model has the {kind}s 0 to {count - 1}, or −{count} to −1 from the last; got {number}",
        )
        for i, number in enumerate(numbers)
        if not -count <= number < count
    ]
    if flaws:
        raise InvalidContent(flaws)
