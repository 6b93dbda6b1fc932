"""When is "none of these" right, how good are confidences, and does a promised error hold? Without labels, and with.

    python -m benchmarks.abstention [--runs 100] [--sets manual wordnet] [--documents 3000]

The sets are those of `benchmarks.verdict`; in a turned set the sentences are the documents, and short descriptions are
the questions. A collection has at most `--documents` documents. Of 2,500 questions 1,000 have their document there, of
1,000 it was removed, and 500 are about something else.

    served     the collection as it is made: `auto` at the encoder's temperature, the first weight as confidence
    50, 200    after labels that are drawn at random; judged on all other questions

An abstention is the verdict "none". `none right` is the share of the abstentions whose question has no answer there;
`kept` the share of the questions with an answer that are not abstained from. Behind the stroke also a wrong first match
makes an abstention right, and those are kept whose first match is right. `removed` and `off` are the shares abstained
from. Beside the mean ECE over the runs stands the bootstrap interval of the first run, 95 %. `broken` counts the runs
in which an error promised as at most 5 % is significantly above that on the other questions (binomial, one-sided, 1 %):
of all questions, and of the answers; behind it the share of right first matches that the bound lets through.
`applied` counts the runs that a service would apply. Behind it stand those of them in which the log-loss or the label
loss on the other questions is significantly above that of the collection without a calibration (one-sided, 1 %).

The exit code is 1 if a set misses .75 right and .80 kept without labels, .80 and .80 with 50, an ECE of .05 with 200,
or breaks a promise in more than 5 of 100 runs.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from attention.lookup import HALF, similarities_of
from benchmarks.asking import Array, Asking, Vectors
from benchmarks.labelled import Labels, Pair, order_of
from benchmarks.verdict import off_topic_of, sets
from service.encoding import TOPICS, load_encoder
from service.retrieval.calibration import (
    DocumentKeys,
    Gain,
    OffTopic,
    ProfileBuilder,
    Profiles,
    evaluate,
)
from service.retrieval.calibration.abstention import log_binomial
from service.retrieval.calibration.evaluation import calibration_error
from service.retrieval.calibration.fit import Fit, Outcomes, Variant

OF_KIND, OFF_TOPIC = 1000, 500
TOGETHER = 16
PROMISED, SIGNIFICANT = 0.05, 0.01
BOOTSTRAPS = 500
HEADINGS = (
    *("", "documents", "", "none right", "kept", "removed", "off", "ECE", "95 %"),
    *("broken", "let through", "applied, worse"),
)
SIGNIFICANT_ERRORS = 2.33
"""The standard errors by which a mean is above another with the probability `SIGNIFICANT` by chance."""


@dataclass(frozen=True)
class Questioned:
    """A collection and its questions.

    Attributes:
        keys: the documents' texts, by id.
        questions: each question, and what answers it; nothing if that was removed, or never there.
        kinds: int64[q], 0 if the answer is there, 1 if it was removed, 2 for off-topic.
    """

    keys: dict[str, str]
    questions: list[tuple[str, tuple[str, ...]]]
    kinds: Array


def turned(labels: Labels) -> Labels:
    """Return the set with its sentences as documents and its short descriptions as questions."""
    pairs = (
        Pair(ids[0], question, labels.keys[ids[0]])
        for question, ids in sorted(labels.right.items())
        if len(ids) == 1 and " " in labels.keys[ids[0]]
    )
    return Labels.of(pairs)


def questioned(labels: Labels, off_topic: Sequence[str], documents: int) -> Questioned:
    """Take the documents of half of the questions out of a set."""
    chosen = list(islice(labels.apart(), 2 * OF_KIND))
    removed, present = chosen[: len(chosen) // 2], chosen[len(chosen) // 2 :]
    gone = {identity for _, ids in removed for identity in ids}
    ids = dict.fromkeys(identity for _, answers in present for identity in answers)
    ids |= dict.fromkeys(identity for identity in sorted(labels.keys, key=order_of) if identity not in gone)
    keys = {identity: labels.keys[identity] for identity in islice(ids, documents)}
    strange = [(text, ()) for text in off_topic[: len(chosen) // 4]]
    kinds = np.repeat([0, 1, 2], [len(present), len(removed), len(strange)])
    return Questioned(keys, [*present, *((text, ()) for text, _ in removed), *strange], kinds)


def profiles_of(collection: Questioned, asking: Asking) -> tuple[Profiles, Array]:
    """Return the profiles of all questions, and the logits of the null key beside them."""
    texts = [text for text, _ in collection.questions]
    queries, row_of = asking.vectors.of(texts, "query"), dict(zip(asking.ids, asking.numbers.tolist(), strict=True))
    documents = DocumentKeys.of(asking.numbers)
    profiling = ProfileBuilder(asking.record.settings.temperature, len(asking.ids), (0.0,))
    for start in range(0, len(queries), TOGETHER):
        result = similarities_of(asking.memory.view, queries[start : start + TOGETHER].astype(np.float64))
        order = np.argsort(result.numbers)
        for (_, ids), row in zip(collection.questions[start:], result.similarities, strict=False):
            right = np.array(sorted(row_of[identity] for identity in ids), dtype=np.int64)
            by_id = documents.by_id(row[order], right, lambda rows: [asking.ids[number - 1] for number in rows])
            profiling.add(row[order], documents, None, right, by_id)
    return profiling.build(), asking.null_logits(texts)


def off_topic_of_service(collection: Questioned, asking: Asking) -> OffTopic | None:
    """Return the questions on many topics that bound a calibration, as a service asks them."""
    made = replace(collection, questions=[(topic.question, ()) for topic in TOPICS])
    profiles, null = profiles_of(made, asking)
    return OffTopic.choose(profiles, null, null, profiles.own_index)


@dataclass(frozen=True)
class Judged:
    """The figures of one calibration on questions to which it was not fitted."""

    none_right: float
    kept: float
    none_right_or_wrong: float
    right_kept: float
    removed: float
    off: float
    ece: float
    interval: tuple[float, float]
    broken: tuple[bool, bool]
    passed: tuple[float, float]
    applied: bool = False
    worse: bool = False


def judge(outcomes: Outcomes, null_weights: Array, kinds: Array, variant: Variant | None, intervals: bool) -> Judged:
    """Judge predicted outcomes.

    Args:
        outcomes: of the held-out questions.
        null_weights: float64[q], of the null key beside each.
        kinds: int64[q], the kind of each question.
        variant: the calibration; None without one.
        intervals: whether to compute the bootstrap interval, which takes a while.
    """
    none = null_weights >= (HALF if variant is None else variant.none_from)
    right, confidence = outcomes.right, outcomes.confidence
    random, resampled = np.random.default_rng(0), [math.nan]
    if intervals:
        draws = random.integers(len(right), size=(BOOTSTRAPS, len(right)))
        resampled = [calibration_error(confidence[draw], right[draw]) for draw in draws]
    low, high = np.quantile(resampled, [0.025, 0.975]).tolist()
    broken, passed = list[bool](), list[float]()
    for of in ("questions", "answers"):
        bounds = () if variant is None else variant.bounds
        bound = next((bound for bound in bounds if bound.of == of and bound.error == PROMISED), None)
        answered = np.zeros(len(right), dtype=np.bool_) if bound is None else confidence >= bound.min_confidence
        answered &= ~none
        wrong, n = int((answered & ~right).sum()), len(right) if of == "questions" else int(answered.sum())
        broken.append(wrong > 0 and log_tail(wrong, n, PROMISED) < math.log(SIGNIFICANT))
        passed.append(float(answered[right].mean()))
    return Judged(
        float((kinds[none] > 0).mean()) if none.any() else math.nan,
        float((~none[kinds == 0]).mean()),
        float((~right[none]).mean()) if none.any() else math.nan,
        float((~none[right]).mean()),
        float(none[kinds == 1].mean()),
        float(none[kinds == 2].mean()),
        calibration_error(confidence, right),
        (low, high),
        (broken[0], broken[1]),
        (passed[0], passed[1]),
    )


def log_tail(wrong: int, n: int, error: float) -> float:
    """Return the logarithm of the probability of at least this many errors among n."""
    below = math.exp(min(log_binomial(wrong - 1, n, error), 0.0)) if wrong else 0.0
    return math.log(max(1 - below, sys.float_info.min))


def judge_fit(fit: Fit, profiles: Profiles, kinds: Array, null: Array, *, intervals: bool, applied: bool) -> Judged:
    """Judge a fit on questions to which it was not fitted, also beside the null key's logits without a calibration."""
    log_total = np.logaddexp(profiles.log_partition[:, *fit.cell], fit.log_count)
    null_weights = np.exp(fit.log_count - log_total)
    outcomes = fit.predict(profiles)
    gain = Gain.between(Outcomes.current(profiles, null), outcomes)
    falls = [(fell, error) for fell, error in (gain.label_loss.pair, gain.log_loss.pair)]
    worse = applied and any(fell < -SIGNIFICANT_ERRORS * error for fell, error in falls)
    judged = judge(outcomes, null_weights, kinds, fit.variant, intervals)
    return replace(judged, applied=applied, worse=worse)


def drawn(
    profiles: Profiles,
    kinds: Array,
    null: Array,
    off_topic: OffTopic | None,
    labels: int,
    runs: int,
) -> Iterator[Judged]:
    """Fit to labels that are drawn in the proportions of the questions, again and again."""
    for run in range(runs):
        random = np.random.default_rng(run)
        chosen = np.concatenate(
            [
                random.choice(np.flatnonzero(kinds == kind), round(labels * share), replace=False)
                for kind, share in ((0, 0.4), (1, 0.4), (2, 0.2))
            ]
        )
        assessed = evaluate(profiles.of(chosen), random.permutation(len(chosen)), null[chosen], off_topic=off_topic)
        others = np.setdiff1d(np.arange(len(kinds)), chosen)
        yield judge_fit(
            assessed.plain,
            profiles.of(others),
            kinds[others],
            null[others],
            intervals=run == 0,
            applied=assessed.gains,
        )


def row(table: Table, heading: tuple[str, str, str], judged: Sequence[Judged], is_fit: bool = True) -> Judged:
    """Add the means over some runs to the table, and return them."""
    names = ("none_right", "kept", "none_right_or_wrong", "right_kept", "removed", "off", "ece")
    means: dict[str, Any] = {name: float(np.nanmean([getattr(one, name) for one in judged])) for name in names}
    broken = [sum(one.broken[i] for one in judged) for i in (0, 1)]
    passed = [float(np.mean([one.passed[i] for one in judged])) for i in (0, 1)]
    low, high = judged[0].interval
    many = len(judged) > 1
    table.add_row(
        *heading,
        f"{means['none_right']:.2f} / {means['none_right_or_wrong']:.2f}",
        f"{means['kept']:.2f} / {means['right_kept']:.2f}",
        f"{means['removed']:.2f}",
        f"{means['off']:.2f}",
        f"{means['ece']:.3f}",
        f"{low:.3f}–{high:.3f}",
        f"{broken[0]}, {broken[1]} of {len(judged)}" if many else "",
        f"{passed[0]:.2f}, {passed[1]:.2f}" if many else "",
        f"{sum(one.applied for one in judged)}, {sum(one.worse for one in judged)}" if is_fit else "",
    )
    return replace(judged[0], **means)


def measure(
    name: str,
    labels: Labels,
    off_topic: Sequence[str],
    vectors: Vectors,
    table: Table,
    options: argparse.Namespace,
) -> list[str]:
    """Measure a set → what it misses."""
    collection = questioned(labels, off_topic, options.documents)
    asking, kinds, runs = Asking(collection.keys, vectors), collection.kinds, options.runs
    profiles, null = profiles_of(collection, asking)
    made = off_topic_of_service(collection, asking)
    log_total = np.logaddexp(profiles.log_partition[:, 0, profiles.own_index], null)
    served = judge(Outcomes.current(profiles, null), np.exp(null - log_total), kinds, None, intervals=True)
    row(table, (name, f"{len(collection.keys):,}", "served"), [served], is_fit=False)
    few, many = ([*drawn(profiles, kinds, null, made, n, runs)] for n in (50, 200))
    of_few, of_many = row(table, ("", "", "50"), few), row(table, ("", "", "200"), many)
    wanted = {
        "of the abstentions without labels are right, wanted .75": served.none_right >= 0.75,
        "of the present are kept without labels, wanted .80": served.kept >= 0.8,
        "of the abstentions with 50 labels are right, wanted .80": of_few.none_right >= 0.8,
        "of the present are kept with 50 labels, wanted .80": of_few.kept >= 0.8,
        "is the ECE with 200 labels, wanted .05": of_many.ece <= 0.05,
        "of the runs break a promise, wanted at most 5 %": all(
            sum(one.broken[i] for one in judged) <= 0.05 * runs for judged in (few, many) for i in (0, 1)
        ),
    }
    return [f"{name}: {what}" for what, is_met in wanted.items() if not is_met]


def main() -> int:
    """Make the collections, calibrate, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100, help="draws of labels")
    parser.add_argument("--sets", nargs="+", help="some sets; all by default")
    parser.add_argument("--documents", type=int, default=3000, help="the most documents of a collection")
    options = parser.parse_args()
    vectors = Vectors(load_encoder("all-MiniLM-L6-v2"))
    labelled = sets()
    off_topic = off_topic_of(labelled, OFF_TOPIC)
    both = dict[str, tuple[Labels, Sequence[str]]]()
    for name, labels in labelled.items():
        if labels is not None and off_topic[name]:
            both[name] = labels, off_topic[name]
            if name not in ("python", "unicode"):
                both[f"{name} turned"] = turned(labels), off_topic[name]
    table = Table(title=f"means of {options.runs} draws of labels", box=box.SIMPLE)
    for heading in HEADINGS:
        table.add_column(heading, no_wrap=True, justify="right" if heading else "left")
    missed = list[str]()
    for name, (labels, texts) in both.items():
        if options.sets is None or name in options.sets:
            flaws = measure(name, labels, texts, vectors, table, options)
            missed += flaws
            print(f"{name} is done", file=sys.stderr)
    console = Console(width=160)
    console.print(table)
    absent = [name for name in labelled if name not in both]
    console.print(f"not on this machine: {', '.join(absent) or 'nothing'}")
    console.print("\n".join(["missed:", *missed] if missed else ["all is as wanted"]))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
