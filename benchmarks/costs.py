"""The costs of an encoder: its files, the memory of a service with it, its first answer after a start, and a text.

    python -m benchmarks.costs [--encoders all-MiniLM-L6-v2 multilingual mpnet] [--starts 3] [--rounds 9]

A service starts with one encoder and an empty store, stores a document and answers a question. Its processor time is
that of all its threads from the start to the answer, and its memory is what is resident three seconds later, and at
most. Of it, the system can take back the pages of files, such as those of the weights that were read.

A text is one of the English questions of `benchmarks.languages`, or sixty words of its English documents, alone in a
call, with the prompt of the model. Then models read equally many tokens, without a tokeniser. Times are processor time
of the process, with one thread. Encoders take turns with each text, and ratios are medians of ratios of neighbours, to
the first one. All is measured in int16, and again in the default precision of the processor if that is another one.
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
from softkv_service.encoding.models.network import Precision
from softkv_service.encoding.registry import PACKAGED, checkpoint_of, default_precision
from softkv_service.encoding.texts import Purpose

ENCODERS = [*PACKAGED]
WORDS, STRIDE = 60, 30
"""The words of a document, and how many words it starts after the one before."""
MEMORY = ("VmRSS:", "RssFile:", "VmHWM:")
"""Linux's names for the resident memory of a process, the pages of files in it, and the most that was resident."""
TOKENS = (8, 16, 32, 64, 128)
SETTLING_SECONDS = 3.0
FIRST_TOKEN = 1000  # any vocabulary has words there


def start(encoder: str, precision: Precision) -> tuple[float, ...]:
    """Return the seconds of processor time until a service's first answer, and its MB: then, of files, and at most."""
    options = "--encoder", encoder, "--precision", precision
    with tempfile.TemporaryDirectory() as data, Service(Path(data), *options) as service:
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
        kilobytes = {line[0]: int(line[1]) for line in lines if line[0] in MEMORY}
    seconds = (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
    return seconds, *(kilobytes[name] * 1024 / 1e6 for name in MEMORY)


def size_on_disk(encoder: str) -> float:
    """Return the MB of the files of a packaged model."""
    return sum(file.stat().st_size for file in checkpoint_of(encoder).rglob("*")) / 1e6


def time_starts(encoders: Sequence[str], precision: Precision, starts: int) -> Table:
    """Return the table of services."""
    table = Table(title=f"a service with one encoder, {precision}, medians of {starts} starts", box=box.SIMPLE)
    table.add_column("encoder")
    for column in ("MB on disk", "s to the first answer", "MB", "MB of files", "MB at most"):
        table.add_column(column, justify="right")
    rounds = [[start(encoder, precision) for encoder in encoders] for _ in range(starts)]
    for encoder, measured in zip(encoders, zip(*rounds, strict=True), strict=True):
        seconds, *sizes = (median(figures) for figures in zip(*measured, strict=True))
        megabytes = (f"{size:.0f}" for size in (size_on_disk(encoder), *sizes))
        table.add_row(encoder, next(megabytes), f"{seconds:.1f}", *megabytes)
    return table


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
    subjects = read_subjects()
    words = " ".join(subject.documents["en"] for subject in subjects if subject.documents).split()
    documents = [" ".join(words[first : first + WORDS]) for first in range(0, len(words) - WORDS + 1, STRIDE)]
    kinds: list[tuple[str, list[str], Purpose]] = [
        ("English questions", [subject.questions["en"] for subject in subjects], "query"),
        (f"documents of {WORDS} words", documents, "document"),
    ]
    for kind, texts, purpose in kinds:
        by_encoder: list[list[float]] = [[] for _ in encoders]
        for text in texts:
            times = take_turns([partial(encoder.encode, [text], purpose) for encoder in encoders], rounds)
            for all_times, taken in zip(by_encoder, times, strict=True):
                all_times += taken
        read = [encoder.network.tokenizer.read(texts, encoder.network.prompt(purpose)) for encoder in encoders]
        tokens = [float(text.total.mean()) for text in read]
        compare(table, f"{len(texts)} {kind}", by_encoder, tokens)
    for n in TOKENS:
        ids = np.arange(FIRST_TOKEN, FIRST_TOKEN + n)
        calls = [partial(encoder.network.embed, [""], [ids], "query") for encoder in encoders]
        compare(table, f"{n} tokens", take_turns(calls, 5 * rounds), [n] * len(encoders))
    return table


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoders", nargs="+", default=ENCODERS)
    parser.add_argument("--starts", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    console = Console(width=150)
    precisions: list[Precision] = ["int16"]
    if default_precision() != "int16":
        precisions.append(default_precision())
    for precision in precisions:
        console.print(time_starts(options.encoders, precision, options.starts))
        loaded = [load_encoder(name, precision=precision, threads=1) for name in options.encoders]
        console.print(time_texts(loaded, options.rounds))


if __name__ == "__main__":
    main()
