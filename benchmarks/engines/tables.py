"""Tables of the measurements; ratios are of medians."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from rich import box
from rich.table import Table

from benchmarks.engines.contest import OWN, PEER, Rates
from benchmarks.engines.engine import Engine
from benchmarks.engines.fidelity import Fidelity


def speed(engines: Mapping[str, Engine], rates: Rates, *, ratios: bool) -> Table:
    """Texts a second of each engine and column, and how many times sentence-transformers' in float32."""
    table = titled("texts a second, median (best), times sentence-transformers float32", "", *rates, "says of itself")
    for name, engine in engines.items():
        cells = [
            f"{number(median(rate[name]))} ({number(max(rate[name]))}){times(rate, name, PEER) if ratios else ''}"
            for rate in rates.values()
        ]
        table.add_row(name, *cells, engine.said)
    return table


def times(measurements: Mapping[str, Sequence[float]], name: str, other: str) -> str:
    """Return the ratio of two medians; "" if the other engine was absent."""
    return f" {median(measurements[name]) / median(measurements[other]):.2f}×" if other in measurements else ""


def number(value: float) -> str:
    """With three digits, or all before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def against_best(rates: Rates, fidelities: Mapping[str, Fidelity]) -> Table:
    """softkv against the fastest other engine of each column that can stand in for it."""
    table = titled("softkv against the fastest other of equal fidelity, or better", "", *rates)
    for name in (name for name in fidelities if name.startswith(OWN)):
        peers = [
            other
            for other in fidelities
            if not other.startswith(OWN) and fidelities[other].grade >= fidelities[name].grade
        ]
        cells = []
        for rate in rates.values():
            best = max(peers, key=lambda other: median(rate[other]), default=None)
            cells.append("nobody" if best is None else f"{times(rate, name, best).strip()} {best}")
        table.add_row(name, *cells)
    return table


def distances(fidelities: Mapping[str, Fidelity], texts: int, questions: int) -> Table:
    """Return the table of distances from the definition."""
    table = titled(
        f"distance to the definition in float64: {texts} texts, {questions} questions",
        *(
            "",
            "least cosine",
            "1 − it",
            "mean cosine",
            "1 − it",
            "largest component",
            "top-10 agreement",
            "stands in for",
        ),
    )
    for name, fidelity in fidelities.items():
        table.add_row(
            name,
            *(part for cosine in (fidelity.least, fidelity.mean) for part in (f"{cosine:.6f}", f"{1 - cosine:.1e}")),
            f"{fidelity.component:.1e}",
            f"{fidelity.agreement:.4f}",
            str(fidelity.grade),
        )
    return table


def starts(taken: Mapping[str, Sequence[float]], *, ratios: bool) -> Table:
    """Seconds to the first embedding, and how many times softkv's they are."""
    table = titled(
        "seconds from the start of a process to its first embedding", "", "median", "least", "softkv is sooner"
    )
    for name, seconds in taken.items():
        ratio = f"{median(seconds) / median(taken[OWN]):.2f}×" if ratios and OWN in taken else ""
        table.add_row(name, f"{median(seconds):.2f}", f"{min(seconds):.2f}", ratio)
    return table


def products(moments: Mapping[str, Mapping[str, float]]) -> Table:
    """Return the table of the machine's matrix products, moment by moment."""
    table = titled("products of matrices, GFLOP/s", "", *moments)
    for name in next(iter(moments.values())):
        table.add_row(name, *(f"{rates[name]:,.0f}" for rates in moments.values()))
    return table


def titled(title: str, *columns: str) -> Table:
    """An empty one."""
    table = Table(title=title, box=box.MARKDOWN)
    for name in columns:
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    return table
