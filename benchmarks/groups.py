"""Groups by weight and combined fields over HTTP, beside `attend` alone: milliseconds, and the distance from float64.

    python -m benchmarks.groups [--documents 1000000] [--groups 1000] [--questions 60]

Clustered unit vectors of width 384, with one field of `--groups` values at random and ten fields of numbers. Each
question is asked once for each option, one option after another, over one connection. "distance" is the largest
difference between a group's weight and its weight in float64, computed here from the same vectors; "error" is the
largest bound that an answer stated.
"""

from __future__ import annotations

import argparse
import base64
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import numpy as np
import orjson
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.keys import Array, gathered, near
from benchmarks.running import Service

TEMPERATURE, FIELDS, AT_ONCE, NAME = 0.05, 10, 2000, "grouped"
GROUP_BY = {"field": "metadata.group"}
READS = [{"field": f"metadata.n{i}", "as": "mean"} for i in range(FIELDS)]
OPTIONS: dict[str, dict[str, Any]] = {
    "attend": {},
    "group_by, 10 groups with 3 documents": {"group_by": GROUP_BY},
    "group_by, 10 groups without documents": {"group_by": GROUP_BY | {"documents": 0}},
    "read of one field": {"read": READS[0]},
    "read of ten fields": {"read": READS},
}


def fill(client: httpx.Client, keys: Array, groups: np.ndarray) -> None:
    """Create the collection, and upload its documents."""
    client.put(f"/v1/collections/{NAME}", json={"temperature": TEMPERATURE, "encoder": None}).raise_for_status()
    for start in range(0, len(keys), AT_ONCE):
        rows = range(start, min(start + AT_ONCE, len(keys)))
        body = orjson.dumps({"documents": [document(keys, groups, row) for row in rows]})
        headers = {"Content-Type": "application/json"}
        client.post(f"/v1/collections/{NAME}/documents", content=body, headers=headers).raise_for_status()


def document(keys: Array, groups: np.ndarray, row: int) -> dict[str, Any]:
    """One document in the form in which it is sent."""
    metadata: dict[str, Any] = {f"n{i}": (row * (i + 7)) % 1009 for i in range(FIELDS)}
    metadata["group"] = f"group {groups[row]}"
    return {"id": f"d{row}", "key_vector": {"base64": base64.b64encode(keys[row]).decode()}, "metadata": metadata}


def ask(client: httpx.Client, query: Array, options: dict[str, Any]) -> tuple[dict[str, Any], float]:
    """Return an answer and its milliseconds."""
    vector = {"base64": base64.b64encode(query.tobytes()).decode()}
    started = time.perf_counter()
    answer = client.post(f"/v1/collections/{NAME}/attend", json={"query": vector, "null": None} | options)
    milliseconds = 1000 * (time.perf_counter() - started)
    answer.raise_for_status()
    content: dict[str, Any] = answer.json()
    return content, milliseconds


def weigh(keys: Array, query: Array, groups: np.ndarray) -> np.ndarray:
    """Return the weight of each group in float64."""
    unit = query / np.linalg.norm(query.astype(np.float64))
    parts = (part.astype(np.float64) for part in np.array_split(keys, 50))
    logits = np.concatenate([part @ unit / np.linalg.norm(part, axis=1) for part in parts]) / TEMPERATURE
    terms = np.exp(logits - logits.max())
    return np.bincount(groups, terms / terms.sum())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--groups", type=int, default=1000)
    parser.add_argument("--questions", type=int, default=60)
    chosen = parser.parse_args()
    keys = gathered(chosen.documents)
    groups = np.random.default_rng(3).integers(0, chosen.groups, len(keys))
    queries, times, distance, error = near(keys, chosen.questions, 5), {name: [] for name in OPTIONS}, 0.0, 0.0
    with (
        tempfile.TemporaryDirectory() as folder,
        Service(Path(folder), "--encoder", "none") as service,
        service.client() as client,
    ):
        service.wait_until_ready()
        fill(client, keys, groups)
        print("the documents are stored", file=sys.stderr)
        for number, query in enumerate(queries):
            for name, options in OPTIONS.items():
                answer, milliseconds = ask(client, query, options)
                if number >= 5:  # the first questions read the fields from the disk
                    times[name].append(milliseconds)
                if name == "group_by, 10 groups with 3 documents" and number % 6 == 0:
                    expected = weigh(keys, query, groups)
                    error = max(error, answer["group_by"]["error"])
                    for group in answer["group_by"]["groups"]:
                        apart = abs(group["weight"] - expected[int(group["value"].split()[1])])
                        distance = max(distance, apart)
    table = Table(title=f"{len(keys):,} documents, {chosen.groups:,} groups: milliseconds", box=box.MARKDOWN)
    for name in ("", "median", "times attend"):
        table.add_column(name, justify="right" if name else "left")
    base = median(times["attend"])
    for name, measured in times.items():
        table.add_row(name, f"{median(measured):.1f}", f"{median(measured) / base:.2f}")
    Console(width=160).print(table)
    one, ten = median(times["read of one field"]), median(times["read of ten fields"])
    print(f"ten fields ÷ one field: {ten / one:.2f}; weights of groups: distance {distance:.1e}, error {error:.1e}")


if __name__ == "__main__":
    main()
