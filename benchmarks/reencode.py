"""A collection moves to another encoder under 16 clients that ask and one that writes, and `kill -9` three times.

    python -m benchmarks.reencode [--documents 100000] [--clients 16] [--kills 3] [--directory .]

Both encoders are small models with random parameters, which read texts with the default model's tokeniser. Every
similarity of every answer is compared with those that either model gives. An answer is mixed if it is of neither, and
late if it is of the old model although another client had one of the new model before it asked. Refusals are counted
apart: while a killed process is down or starts, and otherwise. At the end the collection is compared, document by
document, with what was written.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import numpy as np
from rich.console import Console

from benchmarks.running import Service
from service.encoding import default_checkpoint, load_encoder

COLLECTION = "/v1/collections/moving"
WORDS = (
    "river", "stone", "bread", "salt", "paper", "window", "garden", "engine", "letter", "winter", "summer", "doctor",
    "music", "silver", "table", "market", "mountain", "station", "carpet", "bottle", "island", "village", "captain",
)  # fmt: skip
QUERIES = 64
TOP_K = 10
TOLERANCE = 1e-4
BATCH = 1000
WIDTHS = {"old": 32, "new": 48}


def text(number: int) -> str:
    """Return the text of a document: short, and different from all others."""
    chosen = random.Random(number)
    return f"{' '.join(chosen.choice(WORDS) for _ in range(6))} {number}"


def save_model(directory: Path, width: int) -> None:
    """Write a sentence encoder with random parameters, as sentence-transformers does."""
    import torch
    import transformers
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

    torch.manual_seed(width)
    sizes: dict[str, Any] = {
        "hidden_size": width,
        "intermediate_size": 2 * width,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
    }
    model = transformers.BertModel(transformers.BertConfig(**sizes))
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    bare = directory / "bare"
    model.save_pretrained(bare)
    names = {f"{name}_token": f"[{name.upper()}]" for name in ("unk", "pad", "cls", "sep", "mask")}
    library = transformers.PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_file=str(default_checkpoint() / "tokenizer.json"), **names
    )
    library.save_pretrained(bare)
    transformer = Transformer(str(bare), max_seq_length=64)
    modules = [transformer, Pooling(transformer.get_embedding_dimension(), pooling_mode="mean"), Normalize()]
    SentenceTransformer(modules=modules, device="cpu").save(str(directory / "model"))


@dataclass
class Counts:
    """Counts of the answers and refusals that the clients got; many threads add to them."""

    answers: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    while_down: Counter[str] = field(default_factory=Counter)
    mixed: int = 0
    late: int = 0
    written: int = 0
    seconds: list[float] = field(default_factory=list)
    first_new: float = float("inf")
    lock: threading.Lock = field(default_factory=threading.Lock)


class Run:
    """The service, its clients, and what they should see."""

    def __init__(self, service: Service, exact: dict[str, np.ndarray], documents: int) -> None:
        self.service, self.exact, self.documents = service, exact, documents
        self.counts = Counts()
        self.stop = threading.Event()
        self.up = threading.Event()

    def ask(self, seed: int) -> None:
        """Ask one question after the other, and check each answer."""
        chosen = random.Random(seed)
        with self.service.client() as client:
            while not self.stop.is_set():
                number = chosen.randrange(QUERIES)
                began, was_up = time.perf_counter(), self.up.is_set()
                body = {"query": text(-number - 1), "top_k": TOP_K, "null": False}
                try:
                    answer = client.post(f"{COLLECTION}/attend", json=body)
                except httpx.TransportError as error:
                    self.refused(type(error).__name__, was_up=was_up)
                    continue
                if answer.status_code != 200:
                    self.refused(answer.json()["code"], was_up=was_up)
                    continue
                self.check(number, answer.json()["matches"], began)

    def refused(self, reason: str, *, was_up: bool) -> None:
        """Count a call without an answer."""
        down = not (was_up and self.up.is_set())
        with self.counts.lock:
            (self.counts.while_down if down else self.counts.refusals)[reason] += 1
        if down:
            time.sleep(0.05)

    def check(self, number: int, matches: list[dict[str, object]], began: float) -> None:
        """Compare an answer with both models."""
        ids = np.array([int(str(match["id"])) for match in matches])
        similarities = np.array([match["similarity"] for match in matches], dtype=np.float64)
        fits = [
            name for name, table in self.exact.items() if np.abs(table[number, ids] - similarities).max() < TOLERANCE
        ]
        ended = time.perf_counter()
        with self.counts.lock:
            self.counts.seconds.append(ended - began)
            if len(fits) != 1:
                self.counts.mixed += 1
                return
            self.counts.answers[fits[0]] += 1
            if fits[0] == "new":
                self.counts.first_new = min(self.counts.first_new, ended)
            elif began > self.counts.first_new:
                self.counts.late += 1

    def write(self, most: int) -> None:
        """Write one new document after the other, each until it is acknowledged."""
        with self.service.client() as client:
            while not self.stop.is_set() and self.counts.written < most:
                number, was_up = self.documents + self.counts.written, self.up.is_set()
                body = {"key": text(number)}
                try:
                    answer = client.put(f"{COLLECTION}/documents/{number}", json=body)
                except httpx.TransportError as error:
                    self.refused(f"write: {type(error).__name__}", was_up=was_up)
                    continue
                if answer.status_code not in (200, 201):
                    self.refused(f"write: {answer.json()['code']}", was_up=was_up)
                    continue
                self.counts.written += 1
                time.sleep(0.02)

    def kill(self) -> None:
        """Kill the service, and start it again."""
        self.up.clear()
        self.service.kill()
        self.service.start()
        self.service.wait_until_ready()
        self.up.set()


def fill(client: httpx.Client, documents: int) -> None:
    """Make the collection, with the old encoder."""
    client.put(COLLECTION, json={"encoder": "old"}).raise_for_status()
    for start in range(0, documents, BATCH):
        numbers = range(start, min(start + BATCH, documents))
        batch = [{"id": str(number), "key": text(number)} for number in numbers]
        client.post(f"{COLLECTION}/documents", json={"documents": batch}).raise_for_status()


def move(run: Run, kills: int) -> tuple[float, dict[str, object]]:
    """Move the collection, and kill the service on the way; return the seconds and the job at its end."""
    began, left = time.perf_counter(), [(kill + 1) / (kills + 1) for kill in range(kills)]
    with run.service.client() as client:
        client.post(f"{COLLECTION}/re-encode", json={"encoder": "new"}).raise_for_status()
        while True:
            job: dict[str, object] = client.get(f"{COLLECTION}/re-encode").json()
            if job["state"] not in ("running", "paused"):
                return time.perf_counter() - began, job
            if left and int(str(job["done"])) >= left[0] * run.documents:
                left.pop(0)
                run.kill()
            time.sleep(0.05)


def main() -> None:
    """Run the benchmark, and print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--directory", type=Path, default=None)
    options = parser.parse_args()
    console = Console(highlight=False)
    with tempfile.TemporaryDirectory(dir=options.directory) as folder:
        directory, n = Path(folder), options.documents
        for name, width in WIDTHS.items():
            (directory / name).mkdir()
            save_model(directory / name, width)
        most_written = max(100, n // 2)
        texts = [text(number) for number in range(n + most_written)]
        exact, alone = dict[str, np.ndarray](), 0.0
        for name in WIDTHS:
            encoder = load_encoder(str(directory / name / "model"))
            encoder.encode(texts[:BATCH], "document")
            began = time.perf_counter()
            keys = np.concatenate(
                [encoder.encode(texts[start : start + BATCH], "document").vectors for start in range(0, n, BATCH)]
            )[:n]
            alone = time.perf_counter() - began
            rest = [
                encoder.encode(texts[start : start + BATCH], "document").vectors
                for start in range(n, n + most_written, BATCH)
            ]
            keys = np.concatenate([keys, *rest])[: n + most_written]
            queries = encoder.encode([text(-number - 1) for number in range(QUERIES)], "query").vectors
            exact[name] = queries @ keys.T
        tables = "".join(
            f"[encoders.{name}]\nmodel = {json.dumps(str(directory / name / 'model'))}\n" for name in WIDTHS
        )
        (directory / "encoders.toml").write_text(f'default = "old"\n{tables}')
        service = Service(
            directory / "data",
            "--encoders",
            str(directory / "encoders.toml"),
            "--drain-seconds",
            "0",
            log=directory / "log",
        )
        with service:
            service.wait_until_ready()
            run = Run(service, exact, n)
            run.up.set()
            with service.client() as client:
                fill(client, n)
            threads = [threading.Thread(target=run.ask, args=(seed,)) for seed in range(options.clients)]
            threads.append(threading.Thread(target=run.write, args=(most_written,)))
            for thread in threads:
                thread.start()
            time.sleep(2)
            before, run.counts.seconds = run.counts.seconds, []
            seconds, job = move(run, options.kills)
            during = run.counts.seconds
            time.sleep(2)
            run.stop.set()
            for thread in threads:
                thread.join()
            with service.client() as client:
                described = client.get(COLLECTION).json()
        counts = run.counts
        console.print(f"{n:,} documents, {options.clients} clients, {options.kills} kills, {counts.written:,} written")
        console.print(
            f"state {job['state']}, {seconds:.1f} s; encoding alone {alone:.1f} s ({seconds / alone:.1f} times)"
        )
        console.print(f"answers: {dict(counts.answers)}; mixed {counts.mixed}, late {counts.late}")
        console.print(
            f"refusals while it was up: {dict(counts.refusals)}; while it was down: {dict(counts.while_down)}"
        )
        console.print(f"median ms of a question: before {median(before) * 1e3:.1f}, during {median(during) * 1e3:.1f}")
        lost = n + counts.written - int(described["documents"])
        console.print(f"documents lost: {lost}; encoder {described['encoder']}")
        failed = counts.mixed or counts.late or counts.refusals or lost or job["state"] != "done"
        raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
