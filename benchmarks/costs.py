"""The costs of an encoder: the memory of a service with it, its first answer after a start, and a short text.

    python -m benchmarks.costs [--encoders all-MiniLM-L6-v2 multilingual] [--starts 3] [--rounds 9]

A service starts with one encoder and an empty store, stores a document and answers a question. Its processor time is
that of all its threads from the start to the answer, and its memory is what is resident three seconds later, and at
most.

A text is one of the English questions of `benchmarks.languages`, alone in a call, with the prompt of the model. Then
models read equally many tokens, without a tokeniser. Times are processor time of the process, in the default precision,
with one thread. Encoders take turns with each text, and ratios are medians of ratios of neighbours, to the first one.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.languages import read_subjects
from benchmarks.running import Service
from softkv_service.encoding import load_encoder
from softkv_service.encoding.encoder import LocalEncoder
from softkv_service.encoding.registry import DEFAULT_MODEL, MULTILINGUAL, default_precision

TOKENS = (8, 16, 32, 64, 128)
SETTLING_SECONDS = 3.0
FIRST_TOKEN = 1000  # any vocabulary has words there


def start(encoder: str) -> tuple[float, float, float]:
    """Return the seconds of processor time until a service's first answer, its MB of memory then, and at most."""
    with tempfile.TemporaryDirectory() as data, Service(Path(data), "--encoder", encoder) as service:
        service.wait_until_ready()
        with service.client() as client:
            client.put("/v1/collections/costs", json={}).raise_for_status()
            document = {"key": "relational databases", "value": "A first course"}
            client.put("/v1/collections/costs/documents/qa76", json=document).raise_for_status()
            client.post("/v1/collections/costs/attend", json={"query": "how do databases work?"}).raise_for_status()
        process = Path("/proc", str(service.process.pid))
        user, system = (process / "stat").read_text().rpartition(")")[2].split()[11:13]
        time.sleep(SETTLING_SECONDS)
        lines = (line.split() for line in (process / "status").read_text().splitlines())
        kilobytes = {line[0]: int(line[1]) for line in lines if line[0] in ("VmRSS:", "VmHWM:")}
    seconds = (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
    return seconds, kilobytes["VmRSS:"] * 1024 / 1e6, kilobytes["VmHWM:"] * 1024 / 1e6


def take_turns(calls: Sequence[Callable[[], object]], rounds: int) -> list[list[float]]:
    """Return the processor times of each call, which take turns; each is called once before it is timed."""
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds):
        for call, taken in zip(calls, times, strict=True):
            call()
            began = time.process_time()
            call()
            taken.append(time.process_time() - began)
    return times


def compare(table: Table, name: str, times: list[list[float]], tokens: Sequence[float]) -> None:
    """Add a row of times, in milliseconds and as ratios to the first encoder."""
    cells = [name]
    for taken, count in zip(times, tokens, strict=True):
        ratio = median(one / other for one, other in zip(taken, times[0], strict=True))
        cells += [f"{count:.1f}", f"{1000 * median(taken):.2f}", f"{ratio:.2f}"]
    table.add_row(*cells)


def time_texts(encoders: list[LocalEncoder], rounds: int) -> Table:
    """Return the table of times of a text."""
    table = Table(title=f"one text, {encoders[0].precision}, one thread", box=box.SIMPLE)
    table.add_column("texts")
    for encoder in encoders:
        for column in (f"{encoder.name}, tokens", "ms", "÷ first"):
            table.add_column(column, justify="right")
    texts = [subject.questions["en"] for subject in read_subjects()]
    by_encoder: list[list[float]] = [[] for _ in encoders]
    for text in texts:
        times = take_turns([partial(encoder.encode, [text], "query") for encoder in encoders], rounds)
        for all_times, taken in zip(by_encoder, times, strict=True):
            all_times += taken
    read = [encoder.network.tokenizer.read(texts, encoder.network.prompt("query")) for encoder in encoders]
    tokens = [float(text.total.mean()) for text in read]
    compare(table, f"{len(texts)} English questions", by_encoder, tokens)
    for n in TOKENS:
        ids = np.arange(FIRST_TOKEN, FIRST_TOKEN + n)
        calls = [partial(encoder.network.embed, [""], [ids], "query") for encoder in encoders]
        compare(table, f"{n} tokens", take_turns(calls, 5 * rounds), [n] * len(encoders))
    return table


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoders", nargs="+", default=[DEFAULT_MODEL, MULTILINGUAL])
    parser.add_argument("--starts", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    table = Table(title=f"a service with one encoder, medians of {options.starts} starts", box=box.SIMPLE)
    table.add_column("encoder")
    for column in ("s to the first answer", "MB", "MB at most"):
        table.add_column(column, justify="right")
    starts = [[start(encoder) for encoder in options.encoders] for _ in range(options.starts)]
    for encoder, measured in zip(options.encoders, zip(*starts, strict=True), strict=True):
        seconds, resident, peak = (median(figures) for figures in zip(*measured, strict=True))
        table.add_row(encoder, f"{seconds:.1f}", f"{resident:.0f}", f"{peak:.0f}")
    console = Console(width=140)
    console.print(table)
    loaded = [load_encoder(name, precision=default_precision(), threads=1) for name in options.encoders]
    console.print(time_texts(loaded, options.rounds))


if __name__ == "__main__":
    main()
