"""The cost of expiry for a question to a million documents: if none expires, half have expired, or one more each time.

    python -m benchmarks.expiry [--documents 1000000] [--width 128] [--questions 200]
    git worktree add ../earlier COMMIT
    python -m benchmarks.expiry --against ../earlier [--blocks 20]

Three collections have the same keys. In one, documents never expire. In the others each document expires at an instant
of its own: the oldest first, or in random order. The clock is set, so nothing else depends on the time. A question is
asked of each collection in turn, and a ratio is that of the medians. Processor time is that of all threads; it depends
less on what else the machine does. The sweep does not run, so all expired documents still lie there.

With `--against`, a collection without expiry is asked by this code and by that of another checkout. Each has a process
and a store of its own, and they answer blocks of questions in turn.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from attention.lookup import prepare
from benchmarks.keys import Array, clustered, near
from benchmarks.results import commit
from service.retrieval.collections import Catalogue
from service.retrieval.queries import Options, attend_collection
from service.storage import CollectionSettings, DocumentRecord, SQLiteStore

ROOT = Path(__file__).parents[1]
TEMPERATURE, TOP = 0.05, 10
AT_ONCE = 10_000  # documents written in one transaction
BLOCK = 10
"""Questions that a process answers in its turn."""
WARM_UP = 20
NEVER, OLDEST, RANDOM = "never", "oldest", "random"
LABELS = {NEVER: "never", OLDEST: "oldest first", RANDOM: "in random order"}


class SetClock:
    """A clock that the benchmark sets."""

    now = 0

    def __call__(self) -> int:
        """Return the instant that was set, in microseconds of Unix time."""
        return self.now


def fill(store: SQLiteStore, name: str, documents: int, width: int, expires: Sequence[int] | None = None) -> None:
    """Store a collection of clustered keys.

    Args:
        expires: the instant at which each document expires; None if none ever does.
    """
    settings = CollectionSettings("cosine", TEMPERATURE, dimension=width)
    with store.writing() as writer:
        number = writer.create_collection(name, settings).id
    start = 0
    for block in clustered(documents, width=width):
        for first in range(0, len(block), AT_ONCE):
            keys = block[first : first + AT_ONCE]
            records = []
            for i, key in enumerate(keys, start + first):
                fields: dict[str, Any] = {} if expires is None else {"expires": expires[i]}
                records.append(DocumentRecord(f"{i}", None, i, key[None], **fields))
            with store.writing() as writer:
                writer.upsert(number, records)
        start += len(block)


def make_queries(documents: int, width: int, count: int) -> Array:
    """Return float32[count, width], queries near some of the keys."""
    return near(next(clustered(documents, width=width)), count, 7)


class Times(NamedTuple):
    """The seconds that a question took, or a median of them, and the processor seconds of all threads."""

    seconds: float
    processor: float

    @classmethod
    def median(cls, times: Sequence[Times]) -> Times:
        """Return the median of each."""
        return cls(*(median(column) for column in zip(*times, strict=True)))

    def over(self, other: Times) -> list[str]:
        """Return both ratios to other times, as cells of a table."""
        return [f"{mine / theirs:.2f}" for mine, theirs in zip(self, other, strict=True)]


async def ask(catalogue: Catalogue, name: str, query: Array) -> Times:
    """Attend over a collection as a request does, and return the time that it took."""
    began = time.perf_counter(), time.process_time()
    (result,) = await attend_collection(catalogue.collection(name), [query], Options(top_k=TOP), ["/query"])
    times = Times(time.perf_counter() - began[0], time.process_time() - began[1])
    assert len(result.matches) == TOP
    return times


async def ask_in_turn(
    catalogue: Catalogue, names: list[str], queries: Array, clock: SetClock, *, step: int
) -> dict[str, list[Times]]:
    """Ask each query of each collection in turn, and return the times of each collection.

    Args:
        step: how far the clock goes on before each query.
    """
    times: dict[str, list[Times]] = {name: [] for name in names}
    for i, query in enumerate(queries):
        clock.now += step
        for name in names[i % len(names) :] + names[: i % len(names)]:
            times[name].append(await ask(catalogue, name, query))
    return times


async def measure(documents: int, width: int, questions: int) -> None:
    """Ask the three collections in each state, and print the medians."""
    clock, names = SetClock(), [NEVER, OLDEST, RANDOM]
    order = np.arange(1, documents + 1)
    expires = {NEVER: None, OLDEST: order.tolist(), RANDOM: np.random.default_rng(0).permutation(order).tolist()}
    queries = make_queries(documents, width, questions)
    columns = ["documents", "expire", "ms", "× never", "processor ms", "× never", "first ms"]
    table = Table(*columns, box=box.MARKDOWN)
    states = {
        "none has expired yet": (0, 0),
        "half have expired": (documents // 2, 0),
        "one more expires before each": (documents // 2, 1),
    }
    with tempfile.TemporaryDirectory() as directory, SQLiteStore.open(Path(directory)) as store:
        for name in names:
            fill(store, name, documents, width, expires[name])
        catalogue = Catalogue(store, None, clock=clock)
        catalogue.rebuild()
        await ask_in_turn(catalogue, names, queries[:WARM_UP], clock, step=0)
        for state, (now, step) in states.items():
            clock.now = now
            firsts = {name: await ask(catalogue, name, queries[0]) for name in names}
            times = await ask_in_turn(catalogue, names, queries, clock, step=step)
            medians = {name: Times.median(times[name]) for name in names}
            for name in names:
                wall, processor = ["", ""] if name == NEVER else medians[name].over(medians[NEVER])
                seconds, processor_seconds = (f"{1000 * value:.1f}" for value in medians[name])
                first = f"{1000 * firsts[name].seconds:.1f}"
                table.add_row(state, LABELS[name], seconds, wall, processor_seconds, processor, first)
    print(f"{documents:,} documents of width {width}, {questions} questions to each collection in turn")
    Console(width=120).print(table)
    print("× never: the ratio of the medians, beside the collection without expiry in the same turns")
    print("first ms: the first question after the clock was set, which half of the documents expire before at once")


async def work(documents: int, width: int) -> None:
    """Fill a collection without expiry, and answer blocks of questions whose first numbers come on the input.

    Each block is answered by a line with the times of its questions. Both codes that are compared run this.
    """
    queries = make_queries(documents, width, 1000)
    with tempfile.TemporaryDirectory() as directory, SQLiteStore.open(Path(directory)) as store:
        fill(store, NEVER, documents, width)
        catalogue = Catalogue(store, None)
        catalogue.rebuild()
        for query in queries[:WARM_UP]:
            await ask(catalogue, NEVER, query)
        print(json.dumps("ready"), flush=True)
        for line in sys.stdin:
            first = int(line) % len(queries)
            times = [await ask(catalogue, NEVER, query) for query in queries[first : first + BLOCK]]
            print(json.dumps(times), flush=True)


class Worker:
    """A process that runs `work` with the code of a checkout."""

    def __init__(self, checkout: Path, stack: ExitStack, documents: int, width: int) -> None:
        command = [sys.executable, "-P", __file__, "--work", "--documents", f"{documents}", "--width", f"{width}"]
        environment = os.environ | {"PYTHONPATH": str(checkout.resolve())}
        self._process = stack.enter_context(
            subprocess.Popen(
                command, cwd=checkout, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        )
        assert self._process.stdin is not None
        stack.callback(self._process.stdin.close)

    def read(self) -> Any:
        """Return the next line that the process prints."""
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def ask(self, block: int) -> list[Times]:
        """Return the times of the questions of one block."""
        assert self._process.stdin is not None
        print(block * BLOCK, file=self._process.stdin, flush=True)
        return [Times(*times) for times in self.read()]


def compare(other: Path, documents: int, width: int, blocks: int) -> None:
    """Ask a collection without expiry by the code of another checkout and by this one, and print the ratio."""
    with ExitStack() as stack:
        workers = []
        for checkout in (other, ROOT):
            workers.append(Worker(checkout, stack, documents, width))
            assert workers[-1].read() == "ready"
        times: list[list[Times]] = [[], []]
        for block in range(blocks):
            for i in (0, 1) if block % 2 else (1, 0):
                times[i] += workers[i].ask(block)
    before, now = map(Times.median, times)
    print(f"{documents:,} documents of width {width} without expiry, {blocks} blocks of {BLOCK} questions in turn")
    print("                 ms   processor ms")
    for name, medians in ((commit(other), before), (commit(ROOT), now)):
        print(f"{name:12} {1000 * medians.seconds:6.2f} {1000 * medians.processor:14.2f}")
    ratios = [f"{old / new:.3f}" for old, new in zip(before, now, strict=True)]
    print(f"answers a second: {ratios[0]} × those before; a processor second: {ratios[1]} ×")


def main() -> int:
    """Measure the states, or compare two checkouts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--against", type=Path, help="a checkout of an earlier commit")
    parser.add_argument("--blocks", type=int, default=20)
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    prepare()
    if options.work:
        asyncio.run(work(options.documents, options.width))
    elif options.against:
        compare(options.against, options.documents, options.width, options.blocks)
    else:
        asyncio.run(measure(options.documents, options.width, options.questions))
    return 0


if __name__ == "__main__":
    sys.exit(main())
