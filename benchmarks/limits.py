"""Twice the input of each call: at most 2.2 times the processor time and memory, and no other caller waits for it.

    python -m benchmarks.limits [PART …]

A service has 20,000 documents with vectors of width 16, 10 of width 65,536, 200 with texts, all-MiniLM-L6-v2 and a
random reranker. Each call is sent with an input and with twice the input. The columns: processor seconds of the service
and of the processes that it starts, and the most memory of the service beyond that before the call; the ratios are
given where twice the input takes 0.5 seconds or 64 MiB. Such a call of 0.5 seconds is sent twice more. Meanwhile
another key asks all the time, by vectors and by texts: `waits` is the longest time of a question. Then the caller
leaves after a third of the time: `after` are the processor seconds of the service from then on.

Wanted are ratios of at most 2.2, 500 MiB, and one second and two; ! marks what is more. A write goes on without its
caller, so its last column has no mark. PART is a part of a name in the first column. Every call with a body that the
API describes is in `CALLS` or `FIXED`.
"""

from __future__ import annotations

import base64
import http.client
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from itertools import count, cycle, islice
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.running import Service
from softkv_service.api.keyring import line_of
from tests.checkpoints import save_cross_encoder

DOCUMENTS, WIDTH, MODEL = 20_000, 16, "all-MiniLM-L6-v2"
ASKED, WHOLE = [1.0] * WIDTH, ["key", "value", "metadata", "key_vector"]
WIDE = {"base64": base64.b64encode(np.ones(65_536, "<f4").tobytes()).decode()}
IDS = [f"{i:05}" for i in range(DOCUMENTS)]
LONG = 2_000_000  # characters
NUMBERS, GOLD = count(), cycle([None, "00001"])
FIXED = {  # their bodies are a few short values, or say for how many seconds to train
    *("put_alias", "put_collection", "start_re_encoding", "train_model", "decode_source"),
    *("put_room_row", "patch_room", "ask_room", "put_guess"),
    "leave_words_out",
}


def compared(n: int) -> dict[str, Any]:
    """Return a filter of n comparisons of 64 fields."""
    conditions = [{"field": f"metadata.f{i % 64}", "operator": "==", "value": f"{i}"} for i in range(n)]
    return {"operator": "OR", "conditions": conditions}


def contained(*texts: str) -> dict[str, Any]:
    """Return a filter of texts that a field contains, in any case."""
    contains = {"field": "metadata.text", "operator": "contains", "ignore_case": True}
    return {"operator": "OR", "conditions": [contains | {"value": text} for text in texts]}


def words(n: int, start: int = 0) -> str:
    """Return a text of n words."""
    return " ".join(f"w{i}" for i in range(start, start + n))


def texts(n: int, length: int = 5) -> list[str]:
    """Return n texts, which are others for each n: the cache of the encoder knows none."""
    return [f"{n} {words(length, i)}" for i in range(n)]


def rows(n: int, columns: int = WIDTH) -> list[list[float]]:
    """Return n random rows."""
    array: list[list[float]] = np.random.default_rng(n).standard_normal((n, columns)).tolist()
    return array


def new(n: int, **fields: Any) -> list[dict[str, Any]]:
    """Return n documents with these fields, and with ids that no document had before."""
    return [{"id": f"new {i}", **fields} for i in islice(NUMBERS, n)]


def levels(n: int) -> dict[str, Any]:
    """Return metadata of that many levels."""
    return {"a": levels(n - 1)} if n > 1 else {"a": 1}


CALLS: dict[str, Callable[[int], Any]] = {  # the name of an operation, its collection and query; and its body by size
    "attend c: queries": lambda n: {"queries": [ASKED] * 32 * n, "include": WHOLE, "top_k": 156},
    "attend c: matches": lambda n: {"query": ASKED, "top_k": 5000 * n, "include": WHOLE},
    "attend w: wide vectors": lambda n: {"queries": [WIDE] * 3 * n, "top_k": 10, "include": ["key_vector"]},
    "attend c: comparisons": lambda n: {"query": ASKED, "filter": compared(2500 * n)},
    "attend c: bias of comparisons": lambda n: {"query": ASKED, "bias": {"filter": compared(2500 * n), "addend": 1}},
    "attend c: texts contained": lambda n: {"query": ASKED, "filter": contained(*texts(25 * n))},
    "attend c: long text contained": lambda n: {"query": ASKED, "filter": contained(n * LONG * "a")},
    "attend c: groups": lambda n: {"query": ASKED, "group_by": {"field": "metadata.group", "groups": 50 * n}},
    "attend t: words": lambda n: {"query": "a", "full_text": {"weight": 0.1, "query": words(250 * n)}},
    "attend t: long query": lambda n: {"query": n * LONG * "."},
    "attend t: parts": lambda n: {"query": [{"text": text} for text in texts(50 * n)]},
    "attend t: highlights": lambda n: {"query": "a", "top_k": 5 * n, "include": ["highlight"]},
    "attend t: reranked": lambda n: {"query": words(500), "rerank": {"model": "r", "depth": 100 * n, "weight": 1}},
    "sweep c": lambda n: {"query": ASKED, "temperatures": np.linspace(0.01, 1, 500 * n).tolist(), "top_k": 900},
    "compare t": lambda n: {"query": n * LONG * "."},
    "compare_rows": lambda n: {"query": "a", "rows": [{"id": t, "key": t} for t in texts(100 * n, 3)]},
    "query_documents c: comparisons": lambda n: {"filter": compared(2500 * n)},
    "query_documents c: texts contained": lambda n: {"filter": contained(*texts(25 * n))},
    "query_documents c: page": lambda n: {"limit": 5000 * n, "include": WHOLE},
    "describe_fields c": lambda n: {"fields": [f"metadata.f{i}" for i in range(50 * n)], "values": True},
    "post_documents c: vectors": lambda n: {"documents": new(5000 * n, key_vector=ASKED)},
    "post_documents w: wide vectors": lambda n: {"documents": new(45 * n, key_vector=WIDE)},
    "post_documents c: levels": lambda n: {"documents": new(2500 * n, metadata=levels(30))},
    "post_documents t: texts": lambda n: {"documents": [{"id": t, "key": t} for t in texts(200 * n, 4)]},
    "post_documents c: lines": lambda n: b"\n".join(json.dumps(d).encode() for d in new(9999 * n, key_vector=ASKED)),
    "put_document t: long text": lambda n: {"key": n * LONG * "."},
    "put_document t: parts": lambda n: {"key": words(3000 * n, n), "split": {"tokens": 250}},
    "put_document c: lists": lambda n: {"value": [[1]] * 400_000 * n},
    "patch_document c": lambda n: {"value": n * LONG * "x"},
    "update_documents c": lambda n: {"ids": IDS[: 2500 * n], "patch": {"metadata": {"b": n}}},
    "delete_documents c": lambda n: {"ids": [f"no {i}" for i in range(100_000 * n)]},
    "calibrate c": lambda n: {"questions": [{"query": r, "id": i} for r, i in zip(rows(500 * n), GOLD, strict=False)]},
    "give_feedback c": lambda n: {"feedback": [{"query": ASKED, "id": i, "right": True} for i in IDS[: 500 * n]]},
    "delete_feedback c": lambda n: {"numbers": list(range(10**9, 10**9 + 100_000 * n))},
    "store_projection c": lambda n: {"down": [ASKED] * 8 * n, "up": [ASKED] * 8 * n},
    "attend_arrays": lambda n: {"query": rows(1000 * n, 1), "key": rows(2000, 1), "value": rows(2000, 1)},
    "encode: texts": lambda n: {"texts": texts(200 * n, 10)},
    "encode: long text": lambda n: {"texts": [n * LONG * "."], "tokens": True},
    "encode: long word": lambda n: {"texts": [n * LONG * "a"]},
    "trace": lambda n: {"text": words(10 * n)},
    "embeddings: texts": lambda n: {"model": MODEL, "input": texts(200 * n, 6)},
    "embeddings: long text": lambda n: {"model": MODEL, "input": n * LONG * "."},
    "rerank: documents": lambda n: {"model": "r", "query": words(1000), "documents": texts(500 * n)},
    "rerank: long document": lambda n: {"model": "r", "query": 9999 * ".", "documents": [n * LONG * "."]},
    "rerank_as_cohere": lambda n: {"model": "r", "query": "a", "documents": texts(500 * n, 7)},
    "score: pairs": lambda n: {"model": "r", "text_1": texts(500 * n, 8), "text_2": texts(500 * n, 9)},
    "score: long texts": lambda n: {"model": "r", "text_1": [n * 2_400_000 * "."], "text_2": [n * 2_400_000 * ","]},
    "read_table?file=a.csv: rows": lambda n: b"id,key\n" + 100_000 * n * b"1,one\n",
    "read_table?file=a.csv: long cell": lambda n: b"id,key\n1," + n * LONG * b"x",
    "read_table?file=a.json: digits": lambda n: b'[{"id": 1, "key": %s}]' % (n * LONG * b"7"),
    "read_table?file=a.json: levels": lambda n: n * LONG * b"[",
    "open_room": lambda n: {"rows": [{"key": text} for text in texts(500 * n, 20)]},
    "patch_collection c": lambda n: {"defaults": {"filter": compared(2500 * n)}},
    "mcp": lambda n: {"jsonrpc": "2.0", "id": 1, "method": "x", "params": {"a": n * 120_000 * "x"}},
}


def operations() -> dict[str, tuple[str, str, str]]:
    """Return the method, path and type of the body of each operation that has one, and of a message to /mcp."""
    api = json.loads(Path("service/softkv_service/api/openapi.json").read_text())["paths"]
    return {"mcp": ("post", "/mcp", "application/json")} | {
        operation["operationId"]: (method, path, list(operation["requestBody"]["content"])[-1])
        for path, methods in api.items()
        for method, operation in methods.items()
        if "requestBody" in operation
    }


class Call:
    """A call of a service, by its name in `CALLS`."""

    def __init__(self, service: Service, name: str) -> None:
        target, _, _ = name.partition(":")
        target, _, collection = target.partition(" ")
        operation, _, query = target.partition("?")
        self.method, path, self.type = operations()[operation]
        self.path = f"{path.format(name=collection, id='00001')}?{query}"
        self.writes = name.startswith(("post_", "put_", "patch_", "update_", "delete_"))
        self.service, self.input = service, CALLS[name]

    def connect(self, n: int) -> http.client.HTTPConnection:
        """Return a connection on which the call of that size was sent."""
        body = self.input(n)
        lines = isinstance(body, bytes)
        headers = {"content-type": self.type if lines else "application/json", "x-api-key": "one"}
        headers |= {"accept": "application/json, text/event-stream"} if self.path == "/mcp?" else {}
        connection = http.client.HTTPConnection(self.service.url.removeprefix("http://"), timeout=600)
        connection.request(self.method.upper(), self.path, body if lines else json.dumps(body), headers)
        return connection

    def measure(self, n: int) -> tuple[int, float, float, float]:
        """Return the status, seconds, processor seconds and MiB of the call."""
        Path(f"/proc/{self.service.process.pid}/clear_refs").write_text("5")  # the most memory is that from now on
        idle, before, began = self.service.memory(), self.service.processor_seconds(), time.perf_counter()
        answer = self.connect(n).getresponse()
        answer.read()
        seconds = time.perf_counter() - began
        self.service.wait_until_idle()
        spent, peak = self.service.processor_seconds() - before, self.service.memory("VmHWM")
        return answer.status, seconds, spent, peak - idle

    def waits(self) -> float:
        """Return the longest time of a question of another key meanwhile, in seconds."""
        over, times = threading.Event(), [0.0]

        def ask() -> None:
            with self.service.client() as client:
                while not over.is_set():
                    began = time.perf_counter()
                    name, query = ("o", ASKED) if len(times) % 2 else ("t", f"the time is {began}")
                    body, headers = {"query": query, "top_k": 3}, {"x-api-key": "other"}
                    client.post(f"/v1/collections/{name}/attend", json=body, headers=headers).raise_for_status()
                    times.append(time.perf_counter() - began)
                    over.wait(0.02)

        thread = threading.Thread(target=ask)
        thread.start()
        self.connect(2).getresponse().read()
        over.set()
        thread.join()
        self.service.wait_until_idle()
        return max(times)

    def goes_on(self, seconds: float) -> float:
        """Return the processor seconds after its caller has left, that many seconds after it has sent the call."""
        connection = self.connect(2)
        time.sleep(seconds)
        connection.close()
        before = self.service.processor_seconds()
        self.service.wait_until_idle()
        return self.service.processor_seconds() - before

    def row(self) -> Iterator[str]:
        """Yield the columns of the call, without its name."""

        def column(figure: float, limit: float, unit: str) -> str:
            return f"{figure:.{0 if unit == ' MiB' else 1}f}{unit}{' !' if figure > limit else ''}"

        (once_status, _, *once), (status, seconds, *twice) = self.measure(1), self.measure(2)
        yield f"{status}" if status == once_status else f"{once_status}, {status}"
        for before, after, limit, least, unit in zip(once, twice, (1e9, 500), (0.5, 64), (" s", " MiB"), strict=True):
            yield column(before, limit, unit)
            yield column(after, limit, unit)
            yield column(round(after / max(before, 0.01), 1), 2.2, "") if after >= least else ""
        if twice[0] >= 0.5:
            yield column(self.waits(), 1, " s")
            yield column(self.goes_on(seconds / 3), 1e9 if self.writes else 2, " s")


def fill(client: httpx.Client) -> None:
    """Write the documents."""
    for name in "co":
        client.put(f"/v1/collections/{name}", json={"encoder": None, "dimension": WIDTH}).raise_for_status()
    client.put("/v1/collections/t", json={"temperature": 1}).raise_for_status()
    for start in range(0, DOCUMENTS, 1000):
        documents = [
            {
                "id": IDS[i],
                "key_vector": vector,
                "value": f"value {i}",
                "metadata": {f"f{i % 64}": f"{i}", "group": i % 200, "text": f"{i} " + "Straße und Fluss " * 15},
            }
            for i, vector in enumerate(rows(1000), start)
        ]
        for name in "co":
            client.post(f"/v1/collections/{name}/documents", json={"documents": documents}).raise_for_status()
    client.put("/v1/collections/w", json={"encoder": None, "dimension": 65_536}).raise_for_status()
    wide = [{"id": f"{i}", "key_vector": row} for i, row in enumerate(rows(10, 65_536))]
    client.post("/v1/collections/w/documents", json={"documents": wide}).raise_for_status()
    documents = [{"id": f"{i}", "key": ". ".join(f"The {i} sees w{i + k}" for k in range(90))} for i in range(200)]
    client.post("/v1/collections/t/documents", json={"documents": documents}).raise_for_status()


def main() -> int:
    """Send each call, and print the table."""
    table = Table(box=box.ASCII2, title="one request, and twice its input")
    table.add_column("call")
    for heading in "status processor twice ratio memory twice ratio waits after".split():  # noqa: SIM905
        table.add_column(heading, justify="right")
    with tempfile.TemporaryDirectory() as folder:
        keys, encoders, reranker = (Path(folder, name) for name in ("keys", "encoders.toml", "reranker"))
        keys.write_text("".join(line_of(name, "write", "", name) + "\n" for name in ("one", "other")))
        save_cross_encoder(reranker)
        encoders.write_text(
            f'default = "{MODEL}"\n[encoders.{MODEL}]\nmodel = "{MODEL}"\n[rerankers.r]\nmodel = "{reranker}"\n'
        )
        options = ("--encoders", str(encoders), "--keys-file", str(keys))
        with Service(Path(folder, "data"), *options) as service, service.client() as client:
            service.wait_until_ready()
            client.headers["x-api-key"] = "one"
            fill(client)
            client.post("/v1/rerank", json={"model": "r", "query": "a", "documents": ["a"]}).raise_for_status()
            for name in CALLS:
                if not sys.argv[1:] or any(part in name for part in sys.argv[1:]):
                    row = list(Call(service, name).row())
                    table.add_row(name, *row)
                    print(name, *row, sep=" | ", file=sys.stderr, flush=True)
    Console(file=sys.stdout, width=160).print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
