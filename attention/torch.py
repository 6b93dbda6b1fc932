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
from dataclasses import dataclass, replace
from functools import partial, wraps
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, ParamSpec, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, fx, nn

from attention.arrays import F64, I64, as_array, reals
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

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

TRAINABLE = ("temperature", "null", "query", "output")
"""Names of the parameters of a `MemoryAttention`."""

CELLS = 1 << 24
"""The most logits that are in memory at a time, of all queries of a batch and the rows of a tile."""

QUERIES = 256
"""The most queries of a batch."""

LEAST_TEMPERATURE = 1e-30
"""Lower temperatures would overflow float32."""

LARGEST = {torch.float32: 1e30, torch.float64: 1e150}
"""Larger similarities, keys or values might overflow, or their squares."""

NO_NUMBERS = (
    "attention over a memory reads numbers, and tensors of an export, a graph of torch.fx, the device meta or "
    "is_grads_batched have none: leave the layer out of the graph, and use torch.func.jacrev for Jacobians"
)


def _not_compiled(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Return a function that torch.compile calls as it is. Its errors show the comment, and those of torch.export."""

    @wraps(function)
    def eager(*arguments: Arguments.args, **options: Arguments.kwargs) -> Result:
        if not torch.compiler.is_compiling():
            return function(*arguments, **options)
        disable: Any = torch.compiler.disable
        result: Result = disable(function)(*arguments, **options)  # no graph holds rows: compile without fullgraph
        return result

    return eager


@dataclass(eq=False)
class GradientCertificate:
    """Proven bounds on the rounding errors of a lookup, against exact arithmetic on the stored float32 vectors.

    They do not count the rounding of results to the type of the queries, nor TF32 if torch may use it on a GPU.

    Attributes:
        total_variation: float64[...], an upper bound of ½·Σ|w − ŵ| over all rows and the null key.
        output_error: float64[...], an upper bound of ‖o − ô‖₂.
        query_gradient_error: float64[...], an upper bound of the error of each query's gradient, in Euclidean length,
            given the gradients of the output and the log-partition; None before `backward`, and inside `torch.vmap`.
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


@_not_compiled
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
    rows = MaskedView.of(memory, mask)
    questions, leading = QuestionBatch.of(queries, rows.view, temperature, null), queries.shape[:-1]
    lookup: Any = _Lookup.apply
    options = questions.options(rows)
    log_partition, output, *sums = lookup(options, *questions[:4])
    certificate = GradientCertificate(*(bound.reshape(leading) for bound in sums[4:6]))
    if not _is_traced():
        options.certificate = certificate
    null_weight = torch.zeros_like(log_partition)
    if questions.null is not None:
        null_weight = (questions.null * questions.inverse - log_partition).exp()
    log_partition = log_partition + questions.shift * questions.inverse
    return LookupResult(
        output.reshape(*leading, rows.value_width).to(queries.dtype, copy=True),
        log_partition.reshape(leading).to(questions.kind),
        null_weight.reshape(leading).to(questions.kind),
        certificate,
    )


@dataclass(frozen=True, eq=False)
class MaskedView:
    """The rows of a view that queries may attend to.

    Attributes:
        view: the view.
        mask: the rows that may be attended to; None for all.
    """

    view: View
    mask: Mask | None

    @classmethod
    def of(
        cls, memory: Memory | View | Sequence[View], mask: Mask | NDArray[np.bool_] | Tensor | None = None
    ) -> MaskedView:
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
            flags = np.asarray(as_array("mask", mask))
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

    def tiles(self, queries: Tensor) -> Iterator[TileTensors]:
        """Yield all rows in tiles on the queries' device, in the type of the queries."""
        for rows in row_tiles(self.view, self.mask, _tile_rows(len(queries))):
            yield TileTensors.of(rows, self.view.similarity, queries)


class TileTensors(NamedTuple):
    """Some rows as tensors: similarity = query·key · factor + addend, for queries as `QuestionBatch` scales them.

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
    def of(cls, rows: RowTile, similarity: str, like: Tensor) -> TileTensors:
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


class QuestionBatch(NamedTuple):
    """The questions of a call as a flat list: queries with their temperatures and null keys.

    Attributes:
        queries: float64[q, d], scaled so that products with keys are similarities, apart from what `TileTensors` adds.
        inverse: float64[q], 1/T.
        null: float64[q], the null key's similarity less the shift; None without a null key.
        reach: float64[q], the largest change of a scaled query for a change of the query of length 1.
        shift: float64[q], the part of a similarity that depends on the query alone.
        kind: the type that lookups compute in, float32 or float64.
    """

    queries: Tensor
    inverse: Tensor
    null: Tensor | None
    reach: Tensor
    shift: Tensor
    kind: torch.dtype

    @classmethod
    def of(cls, queries: Tensor, view: View, temperature: float | Tensor, null: float | Tensor | None) -> QuestionBatch:
        """Return queries float[..., d] with their options as a flat list; `_Lookup` checks the numbers.

        Raises:
            ShapeError: a shape does not fit the view or the queries.
            ParameterError: the queries are not a dense tensor of a known type, or an option is not a number.
        """
        kind = _kind_of(queries, view.dimension)
        leading, width = queries.shape[:-1], queries.shape[-1]
        vectors = queries.reshape(leading.numel(), width).double()
        shift, reach = vectors.new_zeros(len(vectors)), vectors.new_ones(len(vectors))
        if view.similarity == "cosine":
            # Powers of two keep all digits, and squares of scaled queries neither overflow nor vanish.
            scales = torch.exp2(-vectors.detach().abs().amax(dim=1, keepdim=True).log2().floor().clamp(-1000, 1000))
            lengths = torch.linalg.vector_norm(vectors * scales, dim=1, keepdim=True)
            vectors, reach = vectors * scales / lengths, (scales / lengths.detach())[:, 0]
        elif view.similarity == "scaled_dot":
            vectors, reach = vectors / math.sqrt(width), reach / math.sqrt(width)
        elif view.similarity == "gaussian":
            shift = -(vectors * vectors).sum(dim=1) / 2
        inverse = 1 / _broadcast("temperature", temperature, leading, vectors.device).reshape(len(vectors))
        level = (
            None if null is None else _broadcast("null", null, leading, vectors.device).reshape(len(vectors)) - shift
        )
        return cls(vectors, inverse, level, reach, shift, kind)

    def options(self, rows: MaskedView, *, keys: bool = False) -> _Options:
        """Return the options of a lookup of these questions."""
        has_gradient = any(tensor is not None and tensor.requires_grad for tensor in self[:3])
        return _Options(rows, self.kind, keys, keep=has_gradient and torch.is_grad_enabled() and not _is_traced())


def _is_traced() -> bool:
    """Return whether torch.jit traces: all calls of a trace share one object of options, and pass only tensors."""
    traced: bool = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
    return traced


def _kind_of(queries: Any, width: int | None) -> torch.dtype:
    """Return the type that lookups of queries float[..., width] compute in.

    Raises:
        ParameterError: they are not a dense tensor of a known type.
        ShapeError: they have another width.
    """
    if not isinstance(queries, Tensor):
        is_proxy = isinstance(queries, fx.Proxy)
        remedy = "make the layer a leaf module of the tracer" if is_proxy else "send torch.as_tensor(queries)"
        raise ParameterError(f"queries must be a tensor, got {type(queries).__name__}: {remedy}")
    layout = "nested" if queries.is_nested else queries.layout
    if queries.dtype not in (torch.bfloat16, torch.float16, torch.float32, torch.float64) or layout != torch.strided:
        raise ParameterError(
            f"queries must be a dense tensor of bfloat16, float16, float32 or float64, got {queries.dtype} ({layout}): "
            "send queries.float(), with all numbers"
        )
    if queries.ndim < 1 or (width is not None and queries.shape[-1] != width):
        raise ShapeError(
            f"queries must be [..., {width}] as the keys or W_Q are, got {tuple(queries.shape)}: "
            "encode both with the same model"
        )
    return torch.float64 if queries.dtype == torch.float64 else torch.float32


def _check_numbers(
    view: View, kind: torch.dtype, queries: Tensor, inverse: Tensor, null: Tensor | None, reach: Tensor
) -> None:
    """Raise a ParameterError if numbers of a batch of questions are invalid, or might overflow."""
    try:
        has_zero = bool(reach.isinf().any())
    except RuntimeError as error:
        raise ParameterError(NO_NUMBERS) from error
    if has_zero:
        raise ParameterError("a query is a zero vector, for which cosine is not defined: send another one")
    if not bool(queries.isfinite().all()):
        raise ParameterError("queries must be finite: they hold NaN or infinity")
    is_valid = (inverse > 0) & (inverse <= 1 / LEAST_TEMPERATURE)
    if not bool(is_valid.all()):
        raise ParameterError(
            f"temperature must be finite and at least {LEAST_TEMPERATURE}, since attention has no gradient at 0; "
            f"got {float(1 / inverse[~is_valid][0])}"
        )
    longest = float(torch.linalg.vector_norm(queries, dim=1).max()) if len(queries) else 0.0
    key, value = view.facts.key_norm, view.facts.value_norm
    largest = max(key, value, longest, longest * key, key * key if view.similarity == "gaussian" else 0.0)
    if largest > LARGEST[kind]:
        raise ParameterError(
            f"similarities, keys and values must be at most {LARGEST[kind]} in {kind}, these may be {largest:.1e}: "
            "send queries of float64, or shorter ones"
        )
    if null is not None and not bool(null.isfinite().all()):
        wrong = float(null[~null.isfinite()][0])
        raise ParameterError(f"null must be a finite similarity, or None for no null key; got {wrong}")


def _broadcast(name: str, numbers: float | Sequence[float] | Tensor, shape: tuple[int, ...], device: Any) -> Tensor:
    """Return a number or a tensor that broadcasts to a shape as float64[shape].

    Raises:
        ShapeError: a tensor does not broadcast.
        ParameterError: it is neither.
    """
    if not isinstance(numbers, Tensor):
        try:
            numbers = torch.as_tensor(numbers, dtype=torch.float64, device=device)
        except (TypeError, ValueError, RuntimeError):
            raise ParameterError(
                f"{name} must be a number or a tensor, got {numbers!r}: give what it stands for as a number"
            ) from None
    numbers = numbers.to(device, torch.float64)
    try:
        return numbers.expand(shape)
    except RuntimeError:
        raise ShapeError(
            f"{name} must be a number or broadcast to {tuple(shape)}, one for each query or head, "
            f"got {tuple(numbers.shape)}"
        ) from None


def _in_kernels(queries: Tensor, kind: torch.dtype) -> bool:
    """Return whether the kernels compute a lookup; else torch does, in tiles on the queries' device."""
    return kind == torch.float32 and queries.device.type == "cpu"


def _as_array(tensor: Tensor) -> F64:
    try:
        return tensor.detach().cpu().numpy()
    except RuntimeError as error:
        raise ParameterError(NO_NUMBERS) from error


def _as_tensor(array: F64, like: Tensor) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array)).to(like.device)


def blend_in_tiles(queries: Tensor, inverse: Tensor, rows: MaskedView, *, keys: bool) -> tuple[Tensor, ...]:
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


def pull_in_tiles(
    queries: Tensor, inverse: Tensor, peaks: Tensor, gradients: Tensor, levels: Tensor, rows: MaskedView
) -> tuple[Tensor, ...]:
    """Return what `lookup.pull` returns, computed by torch on the queries' device, in their type.

    Args:
        queries, inverse: as in `blend_in_tiles`.
        peaks, levels: float64[q]
        gradients: float64[q, d_v]
        rows: the rows.
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


def in_batches(compute: Callable[..., tuple[Tensor, ...]], *of_queries: Tensor) -> tuple[Tensor, ...]:
    """Return the results of a function of at most QUERIES queries for all of them. Autocast narrows none of them."""
    edges = range(0, max(len(of_queries[0]), 1), QUERIES)
    with torch.autocast(of_queries[0].device.type, enabled=False):
        parts = [compute(*(tensor[first : first + QUERIES] for tensor in of_queries)) for first in edges]
    return tuple(torch.cat(part) for part in zip(*parts, strict=True))


@dataclass(eq=False)
class _Options:
    """The options of a lookup of questions.

    Attributes:
        rows: the rows.
        kind: the type that it computes in, float32 or float64.
        keys: whether to blend ∂similarity/∂query instead of the values.
        keep: whether to store the similarities for the way back.
        certificate: the bounds to which the way back adds its own; None for none.
    """

    rows: MaskedView
    kind: torch.dtype
    keys: bool
    keep: bool
    certificate: GradientCertificate | None = None

    def blend(self, queries: Tensor, inverse: Tensor) -> tuple[tuple[Tensor, ...], Sequence[StoredSimilarities]]:
        """Return peaks, masses, moments and outputs, and what is kept for the way back, see `lookup.Blend`."""
        rows, keys = self.rows, self.keys
        if not _in_kernels(queries, self.kind):
            compute = partial(blend_in_tiles, rows=rows, keys=keys)
            return in_batches(compute, queries.to(self.kind), inverse), ()
        arrays = _as_array(queries), _as_array(inverse)
        *sums, similarities = blend(rows.view, rows.mask, *arrays, keys=keys, keep=self.keep)
        return tuple(_as_tensor(array, queries) for array in sums), similarities or ()

    def bounds(self, queries: Tensor, inverse: Tensor) -> GradientBounds:
        """Return the bounds of both ways."""
        view = self.rows.view
        if _in_kernels(queries, self.kind):
            rounding = Rounding.of_kernels(view)
        else:
            widths, unit = (view.dimension or 0, view.value_dimension or 0), torch.finfo(self.kind).eps / 2
            floor = math.log(torch.finfo(self.kind).tiny)
            rounding = Rounding(unit, *widths, _tile_rows(min(len(queries), QUERIES)) + 2, 4 * unit, floor)
        norms = _as_array(torch.linalg.vector_norm(queries, dim=1))
        return GradientBounds.of(view, rounding, norms, _as_array(inverse))

    def pull(
        self,
        queries: Tensor,
        inverse: Tensor,
        peaks: Tensor,
        gradients: Tensor,
        levels: Tensor,
        similarities: Sequence[StoredSimilarities],
    ) -> tuple[Tensor, ...]:
        """Return totals, moments, spreads and gradients of queries, see `lookup.Pull`."""
        # The sums are linear in gradients and levels; those of about 1 neither overflow float32 nor lose digits in it.
        sizes = torch.maximum(torch.linalg.vector_norm(gradients, dim=1), levels.abs())
        sizes = torch.where(sizes == 0, torch.ones_like(sizes), torch.exp2(sizes.log2().round()))
        of_queries = inverse, peaks, gradients / sizes[:, None], levels / sizes
        sums: tuple[Tensor, ...]
        if _in_kernels(queries, self.kind):
            arrays = (_as_array(tensor) for tensor in (queries, *of_queries))
            of_rows = pull(self.rows.view, self.rows.mask, *arrays, similarities=similarities or None)
            sums = tuple(_as_tensor(array, queries) for array in of_rows)
        else:
            sums = in_batches(partial(pull_in_tiles, rows=self.rows), queries.to(self.kind), *of_queries)
        totals, moments, spreads, pulled = sums
        return totals * sizes, moments * sizes, spreads * sizes, pulled * sizes[:, None]


class Softmax(NamedTuple):
    """The softmax of q queries over all rows and the null key.

    Attributes:
        log_partition: float64[q]
        output: float64[q, d_v], Σ weight·value.
        peaks: float64[q], the largest similarity of a row.
        row_scale: float64[q], the weight of a row whose similarity is the peak.
        null_weight: float64[q]
        similarity: float64[q], Σ weight·similarity, the null key included.
    """

    log_partition: Tensor
    output: Tensor
    peaks: Tensor
    row_scale: Tensor
    null_weight: Tensor
    similarity: Tensor

    @classmethod
    def of(cls, sums: tuple[Tensor, ...], inverse: Tensor, null: Tensor | None) -> Softmax:
        """Return the softmax of the sums of a blend."""
        peaks, masses, moments, outputs = sums
        rows_logit = peaks * inverse + masses.log()
        null_logit = torch.full_like(inverse, -math.inf) if null is None else null * inverse
        log_partition = torch.logaddexp(rows_logit, null_logit)
        is_finite = log_partition > -math.inf
        row_scale = torch.where(masses > 0, (peaks * inverse - log_partition).exp(), torch.zeros_like(masses))
        null_weight = torch.where(is_finite, (null_logit - log_partition).exp(), torch.zeros_like(masses))
        similarity = moments * row_scale + (0 if null is None else null_weight * null)
        return cls(log_partition, outputs * row_scale[:, None], peaks, row_scale, null_weight, similarity)


def _refuse_derivative(context: Any, *tensors: Any) -> NoReturn:
    raise RuntimeError(
        "attention over a memory has first derivatives only, by backward, torch.func.grad, vjp or jacrev: "
        "differentiate softmax(similarities / temperature) over an array of rows instead"
    )


class _OfQuestions(torch.autograd.Function):
    """A function of options, and of tensors that have an item for each question or are None."""

    jvp = staticmethod(_refuse_derivative)  # type: ignore[assignment]

    @classmethod
    def vmap(cls, info: Any, in_dims: tuple[Any, ...], options: _Options, *inputs: Any) -> Any:
        """Compute several lists of questions as one list, without stored similarities or the bounds of gradients."""

        def lists_of(tensor: Tensor, dim: int | None) -> Tensor:
            return tensor.expand(info.batch_size, *tensor.shape) if dim is None else tensor.movedim(dim, 0)

        lists = [
            None if tensor is None else lists_of(tensor, dim)
            for tensor, dim in zip(inputs, in_dims[1:], strict=True)
            if tensor is None or isinstance(tensor, Tensor)
        ]
        apply: Any = cls.apply
        one_list = (None if tensor is None else tensor.flatten(0, 1) for tensor in lists)
        outputs = apply(replace(options, keep=False, certificate=None), *one_list)
        shape = lists[0].shape[:2]  # type: ignore[union-attr]
        of_lists = tuple(None if tensor is None else tensor.unflatten(0, shape) for tensor in outputs)
        return of_lists, tuple(None if tensor is None else 0 for tensor in outputs)


class _Lookup(_OfQuestions):
    """The softmax of questions over all rows, and its bounds: one reading of the rows forwards, and one backwards.

    Gradients flow through the log-partition and the output. If keys are blended, the output is the gradient of the
    log-partition: nothing is read backwards, and only the log-partition has gradients.
    """

    @staticmethod
    def forward(
        options: _Options, queries: Tensor, inverse: Tensor, null: Tensor | None, reach: Tensor
    ) -> tuple[Any, ...]:
        _check_numbers(options.rows.view, options.kind, queries, inverse, null, reach)
        sums, similarities = options.blend(queries, inverse)
        softmax = Softmax.of(sums, inverse, null)
        if options.keys:
            return tuple(softmax)
        bounds = options.bounds(queries, inverse)
        of_certificate = (_as_tensor(bound, queries) for bound in (bounds.total_variation, bounds.output_error))
        return *softmax, *of_certificate, *similarities

    @staticmethod
    def setup_context(context: Any, inputs: tuple[Any, ...], output: Any) -> None:
        context.options, context.similarities = inputs[0], output[8:]
        context.mark_non_differentiable(*output[1 if context.options.keys else 2 : 8])
        context.save_for_backward(*inputs[1:], *output[:6])

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        apply: Any = _Gradient.apply
        of_inputs = apply(context.options, *context.saved_tensors, *gradients[:2], *context.similarities)
        return None, *of_inputs, None


class _Gradient(_OfQuestions):
    """The gradients of queries, inverse and null. They refuse to be differentiated.

    All that they depend on is an input. `once_differentiable` of torch refuses only if they depend on gradients that
    are differentiated; else it takes them for constants, and second derivatives would be wrong.
    """

    backward = staticmethod(_refuse_derivative)  # type: ignore[assignment]

    @staticmethod
    def setup_context(context: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Store nothing."""

    @staticmethod
    def forward(
        options: _Options, queries: Tensor, inverse: Tensor, null: Tensor | None, reach: Tensor, *computed: Any
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        softmax, (of_log_partition, of_output), similarities = Softmax(*computed[:6]), computed[6:8], computed[8:]
        if options.keys:
            slope = of_log_partition * inverse
            of_null = None if null is None else slope * softmax.null_weight
            return slope[:, None] * softmax.output, of_log_partition * softmax.similarity, of_null
        levels = torch.linalg.vecdot(of_output, softmax.output) - of_log_partition
        totals, moments, spreads, pulled = options.pull(
            queries, inverse, softmax.peaks, of_output, levels, similarities
        )
        share = softmax.null_weight * -levels
        of_inverse = moments * softmax.row_scale + (0 if null is None else share * null)
        if options.certificate is not None:
            excess = totals * softmax.row_scale + share - of_log_partition
            bounds = options.bounds(queries, inverse)
            of_scaled = bounds.query_error(
                _as_array(torch.linalg.vector_norm(of_output, dim=1)),
                _as_array(spreads * softmax.row_scale + share.abs()),
                _as_array(excess),
                _as_array(of_log_partition),
                _as_array(torch.linalg.vector_norm(pulled, dim=1) * softmax.row_scale),
            )
            error = _as_tensor(of_scaled, queries) * reach
            if null is not None and options.rows.view.similarity == "gaussian":  # there the query shifts the null key
                moved = torch.expm1(2 * _as_tensor(bounds.common, queries)) * share.abs()
                moved = (moved + softmax.null_weight * excess.abs()) * inverse
                error = (error + moved * torch.linalg.vector_norm(queries, dim=1)).nan_to_num(math.inf, math.inf)
            options.certificate.query_gradient_error = error.reshape(options.certificate.output_error.shape)
        of_null = None if null is None else share * inverse
        return pulled * (softmax.row_scale * inverse)[:, None], of_inverse, of_null


@_not_compiled
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
    rows = MaskedView.of(memory, mask)
    questions = QuestionBatch.of(queries, rows.view, temperature, null)
    if queries.ndim != 2:
        raise ShapeError(f"queries must be [q, d], got {tuple(queries.shape)}: reshape them")
    inverse, level = questions.inverse, questions.null
    indices, numbers = _positive_rows(rows, positives, len(queries))
    if level is None and len(np.unique(indices)) < len(queries):
        missing = int(np.setdiff1d(np.arange(len(queries)), indices)[0])
        raise ParameterError(f"query {missing} has no positive: give it one, or give null, which then is right")
    lookup: Any = _Lookup.apply
    log_partition = lookup(questions.options(rows, keys=True), *questions[:4])[0]
    query_of = torch.from_numpy(indices).to(queries.device)
    keys = torch.from_numpy(rows.view.keys_of(numbers)).to(queries.device).double()
    if rows.view.similarity == "cosine":
        keys = keys / torch.linalg.vector_norm(keys, dim=1, keepdim=True)
    similarities = torch.linalg.vecdot(questions.queries[query_of], keys)
    if rows.view.similarity == "gaussian":
        similarities = similarities - (keys * keys).sum(dim=1) / 2
    log_weights = similarities * inverse[query_of] - log_partition[query_of]
    if len(numbers) == len(queries) and bool((query_of == torch.arange(len(queries), device=query_of.device)).all()):
        losses = -log_weights
    else:
        losses = -_log_sums(
            log_weights, query_of, len(queries), None if level is None else level * inverse - log_partition
        )
    losses = losses + losses.detach().neg().clamp(min=0)  # rounding can push a loss near 0 below it
    reduced: Tensor = losses.mean() if reduction == "mean" else losses.sum() if reduction == "sum" else losses
    return reduced.to(questions.kind)


def _log_sums(log_weights: Tensor, query_of: Tensor, count: int, of_null: Tensor | None) -> Tensor:
    """Return ln Σ exp of the numbers of each query, float64[count]; of the null key for a query without any."""
    peaks = log_weights.detach().new_full((count,), -math.inf).scatter_reduce(0, query_of, log_weights.detach(), "amax")
    sums = log_weights.new_zeros(count).index_add(0, query_of, torch.exp(log_weights - peaks[query_of]))
    if of_null is None:
        return peaks + sums.log()
    empty = peaks.isneginf()
    safe = torch.where(empty, torch.ones_like(sums), sums)
    return torch.where(empty, of_null, torch.where(empty, torch.zeros_like(peaks), peaks) + safe.log())


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


def _positive_rows(rows: MaskedView, positives: Any, count: int) -> tuple[I64, I64]:
    """Return int64[p], indices of queries, ascending, and int64[p], the numbers of the rows of their right documents.

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
    return np.repeat(queries, sizes), numbers[indices]


@_not_compiled
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
    if isinstance(queries, Tensor):
        _kind_of(queries, None)
        queries = _as_array(queries.double())
    vectors, labelled = reals("queries", queries), _numbers_of(positives)
    if vectors.ndim != 2 or len(labelled) != len(vectors):
        raise ShapeError(f"expected queries [q, d] and q positives, got {vectors.shape} and {len(labelled)}")
    if count < 1:
        raise ParameterError(f"count must be at least 1, got {count}")
    rows = MaskedView.of(memory, mask)
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
    parameters: copies of the layer have the same memory. A projection of the keys is one of the queries, since
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
        view = MaskedView.of(memory).view
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
        temperatures = _broadcast("temperature", temperature, (n_heads,), "cpu")
        nulls = None if null is None else _broadcast("null", null, (n_heads,), "cpu")
        if not bool(((temperatures > 0) & temperatures.isfinite()).all()):
            raise ParameterError(f"temperature must be finite and above 0, got {temperature}")
        if nulls is not None and not bool(nulls.isfinite().all()):
            raise ParameterError(f"null must be finite, got {null}")
        self.log_temperature = _parameter(temperatures.log(), learns="temperature" in trainable)
        self.register_parameter("null", None if nulls is None else _parameter(nulls, learns="null" in trainable))
        W_Q = nn.Parameter(_initial_query(d_model or d, d, n_heads)) if "query" in trainable else None
        W_O = nn.Parameter(_initial_output(d_v, d_output or d_v, n_heads)) if "output" in trainable else None
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
        wide = _kind_of(queries, MaskedView.of(self.memory).view.dimension if self.W_Q is None else self.W_Q.shape[0])
        if self.W_Q is None:
            of_heads = queries[..., None, :].expand(*queries.shape[:-1], self.n_heads, queries.shape[-1])
        else:
            projected = queries @ self.W_Q.to(queries)
            of_heads = projected.reshape(*queries.shape[:-1], self.n_heads, projected.shape[-1] // self.n_heads)
        temperature = self.log_temperature.to(queries.device, wide).exp()
        null = None if self.null is None else self.null.to(queries.device, wide)
        return attend(of_heads, self.memory, temperature, null=null, mask=mask)

    def extra_repr(self) -> str:
        """Return what `print` shows of the layer."""
        view = MaskedView.of(self.memory).view
        rows = f"<{view.n} keys of width {view.dimension}, {view.similarity}>"
        return f"{rows}, n_heads={self.n_heads}, trainable={self.trainable}"

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return a layer with parameters of its own, over the same memory."""
        memo[id(self.memory)] = self.memory
        layer = memo[id(self)] = self.__new__(type(self))
        layer.__dict__.update(deepcopy(self.__dict__, memo))
        return layer

    def __prepare_scriptable__(self) -> NoReturn:
        """Refuse to be scripted."""
        raise TypeError(
            "a MemoryAttention cannot be scripted, since its memory belongs to this process: use torch.compile"
        )

    def save(self, path: str | Path) -> None:
        """Write the parameters, not the memory, to a safetensors file; pruned or parametrised ones as they are used."""
        parameters = {name: getattr(self, name) for name in ("log_temperature", "null", "W_Q", "W_O")}
        save_file(
            {name: tensor.detach().contiguous() for name, tensor in parameters.items() if tensor is not None},
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


def _parameter(numbers: Tensor, *, learns: bool) -> nn.Parameter:
    """Return numbers as a parameter of the default type, on the default device: meta has no numbers."""
    return nn.Parameter(torch.empty(len(numbers)).copy_(numbers.detach()), learns)


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
