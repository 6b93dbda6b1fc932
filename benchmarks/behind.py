"""Documents a second until they are found, with values that are texts: beside another commit, and beside no values.

    python -m benchmarks.behind --before CHECKOUT [--documents 600] [--rounds 5]

Each round writes texts that no round before had, since services keep vectors. Both services get the same documents in
turns: FAQ entries with questions of 9 words and answers of 24 as keys and values; the same with question and answer as
the key; and passages of 60 to 150 words with another as value. "found" is the time until the upload is answered,
"encoded" until no value waits, both from its first byte. "key" is the upload with `value_from: "key"`. The processor
time of all encodings is that of the service, until no value waits.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import httpx
from rich.console import Console
from rich.table import Table

from benchmarks.contenders.documents import WORDS
from benchmarks.running import Service

Texts = tuple[str, str]
POLL_SECONDS = 0.25


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


def upload(client: httpx.Client, name: str, texts: list[Texts], value_from: str) -> tuple[float, float]:
    """Write documents to a new collection; return the seconds until they are found, and until no value waits."""
    client.put(f"/v1/collections/{name}", json={"value_from": value_from}).raise_for_status()
    lines = [json.dumps({"id": str(i), "key": key, "value": value}) for i, (key, value) in enumerate(texts)]
    began = time.perf_counter()
    address, kind = f"/v1/collections/{name}/documents", {"content-type": "application/x-ndjson"}
    answer = client.post(address, content="\n".join(lines).encode(), headers=kind)
    seconds = time.perf_counter() - began
    if json.loads(answer.text.splitlines()[-1])["upserted"] != len(texts):
        raise RuntimeError(answer.text[-500:])
    while (client.get(f"/v1/collections/{name}").json().get("values") or {"waiting": 0})["waiting"]:
        time.sleep(POLL_SECONDS)
    return seconds, time.perf_counter() - began


def main() -> None:
    """Print the ratios of medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, required=True, metavar="CHECKOUT")
    parser.add_argument("--documents", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    chosen = random.Random(time.time_ns())
    table = Table(title=f"{options.documents} documents, medians of {options.rounds} rounds in turns")
    names = (
        "found before, s",
        "found, s",
        "times faster",
        "÷ upload of keys",
        "encoded ÷ before",
        "processor ÷ before",
    )
    for column in ("documents", *names):
        table.add_column(column, justify="right")
    with ExitStack() as stack:
        clients, services = dict[str, httpx.Client](), dict[str, Service]()
        for name, checkout in (("before", options.before), ("now", None)):
            data = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            service = stack.enter_context(Service(data, checkout=checkout))
            service.wait_until_ready()
            services[name] = service
            clients[name] = stack.enter_context(service.client())
            upload(clients[name], "warm", [faq(chosen) for _ in range(64)], "value")
        for kind, (make, divisor) in KINDS.items():
            seconds: dict[str, list[float]] = {
                name: [] for name in ("before", "found", "encoded", "key", "spent", "more")
            }
            for number in range(options.rounds):
                texts = [make(chosen) for _ in range(options.documents // divisor)]
                keyed = [make(chosen) for _ in texts]
                name = f"{make.__name__}-{number}"
                spent = services["before"].processor_seconds()
                seconds["before"].append(upload(clients["before"], name, texts, "value")[0])
                seconds["spent"].append(services["before"].processor_seconds() - spent)
                spent = services["now"].processor_seconds()
                for column, value in zip(
                    ("found", "encoded"), upload(clients["now"], name, texts, "value"), strict=True
                ):
                    seconds[column].append(value)
                seconds["more"].append(services["now"].processor_seconds() - spent)
                seconds["key"].append(upload(clients["now"], f"{name}-key", keyed, "key")[0])
            before, soon, complete, key, spent, more = (statistics.median(column) for column in seconds.values())
            ratios = f"{before / soon:.2f}", f"{soon / key:.2f}", f"{complete / before:.2f}", f"{more / spent:.2f}"
            table.add_row(f"{kind}, {options.documents // divisor}", f"{before:.2f}", f"{soon:.2f}", *ratios)
    Console(width=120).print(table)
    Console().print(f"load of the last minute: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")


if __name__ == "__main__":
    main()
