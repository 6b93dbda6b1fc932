"""Rows of a file a second by `open_table`, whose reader is another process, beside a reader in the caller's process.

All figures are of processor time, so that other work on the machine does not count. If caller and process have a core
each, the slower of them sets the pace; on one core, it is both.

python -m benchmarks.tables [--rows 500000] [--rounds 3] [--before CHECKOUT]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from benchmarks.running import environment_of, python_of

DIMENSION = 64
READING = """
import json, resource, sys
from pathlib import Path
from softkv.tables import Columns, open_table, opening
path, is_here = Path(sys.argv[1]), sys.argv[2] == "here"
open_ = getattr(opening, "open_here", None) if is_here else None
options = dict(delimiter=None, charset=None, ids=None, lines=None)
table = open_(path, Columns(), **options) if open_ else open_table(path)
rows = sum(row.document is not None for row in table)
print(rows, *(sum(resource.getrusage(whose)[:2]) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))
"""


def columns(rows: int) -> dict[str, list[object]]:
    """Return the columns of books: an id, a text of a line, and metadata."""
    return {
        "id": [f"book-{number:07}" for number in range(rows)],
        "key": [f"The story of the cat that counted to {number} and purred, by the sea" for number in range(rows)],
        "year": [1900 + number % 120 for number in range(rows)],
        "price": [number % 1000 / 8 for number in range(rows)],
        "shelf": [("poetry", "prose", "plays")[number % 3] for number in range(rows)],
    }


def vectors(rows: int) -> np.ndarray:
    """Return random vectors: float32[n, d]."""
    return np.random.default_rng(0).standard_normal((rows, DIMENSION), np.float32)


def save_lines(path: Path, rows: int) -> None:
    """Write books as lines of JSON, with their metadata as an object."""
    table = columns(rows)
    with path.open("w") as file:
        for id_, key, *metadata in zip(*table.values(), strict=True):
            names = list(table)[2:]
            file.write(json.dumps({"id": id_, "key": key, "metadata": dict(zip(names, metadata, strict=True))}) + "\n")


def save_parquet(path: Path, rows: int) -> None:
    """Write ids and vectors."""
    keys = pa.FixedSizeListArray.from_arrays(pa.array(vectors(rows).ravel()), DIMENSION)
    pq.write_table(pa.table({"id": columns(rows)["id"], "key_vector": keys}), path)


FILES: dict[str, Callable[[Path, int], None]] = {
    "books.csv": lambda path, rows: pa.csv.write_csv(pa.table(columns(rows)), path),
    "books.jsonl": save_lines,
    "books.parquet": lambda path, rows: pq.write_table(pa.table(columns(rows)), path),
    "vectors.parquet": save_parquet,
    "vectors.npy": lambda path, rows: np.save(path, vectors(rows)),
}


def read(path: Path, mode: str, checkout: Path, rows: int) -> tuple[float, float]:
    """Read a file by a program of its own; return the seconds of the processor in it and in its reader."""
    command = [python_of(checkout), "-c", READING, str(path), mode]
    ended = subprocess.run(
        command, env=environment_of(checkout), cwd=path.parent, check=True, capture_output=True, text=True
    )
    read_rows, caller, process = map(float, ended.stdout.split())
    if read_rows != rows:
        raise RuntimeError(f"{path.name}: {read_rows:,.0f} of {rows:,} rows were read")
    return caller, process


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--before", type=Path, help="another checkout, in place of a reader in the caller's process")
    options = parser.parse_args()
    this = Path(__file__).parents[1]
    other = "in the caller" if options.before is None else options.before.name
    table = Table(
        title=f"{options.rows:,} rows, vectors of {DIMENSION} float32, medians of {options.rounds} runs in turns"
    )
    columns = (f"{other}, rows/s", "a process, rows/s", "ratio", "ratio on one core", "of the caller", "of the process")
    for column in ("", *columns):
        table.add_column(column, justify="right" if column else "left")
    for name, save in FILES.items():
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory, name)
            save(path, options.rows)
            runs = [
                (read(path, "here", options.before or this, options.rows), read(path, "process", this, options.rows))
                for _ in range(options.rounds)
            ]
        before = median(caller for (caller, _), _ in runs)
        caller, process = (median(seconds) for seconds in zip(*(now for _, now in runs), strict=True))
        table.add_row(
            name,
            f"{options.rows / before:,.0f}",
            f"{options.rows / max(caller, process):,.0f}",
            f"{before / max(caller, process):.2f}",
            f"{before / (caller + process):.2f}",
            f"{caller:.1f} s",
            f"{process:.1f} s",
        )
    Console(width=120).print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
