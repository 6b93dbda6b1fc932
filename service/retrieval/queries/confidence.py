"""Confidence of answers of a calibrated collection that are asked with the calibrated options."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from attention.lookup import HALF, Answer, Background, Question, Verdict, View, answers
from service.retrieval.calibration import COVERAGES, Calibration, Variant, min_labels, weight_logits
from service.retrieval.collections import require_calibration
from service.retrieval.errors import InvalidContent
from service.retrieval.queries.question import Array, Options, get_full_text_weight
from service.storage import CollectionRecord

MAX_SET_SIZE = 1000
"""Matches of a set with a promise, where no `top_k` is given."""

_MIN_DOCUMENT_WEIGHT = 1e-6  # a share of the documents that float64 knows to ten digits beside a null weight near 1


@dataclass(frozen=True)
class ConfidenceModel:
    """What was fitted, and holds of the answers to a question.

    Attributes:
        threshold: the least logarithm of a weight that belongs to the set; None where none was asked.
        most: how many matches of it there may be.
        partition: the logarithm of what the documents weigh in an answer, the null key left out.
    """

    variant: Variant
    temperature: float
    min_confidence: float | None
    threshold: float | None
    most: int
    partition: float = -math.inf

    @classmethod
    def of(cls, record: CollectionRecord, options: Options) -> ConfidenceModel | None:
        """None where the collection is not calibrated, or the question is asked otherwise.

        Raises:
            InvalidContent: then `min_confidence` or `conformal` mean nothing; or a promise that the labels were too few
                for.
        """
        wanted = "conformal" if options.conformal is not None else "min_confidence"
        asked = options.conformal is not None or options.min_confidence is not None
        if record.settings.calibration is None and not asked:
            return None
        found = require_calibration(record, f"/{wanted}") if asked else Calibration.read(record.settings.calibration)
        other = found and _explain_mismatch(found, record, options)
        if asked and other:
            raise InvalidContent.at(
                f"/{wanted}",
                f"{wanted} holds for questions as they were calibrated, and {other}: ask without one of them",
            )
        variant = None if found is None or other else found.variant(get_full_text_weight(options))
        if found is None or variant is None:
            return None
        threshold = None if options.conformal is None else _choose_threshold(found, variant, options.conformal)
        return cls(variant, found.temperature, options.min_confidence, threshold, (options.top_k or 1) - 1)

    def about(self, view: View, questions: Sequence[Question], found: Sequence[Answer]) -> list[ConfidenceModel]:
        """The same of each answer to a question: what its documents weigh together.

        Where the null key has nearly all of the weight an answer has lost that, and it is asked once more without.
        """
        lost = [
            i for i, answer in enumerate(found) if len(answer.logits) and 1 - answer.null_weight <= _MIN_DOCUMENT_WEIGHT
        ]
        beside = [replace(questions[i], null=None, top_k=0, top_p=None, output=False, max_error=None) for i in lost]
        known = [*found]
        for i, answer in zip(lost, answers(view, beside) if beside else [], strict=True):
            known[i] = answer
        return [replace(self, partition=_compute_log_partition(answer)) for answer in known]

    def cut(self, answer: Answer) -> Answer:
        """The answer as it is to be told: its head ends where a set does."""
        if self.threshold is None:
            return answer
        inside = int(np.count_nonzero(answer.logits + answer.log_parts - self.partition >= self.threshold))
        return replace(answer, matches=min(self.most, inside), complete=inside <= self.most)

    def verdict(self, answer: Answer) -> Verdict:
        """The verdict of an answer: with `min_confidence`, "one" says that the first match is as sure as that.

        The similarity of the first match is exact; what its share of the documents' weight can be, total variation
        bounds. Confidence rises with that share and falls with the documents' mass, which is the match's over it.
        """
        weighed, logs = answer.verdict, answer.logits + answer.log_parts
        if self.min_confidence is None or weighed.stands == "none" or not len(logs):
            return weighed
        first, variation = int(logs.argmax()), answer.certificate.total_variation
        log, weight, others = float(logs[first]), float(answer.weights[first]), 1 - answer.null_weight
        stands = self._first(log, answer.keys) >= self.min_confidence
        least = max(weight - variation, 0.0) / min(others + variation, 1.0)
        most = min(1.0, (weight + variation) / max(others - variation, weight, np.finfo(np.float64).tiny))
        bounds = [self._confidence(share, log, beside, answer.keys) for share, beside in ((least, most), (most, least))]
        alike = all((bound >= self.min_confidence) == stands for bound in bounds)
        could_be_none = answer.evidence.null_similarity is not None and answer.null_weight + variation >= HALF
        return Verdict("one" if stands else "several", alike and not could_be_none)

    def of_matches(self, logs: Array, keys: int) -> list[float]:
        """How sure each match is, best first.

        Args:
            logs: float64[k], logit + log_parts of each.
            keys: how many the question attends to.
        """
        if not len(logs):
            return []
        sure = self._first(float(logs[0]), keys)
        # What that leaves goes to the others by their weights beside the null key.
        whole = float(np.logaddexp(self.partition, self._null(keys)))
        rest = -math.expm1(min(float(logs[0]) - whole, 0.0))
        found = (1 - sure) * np.exp(logs - whole) / rest if rest > 0 else np.zeros(len(logs))
        return [sure, *np.minimum(found[1:], 1 - sure).tolist()]

    def _confidence(self, share: float, log: float, beside: float, keys: int) -> float:
        """Of a first match of that share, where the documents weigh what it does over another share of them."""
        partition = log - math.log(max(beside, np.finfo(np.float64).tiny))
        logits = weight_logits(np.log([max(share, np.finfo(np.float64).tiny)]), np.zeros(1))
        return float(self.variant.curve(logits, np.array([partition - self._null(keys)]))[0])

    def _first(self, log: float, keys: int) -> float:
        logits = weight_logits(np.array([log]), np.array([self.partition]))
        return float(self.variant.curve(logits, np.array([self.partition - self._null(keys)]))[0])

    def _null(self, keys: int) -> float:
        """The fitted null key's logit beside so many keys."""
        return Background(self.variant.level, 0.0).null_key(self.temperature, keys).logit(0.0, self.temperature)


def resolve_options(record: CollectionRecord, options: Options) -> Options:
    """With the words' weight that was fitted, for "auto"; and one match more than a set may have: does it go on?

    Raises:
        InvalidContent: a set is asked beside `top_p`, `min_confidence` of no match, or "auto" of a collection that is
            not calibrated.
    """
    if options.full_text == "auto":
        options = replace(options, full_text=require_calibration(record, "/full_text").full_text)
    if options.min_confidence is not None and options.top_k == 0:
        raise InvalidContent.at(
            "/min_confidence", "min_confidence is of the first match, and top_k is 0: ask for at least one"
        )
    if options.conformal is None:
        return options
    if options.top_p is not None:
        raise InvalidContent.at("/conformal", "conformal and top_p both say where the matches end: send one of them")
    return replace(options, top_k=1 + (MAX_SET_SIZE if options.top_k is None else options.top_k))


def _explain_mismatch(found: Calibration, record: CollectionRecord, options: Options) -> str | None:
    """What about a question is not as the collection was calibrated."""
    temperature = record.settings.temperature if options.temperature is None else options.temperature
    if options.normaliser != "softmax":
        return f"the normaliser is {options.normaliser}, not softmax"
    if temperature != found.temperature:
        return f"the temperature is {temperature}, not {found.temperature}"
    if record.settings.encoder != found.encoder:
        return f"the encoder is {record.settings.encoder!r}, not {found.encoder!r}"
    if options.filter is not None:
        return "a filter leaves documents out"
    if options.bias:
        return "a bias is added"
    if found.variant(get_full_text_weight(options)) is None:
        return f"full_text is {options.full_text}, not {' or '.join(map(str, sorted({0, found.full_text})))}"
    if options.allow_missing:
        return "allow_missing may leave documents out"
    return None


def _choose_threshold(found: Calibration, variant: Variant, promise: float) -> float:
    """Of the least promise in the table that is no smaller."""
    wanted = next(each for each in COVERAGES if each >= promise)
    if wanted not in variant.thresholds:
        raise InvalidContent.at(
            "/conformal",
            f"a promise of {promise} needs {min_labels(wanted)} labelled questions that have an answer, the calibration "
            f"has {found.present}: ask for less, or calibrate with more",
        )
    return variant.thresholds[wanted]


def _compute_log_partition(answer: Answer) -> float:
    """Of the documents, the null key left out."""
    whole = answer.log_partition
    assert whole is not None  # softmax has one
    return whole + math.log1p(-answer.null_weight) if answer.null_weight < 1 else -math.inf
