"""How the answers that a page shows are compared with those that came."""

from __future__ import annotations

import pytest

from tests.examples import same

CAME = {"matches": [{"id": "a", "weight": 0.94461}], "reason": "“a” stands out: it has 94 %.", "took_ms": 3.2}


@pytest.mark.parametrize(
    "shown",
    [
        {"matches": [{"id": "a", "weight": 0.9446}], "reason": "“a” stands out…", "took_ms": 9.1},
        {"matches": [{"id": "a", "…": "…"}], "…": "…"},
    ],
)
def test_a_marked_answer_may_leave_out_fields(shown):
    same(shown, CAME)


@pytest.mark.parametrize(
    "shown",
    [
        {"matches": [{"id": "a", "weight": 0.9446}]},
        {"matches": [{"id": "b", "…": "…"}], "…": "…"},
        {"matches": [{"id": "a", "weight": 0.9}], "…": "…"},
        {"verdict": "one", "…": "…"},
        {"matches": [{"id": "a", "weight": 0.9446, "…": "…"}], "…": "…"},
    ],
    ids=["without a mark", "another text", "another number", "no such field", "nothing is left out"],
)
def test_another_answer_fails(shown):
    with pytest.raises(AssertionError):
        same(shown, CAME)
