"""What the layers of an encoder do with one text, for those who want to look."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from array_api_compat import array_namespace

from attention.arrays import Array
from attention.errors import ParameterError, ShapeError
from attention.masks import causal as causal_mask
from attention.transformer.sentence import SentenceEncoder


class TracedLayer(NamedTuple):
    """One layer over the n tokens of a text, with the h heads that were asked for.

    Attributes:
        layer: which one, from 0.
        heads: which ones, from 0.
        query, key, value: [h, n, d_k]
        logits: [h, n, n] before the normaliser.
        weights: [h, n, n]; row i says how much token i rests on each token.
        attention_change: [n] how far attention moves each token: ‖update‖ / ‖token‖.
        feed_forward_change: [n] how far the feed-forward network does.
        change: [n] how far the whole layer does, its normalisations included.
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
    """Follow one text through the layers.

    Args:
        model: the model.
        tokens: integers [n]
        types: integers [n], which text of a pair each token is of; 0 without.
        layers: which ones, from 0, or from the last as −1; the last one without.
        heads: which ones, likewise; all of them without.
        causal: each token attends only to itself and those before it, as in a decoder.

    Returns:
        the layers in the order asked for.

    Raises:
        ParameterError: a layer or head that the model does not have, or ids that it does not have.
        ShapeError: more tokens than the model has positions, or not one row of them.
    """
    if tokens.ndim != 1 or tokens.shape[0] == 0:
        raise ShapeError(f"tokens must be one text's, of shape [n], got {tuple(tokens.shape)}: trace one at a time")
    stack = model.encoder.layers
    wanted = [-1] if layers is None else list(layers)
    chosen = [index("layer", layer, len(stack)) for layer in wanted]
    x = model.embeddings(tokens, types)  # [n, d_model]
    mask = causal_mask(*2 * tokens.shape, like=tokens) if causal else None

    traced: dict[int, TracedLayer] = {}
    for i, steps in enumerate(model.encoder.steps(x, mask)):
        if i in chosen:
            attention, n_heads = steps.attention, stack[i].attention.n_heads
            numbers = range(n_heads) if heads is None else heads
            kept = [index("head", head, n_heads) for head in numbers]
            size = length(x)
            traced[i] = TracedLayer(
                layer=i,
                heads=tuple(kept),
                query=attention.query[kept],
                key=attention.key[kept],
                value=attention.value[kept],
                logits=attention.attended.logits[kept],
                weights=attention.attended.weights[kept],
                attention_change=length(attention.output) / size,
                feed_forward_change=length(steps.feed_forward) / size,
                change=length(steps.output - x) / size,
            )
        if i == max(chosen, default=0):
            break
        x = steps.output
    return [traced[i] for i in chosen]


def index(kind: str, i: int, n: int) -> int:
    """A layer or a head counted from 0, where a negative one counts from the last.

    Raises:
        ParameterError: there is none of that number.
    """
    if not -n <= i < n:
        raise ParameterError(f"{kind} must lie from 0 to {n - 1}, or from −{n} to −1, got {i}")
    return i % n


def length(x: Array) -> Array:
    """‖x‖ of each row: [n, d_model] → [n]."""
    xp = array_namespace(x)
    return xp.sqrt(xp.sum(x * x, axis=-1))
