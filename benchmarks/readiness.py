"""The cost of the first answer after /readyz turned green, against the following ones.

    python -m benchmarks.readiness [--url http://127.0.0.1:8000] [--starts 3]

Each start is a new process with an empty folder for machine code, and one whose folder the first one has filled. With a
URL that service is asked once, as soon as it is ready; it must not have answered any question before.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.running import Service

FOLLOWING = 10
COLLECTION = "library"


def calls(number: int) -> dict[str, tuple[str, dict[str, Any]]]:
    """A call of each kind; no text comes twice, so that none is answered from a cache."""
    text = f"book number {number} about cats"
    path = f"/v1/collections/{COLLECTION}"
    return {
        "attend": (f"{path}/attend", {"query": text, "include": ["key", "value", "output"]}),
        "compare": (f"{path}/compare", {"query": f"{text}?"}),
        "sweep": (f"{path}/sweep", {"query": f"{text}!", "temperatures": [0.01, 0.05, 0.2]}),
        "compare rows": ("/v1/compare", {"query": f"{text}:", "rows": [{"key": f"{text};"}, {"key": f"{text}, too"}]}),
        "trace": ("/v1/trace", {"text": text}),
        "encode": ("/v1/encode", {"texts": [f"{text} and dogs"]}),
    }


def first_and_following(client: httpx.Client) -> dict[str, tuple[float, float]]:
    """Milliseconds of the first answer of each kind, and the median of the next ten."""
    taken: dict[str, list[float]] = {}
    for number in range(1 + FOLLOWING):
        for kind, (path, body) in calls(number).items():
            started = time.perf_counter()
            client.post(path, json=body).raise_for_status()
            taken.setdefault(kind, []).append(1e3 * (time.perf_counter() - started))
    return {kind: (times[0], statistics.median(times[1:])) for kind, times in taken.items()}


def wait_until_ready(client: httpx.Client, seconds: float = 600) -> None:
    """Wait until /readyz reports that a service is ready, which may not listen yet."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.TransportError):
            if client.get("/readyz").status_code == 200:
                return
        time.sleep(0.01)
    raise TimeoutError(f"{client.base_url} was not ready in {seconds} s")


def start(data: Path, cache: Path) -> tuple[float, dict[str, tuple[float, float]]]:
    """Seconds until /readyz is green, and what `first_and_following` says then."""
    began = time.perf_counter()
    with Service(data, "--demo", COLLECTION, "--cache-dir", str(cache)) as service:
        service.wait_until_ready()
        ready = time.perf_counter() - began
        with service.client() as client:
            client.get("/livez")  # the connection is not what is measured
            return ready, first_and_following(client)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="a running service with the demo collection `library`, asked nothing yet")
    parser.add_argument("--starts", type=int, default=3, help="processes to start in each state")
    arguments = parser.parse_args()
    table = Table(title="first answer after /readyz is 200, ms (times the median of the next ten)", box=box.SIMPLE)
    for heading in ("start", "ready after", *calls(0)):
        table.add_column(heading, justify="right", no_wrap=True)
    if arguments.url is not None:
        with httpx.Client(base_url=arguments.url, timeout=600, trust_env=False) as client:
            wait_until_ready(client)
            add(table, "running", None, first_and_following(client))
    for number in range(0 if arguments.url else arguments.starts):
        with tempfile.TemporaryDirectory() as cache:
            for state in ("nothing kept", "machine code kept"):
                with tempfile.TemporaryDirectory() as data:
                    add(table, f"{state} {number + 1}", *start(Path(data), Path(cache)))
    Console(width=120).print(table)


def add(table: Table, name: str, ready: float | None, seconds: dict[str, tuple[float, float]]) -> None:
    """A row."""
    shown = (f"{first:.1f} ({first / following:.1f}×)" for first, following in seconds.values())
    table.add_row(name, "" if ready is None else f"{ready:.1f} s", *shown)


if __name__ == "__main__":
    main()
