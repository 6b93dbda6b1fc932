"""What is a verdict worth in a small collection on one subject, such as an FAQ?

    python -m benchmarks.small [--questions 1200] [--sizes 12 30 50 150]

The sets are those of `benchmarks.verdict`. A subject is a random document and those whose keys are nearest to it, among
at most 4,000 of the set, each of which answers one question. A random half of the subject becomes the collection. So
half of the questions have their document there, and the other half have not, but are about the same subject. Off-topic
questions come from another set. Each size has as many collections as 1,200 questions of each kind need.

The columns of questions with an answer: "one" with the right document, "one" with a wrong one, several, none. The
other two kinds: one, several, none. "Decided" is the share of right decisions, as in `benchmarks.verdict`. "Weight" is
the probability that a right first match has a larger weight than a wrong one, if the verdict of both is "one": 0.5 is
chance. A line such as `auto > .8` counts a "one" as several unless the first match has more than this weight. The lines
`mean` are the means of the sets.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.asking import Asking, Collection, Results, Said, Vectors, ask_all
from benchmarks.labelled import Labels
from benchmarks.verdict import off_topic_of, sets
from service.encoding import load_encoder
from service.retrieval.collections import NullChoice

SIZES = (12, 30, 50, 150)
QUESTIONS, DOCUMENTS = 1200, 4000
OFF_TOPIC = 25
"""The number of off-topic questions to each collection."""
NULLS: tuple[NullChoice, ...] = ("auto", "strict", "lenient", 0.40, 0.45, 0.50, 0.55, 0.60)
HEAVIER = (0.7, 0.8, 0.9)
"""The weights that a caller may demand of the first match, under `auto`."""
LINES = [*(str(choice) if isinstance(choice, str) else f"{choice:.2f}" for choice in NULLS)]
LINES += [f"auto > {weight:.1f}".replace("0.", ".") for weight in HEAVIER]
VERDICTS = ("one", "several", "none")


def subjects(labels: Labels, size: int, questions: int, vectors: Vectors) -> Iterator[Collection]:
    """Yield enough collections, each on one subject, for this number of questions of either kind.

    None is yielded if the set has too few documents for a subject.
    """
    chosen = list(islice((pair for pair in labels.apart("subject ") if len(pair[1]) == 1), DOCUMENTS))
    if len(chosen) < 2 * size:
        return
    keys = vectors.of([labels.keys[identity] for _, (identity,) in chosen], "document")
    rng = np.random.default_rng(size)
    for seed in rng.choice(len(chosen), max(1, round(questions / size)), replace=False):
        nearest = np.argsort(-(keys @ keys[seed]), kind="stable")[: 2 * size]
        pairs = [chosen[row] for row in rng.permutation(nearest)]
        present, absent = pairs[:size], pairs[size:]
        yield Collection(
            {identity: labels.keys[identity] for _, (identity,) in present}, present, [text for text, _ in absent]
        )


@dataclass(frozen=True)
class Rates(Results):
    """The results on collections of one size; the absent documents are of the same subject as the present ones."""

    def demand(self, weight: float) -> Rates:
        """Return the rates for a caller that takes a "one" for several unless the first match weighs more than this."""
        other = None if self.off_topic is None else _demand(self.off_topic, weight)
        return Rates(_demand(self.present, weight), self.right, _demand(self.absent, weight), other)

    @property
    def answered(self) -> list[float]:
        """The shares of "one" with the right document, of "one" with a wrong one, of several, and of none."""
        one = self.present.verdicts == "one"
        return [
            float(np.mean(one & self.right)),
            float(np.mean(one & ~self.right)),
            *(self.present.share(verdict) for verdict in VERDICTS[1:]),
        ]

    @property
    def by_weight(self) -> float:
        """The probability that a right "one" has a larger weight than a wrong one; not a number without both."""
        one = self.present.verdicts == "one"
        right = self.present.weights[one & self.right]
        wrong = np.concatenate(
            [self.present.weights[one & ~self.right], self.absent.weights[self.absent.verdicts == "one"]]
        )
        if not len(right) or not len(wrong):
            return float("nan")
        return float(np.mean(np.sign(right[:, None] - wrong)) + 1) / 2

    @property
    def shares(self) -> list[list[float]]:
        """The shares of the table's columns: with an answer, near, off-topic (empty without), decided, weight."""
        other = [] if self.off_topic is None else [self.off_topic.share(verdict) for verdict in VERDICTS]
        return [
            self.answered,
            [self.absent.share(verdict) for verdict in VERDICTS],
            other,
            [self.by_verdict],
            [self.by_weight],
        ]


def _demand(said: Said, weight: float) -> Said:
    light = (said.verdicts == "one") & (said.weights <= weight)
    return replace(said, verdicts=np.where(light, "several", said.verdicts))


def rates(labels: Labels, size: int, questions: int, off_topic: Sequence[str], vectors: Vectors) -> list[Rates]:
    """Return the results of each of LINES on collections of one size; empty if the set has too few documents."""
    collections = list(subjects(labels, size, questions, vectors))
    askings = [Asking(collection.keys, vectors) for collection in collections]
    starts = range(0, OFF_TOPIC * len(collections), OFF_TOPIC)
    others = [off_topic[start % len(off_topic) :][:OFF_TOPIC] for start in starts] if off_topic else []
    results = [
        Rates(**vars(ask_all(askings, collections, choice, others))) for choice in (NULLS if collections else ())
    ]
    return results + [results[0].demand(weight) for weight in HEAVIER if results]


def add_rows(table: Table, name: str, size: int, right: float, shares: Sequence[Sequence[Sequence[float]]]) -> None:
    """Add a line for each of LINES."""
    for position, (line, columns) in enumerate(zip(LINES, shares, strict=True)):
        first = position == 0
        table.add_row(
            name if first else "",
            f"{size:,}" if first else "",
            f"{right:.2f}" if first else "",
            line,
            *(" ".join(f"{share:.3f}".removeprefix("0") for share in column) or "–" for column in columns),
        )


def main() -> int:
    """Make the collections, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=QUESTIONS, help="of each kind, to collections of a size")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="documents in a collection")
    arguments = parser.parse_args()
    vectors = Vectors(load_encoder("all-MiniLM-L6-v2"))
    table = Table(title="shares of the verdicts in collections on one subject", box=box.SIMPLE)
    for heading in ("", "documents", "right first", "null"):
        table.add_column(heading, no_wrap=True, justify="left" if heading in ("", "null") else "right")
    for heading in ("with an answer", "without, same subject", "off-topic", "decided", "weight"):
        table.add_column(heading, no_wrap=True, justify="right")
    labelled = sets()
    off_topic = off_topic_of(labelled)
    for size in arguments.sizes:
        all_shares, all_right = [], []
        for name, labels in labelled.items():
            results = [] if labels is None else rates(labels, size, arguments.questions, off_topic[name], vectors)
            if results:
                all_shares.append([result.shares for result in results])
                all_right.append(float(results[0].right.mean()))
                add_rows(table, name, size, all_right[-1], all_shares[-1])
        means = [
            [
                np.nanmean([column for column in columns if column], axis=0).tolist() if any(columns) else []
                for columns in zip(*of_sets, strict=True)
            ]
            for of_sets in zip(*all_shares, strict=True)
        ]
        if means:
            add_rows(table, "mean", size, float(np.mean(all_right)), means)
    console = Console(width=160)
    console.print(table)
    absent = [name for name, labels in labelled.items() if labels is None]
    console.print(f"not on this machine: {', '.join(absent) or 'nothing'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
