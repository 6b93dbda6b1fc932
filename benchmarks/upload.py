"""Documents a second by NDJSON, with vectors, and the memory that takes.

python -m benchmarks.upload [--documents 100000]
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.running import Service

DIMENSION = 384
LINES_AT_ONCE = 1000


def lines(documents: int) -> Iterator[bytes]:
    """NDJSON of random unit vectors, a thousand lines at a time, made as they are sent."""
    rng = np.random.default_rng(0)
    for start in range(0, documents, LINES_AT_ONCE):
        keys = rng.normal(size=(min(LINES_AT_ONCE, documents - start), DIMENSION)).astype("<f4")
        keys /= np.linalg.norm(keys, axis=1, keepdims=True)
        yield b"".join(line(start + i, key) for i, key in enumerate(keys))


def line(number: int, key: np.ndarray) -> bytes:
    """A document, its vector as base64."""
    vector = {"base64": base64.b64encode(key.tobytes()).decode()}
    return (
        json.dumps(
            {"id": f"{number:07}", "value": number, "metadata": {"n": number % 10}, "key_vector": vector}
        ).encode()
        + b"\n"
    )


def upload(service: Service, collection: str, documents: int, content: Iterable[bytes] | None = None) -> float:
    """Fill a collection without an encoder; return the seconds.

    `content` is the NDJSON of the documents; None for that of `lines`.
    """
    with service.client() as client:
        client.put(f"/v1/collections/{collection}", json={"encoder": None, "dimension": DIMENSION}).raise_for_status()
        started = time.perf_counter()
        answer = client.post(
            f"/v1/collections/{collection}/documents",
            content=lines(documents) if content is None else content,
            headers={"content-type": "application/x-ndjson"},
        )
        seconds = time.perf_counter() - started
    last = json.loads(answer.text.splitlines()[-1])
    if last != {"done": True, "upserted": documents, "refused": 0}:
        raise RuntimeError(f"the upload ended with {last}")
    return seconds


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=100_000)
    documents = parser.parse_args().documents
    with tempfile.TemporaryDirectory() as directory, Service(Path(directory), "--encoder", "none") as service:
        service.wait_until_ready()
        before = service.memory()
        seconds = upload(service, "upload", documents)
        peak = service.memory("VmHWM")
        disk = sum(file.stat().st_size for file in Path(directory).iterdir()) / 2**20
    table = Table(title=f"NDJSON upload, {documents:,} documents of width {DIMENSION}")
    for column in ("documents/s", "seconds", "peak memory", "of which keys", "before", "on disk"):
        table.add_column(column, justify="right")
    keys = documents * DIMENSION * 4 / 2**20
    table.add_row(
        f"{documents / seconds:,.0f}",
        f"{seconds:.1f}",
        f"{peak:,.0f} MiB",
        f"{keys:,.0f} MiB",
        f"{before:,.0f} MiB",
        f"{disk:,.0f} MiB",
    )
    Console().print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
