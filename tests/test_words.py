"""The words of ARCHITECTURE.md are in the code under the names that it gives."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[1] / "ARCHITECTURE.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (.+?) \| .+ \| `([\w.]+)` \|$", PAGE.split("\n## Words\n")[1], flags=re.MULTILINE)


def test_there_are_some_25_words_and_each_stands_once():
    words = [word for word, _ in ROWS]
    assert 20 <= len(words) == len(set(words)) <= 35


@pytest.mark.parametrize(("word", "name"), ROWS)
def test_a_word_is_in_the_code(word, name):
    module, _, attribute = name.rpartition(".")
    assert hasattr(import_module(module), attribute), f"{word}: {module} has no {attribute}"
