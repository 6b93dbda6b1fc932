"""The share of wrong hits of a cache by meaning, bounded by a promised error or by a similarity.

    python -m benchmarks.cache [--runs 100]

The questions are those of `benchmarks.paraphrases`. In each run, another 60 % of the requests are stored in one random
wording. 300 other questions are labelled with the stored question that means the same, or with none, and 600
further questions are looked up. A hit is right if the stored question asks for the same.

- Confidence: the collection is calibrated with the labels, and the calibration says which confidence keeps a promised
  error of 5 %, as a share of the questions or of the hits.
- Similarity: the least one for which at most 5 % of the labelled hits are wrong; and 0.9, whatever the labels are.

A run breaks its promise if the share of wrong hits, of the questions or of the hits, is significantly above 5 %
(one-sided binomial test, 1 %). The exit code is 1 if more than 5 of 100 runs do with a confidence.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.paraphrases import make_questions
from softkv import Client, Collection

ERROR, SIGNIFICANCE = 0.05, 0.01
STORED, LABELS, LOOKUPS = 0.6, 300, 600
FIXED_SIMILARITY = 0.9
MAX_BROKEN = 0.05
BATCH = 200

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Lookups:
    """The first matches of questions.

    Attributes:
        confidences, similarities: float64[q].
        right: bool[q], whether the stored question asks for the same.
    """

    confidences: Array
    similarities: Array
    right: Array


@dataclass(frozen=True)
class Hits:
    """The result of the lookups of a run with one kind of bound.

    Attributes:
        share: of the lookups that hit.
        wrong: the share of the hits that are wrong; 0 without a hit.
        wrong_questions: the share of the lookups that hit and are wrong.
        is_broken: whether the promised one of both shares is significantly above the promised error.
    """

    share: float
    wrong: float
    wrong_questions: float
    is_broken: bool

    @classmethod
    def of(cls, scores: Array, bound: float, right: Array, *, of_questions: bool = False) -> Hits:
        """Return the hits with a score of at least the bound.

        Args:
            scores: float64[q]; `right`: bool[q].
            bound: the least score of a hit.
            of_questions: whether the promised error is a share of the questions, not of the hits.
        """
        hits = right[scores >= bound]
        wrong = int(np.count_nonzero(~hits))
        chance = 1 - binomial_cdf(wrong - 1, len(right) if of_questions else len(hits), ERROR)
        is_broken = wrong > 0 and chance < SIGNIFICANCE
        return cls(len(hits) / len(right), wrong / max(len(hits), 1), wrong / len(right), is_broken)


def binomial_cdf(k: int, n: int, chance: float) -> float:
    """Return the probability of at most k of n."""
    logs = [math.lgamma(n + 1) - math.lgamma(i + 1) - math.lgamma(n - i + 1) for i in range(k + 1)]
    return math.fsum(math.exp(log + i * math.log(chance) + (n - i) * math.log1p(-chance)) for i, log in enumerate(logs))


def labelled_bound(scores: Array, right: Array) -> float:
    """Return the least score that keeps the promised share of wrong labelled hits; ∞ if no score does."""
    order = np.argsort(-scores, kind="stable")
    shares = np.cumsum(~right[order]) / np.arange(1, len(order) + 1)
    (sizes,) = np.nonzero(shares <= ERROR)
    return float(scores[order[sizes[-1]]]) if len(sizes) else math.inf


def look_up(collection: Collection, vectors: Array, requests: Array) -> Lookups:
    """Return the first match of each question.

    Args:
        collection: its ids are requests.
        vectors: float32[q, d].
        requests: int64[q], what the questions ask for.
    """
    matches = [
        answer.matches[0]
        for begin in range(0, len(vectors), BATCH)
        for answer in collection.attend([*vectors[begin : begin + BATCH]], top_k=1, include=[])
    ]
    return Lookups(
        np.array([match.confidence for match in matches]),
        np.array([match.similarity for match in matches]),
        np.array([match.id == str(request) for match, request in zip(matches, requests, strict=True)]),
    )


def run(client: Client, vectors: Array, requests: Array, seed: int) -> dict[str, Hits]:
    """Return the hits of one run by the kind of bound.

    Args:
        client: of an empty service.
        vectors: float32[n, d], of all questions.
        requests: int64[n], what they ask for.
        seed: of the random choices.
    """
    rng = np.random.default_rng(seed)
    kinds = np.unique(requests)
    stored = rng.choice(kinds, round(STORED * len(kinds)), replace=False)
    order = rng.permutation(len(requests))
    first = {int(request): int(order[np.flatnonzero(requests[order] == request)[0]]) for request in stored}
    others = np.setdiff1d(order, [*first.values()], assume_unique=True)
    rng.shuffle(others)
    collection = client.collection("cache")
    collection.create(encoder=None, null="auto", dimension=vectors.shape[1])
    collection.upsert({"id": str(request), "key_vector": vectors[question]} for request, question in first.items())
    labelled, asked = np.split(others[: LABELS + LOOKUPS], [LABELS])
    labels = [{"query": vectors[i], "id": str(requests[i]) if int(requests[i]) in first else None} for i in labelled]
    calibration = collection.calibrate(labels, apply=True)
    known, new = (look_up(collection, vectors[chosen], requests[chosen]) for chosen in (labelled, asked))
    collection.drop()
    bounds: dict[str, float] = {}
    for of in ("questions", "answers"):
        bound = calibration.find_min_confidence(ERROR, of)
        bounds[of] = math.inf if bound is None else bound
    return {
        f"confidence, {ERROR:.0%} of questions": Hits.of(
            new.confidences, bounds["questions"], new.right, of_questions=True
        ),
        f"confidence, {ERROR:.0%} of hits": Hits.of(new.confidences, bounds["answers"], new.right),
        f"similarity, {ERROR:.0%} of labelled hits": Hits.of(
            new.similarities, labelled_bound(known.similarities, known.right), new.right
        ),
        f"similarity, {FIXED_SIMILARITY}": Hits.of(new.similarities, FIXED_SIMILARITY, new.right),
    }


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100)
    options = parser.parse_args()
    questions = make_questions()
    requests = np.array([question.request for question in questions])
    with tempfile.TemporaryDirectory() as folder, Client.local(data_dir=Path(folder)) as client:
        vectors = client.encode([question.text for question in questions])
        runs = [run(client, vectors, requests, seed) for seed in range(options.runs)]
    table = Table(title=f"{len(np.unique(requests))} requests, {len(questions):,} wordings", box=box.SIMPLE)
    for heading in ("bound", "hits", "wrong of hits", "wrong of questions", "runs above it, significantly"):
        table.add_column(heading, justify="left" if heading == "bound" else "right", no_wrap=True)
    for name in runs[0]:
        hits = [one[name] for one in runs]
        total = sum(hit.share for hit in hits)
        wrong = sum(hit.wrong_questions for hit in hits)
        table.add_row(
            name,
            f"{total / len(runs):.1%}",
            f"{wrong / total:.1%}" if total else "–",
            f"{wrong / len(runs):.1%}",
            f"{sum(hit.is_broken for hit in hits)} of {len(runs)}",
        )
    Console(width=120).print(table)
    broken = [sum(one[name].is_broken for one in runs) for name in runs[0] if name.startswith("confidence")]
    return int(max(broken) > MAX_BROKEN * len(runs))


if __name__ == "__main__":
    sys.exit(main())
