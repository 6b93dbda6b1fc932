"""The sentence encoder on packed sequences: one after the other, without padding.

The same numbers as `SentenceEncoder`, which defines them, several times faster: no work on padding, one
matrix for queries, keys and values, prepared matrices, and torch's fused attention, which keeps no weights.
Sequences of equal length attend side by side, so none needs a mask, and none notices its neighbours.
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

# What oneDNN calls an activation, and its variant.
ONEDNN_ACTIVATIONS: Mapping[object, tuple[str, str]] = {
    None: ("none", ""),
    "relu": ("relu", ""),
    "gelu": ("gelu", "none"),
    "gelu_tanh": ("gelu", "tanh"),
}


def affine(linear: Linear, activation: str | Activation | None = None) -> Affine:
    """The map x [t, d_in] → [t, d_out] with the activation of a `FeedForward` after it, or none.

    It takes rows of the parameters' own type, float32 or bfloat16, on the CPU.
    """
    weight, bias = linear.weight.T.contiguous(), linear.bias
    if has_onednn(weight) and activation in ONEDNN_ACTIVATIONS:
        kind, variant = ONEDNN_ACTIVATIONS[activation]
        prepared = torch.ops.mkldnn._reorder_linear_weight(weight)

        def fused(x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = torch.ops.mkldnn._linear_pointwise(x, prepared, bias, kind, [], variant)
            return y

        return fused

    if activation is None:
        return partial(functional.linear, weight=weight, bias=bias)
    bend = resolve("activation", activation, ACTIVATIONS, "a function of an array")
    return lambda x: bend(functional.linear(x, weight, bias))


def has_onednn(weight: torch.Tensor) -> bool:
    """Whether oneDNN multiplies by this matrix on this machine."""
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
        rows: where their tokens stand among all.
        size: how many sequences.
        length: the number of tokens of each.
    """

    rows: slice
    size: int
    length: int


class Packed:
    """A sentence encoder made ready for many texts, on the CPU and without gradients.

    Its precision is that of the model's parameters, float32 or bfloat16, NumPy's or torch's. Threads may share it.
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
        """The embeddings of b sequences.

        Args:
            tokens: integers [t], the sequences one after the other.
            lengths: integers [b], each at least 1; they sum to t.

        Returns:
            float32 [b, dimension], in the order of the lengths.

        Raises:
            ShapeError: the lengths do not fit the tokens, or one is beyond the model's positions.
            ParameterError: ids that the model does not have.
        """
        tokens, lengths = check_sequences(tokens, lengths)
        embeddings = np.empty((len(lengths), self.dimension), np.float32)
        if len(lengths) == 0:
            return embeddings

        order = np.argsort(lengths, kind="stable")
        rows, positions = reorder(lengths, order)
        groups = group_by_length(lengths[order])
        x = self.model.embeddings.summed(torch.from_numpy(tokens[rows]), torch.from_numpy(positions))  # [t, d_model]
        x = x if self.embedding_norm is None else self.embedding_norm(x)
        for layer in self.layers:
            x = layer(x, groups)
        x = x if self.last_norm is None else self.last_norm(x)

        embeddings[order] = self.pooled(x, groups).numpy()
        return embeddings

    def pooled(self, x: torch.Tensor, groups: Sequence[Group]) -> torch.Tensor:
        """The groups' tokens x [t, d_model] → their sequences' embeddings [b, dimension]."""
        parts = []
        for group in groups:
            sequences = x[group.rows].view(group.size, group.length, -1)
            parts.append(self.model.pool(sequences, torch.ones(sequences.shape[:2], dtype=torch.bool)))
        return torch.cat(parts).float()


@dataclass(frozen=True, eq=False)
class PackedLayer:
    """What `EncoderLayer` computes, on packed sequences.

    Attributes:
        n_heads: the number of heads.
        projections: d_model → 3 · n_heads · d_k; queries, keys and values side by side.
        output: n_heads · d_k → d_model
        attention_residual: how that is added.
        inner: d_model → d_ff, and the activation.
        outer: d_ff → d_model
        feed_forward_residual: how that is added.
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
        """The layer made ready."""
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
        """x [t, d_model] → [t, d_model]; each sequence attends to itself."""
        projected = self.projections(self.attention_residual.read(x))
        x = self.attention_residual.add(x, self.output(self.attend(projected, groups)))
        update = self.outer(self.inner(self.feed_forward_residual.read(x)))
        y: torch.Tensor = self.feed_forward_residual.add(x, update)
        return y

    def attend(self, projected: torch.Tensor, groups: Sequence[Group]) -> torch.Tensor:
        """Queries, keys and values [t, 3 · n_heads · d_k] → the heads' outputs, joined [t, n_heads · d_k]."""
        outputs = []
        for rows, size, length in groups:
            heads = projected[rows].view(size, length, 3, self.n_heads, -1)
            query, key, value = heads.permute(2, 0, 3, 1, 4).unbind()  # each [size, n_heads, length, d_k]
            output = functional.scaled_dot_product_attention(query, key, value)
            outputs.append(output.transpose(1, 2).reshape(size * length, -1))
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs)


def reorder(lengths: Integers, order: Integers) -> tuple[Integers, Integers]:
    """Packed sequences in another order: which token comes where, and its position in its sequence; each [t]."""
    before = np.cumsum(lengths) - lengths  # [b] the first token of each sequence
    chosen = lengths[order]
    after = np.cumsum(chosen) - chosen
    positions = np.arange(lengths.sum()) - np.repeat(after, chosen)
    return np.repeat(before[order], chosen) + positions, positions


def group_by_length(lengths: Integers) -> list[Group]:
    """The groups of lengths [b] in ascending order."""
    values, counts = np.unique(lengths, return_counts=True)
    ends = np.cumsum(values * counts)
    starts = ends - values * counts
    columns = (column.tolist() for column in (starts, ends, counts, values))
    return [Group(slice(start, end), size, length) for start, end, size, length in zip(*columns, strict=True)]


def join_projections(heads: Heads) -> Linear:
    """W_Q, W_K and W_V as one matrix."""
    matrices = (heads.W_Q, heads.W_K, heads.W_V)
    if len({tuple(W.shape) for W in matrices}) > 1:
        shapes = ", ".join(str(list(W.shape)) for W in matrices)
        raise ParameterError(f"packed heads need queries, keys and values of one width, got {shapes}")
    biases = (heads.b_Q, heads.b_K, heads.b_V)
    filled = [torch.zeros_like(W[0]) if b is None else b for W, b in zip(matrices, biases, strict=True)]
    return Linear(torch.cat(matrices, dim=1), torch.cat(filled))


def fuse_norm(norm: Norm) -> Norm:
    """A `LayerNorm` as torch's one operation; another normalisation as it is."""
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
    """The same add & norm with torch's one operation."""
    return Residual(fuse_norm(residual.norm), residual.norm_first)
