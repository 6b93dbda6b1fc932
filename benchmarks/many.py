"""Ten thousand collections of ten documents each, beside chroma: start, memory, open files, latency.

    python -m benchmarks.many [--collections 10000] [--starts 3] [--questions 2000] [--stores softkv chroma]

Each collection is that of an agent, a class or a tenant: ten unit vectors of width 384 with their texts. softkv has its
default settings, so at most 1,000 collections are in memory. A start is measured from the process's start to the first
answer of a collection that is drawn anew each time; the processor seconds until then depend less on what else the
machine does. Then one collection is asked again and again, and 1,000 collections
are asked at random, in turns, over one connection: 50 questions each. Before that, each of the 1,000 is asked once,
which reads its keys. Memory is that of all processes of the server (PSS).

chroma is in its own environment, .venv-contenders, which `make bench` makes; it is left out without one.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.contenders.chroma import COLLECTIONS, Chroma, body_for
from benchmarks.contenders.documents import TOP
from benchmarks.contenders.server import family, memory, processor_seconds
from benchmarks.contenders.softkv import TEMPERATURE
from benchmarks.http import OTHERS, VERSIONS, said_by
from benchmarks.keys import Array
from benchmarks.running import Service
from service.storage import SQLiteStore
from service.storage.records import CollectionSettings, DocumentRecord

DOCUMENTS, WIDTH = 10, 384
ASKED = 1000
"""Collections that are asked at random."""
TURN = 50
AT_ONCE = 100  # collections written in one transaction


def keys_of(number: int) -> Array:
    """Return float32[10, 384], the keys of a collection: unit vectors, the same for every store."""
    vectors = np.random.default_rng(number).standard_normal((DOCUMENTS, WIDTH)).astype(np.float32)
    unit: Array = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def name_of(number: int) -> str:
    """The name of a collection."""
    return f"agent-{number:05}"


class Many(ABC):
    """A server with many collections.

    Attributes:
        server: the process.
    """

    name: str
    server: Any

    @abstractmethod
    def fill(self, count: int) -> None:
        """Store `count` collections."""

    @abstractmethod
    def ask(self, client: httpx.Client, number: int, query: Array) -> list[str]:
        """Ask a collection for the nearest documents, and return their ids; raises httpx.HTTPError."""

    @property
    @abstractmethod
    def url(self) -> str:
        """The address of the server."""

    def client(self) -> httpx.Client:
        """A client with one connection that stays open."""
        return httpx.Client(base_url=self.url, timeout=600, trust_env=False)


class ManySoftkv(Many):
    """softkv, without an encoder."""

    name = "softkv"

    def __init__(self, directory: Path) -> None:
        self._directory = directory / "data"
        self.server = Service(self._directory, "--encoder", "none")

    @property
    def url(self) -> str:
        """See `Many`."""
        return str(self.server.url)

    def fill(self, count: int) -> None:
        """See `Many`; writes to the store, as `softkv restore` does."""
        settings = CollectionSettings("cosine", TEMPERATURE, dimension=WIDTH)
        with SQLiteStore.open(self._directory) as store:
            for start in range(0, count, AT_ONCE):
                with store.writing() as writer:
                    for number in range(start, min(start + AT_ONCE, count)):
                        made = writer.create_collection(name_of(number), settings)
                        writer.upsert(made.id, list(records(number)))

    def ask(self, client: httpx.Client, number: int, query: Array) -> list[str]:
        """See `Many`."""
        vector = {"base64": base64.b64encode(query.tobytes()).decode()}
        body = {"query": vector, "top_k": TOP}
        answer = client.post(f"/v1/collections/{name_of(number)}/attend", json=body).raise_for_status()
        return [match["id"] for match in answer.json()["matches"]]


def records(number: int) -> Iterator[DocumentRecord]:
    """The documents of a collection."""
    keys = keys_of(number)
    for i in range(DOCUMENTS):
        yield DocumentRecord(f"d{i}", text_of(number, i), None, keys[i : i + 1], metadata={"number": i})


def text_of(number: int, i: int) -> str:
    """The text of a document."""
    return f"note {i} of agent {number}"


class ManyChroma(Many):
    """chroma's server over a directory, with its defaults."""

    name = "chroma"

    def __init__(self, directory: Path, programs: Path) -> None:
        self._directory = directory
        self._chroma = Chroma(directory, programs)
        self.server = self._chroma.server
        self._ids: dict[int, str] = {}

    @property
    def url(self) -> str:
        """See `Many`."""
        with self._chroma._client() as client:
            return str(client.base_url)

    def fill(self, count: int) -> None:
        """See `Many`; over HTTP, as its client does."""
        with self.server:
            self._chroma.wait_until_started()
            with self.client() as client:
                for number in range(count):
                    settings = {
                        "name": name_of(number),
                        "get_or_create": True,
                        "configuration": {"hnsw": {"space": "cosine"}},
                    }
                    identity = client.post(COLLECTIONS, json=settings).raise_for_status().json()["id"]
                    self._ids[number] = identity
                    body = {
                        "ids": [f"d{i}" for i in range(DOCUMENTS)],
                        "embeddings": [base64.b64encode(key.tobytes()).decode() for key in keys_of(number)],
                        "documents": [text_of(number, i) for i in range(DOCUMENTS)],
                        "metadatas": [{"number": i} for i in range(DOCUMENTS)],
                        "uris": None,
                    }
                    client.post(f"{COLLECTIONS}/{identity}/add", json=body).raise_for_status()

    def ask(self, client: httpx.Client, number: int, query: Array) -> list[str]:
        """See `Many`."""
        path = f"{COLLECTIONS}/{self._ids[number]}/query"
        answer = client.post(path, content=json.dumps(body_for(query.tolist(), None)), headers=JSON).raise_for_status()
        ids: list[str] = answer.json()["ids"][0]
        return ids


JSON = {"Content-Type": "application/json"}


def started(store: Many, number: int) -> float:
    """Seconds from the process's start, just now, to the first answer of a collection."""
    began = time.perf_counter()
    with store.client() as client:
        while True:
            with suppress(httpx.TransportError, httpx.HTTPStatusError):
                check(store.ask(client, number, keys_of(number)[3]), 3)
                return time.perf_counter() - began
            if store.server.process.poll() is not None:
                raise RuntimeError(f"{store.name} did not start")
            time.sleep(0.01)


def check(ids: Sequence[str], expected: int) -> None:
    """Raise RuntimeError unless the nearest document is the expected one."""
    if ids[0] != f"d{expected}":
        raise RuntimeError(f"expected document d{expected} first, got {ids}")


def open_files(pid: int) -> int:
    """Return the number of open files of a process and its children."""
    return sum(len(os.listdir(f"/proc/{process}/fd")) for process in family(pid))


def asked(store: Many, client: httpx.Client, numbers: Sequence[int], rng: np.random.Generator) -> list[float]:
    """Ask collections one after another, and return the milliseconds of each answer."""
    milliseconds = []
    for number in numbers:
        nearest = int(rng.integers(DOCUMENTS))
        query = keys_of(number)[nearest]
        began = time.perf_counter()
        ids = store.ask(client, number, query)
        milliseconds.append(1000 * (time.perf_counter() - began))
        check(ids, nearest)
    return milliseconds


def quantiles(milliseconds: Sequence[float]) -> str:
    """The median and the 99th percentile."""
    return " / ".join(f"{np.quantile(milliseconds, share):.2f}" for share in (0.5, 0.99))


def measure(store: Many, count: int, starts: int, questions: int) -> list[str]:
    """Return the row of a store in the table."""
    rng = np.random.default_rng(1)
    began = time.perf_counter()
    store.fill(count)
    filled = time.perf_counter() - began
    seconds, processor = list[float](), list[float]()
    for _ in range(starts):
        with store.server:
            seconds.append(started(store, int(rng.integers(count))))
            processor.append(processor_seconds(store.server.process.pid))
            at_first = memory(store.server.process.pid)
    with store.server, store.client() as client:
        started(store, int(rng.integers(count)))
        if isinstance(store.server, Service):
            store.server.wait_until_ready()
        numbers = rng.permutation(count)[:ASKED].tolist()
        asked(store, client, numbers[:1] * 100, rng)
        first = asked(store, client, numbers, rng)
        one, some = list[float](), list[float]()
        while len(some) < questions:
            one += asked(store, client, numbers[:1] * TURN, rng)
            some += asked(store, client, rng.choice(numbers, TURN).tolist(), rng)
        pid = store.server.process.pid
        ratio = np.quantile(some, 0.99) / np.quantile(one, 0.99)
        return [
            store.name,
            f"{filled:.0f} s",
            f"{np.median(seconds):.2f} s",
            f"{np.median(processor):.2f} s",
            f"{at_first:,.0f} MiB",
            f"{memory(pid):,.0f} MiB",
            f"{open_files(pid):,}",
            quantiles(one),
            quantiles(first),
            quantiles(some),
            f"{ratio:.2f}×",
        ]


def main() -> None:
    """Fill, start, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--collections", type=int, default=10_000)
    parser.add_argument("--starts", type=int, default=3)
    parser.add_argument("--questions", type=int, default=2000, help="to one collection, and to 1,000 at random")
    parser.add_argument("--stores", nargs="+", choices=("softkv", "chroma"), default=("softkv", "chroma"))
    parser.add_argument("--others", type=Path, default=OTHERS, help="the environment of chroma")
    options = parser.parse_args()
    table = Table(title=f"{options.collections:,} collections of {DOCUMENTS} documents", box=box.MARKDOWN)
    for heading in (
        "",
        "filled in",
        "start to first answer",
        "of processor",
        "memory then",
        "after 1,000 were asked",
        "open files",
        "one: p50 / p99 ms",
        "1,000, first time",
        "1,000 at random",
        "p99, to one",
    ):
        table.add_column(heading, justify="right" if heading else "left")
    missing = "chroma" in options.stores and not (options.others / "bin" / "chroma").exists()
    with ExitStack() as stack:
        data = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for name in options.stores:
            if name == "chroma" and missing:
                continue
            directory = data / name
            directory.mkdir()
            store = ManySoftkv(directory) if name == "softkv" else ManyChroma(directory, options.others / "bin")
            row = measure(store, options.collections, options.starts, options.questions)
            print(*row, sep=", ", file=sys.stderr)
            table.add_row(*row)
    console = Console(width=160, markup=False, highlight=False)
    console.print(table)
    if missing:
        console.print(f"left out: chroma: no chromadb in {options.others.name}, which `make bench` makes")
    console.print(said_by(options.others / "bin" / "python", VERSIONS).replace("\n", ", "))


if __name__ == "__main__":
    main()
