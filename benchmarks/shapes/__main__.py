"""Are the verdicts right on data of the shapes that people have: FAQs, rules, catalogues, manuals, memories, logs?

    python -m benchmarks.shapes [--sizes 12 30] [--names goods faults]

`benchmarks.shapes` describes the eight collections. First each is asked as a whole, under each null key.

Then come draws of 12 and of 30 rows. There, a question whose rows were not drawn counts as near-absent. Next are the
demo collections, which are asked in the words that people would use. Near-absent questions are the same ones, to a
collection without the documents that answer them.

Last are three collections with questions by hand, under `auto`. There, the near questions of the line "left out" are
the questions with an answer, asked of the collection without the documents that answer them. "First three" is the
share of questions with a right document among the first three matches.

The columns are the shares of one, several and none, in percent. "Right" are the questions whose first match is right,
so its third share are right answers that are refused. "Near" questions are about the subject, and their answer is
missing. A decision is right if the verdict is "one" and the first match is right, or if it is not "one" and the first
match is wrong. "Decided" is the mean of its shares among questions with an answer and near-absent ones. The worst shape
has the largest share of right answers that are refused, and the smallest share of the others.

The exit code is 1 if `auto` misses a bound in BOUNDS.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.asking import Asking, Collection, Results, Vectors, ask_all
from benchmarks.shapes import Shape, shapes
from benchmarks.shapes.shape import OFF_TOPIC, sample
from benchmarks.shapes.written import COMMIT, demos, off_topic_of, written
from softkv_service.encoding import load_encoder
from softkv_service.retrieval.question import NullChoice

NULLS: tuple[NullChoice, ...] = ("auto", "strict", "lenient", 0.5)
VERDICTS = ("one", "several", "none")
SIZES, ROWS, NEAR = (12, 30), 200, 100
"""The sizes of draws, how many rows the draws of a size have together, and the near-absent questions of a draw."""

T = TypeVar("T")


@dataclass(frozen=True)
class Figures:
    """The shares of one collection, or their means.

    Attributes:
        first: of questions whose first match is right, among those with an answer.
        right, near, off: of one, several and none.
        decided: of right decisions.
    """

    first: float
    right: tuple[float, ...]
    near: tuple[float, ...]
    off: tuple[float, ...]
    decided: float

    @classmethod
    def of(cls, results: Results) -> Figures:
        """Compute the shares."""
        right, near, off = (
            tuple(part.share(verdict) for verdict in VERDICTS)
            for part in (results.present.of(results.right), results.absent, results.off_topic)
            if part is not None
        )
        return cls(float(results.right.mean()), right, near, off, results.by_verdict)

    @property
    def by_bound(self) -> dict[str, float]:
        """The figures that have bounds."""
        return {"refused": self.right[2], "near": self.near[2], "off": self.off[2], "decided": self.decided}

    @classmethod
    def mean(cls, figures: Sequence[Figures]) -> Figures:
        """Return the means over some collections, or over some draws."""
        right, near, off = (
            tuple(np.mean([getattr(one, name) for one in figures], axis=0).tolist())
            for name in ("right", "near", "off")
        )
        first, decided = (float(np.mean([getattr(one, name) for one in figures])) for name in ("first", "decided"))
        return cls(first, right, near, off, decided)


def worst(figures: Sequence[Figures]) -> dict[str, float]:
    """Return the worst of each figure that has bounds."""
    columns = {name: [one.by_bound[name] for one in figures] for name in figures[0].by_bound}
    return {name: max(column) if name == "refused" else min(column) for name, column in columns.items()}


# The bounds of `auto`: of the mean and of the worst, on whole shapes, on draws of each size, and on questions by hand.
OF_DRAWS = {"mean": {"refused": 0.12, "off": 0.97}, "worst": {"refused": 0.30}}
BOUNDS: dict[str, dict[str, dict[str, float]]] = {
    "whole": {
        "mean": {"refused": 0.08, "off": 0.975, "near": 0.32, "decided": 0.70},
        "worst": {"refused": 0.20, "off": 0.95},
    },
    "12 rows": OF_DRAWS,
    "30 rows": OF_DRAWS,
    "by hand": {"mean": {"refused": 0.12}, "worst": {"off": 0.95}},
}


def check_bounds(asked: str, figures: Sequence[Figures]) -> Iterator[str]:
    """Yield the bounds that the figures of `auto` miss."""
    values = {"mean": Figures.mean(figures).by_bound, "worst": worst(figures)}
    for over, bounds in BOUNDS.get(asked, {}).items():
        for name, bound in bounds.items():
            value = values[over][name]
            if value > bound if name == "refused" else value < bound:
                yield f"{asked}: {name} {100 * value:.1f}, {over} of shapes, wanted {100 * bound:.1f}"


def draws(shape: Shape, size: int) -> Iterator[Collection]:
    """Yield random rows of a shape, with all questions that they answer and some that they do not."""
    for draw in range(round(ROWS / size)):
        ids = sample(f"{shape.name} {size} {draw}", list(shape.keys), size)
        remaining = [(question, tuple(sorted({*answers}.intersection(ids)))) for question, answers in shape.present]
        absent = [question for question, answers in remaining if not answers] + shape.near
        yield Collection(
            {identity: shape.keys[identity] for identity in sorted(ids)},
            [(question, answers) for question, answers in remaining if answers],
            sample(f"near {draw}", absent, NEAR),
        )


def ask_null_keys(
    collections: Sequence[Collection], off_topic_questions: list[str], vectors: Vectors
) -> dict[str, Figures]:
    """Return the figures of each null key on some collections together, all with the same off-topic questions."""
    askings = [Asking(collection.keys, vectors) for collection in collections]
    off_topic = [off_topic_questions] * len(askings)
    return {str(choice): Figures.of(ask_all(askings, collections, choice, off_topic)) for choice in NULLS}


def ask_written(shape: Shape, vectors: Vectors) -> dict[str, Figures]:
    """Return the figures of `auto`, with the near questions by hand and with answers that are left out."""
    whole = Collection(shape.keys, shape.present, shape.near)
    answering = {identity for _, answers in shape.present for identity in answers}
    others = {identity: key for identity, key in shape.keys.items() if identity not in answering}
    left_out = [Collection(shape.keys, shape.present, []), Collection(others, [], [text for text, _ in shape.present])]
    lines = {"auto": [whole], "left out": left_out}
    return {name: ask_null_keys(asked, shape.off, vectors)["auto"] for name, asked in lines.items()}


def first_three(shape: Shape, vectors: Vectors) -> float:
    """Return the share of the questions with a right document among the first three."""
    keys, questions = vectors.of([*shape.keys.values()], "document"), [text for text, _ in shape.present]
    ids = np.array([*shape.keys])[np.argsort(vectors.of(questions, "query") @ -keys.T, axis=1)[:, :3]]
    return float(np.mean([np.isin(row, answers).any() for row, (_, answers) in zip(ids, shape.present, strict=True)]))


def interval(share: float, of: int) -> tuple[float, float]:
    """Return the interval of 95 % of a share, by Wilson's formula."""
    squared = 1.96**2 / of
    middle, half = share + squared / 2, (squared * (share * (1 - share) + squared / 4)) ** 0.5
    return (middle - half) / (1 + squared), (middle + half) / (1 + squared)


def add_rows(table: Table, name: str, rows: int | None, lines: dict[str, Figures]) -> None:
    """Add a line for each null key."""
    for position, (line, figures) in enumerate(lines.items()):
        heading = [name, f"{rows:,}" if rows else "", f"{100 * figures.first:.0f}"] if position == 0 else [""] * 3
        shares = (
            " ".join(f"{100 * share:4.1f}".rjust(5) for share in column)
            for column in (figures.right, figures.near, figures.off)
        )
        table.add_row(*heading, line, *shares, f"{100 * figures.decided:.1f}")


def add_worst(table: Table, by_line: dict[str, list[Figures]]) -> None:
    """Add the worst shape of each null key."""
    for position, (line, figures) in enumerate(by_line.items()):
        cells = [f"{100 * value:.1f}" for value in worst(figures).values()]
        table.add_row("worst" if position == 0 else "", "", "", line, *cells)


def measure(
    title: str, of: Iterable[T], ask: Callable[[T], tuple[str, int, dict[str, Figures]]], console: Console
) -> list[Figures]:
    """Ask all of them and print a table → the figures of `auto`.

    Args:
        title: of the table.
        of: what is asked.
        ask: asks one → its name, its number of rows, and the figures of each null key.
        console: prints the table.
    """
    table = Table(title=title, box=box.SIMPLE)
    for heading in ("", "rows", "right first", "null"):
        table.add_column(heading, no_wrap=True, justify="left" if heading in ("", "null") else "right")
    for heading in ("right", "near", "off-topic", "decided"):
        table.add_column(heading, no_wrap=True, justify="right")
    by_line = dict[str, list[Figures]]()
    for one in of:
        name, rows, lines = ask(one)
        add_rows(table, name, rows, lines)
        for line, figures in lines.items():
            by_line.setdefault(line, []).append(figures)
        print(f"{name} is done", file=sys.stderr)
    add_rows(table, "mean", None, {line: Figures.mean(figures) for line, figures in by_line.items()})
    add_worst(table, by_line)
    console.print(table)
    return by_line["auto"]


def main() -> int:
    """Make the collections, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES, help="rows of a draw")
    parser.add_argument("--names", nargs="+", help="some shapes; all by default")
    options = parser.parse_args()
    vectors, console = Vectors(load_encoder("all-MiniLM-L6-v2")), Console(width=120)
    chosen, by_hand = (
        [shape for shape in some if options.names is None or shape.name in options.names]
        for some in (shapes(), written())
    )

    def ask_whole(shape: Shape) -> tuple[str, int, dict[str, Figures]]:
        whole = [Collection(shape.keys, shape.present, shape.near)]
        lines = ask_null_keys(whole, shape.off, vectors)
        return shape.name, len(shape.keys), lines

    def ask_draws(size: int, shape: Shape) -> tuple[str, int, dict[str, Figures]]:
        return shape.name, size, ask_null_keys(list(draws(shape, size)), shape.off, vectors)

    def ask_demo(named: tuple[str, list[Collection]]) -> tuple[str, int, dict[str, Figures]]:
        name, collections = named
        return name, len(collections[0].keys), ask_null_keys(collections, off_topic_of(name), vectors)

    def ask_by_hand(shape: Shape) -> tuple[str, int, dict[str, Figures]]:
        return shape.name, len(shape.keys), ask_written(shape, vectors)

    whole = measure("whole collections", chosen, ask_whole, console) if chosen else []
    missed = list(check_bounds("whole", whole)) if chosen else []
    for size in options.sizes if chosen else ():
        missed += check_bounds(
            f"{size} rows", measure(f"draws of {size} rows", chosen, partial(ask_draws, size), console)
        )
    if options.names is None:
        measure("demo collections, asked in people's words", demos().items(), ask_demo, console)
    if by_hand:
        of_hand = measure(f"questions by hand, of commit {COMMIT}", by_hand, ask_by_hand, console)
        missed += check_bounds("by hand", of_hand)
        whole += of_hand
        shares = (f"{shape.name} {100 * first_three(shape, vectors):.0f} %" for shape in by_hand)
        console.print("first three:", ", ".join(shares))
    off, questions = float(np.mean([figures.off[2] for figures in whole])), OFF_TOPIC * len(whole)
    low, high = interval(off, questions)
    console.print(f"off-topic none: {100 * off:.1f} % of {questions:,} ({100 * low:.1f} to {100 * high:.1f})\n")
    console.print(
        "\n".join(["wanted of auto, and not so:", *missed] if missed else ["all is as wanted"]), soft_wrap=True
    )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
