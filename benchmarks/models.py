"""The models that a checkout makes, on questions by hand: is the first match right, and does "none" come rightly?

    python -m benchmarks.models [--encoders all-MiniLM-L6-v2 multilingual mpnet] [--precision int16]

The three collections and the four demo collections are those of `benchmarks.shapes`, under the null key `auto`. Figures
are percentages: of the questions with an answer, those with a right document first, and among the first three; of the
right first matches, those that get "none"; and of 150 questions about something else, those that get "none". A mean is
over the collections. The last lines compare the first matches of each encoder with those of the first one, over all
questions of a kind together.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.asking import Array, Asking, Collection, Vectors, ask_all
from benchmarks.costs import ENCODERS
from benchmarks.shapes.__main__ import first_three
from benchmarks.shapes.shape import Shape
from benchmarks.shapes.written import demos, off_topic_of, written
from softkv_service.encoding import load_encoder


@dataclass(frozen=True)
class Figures:
    """The results of one encoder in one collection.

    Attributes:
        right: bool[q], whether the first match is right.
        three: the share of questions with a right document among the first three.
        refused: the share of right first matches that get "none".
        off_topic: the share of off-topic questions that get "none".
    """

    right: Array
    three: float
    refused: float
    off_topic: float

    @classmethod
    def of(cls, shape: Shape, vectors: Vectors) -> Figures:
        """Ask a collection its questions."""
        collection = Collection(shape.keys, shape.present, [])
        results = ask_all([Asking(shape.keys, vectors)], [collection], "auto", [shape.off])
        assert results.off_topic is not None
        refused = results.present.of(results.right).share("none")
        return cls(results.right, first_three(shape, vectors), refused, results.off_topic.share("none"))

    @property
    def shares(self) -> tuple[float, ...]:
        """The shares of right first matches, of right ones among three, of refused ones, and of none off topic."""
        return float(self.right.mean()), self.three, self.refused, self.off_topic


def by_kind() -> dict[str, list[Shape]]:
    """Return the collections with questions by hand: three that were written for them, and the demo collections."""
    collections = {name: complete for name, (complete, _) in demos().items()}
    shapes = [Shape(name, demo.keys, demo.present, [], off_topic_of(name)) for name, demo in collections.items()]
    return {"three collections": written(), "demo collections": shapes}


def compare(first: Sequence[Figures], other: Sequence[Figures]) -> tuple[int, int, int]:
    """Return how many first matches are right by the other encoder alone, by the first alone, and of how many."""
    one, two = (np.concatenate([figures.right for figures in of]) for of in (first, other))
    return int(np.sum(two & ~one)), int(np.sum(one & ~two)), len(one)


def cells(shares: Sequence[float]) -> list[str]:
    """Return the columns of an encoder."""
    first, three, refused, off_topic = (f"{100 * share:.1f}" for share in shares)
    return [f"{first} · {three}", refused, off_topic]


def main() -> None:
    """Ask, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoders", nargs="+", default=ENCODERS)
    parser.add_argument("--precision", choices=("float32", "int16"), default="int16")
    options = parser.parse_args()
    vectors = [Vectors(load_encoder(name, precision=options.precision)) for name in options.encoders]
    table = Table(title=f"questions by hand, null auto, {options.precision}", box=box.SIMPLE)
    table.add_column("")
    for name in options.encoders:
        for column in (f"{name}\nfirst · three", "\nrefused", "\noff topic"):
            table.add_column(column, justify="right")
    lines = []
    for kind, shapes in by_kind().items():
        figures = [[Figures.of(shape, of_encoder) for shape in shapes] for of_encoder in vectors]
        for shape, row in zip(shapes, zip(*figures, strict=True), strict=True):
            table.add_row(shape.name, *(cell for one in row for cell in cells(one.shares)))
        means = (np.mean([one.shares for one in of_encoder], axis=0) for of_encoder in figures)
        table.add_row("mean", *(cell for mean in means for cell in cells(mean)), end_section=True)
        for name, of_encoder in zip(options.encoders[1:], figures[1:], strict=True):
            gains, losses, count = compare(figures[0], of_encoder)
            lines.append(f"{kind}, {name}: of {count} first matches {gains} became right and {losses} wrong")
    console = Console(width=150)
    console.print(table)
    console.print("\n".join(lines))


if __name__ == "__main__":
    main()
