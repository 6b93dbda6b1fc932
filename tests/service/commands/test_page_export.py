"""`softkv page export`: what is taken along, and documents that fetch nothing."""

from __future__ import annotations

import re

import pytest

from service.api.routes.assets import Assets
from service.api.routes.page import WEB
from service.commands.page import DOCUMENTS, QUESTIONS
from service.commands.page.bundle import bundle
from service.commands.page.recording import NULLS, Memory, Recording, find_filters, find_memories
from softkv import Client

ASSETS = Assets(WEB)


def test_the_rows_and_filters_of_scenes_are_found():
    memories = find_memories(ASSETS.text("js/scenes.js"))
    assert [len(memory.rows) for memory in memories] == [8, 7, 8, 5]
    assert [memory.questions[0] for memory in memories][-1] == "I would like a hot drink"
    assert all(set(row) == {"id", "key", "value"} for memory in memories for row in memory.rows)
    assert find_filters(ASSETS.text("js/scenes.js")) == [
        {"field": "metadata.shelf", "operator": "==", "value": "fiction"}
    ]


def test_some_three_hundred_questions_and_each_once():
    lines = QUESTIONS.read_text(encoding="utf-8").splitlines()
    assert 250 <= len(set(lines)) == len(lines)
    begun = set(re.findall(r'query: "([^"]*)"', ASSETS.text("js/scenes.js")))
    assert begun <= set(lines)


def test_each_question_has_the_background_that_its_null_key_stands_on(service):
    rows = [{"id": key, "key": key, "value": key} for key in ("cats", "board games", "the moon", "bread")]
    questions = ["kitten", "which animal purrs and catches mice?"]
    with Client(service.url) as client:
        recording = Recording(client, lambda: None)
        recording.ask(Memory(None, rows, questions))
        (memory,) = recording.content()["memories"]
        indices = [memory["questions"][question]["stands_on"] for question in questions]
        assert sorted(indices) == [0, 1]
        for question, index in zip(questions, indices, strict=True):
            for null in NULLS:
                stands_on = client.compare(question, rows, null=null).background
                assert memory["backgrounds"][index][null]["mean"] == stands_on.mean
                assert memory["backgrounds"][index][null]["deviation"] == stands_on.deviation


@pytest.mark.parametrize("name", DOCUMENTS.values())
def test_a_document_names_nothing_that_would_have_to_be_fetched_but_fonts(name):
    text = bundle(ASSETS, name, {"x": "</script>"} if name == "scenes.html" else None)
    assert '</script>"' not in text
    markup = re.sub(r"<(script|style)\b[^>]*>.*?</\1>", "", text, flags=re.DOTALL)
    assert [link for link in re.findall(r'(?:href|src)="([^"]+)"', markup) if "assets/" in link] == []
    assert re.findall(r"<script[^>]* src=", text) == []
    if 'class="words"' in text:
        assert re.findall(r'<script [^>]*class="words" lang="(\w+)"', text) == ["en", "zh"]
