from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

# Python 3.13 inherits it from a private class, whose members are no documents.
IN_SOME_PYTHONS = {"pathlib.Path.is_dir"}

QUESTIONS = Path(__file__).parents[3] / "benchmarks" / "questions.jsonl"


@pytest.fixture(scope="module")
def questions():
    return [json.loads(line) for line in QUESTIONS.read_text(encoding="utf-8").splitlines()]


def test_there_are_enough_of_both_kinds(questions):
    assert len(questions) >= 80
    assert sum(not question["answers"] for question in questions) >= 20
    assert len({(question["collection"], question["question"]) for question in questions}) == len(questions)


def test_every_collection_has_both_kinds(questions, documents):
    kinds = Counter((question["collection"], bool(question["answers"])) for question in questions)
    assert set(kinds) == {(name, kind) for name in documents for kind in (True, False)}


def test_every_answer_is_a_document(questions, documents):
    ids = {name: {document["id"] for document in made} for name, made in documents.items()}
    wrong = [q for q in questions if not set(q["answers"]) <= ids[q["collection"]] | IN_SOME_PYTHONS]
    assert not wrong


def test_no_question_is_a_key(questions, documents):
    keys = {name: {document["key"] for document in made} for name, made in documents.items()}
    # A character's name is short; asking for it by its name is natural.
    assert not [q for q in questions if q["collection"] != "unicode" and q["question"] in keys[q["collection"]]]
