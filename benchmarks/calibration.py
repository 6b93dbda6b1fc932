"""Is a confidence of 0.7 right seven times of ten? A calibration from 200 labelled questions, judged on others.

    python -m benchmarks.calibration [--labels 200] [--draws 50]

The run makes some 6,000 questions from `python` and `unicode`, and removes every right document of half of them. Each
of `--draws` draws takes 100 questions with an answer and 100 without; its fit is judged on all other questions. Beside
it: the weights without a calibration, with `auto` for "none of these", and a fit to all questions, judged on the same
ones. The exit code is 1 if, on either collection, the mean calibration error is above 0.05, the mean coverage of the
sets of 0.9 is off by more than 0.02, or the fitted λ loses mean reciprocal rank. It is also 1 if fewer than 95 % of the
draws of both together are within 0.06 of 0.9.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, replace

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from attention.lookup import similarities_of
from benchmarks.asking import Array, Asking, Vectors
from benchmarks.labelled import Asked, Labelled, asked
from service.encoding import TOPICS, load_encoder
from service.retrieval.calibration import COVERAGE, DocumentKeys, Metrics, OffTopic, ProfileBuilder, Profiles, evaluate
from service.retrieval.calibration.fit import Fit, Outcomes
from service.storage import temporary_search
from service.storage.records import SearchRow

QUESTIONS = 4000
TOGETHER = 16
MOST_ERROR, NEAR, WITHIN, KEPT = 0.05, 0.02, 0.06, 0.95


@dataclass(frozen=True)
class Draw:
    """A fit to some questions, judged on the others; without full text, and with the fitted λ.

    Attributes:
        gains: whether the service would keep the fit.
    """

    temperature: float
    words: float
    gains: bool
    plain: Metrics
    with_words: Metrics


def profiles_of(labelled: Asked, vectors: Vectors) -> tuple[Profiles, Array]:
    """Every question's, by the service's own parts: its encoder, its lookup, its full text; and their null's logits."""
    asking = Asking({document["id"]: document["key"] for document in labelled.documents}, vectors)
    texts = [labelled_question.question for labelled_question in labelled.questions]
    queries = vectors.of(texts, "query")
    row_of = dict(zip(asking.ids, asking.numbers.tolist(), strict=True))
    documents = DocumentKeys.of(asking.numbers)
    profiling = ProfileBuilder(asking.record.settings.temperature, len(asking.ids))
    searched = [SearchRow(document["id"], document["key"], None) for document in labelled.documents]
    with temporary_search(searched) as search:
        for start in range(0, len(queries), TOGETHER):
            result = similarities_of(asking.memory.view, queries[start : start + TOGETHER].astype(np.float64))
            order = np.argsort(result.numbers)
            for question, row in zip(labelled.questions[start:], result.similarities, strict=False):
                right = np.array([row_of[answer] for answer in question.answers if answer in row_of], dtype=np.int64)
                ranks = search.ranks(question.question)
                by_id = documents.by_id(
                    row[order], right, lambda rows: [asking.ids[labelled_question - 1] for labelled_question in rows]
                )
                profiling.add(row[order], documents, ranks, right, by_id)
    return profiling.build(), asking.null_logits(texts)


def off_topic_of(labelled: Asked, vectors: Vectors) -> OffTopic | None:
    """The questions on many topics that bound a calibration, as a service asks them."""
    made = replace(labelled, questions=[Labelled(topic.question, ()) for topic in TOPICS])
    profiles, null = profiles_of(made, vectors)
    return OffTopic.choose(profiles, null, null, profiles.own_index)


def drawn(profiles: Profiles, null: Array, off_topic: OffTopic | None, labels: int, draw: int) -> Draw:
    """Fit to `labels` labels, half of each kind."""
    random = np.random.default_rng(draw)
    kinds = (np.flatnonzero(profiles.present), np.flatnonzero(~profiles.present))
    chosen = np.concatenate([random.choice(kind, labels // 2, replace=False) for kind in kinds])
    other_questions = np.setdiff1d(np.arange(len(profiles.present)), chosen)
    value = evaluate(profiles.of(chosen), random.permutation(len(chosen)), null[chosen], off_topic=off_topic)
    held_out = profiles.of(other_questions)
    plain = Metrics.of(value.plain.predict(held_out, COVERAGE))
    with_words = plain if value.words is None else Metrics.of(value.words.predict(held_out, COVERAGE))
    share = 0.0 if value.words is None else profiles.words[value.words.cell[0]]
    return Draw(float(profiles.temperatures[value.plain.cell[1]]), share, value.gains, plain, with_words)


def report(name: str, profiles: Profiles, null: Array, draws: list[Draw], table: Table) -> bool:
    """Lines of the table → whether the fits keep what they promise."""
    served = Metrics.of(Outcomes.current(profiles, null, COVERAGE))
    cell = (0, int(np.argmin(np.abs(np.log(profiles.temperatures / np.median([d.temperature for d in draws]))))))
    own_metrics = Metrics.of(Fit.of(profiles, cell, few=False).predict(profiles, COVERAGE))
    table.add_row(name, "as served", *_cells(served), "", "")
    table.add_row("", "fitted to all", *_cells(own_metrics), "", "")
    passed = True
    for label, figures in (("fitted", [d.plain for d in draws]), ("and words", [d.with_words for d in draws])):
        errors, coverage = _of(figures, "ece"), _of(figures, "coverage")
        change = _of(figures, "mrr") - _of([d.plain for d in draws], "mrr")
        within = np.mean(np.abs(coverage - COVERAGE) <= WITHIN)
        table.add_row(
            "",
            label,
            f"{errors.mean():.3f} ({np.quantile(errors, 0.95):.3f})",
            f"{_of(figures, 'log_loss').mean():.3f}",
            f"{_of(figures, 'label_loss').mean():.3f}",
            f"{_of(figures, 'recall').mean():.3f}",
            f"{_of(figures, 'mrr').mean():.3f}",
            f"{coverage.mean():.3f}",
            f"{within:.0%}",
            f"{change.mean():+.3f}" if label == "and words" else "",
        )
        passed &= bool(errors.mean() <= MOST_ERROR and abs(coverage.mean() - COVERAGE) <= NEAR and change.mean() >= 0)
    return passed


def _cells(figures: Metrics) -> list[str]:
    return [
        f"{getattr(figures, name).value:.3f}" for name in ("ece", "log_loss", "label_loss", "recall", "mrr", "coverage")
    ]


def _of(figures: list[Metrics], name: str) -> np.ndarray:
    return np.array([getattr(figure, name).value for figure in figures])


def main() -> int:
    """Make the questions, draw labels, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=int, default=200, help="questions that a fit is made of")
    parser.add_argument("--draws", type=int, default=50, help="fits on each collection")
    arguments = parser.parse_args()
    vectors = Vectors(load_encoder("all-MiniLM-L6-v2"))
    title = f"{arguments.labels} labels drawn {arguments.draws} times; means over all other questions (95th percentile)"
    table = Table(title=title, box=box.SIMPLE)
    headings = ("", "", "ECE", "log-loss", "label loss", "recall@1", "MRR", "coverage", "within .06", "ΔMRR")
    for heading in headings:
        table.add_column(heading, no_wrap=True, justify="right" if heading else "left")
    passed, both, lines = True, list[Draw](), list[str]()
    for name in ("python", "unicode"):
        labelled = asked(name, QUESTIONS)
        profiles, null = profiles_of(labelled, vectors)
        off_topic = off_topic_of(labelled, vectors)
        draws = [drawn(profiles, null, off_topic, arguments.labels, draw) for draw in range(arguments.draws)]
        passed &= report(name, profiles, null, draws, table)
        both += draws
        gains, with_words = np.mean([d.gains for d in draws]), np.mean([d.words > 0 for d in draws])
        lines.append(
            f"{name}: {len(labelled.documents):,} documents, {len(profiles.present):,} questions, "
            f"{np.count_nonzero(profiles.present):,} with an answer; {gains:.0%} of the fits gain more than their "
            f"standard error, {with_words:.0%} take words; T {np.mean([d.temperature for d in draws]):.3f} ± "
            f"{np.std([d.temperature for d in draws]):.3f}"
        )
    within = np.mean(np.abs(_of([d.plain for d in both], "coverage") - COVERAGE) <= WITHIN)
    console = Console(width=120)
    console.print(table)
    console.print("\n".join(lines), f"\nwithin six points, of all draws: {within:.0%}", soft_wrap=True)
    return 0 if passed and within >= KEPT else 1


if __name__ == "__main__":
    sys.exit(main())
