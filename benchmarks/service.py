"""Latency over HTTP, start to first answer, and memory; beside the same arithmetic by NumPy in this process.

    python -m benchmarks.service [--documents 50000] [--rounds 20]

Rounds of the competitors are interleaved: NumPy, one client, sixteen clients, NumPy, …
"""

from __future__ import annotations

import argparse
import base64
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.running import Service
from benchmarks.upload import DIMENSION, lines, upload

CLIENTS = 16
TEMPERATURE = 0.05
PATH = "/v1/collections/bench"


def keys_of(documents: int) -> np.ndarray:
    """Return the keys of the upload, float32 [n, d]."""
    import json

    vectors = (json.loads(line)["key_vector"]["base64"] for block in lines(documents) for line in block.splitlines())
    return np.frombuffer(b"".join(base64.b64decode(vector) for vector in vectors), dtype="<f4").reshape(documents, -1)


def by_numpy(keys: np.ndarray, query: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Softmax over every key, and its best ten: float32, as one would write it in a script."""
    similarities = keys @ query
    weights = np.exp((similarities - similarities.max()) / TEMPERATURE)
    weights /= weights.sum()
    best = np.argpartition(weights, -10)[-10:]
    return best[np.argsort(-weights[best])], weights


def ask(client: httpx.Client, query: np.ndarray) -> None:
    """One query over HTTP, as a vector."""
    vector = {"base64": base64.b64encode(query.tobytes()).decode()}
    client.post(f"{PATH}/attend", json={"query": vector, "temperature": TEMPERATURE, "include": []}).raise_for_status()


def timed(run: Callable[[], object]) -> float:
    """Milliseconds."""
    started = time.perf_counter()
    run()
    return (time.perf_counter() - started) * 1e3


def latencies(service: Service, keys: np.ndarray, rounds: int) -> dict[str, list[float]]:
    """Milliseconds a query of each competitor, in interleaved rounds."""
    rng = np.random.default_rng(1)
    by_way: dict[str, list[float]] = {"NumPy, in-process": [], "1 client": [], f"{CLIENTS} clients": []}
    with service.client() as one, ThreadPoolExecutor(CLIENTS) as pool:
        many = [service.client() for _ in range(CLIENTS)]
        for _ in range(rounds):
            queries = rng.normal(size=(CLIENTS, DIMENSION)).astype("<f4")
            queries /= np.linalg.norm(queries, axis=1, keepdims=True)
            by_way["NumPy, in-process"] += [timed(lambda q=q: by_numpy(keys, q)) for q in queries[:4]]
            by_way["1 client"] += [timed(lambda q=q: ask(one, q)) for q in queries[:4]]
            together = pool.map(lambda client, q: timed(lambda: ask(client, q)), many, queries)
            by_way[f"{CLIENTS} clients"] += list(together)
        for client in many:
            client.close()
    return by_way


def first_answer(data: Path, query: np.ndarray) -> float:
    """Seconds from starting the process to its first answer, with the documents on disk."""
    started = time.perf_counter()
    with Service(data, "--encoder", "none") as service:
        while True:
            try:
                with service.client() as client:
                    ask(client, query)
            except httpx.HTTPError:
                time.sleep(0.01)
            else:
                return time.perf_counter() - started


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    keys = keys_of(options.documents)
    with tempfile.TemporaryDirectory() as directory:
        with Service(Path(directory), "--encoder", "none") as service:
            service.wait_until_ready()
            empty = service.memory()
            upload(service, "bench", options.documents)
            found = latencies(service, keys, options.rounds)
            full = service.memory()
        start = first_answer(Path(directory), keys[0])
    table = Table(title=f"attend over {options.documents:,} documents of width {DIMENSION}, by vector")
    for column in ("", "median ms", "p95 ms", "ratio of medians"):
        table.add_column(column, justify="left" if not column else "right")
    numpy = float(np.median(found["NumPy, in-process"]))
    for name, times in found.items():
        median, p95 = float(np.median(times)), float(np.quantile(times, 0.95))
        table.add_row(name, f"{median:.1f}", f"{p95:.1f}", f"{median / numpy:.2f}")
    console = Console()
    console.print(table)
    size = keys.nbytes / 2**20
    console.print(f"start to first answer {start:.1f} s")
    console.print(f"memory {empty:,.0f} MiB empty, {full:,.0f} MiB with {size:,.0f} MiB of keys")
    return 0


if __name__ == "__main__":
    sys.exit(main())
