"""The questions of a file: vectors, texts, documents; another line is named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from softkv import Invalid
from softkv.tables import read_asked

VECTORS = np.eye(3, dtype=np.float32)


def written(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_each_kind_of_line_is_a_question(tmp_path: Path) -> None:
    lines = [
        {"vector": [1, 2, 3]},
        {"id": "mine", "key_vector": [0, 0, 1], "filter": {"year": 1}},
        {"query": [3, 2, 1]},
        {"query": "pets that purr"},
        {"id": 7},
    ]
    path = written(tmp_path, "asked.jsonl", "\n\n".join(map(json.dumps, lines)))
    questions = read_asked(path)
    assert [question.name for question in questions] == ["line 1", "mine", "line 5", "pets that purr", "7"]
    assert [question.place for question in questions[:2]] == [f"line 1 of {path}", f"line 3 of {path}"]
    assert [question.text for question in questions if question.text] == ["pets that purr"]
    assert [question.document for question in questions if question.document] == ["7"]
    assert questions[1].condition == {"year": 1}
    np.testing.assert_array_equal(questions[2].vector, [3, 2, 1])


def test_other_formats_are_read(tmp_path: Path) -> None:
    np.save(tmp_path / "asked.npy", VECTORS)
    arrays = read_asked(tmp_path / "asked.npy")
    assert [question.name for question in arrays] == ["0", "1", "2"]
    np.testing.assert_array_equal(np.stack([question.vector for question in arrays]), VECTORS)
    table = read_asked(written(tmp_path, "asked.csv", 'query,filter\ncats,"{""year"": 1}"\n"[1, 0, 0]",\n'))
    assert (table[0].text, table[0].condition) == ("cats", {"year": 1})
    np.testing.assert_array_equal(table[1].vector, [1, 0, 0])
    texts = read_asked(written(tmp_path, "asked.txt", "cats\n\ndogs\n"))
    assert [question.text for question in texts] == ["cats", "dogs"]


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("asked.jsonl", "", "has no questions"),
        ("asked.txt", "\n \n", "has no questions"),
        ("asked.jsonl", "{", "line 1 of"),
        ("asked.jsonl", '{"vector": [1]}\n{"title": "x"}', "line 2 of"),
        ("asked.jsonl", '{"title": "x"}', "it is not a question"),
        ("asked.jsonl", '{"vector": []}', "expected a vector as a list of numbers, got one of shape (0,)"),
        ("asked.jsonl", '{"vector": [[1]]}', "got one of shape (1, 1)"),
        ("asked.jsonl", '{"vector": ["a"]}', "the vector is not a list of numbers"),
        ("asked.jsonl", '{"query": ""}', "it is not a question"),
        ("asked.npy", "text", "is not a file in .npy format"),
        ("asked.pdf", "text", "ends in none of"),
    ],
)
def test_an_invalid_line_is_named(tmp_path: Path, name: str, text: str, says: str) -> None:
    with pytest.raises(Invalid) as raised:
        read_asked(written(tmp_path, name, text))
    assert says in str(raised.value)
