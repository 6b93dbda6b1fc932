"""The gain of late interaction on questions by hand: the same keys, title and text, without it and by default.

    python -m benchmarks.late --nouns data.noun

Each collection is stored by a service, which is started again before it is asked. `benchmarks.blind` says where the
file `data.noun` comes from; without it, `dictionary` is left out.

The second table is about another level of the null key: it moves the null key's weight of each question by a number of
log-odds. Late interaction keeps that weight, so the level refuses the same questions with it and without.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.blind import NAMES, read
from benchmarks.shapes.written import written
from softkv import Client

MOVES = -0.5, -0.25, -0.1, 0.0, 0.25, 0.5, 0.9
"""The log-odds by which the second table moves the null key; above 0 it refuses more."""


@dataclass(frozen=True)
class Questions:
    """A collection's keys by id, and its questions of each kind, each with the ids that answer it.

    Attributes:
        blind: whether nothing was chosen by this collection.
    """

    name: str
    keys: dict[str, str]
    questions: dict[str, list[tuple[str, tuple[str, ...]]]]
    blind: bool


@dataclass(frozen=True)
class Result:
    """An answer of the service: the ranks of the right documents from 0, the verdict and the null weight."""

    ranks: list[int]
    verdict: str
    null: float

    @property
    def first(self) -> bool:
        """Whether the first match is right."""
        return 0 in self.ranks

    @property
    def in_three(self) -> bool:
        """Whether one of the first three is."""
        return min(self.ranks, default=3) < 3

    def refused(self, moved: float) -> bool:
        """Return whether the verdict would be "none" if the null key had more log-odds by this number."""
        return self.null >= 1 / (1 + math.exp(moved))


def collections(nouns: Path | None) -> list[Questions]:
    """Return the collections by hand, those first that choices were made on."""
    chosen = [
        Questions(
            shape.name,
            shape.keys,
            {
                "present": shape.present,
                "near": list_without_answers(shape.near),
                "off": list_without_answers(shape.off),
            },
            blind=False,
        )
        for shape in written()
    ]
    blind = [read(name, nouns) for name in NAMES if name != "dictionary" or nouns is not None]
    return chosen + [
        Questions(
            one.name,
            {document.id: f"{document.title}: {document.text}" for document in one.documents},
            {"present": one.present, "near": list_without_answers(one.near), "off": list_without_answers(one.off)},
            blind=True,
        )
        for one in blind
    ]


def list_without_answers(questions: list[str]) -> list[tuple[str, tuple[str, ...]]]:
    """Return questions without an answer."""
    return [(question, ()) for question in questions]


def ask(collection: Any, asking: Questions, **options: Any) -> dict[str, list[Result]]:
    """Ask all questions with these options, and return the service's results, by its kind."""
    results = {}
    for kind, questions in asking.questions.items():
        answers = collection.attend([text for text, _ in questions], top_k=10, include=[], **options)
        results[kind] = [
            Result(
                [rank for rank, match in enumerate(answer.matches) if match.id in right],
                answer.evidence.verdict,
                answer.evidence.null_weight,
            )
            for answer, (_, right) in zip(answers, questions, strict=True)
        ]
    return results


def sign_test(gained: int, worse: int) -> float:
    """Return the probability that chance alone splits the questions as far or farther, on both sides."""
    n = gained + worse
    tail = sum(math.comb(n, k) for k in range(min(gained, worse) + 1)) / 2**n
    return min(1.0, 2 * tail)


def percent(values: list[bool]) -> float:
    """Return the share of true values in percent."""
    return 100 * sum(values) / len(values) if values else float("nan")


def row(name: str, before: dict[str, list[Result]], after: dict[str, list[Result]]) -> list[str]:
    """Return the row of a collection, or of several together."""
    pairs = list(zip(before["present"], after["present"], strict=True))
    gained = sum(not one.first and two.first for one, two in pairs)
    worse = sum(one.first and not two.first for one, two in pairs)
    changed = sum(
        (one.verdict == "none") != (two.verdict == "none")
        for kind in before
        for one, two in zip(before[kind], after[kind], strict=True)
    )
    cells = [name, str(len(pairs)), f"{gained} / {worse}", f"{sign_test(gained, worse):.3f}"]
    for results in (before, after):
        present = results["present"]
        refused = percent([one.verdict == "none" for one in present if one.first])
        wrong, near = (
            percent([one.verdict == "one" and not one.first for one in present]),
            percent([one.verdict == "one" for one in results["near"]]),
        )
        right = percent([one.verdict == "one" and one.first for one in present])
        cells.append(
            f"{percent([one.first for one in present]):.0f} · {percent([one.in_three for one in present]):.0f}"
            f" | {refused:.0f} | {right:.0f} / {wrong:.0f} / {near:.0f}"
        )
    off = percent([one.verdict == "none" for one in before["off"]])
    return [*cells, f"{off:.1f}", str(changed)]


def compare_levels(results: dict[str, tuple[dict[str, list[Result]], dict[str, list[Result]]]]) -> Table:
    """Return a table of what each level of the null key refuses, by collection and with the mean of all.

    Args:
        results: those of each collection, without late interaction and with it.
    """
    table = Table(
        "null key moved by",
        *results,
        "mean",
        title="right first refused, without · with late interaction, %; off-topic questions that pass",
    )
    for moved in MOVES:
        cells, shares = [], []
        for without, late in results.values():
            refused = [
                percent([one.refused(moved) for one in kinds["present"] if one.first]) for kinds in (without, late)
            ]
            passing = sum(not one.refused(moved) for one in without["off"])
            shares.append(refused)
            cells.append(f"{refused[0]:.0f} · {refused[1]:.0f}; {passing} of {len(without['off'])}")
        means = (sum(column) / len(shares) for column in zip(*shares, strict=True))
        table.add_row(f"{moved:+.2f}", *cells, " · ".join(f"{mean:.1f}" for mean in means))
    return table


def main() -> None:
    """Ask all questions without late interaction and with it, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nouns", type=Path)
    options = parser.parse_args()
    table = Table(
        "set",
        "questions",
        "gained / worse",
        "p",
        "without: first · in three | refused | one",
        "with",
        "off topic refused",
        "none changed",
    )
    together: dict[bool, list[tuple[dict[str, list[Result]], dict[str, list[Result]]]]] = {False: [], True: []}
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        sets = collections(options.nouns)
        with Client.local(folder) as client:
            for one in sets:
                collection = client.collection(one.name)
                collection.create()
                collection.write({"id": identity, "key": key} for identity, key in one.keys.items())
        with Client.local(folder) as client:
            for one in sets:
                collection = client.collection(one.name)
                before, after = ask(collection, one, ignore_defaults=["rerank"]), ask(collection, one)
                table.add_row(*row(one.name, before, after))
                together[one.blind].append((before, after))
                results[one.name] = before, after
    for blind, pairs in together.items():
        before, after = (
            {kind: [results for pair in pairs for results in pair[i][kind]] for kind in pairs[0][i]} for i in (0, 1)
        )
        table.add_row(*row("blind ones together" if blind else "those chosen by", before, after))
    Console(width=170).print(table, compare_levels(results))


if __name__ == "__main__":
    main()
