"""Does a projection that is trained on labelled pairs learn words that the encoder does not know, and harm no others?

    python -m extensions.torch.benchmarks.training [--names 120] [--questions 6] [--pairs 450] [--sets python unicode]

The first rows are of made part codes and abbreviations (`benchmarks.codes`): a service has the meanings of 120 names
among 1,180 documents, and is asked by the names alone. `softkv train` trains on two thirds of the questions, and the
others judge: first other questions by the same names, then names that are in no pair. The second table has the verdicts
of the service before and after, to all questions by the names and to questions on other topics.

The other rows are natural questions to natural texts, in this process: the sets of `benchmarks.verdict`, with one
question for a document. There every held-out document is new. `kept` says whether `softkv train --apply` stores it.

The exit code is 1 if the made names are not kept, or if a set is kept whose MRR falls.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from attention.lookup import Memory
from benchmarks.asking import Vectors
from benchmarks.codes import NamedDocument, make_documents
from benchmarks.labelled import Labels
from benchmarks.running import Service
from benchmarks.verdict import sets
from service.encoding import TOPICS, load_encoder
from softkv_torch.train.fitting import HELD_OUT, FittedProjection, LabelledQueries, fit_projection

MAX_DOCUMENTS = 1500
BATCH = 64


def main() -> int:
    """Train on each set, and print what it gains."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", type=int, default=120, help="made names, half of them codes")
    parser.add_argument("--questions", type=int, default=6, help="questions by each name")
    parser.add_argument("--pairs", type=int, default=450, help="at most, of a set of natural questions")
    parser.add_argument("--sets", nargs="*", help="of natural questions; all if left out")
    arguments = parser.parse_args()
    gains = Table(title="MRR of held-out pairs", box=box.SIMPLE)
    for heading in ("", "documents", "pairs", "held out", "before", "after", "gain", "kept", "rank", "seconds"):
        gains.add_column(heading, justify="left" if heading == "" else "right", no_wrap=True)
    named, others = make_documents(arguments.names, arguments.questions)
    verdicts, learned = train_served(named, others, gains)
    vectors = Vectors(load_encoder("all-MiniLM-L6-v2"))
    unseen = fit_unseen(named, others, vectors)
    gains.add_row("  by unseen names", f"{len(named) + len(others):,}", *_row(unseen[0], unseen[1]))
    harmed = False
    for name, labels in sets().items():
        if labels is None or name not in (arguments.sets or [name]):
            continue
        print(f"training on {name}", file=sys.stderr)
        fitted, documents, seconds = fit_natural(labels, vectors, arguments.pairs)
        harmed |= fitted.gains and fitted.gain < 0
        gains.add_row(name, f"{documents:,}", *_row(fitted, seconds))
    console = Console(width=130)
    console.print(gains)
    console.print(verdicts)
    return 0 if learned and not harmed else 1


def train_served(named: Sequence[NamedDocument], others: Sequence[str], gains: Table) -> tuple[Table, bool]:
    """Run `softkv train` on a service that has the documents.

    Returns:
        The verdicts before and after, and whether the projection was kept.
    """
    pairs = [(question, document.name) for document in named for question in document.questions]
    documents = [{"id": document.name, "key": document.text} for document in named]
    documents += [{"id": f"other-{i}", "key": text} for i, text in enumerate(others)]
    table = Table(title="verdicts to questions by made names", box=box.SIMPLE)
    for heading in ("", "right first", "one, right", "none", "off-topic: none"):
        table.add_column(heading, justify="left" if heading == "" else "right", no_wrap=True)
    with tempfile.TemporaryDirectory() as folder, Service(Path(folder) / "data") as service, service.client() as client:
        service.wait_until_ready()
        path = "/v1/collections/parts"
        client.put(path, json={}).raise_for_status()
        client.post(f"{path}/documents", json={"documents": documents}).raise_for_status()
        file = Path(folder) / "pairs.jsonl"
        file.write_text("".join(json.dumps({"query": query, "id": name}) + "\n" for query, name in pairs))
        before = _ask(client, path, pairs)
        started = time.perf_counter()
        command = [sys.executable, "-m", "service", "train", str(file), "-c", "parts", "--apply", "--json"]
        done = subprocess.run([*command, "--url", service.url], check=True, capture_output=True, text=True)
        seconds, report = time.perf_counter() - started, json.loads(done.stdout)
        after = _ask(client, path, pairs)
    figures = report["mrr_before"], report["mrr_after"], report["gain"], report["error"]
    gains.add_row(
        "made names, by other questions",
        f"{len(documents):,}",
        *_figures(report["pairs"], report["held_out"], *figures, kept=report["applied"]),
        str(report["rank"]),
        f"{seconds:.0f}",
    )
    for name, shares in (("before", before), ("after", after)):
        table.add_row(name, *(f"{share:.3f}" for share in shares))
    return table, bool(report["applied"])


def _ask(client: Any, path: str, pairs: Sequence[tuple[str, str]]) -> list[float]:
    """Return the shares of the columns of verdicts, of all pairs and of the topics of the encoder's background."""
    answers = _attend(client, path, [query for query, _ in pairs])
    right = [answer["matches"][0]["id"] == name for answer, (_, name) in zip(answers, pairs, strict=True)]
    ones = [answer["evidence"]["verdict"] == "one" for answer in answers]
    off_topic = _attend(client, path, [topic.question for topic in TOPICS])
    return [
        float(np.mean(right)),
        float(np.mean(np.array(right) & ones)),
        float(np.mean([answer["evidence"]["verdict"] == "none" for answer in answers])),
        float(np.mean([answer["evidence"]["verdict"] == "none" for answer in off_topic])),
    ]


def _attend(client: Any, path: str, queries: Sequence[str]) -> list[Mapping[str, Any]]:
    answers = list[Mapping[str, Any]]()
    for start in range(0, len(queries), BATCH):
        body = {"queries": queries[start : start + BATCH], "top_k": 1, "include": []}
        answers += client.post(f"{path}/attend", json=body).raise_for_status().json()["results"]
    return answers


def fit_unseen(
    named: Sequence[NamedDocument], others: Sequence[str], vectors: Vectors
) -> tuple[FittedProjection, float]:
    """Fit to the questions of two thirds of the names, and judge on those of the other names."""
    texts = [document.text for document in named] + list(others)
    memory = Memory.of(vectors.of(texts, "document"), similarity="cosine")
    order = np.random.default_rng(0).permutation(len(named)).tolist()
    unseen = {*order[::HELD_OUT]}
    held_out = [(question, i) for i in order if i in unseen for question in named[i].questions]
    training = [(question, i) for i in order if i not in unseen for question in named[i].questions]
    # Every third of the queries is held out, from the first on.
    pairs = [(held_out if i % HELD_OUT == 0 else training).pop() for i in range(len(held_out) + len(training))]
    return _fit(memory, pairs, vectors)


def fit_natural(labels: Labels, vectors: Vectors, most: int) -> tuple[FittedProjection, int, float]:
    """Fit to questions of a set, to a collection of at most MAX_DOCUMENTS documents."""
    pairs = list(islice(labels.apart("training "), most))
    answers = dict.fromkeys(identity for _, identities in pairs for identity in identities)
    ids = list(islice(dict.fromkeys([*answers, *labels.keys]), max(MAX_DOCUMENTS, len(answers))))
    numbers = {identity: i for i, identity in enumerate(ids)}
    memory = Memory.of(vectors.of([labels.keys[identity] for identity in ids], "document"), similarity="cosine")
    fitted, seconds = _fit(memory, [(text, numbers[identities[0]]) for text, identities in pairs], vectors)
    return fitted, len(ids), seconds


def _fit(memory: Memory, pairs: Sequence[tuple[str, int]], vectors: Vectors) -> tuple[FittedProjection, float]:
    queries = LabelledQueries(vectors.of([text for text, _ in pairs], "query"), [[int(i)] for _, i in pairs])
    started = time.perf_counter()
    fitted = fit_projection(memory, queries, vectors.encoder.temperature.value)
    return fitted, time.perf_counter() - started


def _row(fitted: FittedProjection, seconds: float) -> tuple[str, ...]:
    before, after = float(fitted.before.mean()), float(fitted.after.mean())
    return (
        *_figures(fitted.pairs, len(fitted.before), before, after, fitted.gain, fitted.error, kept=fitted.gains),
        str(len(fitted.down)),
        f"{seconds:.0f}",
    )


def _figures(
    pairs: int, held_out: int, before: float, after: float, gain: float, error: float, *, kept: bool
) -> tuple[str, ...]:
    return (
        str(pairs),
        str(held_out),
        f"{before:.3f}",
        f"{after:.3f}",
        f"{gain:+.3f} ± {error:.3f}",
        "yes" if kept else "no",
    )


if __name__ == "__main__":
    sys.exit(main())
