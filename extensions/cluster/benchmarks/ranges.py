"""A shard that a server loads again: from PostgreSQL, with its codes computed, or from its sealed file.

    python -m extensions.cluster.benchmarks.ranges --repeats 4

In turn, from a PostgreSQL of this machine; then how long a file's vectors take to be checked, all of them.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import psycopg

from benchmarks.keys import clustered
from service.retrieval.collections import KeyStorage
from service.storage import SharedStore, open_shared
from service.storage.records import CollectionRecord, CollectionSettings, DocumentRecord
from softkv_cluster.server.files import ReplicaFiles
from softkv_cluster.server.replica import Replica
from softkv_cluster.service import shard_stop
from tests.postgres import running

WIDTH = 384
BATCH = 4096
FIRST_ROW = 2**20
"""The first row of the first shard of full size."""
ROWS = shard_stop(FIRST_ROW) - FIRST_ROW + 2000
"""The rows of this shard, and some after it."""


def main() -> int:
    """Print seconds of each way, turn by turn, and their medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=ROWS, help="of the collection, whose first shard is loaded")
    parser.add_argument("--repeats", type=int, default=4)
    options = parser.parse_args()
    with running() as server, TemporaryDirectory() as folder:
        address = server.database()
        store = open_shared(address)
        try:
            record = filled(store, address, options.rows)
            compare(store, record, Path(folder), options.repeats)
        finally:
            store.close()
    return 0


def filled(store: SharedStore, address: str, rows: int) -> CollectionRecord:
    """Return a collection of `rows` rows, from `FIRST_ROW` on."""
    with store.writing() as writer:
        number = writer.create_collection("c", CollectionSettings("cosine", 0.05, dimension=WIDTH)).id
    with psycopg.connect(address) as connection:
        connection.execute("UPDATE softkv.collections SET next_row = %s", (FIRST_ROW,))
    first = 0
    for keys in clustered(rows, width=WIDTH):
        for begin in range(0, len(keys), BATCH):
            batch = keys[begin : begin + BATCH]
            documents = [
                DocumentRecord(str(first + begin + position), None, position, key[np.newaxis])
                for position, key in enumerate(batch)
            ]
            with store.writing() as writer:
                writer.upsert(number, documents)
        first += len(keys)
    return store.extent(number)[0]


def compare(store: SharedStore, record: CollectionRecord, folder: Path, repeats: int) -> None:
    """Load the shard both ways in turn, and print how long each took."""
    files, no_files = ReplicaFiles(folder, "with"), ReplicaFiles(None, "without")

    def held(chosen: ReplicaFiles) -> tuple[Replica, float]:
        begun = time.perf_counter()
        result = Replica.read(store, record, FIRST_ROW, KeyStorage(None), chosen.of(store, record.id, FIRST_ROW))
        return result, time.perf_counter() - begun

    first, _ = held(files)
    while first.compact():
        pass
    first.complete = True
    while first.seal():
        pass
    written = [path.stat().st_size for path in folder.glob("*/*")]
    print(f"{first.rows:,} rows of width {WIDTH} in {len(written)} files of {sum(written) / 1e6:,.0f} MB together")
    del first
    print("seconds until it is loaded  from PostgreSQL   from its files   checking all vectors of these")
    seconds: dict[str, list[float]] = {"read": [], "files": [], "checked": []}
    for turn in range(repeats):
        again, read = held(no_files)
        del again
        again, mapped = held(files)
        begun = time.perf_counter()
        while again.seal():
            pass
        checked = time.perf_counter() - begun
        del again
        for name, took in zip(seconds, (read, mapped, checked), strict=True):
            seconds[name].append(took)
        print(f"turn {turn + 1:<19} {read:17.2f} {mapped:16.2f} {checked:31.2f}", flush=True)
    read, mapped, checked = map(median, seconds.values())
    print(f"{'median':24} {read:17.2f} {mapped:16.2f} {checked:31.2f}")


if __name__ == "__main__":
    sys.exit(main())
