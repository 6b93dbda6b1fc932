"""The sentence encoder beside sentence-transformers on a CPU: texts a second, and how far their vectors are apart.

    python -m benchmarks.encoder [--rounds 7] [--threads 1,2]

All engines have the same model, texts and threads, and one process calls them in turns: one query of some ten tokens
(another one each call), 64 of them, one passage of some 145 tokens, 64. Tokenising counts. sentence-transformers has
its defaults, with batches of 32; softkv packs texts. A number format that this processor lacks is left out.

Each number of threads in `--threads` has its own process, in which every engine and the tokeniser use that number: by
default one, then all cores. With one thread, the time is that of the processor.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import cycle, islice
from statistics import median
from typing import get_args

import numpy as np
import torch
from numpy.typing import NDArray
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.results import machine
from softkv_attention.errors import ParameterError
from softkv_service.datasets import DEMOS
from softkv_service.encoding import DEFAULT_MODEL, default_checkpoint, load_encoder
from softkv_service.encoding.background import TOPICS
from softkv_service.encoding.models.network import Precision

Encode = Callable[[Sequence[str]], NDArray[np.float32]]
PEER = "sentence-transformers"
REST, WARM_UP = 0.05, 0.03
"""Seconds before each measurement: for threads of the one before that still spin, and for caches and clocks."""
PIECES = (5, 6, 7, 8)  # of one passage after another: about 145 tokens
DOCSTRINGS = 2_000


@dataclass(frozen=True)
class Column:
    """A column of the table: texts, and the number of texts per call."""

    name: str
    texts: Sequence[str]
    at_a_time: int


def columns() -> list[Column]:
    """One query (another one each call), 64, one passage, 64."""
    questions, written = [topic.question for topic in TOPICS][:64], passages(64)
    return [
        Column("one query", questions, 1),
        Column("64 queries", questions, 64),
        Column("one passage", written[:8], 1),
        Column("64 passages", written, 64),
    ]


def passages(count: int) -> list[str]:
    """Return passages of about 145 tokens each, some of 80 and some of 200; the pieces repeat in a cycle."""
    following = cycle(pieces())
    return [" ".join(islice(following, PIECES[position % len(PIECES)])) for position in range(count)]


@cache
def pieces() -> Sequence[str]:
    """Return texts of the project of about 25 tokens each, in an arbitrary order that is the same every time."""
    keys = [str(document["key"]) for name in ("library", "videos") for document in DEMOS[name].documents()]
    docstrings = [str(document["key"]) for document in islice(DEMOS["python"].documents(), DOCSTRINGS)]
    unique = list(dict.fromkeys([topic.text for topic in TOPICS] + keys + docstrings))
    random.Random(0).shuffle(unique)
    return unique


def engines(threads: int) -> dict[str, Encode]:
    """Return the engines that this processor can run, by name."""
    by_name: dict[str, Encode] = {}
    for precision in get_args(Precision):
        try:
            encoder = load_encoder(DEFAULT_MODEL, precision=precision, threads=threads)
        except ParameterError as error:
            print(f"left out: softkv {precision}: {error}", file=sys.stderr)
            continue
        by_name[f"softkv {precision}"] = lambda texts, encoder=encoder: encoder.encode(texts, "document").vectors
    from sentence_transformers import SentenceTransformer  # seconds to import

    model = SentenceTransformer(str(default_checkpoint()), device="cpu")
    by_name[PEER] = lambda texts: np.asarray(model.encode(list(texts), show_progress_bar=False), np.float32)
    return by_name


def timed(
    by_name: Mapping[str, Encode], compared: Sequence[Column], rounds: int, clock: Callable[[], float]
) -> dict[str, dict[str, float]]:
    """Time all columns of all engines in turns, after a warm-up → medians of texts a second, by column and engine."""
    rates: dict[str, dict[str, list[float]]] = {column.name: {name: [] for name in by_name} for column in compared}
    names = list(by_name)
    for turn in range(rounds + 1):
        for column in compared:
            for name in names:
                rate = texts_a_second(by_name[name], column, clock)
                if turn:
                    rates[column.name][name].append(rate)
        names = names[1:] + names[:1]  # no engine always runs after the same one
    return {column: {name: median(values) for name, values in row.items()} for column, row in rates.items()}


def texts_a_second(encode: Encode, column: Column, clock: Callable[[], float]) -> float:
    """Encode all texts of a column once."""
    parts = [column.texts[start : start + column.at_a_time] for start in range(0, len(column.texts), column.at_a_time)]
    time.sleep(REST)
    warm = time.perf_counter() + WARM_UP
    while time.perf_counter() < warm:
        encode(parts[-1][:1])
    began = clock()
    for part in parts:
        encode(part)
    return len(column.texts) / (clock() - began)


def least_cosines(by_name: Mapping[str, Encode], texts: Sequence[str]) -> dict[str, float]:
    """Return the least cosine of a text's vectors by each engine and by sentence-transformers."""
    expected = by_name[PEER](texts).astype(np.float64)
    return {name: float((encode(texts).astype(np.float64) * expected).sum(1).min()) for name, encode in by_name.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    cores = len(os.sched_getaffinity(0))
    parser.add_argument("--threads", default=f"1,{cores}", help="of each engine, with commas between them")
    options = parser.parse_args()
    counts = list(dict.fromkeys(options.threads.split(",")))
    if len(counts) > 1:
        command = [sys.executable, "-m", "benchmarks.encoder", "--rounds", str(options.rounds), "--threads"]
        sys.exit(max(subprocess.run([*command, count], check=False).returncode for count in counts))
    threads = int(counts[0])
    os.environ["RAYON_NUM_THREADS"] = str(threads)  # read by the tokeniser, when it is first used
    torch.set_num_threads(threads)
    by_name, compared = engines(threads), columns()
    rates = timed(by_name, compared, options.rounds, time.process_time if threads == 1 else time.perf_counter)
    cosines = least_cosines(by_name, [text for column in compared for text in column.texts])
    title = f"{machine()}; {threads} threads: texts a second, and times {PEER}"
    table = Table(title=title, box=box.MARKDOWN)
    for name in ("", *rates, "least cosine"):
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    for name in by_name:
        cells = [f"{row[name]:,.0f} ({row[name] / row[PEER]:.2f}×)" for row in rates.values()]
        table.add_row(name, *cells, f"{cosines[name]:.6f}")
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
