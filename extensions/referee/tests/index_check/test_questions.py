"""The vectors of questions: of documents and texts too; a question that does not fit is named."""

from __future__ import annotations

import numpy as np
import pytest

from softkv import Invalid
from softkv.tables import Asked
from softkv_referee.index_check import resolve

VECTORS = np.eye(3, dtype=np.float32)
ROW_OF = {"a": 0, "b": 1, "c": 2}


def test_documents_and_texts_become_vectors() -> None:
    questions = [Asked("b", "line 1", document="b"), Asked("t", "line 2", text="t"), Asked("v", "3", vector=VECTORS[0])]
    queries = resolve(questions, VECTORS, ROW_OF, similarity="cosine", encode=lambda texts: np.array([[0, 0, 2]]))
    np.testing.assert_array_equal(queries, [[0, 1, 0], [0, 0, 2], [1, 0, 0]])


@pytest.mark.parametrize(
    ("question", "says"),
    [
        (Asked("x", "line 9", document="x"), "line 9: the store has no document 'x' with a vector"),
        (Asked("x", "line 9", vector=np.ones(4)), "line 9: expected a vector of width 3, as the store's, got 4"),
        (Asked("x", "line 9", vector=np.zeros(3)), "line 9: a vector of length 0 has no cosine"),
        (Asked("x", "line 9", text="x"), "line 9 is a text: give --url"),
    ],
)
def test_a_question_that_does_not_fit_is_named(question: Asked, says: str) -> None:
    with pytest.raises(Invalid) as raised:
        resolve([question], VECTORS, ROW_OF, similarity="cosine", encode=None)
    assert says in str(raised.value)
