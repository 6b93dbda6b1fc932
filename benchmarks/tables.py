"""Rows of a file a second by `open_table`, beside the reader of the library that writes such files.

Both give each row as Python's values. All figures are of processor time, so that other work on the machine does not
count. `open_table` has another process read the file: if caller and process have a core each, the slower of them sets
the pace. The memory is that of this process at its peak, in which pages of a mapped file count.

python -m benchmarks.tables [--rows 1000000] [--rounds 3] [--only vec]
"""

from __future__ import annotations

import argparse
import gzip
import json
import lzma
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from statistics import median
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table
from safetensors.numpy import save_file

from benchmarks.running import environment_of, python_of

DIMENSION = 96
SHEET_SHARE = 20
"""The other files have this many times the rows of the spreadsheet, whose format has a limit."""
OURS = """
from softkv.tables import open_table
rows = sum(row.document is not None for row in open_table(path, **options))
"""
COUNTED = """
import json, resource, sys
path, options = sys.argv[1], json.loads(sys.argv[2])
{}
own, others = (resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(rows, sum(own[:2]), sum(others[:2]), others.ru_maxrss or peak)
"""
LINES = "import gzip, io, json, lzma, pyarrow, zipfile\nrows = sum(1 for line in {} if json.loads(line))"
BATCHES = "sum(len(part.to_pylist()) for part in pq.ParquetFile({}).iter_batches(1000))"
PARQUET = "import pathlib, pyarrow.parquet as pq\nrows = "
SHEET = """
from python_calamine import CalamineWorkbook
rows = len(CalamineWorkbook.from_path(path).get_sheet_by_index(0).to_python()) - 1
"""
WORDS = """
import numpy
file = open(path, "rb")
rows, width = map(int, file.readline().split())
for _ in range(rows):
    while file.read(1) != b" ":
        pass
    numpy.frombuffer(file.read(4 * width), "f4")
"""
HDF5 = """
import h5py
vectors = h5py.File(path)[{!r}]
rows = sum(1 for start in range(0, len(vectors), 1000) for vector in vectors[start : start + 1000])
"""


def columns(rows: int) -> dict[str, list[object]]:
    """Return the columns of books: an id, a text of a line, and metadata."""
    return {
        "id": [f"book-{number:07}" for number in range(rows)],
        "key": [
            f"The story of the cat {number * 2654435761 % 2**32:08x} that counted to {number}" for number in range(rows)
        ],
        "year": [1900 + number % 120 for number in range(rows)],
        "price": [number % 1000 / 8 for number in range(rows)],
        "shelf": [("poetry", "prose", "plays")[number % 3] for number in range(rows)],
    }


def vectors(rows: int) -> np.ndarray:
    """Return random vectors: float32[n, d]."""
    return np.random.default_rng(0).standard_normal((rows, DIMENSION), np.float32)


def lines(rows: int) -> bytes:
    """Return books as lines of JSON, with their metadata as an object."""
    names, content = list(columns(1))[2:], list[str]()
    for id_, key, *metadata in zip(*columns(rows).values(), strict=True):
        content.append(json.dumps({"id": id_, "key": key, "metadata": dict(zip(names, metadata, strict=True))}))
    return "\n".join(content).encode()


def save(path: Path, rows: int) -> None:  # one case for each format
    """Write a file as its name says: books, with ids and vectors, or vectors alone."""
    match path.suffix:
        case ".csv":
            pa.csv.write_csv(pa.table(columns(rows)), path)
        case ".tsv":
            pd.DataFrame(columns(rows)).iloc[:, :2].to_csv(path, sep="\t", header=False, index=False)
        case ".xlsx":
            pd.DataFrame(columns(rows // SHEET_SHARE)).to_excel(path, index=False)
        case ".json":
            points = [
                {"id": id_, "payload": {"text": key}} for id_, key, *_ in zip(*columns(rows).values(), strict=True)
            ]
            path.write_text(json.dumps({"result": {"points": points}}))
        case ".zip":
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr("books.jsonl", lines(rows))
        case ".zst":
            path.write_bytes(pa.compress(lines(rows), "zstd", asbytes=True))
        case ".jsonl" | ".gz" | ".xz" as ending:
            path.write_bytes({".gz": gzip.compress, ".xz": lzma.compress}.get(ending, bytes)(lines(rows)))
        case ".parquet" if path.stem == "vectors":
            keys = pa.FixedSizeListArray.from_arrays(pa.array(vectors(rows).ravel()), DIMENSION)
            pq.write_table(pa.table({"id": columns(rows)["id"], "key_vector": keys}), path)
        case ".parquet":
            pq.write_table(pa.table(columns(rows)), path)
        case "":
            path.mkdir()
            for number in range(10):
                shard = pa.table(columns(rows)).slice(number * rows // 10, rows // 10)
                pq.write_table(shard, path / f"part-{number}.parquet")
        case ".npy":
            np.save(path, vectors(rows))
        case ".safetensors":
            save_file({"v": vectors(rows)}, path)
        case ".hdf5" | ".h5ad":
            with h5py.File(path, "w") as file:
                file["X" if path.suffix == ".h5ad" else "train"] = vectors(rows)
                file["obs/_index"] = columns(rows)["id"]
        case ".vec" | ".bin":
            with path.open("wb") as words:
                words.write(f"{rows} {DIMENSION}\n".encode())
                for number, vector in enumerate(vectors(rows)):
                    text = b" ".join(b"%.5f" % one for one in vector) + b"\n"
                    words.write(f"word-{number} ".encode() + (vector.tobytes() if path.suffix == ".bin" else text))


READERS = {
    "books.csv": "import pandas\nrows = len(pandas.read_csv(path).to_dict('records'))",
    "passages.tsv": "import csv\nrows = sum(1 for row in csv.reader(open(path), delimiter='\\t'))",
    "books.jsonl": LINES.format("open(path)"),
    "books.jsonl.gz": LINES.format("gzip.open(path)"),
    "books.jsonl.xz": LINES.format("lzma.open(path)"),
    "books.jsonl.zst": LINES.format("io.BufferedReader(pyarrow.input_stream(path))"),
    "books.zip": LINES.format("zipfile.ZipFile(path).open('books.jsonl')"),
    "points.json": "rows = len(json.load(open(path))['result']['points'])",
    "books.xlsx": SHEET,
    "books.parquet": PARQUET + BATCHES.format("path"),
    "shards": PARQUET + f"sum({BATCHES.format('file')} for file in pathlib.Path(path).iterdir())",
    "vectors.parquet": PARQUET + BATCHES.format("path"),
    "vectors.npy": "import numpy\nrows = sum(1 for vector in numpy.load(path, 'r'))",
    "vectors.safetensors": "import safetensors.numpy as s\nrows = sum(1 for vector in s.load_file(path)['v'])",
    "vectors.hdf5": HDF5.format("train"),
    "cells.h5ad": HDF5.format("X"),
    "words.vec": "import numpy\nrows = sum(1 for line in open(path) if len(numpy.array(line.split()[1:], 'f4')) > 1)",
    "words.bin": WORDS,
}
OPTIONS = {"passages.tsv": {"columns": ["id", "key"]}, "points.json": {"key": "payload.text"}}


def read(path: Path, code: str, options: dict[str, Any], rows: int) -> tuple[float, float, float]:
    """Read a file by a program of its own; return the seconds of the processor in it and in its reader, and its MiB."""
    this = Path(__file__).parents[1]
    command = [python_of(this), "-c", COUNTED.format(code), str(path), json.dumps(options)]
    ended = subprocess.run(
        command, env=environment_of(this), cwd=path.parent, check=True, capture_output=True, text=True
    )
    read_rows, caller, process, kibibytes = map(float, ended.stdout.split())
    if read_rows != rows:
        raise RuntimeError(f"{path.name}: {read_rows:,.0f} of {rows:,} rows were read")
    return caller, process, kibibytes / 1024


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="files with this in their name")
    options = parser.parse_args()
    table = Table(
        title=f"{options.rows:,} rows, vectors of {DIMENSION} float32, medians of {options.rounds} runs in turns"
    )
    for column in ("", "the library, rows/s", "open_table, rows/s", "ratio", "library, MiB", "open_table, MiB"):
        table.add_column(column, justify="right" if column else "left")
    for name, code in READERS.items():
        if options.only not in name:
            continue
        rows = options.rows // (SHEET_SHARE if name.endswith("xlsx") else 1)
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory, name)
            save(path, options.rows)
            runs = [
                (read(path, code, {}, rows), read(path, OURS, OPTIONS.get(name, {}), rows))
                for _ in range(options.rounds)
            ]
        theirs, ours = ([median(part) for part in zip(*of, strict=True)] for of in zip(*runs, strict=True))
        pace = max(ours[:2])
        figures = f"{rows / theirs[0]:,.0f}", f"{rows / pace:,.0f}", f"{theirs[0] / pace:.2f}"
        row = name, *figures, f"{theirs[2]:,.0f}", f"{ours[2]:,.0f}"
        table.add_row(*row)
        sys.stderr.write(f"{' '.join(row)}\n")
    Console(width=120).print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
