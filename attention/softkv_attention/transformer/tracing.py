"""A trace of one text through the layers of an encoder, for display."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from softkv_attention.arrays import Array, array_namespace
from softkv_attention.errors import ParameterError, ShapeError
from softkv_attention.masks import causal as causal_mask
from softkv_attention.transformer.sentence import SentenceEncoder


class TracedLayer(NamedTuple):
    """One layer's results for the n tokens of a text, in h requested heads.

    Attributes:
        layer: the layer's index, from 0.
        heads: the heads' indices, from 0.
        query, key, value: [h, n, d_k], normalised and rotated where the layer does so.
        logits: [h, n, n], before the normaliser, with the bias for relative positions; −∞ for a token out of reach.
        weights: [h, n, n]; row i holds the weights of token i over all tokens.
        attention_change: [n], how far attention moves each token: ‖update‖ / ‖token‖.
        feed_forward_change: [n], how far the feed-forward network moves each token.
        change: [n], how far the whole layer moves each token, including its normalisations.
    """

    layer: int
    heads: tuple[int, ...]
    query: Array
    key: Array
    value: Array
    logits: Array
    weights: Array
    attention_change: Array
    feed_forward_change: Array
    change: Array


def trace(
    model: SentenceEncoder,
    tokens: Array,
    types: Array | None = None,
    *,
    layers: Sequence[int] | None = None,
    heads: Sequence[int] | None = None,
    causal: bool = False,
) -> list[TracedLayer]:
    """Return the results of each requested layer for one text.

    Args:
        model: the model.
        tokens: integers [n]
        types: integers [n], the text of a pair that each token belongs to; None for 0.
        layers: indices of layers, from 0, or from the last as −1; None for the last layer.
        heads: indices of heads, counted alike; None for all heads.
        causal: whether each token attends only to itself and the tokens before it, as in a decoder; a causal model
            does so anyway.

    Returns:
        The requested layers, in the order of `layers`.

    Raises:
        ParameterError: a layer, a head or an id is beyond those of the model.
        ShapeError: the text has more tokens than the model has positions, or the tokens are not one row.
    """
    if tokens.ndim != 1 or tokens.shape[0] == 0:
        raise ShapeError(f"tokens must be one text's, of shape [n], got {tuple(tokens.shape)}: trace one at a time")
    stack = model.encoder.layers
    requested = [-1] if layers is None else layers
    layer_indices = [index("layer", layer, len(stack)) for layer in requested]
    x = model.embeddings(tokens, types)  # [n, d_model]
    mask = causal_mask(*2 * tokens.shape, like=tokens) if causal else None

    traced: dict[int, TracedLayer] = {}
    for i, steps in enumerate(model.encoder.steps(x, mask)):
        if i in layer_indices:
            attention, n_heads = steps.attention, stack[i].attention.n_heads
            head_indices = [index("head", head, n_heads) for head in (range(n_heads) if heads is None else heads)]
            key_heads = [head // stack[i].attention.group for head in head_indices]
            size = length(x)
            traced[i] = TracedLayer(
                layer=i,
                heads=tuple(head_indices),
                query=attention.query[head_indices],
                key=attention.key[key_heads],
                value=attention.value[key_heads],
                logits=attention.attended.logits[head_indices],
                weights=attention.attended.weights[head_indices],
                attention_change=length(attention.output) / size,
                feed_forward_change=length(steps.feed_forward) / size,
                change=length(steps.output - x) / size,
            )
        if i == max(layer_indices, default=0):
            break
        x = steps.output
    return [traced[i] for i in layer_indices]


def index(kind: str, i: int, n: int) -> int:
    """Return the index from 0 of a layer or head; a negative i counts from the last.

    Raises:
        ParameterError: i is out of range.
    """
    if not -n <= i < n:
        raise ParameterError(f"{kind} must lie from 0 to {n - 1}, or from −{n} to −1, got {i}")
    return i % n


def length(x: Array) -> Array:
    """Return ‖x‖ of each row of x [n, d_model], as [n]."""
    xp = array_namespace(x)
    return xp.sqrt(xp.sum(x * x, axis=-1))
