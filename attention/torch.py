"""Attention over a memory as a layer of torch, with exact gradients; and a contrastive loss over a whole memory.

    layer = MemoryAttention(memory, temperature=0.05, null=0.4)
    output = layer(queries)                                                   float[..., d] → float[..., d_v]
    loss = corpus_cross_entropy(queries, memory, positives, temperature=0.05)

Every row of the memory takes part, forwards and backwards; no matrix of queries by rows is kept. Gradients flow to the
queries, the temperature, the null key and projections. The stored keys and values are constants.

With s the similarity, w the weights, o = Σ wᵢvᵢ, and g the gradient of the output:

    ∂ log-partition / ∂q = Σ wᵢ ∂sᵢ/∂q / T                 for a product, the blended key over T
    ∂ (g·o) / ∂q         = Σ cᵢ ∂sᵢ/∂q / T                 cᵢ = wᵢ (g·vᵢ − g·o)
    ∂ (g·o) / ∂T         = −Σ cᵢ sᵢ / T²
    ∂ (g·o) / ∂s₀        = c₀ / T                          the null key: its value is zero

The second and third need one more pass over the rows, for which the similarities are stored or computed again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from attention.arrays import F64, I64
from attention.errors import ParameterError, ShapeError
from attention.lookup import (
    Background,
    GradientBounds,
    Mask,
    Memory,
    Question,
    Rounding,
    RowTile,
    StoredSimilarities,
    View,
    answers,
    blend,
    check_lengths,
    document_rows,
    pull,
    row_tiles,
)

Sums = TypeVar("Sums")

TRAINABLE = ("temperature", "null", "query", "output")
"""Names of the parameters of a `MemoryAttention`."""

CELLS = 1 << 24
"""The most logits that are in memory at a time, of all queries of a batch and the rows of a tile."""

QUERIES = 256
"""The most queries of a batch."""

LEAST_TEMPERATURE = 1e-30
"""Lower temperatures would overflow float32."""

LARGEST = 1e30
"""Larger similarities, keys or values might overflow float32."""


@dataclass(eq=False)
class GradientCertificate:
    """Proven bounds on the rounding errors of a lookup, against exact arithmetic on the stored float32 vectors.

    They do not count the rounding of results to the type of the queries, nor TF32 if torch may use it on a GPU.

    Attributes:
        total_variation: float64[...], an upper bound of ½·Σ|w − ŵ| over all rows and the null key.
        output_error: float64[...], an upper bound of ‖o − ô‖₂.
        query_gradient_error: float64[...], an upper bound of the error of each query's gradient, in Euclidean length,
            given the gradients of the output and the log-partition; None before `backward`.
    """

    total_variation: Tensor
    output_error: Tensor
    query_gradient_error: Tensor | None = None


class LookupResult(NamedTuple):
    """The result of attention over a memory: tensors that gradients flow through, and bounds.

    Attributes:
        output: float[..., d_v], Σ weight·value; the null key's value is zero.
        log_partition: float[...], ln Σ exp(logit) over all rows and the null key; −∞ without any of them.
        null_weight: float[...], the weight of the null key; 0 without one.
        certificate: bounds on the errors; `backward` adds that of the gradients.
    """

    output: Tensor
    log_partition: Tensor
    null_weight: Tensor
    certificate: GradientCertificate


def attend(
    queries: Tensor,
    memory: Memory | View | Sequence[View],
    temperature: float | Tensor,
    *,
    null: float | Tensor | None = None,
    mask: Mask | NDArray[np.bool_] | Tensor | None = None,
) -> LookupResult:
    """Attend over every row of a memory, with gradients for the queries, the temperature and the null key.

    Args:
        queries: float[..., d], of bfloat16, float16, float32 or float64. Numbers of float64 are computed in float64,
            others in float32 with sums over rows in float64.
        memory: the rows: a memory's current view, a view, or several views merged by `View.merged`.
        temperature: T, from 1e-30 on; a number, or a tensor that broadcasts to [...].
        null: the similarity of the null key, a number or a tensor that broadcasts to [...]; None for no null key.
        mask: the documents that may be attended to: a mask of this view, or bool[documents] in the order of their
            numbers; None for all.

    Raises:
        ShapeError: the queries have another width than the keys, or a mask another length.
        ParameterError: the temperature is too low, a number is not finite or too large for float32, a query is zero
            under cosine, the mask belongs to another view, or the rows are not in this process.
    """
    rows = Rows.of(memory, mask)
    flat = Queries.of(queries, rows, temperature, null)
    certificate, leading = flat.certificate(rows), queries.shape[:-1]
    lookup: Any = _Lookup.apply
    output, log_partition = lookup(
        flat.vectors, flat.inverse, flat.null, rows, flat.kind, flat.reach, certificate, torch.is_grad_enabled()
    )
    null_weight = torch.zeros_like(log_partition)
    if flat.null is not None:
        null_weight = (flat.null * flat.inverse - log_partition).exp()
    log_partition = log_partition + flat.shift * flat.inverse
    certificate.total_variation = certificate.total_variation.reshape(leading)
    certificate.output_error = certificate.output_error.reshape(leading)
    return LookupResult(
        output.reshape(*leading, rows.value_width).to(queries.dtype),
        log_partition.reshape(leading).to(flat.kind),
        null_weight.reshape(leading).to(flat.kind),
        certificate,
    )


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of a view that queries may attend to.

    Attributes:
        view: the view.
        mask: the rows that may be attended to; None for all.
    """

    view: View
    mask: Mask | None

    @classmethod
    def of(cls, memory: Memory | View | Sequence[View], mask: Mask | NDArray[np.bool_] | Tensor | None = None) -> Rows:
        """Return the rows of a memory, of a view or of several views, that pass a mask.

        Raises:
            ParameterError: the rows are not in this process, or the mask belongs to another view.
            ShapeError: the mask has another length than the view.
        """
        view = memory.view if isinstance(memory, Memory) else memory
        if isinstance(view, Sequence):
            view = View.merged(view)
        if not isinstance(view, View):
            raise ParameterError(
                f"gradients need a Memory or a View of this process, got {type(view).__name__}: "
                "Memory.of(keys) makes a memory of an array"
            )
        if isinstance(mask, Tensor):
            mask = mask.cpu().numpy()
        if mask is not None and not isinstance(mask, Mask):
            flags = np.asarray(mask)
            if flags.dtype != np.bool_:
                raise ParameterError(
                    f"mask must be a Mask or booleans, got {flags.dtype}: view.mask(numbers) makes one"
                )
            mask = view.mask(flags)
        if mask is not None and mask.view is not view:
            raise ParameterError("the mask belongs to another view: make it with this view's mask(numbers)")
        return cls(view, mask)

    @property
    def value_width(self) -> int:
        """The width of the values."""
        return self.view.value_dimension or 0

    def tiles(self, queries: Tensor) -> Iterator[Tile]:
        """Yield all rows in tiles on the queries' device, in the type of the queries."""
        for rows in row_tiles(self.view, self.mask, _tile_rows(len(queries))):
            yield Tile.of(rows, self.view.similarity, queries)


class Tile(NamedTuple):
    """Some rows as tensors: similarity = query·key · factor + addend, for queries as `Queries` scales them.

    Attributes:
        keys, values: float[r, d] and float[r, d_v]
        factors: float[r], 1/‖k‖ under cosine; None for factors of 1.
        addends: float[r], −‖k‖²/2 under gaussian; None for addends of 0.
    """

    keys: Tensor
    values: Tensor
    factors: Tensor | None
    addends: Tensor | None

    @classmethod
    def of(cls, rows: RowTile, similarity: str, like: Tensor) -> Tile:
        """Return rows as tensors of the type and on the device of another tensor."""
        keys = torch.from_numpy(rows.keys).to(like)
        values = keys if rows.values is rows.keys else torch.from_numpy(rows.values).to(like)
        if similarity == "cosine" and like.dtype == torch.float32:
            check_lengths(rows.norms)
        norms = torch.from_numpy(rows.norms)
        factors = (1 / norms).to(like) if similarity == "cosine" else None
        addends = (norms * norms / -2).to(like) if similarity == "gaussian" else None
        return cls(keys, values, factors, addends)

    def similarities(self, queries: Tensor) -> Tensor:
        """Return float[q, r], without what depends on the query alone."""
        products = queries @ self.keys.T
        if self.factors is not None:
            products *= self.factors
        return products if self.addends is None else products.add_(self.addends)


class Queries(NamedTuple):
    """The queries of a call as a flat list, with all that belongs to each.

    Attributes:
        vectors: float64[q, d], scaled so that products with keys are similarities, apart from what `Tile` adds.
        shift: float64[q], the part of a similarity that depends on the query alone.
        inverse: float64[q], 1/T.
        null: float64[q], the null key's similarity less the shift; None without a null key.
        reach: float64[q], the largest change of a scaled query for a change of the query of length 1.
        kind: the type that lookups compute in, float32 or float64.
    """

    vectors: Tensor
    shift: Tensor
    inverse: Tensor
    null: Tensor | None
    reach: Tensor
    kind: torch.dtype

    @classmethod
    def of(cls, queries: Tensor, rows: Rows, temperature: float | Tensor, null: float | Tensor | None) -> Queries:
        """Return queries float[..., d] with their options as a flat list.

        Raises:
            ShapeError: a shape does not fit the rows or the queries.
            ParameterError: queries or temperatures are invalid.
        """
        view = rows.view
        if not (isinstance(queries, Tensor) and queries.is_floating_point()):
            raise ParameterError(
                f"queries must be a floating-point tensor, got {getattr(queries, 'dtype', type(queries).__name__)}: "
                "send torch.as_tensor(queries)"
            )
        if queries.ndim < 1 or (view.dimension is not None and queries.shape[-1] != view.dimension):
            raise ShapeError(
                f"queries must be [..., {view.dimension}] as the keys are, got {tuple(queries.shape)}: "
                "encode both with the same model"
            )
        if not bool(queries.isfinite().all()):
            raise ParameterError("queries must be finite: they hold NaN or infinity")
        kind = torch.float64 if queries.dtype == torch.float64 else torch.float32
        leading, vectors = queries.shape[:-1], queries.reshape(-1, queries.shape[-1]).double()
        shift, reach = vectors.new_zeros(len(vectors)), vectors.new_ones(len(vectors))
        if view.similarity == "cosine":
            lengths = torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
            if not bool((lengths > 0).all()):
                raise ParameterError("a query is a zero vector, for which cosine is not defined: send another one")
            vectors, reach = vectors / lengths, 1 / lengths.detach()[:, 0]
        elif view.similarity == "scaled_dot":
            vectors, reach = vectors / math.sqrt(vectors.shape[1]), reach / math.sqrt(vectors.shape[1])
        elif view.similarity == "gaussian":
            shift = -(vectors * vectors).sum(dim=1) / 2
        temperatures = _flat("temperature", temperature, leading, vectors)
        is_valid = (temperatures >= LEAST_TEMPERATURE) & temperatures.isfinite()
        if not bool(is_valid.all()):
            raise ParameterError(
                f"temperature must be finite and at least {LEAST_TEMPERATURE}, since attention has no gradient at 0; "
                f"got {float(temperatures[~is_valid][0])}"
            )
        level = None if null is None else _flat("null", null, leading, vectors)
        if level is not None and not bool(level.isfinite().all()):
            wrong = float(level[~level.isfinite()][0])
            raise ParameterError(f"null must be a finite similarity, or None for no null key; got {wrong}")
        if kind == torch.float32:
            _check_range(view, vectors)
        return cls(vectors, shift, 1 / temperatures, None if level is None else level - shift, reach, kind)

    def certificate(self, rows: Rows) -> GradientCertificate:
        """Return the bounds of the forward pass."""
        bounds = _bounds(self.vectors, self.inverse, rows, self.kind)
        return GradientCertificate(
            _as_tensor(bounds.total_variation, self.vectors), _as_tensor(bounds.output_error, self.vectors)
        )


def _check_range(view: View, vectors: Tensor) -> None:
    """Raise a ParameterError if numbers of a lookup might overflow float32."""
    longest = float(torch.linalg.vector_norm(vectors.detach(), dim=1).max()) if len(vectors) else 0.0
    key, value = view.facts.key_norm, view.facts.value_norm
    largest = max(key, value, longest, longest * key, key * key if view.similarity == "gaussian" else 0.0)
    if largest > LARGEST:
        raise ParameterError(
            f"similarities, keys and values must be at most {LARGEST} in float32, these may be {largest:.1e}: "
            "send queries of float64"
        )


def _flat(name: str, number: float | Tensor, leading: torch.Size, like: Tensor) -> Tensor:
    """Return a number or a tensor that broadcasts to [...] as float64[q].

    Raises:
        ShapeError: a tensor does not broadcast.
        ParameterError: it is neither.
    """
    try:
        tensor = torch.as_tensor(number, dtype=torch.float64, device=like.device)
    except (TypeError, ValueError, RuntimeError):
        raise ParameterError(
            f"{name} must be a number or a tensor, got {number!r}: give what it stands for as a number"
        ) from None
    try:
        return tensor.expand(leading).reshape(-1)
    except RuntimeError:
        raise ShapeError(
            f"{name} must be a number or broadcast to the queries' shape {tuple(leading)}, got {tuple(tensor.shape)}"
        ) from None


def _in_kernels(queries: Tensor, kind: torch.dtype) -> bool:
    """Return whether the kernels compute a lookup; else torch does, in tiles on the queries' device."""
    return kind == torch.float32 and queries.device.type == "cpu"


def _as_array(tensor: Tensor) -> F64:
    return tensor.detach().cpu().numpy()


def _as_tensor(array: F64, like: Tensor) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array)).to(like.device)


def _bounds(queries: Tensor, inverse: Tensor, rows: Rows, kind: torch.dtype) -> GradientBounds:
    view = rows.view
    if _in_kernels(queries, kind):
        rounding = Rounding.of_kernels(view)
    else:
        widths, unit = (view.dimension or 0, view.value_dimension or 0), torch.finfo(kind).eps / 2
        floor = math.log(torch.finfo(kind).tiny)
        rounding = Rounding(unit, *widths, _tile_rows(min(len(queries), QUERIES)) + 2, 4 * unit, floor)
    norms = _as_array(torch.linalg.vector_norm(queries, dim=1))
    return GradientBounds.of(view, rounding, norms, _as_array(inverse))


def _without_autocast(compute: Callable[..., Sums]) -> Callable[..., Sums]:
    """Return a function that multiplies in the types of its tensors under autocast too."""

    @wraps(compute)
    def in_full(queries: Tensor, *numbers: Any, **options: Any) -> Sums:
        with torch.autocast(queries.device.type, enabled=False):
            return compute(queries, *numbers, **options)

    return in_full


@_without_autocast
def blend_in_tiles(queries: Tensor, inverse: Tensor, rows: Rows, *, keys: bool) -> tuple[Tensor, ...]:
    """Return what `lookup.blend` returns, computed by torch on the queries' device, in their type.

    Args:
        queries: float[q, d], at most QUERIES of them.
        inverse: float64[q], 1/T.
        rows: the rows.
        keys: whether to blend ∂similarity/∂query instead of the values.
    """
    count, width = len(queries), queries.shape[1] if keys else rows.value_width
    wide: Any = {"dtype": torch.float64, "device": queries.device}
    peaks = torch.full((count,), -math.inf, **wide)
    masses, moments, outputs = torch.zeros(count, **wide), torch.zeros(count, **wide), torch.zeros(count, width, **wide)
    scale = inverse[:, None].to(queries)
    for tile in rows.tiles(queries):
        similarities = tile.similarities(queries)
        higher = torch.maximum(peaks, similarities.amax(dim=1).double())
        terms = torch.exp((similarities - higher[:, None].to(queries)) * scale)
        shrink = torch.exp((peaks - higher) * inverse)
        masses = masses * shrink + terms.sum(dim=1, dtype=torch.float64)
        moments = moments * shrink + torch.linalg.vecdot(terms, similarities).double()
        if keys and tile.factors is not None:
            terms *= tile.factors
        outputs = outputs * shrink[:, None] + (terms @ (tile.keys if keys else tile.values)).double()
        peaks = higher
    return peaks, masses, moments, outputs


@_without_autocast
def pull_in_tiles(
    queries: Tensor, inverse: Tensor, rows: Rows, peaks: Tensor, gradients: Tensor, levels: Tensor
) -> tuple[Tensor, ...]:
    """Return what `lookup.pull` returns, computed by torch on the queries' device, in their type.

    Args:
        queries, inverse, rows: as in `blend_in_tiles`.
        peaks, levels: float64[q]
        gradients: float64[q, d_v]
    """
    pulled = torch.zeros(queries.shape, dtype=torch.float64, device=queries.device)
    totals, moments, spreads = (torch.zeros_like(inverse) for _ in range(3))
    scale, best, middle = (numbers[:, None].to(queries) for numbers in (inverse, peaks, levels))
    of_outputs = gradients.to(queries)
    for tile in rows.tiles(queries):
        similarities = tile.similarities(queries)
        shares = torch.exp((similarities - best) * scale) * (of_outputs @ tile.values.T - middle)
        totals += shares.sum(dim=1, dtype=torch.float64)
        spreads += shares.abs().sum(dim=1, dtype=torch.float64)
        moments += torch.linalg.vecdot(shares, similarities).double()
        if tile.factors is not None:
            shares *= tile.factors
        pulled += (shares @ tile.keys).double()
    return totals, moments, spreads, pulled


def _tile_rows(queries: int) -> int:
    """Return the most rows of a tile that torch reads for some queries."""
    return max(1024, CELLS // max(queries, 1))


def _in_batches(compute: Callable[..., tuple[Tensor, ...]], *of_queries: Tensor) -> tuple[Tensor, ...]:
    """Return the results of a function of at most QUERIES queries for all of them."""
    edges = range(0, max(len(of_queries[0]), 1), QUERIES)
    parts = [compute(*(tensor[first : first + QUERIES] for tensor in of_queries)) for first in edges]
    return tuple(torch.cat(part) for part in zip(*parts, strict=True))


def _blend(
    queries: Tensor, inverse: Tensor, rows: Rows, kind: torch.dtype, *, keys: bool, keep: bool = False
) -> tuple[tuple[Tensor, ...], Sequence[StoredSimilarities] | None]:
    """Return peaks, masses, moments and outputs, and what is kept for the way back, see `lookup.Blend`."""
    if _in_kernels(queries, kind):
        *sums, similarities = blend(rows.view, rows.mask, _as_array(queries), _as_array(inverse), keys=keys, keep=keep)
        return tuple(_as_tensor(array, queries) for array in sums), similarities
    return _in_batches(lambda q, t: blend_in_tiles(q.to(kind), t, rows, keys=keys), queries, inverse), None


def _pull(
    queries: Tensor,
    inverse: Tensor,
    rows: Rows,
    kind: torch.dtype,
    peaks: Tensor,
    gradients: Tensor,
    levels: Tensor,
    similarities: Sequence[StoredSimilarities] | None,
) -> tuple[Tensor, ...]:
    """Return totals, moments, spreads and gradients of queries, see `lookup.Pull`."""
    # The sums are linear in gradients and levels; those of about 1 neither overflow float32 nor lose digits in it.
    sizes = torch.maximum(torch.linalg.vector_norm(gradients, dim=1), levels.abs())
    sizes = torch.where(sizes == 0, torch.ones_like(sizes), torch.exp2(sizes.log2().round()))
    gradients, levels = gradients / sizes[:, None], levels / sizes
    sums: tuple[Tensor, ...]
    if _in_kernels(queries, kind):
        arrays = (_as_array(tensor) for tensor in (queries, inverse, peaks, gradients, levels))
        of_rows = pull(rows.view, rows.mask, *arrays, similarities=similarities)
        sums = tuple(_as_tensor(array, queries) for array in of_rows)
    else:

        def compute(
            queries: Tensor, inverse: Tensor, peaks: Tensor, gradients: Tensor, levels: Tensor
        ) -> tuple[Tensor, ...]:
            return pull_in_tiles(queries.to(kind), inverse, rows, peaks, gradients, levels)

        sums = _in_batches(compute, queries, inverse, peaks, gradients, levels)
    totals, moments, spreads, pulled = sums
    return totals * sizes, moments * sizes, spreads * sizes, pulled * sizes[:, None]


class Softmax(NamedTuple):
    """The softmax of q queries over all rows and the null key.

    Attributes:
        peaks: float64[q], the largest similarity of a row.
        log_partition: float64[q]
        row_scale: float64[q], the weight of a row whose similarity is the peak.
        null_weight: float64[q]
        similarity: float64[q], Σ weight·similarity, the null key included.
        output: float64[q, d_v], Σ weight·value.
    """

    peaks: Tensor
    log_partition: Tensor
    row_scale: Tensor
    null_weight: Tensor
    similarity: Tensor
    output: Tensor

    @classmethod
    def of(cls, sums: tuple[Tensor, ...], inverse: Tensor, null: Tensor | None) -> Softmax:
        """Return the softmax of what `_blend` returns."""
        peaks, masses, moments, outputs = sums
        rows_logit = peaks * inverse + masses.log()
        null_logit = torch.full_like(inverse, -math.inf) if null is None else null * inverse
        log_partition = torch.logaddexp(rows_logit, null_logit)
        is_finite = log_partition > -math.inf
        row_scale = torch.where(masses > 0, (peaks * inverse - log_partition).exp(), torch.zeros_like(masses))
        null_weight = torch.where(is_finite, (null_logit - log_partition).exp(), torch.zeros_like(masses))
        similarity = moments * row_scale + (0 if null is None else null_weight * null)
        return cls(peaks, log_partition, row_scale, null_weight, similarity, outputs * row_scale[:, None])


class _Lookup(torch.autograd.Function):
    """The output and the log-partition of flat queries: one reading of the rows forwards, and one backwards."""

    @staticmethod
    def forward(
        context: Any,
        queries: Tensor,
        inverse: Tensor,
        null: Tensor | None,
        rows: Rows,
        kind: torch.dtype,
        reach: Tensor,
        certificate: GradientCertificate,
        keep: bool,
    ) -> tuple[Tensor, Tensor]:
        keep = keep and any(context.needs_input_grad)
        sums, context.similarities = _blend(queries, inverse, rows, kind, keys=False, keep=keep)
        softmax = Softmax.of(sums, inverse, null)
        context.rows, context.kind, context.certificate = rows, kind, certificate
        context.save_for_backward(queries, inverse, null, reach, *softmax)
        return softmax.output, softmax.log_partition

    @staticmethod
    def backward(context: Any, of_output: Tensor, of_log_partition: Tensor) -> tuple[Tensor | None, ...]:
        with torch.no_grad():
            gradients = _Lookup.gradients(context, of_output, of_log_partition)
        once: Any = _Once.apply
        return *once(*gradients, *context.saved_tensors[:3], of_output, of_log_partition), None, None, None, None, None

    @staticmethod
    def gradients(context: Any, of_output: Tensor, of_log_partition: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return the gradients of queries, inverse and null; write the bound on their error."""
        queries, inverse, null, reach, *saved = context.saved_tensors
        rows, softmax, certificate = context.rows, Softmax(*saved), context.certificate
        of_output = of_output.double()
        levels = torch.linalg.vecdot(of_output, softmax.output) - of_log_partition
        totals, moments, spreads, pulled = _pull(
            queries, inverse, rows, context.kind, softmax.peaks, of_output, levels, context.similarities
        )
        share = softmax.null_weight * -levels
        of_inverse = moments * softmax.row_scale + (0 if null is None else share * null)
        excess = totals * softmax.row_scale + share - of_log_partition
        bounds = _bounds(queries, inverse, rows, context.kind)
        error = bounds.query_error(
            _as_array(torch.linalg.vector_norm(of_output, dim=1)),
            _as_array(spreads * softmax.row_scale + share.abs()),
            _as_array(excess),
            _as_array(of_log_partition),
            _as_array(torch.linalg.vector_norm(pulled, dim=1) * softmax.row_scale),
        )
        error = _as_tensor(error, queries) * reach
        if null is not None and rows.view.similarity == "gaussian":  # there the query shifts the null key
            moved = torch.expm1(2 * _as_tensor(bounds.common, queries)) * share.abs()
            moved = (moved + softmax.null_weight * excess.abs()) * inverse
            error = (error + moved * torch.linalg.vector_norm(queries, dim=1)).nan_to_num(math.inf, math.inf)
        certificate.query_gradient_error = error.reshape(certificate.output_error.shape)
        of_null = None if null is None else share * inverse
        return pulled * (softmax.row_scale * inverse)[:, None], of_inverse, of_null


class _LogPartition(torch.autograd.Function):
    """The log-partition of flat queries: its gradient is the blended key, which the same reading of the rows gives."""

    @staticmethod
    def forward(
        context: Any, queries: Tensor, inverse: Tensor, null: Tensor | None, rows: Rows, kind: torch.dtype
    ) -> Tensor:
        sums, _ = _blend(queries, inverse, rows, kind, keys=True)
        softmax = Softmax.of(sums, inverse, null)
        context.save_for_backward(queries, inverse, null, *softmax)
        return softmax.log_partition

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        queries, inverse, null, *saved = context.saved_tensors
        with torch.no_grad():
            softmax, slope = Softmax(*saved), gradient * inverse
            of_null = None if null is None else slope * softmax.null_weight
            gradients = slope[:, None] * softmax.output, gradient * softmax.similarity, of_null
        once: Any = _Once.apply
        return *once(*gradients, queries, inverse, null, gradient), None, None


class _Once(torch.autograd.Function):
    """Gradients that refuse to be differentiated: all that they depend on is among the inputs.

    `once_differentiable` of torch refuses only if they depend on gradients that are differentiated; else it takes them
    for constants, and second derivatives would be wrong.
    """

    @staticmethod
    def forward(
        context: Any, of_queries: Tensor, of_inverse: Tensor, of_null: Tensor | None, *depends_on: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        return of_queries, of_inverse, of_null

    @staticmethod
    def backward(context: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        raise RuntimeError(
            "attention over a memory has first derivatives only: "
            "differentiate softmax(similarities / temperature) over an array of rows instead"
        )


def corpus_cross_entropy(
    queries: Tensor,
    memory: Memory | View | Sequence[View],
    positives: Sequence[int] | Sequence[Sequence[int]] | I64 | Tensor,
    temperature: float | Tensor,
    *,
    null: float | Tensor | None = None,
    mask: Mask | NDArray[np.bool_] | Tensor | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Return the contrastive loss −ln Σ weight of the positives, with every document of the memory as a negative.

    It is `cross_entropy(similarities / temperature, positives)` without the matrix of queries by documents. Gradients
    flow to the queries, the temperature and the null key. The stored keys are constants: train the encoder of queries,
    or a projection of them, and write documents anew if their encoder changes.

    Args:
        queries: float[q, d]
        memory: the documents, as in `attend`.
        positives: the number of each query's right document, int[q]; or a list of numbers for each query. With several,
            the loss is of their common weight. An empty list means that the null key is right.
        temperature: T, above 0; a number or a tensor that broadcasts to [q].
        null: the similarity of the null key, as in `attend`.
        mask: the documents that take part, as in `attend`; positives must be among them.
        reduction: "mean", "sum", or "none" for float[q].

    Raises:
        ShapeError: queries and positives differ in number, or a shape does not fit the memory.
        ParameterError: a positive is not in the memory or does not pass the mask, or an empty list without null key.
    """
    if reduction not in ("mean", "sum", "none"):
        raise ParameterError(f'reduction must be "mean", "sum" or "none", got {reduction!r}')
    rows = Rows.of(memory, mask)
    flat = Queries.of(queries, rows, temperature, null)
    if queries.ndim != 2:
        raise ShapeError(f"queries must be [q, d], got {tuple(queries.shape)}: reshape them")
    inverse, level = flat.inverse, flat.null
    pairs = _positive_rows(rows, positives, len(queries))
    if level is None and len(np.unique(pairs.queries)) < len(queries):
        missing = int(np.setdiff1d(np.arange(len(queries)), pairs.queries)[0])
        raise ParameterError(f"query {missing} has no positive: give it one, or give null, which then is right")
    sums: Any = _LogPartition.apply
    log_partition: Tensor = sums(flat.vectors, inverse, level, rows, flat.kind)
    query_of = torch.from_numpy(pairs.queries).to(queries.device)
    keys = torch.from_numpy(rows.view.keys_of(pairs.rows)).to(queries.device).double()
    if rows.view.similarity == "cosine":
        keys = keys / torch.linalg.vector_norm(keys, dim=1, keepdim=True)
    similarities = torch.linalg.vecdot(flat.vectors[query_of], keys)
    if rows.view.similarity == "gaussian":
        similarities = similarities - (keys * keys).sum(dim=1) / 2
    log_weights = similarities * inverse[query_of] - log_partition[query_of]
    if len(pairs.rows) == len(queries) and bool((query_of == torch.arange(len(queries), device=query_of.device)).all()):
        losses = -log_weights
    else:
        losses = -_log_sums(
            log_weights, query_of, len(queries), None if level is None else level * inverse - log_partition
        )
    losses = losses + losses.detach().neg().clamp(min=0)  # rounding can push a loss near 0 below it
    reduced: Tensor = losses.mean() if reduction == "mean" else losses.sum() if reduction == "sum" else losses
    return reduced.to(flat.kind)


def _log_sums(log_weights: Tensor, query_of: Tensor, count: int, of_null: Tensor | None) -> Tensor:
    """Return ln Σ exp of the numbers of each query, float64[count]; of the null key for a query without any."""
    peaks = log_weights.detach().new_full((count,), -math.inf).scatter_reduce(0, query_of, log_weights.detach(), "amax")
    sums = log_weights.new_zeros(count).index_add(0, query_of, torch.exp(log_weights - peaks[query_of]))
    if of_null is None:
        return peaks + sums.log()
    empty = peaks.isneginf()
    safe = torch.where(empty, torch.ones_like(sums), sums)
    return torch.where(empty, of_null, torch.where(empty, torch.zeros_like(peaks), peaks) + safe.log())


class _Pairs(NamedTuple):
    """Queries and their right rows.

    Attributes:
        queries: int64[p], indices of queries, ascending.
        rows: int64[p], the numbers of rows.
    """

    queries: I64
    rows: I64


def _numbers_of(positives: Any) -> list[I64]:
    """Return the numbers of each query's right documents, ascending and different.

    Raises:
        ParameterError: they are fractions, booleans or texts.
    """
    items = positives.tolist() if isinstance(positives, Tensor | np.ndarray) else positives
    try:
        items = list(items)
        if all(type(one) is int for one in items):
            return list(np.array(items, dtype=np.int64)[:, None])
        arrays = [np.unique(np.asarray(one)) for one in items]
    except (TypeError, ValueError, OverflowError):
        arrays = [np.array([math.nan])]
    for array in arrays:
        if array.size and array.dtype.kind not in "iu":
            raise ParameterError(
                "positives must be a document's number, or a list of numbers, for each query, "
                f"got {positives!r:.80}: send integers"
            )
    return [array.astype(np.int64) for array in arrays]


def _positive_rows(rows: Rows, positives: Any, count: int) -> _Pairs:
    """Return the rows of the right documents of each query.

    Raises:
        ShapeError: there are more or fewer positives than queries.
        ParameterError: a document is missing.
    """
    documents = _numbers_of(positives)
    if len(documents) != count:
        raise ShapeError(f"positives must have an item for each of {count} queries, got {len(documents)}")
    queries = np.repeat(np.arange(count), [len(one) for one in documents])
    numbered = np.concatenate([np.empty(0, dtype=np.int64), *documents])
    owners, numbers = document_rows(rows.view, rows.mask, numbered)
    first, last = (np.searchsorted(owners, numbered, side=side) for side in ("left", "right"))
    if (first == last).any():
        raise ParameterError(
            f"document {int(numbered[first == last][0])} is not in the memory, or the mask excludes it: "
            "positives must be among the documents that take part"
        )
    sizes = last - first
    indices = np.repeat(first - np.cumsum(sizes) + sizes, sizes) + np.arange(sizes.sum())
    return _Pairs(np.repeat(queries, sizes), numbers[indices])


def mine_negatives(
    queries: Tensor | NDArray[np.floating[Any]],
    memory: Memory | View | Sequence[View],
    positives: Sequence[int] | Sequence[Sequence[int]] | I64 | Tensor,
    temperature: float | Tensor,
    *,
    null: float | Tensor | Background | None = None,
    mask: Mask | NDArray[np.bool_] | Tensor | None = None,
    count: int = 10,
) -> list[I64]:
    """Return hard negatives: for each query the heaviest documents that weigh more than the null key and are not right.

    They are found by the certified lookup. A document that is right but not labelled looks the same as a negative.

    Args:
        queries: float[q, d]
        memory: the documents, as in `attend`.
        positives: the numbers of the right documents, as in `corpus_cross_entropy`.
        temperature: T, 0 or more; a number, or a tensor of one, such as that of a layer with one head.
        null: the null key, a similarity or a background; None to return the heaviest documents, whatever their weight.
        mask: the documents that take part, as in `attend`.
        count: the most documents for a query.

    Returns:
        For each query int64[≤ count], the documents' numbers, the heaviest first.

    Raises:
        ShapeError: queries and positives differ in number, or the queries have another width than the keys.
        ParameterError: a number is out of its range.
    """
    vectors = queries.detach().cpu().double().numpy() if isinstance(queries, Tensor) else np.asarray(queries)
    labelled = _numbers_of(positives)
    if vectors.ndim != 2 or len(labelled) != len(vectors):
        raise ShapeError(f"expected queries [q, d] and q positives, got {vectors.shape} and {len(labelled)}")
    if count < 1:
        raise ParameterError(f"count must be at least 1, got {count}")
    rows = Rows.of(memory, mask)
    level = _one("null", null) if isinstance(null, Tensor) else null
    questions = [
        Question(vector, _one("temperature", temperature), level, rows.mask, top_k=count + len(right), output=False)
        for vector, right in zip(vectors, labelled, strict=True)
    ]
    negatives = list[I64]()
    for answer, right in zip(answers(rows.view, questions), labelled, strict=True):
        above = answer.weights > answer.evidence.null_weight if null is not None else answer.weights > 0
        numbers = answer.numbers[above & ~np.isin(answer.numbers, right)]
        negatives.append(numbers[:count])
    return negatives


def _one(name: str, number: float | Tensor) -> float:
    """Return the number of a tensor of one.

    Raises:
        ShapeError: it has several.
    """
    if not isinstance(number, Tensor):
        return number
    if number.numel() != 1:
        raise ShapeError(f"{name} must be one number here, got {tuple(number.shape)}: give that of one head")
    return number.item()


class MemoryAttention(nn.Module):
    """Attention over a memory as a layer: each head is a lookup with a temperature and a null key of its own.

    The rows are the memory's at each call, so documents that are added or removed count from then on. They are not
    parameters: a deep copy of the layer has the same memory. A projection of the keys is one of the queries, since
    (q W_Q)·(k W_K) = (q W_Q W_Kᵀ)·k; and one of the values is one of the output. So W_Q and W_O are all that a layer
    over stored rows can learn.

    Args:
        memory: a memory, a view, or a list of views.
        n_heads: h, the number of heads.
        temperature: T of each head, or one for all; above 0.
        null: the similarity of the null key of each head, or one for all; None for no null key.
        trainable: what gets gradients: "temperature", "null", "query" (adds W_Q) and "output" (adds W_O).
        d_model: the width of the queries; None for that of the keys. Another one needs "query".
        d_output: the width of the output; None for that of the values. Another one needs "output".

    Attributes:
        log_temperature: float[h], ln T, so that T stays above 0.
        null: float[h], or None.
        W_Q: [d_model, h · d], or None for queries as they are. At first it is the identity for each head if the widths
            are equal, with some noise if there are several.
        W_O: [h · d_v, d_output], or None for the heads' outputs side by side. At first it is their mean if the widths
            are equal.

    Raises:
        ParameterError: an argument is invalid, or the memory is empty.
        ShapeError: `temperature` or `null` has another length than the number of heads.
    """

    null: nn.Parameter | None
    W_Q: nn.Parameter | None
    W_O: nn.Parameter | None

    def __init__(
        self,
        memory: Memory | View | Sequence[View],
        n_heads: int = 1,
        *,
        temperature: float | Sequence[float],
        null: float | Sequence[float] | None = None,
        trainable: Sequence[str] = ("temperature", "null"),
        d_model: int | None = None,
        d_output: int | None = None,
    ) -> None:
        super().__init__()
        view = Rows.of(memory).view
        if view.dimension is None or view.value_dimension is None:
            raise ParameterError("the memory is empty, so its width is unknown: publish rows first")
        for name, width in (("n_heads", n_heads), ("d_model", d_model), ("d_output", d_output)):
            if width is not None and (not isinstance(width, int) or width < 1):
                raise ParameterError(f"{name} must be an integer of at least 1, got {width}")
        trainable = (trainable,) if isinstance(trainable, str) else trainable
        unknown = sorted(set(trainable) - set(TRAINABLE))
        if unknown:
            raise ParameterError(f"trainable names {', '.join(TRAINABLE)}, got {', '.join(unknown)}")
        d, d_v = view.dimension, view.value_dimension
        for name, width, of_rows in (("query", d_model, d), ("output", d_output, d_v)):
            if width not in (None, of_rows) and name not in trainable:
                raise ParameterError(
                    f'a width of {width} instead of {of_rows} needs a projection: add "{name}" to trainable'
                )
        self.memory, self.n_heads, self.trainable = memory, n_heads, tuple(trainable)
        temperatures = _of_heads("temperature", temperature, n_heads)
        if not bool((temperatures > 0).all()):
            raise ParameterError(f"temperature must be above 0, got {temperature}")
        self.log_temperature = nn.Parameter(temperatures.log().float(), "temperature" in trainable)
        nulls = None if null is None else nn.Parameter(_of_heads("null", null, n_heads).float(), "null" in trainable)
        self.register_parameter("null", nulls)
        W_Q, W_O = None, None
        if "query" in trainable:
            W_Q = nn.Parameter(_initial_query(d_model or d, d, n_heads))
        if "output" in trainable:
            W_O = nn.Parameter(_initial_output(d_v, d_output or d_v, n_heads))
        self.register_parameter("W_Q", W_Q)
        self.register_parameter("W_O", W_O)

    @property
    def temperature(self) -> Tensor:
        """float[h], T of each head."""
        return self.log_temperature.exp()

    def forward(self, queries: Tensor, mask: Mask | NDArray[np.bool_] | Tensor | None = None) -> Tensor:
        """Return the output float[..., h · d_v], or float[..., d_output] with W_O, of queries float[..., d_model].

        Args:
            queries: of bfloat16, float16, float32 or float64; the output has the same type.
            mask: the documents that may be attended to, as in `attend`.
        """
        output = self.lookup(queries, mask).output
        joined = output.flatten(-2)
        return joined if self.W_O is None else joined @ self.W_O.to(joined)

    def lookup(self, queries: Tensor, mask: Mask | NDArray[np.bool_] | Tensor | None = None) -> LookupResult:
        """Return what `forward` blends, for each head: the output float[..., h, d_v], log-partition and null weight."""
        if not isinstance(queries, Tensor):
            raise ParameterError(
                f"queries must be a tensor, got {type(queries).__name__}: send torch.as_tensor(queries)"
            )
        width = Rows.of(self.memory).view.dimension if self.W_Q is None else len(self.W_Q)
        if queries.ndim < 1 or queries.shape[-1] != width:
            raise ShapeError(f"queries must be [..., {width}], got {tuple(queries.shape)}")
        if self.W_Q is None:
            of_heads = queries[..., None, :].expand(*queries.shape[:-1], self.n_heads, width)
        else:
            projected = queries @ self.W_Q.to(queries)
            of_heads = projected.reshape(*queries.shape[:-1], self.n_heads, projected.shape[-1] // self.n_heads)
        wide = queries.dtype if queries.dtype == torch.float64 else torch.float32
        temperature = self.log_temperature.to(queries.device, wide).exp()
        null = None if self.null is None else self.null.to(queries.device, wide)
        return attend(of_heads, self.memory, temperature, null=null, mask=mask)

    def extra_repr(self) -> str:
        """Return what `print` shows of the layer."""
        view = Rows.of(self.memory).view
        rows = f"<{view.n} keys of width {view.dimension}, {view.similarity}>"
        return f"{rows}, n_heads={self.n_heads}, trainable={self.trainable}"

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return a layer with parameters of its own, over the same memory."""
        memo[id(self.memory)] = self.memory
        layer = memo[id(self)] = self.__new__(type(self))
        layer.__dict__.update(deepcopy(self.__dict__, memo))
        return layer

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Refuse to be pickled: a memory belongs to its process."""
        raise TypeError(
            "a MemoryAttention cannot be pickled with its memory: "
            "save the parameters with save(path) or state_dict(), and load them over a memory"
        )

    def save(self, path: str | Path) -> None:
        """Write the parameters, not the memory, to a safetensors file."""
        save_file(
            {name: tensor.contiguous() for name, tensor in self.state_dict().items()},
            path,
            {"n_heads": str(self.n_heads), "trainable": " ".join(self.trainable)},
        )

    @classmethod
    def load(cls, path: str | Path, memory: Memory | View | Sequence[View]) -> Self:
        """Return the layer that `save` wrote, over a memory whose widths fit it.

        Raises:
            ParameterError: the file is not one that `save` wrote.
            ShapeError: the memory's keys or values have other widths than those that the layer was trained on.
        """
        try:
            with safe_open(path, "pt") as file:
                about = file.metadata() or {}
                tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118  (not a mapping)
            n_heads, trainable = int(about["n_heads"]), about["trainable"].split()
            temperatures = tensors["log_temperature"].exp().tolist()
        except (SafetensorError, OSError, KeyError, ValueError) as error:
            raise ParameterError(f"{path} must be a file that MemoryAttention.save wrote ({error})") from error
        W_Q, W_O, null = tensors.get("W_Q"), tensors.get("W_O"), tensors.get("null")
        layer = cls(
            memory,
            n_heads,
            temperature=temperatures,
            null=None if null is None else null.tolist(),
            trainable=trainable,
            d_model=None if W_Q is None else W_Q.shape[0],
            d_output=None if W_O is None else W_O.shape[1],
        )
        for name, tensor in tensors.items():
            shape = layer.state_dict()[name].shape
            if shape != tensor.shape:
                raise ShapeError(f"{name} of {path} is {tuple(tensor.shape)}, this memory needs {tuple(shape)}")
        layer.load_state_dict(tensors, assign=True)
        return layer


def _of_heads(name: str, numbers: float | Sequence[float], n_heads: int) -> Tensor:
    """Return float64[h] of one number for all heads, or of a number for each.

    Raises:
        ShapeError: there are more or fewer numbers than heads.
        ParameterError: a number is not finite.
    """
    try:
        tensor = torch.as_tensor(numbers, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError):
        raise ParameterError(f"{name} must be a number or one for each head, got {numbers!r}") from None
    if tensor.ndim > 1 or (tensor.ndim == 1 and len(tensor) != n_heads):
        raise ShapeError(f"{name} must be a number or one for each of {n_heads} heads, got {tuple(tensor.shape)}")
    if not bool(tensor.isfinite().all()):
        raise ParameterError(f"{name} must be finite, got {numbers}")
    return tensor.expand(n_heads).clone()


def _initial_query(d_model: int, d: int, n_heads: int) -> Tensor:
    """Return W_Q [d_model, h · d] of an untrained layer."""
    heads = [torch.eye(d) if d_model == d else nn.init.xavier_uniform_(torch.empty(d_model, d)) for _ in range(n_heads)]
    if n_heads > 1 and d_model == d:
        heads = [head + torch.randn(d, d) * (0.1 / math.sqrt(d)) for head in heads]
    return torch.cat(heads, dim=1)


def _initial_output(d_v: int, d_output: int, n_heads: int) -> Tensor:
    """Return W_O [h · d_v, d_output] of an untrained layer."""
    if d_v == d_output:
        return torch.cat([torch.eye(d_v) / n_heads] * n_heads)
    return nn.init.xavier_uniform_(torch.empty(n_heads * d_v, d_output))
