"""The sentence encoder on the kernels in C, on packed sequences: the fastest implementation for a CPU, without torch.

It computes the numbers that `SentenceEncoder` defines. A text's numbers do not depend on its neighbours or on the
number of threads. Threads compute different texts without waiting for each other. A single long text is divided among
the threads by tokens, and they wait for each other once a layer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, Literal, TypeAlias, TypeVar, get_args

import numpy as np
import numpy.typing as npt

from softkv_attention.arrays import F32, I64
from softkv_attention.errors import ParameterError, ShapeError
from softkv_attention.heads import Heads, LowRank
from softkv_attention.kernels import workers
from softkv_attention.kernels.transformer import (
    CURVES,
    FLOAT32,
    LAYER_NORM,
    NO_NORM,
    PANEL,
    POOLINGS,
    QUERIES,
    RMS_NORM,
    THREE,
    TILE_QUERIES,
    TILES,
    UNLIMITED,
    Buffers,
    Design,
    Network,
    Room,
    Words,
    encoder_kernels,
    multiplies_bfloat16,
    pack_panels,
    run_in_stages,
    run_with_idle_threads,
    way_of,
)
from softkv_attention.rotary import Rotary
from softkv_attention.transformer.embeddings import Positions, StoredRows, check_ids, check_types
from softkv_attention.transformer.feed_forward import Linear
from softkv_attention.transformer.layer import EncoderLayer, LayerNorm, Norm, RMSNorm
from softkv_attention.transformer.parameters import arrays, map_arrays
from softkv_attention.transformer.relative_positions import RelativePositions
from softkv_attention.transformer.sentence import SentenceEncoder
from softkv_attention.transformer.stacks import Encoder

Integers = npt.NDArray[np.int64]

Precision: TypeAlias = Literal["float32", "int16", "bfloat16"]

MAX_BATCH_TOKENS = 384
"""The largest number of tokens that are computed together, unless one text is longer.

The activations between two layers then stay in the processor's cache.
"""

SINGLE_THREAD_TOKENS = 64
"""Up to this many tokens are computed by the calling thread: starting another thread takes longer."""

POSITIONS = 512
"""The first number of positions in tables of rotations and distances, which grow with longer texts."""

SHARES_PER_THREAD = 2
"""The number of shares for each thread: with several, a thread that gets less of its core does fewer."""


class Compiled:
    """A sentence encoder on the kernels in C, prepared for many texts. Threads may share it.

    Args:
        model: the parameters, of NumPy or torch; all but the embeddings are copied.
        precision: "int16" multiplies integers of 16 bits by the layers' matrices, twice as many at a time; sums of
            groups, attention, residuals and normalisations are float32. "bfloat16" multiplies bfloat16 numbers.
        threads: the largest number of threads for one call; None for all cores.

    Raises:
        ParameterError: the model is of a kind that is not supported (see `compiles`), the precision is unknown, or
            bfloat16 is asked for without AMX.
    """

    def __init__(self, model: SentenceEncoder, precision: Precision = "float32", *, threads: int | None = None) -> None:
        if (reason := unfit(model)) is not None:
            raise ParameterError(f"{reason}: call the model itself")
        if precision not in get_args(Precision):
            raise ParameterError(f"precision must be {', '.join(get_args(Precision))}, got {precision!r}")
        if (reason := unfit_precision(precision)) is not None:
            raise ParameterError(f"{reason}: use int16 or float32")
        kernels = encoder_kernels()
        assert kernels is not None  # `unfit` checks it
        self.precision = precision
        self.threads = workers() if threads is None else threads
        self._design = design(model)
        self._way = choose_way(model, self._design, precision)
        self._kernels = kernels
        self._network = network(model, self._way, kernels.columns_of(self._way))
        self._prepared = kernels.network(self._network, self._design, self._way)
        self._positions = len(self._network.positions) // count_type_tables(model)  # of each type
        self._tables_for = partial(tables, rotation_kinds(model)[0], self._design.head_width, model.encoder.bias)
        # The layers are packed, so the caller may release them.
        self._ends = replace(
            model, encoder=Encoder(()), dense=map_arrays(partial(np.asarray, dtype=np.float32), model.dense)
        )
        self._poolings = np.array([POOLINGS[name] for name in model.poolings], dtype=np.int64)
        self._free_rooms: list[Room] = []
        self._free_buffers: list[Buffers] = []

    @property
    def dimension(self) -> int:
        """The width of an embedding."""
        return self._ends.dimension

    @property
    def memory_bytes(self) -> int:
        """The memory of the embeddings and of the layers' matrices, in bytes; all other parameters are small."""
        network, ends = self._network, (array.nbytes for _, array in arrays(self._ends))
        matrices = (network.projections, network.output, network.inner, network.outer)
        return sum(int(words.nbytes) for words in matrices) + sum(map(int, ends))

    def __call__(self, tokens: Integers, lengths: Integers, types: Integers | None = None) -> F32:
        """Return the embeddings of b sequences, float32[b, dimension].

        Args:
            tokens: integers [t], the concatenated sequences.
            lengths: integers [b], each at least 1; they sum to t.
            types: integers [t], the types of the tokens; None for 0.

        Raises:
            ShapeError: the lengths do not fit the tokens, or one is beyond the model's positions.
            ParameterError: an id is beyond the model's vocabulary, or the model has no such types.
        """
        return self._finish(self._run(*check_sequences(tokens, lengths), types, None))

    def with_tokens(self, tokens: Integers, lengths: Integers) -> tuple[F32, F32]:
        """Return the embeddings, and the last layer's vectors of all tokens, float32[t, d_model], that are pooled.

        Arguments and errors are those of a call.
        """
        tokens, lengths = check_sequences(tokens, lengths)
        vectors = np.empty((len(tokens), self._network.tokens.shape[1]), np.float32)
        return self._finish(self._run(tokens, lengths, None, vectors)), vectors

    def _finish(self, pooled: F32) -> F32:
        return np.ascontiguousarray(finish(self._ends, np.concatenate(pooled, axis=-1)))

    def _run(self, tokens: I64, lengths: I64, types: Integers | None, vectors: F32 | None) -> F32:
        """Return the pooled vectors float32[p, b, d] of texts, and fill float32[t, d] with those of their tokens."""
        width = self._network.tokens.shape[1]
        pooled = np.empty((len(self._poolings), len(lengths), width), np.float32)
        if len(lengths) == 0:
            return pooled
        embeddings, longest = self._ends.embeddings, int(lengths.max())
        check_ids("token", int(embeddings.tokens.shape[0]), tokens)
        if embeddings.positions is not None:
            embeddings.positions.require(longest)
        if types is not None:
            types = check_types(embeddings, tokens, types)
        rows = self._position_rows(tokens, lengths, types)
        self._reach(longest)

        shares = share_texts(lengths, self.threads)
        if len(shares) == 1:
            threads = self.threads if len(tokens) > SINGLE_THREAD_TOKENS else 1
            self._compute(tokens, rows, lengths, pooled, vectors, threads)
        else:
            self._compute_shares(tokens, rows, lengths, pooled, vectors, shares)
        return pooled

    def _reach(self, length: int) -> None:
        """Extend the tables of rotations and of distances if a text of this length is longer than they are."""
        if self._network.rotations.shape[1] < length:
            # Threads that come at the same time make the same tables.
            positions = 1 << (length - 1).bit_length()
            self._network = self._network._replace(**self._tables_for(positions))
            self._prepared = self._kernels.network(self._network, self._design, self._way)

    def _position_rows(self, tokens: Integers, lengths: Integers, types: Integers | None) -> I64:
        """Return int64[t], the row of each token in the network's table of positions.

        In a model with vectors for types, that table has the positions once for each type.
        """
        if types is not None and self._design.turned:  # the kernels rotate by the same number as they add a position
            raise ParameterError("the kernels are for token types in models without rotations: call the model itself")
        rows = count_packed(self._ends.embeddings.positions, tokens, lengths)
        rows = np.where(rows < 0, self._positions - 1, rows)
        return rows if types is None else rows + self._positions * types

    def _compute_shares(
        self, tokens: Integers, rows: I64, lengths: Integers, out: F32, vectors: F32 | None, shares: Sequence[slice]
    ) -> None:
        """Fill out float32[p, b, d] with the vectors of all texts, and `vectors` with those of their tokens.

        `shares` divides the texts into runs. A thread computes one run at a time.
        """
        ends = np.cumsum(lengths)
        remaining = iter(shares)

        def work() -> None:
            # A free thread takes the next share; taking an item of an iterator is one atomic step.
            for texts in remaining:
                first, last = ends[texts.start] - lengths[texts.start], ends[texts.stop - 1]
                pooled = np.empty((len(out), texts.stop - texts.start, out.shape[2]), np.float32)
                of_tokens = None if vectors is None else vectors[first:last]
                self._compute(tokens[first:last], rows[first:last], lengths[texts], pooled, of_tokens, 1)
                out[:, texts] = pooled

        run_with_idle_threads(work, min(self.threads, len(shares)))

    def _compute(
        self, tokens: Integers, rows: I64, lengths: Integers, out: F32, vectors: F32 | None, threads: int
    ) -> None:
        """Fill out float32[p, b, d] with the vectors of texts that are computed together, by `threads` threads.

        `vectors`, float32[t, d], gets those of their tokens.
        """
        activations = self._take_room(len(tokens))
        prepared = self._prepared
        if isinstance(table := self._ends.embeddings.tokens, StoredRows):
            distinct, tokens = np.unique(tokens, return_inverse=True)
            prepared = prepared.with_tokens(to_float32(table[distinct]))
        encode, texts = prepared.encode, (tokens, rows, lengths, self._poolings)
        stages = len(self._network.output_bias) + 1

        def run(begin: int, end: int, first: int, last: int) -> None:
            buffers = self._take_buffers(len(tokens))
            encode(*texts, activations.alone() if threads == 1 else activations, buffers, first, last, begin, end, out)
            if len(tokens) <= MAX_BATCH_TOKENS:
                self._free_buffers.append(buffers)

        if threads == 1:
            run(0, stages + 1, 0, len(tokens))
        else:
            run_in_stages(
                lambda stage, first, last: run(stage, stage + 1, first, last),
                stages,
                len(tokens),
                threads,
                TILE_QUERIES if self._way >= TILES else QUERIES,
            )
            run(stages, stages + 1, 0, 0)
        if vectors is not None:
            vectors[:] = activations.arrays.x[: len(tokens)]
        if len(tokens) <= MAX_BATCH_TOKENS:
            self._free_rooms.append(activations)

    def _take_room(self, tokens: int) -> Room:
        """Return memory for the activations of `tokens` tokens, which no other call uses meanwhile."""
        return _take(self._free_rooms, partial(self._prepared.room, threads=self.threads), tokens)

    def _take_buffers(self, tokens: int) -> Buffers:
        """Return working memory for texts of `tokens` tokens, which no other thread uses meanwhile."""
        return _take(self._free_buffers, self._prepared.scratch, tokens)


Memory = TypeVar("Memory", Room, Buffers)


def _take(free: list[Memory], make: Callable[[int], Memory], tokens: int) -> Memory:
    """Return free memory for `tokens` tokens, or make it. Only memory for `MAX_BATCH_TOKENS` is kept."""
    with suppress(IndexError):  # several threads take from the list
        return free.pop() if tokens <= MAX_BATCH_TOKENS else make(tokens)
    return make(MAX_BATCH_TOKENS)


def compiles(model: SentenceEncoder) -> bool:
    """Return whether `Compiled` supports the model and this machine.

    It needs the kernels, layers that are alike, and a width that is a multiple of 32.
    """
    return unfit(model) is None


def unfit(model: SentenceEncoder) -> str | None:
    """Return the reason why `Compiled` does not support a model; None if it supports it."""
    if encoder_kernels() is None:
        return "the library of kernels is not in use on this machine"
    if set(model.poolings) - set(POOLINGS):
        return f"the kernels know the poolings {', '.join(POOLINGS)}, not {', '.join(model.poolings)}"
    layers, encoder = model.encoder.layers, model.encoder
    if not layers:
        return "the kernels are for models with layers"
    for layer in layers:
        if (reason := unfit_layer(layer)) is not None:
            return reason
    if len({design_of(layer)._replace(turned=0) for layer in layers}) > 1:
        return "the kernels are for layers that are alike"
    if not design(model).norm_first and encoder.norm is not None:
        return "the kernels are for post-norm layers with nothing behind them"
    if not all(is_known(norm) for norm in (model.embeddings.norm, encoder.norm)):
        return "the kernels know the normalisations LayerNorm and RMSNorm"
    return None


def unfit_precision(precision: Precision) -> str | None:
    """Return the reason why a precision is not offered on this processor; None if it is offered."""
    if precision != "bfloat16" or multiplies_bfloat16():
        return None
    return "bfloat16 is for processors with AMX, which this one lacks"


def unfit_layer(layer: EncoderLayer) -> str | None:
    """Return the reason why `Compiled` does not support a layer; None if it supports it."""
    heads, network_ = layer.attention, layer.feed_forward
    residuals = (layer.attention_residual, layer.feed_forward_residual)
    norms = [norm for residual in residuals for norm in (residual.norm, residual.branch_norm)]
    head_norms = (heads.query_norm, heads.key_norm)
    if not all(is_known(norm) for norm in norms):
        return "the kernels know the normalisations LayerNorm and RMSNorm"
    if len({residual.norm_first for residual in residuals if residual.norm is not None}) > 1:
        return "the kernels are for layers that are either pre-norm or post-norm"
    if any(residual.branch_norm is not None for residual in residuals):
        if not norm_first(layer):
            return "the kernels normalise branches in pre-norm layers only"
        if heads.b_O is not None or network_.outer.bias is not None:
            return "the kernels normalise branches that have no bias"
    if not all(norm is None or isinstance(norm, RMSNorm) for norm in head_norms):
        return "the kernels know the normalisation RMSNorm for queries and keys"
    if (heads.query_norm is None) != (heads.key_norm is None):
        return "the kernels normalise both queries and keys, or neither"
    if network_.activation not in CURVES:
        return f"the kernels know the activations {', '.join(map(str, CURVES))}, not {network_.activation!r}"
    if any(isinstance(W, LowRank) for W in (heads.W_Q, heads.W_K, heads.W_V, heads.W_O)):
        return "the kernels are for matrices that are not low-rank"
    d_model, width = int(heads.W_O.shape[1]), head_width(heads)
    if int(heads.W_V.shape[1]) != int(heads.W_K.shape[1]):
        return "the kernels are for keys and values of one width"
    if d_model % PANEL:
        return f"the kernels are for widths that are multiples of {PANEL}, not {d_model}"
    if heads.query_norm is not None and width % PANEL:
        return f"the kernels normalise queries of widths that are multiples of {PANEL}, not {width}"
    return None


def is_known(norm: Norm | None) -> bool:
    """Return whether the kernels compute this normalisation."""
    return norm is None or isinstance(norm, (LayerNorm, RMSNorm))


def norm_first(layer: EncoderLayer) -> bool:
    """Return whether a layer normalises what its branches read. A layer without normalisations counts as such."""
    residuals = (layer.attention_residual, layer.feed_forward_residual)
    return all(residual.norm_first for residual in residuals if residual.norm is not None)


def head_width(heads: Heads) -> int:
    """Return d_k."""
    return int(heads.W_Q.shape[1]) // heads.n_heads


def design_of(layer: EncoderLayer) -> Design:
    """Return the numbers that describe a layer."""
    heads, network_ = layer.attention, layer.feed_forward
    return Design(
        heads=heads.n_heads,
        key_heads=heads.key_heads,
        head_width=-(-head_width(heads) // PANEL) * PANEL,
        curve=CURVES[network_.activation],
        gated=int(network_.gate is not None),
        norm_first=int(norm_first(layer)),
        turned=int(heads.rotary is not None or heads.query_norm is not None),
        normalises_heads=int(heads.query_norm is not None),
    )


def design(model: SentenceEncoder) -> Design:
    """Return the numbers that describe the layers of a model."""
    designs = [design_of(layer) for layer in model.encoder.layers]
    return designs[0]._replace(turned=max(design_.turned for design_ in designs))


def choose_way(model: SentenceEncoder, design: Design, precision: str) -> int:
    """Return how to multiply for a model: the fastest way of the processor that is exact enough.

    For float32, sums of three products of bfloat16 are within 1e-5 of the definition for layers as in BERT with
    embeddings of length 1. Other layers, and longer embeddings, have larger errors, so they are multiplied as float32.
    """
    multiplication = way_of(precision)
    like_bert = not (design.gated or design.turned or design.norm_first or model.encoder.bias or model.dense)
    return FLOAT32 if multiplication == THREE and not (like_bert and model.unit_length) else multiplication


def network(model: SentenceEncoder, multiplication: int, columns: int) -> Network:
    """Return the model's parameters in the layout that the kernels read, with `columns` columns to a panel."""
    layers, embeddings = model.encoder.layers, model.embeddings
    d_model = int(embeddings.tokens.shape[1])
    affine = (projection, output, partial(inner, columns=columns), outer)
    matrices, biases = zip(*(pack_maps(layers, map_, multiplication, columns) for map_ in affine), strict=True)
    norms = normalisations(model)
    head_norms = [norm for layer in layers for norm in (layer.attention.query_norm, layer.attention.key_norm)]
    head_epsilons = [norm.epsilon if isinstance(norm, RMSNorm) else 0 for norm in head_norms]
    return Network(
        tokens=to_float32(embeddings.tokens[:1] if isinstance(embeddings.tokens, StoredRows) else embeddings.tokens),
        token_scale=float(embeddings.scale),
        positions=position_vectors(model),
        projections=matrices[0],
        output=matrices[1],
        inner=matrices[2],
        outer=matrices[3],
        projections_bias=biases[0],
        output_bias=biases[1],
        inner_bias=biases[2],
        outer_bias=biases[3],
        norms=np.array([kind(norm) for norm in norms], dtype=np.int64),
        scales=np.stack([np.ones(d_model, np.float32) if norm is None else to_float32(norm.scale) for norm in norms]),
        shifts=np.stack([shift(norm, d_model) for norm in norms]),
        epsilons=np.array([0 if norm is None else norm.epsilon for norm in norms], dtype=np.float32),
        head_scales=head_scales(model),
        head_epsilons=np.array(head_epsilons, dtype=np.float32),
        rotation_of=rotation_kinds(model)[1],
        windows=np.array([window(layer) for layer in layers], dtype=np.int64),
        **tables(rotation_kinds(model)[0], design(model).head_width, model.encoder.bias, POSITIONS),
    )


def pack_maps(
    layers: Sequence[EncoderLayer], map_of: Callable[[EncoderLayer], Linear], multiplication: int, columns: int
) -> tuple[Words, F32]:
    """Return the panels of one affine map of each layer, flat, and its biases [l, n].

    One matrix at a time is copied.
    """
    biases = []

    def matrices() -> Iterator[F32]:
        for layer in layers:
            linear = map_of(layer)
            biases.append(bias(linear))
            yield np.asarray(linear.weight, dtype=np.float32)

    return pack_panels(matrices(), len(layers), multiplication, columns).reshape(-1), np.stack(biases)


def position_vectors(model: SentenceEncoder) -> F32:
    """Return the vectors of the positions, with that of a token type added; one of zeros without positions.

    The last is that of the padding token, if the model has one of its own for that. With several types, all of this
    follows once for each type.
    """
    positions, types = model.embeddings.positions, model.embeddings.types
    vectors = np.zeros((1, model.embeddings.tokens.shape[1]), np.float32)
    if positions is not None:
        table = to_float32(positions.table)
        padding = table[:0] if positions.padding is None else table[positions.first - 1 : positions.first]
        vectors = np.concatenate([table[positions.first :], padding])
    if types is None:
        return np.ascontiguousarray(vectors)
    tables = vectors + to_float32(types)[: count_type_tables(model), None]
    return np.ascontiguousarray(tables.reshape(-1, vectors.shape[1]))


def count_type_tables(model: SentenceEncoder) -> int:
    """Return for how many token types the kernels have the positions; a model without positions has the first alone."""
    types, positions = model.embeddings.types, model.embeddings.positions
    return 1 if types is None or positions is None else int(types.shape[0])


def normalisations(model: SentenceEncoder) -> list[LayerNorm | RMSNorm | None]:
    """Return the normalisations in the order of `Network`: before or after the sums, then those of the branches."""
    residuals = [
        residual
        for layer in model.encoder.layers
        for residual in (layer.attention_residual, layer.feed_forward_residual)
    ]
    own_norms = [residual.norm for residual in residuals]
    if design(model).norm_first:
        branches = [model.embeddings.norm, *(residual.branch_norm for residual in residuals)]
        norms = [*own_norms, model.encoder.norm, *branches]
    else:
        norms = [model.embeddings.norm, *own_norms, *[None] * (len(own_norms) + 1)]
    return [norm if isinstance(norm, (LayerNorm, RMSNorm)) else None for norm in norms]


def kind(norm: LayerNorm | RMSNorm | None) -> int:
    """Return the number of a kind of normalisation."""
    if norm is None:
        return NO_NORM
    return LAYER_NORM if isinstance(norm, LayerNorm) else RMS_NORM


def shift(norm: LayerNorm | RMSNorm | None, width: int) -> F32:
    """Return the shift of a normalisation; zeros if it has none."""
    if isinstance(norm, LayerNorm) and norm.shift is not None:
        return to_float32(norm.shift)
    return np.zeros(width, np.float32)


def window(layer: EncoderLayer) -> tuple[int, int]:
    """Return how many positions back and ahead a token of the layer attends to."""
    distance = UNLIMITED if layer.window is None else layer.window
    return distance, 0 if layer.causal else distance


def rotation_kinds(model: SentenceEncoder) -> tuple[list[Rotary | None], I64]:
    """Return the different rotations of a model, and which of them each layer has."""
    rotaries = [layer.attention.rotary for layer in model.encoder.layers]
    kinds = list(dict.fromkeys(rotaries))
    return kinds, np.array([kinds.index(rotary) for rotary in rotaries], dtype=np.int64)


def tables(
    kinds: Sequence[Rotary | None], head_width: int, relative: RelativePositions | None, positions: int
) -> dict[str, Any]:
    """Return the tables `rotations` and `distances` of `Network` for this number of positions.

    Components that stay have the angle 0. Without biases of distances, their table has no columns.
    """
    rotations = np.zeros((len(kinds), positions, head_width), np.float32)
    rotations[:, :, : head_width // 2] = 1
    for rotary, into in zip(kinds, rotations, strict=True):
        if rotary is not None:
            cosines, sines = rotary.table(positions)
            into[:, : cosines.shape[1]] = cosines
            into[:, head_width // 2 : head_width // 2 + sines.shape[1]] = sines
    distances = np.zeros((1, 0), np.float32)
    if relative is not None:
        biases = to_float32(relative.by_distance(positions + PANEL))  # the kernels read beyond the last
        distances = np.ascontiguousarray(np.pad(biases, ((0, 0), (1, 0))))
    return {"rotations": rotations, "distances": distances}


def order_of(heads: Heads) -> I64:
    """Return the components of a query or key in the order of the kernels; −1 stands for a zero.

    A rotation turns component j with component j + d_k/2, after d_k is rounded up to a multiple of 32. The same order
    of queries and keys does not change their products.
    """
    width = head_width(heads)
    components = np.arange(width)
    order = np.full(-(-width // PANEL) * PANEL, -1)
    if heads.rotary is None:
        order[:width] = components
        return order
    pairs, half = heads.rotary.width // 2, len(order) // 2
    if heads.rotary.interleaved:
        first, second = components[: 2 * pairs : 2], components[1 : 2 * pairs : 2]
    else:
        first, second = components[:pairs], components[pairs : 2 * pairs]
    order[:pairs], order[half : half + pairs] = first, second
    free = np.flatnonzero(order < 0)
    order[free[: width - 2 * pairs]] = components[2 * pairs :]
    return order


def arrange(parameters: F32, n_heads: int, order: I64) -> F32:
    """Arrange the components of each head, along the last axis: [..., n_heads · d_k] to [..., n_heads · len(order)]."""
    if np.array_equal(order, np.arange(parameters.shape[-1] // n_heads)):
        return parameters
    split = parameters.reshape(*parameters.shape[:-1], n_heads, -1)
    arranged = np.where(order < 0, np.float32(0), split[..., order])
    return arranged.reshape(*parameters.shape[:-1], -1)


def query_factor(heads: Heads) -> np.float32:
    """Return the factor of queries with which logits are plain products."""
    return np.float32(1 / (math.sqrt(head_width(heads)) * heads.temperature))


def projection(layer: EncoderLayer) -> Linear:
    """Join W_Q, W_K and W_V to one matrix.

    Its queries are divided by √d_k, so that logits are plain products, unless they are normalised afterwards.
    """
    heads = layer.attention
    order, plain = order_of(heads), order_of(replace(heads, rotary=None))
    scale = query_factor(heads) if heads.query_norm is None else np.float32(1)
    query, key = Linear(heads.W_Q, heads.b_Q), Linear(heads.W_K, heads.b_K)
    parts = (
        (query, heads.n_heads, order, scale),
        (key, heads.key_heads, order, np.float32(1)),
        (Linear(heads.W_V, heads.b_V), heads.key_heads, plain, np.float32(1)),
    )
    return Linear(
        np.concatenate(
            [arrange(to_float32(map_.weight), n, order) * factor for map_, n, order, factor in parts], axis=1
        ),
        np.concatenate([arrange(bias(map_), n, order) * factor for map_, n, order, factor in parts]),
    )


def head_scales(model: SentenceEncoder) -> F32:
    """Return the scales of the queries' and keys' normalisations in each layer; ones if there are none."""
    width = design(model).head_width
    scales = np.ones((2 * len(model.encoder.layers), width), np.float32)
    for number, layer in enumerate(model.encoder.layers):
        heads = layer.attention
        if isinstance(heads.query_norm, RMSNorm) and isinstance(heads.key_norm, RMSNorm):
            order = order_of(heads)
            scales[2 * number] = to_float32(heads.query_norm.scale)[order] * query_factor(heads)
            scales[2 * number + 1] = to_float32(heads.key_norm.scale)[order]
    return scales


def output(layer: EncoderLayer) -> Linear:
    """Return W_O, with rows of zeros where heads are widened."""
    heads = layer.attention
    order = order_of(replace(heads, rotary=None))
    return Linear(np.ascontiguousarray(arrange(to_float32(heads.W_O).T, heads.n_heads, order).T), heads.b_O)


def inner(layer: EncoderLayer, columns: int) -> Linear:
    """Return the matrix to the hidden units, whose number is rounded up to a multiple of 32.

    Panels of `columns` columns of the gate alternate with those of the hidden units.
    """
    network_ = layer.feed_forward
    maps = [network_.inner] if network_.gate is None else [network_.gate, network_.inner]
    spare = -int(network_.inner.weight.shape[1]) % PANEL
    weights = [
        np.pad(to_float32(map_.weight), ((0, 0), (0, spare))) if spare else to_float32(map_.weight) for map_ in maps
    ]
    biases = [np.pad(bias(map_), (0, spare)) for map_ in maps]
    if len(maps) == 1:
        return Linear(weights[0], biases[0])
    panels = [
        np.stack([part.reshape(*part.shape[:-1], -1, columns) for part in parts], axis=-2)
        for parts in (weights, biases)
    ]
    return Linear(*(part.reshape(*part.shape[:-3], -1) for part in panels))


def outer(layer: EncoderLayer) -> Linear:
    """Return the matrix from the hidden units, with rows of zeros for those that `inner` adds."""
    map_ = layer.feed_forward.outer
    spare = -int(map_.weight.shape[0]) % PANEL
    return Linear(np.pad(to_float32(map_.weight), ((0, spare), (0, 0))), map_.bias) if spare else map_


def bias(linear: Linear) -> F32:
    """Return the bias of an affine map, or zeros if the map has no bias."""
    return np.zeros(linear.weight.shape[1], np.float32) if linear.bias is None else to_float32(linear.bias)


def to_float32(array: npt.ArrayLike) -> F32:
    """Convert an array of NumPy or torch to the float32 array that the kernels read, without a copy if it is one."""
    return np.require(np.asarray(array), dtype=np.float32, requirements=["C", "A"])


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


def check_sequences(tokens: Integers, lengths: Integers) -> tuple[Integers, Integers]:
    """Check tokens and lengths, and return them as int64.

    Raises:
        ParameterError: the tokens or the lengths are not integers.
        ShapeError: the lengths do not sum to the number of tokens.
    """
    for name, array in {"tokens": tokens, "lengths": lengths}.items():
        if not np.issubdtype(array.dtype, np.integer) or array.ndim != 1:
            raise ParameterError(
                f"{name} must be a row of integers, got {array.dtype} of shape {array.shape}: "
                f"put the sequences one after the other"
            )
    if (lengths < 1).any() or lengths.sum() != len(tokens):
        raise ShapeError(
            f"lengths must be at least 1 each and sum to the {len(tokens)} tokens, "
            f"got a least of {lengths.min(initial=1)} and a sum of {lengths.sum()}"
        )
    return tokens.astype(np.int64), lengths.astype(np.int64)


def count_packed(positions: Positions | None, tokens: I64, lengths: I64) -> I64:
    """Return the positions [t] of the tokens [t] of concatenated sequences, as `Positions.count` does for each.

    Args:
        positions: the positions of the model; None if it has no vectors for them.
        tokens: integers [t]
        lengths: integers [b], the number of tokens of each sequence, at least 1; they sum to t.
    """
    starts = np.cumsum(lengths) - lengths
    if positions is None or positions.padding is None:
        return np.arange(len(tokens)) - np.repeat(starts, lengths)
    counts = (tokens != positions.padding).astype(np.int64)
    totals = np.cumsum(counts)
    before = np.repeat(totals[starts] - counts[starts], lengths)
    return np.where(counts > 0, totals - before - 1, -1)


def finish(model: SentenceEncoder, pooled: F32) -> F32:
    """Return the embeddings [b, dimension] of pooled vectors [b, d], each to the bit what it is alone.

    A matrix product rounds a row in another way if there are other rows, and OpenBLAS divides even a small one among
    threads, which then spin for longer than a short text takes. So each number is a product of two vectors.
    """
    for dense in model.dense:
        mapped = np.vecdot(pooled[:, None], dense.linear.weight.T)
        pooled = dense.activate(mapped if dense.linear.bias is None else mapped + dense.linear.bias)
    embeddings: F32 = model.scale(pooled)
    return embeddings
