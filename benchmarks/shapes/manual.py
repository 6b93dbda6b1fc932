"""Overlapping windows of docstrings of Python's standard library."""

from __future__ import annotations

import importlib
import inspect
import random
import re
from collections.abc import Iterator

from benchmarks.shapes.shape import Shape

MODULES = (
    *("argparse", "asyncio", "bisect", "calendar", "cmd", "collections", "concurrent.futures", "configparser", "copy"),
    *("csv", "datetime", "decimal", "difflib", "email.message", "enum", "fileinput", "fractions", "functools"),
    *("gettext", "glob", "heapq", "http.client", "inspect", "itertools", "json", "logging", "mailbox", "optparse"),
    *("os", "pathlib", "pickle", "random", "re", "sched", "shelve", "shutil", "smtplib", "socket", "sqlite3"),
    *("statistics", "string", "subprocess", "tarfile", "tempfile", "textwrap", "threading", "tokenize", "traceback"),
    *("unittest", "urllib.request", "uuid", "warnings", "weakref", "zipfile"),
)
WINDOW, STEP, LONG = 60, 30, 70
"""The words of a window, from one window to the next, and of the shortest docstring."""
LEFT_OUT = 0.25
"""The share of the docstrings that are missing."""
PRESENT, NEAR = 300, 200
SENTENCES = re.compile(r"(?<=[.!?])\s+(?=[A-Z])|\n\s*\n")
OTHER_WORDS = dict(
    (
        *(("return", "give back"), ("returns", "gives back"), ("list", "sequence"), ("raise", "throw")),
        *(("raised", "thrown"), ("create", "make"), ("creates", "makes"), ("specified", "named"), ("must", "has to")),
        *(("string", "text"), ("function", "routine"), ("method", "routine"), ("argument", "parameter")),
        *(("optional", "not required"), ("file", "document"), ("directory", "folder"), ("given", "passed")),
        *(("remove", "delete"), ("equal", "identical"), ("error", "failure"), ("value", "result")),
    )
)
DROPPED = {"the", "a", "an", "is", "are", "of", "this", "that", "be", "will", "if", "it", "and", "to", "then", "also"}


def manual() -> Shape:
    """Return the windows; questions are sentences in other words, and those of some docstrings are missing."""
    chance = random.Random("manual")
    rows = list[str]()
    present, near = list[tuple[str, list[int]]](), list[str]()
    for text in _docstrings():
        words = text.split()
        sentences = [
            one for one in SENTENCES.split(text) if 8 <= len(one.split()) <= 30 and re.match("[A-Z][a-z]", one)
        ]
        if chance.random() < LEFT_OUT:
            near += [_other_words(sentence, chance) for sentence in chance.sample(sentences, min(3, len(sentences)))]
            continue
        windows = [" ".join(words[start : start + WINDOW]) for start in range(0, len(words) - STEP, STEP)]
        for sentence in chance.sample(sentences, min(2, len(sentences))):
            numbers = [len(rows) + i for i, window in enumerate(windows) if sentence in window]
            if numbers:
                present.append((_other_words(sentence, chance), numbers))
        rows += windows
    shape = Shape.of("manual", rows, present, near, without=("mathematics",), limit=PRESENT)
    return Shape(shape.name, shape.keys, shape.present, shape.near[:NEAR], shape.off)


def _docstrings() -> Iterator[str]:
    """The long docstrings of the modules, without doctests."""
    texts = dict[str, None]()
    for name in MODULES:
        module = importlib.import_module(name)
        for member in (module, *_members(module)):
            text = (inspect.getdoc(member) or "").partition(">>>")[0]
            if len(text.split()) >= LONG:
                texts[" ".join(text.split())] = None
    yield from texts


def _members(of: object) -> Iterator[object]:
    for name, member in sorted(vars(of).items()):
        if not name.startswith("_") and (inspect.isclass(member) or inspect.isroutine(member)):
            yield member
            if inspect.isclass(member):
                yield from (
                    one for key, one in sorted(vars(member).items()) if inspect.isroutine(one) and key[0] != "_"
                )


def _other_words(sentence: str, chance: random.Random) -> str:
    """Drop articles and some other words, and say some in other words."""
    words = [word for word in sentence.rstrip(".").lower().split() if word not in DROPPED and chance.random() > 0.15]
    return " ".join(OTHER_WORDS.get(word, word) for word in words)
