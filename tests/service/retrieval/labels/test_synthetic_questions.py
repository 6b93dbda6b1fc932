"""Questions that are made of keys."""

from __future__ import annotations

from service.retrieval.labels import make_questions


def test_questions_are_parts_of_keys_and_half_are_hidden():
    questions = make_questions([(f"{i}", f"the quick brown fox number {i} jumps over it") for i in range(100)])
    assert len({question.text for question in questions}) == len(questions)
    assert 0.4 < sum(question.hidden for question in questions) / len(questions) < 0.6
    for question in questions:
        words = f"the quick brown fox number {question.id} jumps over it".split()
        assert set(question.text.split()) < set(words)
    assert make_questions([("a", "one"), ("b", "")]) == []
    assert all(" " not in question.text for question in make_questions([("a", "东方红太阳升")]))
