"""Text questions at several connections: what encoding and scanning take from each other, by threads of the encoder.

    python -m benchmarks.sharing [--documents 100000] [--connections 1 8 32] [--seconds 3] [--rounds 5]

A service for each number of the encoder's threads, from one to all cores, which is what a service has by itself; a scan
has all cores in each. They hold the same documents, and are asked in turns, with texts, no two alike, and with the
vectors of such texts, which leave nothing to encode. Callers share the cores with the service.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks.callers import Calls, Span, call
from benchmarks.contenders.documents import questions
from benchmarks.contenders.softkv import COLLECTION, Softkv
from benchmarks.contenders.store import Way
from benchmarks.results import machine
from benchmarks.running import Service
from benchmarks.upload import lines

QUESTIONS = 4096
KINDS = ("texts", "vectors")


@dataclass(frozen=True)
class Cell:
    """A cell of the table: texts or vectors, the number of connections, and the threads of the service."""

    threads: int
    kind: str
    connections: int


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--seconds", type=float, default=3.0, help="of each cell in each round, at least")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as running:
        ways = started(Path(folder), options.documents, running)
        measured = timed(ways, options.connections, Span(options.seconds, settling=0.3), options.rounds)
    console = Console(width=120, highlight=False)
    console.print(f"{machine()}; {options.documents:,} documents, width 384")
    console.print(table(measured, sorted(ways), options.connections))


def started(folder: Path, documents: int, running: ExitStack) -> dict[int, dict[str, Way]]:
    """Services with 1, 2, 4, … threads for the encoder, up to all cores, and how to ask each."""
    cores = len(os.sched_getaffinity(0))
    texts, ways = questions(QUESTIONS), {}
    filled = folder / "filled"
    store = Softkv(filled, encoder=True)
    with store.server:
        store.wait_until_started()
        fill(store, documents)
        vectors = store.encoded(texts)
    for threads in sorted({1 << power for power in range(cores.bit_length()) if 1 << power < cores} | {cores}):
        own_folder = folder / str(threads)
        shutil.copytree(filled, own_folder)
        store = Softkv(own_folder, encoder=True)
        store.server = Service(own_folder, "--threads", str(threads))
        running.enter_context(store.server)
        store.wait_until_started()
        store.server.wait_until_idle()
        (by_vector,) = store.ways(vectors, [None])
        ways[threads] = {"texts": store.asked_with(texts), "vectors": by_vector}
    return ways


def fill(store: Softkv, documents: int) -> None:
    """Documents with vectors of their own, and values that are numbers: nothing is encoded."""
    with store.server.client() as client:
        client.put(COLLECTION, json={}).raise_for_status()
        ndjson = {"Content-Type": "application/x-ndjson"}
        client.post(f"{COLLECTION}/documents", content=lines(documents), headers=ndjson).raise_for_status()


def timed(
    ways: dict[int, dict[str, Way]], connections: Sequence[int], span: Span, rounds: int
) -> dict[Cell, list[Calls]]:
    """Every cell, in turns."""
    measured: dict[Cell, list[Calls]] = defaultdict(list)
    for turn in range(rounds):
        for many in connections:
            for threads in sorted(ways, reverse=turn % 2 == 1):
                for kind in KINDS:
                    way = ways[threads][kind]
                    done = call(way.address, way.wire, way.requests[None], many, span, first=997 * turn)
                    if done.errors:
                        raise RuntimeError(f"{done.errors} calls were lost: {done.error}")
                    measured[Cell(threads, kind, many)].append(done)
    return measured


def table(measured: dict[Cell, list[Calls]], threads: Sequence[int], connections: Sequence[int]) -> Table:
    """Medians of the rounds."""
    made = Table("connections", "asked with", title="answers a second · milliseconds, median and 95 of 100")
    for number in threads:
        made.add_column(f"encoder of {number} thread{'s' * (number > 1)}", justify="right")
    for many in connections:
        for kind in KINDS:
            cells = [figures(measured[Cell(number, kind, many)]) for number in threads]
            made.add_row(str(many), kind, *cells)
    return made


def figures(rounds: Sequence[Calls]) -> str:
    """Answers a second, and how long they took."""
    rate = median(calls.a_second for calls in rounds)
    taken = sorted(taken for calls in rounds for taken in calls.milliseconds)
    return f"{rate:,.0f} · {median(taken):.1f} · {taken[int(0.95 * (len(taken) - 1))]:.1f}"


if __name__ == "__main__":
    main()
