"""The sentence encoder on packed sequences, which are concatenated without padding.

It computes the numbers that `SentenceEncoder` defines, several times faster. It does not compute padding, and has one
matrix for queries, keys and values. Its matrices are prepared, and torch's fused attention does not store weights.
Sequences of equal length are computed as one batch, so they need no mask and do not influence each other.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from attention.errors import ParameterError
from attention.heads import Heads, repeat
from attention.names import resolve
from attention.transformer.embeddings import check_types, count_packed
from attention.transformer.feed_forward import ACTIVATIONS, Activation, Linear
from attention.transformer.layer import EncoderLayer, LayerNorm, Norm, Residual, RMSNorm
from attention.transformer.parameters import map_arrays
from attention.transformer.relative_positions import RelativePositions
from attention.transformer.sentence import Integers, SentenceEncoder, check_sequences

Affine: TypeAlias = Callable[[torch.Tensor], torch.Tensor]

MIN_ROWS = 16
"""The smallest number of rows of a matrix product. Libraries compute fewer in another order, with other rounding."""

# The names of activations and of their variants in oneDNN.
ONEDNN_ACTIVATIONS: Mapping[object, tuple[str, str]] = {
    None: ("none", ""),
    "relu": ("relu", ""),
    "gelu": ("gelu", "none"),
    "gelu_tanh": ("gelu", "tanh"),
    "silu": ("swish", ""),
    "tanh": ("tanh", ""),
}

ALIGNMENT = 16
"""Numbers of a cache line. If heads were not as wide, their rounding would depend on where in memory they lie."""


def affine(linear: Linear, activation: str | Activation | None = None) -> Affine:
    """Return a function that maps x [t, d_in] to [t, d_out].

    It also applies the activation of a `FeedForward`, if there is one.

    It takes rows of the parameters' type, float32 or bfloat16, on the CPU. A row's result is the same among any others.
    """
    multiply = product(linear, activation)

    def apply(x: torch.Tensor) -> torch.Tensor:
        if len(x) >= MIN_ROWS:
            return multiply(x)
        return multiply(functional.pad(x, (0, 0, 0, MIN_ROWS - len(x))))[: len(x)]

    return apply


def product(linear: Linear, activation: str | Activation | None) -> Affine:
    """Return the function of `affine` for `MIN_ROWS` rows or more."""
    weight, bias = linear.weight.T.contiguous(), linear.bias
    if has_onednn(weight) and activation in ONEDNN_ACTIVATIONS:
        kind, variant = ONEDNN_ACTIVATIONS[activation]
        prepared = torch.ops.mkldnn._reorder_linear_weight(weight)

        def apply_fused(x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = torch.ops.mkldnn._linear_pointwise(x, prepared, bias, kind, [], variant)
            return y

        return apply_fused

    if activation is None:
        return partial(functional.linear, weight=weight, bias=bias)
    activate = resolve("activation", activation, ACTIVATIONS, "a function of an array")
    return lambda x: activate(functional.linear(x, weight, bias))


def has_onednn(weight: torch.Tensor) -> bool:
    """Return whether oneDNN can multiply by this matrix on this machine."""
    available = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if not available or platform.machine() not in ("x86_64", "AMD64"):
        return False
    if weight.device.type != "cpu":
        return False
    if weight.dtype == torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return weight.dtype == torch.float32


class Group(NamedTuple):
    """Neighbouring sequences of one length.

    Attributes:
        rows: the slice of their tokens among all tokens.
        size: the number of sequences.
        length: the number of tokens of each sequence.
    """

    rows: slice
    size: int
    length: int


class Packed:
    """A sentence encoder prepared for many texts, on the CPU and without gradients.

    Its precision is that of the model's parameters, float32 or bfloat16, of NumPy or torch. Threads may share it.
    """

    def __init__(self, model: SentenceEncoder) -> None:
        self.model = model = map_arrays(torch.as_tensor, model)
        self.embedding_norm = fuse_norm(model.embeddings.norm)
        self.layers = tuple(PackedLayer.of(layer, model.encoder.bias) for layer in model.encoder.layers)
        self.last_norm = fuse_norm(model.encoder.norm)
        self.dense = tuple(affine(dense.linear, dense.activation) for dense in model.dense)

    @property
    def dimension(self) -> int:
        """The width of an embedding."""
        return self.model.dimension

    @torch.inference_mode()
    def __call__(self, tokens: Integers, lengths: Integers, types: Integers | None = None) -> npt.NDArray[np.float32]:
        """Return the embeddings of b sequences.

        Args:
            tokens: integers [t], the concatenated sequences.
            lengths: integers [b], each at least 1; they sum to t.
            types: integers [t], the types of the tokens; None for 0.

        Returns:
            float32 [b, dimension], in the order of the lengths.

        Raises:
            ShapeError: the lengths do not fit the tokens, or one is beyond the model's positions.
            ParameterError: an id is beyond the model's vocabulary, or the model has no such types.
        """
        tokens, lengths = check_sequences(tokens, lengths)
        types = check_types(self.model.embeddings, tokens, types)
        embeddings = np.empty((len(lengths), self.dimension), np.float32)
        if len(lengths) == 0:
            return embeddings

        order = np.argsort(lengths, kind="stable")
        rows = reorder(lengths, order)
        groups = group_by_length(lengths[order])
        positions = count_packed(self.model.embeddings.positions, tokens, lengths)
        token_ids, token_positions = torch.from_numpy(tokens[rows]), torch.from_numpy(positions[rows])
        token_types = None if types is None else torch.from_numpy(types[rows])
        x = self.model.embeddings.sum_vectors(token_ids, token_positions, token_types)  # [t, d_model]
        x = x if self.embedding_norm is None else self.embedding_norm(x)
        masks: Masks = {}
        for layer in self.layers:
            x = layer(x, groups, masks)
        x = x if self.last_norm is None else self.last_norm(x)

        embeddings[order] = self.pool(x, groups).numpy()
        return embeddings

    def pool(self, x: torch.Tensor, groups: Sequence[Group]) -> torch.Tensor:
        """Return the sequences' embeddings [b, dimension] from the vectors of the groups' tokens, x [t, d_model]."""
        parts = []
        for group in groups:
            sequences = x[group.rows].view(group.size, group.length, -1)
            parts.append(self.model.join_poolings(sequences, torch.ones(sequences.shape[:2], dtype=torch.bool)))
        vectors = torch.cat(parts)
        for dense, apply in zip(self.model.dense, self.dense, strict=True):
            vectors = apply(vectors.to(dense.linear.weight.dtype))
        embeddings: torch.Tensor = self.model.scale(vectors)
        return embeddings.float()


Masks: TypeAlias = dict[tuple[int, int | None, bool], torch.Tensor | None]
"""The masks of one call by length, window and causality: bool, or floats to add to the logits; None for none."""


@dataclass(frozen=True, eq=False)
class PackedLayer:
    """An `EncoderLayer` for packed sequences.

    Attributes:
        layer: the layer, for its heads' settings and its mask.
        bias: what is added to the logits for the distance of two tokens; None for nothing.
        projections: d_model → (n_heads + 2 · n_key_heads) · d_k; queries, keys and values side by side.
        output: n_heads · d_k → d_model
        query_norm, key_norm: the normalisation of each head's query and key; None to leave it out.
        attention_residual: the add & norm around the attention.
        gate: d_model → d_ff, and the activation; None for a network without one.
        inner: d_model → d_ff, and the activation if there is no gate.
        outer: d_ff → d_model
        feed_forward_residual: the add & norm around the network.
    """

    layer: EncoderLayer
    bias: RelativePositions | None
    projections: Affine
    output: Affine
    query_norm: Norm | None
    key_norm: Norm | None
    attention_residual: Residual
    gate: Affine | None
    inner: Affine
    outer: Affine
    feed_forward_residual: Residual

    @classmethod
    def of(cls, layer: EncoderLayer, bias: RelativePositions | None) -> PackedLayer:
        """Return a layer for packed sequences with the parameters of an `EncoderLayer`."""
        heads, network = layer.attention, layer.feed_forward
        gated = network.gate is not None
        return cls(
            layer=layer,
            bias=bias,
            projections=affine(join_projections(heads)),
            output=affine(Linear(heads.W_O, heads.b_O)),
            query_norm=fuse_norm(heads.query_norm),
            key_norm=fuse_norm(heads.key_norm),
            attention_residual=fuse_residual(layer.attention_residual),
            gate=None if network.gate is None else affine(network.gate, network.activation),
            inner=affine(network.inner, None if gated else network.activation),
            outer=affine(network.outer),
            feed_forward_residual=fuse_residual(layer.feed_forward_residual),
        )

    def __call__(self, x: torch.Tensor, groups: Sequence[Group], masks: Masks) -> torch.Tensor:
        """Return the layer's output [t, d_model] for x [t, d_model]; each sequence attends to itself."""
        projected = self.projections(self.attention_residual.read(x))
        update = self.output(self.attend(projected, groups, masks))
        x = self.attention_residual.add(x, self.attention_residual.update(update))
        read = self.feed_forward_residual.read(x)
        inner = self.inner(read) if self.gate is None else self.gate(read) * self.inner(read)
        update = self.feed_forward_residual.update(self.outer(inner))
        y: torch.Tensor = self.feed_forward_residual.add(x, update)
        return y

    def attend(self, projected: torch.Tensor, groups: Sequence[Group], masks: Masks) -> torch.Tensor:
        """Return the joined outputs [t, n_heads · d_k] of all heads.

        Args:
            projected: [t, (n_heads + 2 · n_key_heads) · d_k], queries, keys and values side by side.
            groups: the groups of sequences.
            masks: the masks of this call so far.
        """
        settings, outputs = self.layer.attention, []
        n_heads, n_key_heads = settings.n_heads, settings.key_heads
        for rows, size, length in groups:
            heads = projected[rows].view(size, length, n_heads + 2 * n_key_heads, -1).transpose(1, 2)
            query, key, value = torch.split(heads, [n_heads, n_key_heads, n_key_heads], dim=1)  # [size, h, length, d_k]
            query = query if self.query_norm is None else self.query_norm(query)
            key = key if self.key_norm is None else self.key_norm(key)
            if settings.rotary is not None:
                query, key = settings.rotary(query), settings.rotary(key)
            if settings.group > 1:
                key, value = repeat(key, settings.group), repeat(value, settings.group)
            d_k = query.shape[-1]
            if spare := -d_k % ALIGNMENT:
                query, key, value = (functional.pad(x, (0, spare)) for x in (query, key, value))
            mask, scale = self.mask(length, masks, like=query), d_k**-0.5 / settings.temperature
            output = functional.scaled_dot_product_attention(query, key, value, mask, scale=scale)
            outputs.append(output[..., :d_k].transpose(1, 2).reshape(size * length, -1))
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs)

    def mask(self, length: int, masks: Masks, *, like: torch.Tensor) -> torch.Tensor | None:
        """Return the mask for sequences of one length, which layers of one kind share in a call."""
        kind = (length, self.layer.window, self.layer.causal)
        if kind not in masks:
            mask = self.layer.mask(length, like=like)
            if self.bias is not None:
                bias = self.bias(length)[None].to(like.dtype)  # without four dimensions, torch computes otherwise
                mask = bias if mask is None else bias.masked_fill(~mask, -math.inf)
            masks[kind] = mask
        return masks[kind]


def reorder(lengths: Integers, order: Integers) -> Integers:
    """Return [t], for each packed token after the sequences are reordered, its index in the old order.

    Args:
        lengths: integers [b], in the order before.
        order: integers [b], the sequences in their new order.
    """
    starts_before = np.cumsum(lengths) - lengths  # [b] the first token of each sequence
    new_lengths = lengths[order]
    new_starts = np.cumsum(new_lengths) - new_lengths
    positions = np.arange(lengths.sum()) - np.repeat(new_starts, new_lengths)
    rows: Integers = np.repeat(starts_before[order], new_lengths) + positions
    return rows


def group_by_length(lengths: Integers) -> list[Group]:
    """Return a group for each different length, with the sequences that have it.

    Args:
        lengths: integers [b], ascending; the number of tokens of each sequence. The tokens of all sequences follow each
            other in one array.
    """
    values, counts = np.unique(lengths, return_counts=True)
    ends = np.cumsum(values * counts)
    starts = ends - values * counts
    columns = (column.tolist() for column in (starts, ends, counts, values))
    return [Group(slice(start, end), size, length) for start, end, size, length in zip(*columns, strict=True)]


def join_projections(heads: Heads) -> Linear:
    """Join W_Q, W_K and W_V, and their biases, to one affine map."""
    matrices = (heads.W_Q, heads.W_K, heads.W_V)
    if heads.W_K.shape != heads.W_V.shape:
        shapes = ", ".join(str(list(W.shape)) for W in matrices)
        raise ParameterError(f"packed heads need queries, keys and values of one width, got {shapes}")
    biases = (heads.b_Q, heads.b_K, heads.b_V)
    filled = [torch.zeros_like(W[0]) if b is None else b for W, b in zip(matrices, biases, strict=True)]
    return Linear(torch.cat(matrices, dim=1), torch.cat(filled))


def fuse_norm(norm: Norm | None) -> Norm | None:
    """Return the normalisation as a single operation of torch, if it is a `LayerNorm` or an `RMSNorm`.

    Other normalisations are returned unchanged.
    """
    if isinstance(norm, RMSNorm):
        return partial(
            functional.rms_norm, normalized_shape=list(norm.scale.shape), weight=norm.scale, eps=norm.epsilon
        )
    if not isinstance(norm, LayerNorm):
        return norm
    return partial(
        functional.layer_norm,
        normalized_shape=list(norm.scale.shape),
        weight=norm.scale,
        bias=norm.shift,
        eps=norm.epsilon,
    )


def fuse_residual(residual: Residual) -> Residual:
    """Return the add & norm with its normalisations replaced by the results of `fuse_norm`."""
    return Residual(fuse_norm(residual.norm), residual.norm_first, fuse_norm(residual.branch_norm))
