"""The sentence that a model reads first: it fits the weights, whatever they are."""

from __future__ import annotations

from typing import Any

import pytest

from service.mcp.verdict import share, verdict
from softkv import Answer


def answer(named: list[float], rest: float, null: float, *, answered: bool, level: float | None = 0.3) -> Answer:
    evidence: dict[str, Any] = {"answered": answered, "null_weight": null, "null_similarity": level}
    evidence |= {"log_partition": 0.0, "entropy": 0.0, "effective_documents": 1.0}
    matches = [{"id": str(number), "similarity": 0.5, "weight": weight} for number, weight in enumerate(named)]
    return Answer({"matches": matches, "rest_weight": rest, "evidence": evidence, "documents": 1000 if named else 0})


def test_what_is_known_is_to_be_answered_from_the_matches() -> None:
    said = verdict(answer([0.8, 0.1], 0.05, 0.05, answered=True))
    assert said == (
        "The collection knows: 'none of these' has 5 % of the weight, the matches 90 %. Answer from the matches by "
        "their weight, and name the ids that you used."
    )


def test_where_most_of_the_weight_is_beyond_the_matches_it_says_so() -> None:
    said = verdict(answer([0.1, 0.1], 0.7, 0.1, answered=True))
    assert "70 % lies on 998 other documents" in said
    assert "larger top_k" in said


def test_what_is_not_known_is_to_be_said() -> None:
    said = verdict(answer([0.01, 0.01], 0.28, 0.7, answered=False))
    assert said.startswith("The collection does not know: 'none of these' has 70 % of the weight")
    assert "Say that it holds no answer" in said


def test_a_collection_that_always_answers_is_no_judge() -> None:
    assert "judge for yourself" in verdict(answer([0.9], 0.1, 0.0, answered=True, level=None))


def test_nothing_to_ask() -> None:
    assert verdict(answer([], 0.0, 1.0, answered=False)).startswith("No document can be asked")


@pytest.mark.parametrize(("weight", "said"), [(0, "0 %"), (0.004, "less than 1 %"), (0.5, "50 %"), (1, "100 %")])
def test_a_share_is_rounded_but_never_to_nothing(weight: float, said: str) -> None:
    assert share(weight) == said
