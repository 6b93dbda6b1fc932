"""The whole softmax over a large collection, beside what else one would read it with.

    python -m benchmarks.lookup [--rows 1000 100000 1000000] [--queries 1 8 64] [--repeats 5] [--embeddings FILE.npy]

Every contender answers the same queries in turn, again and again, after a rest in which the threads of the one before
stop spinning, and warmed up; the medians are compared. NumPy, torch and FAISS are
exact in float32; FAISS SQ8 and hnswlib are not, and FAISS and hnswlib only give the ten best, without a weight.
Contenders that are not installed are left out: `pip install -e '.[bench]'`. Data are 2,000 clusters of unit vectors,
or rows of a .npy file.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from statistics import median

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.keys import BLOCK, Array, gathered, near
from softkv_attention.lookup import Memory, Question, Rows, View, answers, sweep

BEST = 10
REST, WARM_UP = 0.05, 0.03
"""Seconds before each measurement: for what the one before left running, and for caches and clocks."""
HNSW_ROWS = 100_000
EXACT_PEERS = ("NumPy", "torch matmul", "torch SDPA", "FAISS flat")


@dataclass(frozen=True)
class Collection:
    """Keys and values as plain arrays, and the same as a view of a memory."""

    keys: Array
    values: Array
    view: View


def collect(keys: Array) -> Collection:
    """The keys with values that are not the keys: their components turned round."""
    values = np.ascontiguousarray(keys[:, ::-1])
    memory = Memory("cosine")
    for start in range(0, len(keys), BLOCK):
        part = slice(start, min(start + BLOCK, len(keys)))
        memory.publish(add=Rows(np.arange(part.start, part.stop), keys[part], values[part]))
    return Collection(keys, values, memory.view)


def softkv(collection: Collection, queries: Array, *, output: bool) -> Callable[[], object]:
    """Compute weights, the ten best, evidence and certificate; with the output on request."""
    questions = [Question(query, 0.05, output=output) for query in queries]
    return lambda: answers(collection.view, questions)


def contenders(
    collection: Collection, queries: Array, skipped: list[str], *, output: bool
) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield the installed contenders that are not skipped, ready to be called."""
    yield "softkv", softkv(collection, queries, output=output)
    keys, values = collection.keys, collection.values
    yield "NumPy", lambda: _numpy(keys, values, queries, output)
    if find_spec("torch"):
        import torch

        k, v, q = torch.from_numpy(keys), torch.from_numpy(values), torch.from_numpy(queries)

        def matmul() -> object:
            weights = torch.softmax((q @ k.T) / 0.05, dim=1)
            return torch.topk(weights, BEST), weights @ v if output else None

        yield "torch matmul", matmul
        attention = torch.nn.functional.scaled_dot_product_attention
        yield "torch SDPA", lambda: attention(q[None, None], k[None, None], v[None, None], scale=20.0)
    if find_spec("faiss") and "FAISS" not in skipped and not output:
        yield from _indexes(keys, queries)
    if find_spec("hnswlib") and "hnswlib" not in skipped and not output and len(keys) <= HNSW_ROWS:
        import hnswlib

        graph = hnswlib.Index(space="ip", dim=keys.shape[1])
        graph.init_index(max_elements=len(keys), ef_construction=100, M=16)
        graph.add_items(keys)
        graph.set_ef(64)
        yield "hnswlib", lambda: graph.knn_query(queries, k=BEST)


def _numpy(keys: Array, values: Array, queries: Array, output: bool) -> object:
    logits = (queries @ keys.T) / np.float32(0.05)
    logits -= logits.max(axis=1, keepdims=True)
    weights = np.exp(logits, out=logits)
    weights /= weights.sum(axis=1, keepdims=True)
    return np.argpartition(weights, -BEST, axis=1)[:, -BEST:], weights @ values if output else None


_built: dict[tuple[int, str], object] = {}


def _indexes(keys: Array, queries: Array) -> Iterator[tuple[str, Callable[[], object]]]:
    import faiss

    for name, kind in (("FAISS flat", "Flat"), ("FAISS SQ8", "SQ8")):
        index = _built.get((id(keys), kind))
        if index is None:
            index = faiss.index_factory(keys.shape[1], kind, faiss.METRIC_INNER_PRODUCT)
            index.train(keys[:50_000])
            index.add(keys)
            _built[id(keys), kind] = index
        yield name, lambda index=index: index.search(queries, BEST)


def interleaved(calls: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """The median time of each in milliseconds, all called in turn."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(repeats + 1):
        for name, call in calls.items():
            time.sleep(REST)
            warm = time.perf_counter() + WARM_UP
            while time.perf_counter() < warm:
                call()
            start = time.perf_counter()
            call()
            if turn:
                times[name].append(1000 * (time.perf_counter() - start))
    return {name: median(time) for name, time in times.items()}


def speed(collection: Collection, counts: list[int], repeats: int, skipped: list[str], console: Console) -> None:
    """One row for each number of queries, without and with the output."""
    table = Table(title=f"{len(collection.keys):,} rows, T = 0.05: milliseconds", box=box.MARKDOWN)
    for index, count in enumerate(counts):
        queries = near(collection.keys, count, 7)
        weights, outputs = (
            interleaved(dict(contenders(collection, queries, skipped, output=output)), repeats)
            for output in (False, True)
        )
        if index == 0:
            for name in ("queries", "", *weights, "fastest exact / softkv", "SQ8 / softkv"):
                table.add_column(name, justify="right")
        for kind, rates in (("weights", weights), ("with output", outputs)):
            fastest = min(rates[name] for name in EXACT_PEERS if name in rates)
            quantised = f"{rates['FAISS SQ8'] / rates['softkv']:.1f}×" if "FAISS SQ8" in rates else ""
            # A few thousand rows take less than a millisecond.
            cells = [f"{rates[name]:.{1 if rates[name] > 10 else 3}f}" if name in rates else "" for name in weights]
            table.add_row(str(count), kind, *cells, f"{fastest / rates['softkv']:.1f}×", quantised)
    console.print(table)
    question = Question(queries[0], 0.05, output=False)
    many = list(np.geomspace(1e-3, 10, 32))
    both = interleaved(
        {"one": lambda: answers(collection.view, [question]), "32": lambda: sweep(collection.view, question, many)},
        repeats,
    )
    console.print(f"a sweep of 32 temperatures takes {both['32'] / both['one']:.2f} times as long as one query")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="*", default=[1_000, 100_000, 1_000_000])
    parser.add_argument("--queries", type=int, nargs="*", default=[1, 8, 64])
    parser.add_argument("--skip", nargs="*", default=[], help="contenders to leave out")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--embeddings", help="a .npy file of float32 rows, in the place of clusters")
    arguments = parser.parse_args()
    console = Console(width=200)
    for rows in arguments.rows:
        keys = np.load(arguments.embeddings)[:rows] if arguments.embeddings else gathered(rows)
        collection = collect(np.ascontiguousarray(keys, dtype=np.float32))
        path = answers(collection.view, [Question(keys[0], 0.05, output=False)])[0].certificate.method
        console.print(f"\n{len(keys):,} rows of width {keys.shape[1]}: the {path} path answers one query")
        speed(collection, arguments.queries, arguments.repeats, arguments.skip, console)
        _built.clear()
    console.print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GiB")


if __name__ == "__main__":
    main()
