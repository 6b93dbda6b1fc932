from __future__ import annotations

import json
from pathlib import Path

# Python 3.13 inherits it from a private class, whose members are no documents.
IN_SOME_PYTHONS = {"pathlib.Path.is_dir"}

QUESTIONS = Path(__file__).parents[3] / "benchmarks" / "questions.jsonl"


def test_every_answer_is_a_document(documents):
    questions = map(json.loads, QUESTIONS.read_text(encoding="utf-8").splitlines())
    ids = {name: {document["id"] for document in made} for name, made in documents.items()}
    assert not [q for q in questions if not set(q["answers"]) <= ids[q["collection"]] | IN_SOME_PYTHONS]
