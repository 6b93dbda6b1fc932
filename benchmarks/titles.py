"""The gain of a title before each part of a split text, on questions by hand.

    python -m benchmarks.titles

The collection is `repairs`, see `benchmarks.blind`: 60 passages of 115 to 200 tokens with titles. Its texts are stored
with the title as a line of its own, which softkv repeats before each part, and with the title in the line of the text.
"""

from __future__ import annotations

import tempfile
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.blind import Asked, read
from softkv import Client

TOKENS = 48, 64, 96, 128


def ask(collection: Any, questions: Asked) -> list[list[int]]:
    """Return for each question the ranks of the right documents among the first three, from 0."""
    answers = collection.attend([question for question, _ in questions.present], top_k=3, include=[])
    return [
        [rank for rank, match in enumerate(answer.matches) if match.id in right]
        for answer, (_, right) in zip(answers, questions.present, strict=True)
    ]


def main() -> None:
    """Ask all questions of both collections, and print a table."""
    questions = read("repairs")
    table = Table("tokens", "first, %", "in three, %", "with the title: first, %", "in three, %", "gained / lost")
    with tempfile.TemporaryDirectory() as folder, Client.local(folder) as client:
        for tokens in TOKENS:
            ranks = []
            for name, end in (("text", " "), ("line", "\n")):
                collection = client.collection(f"{name}-{tokens}")
                collection.create()
                documents = [
                    {"id": one.id, "key": f"{one.title}{end}{one.text}", "split": {"tokens": tokens}}
                    for one in questions.documents
                ]
                collection.write(documents)
                ranks.append(ask(collection, questions))
            cells = [f"{100 * sum(map(count, one)) / len(one):.1f}" for one in ranks for count in (is_first, bool)]
            firsts = [[*map(is_first, one)] for one in ranks]
            gained = sum(after > before for before, after in zip(*firsts, strict=True))
            worse = sum(after < before for before, after in zip(*firsts, strict=True))
            table.add_row(f"{tokens}", *cells, f"{gained} / {worse}")
    Console(width=120).print(f"{len(questions.present)} questions", table)


def is_first(ranks: list[int]) -> bool:
    """Return whether the first match is right."""
    return 0 in ranks


if __name__ == "__main__":
    main()
