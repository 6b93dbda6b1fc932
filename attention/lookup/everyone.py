"""What every row that passes has to say, for whoever adds rows up by something else than their values.

As `exact` reads them: each similarity in float64 over the stored float32. It takes as long as the exact path, and 8
bytes a row and query.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from attention.dtypes import F64, I64
from attention.kernels import pin_kernels
from attention.lookup.exact import Weighed, every_row, variation_of
from attention.lookup.memory.view import Mask, View
from attention.lookup.question import Question, without_forbidden


class Similarities(NamedTuple):
    """Of all rows that pass, in one order that is the view's.

    Attributes:
        numbers: int64[n], the rows'.
        owners: int64[n], the number of the document that each is a key of.
        similarities: float64[q, n].
    """

    numbers: I64
    owners: I64
    similarities: F64


def similarities_of(view: View, vectors: F64, mask: Mask | None = None) -> Similarities:
    """The similarity of each query with every row that passes; off by no more than `bounds.rounding` says.

    Args:
        vectors: float64[q, d], finite, at least one; so few that float64[q, n] fits.
        mask: of this view; None for all rows.

    Raises:
        ShapeError: a query has another width than the keys.
        ParameterError: a zero query under cosine, or a mask of another view.
    """
    questions = [Question(vector, 0.0, mask=mask, top_k=0, output=False) for vector in vectors]
    for question in questions:
        question.check(view)
    with pin_kernels():
        rows = every_row(view, mask)
        similarities = rows.similarities(questions, [None] * len(questions))
        return Similarities(rows.all_numbers, rows.owners, similarities)


@dataclass(frozen=True, eq=False)
class Weights:
    """What every document that passes weighs.

    Attributes:
        numbers: int64[m], the documents, ascending.
        weights: float64[m], of each with all of its keys; with the null key's they sum to one.
        total_variation: ½·Σ|w − ŵ| over all of them and the null key is at most this.
    """

    numbers: I64
    weights: F64
    total_variation: float


def weights_of(view: View, question: Question) -> Weights:
    """The weight of every document that passes; how many are asked for does not matter.

    Raises:
        ShapeError: the query has another width than the keys.
        ParameterError: a zero query under cosine, or a mask or a bias of another view.
    """
    question.check(view)
    (asked,) = without_forbidden([replace(question, top_k=0, top_p=None, output=False)])
    with pin_kernels():
        rows = every_row(view, asked.mask)
        biases = rows.biases([asked])
        (similarities,) = rows.similarities([asked], biases)
        weighed = Weighed.of(asked, similarities, biases[0])
        variation, weights = variation_of(rows, weighed), weighed.found.weights
        if rows.grouping is not None:
            return Weights(rows.grouping.numbers, rows.grouping.sums(weights), variation)
        numbers = rows.all_numbers
        if (numbers[1:] > numbers[:-1]).all():
            return Weights(numbers, weights, variation)
        order = np.argsort(numbers)
        return Weights(numbers[order], weights[order], variation)


def weights_among(view: View, question: Question) -> Weights:
    """The same for whoever leaves the null key out, so that only how the weights stand to each other matters.

    With softmax above temperature 0 they are those without a null key: so they are as certain where that has nearly all
    of the weight.

    Raises:
        ShapeError, ParameterError: as `weights_of`.
    """
    return weights_of(view, replace(question, null=None) if question.weighs_all else question)
