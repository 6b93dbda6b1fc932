"""A service under mixed load for an hour, at about half of its capacity: memory and disk do not grow.

    python -m benchmarks.soak [--minutes 60] [--share 0.5]

First the same requests are sent as fast as they are answered, which measures the capacity. Then `--share` of that rate
is sent evenly. The same ids are replaced, deleted and written again all the time, so neither memory nor disk has a
reason to grow: the last tenth of the time may have five per cent more than the second.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from benchmarks.running import Service

CALLERS = 4
DOCUMENTS = 4000
WIDTH = 384
BATCH = 50
CAPACITY_SECONDS = 10.0
SAMPLES = 200
FLAT = 0.05
PATH = "/v1/collections/c"


def vector(chosen: random.Random) -> list[float]:
    """Short to write."""
    return [round(chosen.uniform(-1, 1), 3) for _ in range(WIDTH)]


def documents(chosen: random.Random) -> list[dict[str, Any]]:
    """Some of those that there are, anew."""
    ids = chosen.sample(range(DOCUMENTS), BATCH)
    return [
        {
            "id": str(number),
            "key_vector": vector(chosen),
            "value": "x" * chosen.randint(0, 2000),
            "metadata": {"shelf": chosen.randrange(20)},
        }
        for number in ids
    ]


class Caller:
    """One caller, with a connection of its own, that asks and writes in turn."""

    def __init__(self, url: str, seed: int, statuses: Counter[int]) -> None:
        self._client = httpx.Client(base_url=url, timeout=60, trust_env=False)
        self._chosen = random.Random(seed)
        self._statuses = statuses

    def once(self) -> None:
        """A request of some kind; one in ten writes."""
        chosen = self._chosen
        kind = chosen.randrange(20)
        if kind == 0:
            answer = self._client.post(f"{PATH}/documents", json={"documents": documents(chosen)})
        elif kind == 1:
            ids = [str(number) for number in chosen.sample(range(DOCUMENTS), BATCH // 2)]
            answer = self._client.post(f"{PATH}/documents/delete", json={"ids": ids})
        elif kind < 14:
            shelf = {"field": "metadata.shelf", "operator": "==", "value": chosen.randrange(20)}
            body = {"query": vector(chosen), "top_k": 10, "include": ["value"]}
            answer = self._client.post(f"{PATH}/attend", json=body if kind < 10 else body | {"filter": shelf})
        elif kind < 18:
            answer = self._client.get(f"{PATH}/documents/{chosen.randrange(DOCUMENTS)}")
        else:
            answer = self._client.get("/metrics" if kind == 18 else PATH)
        self._statuses[answer.status_code] += 1


@dataclass
class Load:
    """Callers that send until a time, each so often; as fast as they are answered where `pause` is 0."""

    url: str
    seconds: float
    pause: float
    statuses: Counter[int] = field(default_factory=Counter)

    def run(self) -> None:
        """Send."""
        threads = [threading.Thread(target=self._call, args=(seed,)) for seed in range(CALLERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _call(self, seed: int) -> None:
        caller, began = Caller(self.url, seed, self.statuses), time.monotonic()
        due = began
        while time.monotonic() - began < self.seconds:
            caller.once()
            due += self.pause
            time.sleep(max(0.0, due - time.monotonic()))


def disk(data: Path) -> float:
    """MiB of the data directory."""
    return sum(path.stat().st_blocks * 512 for path in data.iterdir()) / 2**20


def main() -> int:
    """Load, measure, print; return 1 if something grew, or a call failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--share", type=float, default=0.5, help="of what the service can do")
    arguments = parser.parse_args()
    seconds = 60 * arguments.minutes
    with tempfile.TemporaryDirectory() as directory, Service(Path(directory), "--encoder", "none") as service:
        service.wait_until_ready()
        with service.client() as client:
            client.put(PATH, json={"encoder": None, "dimension": WIDTH}).raise_for_status()
        capacity = Load(service.url, CAPACITY_SECONDS, 0.0)
        capacity.run()
        rate = arguments.share * sum(capacity.statuses.values()) / CAPACITY_SECONDS
        load = Load(service.url, seconds, CALLERS / rate)
        sending = threading.Thread(target=load.run)
        began, samples = time.monotonic(), []
        sending.start()
        while sending.is_alive():
            samples.append((service.memory(), disk(Path(directory))))
            sending.join(seconds / SAMPLES)
        took = time.monotonic() - began
    statuses = ", ".join(f"{count:,} × {status}" for status, count in sorted(load.statuses.items()))
    print(f"{took / 60:.1f} minutes, {sum(load.statuses.values()) / took:.0f} requests a second of {rate:.0f} wanted")
    print(f"answers: {statuses}")
    tenth = max(1, len(samples) // 10)
    flat = True
    for name, index in (("memory", 0), ("disk", 1)):
        first = statistics.median(sample[index] for sample in samples[tenth : 2 * tenth])
        last = statistics.median(sample[index] for sample in samples[-tenth:])
        flat = flat and last <= first * (1 + FLAT)
        print(
            f"{name}: {first:.1f} MiB in the second tenth of the time, {last:.1f} in the last ({last / first - 1:+.1%})"
        )
    return 0 if flat and set(load.statuses) <= {200, 404} else 1


if __name__ == "__main__":
    sys.exit(main())
