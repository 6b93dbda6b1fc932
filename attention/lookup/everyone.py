"""What every row that passes has to say, for whoever adds rows up by something else than their values.

As `exact` reads them: each similarity in float64 over the stored float32. It takes as long as the exact path, and 8
bytes a row and query.
"""

from __future__ import annotations

from typing import NamedTuple

from attention.dtypes import F64, I64
from attention.kernels import held
from attention.lookup.exact import every_row
from attention.lookup.memory.view import Mask, View
from attention.lookup.question import Question


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
    with held():
        rows = every_row(view, mask)
        similarities = rows.similarities(questions, [None] * len(questions))
        return Similarities(rows.all_numbers, rows.owners, similarities)
