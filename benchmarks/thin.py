"""Thin scans: how far answers from 4 and 2 bits are off, beside what they say of it, and how long they take.

    python -m benchmarks.thin [--rows 100000] [--questions 1000] [--repeats 25] [--embeddings FILE.npy]

Every question is compared with a float64 computation over all rows: total variation over the matches and the rest, and
the output, relative to its own length. The rotation is secret and made anew, so the questions are chosen without
knowledge of it. The times are of one question, each way in turn; NumPy computes in float32, weights and the ten best,
and the output where that is asked for. `left` are questions that thin codes left to 8 bits, and whose time is not
counted. The exit code is 1 where a proven certificate does not hold, or a measured one in more than one question of a
thousand.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from attention.lookup import Answer, Memory, Question, Rows, View
from attention.lookup.bounds.draws import MEASURED, PROVEN, Basis
from attention.lookup.quantised import quantised_answers
from attention.lookup.thin import thin_answers
from benchmarks.keys import BLOCK, gathered, near

Array = NDArray[np.float64]
TEMPERATURES = (0.1, 0.05, 0.02, 0.0)
OUTPUT_TEMPERATURES = (0.1, 0.07, 0.05, 0.03, 0.02, 0.0)
TOGETHER = 50
BEST = 10


@dataclass(frozen=True)
class Blended:
    """Of one output: how far it was from the true one, and how far at most it said, in lengths of the true one."""

    apart: float
    bound: float


@dataclass(frozen=True)
class Found:
    """Of one answer: how far it was from the truth, how far at most it said, and what the rest weighs."""

    apart: float
    bound: float
    rest: float


def weights_of(similarities: Array, temperature: float) -> Array:
    """float64[n]."""
    if temperature == 0:
        ties = similarities == similarities.max()
        return ties / np.count_nonzero(ties)
    masses = np.exp((similarities - similarities.max()) / temperature)
    return masses / masses.sum()


def compared(answer: Answer, similarities: Array, temperature: float) -> Found:
    """An answer beside the true one.

    Raises:
        AssertionError: a row that is among the ten best is not in the head.
    """
    kth = np.partition(similarities, -BEST)[-BEST]
    assert set(np.flatnonzero(similarities > kth + 1e-12)) <= set(answer.numbers.tolist())
    weights = weights_of(similarities, temperature)
    known = weights[answer.numbers]
    rest = 1 - known.sum()
    apart = (np.abs(known - answer.weights).sum() + abs(rest - (1 - answer.weights.sum()))) / 2
    return Found(float(apart), answer.certificate.total_variation, float(rest))


def outputs(view: View, keys: NDArray[np.float32], wide: Array, queries: Array, console: Console) -> bool:
    """Print a table of outputs; whether as many bounds on them held as should."""
    table = Table(title=f"{len(wide):,} rows, {len(queries):,} questions each: the output", box=box.MARKDOWN)
    for name in ("basis", "T", "answered", "held", "true error / length", "bound / length", "ratio"):
        table.add_column(name, justify="right")
    good, values = True, keys.astype(np.float64)
    found: dict[tuple[str, float], list[Blended]] = {
        (basis.name, temperature): [] for basis in (PROVEN, MEASURED) for temperature in OUTPUT_TEMPERATURES
    }
    for first in track(range(0, len(queries), TOGETHER), "outputs", console=Console(stderr=True)):
        some = queries[first : first + TOGETHER]
        similarities = some @ wide.T
        for temperature in OUTPUT_TEMPERATURES:
            true = np.array([weights_of(own, temperature) for own in similarities]) @ values
            for basis in (PROVEN, MEASURED):
                for query, expected in zip(some, true, strict=True):
                    (answer,) = thin_answers(view, [Question(query, temperature)], basis)
                    if answer is not None and answer.output is not None:
                        length, error = float(np.linalg.norm(expected)), answer.certificate.output_error or 0.0
                        apart = float(np.linalg.norm(answer.output - expected))
                        found[basis.name, temperature].append(Blended(apart / length, error / length))
    for (basis_name, temperature), told in found.items():
        if not told:
            table.add_row(basis_name, f"{temperature:g}", "0")
            continue
        held = sum(each.apart <= each.bound for each in told)
        good = good and held >= (1.0 if basis_name == "proven" else MEASURED.holds_with) * len(told) - 1e-9
        apart, bound = np.array([(e.apart, e.bound) for e in told]).T
        table.add_row(
            basis_name,
            f"{temperature:g}",
            f"{len(told):,}",
            f"{held:,}",
            f"{np.median(apart):.1e}, at most {apart.max():.1e}",
            f"{np.median(bound):.1e}, at most {bound.max():.1e}",
            f"{np.median(bound / np.maximum(apart, 1e-18)):.0f}×",
        )
    console.print(table)
    return good


def accuracy(view: View, wide: Array, queries: Array, console: Console) -> bool:
    """Print a table; whether as many certificates held as should."""
    table = Table(title=f"{len(wide):,} rows, {len(queries):,} questions each", box=box.MARKDOWN)
    for name in ("basis", "T", "answered", "held", "rest", "total variation", "certificate", "ratio"):
        table.add_column(name, justify="right")
    good = True
    found: dict[tuple[str, float], list[Found]] = {
        (basis.name, temperature): [] for basis in (PROVEN, MEASURED) for temperature in TEMPERATURES
    }
    for first in track(range(0, len(queries), TOGETHER), "comparing", console=Console(stderr=True)):
        some = queries[first : first + TOGETHER]
        similarities = some @ wide.T
        for basis in (PROVEN, MEASURED):
            for temperature in TEMPERATURES:
                for query, own in zip(some, similarities, strict=True):
                    (answer,) = thin_answers(view, [Question(query, temperature, output=False)], basis)
                    if answer is not None:
                        found[basis.name, temperature].append(compared(answer, own, temperature))
    for (basis_name, temperature), told in found.items():
        if not told:
            table.add_row(basis_name, f"{temperature:g}", "0")
            continue
        held = sum(each.apart <= each.bound for each in told)
        good = good and held >= (1.0 if basis_name == "proven" else MEASURED.holds_with) * len(told) - 1e-9
        apart, bound, rest = np.array([(e.apart, e.bound, e.rest) for e in told]).T
        table.add_row(
            basis_name,
            f"{temperature:g}",
            f"{len(told):,}",
            f"{held:,}",
            f"{np.median(rest):.2f}",
            f"{np.median(apart):.1e}, at most {apart.max():.1e}",
            f"{np.median(bound):.1e}, at most {bound.max():.1e}",
            f"{np.median(bound / np.maximum(apart, 1e-18)):.0f}×",
        )
    console.print(table)
    return good


def ways(
    view: View, keys: NDArray[np.float32], temperature: float, *, output: bool
) -> dict[str, Callable[[Array], bool]]:
    """Each way to answer one question; they say whether they did."""

    def asked(query: Array) -> list[Question]:
        return [Question(query, temperature, output=output)]

    def thin(basis: Basis) -> Callable[[Array], bool]:
        return lambda query: thin_answers(view, asked(query), basis)[0] is not None

    def numpy(query: Array) -> bool:
        logits = keys @ (query.astype(np.float32) / np.float32(temperature or 1.0))
        weights = np.exp(logits - logits.max())
        weights /= weights.sum()
        found = np.argpartition(weights, -BEST)[-BEST:], weights @ keys if output else None
        return len(found) == 2

    return {
        "8 bits": lambda query: quantised_answers(view, asked(query))[0] is not None,
        "proven, 4 bits": thin(PROVEN),
        "measured, 2 bits": thin(MEASURED),
        "NumPy": numpy,
    }


def speed(
    view: View, keys: NDArray[np.float32], queries: Array, repeats: int, console: Console, *, output: bool
) -> None:
    """Print the times of one question, all ways in turn."""
    title = f"one question{', with output' * output}: milliseconds, the median and the least"
    table = Table(title=title, box=box.MARKDOWN)
    for temperature in (0.05, 0.02, 0.0) if output else (0.05, 0.0):
        calls = ways(view, keys, temperature, output=output)
        if not table.columns:
            for name in (
                "T",
                *calls,
                "8 bits / proven",
                "8 bits / measured",
                "NumPy / proven",
                "NumPy / measured",
                "left",
            ):
                table.add_column(name, justify="right")
        times: dict[str, list[float]] = {name: [] for name in calls}
        left = dict.fromkeys(calls, 0)
        for turn in range(repeats + 2):
            for name, call in calls.items():
                start = time.perf_counter()
                answered = call(queries[turn % len(queries)])
                if turn >= 2 and answered:
                    times[name].append(1000 * (time.perf_counter() - start))
                left[name] += turn >= 2 and not answered
        middle = {name: float(np.median(own)) if own else np.nan for name, own in times.items()}
        cells = [f"{middle[name]:.1f}, {min(own):.1f}" if own else "–" for name, own in times.items()]
        thin = ("proven, 4 bits", "measured, 2 bits")
        pairs = [(other, name) for other in ("8 bits", "NumPy") for name in thin]
        ratios = [f"{middle[other] / middle[name]:.2f}×" if times[name] else "–" for other, name in pairs]
        table.add_row(f"{temperature:g}", *cells, *ratios, " and ".join(str(left[name]) for name in thin))
    console.print(table)


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--questions", type=int, default=1_000)
    parser.add_argument("--repeats", type=int, default=25)
    parser.add_argument("--embeddings", help="a .npy file of float32 rows, in the place of clusters")
    arguments = parser.parse_args()
    keys = np.load(arguments.embeddings)[: arguments.rows] if arguments.embeddings else gathered(arguments.rows)
    keys = np.ascontiguousarray(keys, dtype=np.float32)
    memory = Memory("cosine", thin_seed=secrets.token_bytes(32))
    for start in range(0, len(keys), BLOCK):
        rows = np.arange(start, min(start + BLOCK, len(keys)))
        memory.publish(add=Rows(rows, keys[rows]))
    console = Console(width=200)
    queries = near(keys, max(arguments.questions, 40), 8).astype(np.float64)
    for output in (False, True):
        speed(memory.view, keys, queries[:40], arguments.repeats, console, output=output)
    if not arguments.questions:
        return 0
    wide = keys.astype(np.float64)
    wide /= np.linalg.norm(wide, axis=1, keepdims=True)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    queries = queries[: arguments.questions]
    held = [accuracy(memory.view, wide, queries, console), outputs(memory.view, keys, wide, queries, console)]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
