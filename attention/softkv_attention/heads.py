"""Heads: attention in several learned subspaces at once, with W_Q, W_K and W_V before it and W_O after it.

    query, key, value = x W_Q, y W_K, y W_V            each split into heads
    output = [head₁ … head_h] W_O,  headᵢ = attend(queryᵢ, keyᵢ, valueᵢ)

Between the projections and the heads, queries and keys may be normalised and turned by their positions. Several queries
may share one key and value (grouped queries).

Source: Vaswani et al. 2017, arXiv 1706.03762; grouped queries, Ainslie et al. 2023, arXiv 2305.13245.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from array_api_compat import device

from softkv_attention.arrays import Array, Shape, array_namespace
from softkv_attention.definition import Attended, attend
from softkv_attention.errors import ParameterError, ShapeError
from softkv_attention.rotary import Rotary


@dataclass(frozen=True, eq=False)
class LowRank:
    """A matrix W = down · up that is stored as its factors: x @ W narrows x to width r and widens it again.

    The product is never formed: 12,288 → 128 → 12,288 takes 3 million numbers, not 151 million. It can replace any
    weight matrix, most often W_V.

    Attributes:
        down: [d_in, r]
        up: [r, d_out]
    """

    down: Array
    up: Array

    __array_ufunc__ = None  # so that NumPy leaves x @ W to this class

    def __post_init__(self) -> None:
        if self.down.shape[-1] != self.up.shape[0]:
            raise ShapeError(
                f"down must be [d_in, r] and up [r, d_out], got {tuple(self.down.shape)} and "
                f"{tuple(self.up.shape)}: give both the same r"
            )

    @property
    def shape(self) -> Shape:
        """The shape of W, (d_in, d_out)."""
        return int(self.down.shape[0]), int(self.up.shape[1])

    def __rmatmul__(self, x: Array) -> Array:
        """Return x @ W, [..., d_out], for x [..., d_in]."""
        return x @ self.down @ self.up


class HeadsSteps(NamedTuple):
    """The output and all intermediate results of attention with heads.

    Attributes:
        output: [..., m, d_model]; heads that a mask leaves out add nothing to it.
        query: [..., n_heads, m, d_k], normalised and rotated where the heads do so.
        key: [..., n_key_heads, n, d_k], likewise.
        value: [..., n_key_heads, n, d_v]
        attended: the result of attention in each head, with output [..., n_heads, m, d_v] and weights [..., n_heads, m,
            n].
    """

    output: Array
    query: Array
    key: Array
    value: Array
    attended: Attended[Array]


@dataclass(frozen=True, eq=False)
class Heads:
    """The parameters of attention with heads, which is called like a function. nn.MultiheadAttention is equivalent.

    PyTorch stores its matrices transposed. Any of them may be `LowRank`; d_k and d_v are per head.

    Attributes:
        W_Q: [d_model, n_heads · d_k]
        W_K: [d_model, n_key_heads · d_k]
        W_V: [d_model, n_key_heads · d_v]
        W_O: [n_heads · d_v, d_model]
        n_heads: the number of heads.
        b_Q, b_K, b_V, b_O: the bias that is added after each matrix, as wide as its output; None to add nothing.
        n_key_heads: the number of keys and values, which divides n_heads; query head i reads key head
            ⌊i · n_key_heads / n_heads⌋. None for n_heads.
        query_norm, key_norm: the normalisation of each head's query and key, over d_k; None to leave it out.
        rotary: the rotation of queries and keys by their positions, after their normalisation; None for none.
        temperature: the number that logits are divided by, besides √d_k.

    Raises:
        ParameterError: n_heads is below 1, or n_key_heads does not divide it.
        ShapeError: the matrices do not fit each other or the number of heads.
    """

    W_Q: Array
    W_K: Array
    W_V: Array
    W_O: Array
    n_heads: int
    b_Q: Array | None = None
    b_K: Array | None = None
    b_V: Array | None = None
    b_O: Array | None = None
    n_key_heads: int | None = None
    query_norm: Callable[[Array], Array] | None = None
    key_norm: Callable[[Array], Array] | None = None
    rotary: Rotary | None = None
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if self.n_heads < 1:
            raise ParameterError(f"n_heads must be at least 1, got {self.n_heads}")
        if self.key_heads < 1 or self.n_heads % self.key_heads:
            raise ParameterError(f"n_key_heads must divide the {self.n_heads} heads, got {self.n_key_heads}")
        for name in ("W_Q", "W_K", "W_V", "W_O"):
            if len(getattr(self, name).shape) != 2:
                raise ShapeError(f"{name} must be a matrix, got shape {tuple(getattr(self, name).shape)}")
        widths = {name: int(getattr(self, name).shape[1]) for name in ("W_Q", "W_K", "W_V")}
        for name, width in widths.items():
            n_heads = self.n_heads if name == "W_Q" else self.key_heads
            if width % n_heads:
                raise ShapeError(
                    f"{name} must be n_heads · d wide, got {width} columns for {n_heads} heads: "
                    f"choose a number of heads that divides {width}"
                )
        if widths["W_Q"] != widths["W_K"] * self.group:
            raise ShapeError(
                f"W_Q and W_K must be equally wide, got {widths['W_Q']} and {widths['W_K']} columns"
                + (f" for {self.group} queries a key" if self.group > 1 else "")
            )
        if self.W_O.shape[0] != widths["W_V"] * self.group:
            raise ShapeError(
                f"W_O must have a row for each column of W_V, got {self.W_O.shape[0]} rows for {widths['W_V']}"
                + (f" and {self.group} queries a value" if self.group > 1 else "")
            )

    @property
    def key_heads(self) -> int:
        """The number of heads of keys and values."""
        return self.n_heads if self.n_key_heads is None else self.n_key_heads

    @property
    def group(self) -> int:
        """The number of query heads that share one head of keys and values."""
        return self.n_heads // self.key_heads

    def __call__(self, query: Array, key: Array, value: Array, mask: Array | None = None, **options: Any) -> Array:
        """Return the output [..., m, d_model] of attention from `query` over `key` and `value`.

        For self-attention, pass one array as all three; for cross-attention, one array as key and value.

        Args:
            query: [..., m, d_model]
            key: [..., n, d_model]
            value: [..., n, d_model]
            mask: bool, broadcasts to [..., m, n]; True where a query may attend, in every head.
            options: the other options of `attend`, which broadcast to [..., n_heads, m, n].
        """
        return self.steps(query, key, value, mask, **options).output

    def steps(
        self,
        query: Array,
        key: Array,
        value: Array,
        mask: Array | None = None,
        *,
        head_mask: Array | None = None,
        **options: Any,
    ) -> HeadsSteps:
        """Return the output and all intermediate results of attention with heads.

        Args:
            query, key, value, mask, options: those of calling the object.
            head_mask: bool, broadcasts to [..., n_heads]; False where a head's output is replaced by zeros (Michel et
                al. 2019, arXiv 1905.10650). None keeps all heads.
        """
        query, key, value = self.queries(query), self.keys(key), self.values(value)
        attended = self.attend(query, key, value, mask, **options)
        output = attended.output
        if head_mask is not None:
            xp = array_namespace(output, head_mask)
            output = xp.where(head_mask[..., None, None], output, xp.zeros_like(output))
        return HeadsSteps(self.join(output), query, key, value, attended)

    def queries(self, x: Array, *, start: int = 0) -> Array:
        """Return the heads' queries [..., n_heads, m, d_k] of x [..., m, d_model], whose first position is `start`."""
        return self._turn(split(project(x, self.W_Q, self.b_Q), self.n_heads), self.query_norm, start)

    def keys(self, x: Array, *, start: int = 0) -> Array:
        """Return the keys [..., n_key_heads, n, d_k] of x [..., n, d_model], whose first position is `start`."""
        return self._turn(split(project(x, self.W_K, self.b_K), self.key_heads), self.key_norm, start)

    def values(self, x: Array) -> Array:
        """Return the values [..., n_key_heads, n, d_v] of x [..., n, d_model]."""
        return split(project(x, self.W_V, self.b_V), self.key_heads)

    def _turn(self, x: Array, norm: Callable[[Array], Array] | None, start: int) -> Array:
        x = x if norm is None else norm(x)
        return x if self.rotary is None else self.rotary(x, start=start)

    def attend(
        self, query: Array, key: Array, value: Array, mask: Array | None = None, **options: Any
    ) -> Attended[Array]:
        """Attend in each head, over queries, keys and values that are already projected.

        The other arguments are those of calling the object.
        """
        if mask is not None and mask.ndim > 2:
            mask = mask[..., None, :, :]
        if self.group > 1:
            key, value = repeat(key, self.group), repeat(value, self.group)
        return attend(query, key, value, mask=mask, **{"temperature": self.temperature} | options)

    def write(self, output: Array, heads: Sequence[int]) -> Array:
        """Return what each of some heads adds to the tokens: its output, multiplied by its rows of W_O.

        The sum over all heads, and b_O, is `join`.

        Args:
            output: [..., h, m, d_v], the outputs of the h heads.
            heads: their indices.

        Returns:
            [..., h, m, d_model]
        """
        xp = array_namespace(output)
        selection = xp.eye(self.n_heads, dtype=output.dtype, device=device(output))[list(heads)]  # [h, n_heads]
        placed = output[..., :, None, :, :] * selection[:, :, None, None]  # [..., h, n_heads, m, d_v]
        return project(join_heads(placed), self.W_O)

    def join(self, output: Array) -> Array:
        """Return [..., m, d_model]: the heads' outputs side by side, multiplied by W_O.

        The heads' outputs are [..., n_heads, m, d_v].
        """
        return project(join_heads(output), self.W_O, self.b_O)


def project(x: Array, W: Array, b: Array | None = None) -> Array:
    """Return xW + b, [..., d_out], for x [..., d_in]; W is a matrix or `LowRank`.

    Raises:
        ShapeError: x does not have the width d_in.
    """
    if x.shape[-1] != W.shape[0]:
        raise ShapeError(f"x must be {W.shape[0]} wide to be projected by W {tuple(W.shape)}, got {tuple(x.shape)}")
    return x @ W if b is None else x @ W + b


def split(x: Array, n_heads: int) -> Array:
    """Reshape x [..., n, n_heads · d] to [..., n_heads, n, d]."""
    xp = array_namespace(x)
    return xp.moveaxis(xp.reshape(x, (*x.shape[:-1], n_heads, x.shape[-1] // n_heads)), -2, -3)


def repeat(x: Array, times: int) -> Array:
    """Repeat each head of x [..., h, n, d] for its group of queries: [..., h · times, n, d]."""
    xp = array_namespace(x)
    h, n, d = x.shape[-3:]
    copies = xp.broadcast_to(x[..., :, None, :, :], (*x.shape[:-3], h, times, n, d))
    return xp.reshape(copies, (*x.shape[:-3], h * times, n, d))


def join_heads(x: Array) -> Array:
    """Reshape x [..., n_heads, n, d] to [..., n, n_heads · d]; the inverse of `split`."""
    xp = array_namespace(x)
    n_heads, n, d = x.shape[-3:]
    return xp.reshape(xp.moveaxis(x, -3, -2), (*x.shape[:-3], n, n_heads * d))
