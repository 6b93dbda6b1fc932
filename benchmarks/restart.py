"""The cost of a restart: seconds until the first right answer, with sealed files of blocks and without.

    python -m benchmarks.restart [--rows 10000000] [--width 64] [--starts 3] [--pairs 50] [--directory .]

It fills a store with documents of an id, a small value and a clustered vector, and starts `softkv serve` on it, each
time in a new process. The first start has no sealed files: it reads and codes every key, and seals them. The next
starts use the files: from the system's memory, as after a restart of the service alone, and from disk, as far as the
system can drop its cache. An answer is right if its best match is that of a scan of all keys while the store was
filled. Then a document is written, and the first question after it is timed against the next one, pair by pair. With
--keep, the store stays and is not filled again.

At 10,000,000 rows of width 64 the store and the files take 10 GB of disk, and filling it a quarter of an hour.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from attention.lookup import Limits
from benchmarks.keys import Array, clustered, near
from benchmarks.running import Service
from service.retrieval.collections import Catalogue
from service.storage import SQLiteStore
from service.storage.records import DocumentRecord
from service.storage.sqlite.connections import connect
from service.storage.sqlite.writer import Writer

COLLECTION = "restarted"
ATTEND = f"/v1/collections/{COLLECTION}/attend"
INDEXES = ("documents_by_key", "documents_by_hash")
QUESTIONS = 64
CACHE = "PRAGMA cache_size = -1000000"  # a gigabyte: what is written in random order stays in memory


def filled(directory: Path, rows: int, width: int) -> None:
    """Fill a store with `rows` rows, and write questions with their right answers to `questions.json`."""
    directory.mkdir(parents=True)
    with SQLiteStore.open(directory) as store:
        asyncio.run(Catalogue(store, None).create(COLLECTION, {"similarity": "cosine", "dimension": width}))
        path = store.path
    queries: Array | None = None
    best: list[tuple[float, int]] = []
    with closing(connect(path)) as connection:
        for pragma in ("PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", CACHE):
            connection.execute(pragma)
        with indexed_afterwards(connection):
            start = 0
            for keys in clustered(rows, width=width):
                queries = near(keys, QUESTIONS, 7) if queries is None else queries
                similarities = queries @ keys.T
                best_rows = similarities.argmax(axis=1)
                best_of_block = [
                    (float(row[row_index]), start + int(row_index))
                    for row, row_index in zip(similarities, best_rows, strict=True)
                ]
                best = [max(pair) for pair in zip(best, best_of_block, strict=True)] if best else best_of_block
                connection.execute("BEGIN")
                writer = Writer(connection)
                number = writer.collection(COLLECTION).id
                writer.upsert(
                    number, [DocumentRecord(name(start + i), None, i, keys[i : i + 1]) for i in range(len(keys))]
                )
                connection.execute("COMMIT")
                start += len(keys)
                print(f"\r{start:,} of {rows:,}", end="", file=sys.stderr, flush=True)
    assert queries is not None
    questions = [{"query": query.tolist(), "best": name(row)} for query, (_, row) in zip(queries, best, strict=True)]
    (directory / "questions.json").write_text(json.dumps(questions))
    os.sync()
    print(file=sys.stderr)


def name(row: int) -> str:
    """The id of a row."""
    return f"{row:09}"


@contextmanager
def indexed_afterwards(connection: Any) -> Iterator[None]:
    """Have the indexes over what comes in random order made at the end, in one sweep."""
    statements = [
        connection.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (index,)).fetchone()[0] for index in INDEXES
    ]
    for index in INDEXES:
        connection.execute(f"DROP INDEX {index}")
    yield
    for statement in statements:
        connection.execute(statement)


def body(question: dict[str, Any]) -> dict[str, Any]:
    """A question for the best match and no more."""
    return {"query": question["query"], "top_k": 1}


def started(service: Service, began: float, questions: dict[str, Any], seconds: float) -> float:
    """Seconds from when the process was started to its first answer; raises RuntimeError where that is wrong."""
    with service.client() as client:
        while time.perf_counter() - began < seconds:
            with suppress(httpx.TransportError):
                answer = client.post(ATTEND, json=body(questions))
                if answer.status_code == 200:
                    taken = time.perf_counter() - began
                    check(answer, questions)
                    return taken
                if answer.status_code not in (404, 503):
                    raise RuntimeError(f"the service answers {answer.status_code}: {answer.text[:500]}")
            if service.process.poll() is not None:
                raise RuntimeError("the service did not start")
            time.sleep(0.02)
    raise TimeoutError(f"there was no answer in {seconds:.0f} s")


def check(answer: httpx.Response, question: dict[str, Any]) -> None:
    """Raise RuntimeError where an answer is not the right one."""
    best = answer.json()["matches"][0]["id"]
    if best != question["best"]:
        raise RuntimeError(f"the best match is {question['best']}, and {best} was answered")


def forget(directory: Path) -> None:
    """Have the system forget what it holds of the files in memory."""
    os.sync()
    for path in directory.iterdir():
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def pairs(service: Service, questions: list[dict[str, Any]], count: int) -> list[tuple[float, float]]:
    """Milliseconds of the first question after a write, and of the next one; no question comes twice."""
    random, times = np.random.default_rng(5), []
    with service.client() as client:

        def milliseconds() -> float:
            near_one = np.array(questions[int(random.integers(len(questions)))]["query"])
            query = near_one + 0.01 * random.standard_normal(len(near_one))
            start = time.perf_counter()
            client.post(ATTEND, json={"query": query.tolist(), "top_k": 1}).raise_for_status()
            return 1000 * (time.perf_counter() - start)

        width = len(questions[0]["query"])
        for _ in range(10):
            milliseconds()
        for i in range(count):
            vector = random.standard_normal(width).tolist()
            path = f"/v1/collections/{COLLECTION}/documents/written-{i}"
            client.put(path, json={"key_vector": vector, "value": i}).raise_for_status()
            times.append((milliseconds(), milliseconds()))
    return times


def wait_until_sealed(directory: Path, rows: int, seconds: float) -> None:
    """Until every full block has its file."""
    deadline = time.perf_counter() + seconds
    while sealed(directory)[0] < rows // Limits().block_rows:
        if time.perf_counter() > deadline:
            raise TimeoutError(f"the blocks were not sealed in {seconds:.0f} s")
        time.sleep(1)


def sealed(directory: Path) -> tuple[int, float]:
    """Return the number of sealed files, and their bytes in GB."""
    sizes = [path.stat().st_size for path in directory.glob("softkv.sealed-*.block")]
    return len(sizes), sum(sizes) / 1e9


def main() -> None:
    """Fill, start, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--starts", type=int, default=3, help="in each state of the files")
    parser.add_argument("--pairs", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=3600, help="that a start may take")
    parser.add_argument("--directory", type=Path, default=Path(__file__).resolve().parents[1])
    parser.add_argument("--keep", action="store_true", help="leave the store behind, for the next run")
    chosen = parser.parse_args()
    data = chosen.directory / f"restart-{chosen.rows}-{chosen.width}"
    console = Console(width=120)
    if not (data / "questions.json").exists():
        shutil.rmtree(data, ignore_errors=True)
        began = time.perf_counter()
        filled(data, chosen.rows, chosen.width)
        print(f"{chosen.rows:,} rows were stored in {time.perf_counter() - began:.0f} s", file=sys.stderr)
    try:
        for table in measured(data, chosen):
            console.print(table)
    finally:
        if not chosen.keep:
            shutil.rmtree(data, ignore_errors=True)


def measured(data: Path, chosen: argparse.Namespace) -> Iterator[Table]:
    """Both tables."""
    questions = json.loads((data / "questions.json").read_text())
    for path in data.glob("softkv.sealed-*"):
        path.unlink()
    table = Table(
        title=f"{chosen.rows:,} keys of width {chosen.width}: seconds to the first right answer", box=box.SIMPLE
    )
    for heading in ("sealed files", "first answer", "of each start", "descriptors", "memory"):
        table.add_column(heading, justify="right")

    def start(state: str, times: int, *, cold: bool = False, then: Any = None) -> float:
        taken, memory, descriptors = [], 0.0, 0
        for number in range(times):
            if cold:
                forget(data)
            began = time.perf_counter()
            with Service(data, "--encoder", "none") as service:
                taken.append(started(service, began, questions[number % len(questions)], chosen.seconds))
                memory = max(memory, service.memory("VmHWM") / 1024)
                descriptors = len(os.listdir(f"/proc/{service.process.pid}/fd"))
                with service.client() as client:
                    for question in questions:
                        check(client.post(ATTEND, json=body(question)).raise_for_status(), question)
                if then is not None and number == times - 1:
                    then(service)
        each_start = ", ".join(f"{each:.1f}" for each in taken)
        table.add_row(state, f"{median(taken):.1f} s", each_start, f"{descriptors}", f"{memory:.1f} GiB")
        print(f"{state}: {each_start} s", file=sys.stderr)
        return median(taken)

    without = start(
        "none: all is read and coded", 1, then=lambda _: wait_until_sealed(data, chosen.rows, chosen.seconds)
    )
    count, size = sealed(data)
    found: list[tuple[float, float]] = []
    state = f"{count} of {size:.1f} GB in all"
    warm = start(f"{state}, in memory", chosen.starts, then=lambda s: found.extend(pairs(s, questions, chosen.pairs)))
    start(f"{state}, on disk", chosen.starts, cold=True)
    table.caption = f"with sealed files {without / warm:.1f} times sooner"
    yield table
    first, following = (median(column) for column in zip(*found, strict=True))
    after = Table(title=f"a question after a write, ms, medians of {len(found)} pairs", box=box.SIMPLE)
    for heading in ("first", "next", "first / next", "median of the pairs' own"):
        after.add_column(heading, justify="right")
    ratio = median(one / other for one, other in found)
    after.add_row(f"{first:.1f}", f"{following:.1f}", f"{first / following:.3f}", f"{ratio:.3f}")
    yield after


if __name__ == "__main__":
    main()
