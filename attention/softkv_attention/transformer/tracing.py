"""A trace of one text through the layers of an encoder, for display: each step, and what each head is good for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from array_api_compat import device

from softkv_attention.arrays import Array, array_namespace
from softkv_attention.errors import ParameterError, ShapeError
from softkv_attention.masks import causal as causal_mask
from softkv_attention.transformer.layer import EncoderLayer
from softkv_attention.transformer.sentence import SentenceEncoder

MAX_ROWS = 1024
"""The most tokens of all texts that `leave_out_heads` computes together, which bounds its memory."""


class TracedLayer(NamedTuple):
    """One layer's results for the n tokens of a text, in h requested heads.

    Attributes:
        layer: the layer's index, from 0.
        heads: the heads' indices, from 0.
        query, key, value: [h, n, d_k], normalised and rotated where the layer does so.
        logits: [h, n, n], before the normaliser, with the bias for relative positions; −∞ for a token out of reach.
        weights: [h, n, n]; row i holds the weights of token i over all tokens.
        head_output: [h, n, d_v], the weighted sums of the values.
        input: [n, d_model], the tokens as they come into the layer.
        attention: [n, d_model], what all heads together add to them.
        middle: [n, d_model], the tokens after that, and normalised for post-norm.
        feed_forward: [n, d_model], what the feed-forward network adds to those.
        output: [n, d_model], the tokens as they leave the layer.
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
    head_output: Array
    input: Array
    attention: Array
    middle: Array
    feed_forward: Array
    output: Array
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
                head_output=attention.attended.output[head_indices],
                input=x,
                attention=attention.output,
                middle=steps.middle,
                feed_forward=steps.feed_forward,
                output=steps.output,
                attention_change=length(attention.output) / size,
                feed_forward_change=length(steps.feed_forward) / size,
                change=length(steps.output - x) / size,
            )
        if i == max(layer_indices, default=0):
            break
        x = steps.output
    return [traced[i] for i in layer_indices]


class Neurons(NamedTuple):
    """For each of n tokens, the k neurons of a feed-forward network that count most, by the size of their share.

    Attributes:
        index: integers [n, k], from 0.
        score: [n, k], the product of the token with the neuron's key, and the bias, before the activation function.
        activation: [n, k], by which the neuron's value is multiplied.
        share: [n, k], the neuron's share of what the network adds to the token: of its projection on the sum. The
            shares of all neurons and of the last bias sum to 1.
    """

    index: Array
    score: Array
    activation: Array
    share: Array


def strongest_neurons(layer: EncoderLayer, middle: Array, k: int) -> Neurons:
    """Return the neurons that count most in a layer's feed-forward network.

    Args:
        layer: the layer.
        middle: [n, d_model], the tokens between its attention and its network.
        k: the number of neurons for each token, at most d_ff.
    """
    network, x = layer.feed_forward, layer.feed_forward_residual.read(middle)
    xp = array_namespace(x)
    score = network.inner(x) if network.gate is None else network.gate(x)  # [n, d_ff]
    activation = network.neurons(x)
    update = network.outer(activation)  # [n, d_model]
    share = activation * (update @ network.outer.weight.T) / xp.sum(update * update, axis=-1)[:, None]
    best = xp.argsort(-xp.abs(share), axis=-1)[:, :k]
    return Neurons(best, *(xp.take_along_axis(numbers, best, axis=-1) for numbers in (score, activation, share)))


def leave_out_heads(model: SentenceEncoder, tokens: Array, types: Array | None = None) -> Array:
    """Return the embeddings of a text, each without one head, whose output is replaced by zeros.

    All that comes before a head is computed once.

    Args:
        model: the model; all its layers have as many heads.
        tokens: integers [n]
        types: integers [n], the text of a pair that each token belongs to; None for 0.

    Returns:
        [n_layers, n_heads, dimension]

    Raises:
        ParameterError: an id is beyond those of the model.
        ShapeError: the text has more tokens than the model has positions.
    """
    x = model.embeddings(tokens, types)  # [n, d_model]
    xp = array_namespace(x)
    stack, n_heads = model.encoder.layers, model.encoder.layers[0].attention.n_heads
    bias = None if model.encoder.bias is None else model.encoder.bias(x.shape[-2])
    head_masks = ~xp.eye(n_heads, dtype=xp.bool, device=device(x))
    together = max(1, MAX_ROWS // x.shape[0])
    variants = x[None][:0]  # [b, n, d_model], one text for each head of the layers so far
    for layer in stack:
        without = xp.broadcast_to(x[None], (n_heads, *x.shape))
        parts = [
            layer.steps(variants[first : first + together], None, bias).output
            for first in range(0, variants.shape[0], together)
        ]
        parts += [
            layer.steps(without[first : first + together], None, bias, head_masks[first : first + together]).output
            for first in range(0, n_heads, together)
        ]
        variants, x = xp.concat(parts), layer(x, None, bias)
    y = variants if model.encoder.norm is None else model.encoder.norm(variants)
    embeddings = model.pool(y, xp.ones(y.shape[:-1], dtype=xp.bool, device=device(y)))
    return xp.reshape(embeddings, (len(stack), n_heads, -1))


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
