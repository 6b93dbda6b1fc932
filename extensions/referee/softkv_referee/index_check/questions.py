"""The vectors of the questions of a check."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from softkv.integrations import invalid_value
from softkv.tables import Asked

F32: TypeAlias = NDArray[np.float32]
F64: TypeAlias = NDArray[np.float64]

Encode: TypeAlias = Callable[[Sequence[str]], NDArray[Any]]
"""Encodes texts as vectors [n, d]."""


def resolve(
    questions: Sequence[Asked],
    vectors: F32,
    row_of: Mapping[str, int],
    *,
    similarity: str,
    encode: Encode | None,
) -> F64:
    """Return the vector of each question, as float64[q, d].

    Args:
        questions: the questions.
        vectors: float32[n, d], the rows of the store.
        row_of: the row of each id.
        similarity: that of the store.
        encode: encodes texts; None if no service is given.

    Raises:
        Invalid: a document does not exist, a width is wrong, a vector has length 0, or texts have no encoder.
    """
    width = vectors.shape[1]
    queries = np.empty((len(questions), width))
    texts = [number for number, question in enumerate(questions) if question.text is not None]
    encoded: dict[int, Any] = {}
    if texts:
        if encode is None:
            location = questions[texts[0]].place
            raise invalid_value(
                "", f"{location} is a text: give --url of a service that encodes it as the store's, or vectors"
            )
        encoded = dict(zip(texts, encode([questions[number].text or "" for number in texts]), strict=True))
    for number, question in enumerate(questions):
        if question.document is not None:
            if question.document not in row_of:
                raise invalid_value(
                    "", f"{question.place}: the store has no document {question.document!r} with a vector"
                )
            queries[number] = vectors[row_of[question.document]]
            continue
        vector: Any = encoded.get(number, question.vector)
        if len(vector) != width:
            raise invalid_value(
                "", f"{question.place}: expected a vector of width {width}, as the store's, got {len(vector)}"
            )
        queries[number] = vector
        if similarity == "cosine" and not queries[number].any():
            raise invalid_value("", f"{question.place}: a vector of length 0 has no cosine")
    return queries
