"""The sentence encoder on packed sequences, which are concatenated without padding.

It computes the numbers that `SentenceEncoder` defines, several times faster. It does not compute padding, and has one
matrix for queries, keys and values. Its matrices are prepared, and torch's fused attention does not store weights.
Sequences of equal length are computed as one batch, so they need no mask and do not influence each other.
"""

from __future__ import annotations

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
from attention.heads import Heads
from attention.names import resolve
from attention.transformer.feed_forward import ACTIVATIONS, Activation, Linear
from attention.transformer.layer import EncoderLayer, LayerNorm, Norm, Residual
from attention.transformer.parameters import map_arrays
from attention.transformer.sentence import Integers, SentenceEncoder, check_sequences

Affine: TypeAlias = Callable[[torch.Tensor], torch.Tensor]

# The names of activations and of their variants in oneDNN.
ONEDNN_ACTIVATIONS: Mapping[object, tuple[str, str]] = {
    None: ("none", ""),
    "relu": ("relu", ""),
    "gelu": ("gelu", "none"),
    "gelu_tanh": ("gelu", "tanh"),
}


def affine(linear: Linear, activation: str | Activation | None = None) -> Affine:
    """Return a function that maps x [t, d_in] to [t, d_out].

    It also applies the activation of a `FeedForward`, if there is one.

    It takes rows of the parameters' type, float32 or bfloat16, on the CPU.
    """
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
        self.embedding_norm = None if model.embeddings.norm is None else fuse_norm(model.embeddings.norm)
        self.layers = tuple(PackedLayer.of(layer) for layer in model.encoder.layers)
        self.last_norm = None if model.encoder.norm is None else fuse_norm(model.encoder.norm)

    @property
    def dimension(self) -> int:
        """The width of an embedding."""
        return self.model.dimension

    @torch.inference_mode()
    def __call__(self, tokens: Integers, lengths: Integers) -> npt.NDArray[np.float32]:
        """Return the embeddings of b sequences.

        Args:
            tokens: integers [t], the concatenated sequences.
            lengths: integers [b], each at least 1; they sum to t.

        Returns:
            float32 [b, dimension], in the order of the lengths.

        Raises:
            ShapeError: the lengths do not fit the tokens, or one is beyond the model's positions.
            ParameterError: an id is beyond the model's vocabulary.
        """
        tokens, lengths = check_sequences(tokens, lengths)
        embeddings = np.empty((len(lengths), self.dimension), np.float32)
        if len(lengths) == 0:
            return embeddings

        order = np.argsort(lengths, kind="stable")
        rows, positions = reorder(lengths, order)
        groups = group_by_length(lengths[order])
        token_ids, token_positions = torch.from_numpy(tokens[rows]), torch.from_numpy(positions)
        x = self.model.embeddings.sum_vectors(token_ids, token_positions)  # [t, d_model]
        x = x if self.embedding_norm is None else self.embedding_norm(x)
        for layer in self.layers:
            x = layer(x, groups)
        x = x if self.last_norm is None else self.last_norm(x)

        embeddings[order] = self.pool(x, groups).numpy()
        return embeddings

    def pool(self, x: torch.Tensor, groups: Sequence[Group]) -> torch.Tensor:
        """Return the sequences' embeddings [b, dimension] from the vectors of the groups' tokens, x [t, d_model]."""
        parts = []
        for group in groups:
            sequences = x[group.rows].view(group.size, group.length, -1)
            parts.append(self.model.pool(sequences, torch.ones(sequences.shape[:2], dtype=torch.bool)))
        return torch.cat(parts).float()


@dataclass(frozen=True, eq=False)
class PackedLayer:
    """An `EncoderLayer` for packed sequences.

    Attributes:
        n_heads: the number of heads.
        projections: d_model → 3 · n_heads · d_k; queries, keys and values side by side.
        output: n_heads · d_k → d_model
        attention_residual: the add & norm around the attention.
        inner: d_model → d_ff, and the activation.
        outer: d_ff → d_model
        feed_forward_residual: the add & norm around the network.
    """

    n_heads: int
    projections: Affine
    output: Affine
    attention_residual: Residual
    inner: Affine
    outer: Affine
    feed_forward_residual: Residual

    @classmethod
    def of(cls, layer: EncoderLayer) -> PackedLayer:
        """Return a layer for packed sequences with the parameters of an `EncoderLayer`."""
        heads, network = layer.attention, layer.feed_forward
        return cls(
            n_heads=heads.n_heads,
            projections=affine(join_projections(heads)),
            output=affine(Linear(heads.W_O, heads.b_O)),
            attention_residual=fuse_residual(layer.attention_residual),
            inner=affine(network.inner, network.activation),
            outer=affine(network.outer),
            feed_forward_residual=fuse_residual(layer.feed_forward_residual),
        )

    def __call__(self, x: torch.Tensor, groups: Sequence[Group]) -> torch.Tensor:
        """Return the layer's output [t, d_model] for x [t, d_model]; each sequence attends to itself."""
        projected = self.projections(self.attention_residual.read(x))
        x = self.attention_residual.add(x, self.output(self.attend(projected, groups)))
        update = self.outer(self.inner(self.feed_forward_residual.read(x)))
        y: torch.Tensor = self.feed_forward_residual.add(x, update)
        return y

    def attend(self, projected: torch.Tensor, groups: Sequence[Group]) -> torch.Tensor:
        """Return the joined outputs [t, n_heads · d_k] of all heads.

        Args:
            projected: [t, 3 · n_heads · d_k], queries, keys and values side by side.
            groups: the groups of sequences.
        """
        outputs = []
        for rows, size, length in groups:
            heads = projected[rows].view(size, length, 3, self.n_heads, -1)
            query, key, value = heads.permute(2, 0, 3, 1, 4).unbind()  # each [size, n_heads, length, d_k]
            output = functional.scaled_dot_product_attention(query, key, value)
            outputs.append(output.transpose(1, 2).reshape(size * length, -1))
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs)


def reorder(lengths: Integers, order: Integers) -> tuple[Integers, Integers]:
    """Return the positions of packed tokens after their sequences are reordered.

    The result is, for each token in the new order, its index in the old order, and its position in its sequence; each
    [t].

    Args:
        lengths: integers [b], in the order before.
        order: integers [b], the sequences in their new order.
    """
    starts_before = np.cumsum(lengths) - lengths  # [b] the first token of each sequence
    new_lengths = lengths[order]
    new_starts = np.cumsum(new_lengths) - new_lengths
    positions = np.arange(lengths.sum()) - np.repeat(new_starts, new_lengths)
    return np.repeat(starts_before[order], new_lengths) + positions, positions


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
    if len({tuple(W.shape) for W in matrices}) > 1:
        shapes = ", ".join(str(list(W.shape)) for W in matrices)
        raise ParameterError(f"packed heads need queries, keys and values of one width, got {shapes}")
    biases = (heads.b_Q, heads.b_K, heads.b_V)
    filled = [torch.zeros_like(W[0]) if b is None else b for W, b in zip(matrices, biases, strict=True)]
    return Linear(torch.cat(matrices, dim=1), torch.cat(filled))


def fuse_norm(norm: Norm) -> Norm:
    """Return the normalisation as a single operation of torch, if it is a `LayerNorm`.

    Other normalisations are returned unchanged.
    """
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
    """Return the add & norm with its normalisation replaced by the result of `fuse_norm`."""
    return Residual(fuse_norm(residual.norm), residual.norm_first)
