"""The costs of words that a collection keeps for late interaction: its upload, its file and its questions.

    python -m benchmarks.words [--nouns data.noun] [--documents 10000] [--rounds 8]

The documents are glosses of WordNet's nouns, see `benchmarks.blind`, or a dozen random words each. Two collections are
filled in turns, one of them with `"late": true`. Then the service is started again, and asked questions that all
differ, in turns with and without late interaction.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import sqlite3
import statistics
import tempfile
import time
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.blind import NAMES, read, read_synsets
from benchmarks.contenders.documents import WORDS
from benchmarks.running import Service

UPLOADED_AT_ONCE = 250
ASKED_AT_ONCE = 25
WIDTH = 128


def keys(nouns: Path | None, count: int) -> list[str]:
    """Return texts that all differ: a noun's words and its gloss, or random words."""
    if nouns is None:
        chosen = random.Random(7)
        return [f"{i} {' '.join(chosen.choices(WORDS, k=12))}" for i in range(count)]
    texts = dict.fromkeys(f"{', '.join(synset.words)}: {synset.gloss}" for synset in read_synsets(nouns))
    return list(islice(texts, count))


def upload(client: httpx.Client, name: str, texts: list[str]) -> None:
    """Write documents."""
    documents = [{"id": hashlib.sha256(text.encode()).hexdigest(), "key": text} for text in texts]
    client.post(f"/v1/collections/{name}/documents", json={"documents": documents}).raise_for_status()


def fill(service: Service, texts: list[str], rounds: int) -> tuple[float, float]:
    """Fill both collections with texts in turns, then the one with words; return ratios of medians.

    These are of seconds, and of seconds of the processor. No text is sent twice: its vector would still be in memory.
    """
    seconds: dict[str, list[tuple[float, float]]] = {"plain": [], "kept": []}
    parts = [texts[start : start + UPLOADED_AT_ONCE] for start in range(0, len(texts), UPLOADED_AT_ONCE)]
    with service.client() as client:
        for name in seconds:
            settings = {"late": name == "kept", "value_from": "key"}
            client.put(f"/v1/collections/{name}", json=settings).raise_for_status()
        for i in range(rounds):
            for name in ("plain", "kept") if i % 2 else ("kept", "plain"):
                processor, began = service.processor_seconds(), time.perf_counter()
                upload(client, name, parts.pop())
                seconds[name].append((time.perf_counter() - began, service.processor_seconds() - processor))
        for part in parts:
            upload(client, "kept", part)
    kept, plain = (np.median(seconds[name][1:], axis=0) for name in ("kept", "plain"))
    wall, processor = (kept / plain).tolist()
    return wall, processor


def bytes_a_word(data: Path) -> tuple[int, float]:
    """Return the number of words, and the bytes by which they enlarge the file, for each."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        with closing(sqlite3.connect(data / "softkv.sqlite3")) as connection:
            connection.execute("VACUUM INTO ?", (str(copy),))
        before = copy.stat().st_size
        with closing(sqlite3.connect(copy)) as connection:
            (total,) = connection.execute("SELECT sum(length(words)) FROM words").fetchone()
            connection.execute("DELETE FROM words")
            connection.commit()
            connection.execute("VACUUM")
        return total // WIDTH, (before - copy.stat().st_size) / (total / WIDTH)


def ask(client: httpx.Client, questions: list[str], rerank: dict[str, Any] | None) -> None:
    """Ask each question in a call of its own."""
    for question in questions:
        body = {"query": question, "top_k": 10, "include": ["key"], "rerank": rerank}
        client.post("/v1/collections/kept/attend", json=body).raise_for_status()


def processor_milliseconds(service: Service, questions: list[str]) -> tuple[float, float]:
    """Return the processor time of a question without late interaction, and with it; medians of blocks in turns."""
    taken: dict[bool, list[float]] = {False: [], True: []}
    with service.client() as client:
        ask(client, questions[:4], None)
        ask(client, questions[4:8], {"model": "late"})
        blocks = [questions[i : i + ASKED_AT_ONCE] for i in range(8, len(questions), ASKED_AT_ONCE)]
        for i, block in enumerate(block for block in blocks if len(block) == ASKED_AT_ONCE):
            before = service.processor_seconds()
            ask(client, block, {"model": "late"} if i % 2 else None)
            taken[i % 2 == 1].append((service.processor_seconds() - before) / len(block) * 1e3)
    return statistics.median(taken[False]), statistics.median(taken[True])


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nouns", type=Path)
    parser.add_argument("--documents", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=8)
    options = parser.parse_args()
    texts = keys(options.nouns, options.documents)
    questions = [question for name in NAMES for question, _ in read(name).present]
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        with Service(data) as service:
            service.wait_until_ready()
            wall, processor = fill(service, texts, options.rounds)
        words, size = bytes_a_word(data)
        with Service(data) as service:
            service.wait_until_ready()
            service.wait_until_idle()
            without, late = processor_milliseconds(service, questions)
    table = Table(
        "documents",
        "words each",
        "upload, times",
        "its processor time",
        "bytes a word",
        "a question: without, ms",
        "late, ms",
        "more, ms",
    )
    documents = len(texts) - options.rounds * UPLOADED_AT_ONCE
    cells = (
        f"{words / documents:.1f}",
        f"{wall:.2f}",
        f"{processor:.2f}",
        f"{size:.0f}",
        f"{without:.1f}",
        f"{late:.1f}",
    )
    table.add_row(f"{documents:,}", *cells, f"{late - without:.1f}")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
