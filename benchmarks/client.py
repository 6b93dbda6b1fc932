"""The Python client beside what it is made of: curl for uploads, bare httpx2 for questions and for its import.

    python -m benchmarks.client [--rows 100000] [--rounds 5] [--attends 1000] [--most 300000] [--only-memory]

Both sides of each comparison take turns, in an order that changes every round, against one service; a ratio is the
median of the rounds' own. An upload is of rows of width 384 with made-up vectors: for curl they lie in a file, line by
line, for the client in an array, as columns and as objects from a generator. Beside its time stands what the service
and the sender take of the processor, which says more on a machine that is busy with other things. Questions go from
some threads over a pool of as many connections, by vector. Memory is the most that a process of the client's own ever
had, which reads rows from a generator.
"""

from __future__ import annotations

import argparse
import base64
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

import httpx2
import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.keys import Array
from benchmarks.running import Service
from benchmarks.upload import DIMENSION, line
from softkv import Client

ROOT = Path(__file__).parents[1]
FEWEST = 10_000
ASKED = "asked"
_names = (f"upload-{number}" for number in count())

MEMORY = """
import sys
from pathlib import Path
import numpy as np
from softkv import Client

def rows(many, width):
    rng = np.random.default_rng(0)
    for number in range(many):
        vector = rng.standard_normal(width, dtype=np.float32)
        yield {"id": f"{number:07}", "value": number, "metadata": {"n": number % 10}, "key_vector": vector}

url, name, many, width = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
with Client(url) as client:
    assert client.collection(name).upsert(rows(many, width)).upserted == many
print(next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")).split()[1])
"""


def taken(request: Callable[[], object]) -> float:
    """Seconds that something takes."""
    started = time.perf_counter()
    request()
    return time.perf_counter() - started


def in_turns(rounds: int, ways: Mapping[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Seconds of each way in each round; a round before them warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds + 1):
        for name in list(ways) if turn % 2 else reversed(list(ways)):
            spent = ways[name]()
            if turn:
                seconds[name].append(spent)
    return seconds


def rows_of(keys: Array) -> Iterator[dict[str, Any]]:
    """The documents as objects."""
    for number, key in enumerate(keys):
        yield {"id": f"{number:07}", "value": number, "metadata": {"n": number % 10}, "key_vector": key}


def uploads(
    service: Service, client: Client, keys: Array, rounds: int, directory: Path
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Seconds that all rows take by curl and by the client, each time into a collection of its own.

    Besides them, seconds of the processor that the service and the sender took together.
    """
    file = directory / "rows.ndjson"
    with file.open("wb") as written:
        written.writelines(line(number, key) for number, key in enumerate(keys))
    columns = {
        "ids": [f"{number:07}" for number in range(len(keys))],
        "key_vectors": keys,
        "values": range(len(keys)),
        "metadata": [{"n": number % 10} for number in range(len(keys))],
    }

    def by_curl(name: str) -> None:
        address = f"{service.url}/v1/collections/{name}/documents"
        head = ["-H", "Content-Type: application/x-ndjson", "-X", "POST"]
        subprocess.run(["curl", "-sf", "-o", os.devnull, *head, "-T", str(file), address], check=True)

    worked: dict[str, list[float]] = {}

    def into(way: str, send: Callable[[str], object]) -> Callable[[], float]:
        def once() -> float:
            collection = client.collection(next(_names))
            collection.create(encoder=None, dimension=DIMENSION)
            before = service.processor_seconds() + sum(os.times()[:4])
            seconds = taken(lambda: send(collection.name))
            worked.setdefault(way, []).append(service.processor_seconds() + sum(os.times()[:4]) - before)
            if collection.count() != len(keys):
                raise RuntimeError(f"{collection.count():,} of {len(keys):,} documents arrived")
            collection.drop()
            return seconds

        return once

    sends: dict[str, Callable[[str], object]] = {
        "curl": by_curl,
        "client, columns": lambda name: client.collection(name).upsert(**columns),
        "client, a generator": lambda name: client.collection(name).upsert(rows_of(keys)),
    }
    seconds = in_turns(rounds, {way: into(way, send) for way, send in sends.items()})
    return seconds, {way: worked[way][1:] for way in sends}


def attends(service: Service, keys: Array, many: int, threads: int, rounds: int) -> dict[str, list[float]]:
    """Return the seconds of `many` questions by bare httpx2 and by the client, from this number of threads each."""
    queries = keys[np.arange(many) % len(keys)]
    limits = httpx2.Limits(max_connections=threads, max_keepalive_connections=threads)
    with (
        httpx2.Client(base_url=service.url, limits=limits, timeout=60, trust_env=False) as bare,
        Client(service.url, connections=threads) as client,
        ThreadPoolExecutor(threads) as pool,
    ):
        collection = client.collection(ASKED)

        def ask_barely(query: Array) -> Any:
            vector = {"base64": base64.b64encode(query.data).decode()}
            body = {"query": vector, "top_k": 10, "vector_format": "base64"}
            return bare.post(f"/v1/collections/{ASKED}/attend", json=body).raise_for_status().json()

        ways = {
            "httpx2": lambda: taken(lambda: list(pool.map(ask_barely, queries))),
            "client": lambda: taken(lambda: list(pool.map(lambda query: collection.attend(query, top_k=10), queries))),
        }
        return in_turns(rounds, ways)


def imports(rounds: int) -> dict[str, list[float]]:
    """Seconds that the import takes in a process of its own."""

    def of(module: str) -> Callable[[], float]:
        timed = f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
        return lambda: float(python(timed))

    return in_turns(rounds, {"httpx2": of("httpx2"), "client": of("softkv")})


def python(program: str, *arguments: str) -> str:
    """Return the output of a program that can import the client."""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "clients" / "python")}
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout


def memory(service: Service, client: Client, rows: int) -> float:
    """Return the peak memory in MiB of a process that uploads `rows` rows."""
    collection = client.collection(next(_names))
    collection.create(encoder=None, dimension=DIMENSION)
    peak = int(python(MEMORY, service.url, collection.name, str(rows), str(DIMENSION))) / 1024
    collection.drop()
    return peak


def compared(table: Table, label: str, many: int, seconds: Mapping[str, list[float]]) -> None:
    """A row for each way, beside the first."""
    first = next(iter(seconds.values()))
    for name, spent in seconds.items():
        ratio = median(own / other for own, other in zip(first, spent, strict=True))
        duration = median(spent)
        table.add_row(label, name, f"{many / duration:,.0f}", f"{1e3 * duration / many:.3f}", f"{ratio:.2f}")


def timed(service: Service, client: Client, options: argparse.Namespace, directory: Path) -> Table:
    """Everything that takes time, each way beside the others."""
    keys = np.random.default_rng(0).standard_normal((options.rows, DIMENSION), dtype=np.float32)
    collection = client.collection(ASKED)
    collection.create(encoder=None, dimension=DIMENSION)
    collection.upsert(rows_of(keys[:FEWEST])).raise_for_refused()
    table = Table(title="the Python client", box=box.MARKDOWN)
    for column in ("what", "by", "a second", "ms each", "rate, ratio"):
        table.add_column(column, justify="left" if column in ("what", "by") else "right")
    sent, worked = uploads(service, client, keys, options.rounds, directory)
    compared(table, f"upload of {options.rows:,} rows", options.rows, sent)
    compared(table, "the same, by processor time", options.rows, worked)
    questions = attends(service, keys[:FEWEST], options.attends, options.threads, 3 * options.rounds)
    compared(table, f"{options.attends:,} attends, {options.threads} threads", options.attends, questions)
    compared(table, "import", 1, imports(5 * options.rounds))
    return table


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--attends", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--most", type=int, default=300_000, help="rows of the longer upload whose memory is taken")
    parser.add_argument("--only-memory", action="store_true", help="take no times, which need a machine for themselves")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as directory, Service(Path(directory), "--encoder", "none") as service:
        service.wait_until_ready()
        with Client(service.url) as client:
            table = None if options.only_memory else timed(service, client, options, Path(directory))
            peaks = {rows: memory(service, client, rows) for rows in (FEWEST, options.most)}
    console = Console(width=120)
    if table is not None:
        console.print(table)
    description = ", ".join(f"{mebibytes:,.0f} MiB for {rows:,} rows" for rows, mebibytes in peaks.items())
    console.print(f"most memory of the client: {description}")
    console.print(f"load of the machine: {load:.1f} before, {os.getloadavg()[0]:.1f} after, on {os.cpu_count()} cores")
    return 0


if __name__ == "__main__":
    sys.exit(main())
