"""The generated memory: every question has one answer or none, and the labels ask for other facts."""

from __future__ import annotations

from collections import Counter

import pytest

from benchmarks.sessions import ASKED, LABELS, SESSIONS, agent_memory


@pytest.fixture(scope="module")
def memory():
    return agent_memory(3)


def test_a_third_of_the_questions_has_no_answer(memory):
    for questions, counts in ((memory.questions, ASKED), (memory.labels, LABELS)):
        kinds = Counter(asked.kind for asked in questions)
        assert [kinds[kind] for kind in ("known", "unknown", "expired", "off-topic")] == list(counts)
        assert sum(counts[1:]) / sum(counts) == pytest.approx(1 / 3, abs=0.01)
        assert all((asked.right is None) == (asked.kind != "known") for asked in questions)


def test_an_answer_is_the_last_statement_on_its_subject(memory):
    last = {statement.slot: statement for statement in memory.statements}
    by_key = {statement.key: statement for statement in memory.statements}
    for asked in (*memory.questions, *memory.labels):
        if asked.right is not None:
            statement = by_key[asked.right]
            assert last[statement.slot] == statement
            assert statement.lasts
            assert statement.slot.who in asked.text
        if asked.stale is not None:
            assert by_key[asked.stale].slot == by_key[asked.right].slot
            assert by_key[asked.stale].text != by_key[asked.right].text


def test_no_label_asks_for_a_fact_that_a_question_asks_for(memory):
    assert not {asked.right for asked in memory.questions} & {asked.right for asked in memory.labels} - {None}
    assert {statement.session for statement in memory.statements} <= set(range(SESSIONS))
    assert memory == agent_memory(3) != agent_memory(4)
