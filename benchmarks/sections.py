"""The key of a section of documentation: its headings, its text, or both.

    python -m benchmarks.sections

The collection is the documentation of softkv at one commit, cut by headings into 365 sections, so it needs a checkout
with its history. The 40 questions of `sections.jsonl` are a newcomer's. They and their answers were written before
anything was run on them, in two halves. The path of a section is its heading behind those above it.

`repairs` and `clinic` of `benchmarks.blind` have titles, and no headings above them.

Figures are numbers of questions: with a right document first, and among the first three; with the verdict "none"; and
of the right first ones, those with "none". The 102 questions off topic are those of the three collections of
`benchmarks.blind`, of which those with "none" are counted.
"""

from __future__ import annotations

import io
import json
import re
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from rich.console import Console
from rich.table import Table

from benchmarks.blind import NAMES, read
from softkv import Client
from softkv.tables.markdown import BETWEEN, Section, cut

Questions: TypeAlias = Sequence[tuple[str, Sequence[str]]]

COMMIT = "451f6335"
QUESTIONS = Path(__file__).with_suffix(".jsonl")
FIGURES = "first · in three | none | right first and none"

KEYS: dict[str, Callable[[Section], dict[str, Any]]] = {
    "heading and text": lambda section: {"key": f"{section.headings[-1]}\n{section.text}"},
    "heading and text, in parts": lambda section: {"key": f"{section.headings[-1]}\n{section.text}", "split": {}},
    "path and text": lambda section: {"key": f"{path_of(section)}\n{section.text}"},
    "path and text, in parts": lambda section: {"key": f"{path_of(section)}\n{section.text}", "split": {}},
    "heading": lambda section: {"key": section.headings[-1]},
    "path": lambda section: {"key": path_of(section)},
}


def path_of(section: Section) -> str:
    """Return the headings of a section in one line."""
    return BETWEEN.join(section.headings)


def read_sections() -> dict[str, Section]:
    """Return the sections of the English pages by id."""
    command = ["git", "-C", str(QUESTIONS.parents[1]), "archive", f"{COMMIT}:docs"]
    archive = subprocess.run(command, capture_output=True, check=True).stdout
    sections = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as pages:
        for member in sorted(pages, key=lambda member: member.name):
            if member.name.endswith(".md") and not member.name.startswith("zh/"):
                content = pages.extractfile(member)
                assert content is not None
                for section in cut(content.read().decode().splitlines()):
                    sections[f"{member.name}: {path_of(section)}"] = section
    return sections


def ask(collection: Any, questions: Questions, **options: Any) -> str:
    """Return the figures of some questions, each with the ids that answer it."""
    answers = collection.attend([text for text, _ in questions], top_k=3, include=[], **options)
    pairs = [(answer, right) for answer, (_, right) in zip(answers, questions, strict=True)]
    first = [answer.matches[0].id in right for answer, right in pairs]
    three = [any(match.id in right for match in answer.matches) for answer, right in pairs]
    refused = [answer.evidence.verdict == "none" for answer, _ in pairs]
    return f"{sum(first)} · {sum(three)} | {sum(refused)} | {sum(map(all, zip(first, refused, strict=True)))}"


def compare(
    client: Client,
    table: Table,
    name: str,
    documents: Iterable[dict[str, Any]],
    parts: Iterable[Questions],
    off_topic: list[str],
) -> None:
    """Store documents, ask parts of the questions with late interaction and without, and add a row.

    Args:
        client: of the service.
        table: the table.
        name: of the row.
        documents: all of a collection.
        parts: questions with an answer.
        off_topic: questions off topic.
    """
    collection = client.collection(re.sub(r"\W+", "-", name))
    collection.create()
    collection.write(documents)
    figures = [(ask(collection, part), ask(collection, part, ignore_defaults=["rerank"])) for part in parts]
    refused = sum(answer.evidence.verdict == "none" for answer in collection.attend(off_topic, top_k=1, include=[]))
    table.add_row(name, *(cell for pair in figures for cell in pair), f"{refused}")


def main() -> None:
    """Ask all questions by each key, with late interaction and without, and print the tables."""
    sections = read_sections()
    lines = [json.loads(line) for line in QUESTIONS.read_text(encoding="utf-8").splitlines()]
    halves = [
        [(one["question"], one["answers"]) for one in lines if one["half"] == half] for half in ("first", "second")
    ]
    off_topic = [text for name in NAMES for text in read(name).off]
    table = Table("key", "first 20", "without late", "second 20", "without late", "off topic", title=FIGURES)
    titles = Table("key", "all questions", "without late", "off topic", title=FIGURES)
    with tempfile.TemporaryDirectory() as folder, Client.local(folder) as client:
        for name, write in KEYS.items():
            documents = ({"id": identity, **write(section)} for identity, section in sections.items())
            compare(client, table, name, documents, halves, off_topic)
        for blind in map(read, ("repairs", "clinic")):
            for name, form in (("title", "{0.title}"), ("title and text", "{0.title}: {0.text}")):
                documents = ({"id": one.id, "key": form.format(one)} for one in blind.documents)
                compare(client, titles, f"{blind.name}, {name}", documents, [blind.present], read(blind.name).off)
    Console(width=120).print(f"{len(sections)} sections, {len(lines)} questions", table, titles)


if __name__ == "__main__":
    main()
