"""Is what fifty labels gain ever refused? Fits to fifty questions, half with an answer, judged on all others.

    python -m benchmarks.fifty [--draws 12]

The collections are those of `benchmarks.verdict` with 300 and 1,000 documents, one of each set. The service keeps a fit
where the labels become likelier by more than the standard error of that. The exit code is 1 where a fit is refused
whose label loss falls by two standard errors.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from attention.lookup import prepare
from benchmarks.asking import Collection, Vectors, collections
from benchmarks.calibration import Draw, drawn, profiles_of
from benchmarks.labelled import Asked, Labelled
from benchmarks.verdict import QUESTIONS, sets
from service.encoding import load_encoder
from service.retrieval.calibration import Metrics
from service.retrieval.calibration.fit import Outcomes

LABELS = 50
SIZES = (300, 1000)
SURE = 2
"""Standard errors by which the label loss of a fit falls that is not to be refused."""


def asked_of(name: str, collection: Collection) -> Asked:
    """Return the collection of `benchmarks.calibration`."""
    questions = [Labelled(text, answers) for text, answers in collection.present]
    questions += [Labelled(text, ()) for text in collection.absent]
    return Asked(name, [{"id": identity, "key": key} for identity, key in collection.keys.items()], questions)


def falls(draw: Draw) -> bool:
    """Whether its label loss fell by two standard errors."""
    gained, error = draw.gained.pair
    return gained >= SURE * error


def mean(figures: list[Metrics], name: str) -> str:
    """Format the mean of a figure over fits."""
    return f"{np.mean([getattr(figure, name).value for figure in figures]):.3f}"


def main() -> int:
    """Draw labels, fit, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=12, help="fits to each collection")
    arguments = parser.parse_args()
    prepare()
    vectors = Vectors(load_encoder("all-MiniLM-L6-v2"))
    title = f"{LABELS} labels, drawn {arguments.draws} times; means over the other questions"
    table = Table(title=title, box=box.SIMPLE)
    for heading in (
        "",
        "documents",
        "label loss falls",
        "refused of these",
        "kept of all",
        "label loss",
        "right first",
    ):
        table.add_column(heading, no_wrap=True, justify="right" if heading else "left")
    for heading in ('right and "one"', 'absent and "one"'):
        table.add_column(heading, no_wrap=True, justify="right")
    refused = 0
    for name, labels in sets().items():
        for size in () if labels is None else SIZES:
            assert labels is not None
            for collection in list(collections(labels, size, QUESTIONS))[:1]:
                profiles, null = profiles_of(asked_of(name, collection), vectors)
                draws = [drawn(profiles, null, LABELS, draw) for draw in range(arguments.draws)]
                falling = [draw for draw in draws if falls(draw)]
                refused += sum(not draw.gains for draw in falling)
                served, fitted = [Metrics.of(Outcomes.current(profiles, null, 0.9))], [draw.plain for draw in draws]
                table.add_row(
                    name,
                    f"{size:,}",
                    f"{len(falling)} of {len(draws)}",
                    str(sum(not draw.gains for draw in falling)),
                    str(sum(draw.gains for draw in draws)),
                    f"{mean(served, 'label_loss')} → {mean(fitted, 'label_loss')}",
                    mean(served, "recall"),
                    f"{mean(served, 'one_right')} → {mean(fitted, 'one_right')}",
                    f"{mean(served, 'one_wrong')} → {mean(fitted, 'one_wrong')}",
                )
    Console(width=160).print(table)
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
