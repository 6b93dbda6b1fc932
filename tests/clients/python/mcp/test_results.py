"""What a model is advised to do with an answer: it fits the weights, whatever they are."""

from __future__ import annotations

from typing import Any

from softkv import Answer
from softkv.mcp.results import advice


def answer(named: list[float], rest: float, null: float, *, verdict: str, **fields: Any) -> Answer:
    evidence: dict[str, Any] = {
        "verdict": verdict,
        "verdict_certain": True,
        "null_weight": null,
        "null_similarity": fields.get("level", 0.3),
    }
    evidence |= {"log_partition": 0.0, "entropy": 0.0, "effective_documents": 1.0}
    matches = [
        {"id": str(number), "similarity": 0.5, "weight": weight, "confidence": fields.get("confidence")}
        for number, weight in enumerate(named)
    ]
    return Answer({"matches": matches, "rest_weight": rest, "evidence": evidence, "documents": 1000 if named else 0})


def test_what_is_known_is_to_be_answered_from_the_first_match() -> None:
    assert advice(answer([0.8, 0.1], 0.05, 0.05, verdict="one")) == "Answer from the first match, and name its id."
    unsure = answer([0.8, 0.1], 0.05, 0.05, verdict="one", confidence=0.3)
    assert advice(unsure).startswith("The first match is more likely wrong than right: ")


def test_where_no_document_has_half_no_match_is_sure() -> None:
    assert advice(answer([0.3, 0.18], 0.45, 0.07, verdict="several")).startswith("No single match is sure: say so")


def test_where_most_of_the_weight_is_beyond_the_matches_it_says_so() -> None:
    sentence = advice(answer([0.1, 0.1], 0.7, 0.1, verdict="several"))
    assert "lies on 998 other documents" in sentence
    assert "larger top_k" in sentence


def test_what_is_not_known_is_to_be_said() -> None:
    assert advice(answer([0.01, 0.01], 0.28, 0.7, verdict="none")).startswith("Say that the collection holds no answer")
    assert advice(answer([], 0.0, 1.0, verdict="none")).startswith("There is nothing to answer from")


def test_a_collection_that_always_answers_is_no_judge() -> None:
    assert "judge for yourself" in advice(answer([0.9], 0.1, 0.0, verdict="one", level=None))


def test_a_question_of_unknown_words_is_not_answered_from_what_outweighs() -> None:
    assert advice(answer([0.7], 0.1, 0.2, verdict="several")) == "Ask in other words before you answer."
