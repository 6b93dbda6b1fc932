"""The sentence that a model reads first: it fits the weights, whatever they are."""

from __future__ import annotations

from typing import Any

import pytest

from softkv import Answer
from softkv.mcp.results import share, summary


def answer(named: list[float], rest: float, null: float, *, verdict: str, level: float | None = 0.3) -> Answer:
    evidence: dict[str, Any] = {
        "verdict": verdict,
        "verdict_certain": True,
        "null_weight": null,
        "null_similarity": level,
    }
    evidence |= {"log_partition": 0.0, "entropy": 0.0, "effective_documents": 1.0}
    matches = [{"id": str(number), "similarity": 0.5, "weight": weight} for number, weight in enumerate(named)]
    return Answer({"matches": matches, "rest_weight": rest, "evidence": evidence, "documents": 1000 if named else 0})


def test_what_is_known_is_to_be_answered_from_the_matches() -> None:
    sentence = summary(answer([0.8, 0.1], 0.05, 0.05, verdict="one"))
    assert sentence == (
        "One document stands out: 0 has 80 % of the weight, 'none of these' 5 %. Answer from it, and name its id."
    )


def test_where_no_document_has_half_no_match_is_sure() -> None:
    sentence = summary(answer([0.3, 0.18], 0.45, 0.07, verdict="several"))
    assert sentence.startswith("Several share it: no document has more than half of the weight, the matches 48 %, ")
    assert "No single match is sure" in sentence


def test_where_most_of_the_weight_is_beyond_the_matches_it_says_so() -> None:
    sentence = summary(answer([0.1, 0.1], 0.7, 0.1, verdict="several"))
    assert "70 % lies on 998 other documents" in sentence
    assert "larger top_k" in sentence


def test_what_is_not_known_is_to_be_said() -> None:
    sentence = summary(answer([0.01, 0.01], 0.28, 0.7, verdict="none"))
    assert sentence.startswith("Nothing here about that: 'none of these' has 70 % of the weight")
    assert "Say that the collection holds no answer" in sentence


def test_a_collection_that_always_answers_is_no_judge() -> None:
    assert "judge for yourself" in summary(answer([0.9], 0.1, 0.0, verdict="one", level=None))


def test_nothing_to_ask() -> None:
    assert summary(answer([], 0.0, 1.0, verdict="none")).startswith("No document can be asked")


@pytest.mark.parametrize(("weight", "sentence"), [(0, "0 %"), (0.004, "less than 1 %"), (0.5, "50 %"), (1, "100 %")])
def test_a_share_is_rounded_but_never_to_nothing(weight: float, sentence: str) -> None:
    assert share(weight) == sentence


def test_a_question_of_unknown_words_is_not_answered_from_what_outweighs() -> None:
    sentence = summary(answer([0.7], 0.1, 0.2, verdict="several"))
    assert sentence.startswith("The model knows no word of the question, so the 70 % of the weight on 0 say little.")
    assert "no document has more than half" not in sentence
