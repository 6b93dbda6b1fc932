"""Marks of the tests in a file, read from its text: a file of which no test can be selected is not imported."""

from __future__ import annotations

import re
from functools import cache
from itertools import chain, combinations
from pathlib import Path

from _pytest.mark.expression import Expression

TESTS = Path(__file__).parent
MARKED_FOLDERS = {TESTS / "browser": "browser", TESTS.parent / "workshop" / "tests" / "browser": "browser"}
"""Folders whose conftest.py gives all their tests a mark."""

MARK = re.compile(r"mark\.(\w+)|from tests\.(thorough) import")
OF_ALL = re.compile(r"^pytestmark = (.*)", re.MULTILINE)
IMPORT = re.compile(r"^(?:from|import) tests\.([\w.]+)", re.MULTILINE)


def selects(expression: str, path: Path, marks: frozenset[str]) -> bool:
    """Return whether a test in this file may have marks that an expression of `pytest -m` selects.

    Args:
        marks: the names of all marks of the project.
    """
    names = frozenset(re.findall(r"\w+", expression)) - {"and", "or", "not"}
    required = _marks_of_all(path) & marks
    others = (_marks(path) & marks & names | names - marks) - required  # plugins give tests other marks
    compiled = Expression.compile(expression)
    choices = chain.from_iterable(combinations(others, count) for count in range(len(others) + 1))
    return any(compiled.evaluate(_Matcher(required.union(choice))) for choice in choices)


class _Matcher:
    """A test with these marks, for an expression."""

    def __init__(self, marks: frozenset[str]) -> None:
        self._marks = marks

    def __call__(self, name: str, /, **_: str | int | bool | None) -> bool:
        return name in self._marks


def _marks_of_all(path: Path) -> frozenset[str]:
    """Return the marks that every test in a file has."""
    folders = (mark for folder, mark in MARKED_FOLDERS.items() if folder in path.parents)
    line = OF_ALL.search(_text(path))
    return frozenset(folders).union(() if line is None else (mark for mark, _ in MARK.findall(line[1])))


def _marks(path: Path) -> frozenset[str]:
    """Return the marks that occur in a file, in a conftest.py above it, and in what these import of the tests."""
    conftests = (folder / "conftest.py" for folder in path.parents if folder.is_relative_to(TESTS))
    todo, texts = [path, *conftests], dict[Path, str]()
    while todo:
        module = todo.pop()
        if module not in texts and module.exists():
            texts[module] = _text(module)
            todo += (TESTS / f"{name.replace('.', '/')}.py" for name in IMPORT.findall(texts[module]))
    return _marks_of_all(path).union(*(chain.from_iterable(MARK.findall(text)) for text in texts.values()))


@cache
def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
