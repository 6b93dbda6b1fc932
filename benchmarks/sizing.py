"""Figures for sizing: memory and disk per document, and the rate of each kind of call per core.

    python -m benchmarks.sizing [--documents 100000] [--seconds 8]

Documents have a vector of width 384, a text of 200 characters and one field of metadata. A rate is per second of the
service's own processor time, over all its threads, whatever else the machine does.
"""

from __future__ import annotations

import argparse
import base64
import itertools
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.running import Service

WIDTH, LETTERS, BATCH, CALLERS = 384, 200, 32, 8
NUMBERS = itertools.count()
Call = tuple[str, str, dict[str, Any]]


def vector(number: int) -> dict[str, str]:
    """A vector of unit length, as base64."""
    result = np.random.default_rng(number).standard_normal(WIDTH, dtype=np.float32)
    return {"base64": base64.b64encode(result / np.linalg.norm(result)).decode()}


def sentence(letters: int) -> str:
    """Return a text that no call has sent before."""
    number = next(NUMBERS)
    words = (f"word{number * 31 + index} of a text" for index in itertools.count())
    text = ""
    while len(text) < letters:
        text += next(words) + " "
    return text[:letters]


def lines(documents: int) -> Iterator[bytes]:
    """All documents, as NDJSON."""
    for i in range(documents):
        fields = {"id": f"{i}", "key": sentence(LETTERS), "key_vector": vector(i), "metadata": {"shelf": f"s{i % 50}"}}
        yield json.dumps(fields).encode() + b"\n"


def kinds() -> dict[str, tuple[Callable[[], Call], int]]:
    """By name: a call, and how much of that it does."""
    path = "/v1/collections/sized"
    return {
        "questions by vector": (lambda: ("POST", f"{path}/attend", {"query": vector(next(NUMBERS))}), 1),
        "short texts encoded": (lambda: ("POST", "/v1/encode", {"texts": [sentence(30)]}), 1),
        "single documents written": (
            lambda: ("PUT", f"{path}/documents/n{next(NUMBERS)}", {"key_vector": vector(1), "value": "x"}),
            1,
        ),
        "texts of 80 characters, written in batches": (
            lambda: (
                "POST",
                "/v1/collections/texts/documents",
                {"documents": [{"id": f"t{next(NUMBERS)}", "key": sentence(80)} for _ in range(BATCH)]},
            ),
            BATCH,
        ),
    }


def rate(service: Service, made: Callable[[], Call], per_call: int, callers: int, seconds: float) -> float:
    """Return how many calls are done in a second of the service's processor time."""

    def ask(_: int) -> int:
        done, until = 0, time.perf_counter() + seconds
        with service.client() as client:
            while time.perf_counter() < until:
                method, path, body = made()
                client.request(method, path, json=body).raise_for_status()
                done += per_call
        return done

    before = service.processor_seconds()
    with ThreadPoolExecutor(callers) as threads:
        done = sum(threads.map(ask, range(callers)))
    return done / (service.processor_seconds() - before)


def main() -> None:
    """Both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=8, help="of each rate")
    chosen = parser.parse_args()
    size = Table(title=f"{chosen.documents:,} documents of width {WIDTH}, {LETTERS} characters")
    rates = Table(title="in a second of processor time")
    for column in ("memory when empty", "memory a document", "disk a document"):
        size.add_column(column, justify="right")
    for column in ("", "one caller", f"{CALLERS} callers"):
        rates.add_column(column, justify="right")
    with tempfile.TemporaryDirectory() as folder, Service(Path(folder)) as service:
        service.wait_until_ready()
        empty = service.memory()
        with service.client() as client:
            client.put("/v1/collections/sized", json={"encoder": None, "dimension": WIDTH}).raise_for_status()
            client.put("/v1/collections/texts", json={"late": False}).raise_for_status()
            fill(client, chosen.documents)
        service.wait_until_idle()
        memory = (service.memory() - empty) * 1024 / chosen.documents
        disk = sum(path.stat().st_size for path in Path(folder).glob("softkv.sqlite3*")) / 1000 / chosen.documents
        size.add_row(f"{empty / 1024:.1f} GiB", f"{memory:.1f} KiB", f"{disk:.1f} kB")
        for name, (made, per_call) in kinds().items():
            answers_per_second = [rate(service, made, per_call, callers, chosen.seconds) for callers in (1, CALLERS)]
            rates.add_row(name, *(f"{one:,.0f}" for one in answers_per_second))
    console = Console()
    console.print(size)
    console.print(rates)


def fill(client: httpx.Client, documents: int) -> None:
    """Upload them; every line has to be taken."""
    headers = {"content-type": "application/x-ndjson"}
    answer = client.post("/v1/collections/sized/documents", content=lines(documents), headers=headers)
    last = json.loads(answer.raise_for_status().text.splitlines()[-1])
    if last != {"done": True, "upserted": documents, "refused": 0}:
        raise RuntimeError(f"the upload ended with {last}")


if __name__ == "__main__":
    main()
