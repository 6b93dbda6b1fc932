from __future__ import annotations

import json
import subprocess
import sys
import unicodedata

import pytest

from softkv_service.datasets import DEMOS, ENGLISH

NAMES = ["library", "videos", "python", "unicode", "library-zh"]
SMALLEST = {"library": 90, "videos": 80, "python": 3_000, "unicode": 5_000, "library-zh": 36}


def test_the_collections_in_their_order():
    assert list(DEMOS) == NAMES
    assert NAMES[:4] == ENGLISH
    assert all(demo.name == name and demo.title for name, demo in DEMOS.items())
    assert DEMOS["unicode"].settings == {"value_from": "key", "late": False}
    assert all(demo.settings["late"] is False for demo in DEMOS.values())  # pages explain their weights in one line


@pytest.mark.parametrize("name", NAMES)
def test_demo_documents_are_valid_for_the_service(name, documents):
    made = documents[name]
    assert len(made) >= SMALLEST[name]
    assert len({document["id"] for document in made}) == len(made)
    for document in made:
        assert set(document) == {"id", "key", "value", "metadata"}
        assert 1 <= len(document["id"]) <= 256
        assert document["id"] not in {".", ".."}
        assert not any(unicodedata.category(character) in {"Cc", "Cs"} for character in document["id"])
        assert document["key"] == document["key"].strip() != ""
        assert document["value"]
        for field in document["metadata"].values():
            assert all(isinstance(item, str | int) for item in (field if isinstance(field, list) else [field]))
    assert json.loads(json.dumps(made)) == made


@pytest.mark.parametrize("name", NAMES)
def test_documents_are_the_same_each_time(name, documents):
    assert list(DEMOS[name].documents()) == documents[name]


def test_making_them_prints_nothing_warns_of_nothing_and_imports_no_library_modules():
    program = (
        "import sys\n"
        "from softkv_service.datasets import DEMOS\n"
        "before = set(sys.modules)\n"
        "assert all(list(demo.documents()) for demo in DEMOS.values())\n"
        "new = {'curses', 'tkinter', 'asyncio', 'unittest', 'sqlite3'} & (set(sys.modules) - before)\n"
        "assert not new, new\n"
    )
    run = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, check=False)
    assert (run.returncode, run.stdout, run.stderr) == (0, b"", b"")


def test_nothing_is_made_before_the_first_document(monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("an interpreter was started")

    monkeypatch.setattr(subprocess, "run", refuse)
    iterator = DEMOS["python"].documents()
    with pytest.raises(AssertionError):
        next(iterator)


def test_unicode_keys_are_names_in_lower_case(documents):
    blocks = set()
    for document in documents["unicode"]:
        character = document["value"]
        assert document["key"] == unicodedata.name(character).lower()
        assert document["id"] == f"U+{ord(character):04X}"
        assert document["metadata"]["codepoint"] == ord(character)
        assert document["metadata"]["category"] == unicodedata.category(character)
        assert document["metadata"]["category"] not in {"Cf", "Zl", "Zp"}
        blocks.add(document["metadata"]["block"])
    shown = {document["value"] for document in documents["unicode"]}
    assert set("aé→∑∀€♞😺🎲 ") <= shown
    assert {"Arrows", "Mathematical Operators", "Emoticons", "Greek and Coptic"} <= blocks
