"""The sentence encoder in machine code, on packed sequences: the fastest there is of it on a CPU, and without torch.

The same numbers as `SentenceEncoder`, which defines them; each is computed in the same order whatever a text's
neighbours are, and however many threads there are. These share out texts, none waiting for another. Where there is but
one for all, and it is long, they share its tokens, and meet once a layer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from attention.dtypes import F32
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
from attention.similarity import unit
from attention.transformer.embeddings import check_ids
from attention.transformer.feed_forward import Linear
from attention.transformer.layer import EncoderLayer, LayerNorm
from attention.transformer.sentence import Integers, SentenceEncoder, check_sequences

Precision: TypeAlias = Literal["float32", "bfloat16"]

MAX_BATCH_TOKENS = 384
"""As many are computed together at most, or one text: what lies between two layers stays near the processor."""

SINGLE_THREAD_TOKENS = 64
"""Fewer are not shared out: they take less time than another thread to begin."""

SHARES_PER_THREAD = 2
"""For each thread, so that one that gets less of its core does less."""


class Compiled:
    """A sentence encoder made ready for many texts, in machine code. Threads may share it.

    The first one of a process has the machine code made, in some seconds, or finds what was kept of it. Where numba has
    already begun to compile for this processor alone, it goes on so: on some the code is a third slower. Who wants to
    say where it is kept calls `attention.kernels.prepare_transformer` before.

    Args:
        model: its parameters, NumPy's or torch's, which are copied but for the embeddings.
        precision: "bfloat16" multiplies bfloat16 numbers, twice as many at a time; sums, residuals, normalisations
            and softmax are float32.
        threads: at most so many work on one call; None for all cores.

    Raises:
        ParameterError: the model is not of a kind that it computes (see `compiles`), another precision, or bfloat16
            where that is slower than float32.
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
        first = model.encoder.layers[0]
        self._heads = first.attention.n_heads
        self._curve = CURVES[first.feed_forward.activation]
        self._poolings = np.array([POOLINGS[name] for name in model.poolings], dtype=np.int64)
        self._rooms: list[Activations] = []
        self._scratches: list[Scratch] = []

    @property
    def dimension(self) -> int:
        """The width of an embedding."""
        return self.model.dimension

    def __call__(self, tokens: Integers, lengths: Integers) -> F32:
        """The embeddings of b sequences; `Packed` has the same arguments, results and errors."""
        tokens, lengths = check_sequences(tokens, lengths)
        if len(lengths) == 0:
            return np.empty((0, self.dimension), np.float32)
        check_ids("token", len(self._network.tokens), tokens)
        self.model.embeddings.positions.require(int(lengths.max()))

        width = self._network.tokens.shape[1]
        pooled = np.empty((len(self._poolings), len(lengths), width), np.float32)
        shares = share_texts(lengths, self.threads)
        if len(shares) == 1:
            self._compute(tokens, lengths, pooled, self.threads if len(tokens) > SINGLE_THREAD_TOKENS else 1)
        else:
            self._compute_each(tokens, lengths, pooled, shares)
        joined = np.concatenate(pooled, axis=-1)
        embeddings: F32 = unit(joined) if self.model.unit_length else joined
        return np.ascontiguousarray(embeddings[:, : self.model.truncation])

    def _compute_each(self, tokens: Integers, lengths: Integers, out: F32, shares: Sequence[slice]) -> None:
        """Vectors of texts, of which a thread computes a share at a time."""
        ends = np.cumsum(lengths)
        left = iter(shares)

        def work() -> None:
            # Whoever is free takes the next; asking an iterator for it is one step.
            for texts in left:
                first, last = ends[texts.start] - lengths[texts.start], ends[texts.stop - 1]
                some = np.empty((len(out), texts.stop - texts.start, out.shape[2]), np.float32)
                self._compute(tokens[first:last], lengths[texts], some, 1)
                out[:, texts] = some

        run_with_idle_threads(work, min(self.threads, len(shares)))

    def _compute(self, tokens: Integers, lengths: Integers, out: F32, threads: int) -> None:
        """Vectors float32[p, b, d] of texts that are computed together, by so many threads."""
        from attention.kernels.transformer.encoding import encode

        own = self._room(len(tokens))
        given = (self._way, self._network, self._heads, self._curve, tokens, lengths, self._poolings)
        stages = len(self._network.output_bias) + 1

        def run(begin: int, end: int, first: int, last: int, room: Activations) -> None:
            scratch = self._scratch(len(tokens))
            encode(*given, room, scratch, first, last, begin, end, out)
            if len(tokens) <= MAX_BATCH_TOKENS:
                self._scratches.append(scratch)

        if threads == 1:
            run(0, stages + 1, 0, len(tokens), own._replace(projected=own.projected[:1]))
        else:
            run_in_stages(
                lambda stage, first, last: run(stage, stage + 1, first, last, own),
                stages,
                len(tokens),
                threads,
                TILE_QUERIES if self._way >= TILES else QUERIES,
            )
            run(stages, stages + 1, 0, 0, own)
        if len(tokens) <= MAX_BATCH_TOKENS:
            self._rooms.append(own)

    def _room(self, tokens: int) -> Activations:
        """One that nobody uses."""
        if tokens > MAX_BATCH_TOKENS:
            return room(self._network, self._way, tokens, threads=self.threads)
        try:
            return self._rooms.pop()
        except IndexError:
            return room(self._network, self._way, MAX_BATCH_TOKENS, threads=self.threads)

    def _scratch(self, tokens: int) -> Scratch:
        """One that nobody uses."""
        if tokens > MAX_BATCH_TOKENS:
            return scratch(self._network, self._way, tokens)
        try:
            return self._scratches.pop()
        except IndexError:
            return scratch(self._network, self._way, MAX_BATCH_TOKENS)


def compiles(model: SentenceEncoder) -> bool:
    """Whether `Compiled` computes it: post-norm layers alike, widths that are multiples of 32, and a compiler."""
    return unfit(model) is None


def unfit(model: SentenceEncoder) -> str | None:
    """Why `Compiled` does not compute a model; None where it does."""
    if not can_compile():
        return "there is no compiler (numba) for machine code"
    layers = model.encoder.layers
    if not layers or model.encoder.norm is not None or not isinstance(model.embeddings.norm, LayerNorm):
        return "machine code is for layers behind normalised embeddings, and nothing behind them"
    if len({(layer.attention.n_heads, layer.feed_forward.activation) for layer in layers}) > 1:
        return "machine code is for layers that are alike"
    for layer in layers:
        if (reason := unfit_layer(layer)) is not None:
            return reason
    return None


def unfit_precision(precision: Precision) -> str | None:
    """Why a precision is not offered on this processor; None where it is."""
    if precision == "float32" or multiplies_bfloat16():
        return None
    return "bfloat16 is slower than float32 on this processor, which has neither AVX512_BF16 nor AMX"


def unfit_layer(layer: EncoderLayer) -> str | None:
    """Why not with this layer."""
    residuals = (layer.attention_residual, layer.feed_forward_residual)
    if any(each.norm_first or not isinstance(each.norm, LayerNorm) for each in residuals):
        return "machine code is for post-norm layers"
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
    """The model's parameters as the kernels read them."""
    layers = model.encoder.layers
    embeddings, positions = model.embeddings, model.embeddings.positions
    places = to_float32(positions.table)[positions.first :]
    if embeddings.types is not None:
        places = places + to_float32(embeddings.types)[0]
    projections = [projection(layer) for layer in layers]
    outputs = [Linear(layer.attention.W_O, layer.attention.b_O) for layer in layers]
    inner, outer = ([getattr(layer.feed_forward, name) for layer in layers] for name in ("inner", "outer"))
    affine = (projections, outputs, inner, outer)
    columns = columns_of(way)
    matrices = [pack_panels([to_float32(each.weight) for each in group], way, columns).reshape(-1) for group in affine]
    biases = [np.stack([bias(each) for each in group]) for group in affine]
    norms = [embeddings.norm]
    for layer in layers:
        norms += [layer.attention_residual.norm, layer.feed_forward_residual.norm]
    plain = [norm for norm in norms if isinstance(norm, LayerNorm)]
    return Network(
        tokens=to_float32(embeddings.tokens),
        positions=np.ascontiguousarray(places),
        projections=matrices[0],
        output=matrices[1],
        inner=matrices[2],
        outer=matrices[3],
        projections_bias=biases[0],
        output_bias=biases[1],
        inner_bias=biases[2],
        outer_bias=biases[3],
        scales=np.stack([to_float32(norm.scale) for norm in plain]),
        shifts=np.stack([to_float32(norm.shift) for norm in plain]),
        epsilons=np.array([norm.epsilon for norm in plain], dtype=np.float32),
    )


def projection(layer: EncoderLayer) -> Linear:
    """W_Q, W_K and W_V as one matrix; queries come out divided by √d_k, so that logits are plain products."""
    heads = layer.attention
    scale = np.float32(1 / math.sqrt(heads.W_Q.shape[1] // heads.n_heads))
    pairs = [Linear(heads.W_Q, heads.b_Q), Linear(heads.W_K, heads.b_K), Linear(heads.W_V, heads.b_V)]
    factors = (scale, np.float32(1), np.float32(1))
    return Linear(
        np.concatenate([to_float32(each.weight) * factor for each, factor in zip(pairs, factors, strict=True)], axis=1),
        np.concatenate([bias(each) * factor for each, factor in zip(pairs, factors, strict=True)]),
    )


def bias(linear: Linear) -> F32:
    """Its bias, zeros for none."""
    return np.zeros(linear.weight.shape[1], np.float32) if linear.bias is None else to_float32(linear.bias)


def to_float32(array: npt.ArrayLike) -> F32:
    """An array of NumPy's or torch's as a float32 one that numba takes: contiguous, and not read-only."""
    return np.require(np.asarray(array), dtype=np.float32, requirements=["C", "A", "W"])


def share_texts(lengths: Integers, threads: int) -> list[slice]:
    """Neighbouring texts that are computed together: few tokens where there are few for each thread."""
    most = min(MAX_BATCH_TOKENS, max(SINGLE_THREAD_TOKENS, -(-int(lengths.sum()) // (threads * SHARES_PER_THREAD))))
    shares, start, tokens = [], 0, 0
    for at, length in enumerate(lengths.tolist()):
        if at > start and tokens + length > most:
            shares.append(slice(start, at))
            start, tokens = at, 0
        tokens += length
    return [*shares, slice(start, len(lengths))]
