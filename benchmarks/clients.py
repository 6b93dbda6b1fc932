"""Many concurrent clients over HTTP, beside a single client, whose questions each have their own scan of the keys.

    python -m benchmarks.clients [--rows 1000000] [--clients 64] [--seconds 10] [--rounds 3]

Each client sends its next question when the last one is answered; there are as many different questions as clients. An
answer has the weights of all documents at T = 0.05, the ten best with their ids, the evidence and the certificate. One
client and many take turns. A batch scan shows the limit without HTTP: all questions of the many answered together in
this process, over the same keys, before the service starts. Data are 2,000 clusters of unit vectors.
"""

from __future__ import annotations

import argparse
import base64
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from attention.lookup import Memory, Question, Rows, answers
from benchmarks.callers import CallRefused, Calls, Span, call
from benchmarks.contenders.wire import Http, address_of, body_of, request_of
from benchmarks.keys import BLOCK, Array, gathered, near
from benchmarks.running import Service
from benchmarks.upload import LINES_AT_ONCE, line, upload

TEMPERATURE = 0.05
NAME = "clients"
SETTLING = 2.0  # seconds until the batches have found their size


@dataclass(frozen=True)
class Found:
    """The measurements; `one` and `many` have an entry per round."""

    one: list[Calls]
    many: list[Calls]
    memory: float

    @property
    def ratio(self) -> float:
        """Return the ratio of answers a second: many clients to one."""
        return median(many.a_second / one.a_second for one, many in zip(self.one, self.many, strict=True))


def batch_scan(keys: Array, queries: Array, repeats: int = 7) -> tuple[float, float]:
    """Milliseconds of one question, and of all of them together, answered in this process: medians."""
    memory = Memory("cosine")
    for start in range(0, len(keys), BLOCK):
        part = keys[start : start + BLOCK]
        memory.publish(add=Rows(np.arange(start, start + len(part)), part, None))
    scan_questions = [Question(query, TEMPERATURE, output=False) for query in queries]
    one, together = list[float](), list[float]()
    for turn in range(repeats + 1):
        for questions, times in ((scan_questions[:1], one), (scan_questions, together)):
            started = time.perf_counter()
            answers(memory.view, questions)
            if turn:
                times.append(1e3 * (time.perf_counter() - started))
    return median(one), median(together)


def ndjson(keys: Array) -> Iterator[bytes]:
    """Yield the documents, a thousand lines at a time; report progress on standard error."""
    starts = range(0, len(keys), LINES_AT_ONCE)
    for start in track(starts, "sending the documents", console=Console(stderr=True)):
        yield b"".join(line(start + i, key) for i, key in enumerate(keys[start : start + LINES_AT_ONCE]))


def measure(service: Service, queries: Array, seconds: float, rounds: int) -> Found:
    """One client, then all of them, and so on; the callers have a process of their own."""
    address, path = address_of(service.url), f"/v1/collections/{NAME}/attend"
    requests = [request_of(address, path, json.dumps(question(query)).encode()) for query in queries]
    one, many = list[Calls](), list[Calls]()
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as callers:
        for turn in range(rounds + 1):
            for sent, calls in ((requests[:1], one), (requests, many)):
                span = Span(seconds if turn else 1.0, SETTLING)
                result = callers.submit(call, address, Http(), sent, len(sent), span).result()
                if result.errors:
                    raise CallRefused(result.error)
                if turn:  # the first round only warms up
                    calls.append(result)
    return Found(one, many, service.memory())


def question(query: Array) -> dict[str, object]:
    """The question with the vector as base64; of the matches only id and numbers are wanted."""
    vector = {"base64": base64.b64encode(query.astype("<f4").tobytes()).decode()}
    return {"query": vector, "temperature": TEMPERATURE, "top_k": 10, "include": []}


def table_of(measurements: Found, rows: int, clients: int) -> Table:
    """A row each for one client and for many; medians of the rounds."""
    table = Table(title=f"attend over {rows:,} documents, by vector, over HTTP", box=box.MARKDOWN)
    for column in ("clients", "queries/s", "median ms", "p95 ms", "p99 ms", "queries/s, ratio"):
        table.add_column(column, justify="right")
    for count, rounds in ((1, measurements.one), (clients, measurements.many)):
        levels = [median(float(np.quantile(calls.milliseconds, q)) for calls in rounds) for q in (0.5, 0.95, 0.99)]
        cells = [f"{level:.1f}" for level in levels]
        ratio = "1×" if rounds is measurements.one else f"{measurements.ratio:.1f}×"
        table.add_row(str(count), f"{median(calls.a_second for calls in rounds):.0f}", *cells, ratio)
    return table


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each client or clients, in each round")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    keys = gathered(options.rows)
    queries = near(keys, options.clients, 7)
    single, together = batch_scan(keys, queries)
    with tempfile.TemporaryDirectory() as directory, Service(Path(directory), "--encoder", "none") as service:
        service.wait_until_ready()
        upload(service, NAME, len(keys), ndjson(keys))
        service.wait_until_idle()
        result = measure(service, queries, options.seconds, options.rounds)
    console = Console(width=120)
    console.print(table_of(result, options.rows, options.clients))
    answer = json.loads(body_of(result.many[0].answers[0]))
    slowest = median(float(np.quantile(calls.milliseconds, 0.99)) for calls in result.many)
    console.print(
        f"in this process one question takes {single:.1f} ms, {options.clients} together {together:.1f} ms: the p99 is "
        f"{slowest / together:.2f} batch scans"
    )
    console.print(
        f"the {answer['certificate']['method']} path answers; memory {result.memory:,.0f} MiB with "
        f"{keys.nbytes / 2**20:,.0f} MiB of keys; the callers took "
        f"{median(calls.processor for calls in result.many):.0%} of a core"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
