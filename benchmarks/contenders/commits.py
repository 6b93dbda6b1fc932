"""Commits of softkv in turns: /livez, and uploads."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from rich import box
from rich.table import Table

from benchmarks.contenders.rounds import Callers, Measured
from benchmarks.contenders.softkv import Softkv
from benchmarks.contenders.tables import cost, latency, rate
from benchmarks.upload import upload

UPLOADED = 10_000


def in_turns(
    checkouts: Mapping[str, Path | None], connections: Sequence[int], callers: Callers
) -> tuple[Measured, dict[str, list[float]]]:
    """Start a service of each checkout, and measure them in turns.

    Returns:
        The calls of /livez, by connections; and of each commit the documents a second of its uploads.
    """
    with ExitStack() as running:
        stores = []
        for name, checkout in checkouts.items():
            store = Softkv(Path(running.enter_context(tempfile.TemporaryDirectory())), checkout=checkout, name=name)
            running.enter_context(store.server)
            store.wait_until_started()
            stores.append(store)
        livez = callers.measure([store.livez() for store in stores], connections)
        uploads: dict[str, list[float]] = {store.name: [] for store in stores}
        for number in range(callers.rounds):
            for store in stores:
                uploads[store.name].append(UPLOADED / upload_and_delete(store, f"upload-{number}"))
    return livez, uploads


def upload_and_delete(store: Softkv, name: str) -> float:
    """Upload 10,000 documents with vectors as NDJSON, and delete them; return the seconds of the upload."""
    seconds = upload(store.server, name, UPLOADED)
    with store.server.client() as client:
        client.delete(f"/v1/collections/{name}").raise_for_status()
    store.server.wait_until_idle()
    return seconds


def table_of(livez: Measured, uploads: Mapping[str, Sequence[float]], connections: Sequence[int]) -> Table:
    """Return a row for each commit: calls of /livez a second, their processor time, and documents a second."""
    table = Table(title="/livez, and documents a second by NDJSON", box=box.MARKDOWN)
    columns = (part for count in connections for part in (f"{count}: a second", "p50 / p99 ms", "core ms"))
    for name in ("", *columns, "documents/s"):
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    names = dict.fromkeys(name for name, _, _ in livez.cells)
    for name, rates in zip(names, uploads.values(), strict=True):
        row = [livez.cells[name, None, count] for count in connections]
        cells = (part for cell in row for part in (rate(cell, None), latency(cell), cost(cell)))
        table.add_row(name, *cells, f"{median(rates):,.0f}")
    return table
