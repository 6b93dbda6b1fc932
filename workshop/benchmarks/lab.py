"""The lab: what is learned in half a minute, and what a question takes meanwhile.

    python -m workshop.benchmarks.lab [--seconds 30] [--seeds 0 1 2] [--documents 100000]

Every task is learned by the Transformer with each seed; dates by the recurrent networks as well, with the first, and
nothing beside it. Then text questions are asked of a collection, one after another, as long with a training beside
them as without.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from benchmarks.contenders.documents import questions
from benchmarks.contenders.softkv import COLLECTION
from benchmarks.results import machine
from benchmarks.running import Service
from benchmarks.upload import lines
from softkv import Client

TASKS = ("copy", "reverse", "dates", "numbers", "translation", "pictures")
RECURRENT = ("gru", "lstm", "gru_attention", "lstm_attention")
COMPARED = ("dates",)


class Learned(NamedTuple):
    """The result of a training.

    Attributes:
        task, model, seed: the network.
        told: the data of `trained`.
        step_ms: the median time of a step.
    """

    task: str
    model: str
    seed: int
    told: dict[str, Any]
    step_ms: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--documents", type=int, default=100_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Service(Path(folder)) as service:
        service.wait_until_ready()
        with service.client() as http:
            http.put(COLLECTION, json={}).raise_for_status()
            ndjson = {"Content-Type": "application/x-ndjson"}
            http.post(f"{COLLECTION}/documents", content=lines(options.documents), headers=ndjson).raise_for_status()
        service.wait_until_idle()
        with Client(service.url) as client, Asking(service.url) as asking:
            learned = [train(client, *network, options.seconds) for network in wanted(options.seeds)]
            asking.during(lambda: time.sleep(3))
            alone = asking.during(lambda: time.sleep(options.seconds))
            beside = asking.during(lambda: train(client, "dates", "transformer", 0, options.seconds))
    console = Console(width=120, highlight=False)
    console.print(f"{machine()}; {options.seconds:g} s a training")
    console.print(table(learned))
    console.print(f"a text question of {options.documents:,} documents, beside a training and alone:")
    ratio = median(beside) / median(alone)
    console.print(
        f"{median(beside):.1f} and {median(alone):.1f} ms, medians of {len(beside):,} and {len(alone):,}: {ratio:.2f} ×"
    )


def wanted(seeds: Sequence[int]) -> Iterator[tuple[str, str, int]]:
    """Yield the networks to train: task, model, seed."""
    for seed in seeds:
        yield from ((task, "transformer", seed) for task in TASKS)
    yield from ((task, model, seeds[0]) for task in COMPARED for model in RECURRENT)


class Asking:
    """Questions, one after another, each with another text."""

    def __init__(self, url: str) -> None:
        self._client = Client(url)
        self._collection = self._client.collection(COLLECTION.rpartition("/")[2])
        self._texts = iter(questions(200_000))

    def __enter__(self) -> Asking:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def during(self, work: Any) -> list[float]:
        """Milliseconds of each that was asked while the work was done."""
        thread, taken = threading.Thread(target=work), list[float]()
        thread.start()
        while thread.is_alive():
            began = time.perf_counter()
            self._collection.attend(next(self._texts))
            taken.append(1000 * (time.perf_counter() - began))
        return taken


def train(client: Client, task: str, model: str, seed: int, seconds: float) -> Learned:
    """Train once."""
    steps: list[float] = []
    result: dict[str, Any] = {}

    def heard(name: str, data: dict[str, Any]) -> None:
        if name == "step":
            steps.append(data["step_ms"])
        elif name == "trained":
            result.update(data)
        elif name == "problem":
            raise RuntimeError(data["detail"])

    client.train(task, heard, model=model, seconds=seconds, seed=seed)
    return Learned(task, model, seed, result, median(steps))


def table(learned: Sequence[Learned]) -> Table:
    """A row a training."""
    made = Table("task", "model", "seed", title="what is learned: shares of unseen examples, of alignments")
    for name in ("seconds", "steps", "ms a step", "unseen right", "longer right", "aligned"):
        made.add_column(name, justify="right")
    for training in learned:
        result = training.told
        longer = [
            one["accuracy"] for one in result["lengths"] if one["length"] > 10 and training.task in ("copy", "reverse")
        ]
        made.add_row(
            training.task,
            training.model,
            str(training.seed),
            f"{result['seconds']:.1f}",
            f"{result['step']:,}",
            f"{training.step_ms:.1f}",
            f"{result['accuracy']:.1%}",
            f"{sum(longer) / len(longer):.1%}" if longer else "",
            "" if result["aligned"] is None else f"{result['aligned']:.1%}",
        )
    return made


if __name__ == "__main__":
    main()
