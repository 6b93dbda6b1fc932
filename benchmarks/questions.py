"""Labelled questions over the demo collections: does it find the answer, and does it know when there is none?

    python -m benchmarks.questions [--url http://127.0.0.1:8000]

Without a URL it starts the service itself, on a free port, with a temporary directory for its data.
The questions are in questions.jsonl: natural wordings with the ids of every acceptable answer, or
an empty list if no document answers. The exit code is 1 if the verdict is "none" for more than 4 % of the
good questions (10 % of a collection's), or another one for more than 6 % of the others (14 %).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import httpx
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.running import Service

QUESTIONS = Path(__file__).with_name("questions.jsonl")
RANKS = (1, 3, 10)
# The limit of queries in one request.
_BATCH = 64
# The least share of good questions whose verdict is not "none", and the largest of the others.
IN_ALL, OF_ONE = (0.96, 0.06), (0.90, 0.14)
_SECONDS_TO_LOAD = 1200.0


@dataclass(frozen=True)
class Question:
    """A question to a collection, and the ids that answer it; none where nothing there does."""

    collection: str
    question: str
    answers: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """The service's result: the rank of the first acceptable answer (from 1; None: not in ten), and the verdict."""

    question: Question
    rank: int | None
    verdict: str
    best: str

    @property
    def right(self) -> bool:
        """Return whether the verdict is "none" exactly if the label has no answer."""
        return (self.verdict != "none") == bool(self.question.answers)


def read_questions() -> list[Question]:
    """The labelled questions, in the file's order: one collection after another."""
    lines = QUESTIONS.read_text(encoding="utf-8").splitlines()
    return [Question(**fields | {"answers": tuple(fields["answers"])}) for fields in map(json.loads, lines)]


def ask(client: httpx.Client, questions: list[Question]) -> Iterator[Outcome]:
    """Ask the service, with the collections' own temperature and null."""
    for collection, group in groupby(questions, key=lambda question: question.collection):
        of_collection = list(group)
        for start in range(0, len(of_collection), _BATCH):
            batch = of_collection[start : start + _BATCH]
            body = {"queries": [question.question for question in batch], "top_k": max(RANKS), "include": []}
            answer = client.post(f"/v1/collections/{collection}/attend", json=body)
            answer.raise_for_status()
            for question, result in zip(batch, answer.json()["results"], strict=True):
                ids = [match["id"] for match in result["matches"]]
                rank = next((position for position, name in enumerate(ids, 1) if name in question.answers), None)
                yield Outcome(question, rank, result["evidence"]["verdict"], ids[0])


def table(outcomes: list[Outcome]) -> Table:
    """Recall over the good questions, and how often "none" is right, by collection and in all."""
    headings = ["collection", "good", *(f"@{k}" for k in RANKS), "not none", "bad", "none"]
    made = Table(title="recall @k of the good questions; how often the verdict is rightly none, or not", box=box.SIMPLE)
    for heading in headings:
        made.add_column(heading, no_wrap=True, justify="left" if heading == "collection" else "right")
    groups = [(name, list(group)) for name, group in groupby(outcomes, key=lambda o: o.question.collection)]
    for name, group in [*groups, ("all", outcomes)]:
        good = [outcome for outcome in group if outcome.question.answers]
        bad = [outcome for outcome in group if not outcome.question.answers]
        recalls = [sum(o.rank is not None and o.rank <= k for o in good) / max(len(good), 1) for k in RANKS]
        made.add_row(
            name,
            str(len(good)),
            *(f"{recall:.3f}" for recall in recalls),
            f"{sum(o.right for o in good)}/{len(good)}",
            str(len(bad)),
            f"{sum(o.right for o in bad)}/{len(bad)}",
        )
    return made


def main() -> int:
    """Ask every question, print the table and what went wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="a running service with the four demo collections")
    arguments = parser.parse_args()
    if arguments.url is not None:
        return report(arguments.url)
    with (
        tempfile.TemporaryDirectory() as data,
        Service(Path(data), "--demo", "library,videos,python,unicode") as service,
    ):
        service.wait_until_ready(_SECONDS_TO_LOAD)
        return report(service.url)


def report(url: str) -> int:
    """Ask the service at `url`; 0 where what the service promises holds, else 1."""
    with httpx.Client(base_url=url, timeout=120, trust_env=False) as client:
        outcomes = list(ask(client, read_questions()))
    console = Console(soft_wrap=True)
    console.print(table(outcomes))
    for outcome in outcomes:
        question = outcome.question
        if not outcome.right:
            console.print(
                f"{question.collection}: the verdict on {question.question!r} is {outcome.verdict}, "
                f"the best match {outcome.best}"
            )
        elif question.answers and outcome.rank is None:
            console.print(
                f"{question.collection}: {question.question!r} is not in the first ten (best: {outcome.best})"
            )
    collections = [list(group) for _, group in groupby(outcomes, key=lambda outcome: outcome.question.collection)]
    return 0 if kept(outcomes, IN_ALL) and all(kept(group, OF_ONE) for group in collections) else 1


def kept(outcomes: list[Outcome], rates: tuple[float, float]) -> bool:
    """Whether "none" is said of few enough of the good questions, and of enough of the others."""
    good = [outcome.verdict != "none" for outcome in outcomes if outcome.question.answers]
    bad = [outcome.verdict != "none" for outcome in outcomes if not outcome.question.answers]
    return sum(good) >= rates[0] * len(good) and sum(bad) <= rates[1] * len(bad)


if __name__ == "__main__":
    sys.exit(main())
