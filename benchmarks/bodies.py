"""The longest wait of another thread while the service parses 10,000 vectors of 384 numbers as JSON, about 30 MiB.

    python -m benchmarks.bodies [--rounds 21]

Python's lock keeps every other thread from running while orjson parses. Three ways take turns in one process:

- parts: one body, of which `service.api.json` parses a few elements of a list at a time, as the service does.
- lines: NDJSON, parsed line by line, as the service does.
- bodies up to 8 MiB: as many JSON bodies as needed, each parsed at once. A limit of 8 MiB on JSON would allow that.

The others are the same body parsed at once, and a sleep of the same order, which shows what other programs cost here.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from threading import Event, Thread

import numpy as np
import orjson

from service.api.body import parse
from service.api.json import release

COUNT, WIDTH = 10_000, 384
MAX_JSON_BYTES = 8 << 20
SLEEP_SECONDS = 0.0005


def documents() -> list[bytes]:
    """Return the JSON of each document, with five decimals a number."""
    vectors = np.random.default_rng(1).standard_normal((COUNT, WIDTH)) / np.sqrt(WIDTH)
    return [
        b'{"id":"%d","key_vector":%b}' % (number, orjson.dumps([round(value, 5) for value in vector]))
        for number, vector in enumerate(vectors.tolist())
    ]


def body_of(lines: list[bytes]) -> bytes:
    """Return one JSON body with these documents."""
    return b'{"documents":[' + b",".join(lines) + b"]}"


def longest_wait(work: Callable[[], None]) -> tuple[float, float]:
    """Return the longest wait of a thread that wakes up all the time while the work runs, and its duration, in ms."""
    waits, done = [0.0], Event()

    def wake_up() -> None:
        before = time.perf_counter()
        while not done.is_set():
            time.sleep(SLEEP_SECONDS)
            now = time.perf_counter()
            waits.append(now - before - SLEEP_SECONDS)
            before = now

    thread = Thread(target=wake_up)
    thread.start()
    started = time.perf_counter()
    work()
    duration = time.perf_counter() - started
    done.set()
    thread.join()
    return 1e3 * max(waits), 1e3 * duration


def main() -> None:
    """Print a line for each way: medians and ranges."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=21)
    rounds = parser.parse_args().rounds
    lines = documents()
    body = body_of(lines)
    bodies, batch = list[bytes](), list[bytes]()
    for line in lines:
        if sum(map(len, batch)) + len(batch) + len(line) > MAX_JSON_BYTES - 100:
            bodies.append(body_of(batch))
            batch = []
        batch.append(line)
    bodies.append(body_of(batch))

    def in_parts() -> None:
        release(parse(body))

    def by_line() -> None:
        for start in range(0, COUNT, 1000):
            _ = [parse(line) for line in lines[start : start + 1000]]

    def small_bodies() -> None:
        for part in bodies:
            orjson.loads(part)

    def at_once() -> None:
        orjson.loads(body)

    ways: dict[str, Callable[[], None]] = {
        "parts": in_parts,
        "lines": by_line,
        f"{len(bodies)} bodies up to 8 MiB": small_bodies,
        "at once": at_once,
        "nothing": lambda: time.sleep(0.5),
    }
    waits: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for turn in range(rounds + 1):
        for name, work in ways.items():
            measured = longest_wait(work)
            if turn:  # the first one warms up
                waits[name].append(measured)
    print(f"{COUNT:,} vectors of {WIDTH} numbers, {len(body) / 2**20:.1f} MiB of JSON; {rounds} rounds, in turns")
    print(f"{'':24} longest wait of another thread, ms    whole time, ms")
    for name, pairs in waits.items():
        columns = [f"{statistics.median(c):7.1f} ({min(c):.1f} to {max(c):.1f})" for c in zip(*pairs, strict=True)]
        print(f"{name:24} {columns[0]:36}  {columns[1]}")


if __name__ == "__main__":
    main()
