"""Commits of softkv in turns: /livez, uploads, and short questions beside long ones."""

from __future__ import annotations

import json
import multiprocessing
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import numpy as np
from rich import box
from rich.table import Table

from benchmarks.callers import CallRefused, Calls, Span, call
from benchmarks.clients import ndjson, question
from benchmarks.contenders.documents import Documents
from benchmarks.contenders.rounds import Callers, Measured
from benchmarks.contenders.softkv import Softkv
from benchmarks.contenders.store import Way
from benchmarks.contenders.tables import cost, latency, rate
from benchmarks.contenders.wire import Http, address_of, request_of
from benchmarks.keys import gathered, near
from benchmarks.upload import upload

SHORT_ROWS = 1000
QUERIES = 256
LONG_QUERIES = 64  # of one request: as many as the service takes
UPLOADED = 10_000
SETTLING = 0.5
LEAST_SECONDS = 3.0  # a p99 needs hundreds of answers


@dataclass
class Turns:
    """The results of one commit, an entry a round.

    Attributes:
        alone: short questions over one connection.
        beside: the same beside long ones.
        long: the long ones over another connection.
        uploads: documents a second.
    """

    alone: list[Calls] = field(default_factory=list)
    beside: list[Calls] = field(default_factory=list)
    long: list[Calls] = field(default_factory=list)
    uploads: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Duel:
    """The results of all commits.

    Attributes:
        livez: calls of /livez, by connections.
        turns: the rest, by the commit's name.
    """

    livez: Measured
    turns: Mapping[str, Turns]


def in_turns(checkouts: Mapping[str, Path | None], rows: int, connections: Sequence[int], callers: Callers) -> Duel:
    """Start a service of each checkout, with 1,000 documents and with `rows` for long questions; measure in turns.

    Without rows, no long questions are asked.
    """
    documents = Documents.of(count=SHORT_ROWS)
    queries = near(documents.keys, QUERIES, 7)
    keys = gathered(rows)
    with ExitStack() as running:
        stores = []
        for name, checkout in checkouts.items():
            store = Softkv(Path(running.enter_context(tempfile.TemporaryDirectory())), checkout=checkout, name=name)
            running.enter_context(store.server)
            store.wait_until_started()
            store.fill(documents)
            if rows:
                upload(store.server, "long", rows, ndjson(keys))
            stores.append(store)
        for store in stores:
            store.server.wait_until_idle()
        livez = callers.measure([store.livez() for store in stores], connections)
        turns = {store.name: Turns() for store in stores}
        spawn = multiprocessing.get_context("spawn")
        short = running.enter_context(ProcessPoolExecutor(1, spawn))
        long = running.enter_context(ProcessPoolExecutor(1, spawn))
        for number in range(callers.rounds):
            for store in stores:
                turns[store.name].uploads.append(UPLOADED / upload_and_delete(store, f"upload-{number}"))
            span = Span(max(LEAST_SECONDS, callers.seconds), SETTLING)
            for store in stores:
                (way,) = store.ways(queries, [None])
                turns[store.name].alone.append(ask_alone(short, way, way.requests[None], span))
            for store in stores if rows else ():
                (way,) = store.ways(queries, [None])
                longer = Span(span.seconds + SETTLING, 0.0)
                future = long.submit(
                    call, way.address, Http(), [long_request(store, near(keys, LONG_QUERIES, 8))], 1, longer
                )
                turns[store.name].beside.append(ask_alone(short, way, way.requests[None], span))
                turns[store.name].long.append(future.result())
    return Duel(livez, turns)


def ask_alone(pool: ProcessPoolExecutor, way: Way, requests: Sequence[bytes], span: Span) -> Calls:
    """Ask over one connection, in a process of its own.

    Raises:
        CallRefused: the service refused a question.
    """
    calls = pool.submit(call, way.address, way.wire, requests, 1, span).result()
    if calls.errors:
        raise CallRefused(calls.error)
    return calls


def long_request(store: Softkv, queries: np.ndarray) -> bytes:
    """Return a request with many queries over the long collection."""
    shared = {name: value for name, value in question(queries[0]).items() if name != "query"}
    body = {"queries": [question(query)["query"] for query in queries]} | shared
    return request_of(address_of(store.server.url), "/v1/collections/long/attend", json.dumps(body).encode())


def upload_and_delete(store: Softkv, name: str) -> float:
    """Upload 10,000 documents with vectors as NDJSON, and delete them; return the seconds of the upload."""
    seconds = upload(store.server, name, UPLOADED)
    with store.server.client() as client:
        client.delete(f"/v1/collections/{name}").raise_for_status()
    store.server.wait_until_idle()
    return seconds


def table_of(duel: Duel, rows: int) -> Table:
    """Return a row for each commit; medians of the rounds, from which ratios can be read."""
    table = Table(title=f"short questions beside {LONG_QUERIES} queries over {rows:,} documents", box=box.MARKDOWN)
    for name in ("", "alone p50 / p99 ms", "beside p50 / p99 ms", "long a second", "NDJSON documents/s"):
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    for name, turns in duel.turns.items():
        table.add_row(
            name,
            levels(turns.alone),
            levels(turns.beside),
            f"{median(calls.a_second for calls in turns.long):.1f}" if turns.long else "",
            f"{median(turns.uploads):,.0f}",
        )
    return table


def levels(rounds: Sequence[Calls]) -> str:
    """Return the p50 and the p99, medians of the rounds; "" without any."""
    if not rounds:
        return ""
    return " / ".join(
        f"{median(float(np.quantile(calls.milliseconds, level)) for calls in rounds):.2f}" for level in (0.5, 0.99)
    )


def livez_table(duel: Duel, connections: Sequence[int]) -> Table:
    """Return calls of /livez: a second, and milliseconds of the service's processor time a call."""
    table = Table(title="/livez", box=box.MARKDOWN)
    for name in ("", *(part for count in connections for part in (f"{count}: a second", "p50 / p99 ms", "core ms"))):
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    for name in dict.fromkeys(name for name, _, _ in duel.livez.cells):
        row = [duel.livez.cells[name, None, count] for count in connections]
        table.add_row(name, *(part for cell in row for part in (rate(cell, None), latency(cell), cost(cell))))
    return table
