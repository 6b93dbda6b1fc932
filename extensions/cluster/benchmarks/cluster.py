"""A collection on shard servers, beside one process that has all of its keys: calls, bytes, and what they cost.

    python -m extensions.cluster.benchmarks.cluster [--rows 1000000] [--servers 4] [--copies 1] [--repeats 21]

A PostgreSQL, Ray's head, and machines with a server each, all on this one. The same rows are in this process as well;
both are asked the same questions in turn, and the heads have to be the same to the bit. A server says how long it took
for itself: what an answer takes beyond the slowest of them is what sharding costs. How many rows were listed for a
question by all servers together stands beside how many one holder of all rows lists for the same message. Medians, but
for how many calls a server had; of fewer turns than `--repeats` where these take more than a minute. Needs Ray:
`make environments` makes one with it.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from attention.lookup import Answer, Memory, Question, Rows, View, answers
from benchmarks.keys import Array, clustered, near
from extensions.cluster.benchmarks.messages import Counted, Measured
from extensions.cluster.benchmarks.ray_python import with_ray
from extensions.cluster.tests.machines import RayMachines
from extensions.cluster.tests.running import run
from service.storage import SharedStore, open_shared
from service.storage.records import CollectionSettings, DocumentRecord
from softkv_cluster.service import Roster, Router, ShardedCatalogue, ShardsLost, join_cluster, open_transport
from tests.postgres import running

COUNTS = (1, 8, 64)
TEMPERATURES = (0.05, 0.2, 1.0)
WRITTEN = 2_000
COLUMNS = (
    "questions",
    "one process, ms",
    "servers, ms",
    "slowest server, ms",
    "beyond it, ms",
    "a question, ms",
    "calls a server",
    "bytes a server and question",
    "listed by all · by one",
    "10⁹ products a second, all servers",
)
WAIT_SECONDS = 1800.0
LEAST_TURNS, LONGEST_SECONDS = len(TEMPERATURES), 60.0
"""For each row of the table: the minimum number of turns, and the seconds after which no new one begins."""
PATIENCE_SECONDS = 120.0
"""For an answer: a processor without products of bytes takes ten times as long as others for a scan."""


def filled(store: SharedStore, rows: int, memory: Memory) -> tuple[int, Array]:
    """Put clustered rows into the store and into a memory → the collection's number, and queries near some."""
    width = next(clustered(1)).shape[1]
    with store.writing() as writer:
        number = writer.create_collection("c", CollectionSettings("cosine", 0.05, width)).id
    start, queries = 1, None
    for block in clustered(rows):
        queries = near(block, max(COUNTS), 7) if queries is None else queries
        for first in range(0, len(block), WRITTEN):
            part = block[first : first + WRITTEN]
            numbers = np.arange(start, start + len(part))
            documents = [
                DocumentRecord(str(row), None, None, key[None]) for row, key in zip(numbers.tolist(), part, strict=True)
            ]
            with store.writing(collection=number) as writer:
                given = writer.upsert(number, documents).added
            np.testing.assert_array_equal(given, numbers)
            start += len(part)
        memory.publish(add=Rows(np.arange(start - len(block), start), block))
    assert queries is not None
    return number, queries


def check(expected: Sequence[Answer], actual: Sequence[Answer]) -> None:
    """Whether both have the same heads, to the bit."""
    for one, other in zip(expected, actual, strict=True):
        np.testing.assert_array_equal(one.numbers, other.numbers)
        np.testing.assert_array_equal(one.similarities, other.similarities)


def measured(
    view: View, memory: Memory, counted: Counted, queries: Array, count: int, output: bool, turns: int
) -> Measured:
    """Ask one process and the servers the same questions, in turn."""
    actual, random = Measured(), np.random.default_rng(3)
    began = time.monotonic()
    for turn in range(turns):
        if turn >= LEAST_TURNS and time.monotonic() - began > LONGEST_SECONDS:
            break
        temperature = TEMPERATURES[turn % len(TEMPERATURES)]
        chosen = random.permutation(len(queries))[:count]
        questions = [Question(query, temperature, output=output) for query in queries[chosen]]
        start = time.perf_counter()
        expected = answers(memory.view, questions)
        actual.alone.append(time.perf_counter() - start)
        start = time.perf_counter()
        together = answers(view, questions)
        actual.servers.append(time.perf_counter() - start)
        check(expected, together)
        actual.note(counted.taken(), count, memory.view)
    return actual


def compared(view: View, memory: Memory, counted: Counted, queries: Array, turns: int) -> Table:
    """A row for each number of questions, without output and with it."""
    table = Table(*COLUMNS, box=box.MARKDOWN)
    for output in (False, True):
        for count in COUNTS:
            figures = measured(view, memory, counted, queries, count, output, turns)
            table.add_row(f"{count} with output" if output else str(count), *figures.cells(count))
            print(f"{len(figures.alone)} turns:", *figures.cells(count), sep=" | ", file=sys.stderr)
    return table


def warm(view: View, queries: Array) -> None:
    """Ask until servers answer, and every way of asking was taken once."""
    deadline = time.monotonic() + WAIT_SECONDS
    for count in COUNTS:
        while True:
            try:
                answers(view, [Question(query, 0.05, output=True) for query in queries[:count]])
                break
            except ShardsLost:
                if time.monotonic() > deadline:
                    raise


def main() -> int:
    """Fill, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--servers", type=int, default=4)
    parser.add_argument("--copies", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=21)
    options = parser.parse_args()
    if not with_ray("extensions.cluster.benchmarks.cluster"):
        return 1
    with ExitStack() as stack:
        address = stack.enter_context(running()).database()
        ray = stack.enter_context(RayMachines(options.servers))
        os.environ.update(ray.environment)  # Ray reads it when it is imported
        store = open_shared(address)
        memory = Memory("cosine", expected=options.rows)
        _, queries = filled(store, options.rows, memory)
        up = ["up", "--servers", str(options.servers), "--copies", str(options.copies), "--data-dir", "none"]
        done = run(ray.environment, "cluster", *up, "--store", address, "--shards", ray.address)
        if done.returncode:
            raise RuntimeError(done.stderr)
        cluster = join_cluster(ray.address)
        counted = Counted(open_transport())
        router = Router(counted, Roster(store, counted), seconds=PATIENCE_SECONDS)
        catalogue = ShardedCatalogue(store, None, router, cluster.close)
        stack.callback(store.close)
        stack.callback(catalogue.close)
        with catalogue.collection("c").snapshot() as snapshot:
            warm(snapshot.view, queries)
            counted.taken()
            print(f"{options.rows:,} rows, {options.servers} servers, {options.copies} copies")
            Console(width=230).print(compared(snapshot.view, memory, counted, queries, options.repeats))
    return 0


if __name__ == "__main__":
    sys.exit(main())
