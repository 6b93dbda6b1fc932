"""The sentence encoder in machine code, on packed sequences: the fastest implementation for a CPU, without torch.

It computes the numbers that `SentenceEncoder` defines. A text's numbers do not depend on its neighbours or on the
number of threads. Threads compute different texts without waiting for each other. A single long text is divided among
the threads by tokens, and they wait for each other once a layer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from attention.arrays import F32
from attention.errors import ParameterError
from attention.kernels import can_compile, prepare_transformer, workers
from attention.kernels.transformer import (
    CURVES,
    PANEL,
    POOLINGS,
    QUERIES,
    TILE_QUERIES,
    TILES,
    Activations,
    Network,
    Scratch,
    columns_of,
    multiplies_bfloat16,
    pack_panels,
    room,
    run_in_stages,
    run_with_idle_threads,
    scratch,
    way_of,
)
from attention.transformer.embeddings import check_ids
from attention.transformer.feed_forward import Linear
from attention.transformer.layer import EncoderLayer, LayerNorm
from attention.transformer.parameters import map_arrays
from attention.transformer.sentence import Integers, SentenceEncoder, check_sequences, finish

Precision: TypeAlias = Literal["float32", "bfloat16"]

MAX_BATCH_TOKENS = 384
"""The largest number of tokens that are computed together, unless one text is longer.

The activations between two layers then stay in the processor's cache.
"""

SINGLE_THREAD_TOKENS = 64
"""Up to this many tokens are computed by the calling thread: starting another thread takes longer."""

SHARES_PER_THREAD = 2
"""The number of shares for each thread: with several, a thread that gets less of its core does fewer."""


class Compiled:
    """A sentence encoder in machine code, prepared for many texts. Threads may share it.

    The first instance in a process compiles the machine code, in a few seconds, or loads it from the cache. If numba
    has already begun to compile for exactly this processor, it continues to do so; on some processors this code is a
    third slower. To choose the cache's directory, call `attention.kernels.prepare_transformer` before.

    Args:
        model: the parameters, of NumPy or torch; all but the embeddings are copied.
        precision: "bfloat16" multiplies bfloat16 numbers, twice as many at a time; sums, residuals, normalisations
            and softmax are float32.
        threads: the largest number of threads for one call; None for all cores.

    Raises:
        ParameterError: the model is of a kind that is not supported (see `compiles`), the precision is unknown, or
            bfloat16 is slower than float32 on this processor.
    """

    def __init__(self, model: SentenceEncoder, precision: Precision = "float32", *, threads: int | None = None) -> None:
        if (reason := unfit(model)) is not None:
            raise ParameterError(f"{reason}: use Packed")
        if precision not in ("float32", "bfloat16"):
            raise ParameterError(f"precision must be float32 or bfloat16, got {precision!r}")
        if (reason := unfit_precision(precision)) is not None:
            raise ParameterError(f"{reason}: use float32")
        prepare_transformer()
        self.model = model
        self.precision = precision
        self.threads = workers() if threads is None else threads
        self._way = way_of(precision)
        self._network = network(model, self._way)
        self._last = replace(model, dense=map_arrays(to_float32, model.dense))
        first = model.encoder.layers[0]
        self._heads = first.attention.n_heads
        self._curve = CURVES[first.feed_forward.activation]
        self._poolings = np.array([POOLINGS[name] for name in model.poolings], dtype=np.int64)
        self._free_activations: list[Activations] = []
        self._free_scratches: list[Scratch] = []

    @property
    def dimension(self) -> int:
        """The width of an embedding."""
        return self.model.dimension

    def __call__(self, tokens: Integers, lengths: Integers) -> F32:
        """Return the embeddings of b sequences, float32[b, dimension].

        Arguments, results and errors are those of calling `Packed`.
        """
        tokens, lengths = check_sequences(tokens, lengths)
        if len(lengths) == 0:
            return np.empty((0, self.dimension), np.float32)
        check_ids("token", len(self._network.tokens), tokens)
        if self.model.embeddings.positions is not None:
            self.model.embeddings.positions.require(int(lengths.max()))

        width = self._network.tokens.shape[1]
        pooled = np.empty((len(self._poolings), len(lengths), width), np.float32)
        shares = share_texts(lengths, self.threads)
        if len(shares) == 1:
            self._compute(tokens, lengths, pooled, self.threads if len(tokens) > SINGLE_THREAD_TOKENS else 1)
        else:
            self._compute_shares(tokens, lengths, pooled, shares)
        joined = np.concatenate(pooled, axis=-1)
        embeddings: F32 = finish(self._last, joined)
        return np.ascontiguousarray(embeddings)

    def _compute_shares(self, tokens: Integers, lengths: Integers, out: F32, shares: Sequence[slice]) -> None:
        """Fill out float32[p, b, d] with the vectors of all texts.

        `shares` divides the texts into runs. A thread computes one run at a time.
        """
        ends = np.cumsum(lengths)
        remaining = iter(shares)

        def work() -> None:
            # A free thread takes the next share; taking an item of an iterator is one atomic step.
            for texts in remaining:
                first, last = ends[texts.start] - lengths[texts.start], ends[texts.stop - 1]
                vectors = np.empty((len(out), texts.stop - texts.start, out.shape[2]), np.float32)
                self._compute(tokens[first:last], lengths[texts], vectors, 1)
                out[:, texts] = vectors

        run_with_idle_threads(work, min(self.threads, len(shares)))

    def _compute(self, tokens: Integers, lengths: Integers, out: F32, threads: int) -> None:
        """Fill out float32[p, b, d] with the vectors of texts that are computed together, by `threads` threads."""
        from attention.kernels.transformer.encoding import encode

        activations = self._take_activations(len(tokens))
        arguments = (self._way, self._network, self._heads, self._curve, tokens, lengths, self._poolings)
        stages = len(self._network.output_bias) + 1

        def run(begin: int, end: int, first: int, last: int, room: Activations) -> None:
            scratch = self._take_scratch(len(tokens))
            encode(*arguments, room, scratch, first, last, begin, end, out)
            if len(tokens) <= MAX_BATCH_TOKENS:
                self._free_scratches.append(scratch)

        if threads == 1:
            run(0, stages + 1, 0, len(tokens), activations._replace(projected=activations.projected[:1]))
        else:
            run_in_stages(
                lambda stage, first, last: run(stage, stage + 1, first, last, activations),
                stages,
                len(tokens),
                threads,
                TILE_QUERIES if self._way >= TILES else QUERIES,
            )
            run(stages, stages + 1, 0, 0, activations)
        if len(tokens) <= MAX_BATCH_TOKENS:
            self._free_activations.append(activations)

    def _take_activations(self, tokens: int) -> Activations:
        """Return memory for the activations of `tokens` tokens, which no other call uses meanwhile."""
        if tokens > MAX_BATCH_TOKENS:
            return room(self._network, self._way, tokens, threads=self.threads)
        try:
            return self._free_activations.pop()
        except IndexError:
            return room(self._network, self._way, MAX_BATCH_TOKENS, threads=self.threads)

    def _take_scratch(self, tokens: int) -> Scratch:
        """Return working memory for texts of `tokens` tokens, which no other thread uses meanwhile."""
        if tokens > MAX_BATCH_TOKENS:
            return scratch(self._network, self._way, tokens)
        try:
            return self._free_scratches.pop()
        except IndexError:
            return scratch(self._network, self._way, MAX_BATCH_TOKENS)


def compiles(model: SentenceEncoder) -> bool:
    """Return whether `Compiled` supports the model and this machine.

    It needs a compiler, equal post-norm layers, and widths that are multiples of 32.
    """
    return unfit(model) is None


def unfit(model: SentenceEncoder) -> str | None:
    """Return the reason why `Compiled` does not support a model; None if it supports it."""
    if not can_compile():
        return "there is no compiler (numba) for machine code"
    layers, embeddings = model.encoder.layers, model.embeddings
    if embeddings.positions is None or embeddings.scale != 1 or model.encoder.bias is not None:
        return "machine code is for models with a vector for each position"
    if set(model.poolings) - set(POOLINGS):
        return f"machine code knows the poolings {', '.join(POOLINGS)}, not {', '.join(model.poolings)}"
    if not layers or model.encoder.norm is not None or getattr(embeddings.norm, "shift", None) is None:
        return "machine code is for layers behind normalised embeddings, and nothing behind them"
    if len({(layer.attention.n_heads, layer.feed_forward.activation) for layer in layers}) > 1:
        return "machine code is for layers that are alike"
    for layer in layers:
        if (reason := unfit_layer(layer)) is not None:
            return reason
    return None


def unfit_precision(precision: Precision) -> str | None:
    """Return the reason why a precision is not offered on this processor; None if it is offered."""
    if precision == "float32" or multiplies_bfloat16():
        return None
    return "bfloat16 is slower than float32 on this processor, which has neither AVX512_BF16 nor AMX"


def unfit_layer(layer: EncoderLayer) -> str | None:
    """Return the reason why `Compiled` does not support a layer; None if it supports it."""
    residuals = (layer.attention_residual, layer.feed_forward_residual)
    if any(residual.norm_first or not isinstance(residual.norm, LayerNorm) for residual in residuals):
        return "machine code is for post-norm layers"
    if layer.causal or layer.window is not None or layer.feed_forward.gate is not None:
        return "machine code is for layers in which each token attends to all, without a gate"
    if any(residual.branch_norm or getattr(residual.norm, "shift", None) is None for residual in residuals):
        return "machine code is for one normalisation after each sum, with a shift"
    heads_ = layer.attention
    if heads_.group > 1 or heads_.rotary or heads_.query_norm or heads_.key_norm or heads_.temperature != 1:
        return "machine code is for heads without rotation and normalisation, each with its own keys"
    activation = layer.feed_forward.activation
    if activation not in CURVES:
        return f"machine code knows the activations {', '.join(map(str, CURVES))}, not {activation!r}"
    heads, network_ = layer.attention, layer.feed_forward
    matrices = (heads.W_Q, heads.W_K, heads.W_V, heads.W_O)
    d_model = int(heads.W_O.shape[1])
    if any(tuple(W.shape) != (d_model, d_model) for W in matrices):
        return "machine code is for queries, keys and values that are together as wide as the model"
    widths = (d_model // heads.n_heads, d_model, int(network_.inner.weight.shape[1]))
    if any(width % PANEL for width in widths):
        return f"machine code is for heads and layers of widths that are multiples of {PANEL}, not {widths}"
    return None


def network(model: SentenceEncoder, way: int) -> Network:
    """Return the model's parameters in the layout that the kernels read."""
    layers = model.encoder.layers
    embeddings, positions = model.embeddings, model.embeddings.positions
    assert positions is not None, "unfit refuses a model without"
    position_vectors = to_float32(positions.table)[positions.first :]
    if embeddings.types is not None:
        position_vectors = position_vectors + to_float32(embeddings.types)[0]
    projections = [projection(layer) for layer in layers]
    outputs = [Linear(layer.attention.W_O, layer.attention.b_O) for layer in layers]
    inner, outer = ([getattr(layer.feed_forward, name) for layer in layers] for name in ("inner", "outer"))
    affine = (projections, outputs, inner, outer)
    columns = columns_of(way)
    matrices = [pack_panels([to_float32(map_.weight) for map_ in maps], way, columns).reshape(-1) for maps in affine]
    biases = [np.stack([bias(map_) for map_ in maps]) for maps in affine]
    norms = [embeddings.norm]
    for layer in layers:
        norms += [layer.attention_residual.norm, layer.feed_forward_residual.norm]
    plain = [norm for norm in norms if isinstance(norm, LayerNorm)]
    return Network(
        tokens=to_float32(embeddings.tokens),
        positions=np.ascontiguousarray(position_vectors),
        projections=matrices[0],
        output=matrices[1],
        inner=matrices[2],
        outer=matrices[3],
        projections_bias=biases[0],
        output_bias=biases[1],
        inner_bias=biases[2],
        outer_bias=biases[3],
        scales=np.stack([to_float32(norm.scale) for norm in plain]),
        shifts=np.stack([to_float32(norm.shift) for norm in plain if norm.shift is not None]),
        epsilons=np.array([norm.epsilon for norm in plain], dtype=np.float32),
    )


def projection(layer: EncoderLayer) -> Linear:
    """Join W_Q, W_K and W_V to one matrix; its queries are divided by √d_k, so that logits are plain products."""
    heads = layer.attention
    scale = np.float32(1 / math.sqrt(heads.W_Q.shape[1] // heads.n_heads))
    maps = [Linear(heads.W_Q, heads.b_Q), Linear(heads.W_K, heads.b_K), Linear(heads.W_V, heads.b_V)]
    factors = (scale, np.float32(1), np.float32(1))
    return Linear(
        np.concatenate([to_float32(map_.weight) * factor for map_, factor in zip(maps, factors, strict=True)], axis=1),
        np.concatenate([bias(map_) * factor for map_, factor in zip(maps, factors, strict=True)]),
    )


def bias(linear: Linear) -> F32:
    """Return the bias of an affine map, or zeros if the map has no bias."""
    return np.zeros(linear.weight.shape[1], np.float32) if linear.bias is None else to_float32(linear.bias)


def to_float32(array: npt.ArrayLike) -> F32:
    """Convert an array of NumPy or torch to the float32 array that numba expects: contiguous and writable."""
    return np.require(np.asarray(array), dtype=np.float32, requirements=["C", "A", "W"])


def share_texts(lengths: Integers, threads: int) -> list[slice]:
    """Divide texts into runs of neighbours, each computed by one thread at a time.

    The fewer tokens there are for each thread, the shorter the runs are.
    """
    tokens_per_share = -(-int(lengths.sum()) // (threads * SHARES_PER_THREAD))
    max_tokens = min(MAX_BATCH_TOKENS, max(SINGLE_THREAD_TOKENS, tokens_per_share))
    shares, start, tokens = [], 0, 0
    for text, length in enumerate(lengths.tolist()):
        if text > start and tokens + length > max_tokens:
            shares.append(slice(start, text))
            start, tokens = text, 0
        tokens += length
    return [*shares, slice(start, len(lengths))]
