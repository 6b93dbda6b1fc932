"""What a model is advised to do with an answer: it fits the weights, whatever they are."""

from __future__ import annotations

from typing import Any

from softkv import Answer
from softkv.integrations import advice


def answer(named: list[float], rest: float, null: float, *, verdict: str, **fields: Any) -> Answer:
    evidence: dict[str, Any] = {
        "verdict": verdict,
        "verdict_certain": True,
        "alike": fields.get("alike", False),
        "null_weight": null,
        "null_similarity": fields.get("level", 0.3),
    }
    evidence |= {"log_partition": 0.0, "entropy": 0.0, "effective_documents": 1.0}
    matches = [
        {"id": str(number), "similarity": 0.5, "weight": weight, "confidence": fields.get("confidence")}
        for number, weight in enumerate(named)
    ]
    return Answer({"matches": matches, "rest_weight": rest, "evidence": evidence, "documents": 1000 if named else 0})


def test_one_document_that_stands_out_is_to_be_checked_unless_labels_say_that_it_is_right() -> None:
    checked = advice(answer([0.8, 0.1], 0.05, 0.05, verdict="one"))
    assert checked.startswith("Check that the first match answers the question; if it does not, say so.")
    sure = answer([0.8, 0.1], 0.05, 0.05, verdict="one", confidence=0.9)
    assert advice(sure) == "Answer from the first match, and name its id."
    unsure = answer([0.8, 0.1], 0.05, 0.05, verdict="one", confidence=0.3)
    assert advice(unsure).startswith("The first match is more likely wrong than right: ")


def test_without_half_of_the_weight_no_match_is_called_certain() -> None:
    assert advice(answer([0.3, 0.18], 0.45, 0.07, verdict="several")).startswith("No single match is sure: say so")


def test_copies_are_answered_from_as_far_as_they_agree() -> None:
    alike = answer([0.2], 0.7, 0.1, verdict="several", alike=True)
    assert "answer with what they agree on" in advice(alike)


def test_weight_beyond_the_matches_advises_a_larger_top_k() -> None:
    sentence = advice(answer([0.1, 0.1], 0.7, 0.1, verdict="several"))
    assert "lies on 998 other documents" in sentence
    assert "larger top_k" in sentence


def test_an_answer_of_none_advises_to_name_the_missing_answer() -> None:
    assert advice(answer([0.01, 0.01], 0.28, 0.7, verdict="none")).startswith("Say that the collection holds no answer")
    assert advice(answer([], 0.0, 1.0, verdict="none")).startswith("There is nothing to answer from")


def test_a_collection_without_a_null_key_advises_to_judge_by_the_text() -> None:
    assert "judge for yourself" in advice(answer([0.9], 0.1, 0.0, verdict="one", level=None))


def test_a_question_of_unknown_words_advises_to_rephrase_it() -> None:
    assert advice(answer([0.7], 0.1, 0.2, verdict="several")) == "Ask in other words before you answer."
