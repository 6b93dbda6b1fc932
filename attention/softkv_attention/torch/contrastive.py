"""A contrastive loss with every document of a memory as a negative, and the search for hard negatives."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from softkv_attention.arrays import I64, reals
from softkv_attention.errors import ParameterError, ShapeError
from softkv_attention.lookup import Background, Mask, Memory, Question, View, answers
from softkv_attention.torch.lookup import log_partitions
from softkv_attention.torch.questions import QuestionBatch, key_terms
from softkv_attention.torch.row_sums import document_rows
from softkv_attention.torch.tensors import as_float64, kind_of, not_compiled
from softkv_attention.torch.tiles import MaskedView


@not_compiled
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
    log_partition = log_partitions(questions, rows)
    query_of = torch.from_numpy(indices).to(queries.device)
    keys = torch.from_numpy(rows.view.keys_of(numbers)).to(queries.device).double()
    factors, addends = key_terms(rows.view.similarity, torch.linalg.vector_norm(keys, dim=1))
    similarities = torch.linalg.vecdot(questions.queries[query_of], keys)
    similarities = similarities if factors is None else similarities * factors
    similarities = similarities if addends is None else similarities + addends
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


@not_compiled
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
        kind_of(queries, None)
        queries = as_float64(queries.double())
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
