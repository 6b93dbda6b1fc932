"""The effect of one caller's flood on another, and the answers under far too many requests.

    python -m benchmarks.overload [--seconds 6] [--overload 60] [--only NAME …]

One service has 20,000 documents of width 384; its callers are separate processes with separate keys. One sends the
largest requests that the limits allow, over eight connections; the other sends a small question and /livez ten times a
second. Then 200 connections send a mixture of requests, as fast as they are answered.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import statistics
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.floods import FLOODS, KEYS, WIDTH, Call, flood, stalled
from benchmarks.running import Service

DOCUMENTS, PART = 20_000, 1000
CONNECTIONS = 200
PAUSE_SECONDS = 0.1
OPTIONS = ("--max-queue", "64")


def small_calls() -> dict[str, Call]:
    """A small call of each kind of place."""
    vector = np.random.default_rng(3).standard_normal(WIDTH).round(4).tolist()
    return {
        "lookup": ("POST", "/v1/collections/keys/attend", {"query": vector, "top_k": 3}),
        "read": ("POST", "/v1/collections/keys/documents/query", {"limit": 3}),
        "write": ("PUT", "/v1/collections/written/documents/a", {"key_vector": vector}),
        "encode": ("POST", "/v1/encode", {"texts": ["a small text"]}),
        "stateless": ("POST", "/v1/attend", {"query": [[1, 0]], "key": [[1, 0], [0, 1]], "value": [[1], [2]]}),
    }


def fill(client: httpx.Client) -> None:
    """The collections that are asked and written to."""
    for name in ("keys", "written"):
        client.put(f"/v1/collections/{name}", json={"encoder": None, "dimension": WIDTH}).raise_for_status()
    vectors = np.random.default_rng(1).standard_normal((DOCUMENTS, WIDTH)).round(4)
    for start in range(0, DOCUMENTS, PART):
        rows = enumerate(vectors[start : start + PART].tolist(), start)
        documents = [{"id": str(i), "key_vector": row, "value": f"value {i}"} for i, row in rows]
        client.post("/v1/collections/keys/documents", json={"documents": documents}).raise_for_status()


def asked(url: str, call: Call, seconds: float) -> tuple[list[float], Counter[int]]:
    """Milliseconds of a call asked ten times a second, and the statuses that came."""
    taken, statuses = list[float](), Counter[int]()
    method, path, body = call
    with httpx.Client(base_url=url, timeout=60, trust_env=False, headers={"x-api-key": KEYS[1]}) as client:
        until = time.perf_counter() + seconds
        while (started := time.perf_counter()) < until:
            statuses[client.request(method, path, json=body).status_code] += 1
            taken.append(1e3 * (time.perf_counter() - started))
            time.sleep(max(0.0, PAUSE_SECONDS - (time.perf_counter() - started)))
    return taken, statuses


def victim(url: str, seconds: float, message: Any) -> None:
    """In a process: what a small question and /livez take meanwhile."""
    livez: Call = ("GET", "/livez", None)
    with ThreadPoolExecutor(2) as threads:
        both = [threads.submit(asked, url, call, seconds) for call in (small_calls()["lookup"], livez)]
        message.put([latencies.result() for latencies in both])


def under(service: Service, attack: Callable[..., None] | None, name: str, seconds: float) -> list[str]:
    """A row: what another caller's question and /livez take under one attack, and the memory there was at most."""
    service.wait_until_idle()  # what the last one has left to do is not this one's
    processes = multiprocessing.get_context("spawn")
    results, over = processes.Queue(), processes.Event()
    attackers = [processes.Process(target=attack, args=(service.url, name, over))] if attack else []
    for attacker in attackers:
        attacker.start()
    time.sleep(2.0 if attackers else 0.0)
    watching = processes.Process(target=victim, args=(service.url, seconds, results))
    watching.start()
    (questions, statuses), (probes, _) = results.get()
    over.set()
    for attacker in (watching, *attackers):
        attacker.join(20)
        attacker.kill()
    refused = sum(count for status, count in statuses.items() if status != 200)
    return [name, *_times(questions), str(refused), *_times(probes), f"{service.memory('VmHWM'):.0f}"]


def _times(taken: list[float]) -> list[str]:
    ordered = sorted(taken)
    return [f"{ordered[len(ordered) // 2]:.1f}", f"{ordered[int(0.99 * (len(ordered) - 1))]:.0f}", f"{ordered[-1]:.0f}"]


def crowd(url: str, connections: int, seconds: float, key: str, message: Any) -> None:
    """Send requests of any kind over `connections` connections, one after another; runs in a process."""
    calls = list(small_calls().items())

    def ask(number: int) -> list[tuple[str, int, float, float]]:
        chance, outcomes = random.Random(number), []
        with httpx.Client(base_url=url, timeout=60, trust_env=False, headers={"x-api-key": key}) as client:
            until = time.perf_counter() + seconds
            while (started := time.perf_counter()) < until:
                kind, (method, path, body) = chance.choice(calls)
                try:
                    status = client.request(method, path, json=body).status_code
                except httpx.TransportError:
                    status = 0
                outcomes.append((kind, status, started, 1e3 * (time.perf_counter() - started)))
        return outcomes

    with ThreadPoolExecutor(connections) as threads:
        message.put([outcome for outcomes in threads.map(ask, range(connections)) for outcome in outcomes])


def overload(service: Service, seconds: float, console: Console) -> None:
    """The table of what 200 connections are answered, and how soon all is well again."""
    processes = multiprocessing.get_context("spawn")
    results = processes.Queue()
    before, _ = asked(service.url, small_calls()["lookup"], 3)
    parts = [(key, CONNECTIONS // (2 * len(KEYS))) for key in KEYS for _ in range(2)]
    crowds = [processes.Process(target=crowd, args=(service.url, many, seconds, key, results)) for key, many in parts]
    for outcome in crowds:
        outcome.start()
    outcomes = [each for _ in crowds for each in results.get()]
    after, _ = asked(service.url, small_calls()["lookup"], 3)
    for outcome in crowds:
        outcome.join(20)
    by_kind: dict[str, Counter[int]] = defaultdict(Counter)
    refusals = sorted(took for _, status, _, took in outcomes if status == 429)
    for kind, status, _, _ in outcomes:
        by_kind[kind][status] += 1
    table = Table("kind", "200 a second", "429 a second", "others", box=box.SIMPLE, title=f"{CONNECTIONS} connections")
    for kind, statuses in sorted(by_kind.items()):
        well = statuses[200] + statuses[201]
        other_statuses = sum(statuses.values()) - well - statuses[429]
        table.add_row(kind, f"{well / seconds:.0f}", f"{statuses[429] / seconds:.0f}", str(other_statuses))
    console.print(table)
    if refusals:
        console.print(f"refusals: median {statistics.median(refusals):.1f} ms, p99 {_times(refusals)[1]} ms")
    console.print(
        f"a question before: median {_times(before)[0]} ms; afterwards: first {after[0]:.1f} ms, "
        f"median {_times(after)[0]} ms"
    )


def attacks(only: list[str]) -> Iterator[tuple[str, Callable[..., None] | None]]:
    """By name, what the other caller does."""
    kinds: dict[str, Callable[..., None] | None] = {"nothing": None, **dict.fromkeys(FLOODS, flood)}
    kinds |= dict.fromkeys(("256 bodies that stall", "2,000 heads that stall"), stalled)
    return ((name, attack) for name, attack in kinds.items() if not only or name in only)


def main() -> None:
    """Both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=6, help="of each flood")
    parser.add_argument("--overload", type=float, default=60, help="seconds of 200 connections; 0 leaves it out")
    parser.add_argument("--no-floods", action="store_true", help="only the 200 connections")
    parser.add_argument("--only", nargs="*", default=[], help="floods by name")
    chosen = parser.parse_args()
    console = Console()
    os.environ["SOFTKV_API_KEYS"] = ",".join(KEYS)
    with tempfile.TemporaryDirectory() as folder, Service(Path(folder), *OPTIONS) as service:
        service.wait_until_ready()
        with service.client() as client:
            client.headers["x-api-key"] = KEYS[1]
            fill(client)
        columns = (
            "another caller's",
            "question p50",
            "p99",
            "max",
            "refused",
            "/livez p50",
            "p99",
            "max",
            "MiB at most",
        )
        table = Table(*columns, box=box.SIMPLE, title="milliseconds while one caller sends", min_width=110)
        for name, attack in () if chosen.no_floods else attacks(chosen.only):
            table.add_row(*under(service, attack, name, chosen.seconds))
        if not chosen.no_floods:
            console.print(table)
        if chosen.overload:
            overload(service, chosen.overload, console)


if __name__ == "__main__":
    main()
