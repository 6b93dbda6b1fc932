"""One request at the limits of each call: what it takes of the service, and what it makes another caller wait.

    python -m benchmarks limits

A service of its own has 20,000 documents with vectors of width 16 and metadata of 300 bytes. Each call is sent once,
with as many values, names, ids or queries as the service takes, while another key asks the same collection all the
time. The columns: processor seconds of the service until it is idle, with those for the other key's questions, the
most memory that it had, and the longest time of one of these questions. Wanted are less than 5 seconds, 500 MiB and one
second.

Encoding of texts, uploads, calibration, the lab and backups are left out: they take time by the size of what is sent.
So are `compare` and `trace`, which need an encoder.
"""

from __future__ import annotations

import base64
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.running import Service
from service.api.keyring import line_of

DOCUMENTS, WIDTH = 20_000, 16
PATH, WIDE = "/v1/collections/c", "/v1/collections/wide"
WHOLE = ["explanation", "key", "value", "metadata", "key_vector", "value_vector", "output"]
ASKED = [1.0] * WIDTH


def comparisons(count: int, fields: int, operator: str = "==", **options: Any) -> dict[str, Any]:
    """Return a filter of `count` comparisons, over `fields` different fields."""
    conditions = [
        {"field": f"metadata.f{i % fields}", "operator": operator, "value": f"value {i}", **options}
        for i in range(count)
    ]
    return {"operator": "OR", "conditions": conditions}


def calls() -> dict[str, tuple[str, Any]]:
    """Return the path and the body of each call, by its name in the table."""
    ids = [f"{i:05}" for i in range(10_000)]
    numbers = np.random.default_rng(2).standard_normal((2000, 1)).tolist()
    arrays = {"query": numbers, "key": numbers, "value": numbers}
    vectors = np.random.default_rng(3).standard_normal((90, 65_536)).astype("<f4")
    texts_of_vectors = [base64.b64encode(vector.tobytes()).decode() for vector in vectors]
    wide = [{"id": f"{i}", "key_vector": {"base64": text}} for i, text in enumerate(texts_of_vectors)]
    text = {"field": "metadata.text", "operator": "contains", "ignore_case": True}
    texts = {"operator": "OR", "conditions": [text | {"value": f"X{i}"} for i in range(50)]}
    return {
        "attend, 5,000 comparisons of 64 fields": (f"{PATH}/attend", {"query": ASKED, "filter": comparisons(5000, 64)}),
        "attend, 50 texts contained in 50 fields": (
            f"{PATH}/attend",
            {"query": ASKED, "filter": comparisons(50, 50, "contains")},
        ),
        "attend, 50 texts contained, case ignored": (f"{PATH}/attend", {"query": ASKED, "filter": texts}),
        "attend, 64 queries and their 5,000 comparisons": (
            f"{PATH}/attend",
            {"queries": [ASKED] * 64, "top_k": 10, "filter": comparisons(5000, 64)},
        ),
        "attend, 5,000 ids": (
            f"{PATH}/attend",
            {"query": ASKED, "filter": {"field": "id", "operator": "in", "value": ids[:5000]}},
        ),
        "attend, 64 queries, 10,000 matches, all fields": (
            f"{PATH}/attend",
            {"queries": [ASKED] * 64, "top_k": 156, "include": WHOLE},
        ),
        "attend, one query, 10,000 matches, all fields": (
            f"{PATH}/attend",
            {"query": ASKED, "top_k": 10_000, "include": WHOLE},
        ),
        "sweep, 1,000 temperatures, 1,000 matches": (
            f"{PATH}/sweep",
            {"query": ASKED, "temperatures": np.linspace(0.01, 1, 1000).tolist(), "top_k": 1000},
        ),
        "documents/query, 5,000 comparisons of 64 fields": (
            f"{PATH}/documents/query",
            {"filter": comparisons(5000, 64)},
        ),
        "documents/query, 50 texts contained, case ignored": (f"{PATH}/documents/query", {"filter": texts}),
        "documents/query, a page of 10,000 with vectors": (
            f"{PATH}/documents/query",
            {"limit": 10_000, "include": ["key", "value", "metadata", "key_vector"]},
        ),
        "documents/query, 10,000 ids": (f"{PATH}/documents/query", {"ids": ids, "limit": 10_000}),
        "documents/fields, 100 names, 1,000 values each": (
            f"{PATH}/documents/fields",
            {"fields": [f"metadata.f{i}" for i in range(100)], "values": True, "limit": 1000},
        ),
        "documents/delete, 10,000 ids that are not there": (
            f"{PATH}/documents/delete",
            {"ids": [f"none-{i}" for i in range(10_000)]},
        ),
        "feedback, 1,000 judgements": (
            f"{PATH}/feedback",
            {"feedback": [{"query": ASKED, "id": f"{i:05}", "right": True} for i in range(1000)]},
        ),
        "attend on arrays, 4,000,000 logits": ("/v1/attend", arrays),
        "attend on arrays, with all intermediate arrays": ("/v1/attend", arrays | {"intermediates": True}),
        "a room of 1,000 rows": ("/v1/rooms", {"rows": [{"key": f"key {i} " + 110 * "x"} for i in range(1000)]}),
        "MCP, a message of 250,000 bytes": (
            "/mcp",
            {
                "jsonrpc": "2.0",
                "id": 1,
                "method": "tools/call",
                "params": {"name": "list_collections", "arguments": {"prefix": 249_000 * "x"}},
            },
        ),
        "90 documents of width 65,536": (f"{WIDE}/documents", {"documents": wide}),
        "attend, 64 queries of width 65,536, 640 vectors": (
            f"{WIDE}/attend",
            {"queries": [document["key_vector"] for document in wide[:64]], "top_k": 10, "include": ["key_vector"]},
        ),
    }


def fill(client: httpx.Client) -> None:
    """Write the documents."""
    client.put(PATH, json={"encoder": None, "dimension": WIDTH}).raise_for_status()
    client.put(WIDE, json={"encoder": None, "dimension": 65_536}).raise_for_status()
    random = np.random.default_rng(1)
    for start in range(0, DOCUMENTS, 1000):
        documents = [
            {
                "id": f"{i:05}",
                "key": f"key {i}",
                "value": f"value {i}",
                "key_vector": vector,
                "metadata": {f"f{i % 64}": f"value {i}", "n": i, "text": f"{i} " + "Straße und Fluss " * 15},
            }
            for i, vector in enumerate(random.standard_normal((1000, WIDTH)).tolist(), start)
        ]
        client.post(f"{PATH}/documents", json={"documents": documents}).raise_for_status()


class Other:
    """Another key, which asks the collection all the time in a thread of its own.

    Attributes:
        longest: the longest time of a question so far, in seconds.
    """

    def __init__(self, service: Service) -> None:
        self.longest = 0.0
        self._over = threading.Event()
        self._service = service
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self) -> Other:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _ask(self) -> None:
        with self._service.client() as client:
            while not self._over.is_set():
                began = time.perf_counter()
                body = {"query": ASKED, "top_k": 3}
                client.post(f"{PATH}/attend", json=body, headers={"x-api-key": "other"}).raise_for_status()
                self.longest = max(self.longest, time.perf_counter() - began)
                self._over.wait(0.02)


def measure(service: Service, client: httpx.Client, path: str, body: Any) -> tuple[str, ...]:
    """Send a call, and return its row of the table without the name."""
    Path(f"/proc/{service.process.pid}/clear_refs").write_text("5")  # the most memory is that from now on
    before, began = service.processor_seconds(), time.perf_counter()
    with Other(service) as other:
        answer = client.post(path, json=body)
        took = time.perf_counter() - began
    service.wait_until_idle()
    return (
        str(answer.status_code),
        f"{len(answer.content) / 1e6:.1f} MB",
        f"{took:.2f} s",
        f"{service.processor_seconds() - before:.1f} s",
        f"{service.memory('VmHWM'):,.0f} MiB",
        f"{other.longest:.2f} s",
    )


def main() -> int:
    """Send each call, and print the table."""
    table = Table(box=box.ASCII2, title=f"one request at the limits, {DOCUMENTS:,} documents of width {WIDTH}")
    for heading in ("call", "status", "answer", "sent in", "processor", "memory", "the other key waits"):
        table.add_column(heading, justify="left" if heading == "call" else "right")
    with tempfile.TemporaryDirectory() as folder:
        keys = Path(folder, "keys")
        keys.write_text("".join(line_of(name, "write", "", name) + "\n" for name in ("one", "other")))
        options = ("--encoder", "none", "--keys-file", str(keys))
        with Service(Path(folder, "data"), *options) as service, service.client() as client:
            service.wait_until_ready()
            client.headers.update({"x-api-key": "one", "accept": "application/json, text/event-stream"})
            fill(client)
            client.post(f"{PATH}/attend", json={"query": ASKED}).raise_for_status()
            for name, (path, body) in calls().items():
                row = measure(service, client, path, body)
                table.add_row(name, *row)
                print(name, *row, sep=" | ", file=sys.stderr, flush=True)
    Console(file=sys.stdout, width=160).print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
