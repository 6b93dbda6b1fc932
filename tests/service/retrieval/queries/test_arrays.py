"""The limits of arrays in a request, and the fields that go together."""

from __future__ import annotations

import numpy as np
import pytest

from service.retrieval import InvalidContent, TooLarge
from service.retrieval.queries import Arrays, attend_over_arrays
from service.retrieval.queries import arrays as module

ROWS = np.ones((6, 2))


@pytest.mark.parametrize(
    ("arrays", "numbers"),
    [
        (Arrays(ROWS, ROWS, ROWS), 36),
        (Arrays(np.ones((5, 1, 6, 2)), np.ones((7, 6, 2)), ROWS), 5 * 7 * 36),
        (Arrays(ROWS, ROWS, ROWS, hopfield_steps=2), 3 * 36),
        (Arrays(ROWS, ROWS, ROWS, projections={"n_heads": 4}), 4 * 36),
        (
            Arrays(
                ROWS,
                ROWS,
                ROWS,
                similarity="additive",
                parameters={"W_q": np.ones((3, 2)), "W_k": np.ones((3, 2)), "v": np.ones(3)},
            ),
            3 * 36,
        ),
    ],
    ids=["pairs", "broadcast", "steps", "heads", "additive"],
)
def test_everything_that_is_computed_counts(monkeypatch, arrays, numbers):
    monkeypatch.setattr(module, "MAX_LOGITS", numbers - 1)
    with pytest.raises(TooLarge, match=f"asks for {numbers} numbers, the service computes {numbers - 1}"):
        attend_over_arrays(arrays)


@pytest.mark.parametrize(
    ("arrays", "pointer"),
    [
        (Arrays(ROWS[0], ROWS, ROWS), "/query"),
        (Arrays(ROWS, np.ones((2, 6, 2)), np.ones((3, 6, 2))), ""),
        (Arrays(ROWS, ROWS, ROWS, similarity="bilinear"), "/parameters"),
        (Arrays(ROWS, ROWS, ROWS, parameters={"W": ROWS}), "/parameters"),
        (Arrays(ROWS, ROWS, 2 * ROWS, hopfield_steps=1), "/value"),
        (Arrays(ROWS, ROWS, ROWS, hopfield_steps=1, null=0.5), "/null"),
        (Arrays(ROWS, ROWS, ROWS, hopfield_steps=1, normaliser="sparsemax"), "/normaliser"),
    ],
)
def test_mismatched_arrays_are_refused_with_a_pointer(arrays, pointer):
    with pytest.raises(InvalidContent) as refused:
        attend_over_arrays(arrays)
    assert [flaw.pointer for flaw in refused.value.flaws] == [pointer]
