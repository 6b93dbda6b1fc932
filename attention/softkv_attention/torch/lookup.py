"""The lookup as a function of torch: one reading of the rows forwards, and one backwards."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from softkv_attention.lookup import Mask, Memory, View
from softkv_attention.torch.bounds import GradientBounds, Rounding
from softkv_attention.torch.questions import QuestionBatch, check_numbers
from softkv_attention.torch.row_sums import StoredSimilarities, blend, pull
from softkv_attention.torch.tensors import as_float64, as_tensor, is_traced, not_compiled
from softkv_attention.torch.tiles import MaskedView, blend_in_tiles, in_batches, largest_tile, pull_in_tiles


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


@not_compiled
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
    options = _Options.of(questions, rows)
    log_partition, output, *sums = lookup(options, *questions[:4])
    certificate = GradientCertificate(*(bound.reshape(leading) for bound in sums[4:6]))
    if not is_traced():
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


def log_partitions(questions: QuestionBatch, rows: MaskedView) -> Tensor:
    """Return ln Σ exp(logit) float64[q], without the shift; for its gradients nothing is read backwards."""
    lookup: Any = _Lookup.apply
    log_partition: Tensor = lookup(_Options.of(questions, rows, keys=True), *questions[:4])[0]
    return log_partition


def _in_kernels(queries: Tensor, kind: torch.dtype) -> bool:
    """Return whether the kernels compute a lookup; else torch does, in tiles on the queries' device."""
    return kind == torch.float32 and queries.device.type == "cpu"


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

    @classmethod
    def of(cls, questions: QuestionBatch, rows: MaskedView, *, keys: bool = False) -> _Options:
        """Return the options of a lookup of these questions."""
        has_gradient = any(tensor is not None and tensor.requires_grad for tensor in questions[:3])
        return cls(rows, questions.kind, keys, keep=has_gradient and torch.is_grad_enabled() and not is_traced())

    def blend(self, queries: Tensor, inverse: Tensor) -> tuple[tuple[Tensor, ...], Sequence[StoredSimilarities]]:
        """Return peaks, masses, moments and outputs, and what is kept for the way back, see `Blend`."""
        rows, keys = self.rows, self.keys
        if not _in_kernels(queries, self.kind):
            compute = partial(blend_in_tiles, rows=rows, keys=keys)
            return in_batches(compute, queries.to(self.kind), inverse), ()
        arrays = as_float64(queries), as_float64(inverse)
        *sums, similarities = blend(rows.view, rows.mask, *arrays, keys=keys, keep=self.keep)
        return tuple(as_tensor(array, queries) for array in sums), similarities or ()

    def bounds(self, queries: Tensor, inverse: Tensor) -> GradientBounds:
        """Return the bounds of both ways."""
        view = self.rows.view
        if _in_kernels(queries, self.kind):
            rounding = Rounding.of_kernels(view)
        else:
            widths, unit = (view.dimension or 0, view.value_dimension or 0), torch.finfo(self.kind).eps / 2
            floor = math.log(torch.finfo(self.kind).tiny)
            rounding = Rounding(unit, *widths, largest_tile(len(queries)) + 2, 4 * unit, floor)
        norms = as_float64(torch.linalg.vector_norm(queries, dim=1))
        return GradientBounds.of(view, rounding, norms, as_float64(inverse))

    def pull(
        self,
        queries: Tensor,
        inverse: Tensor,
        peaks: Tensor,
        gradients: Tensor,
        levels: Tensor,
        similarities: Sequence[StoredSimilarities],
    ) -> tuple[Tensor, ...]:
        """Return totals, moments, spreads and gradients of queries, see `Pull`."""
        # The sums are linear in gradients and levels; those of about 1 neither overflow float32 nor lose digits in it.
        sizes = torch.maximum(torch.linalg.vector_norm(gradients, dim=1), levels.abs())
        sizes = torch.where(sizes == 0, torch.ones_like(sizes), torch.exp2(sizes.log2().round()))
        of_queries = inverse, peaks, gradients / sizes[:, None], levels / sizes
        sums: tuple[Tensor, ...]
        if _in_kernels(queries, self.kind):
            arrays = (as_float64(tensor) for tensor in (queries, *of_queries))
            of_rows = pull(self.rows.view, self.rows.mask, *arrays, similarities=similarities or None)
            sums = tuple(as_tensor(array, queries) for array in of_rows)
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
        check_numbers(options.rows.view, options.kind, queries, inverse, null, reach)
        sums, similarities = options.blend(queries, inverse)
        softmax = Softmax.of(sums, inverse, null)
        if options.keys:
            return tuple(softmax)
        bounds = options.bounds(queries, inverse)
        of_certificate = (as_tensor(bound, queries) for bound in (bounds.total_variation, bounds.output_error))
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
                as_float64(torch.linalg.vector_norm(of_output, dim=1)),
                as_float64(spreads * softmax.row_scale + share.abs()),
                as_float64(excess),
                as_float64(of_log_partition),
                as_float64(torch.linalg.vector_norm(pulled, dim=1) * softmax.row_scale),
            )
            error = as_tensor(of_scaled, queries) * reach
            if null is not None and options.rows.view.similarity == "gaussian":  # there the query shifts the null key
                moved = torch.expm1(2 * as_tensor(bounds.common, queries)) * share.abs()
                moved = (moved + softmax.null_weight * excess.abs()) * inverse
                error = (error + moved * torch.linalg.vector_norm(queries, dim=1)).nan_to_num(math.inf, math.inf)
            options.certificate.query_gradient_error = error.reshape(options.certificate.output_error.shape)
        of_null = None if null is None else share * inverse
        return pulled * (softmax.row_scale * inverse)[:, None], of_inverse, of_null
