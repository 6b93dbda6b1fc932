"""Documents a second until they are found, with values that are texts: beside another commit, and beside no values.

    python -m benchmarks.behind [--before CHECKOUT] [--documents 600] [--rounds 5]

Each round writes texts that no round before had, since services keep vectors, to collections that keep no words. Both
services get the same documents in turns: FAQ entries with questions of 9 words and answers of 24 as keys and values;
the same with question and answer as the key; and passages of 60 to 150 words with another as value. "found" is the time
until the upload is answered, "encoded" until no value waits, both from its first byte. "key" is the upload with
`value_from: "key"`. Behind a slash are the same ratios of the processor time of the service, which other work on the
machine changes less.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import httpx
from rich.console import Console
from rich.table import Table

from benchmarks.contenders.documents import WORDS
from benchmarks.running import Service

Texts = tuple[str, str]
Costs = tuple[float, float, float, float]
"""Seconds until the upload is answered and until no value waits, and the processor seconds of the service for both."""
POLL_SECONDS = 0.02
"""Interval of looks into the store. The service is not asked, since its answers would take processor time of it."""


def sentence(chosen: random.Random, count: int) -> str:
    """Return a text of this number of words, with numbers that make it a new one."""
    return " ".join([*chosen.choices(WORDS, k=count - 1), str(chosen.randrange(10**6))])


def faq(chosen: random.Random) -> Texts:
    """Return a question of 9 words, and an answer of 24."""
    return sentence(chosen, 9), sentence(chosen, 24)


def together(chosen: random.Random) -> Texts:
    """Return question and answer as a key, and the answer."""
    question, answer = faq(chosen)
    return f"{question} {answer}", answer


def passages(chosen: random.Random) -> Texts:
    """Return two passages of 60 to 150 words, which are about 100 to 250 tokens."""
    return sentence(chosen, chosen.randint(60, 150)), sentence(chosen, chosen.randint(60, 150))


KINDS: dict[str, tuple[Callable[[random.Random], Texts], int]] = {
    "FAQ, keys are questions": (faq, 1),
    "FAQ, keys are both": (together, 1),
    "passages": (passages, 6),
}
"""The function that makes a document of each kind, and the number by which that of documents is divided."""


def wait_until_encoded(data: Path) -> None:
    """Wait until no value waits in the store of a service. One of an earlier version has none that wait."""
    with closing(sqlite3.connect(f"file:{data / 'softkv.sqlite3'}?mode=ro", uri=True)) as store:
        if any(name == "waiting" for _, name, *_ in store.execute("PRAGMA table_info(vectors)")):
            while store.execute("SELECT 1 FROM vectors WHERE waiting = 0 LIMIT 1").fetchone():
                time.sleep(POLL_SECONDS)


def upload(service: Service, client: httpx.Client, data: Path, name: str, texts: list[Texts], value_from: str) -> Costs:
    """Write documents to a new collection; return seconds, and the processor's, until they are found and encoded."""
    client.put(f"/v1/collections/{name}", json={"value_from": value_from, "late": False}).raise_for_status()
    lines = [json.dumps({"id": str(i), "key": key, "value": value}) for i, (key, value) in enumerate(texts)]
    began, spent = time.perf_counter(), service.processor_seconds()
    address, kind = f"/v1/collections/{name}/documents", {"content-type": "application/x-ndjson"}
    answer = client.post(address, content="\n".join(lines).encode(), headers=kind)
    seconds, processor = time.perf_counter() - began, service.processor_seconds() - spent
    if json.loads(answer.text.splitlines()[-1])["upserted"] != len(texts):
        raise RuntimeError(answer.text[-500:])
    wait_until_encoded(data)
    return seconds, time.perf_counter() - began, processor, service.processor_seconds() - spent


def columns(medians: Mapping[str, Sequence[float]]) -> list[str]:
    """Return what the table says of one kind of documents, with "–" for what needs a service before."""

    def ratio(one: str, other: str, first: int) -> str:
        """Return a ratio of seconds, and that of the processor's, which stand two places behind."""
        if one not in medians or other not in medians:
            return "–"
        upper, lower = medians[one], medians[other]
        return f"{upper[first] / lower[0]:.2f} / {upper[first + 2] / lower[2]:.2f}"

    until_found = [f"{medians[which][0]:.2f}" if which in medians else "–" for which in ("before", "now")]
    return [*until_found, ratio("before", "now", 0), ratio("now", "key", 0), ratio("now", "before", 1)]


def main() -> None:
    """Print the ratios of medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, metavar="CHECKOUT", help="of an earlier commit, with its environment")
    parser.add_argument("--documents", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    chosen = random.Random(time.time_ns())
    table = Table(title=f"medians of {options.rounds} rounds in turns; by the clock / by the processor's time")
    for column in ("documents", "found before, s", "found, s", "times faster", "÷ upload of keys", "encoded ÷ before"):
        table.add_column(column, justify="right")
    with ExitStack() as stack:
        services = dict[str, tuple[Service, httpx.Client, Path]]()
        for name, checkout in (("before", options.before), ("now", None)):
            if name == "before" and checkout is None:
                continue
            data = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            service = stack.enter_context(Service(data, checkout=checkout))
            service.wait_until_ready()
            services[name] = service, stack.enter_context(service.client()), data
            upload(*services[name], "warm", [faq(chosen) for _ in range(64)], "value")
        for kind, (make, divisor) in KINDS.items():
            costs: dict[str, list[Costs]] = {"before": [], "now": [], "key": []}
            for number in range(options.rounds):
                texts = [make(chosen) for _ in range(options.documents // divisor)]
                keyed = [make(chosen) for _ in texts]
                name = f"{make.__name__}-{number}"
                for which, arguments in services.items():
                    costs[which].append(upload(*arguments, name, texts, "value"))
                costs["key"].append(upload(*services["now"], f"{name}-key", keyed, "key"))
            medians = {
                which: [statistics.median(column) for column in zip(*rows, strict=True)]
                for which, rows in costs.items()
                if rows
            }
            table.add_row(f"{kind}, {options.documents // divisor}", *columns(medians))
    Console(width=120).print(table)
    Console().print(f"load of the last minute: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")


if __name__ == "__main__":
    main()
