"""How sure an answer may be, where labelled questions have calibrated the collection and it is asked as it was then."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from attention.lookup import Answer, Background
from service.retrieval.calibration import PROMISES, Calibration, Variant, fewest, weight_logits
from service.retrieval.collections import calibration_of
from service.retrieval.errors import InvalidContent
from service.retrieval.queries.question import Array, Options, weight_of_words
from service.storage import CollectionRecord

MOST_OF_A_SET = 1000
"""Matches of a set with a promise, where no `top_k` is given."""

_LEAST = 1e-6  # a share of the documents that float64 knows to ten digits beside a null weight near 1


@dataclass(frozen=True)
class Confident:
    """What was fitted, and holds of the answers to a question.

    Attributes:
        threshold: the least logarithm of a weight that belongs to the set; None where none was asked.
        most: how many matches of it there may be.
    """

    variant: Variant
    temperature: float
    answer_if: float | None
    threshold: float | None
    most: int

    @classmethod
    def of(cls, record: CollectionRecord, options: Options) -> Confident | None:
        """None where the collection is not calibrated, or the question is asked otherwise.

        Raises:
            InvalidContent: then `answer_if` or `conformal` mean nothing; or a promise that the labels were too few for.
        """
        wanted = "conformal" if options.conformal is not None else "answer_if"
        asked = options.conformal is not None or options.answer_if is not None
        if record.settings.calibration is None and not asked:
            return None
        found = calibration_of(record, f"/{wanted}") if asked else Calibration.read(record.settings.calibration)
        other = found and _otherwise(found, record, options)
        if asked and other:
            raise InvalidContent.at(
                f"/{wanted}",
                f"{wanted} holds for questions as they were calibrated, and {other}: ask without one of them",
            )
        variant = None if found is None or other else found.variant(weight_of_words(options))
        if found is None or variant is None:
            return None
        threshold = None if options.conformal is None else _threshold(found, variant, options.conformal)
        return cls(variant, found.temperature, options.answer_if, threshold, (options.top_k or 1) - 1)

    def cut(self, answer: Answer) -> Answer:
        """The answer as it is to be told: where a set was asked, its head ends with that; where `answer_if`, by that.

        Raises:
            InvalidContent: the null key has all the weight, so that nothing is known of the documents beside it.
        """
        if not self._knows(answer):
            wanted = "conformal" if self.threshold is not None else "answer_if"
            if self.threshold is None and self.answer_if is None:
                return answer
            raise InvalidContent.at(
                f"/{wanted}", f"the null key has all the weight, beside which {wanted} means nothing: send another null"
            )
        logs = answer.logits + answer.log_parts
        partition = _log_partition(answer)
        if self.threshold is not None:
            inside = int(np.count_nonzero(logs - partition >= self.threshold))
            answer = replace(answer, matches=min(self.most, inside), complete=inside <= self.most)
        if self.answer_if is not None:
            sure = bool(len(logs)) and self._first(float(logs.max()), partition) >= self.answer_if
            answer = replace(answer, evidence=replace(answer.evidence, answered=sure))
        return answer

    def of_matches(self, logs: Array, answer: Answer) -> list[float] | None:
        """How sure each match is, best first; None where nobody can say.

        Args:
            logs: float64[k], logit + log_parts of each.
        """
        if not self._knows(answer):
            return None
        if not len(logs):
            return []
        partition = _log_partition(answer)
        sure = self._first(float(logs[0]), partition)
        # What that leaves goes to the others by their weights beside the null key.
        null = Background(self.variant.level, 0.0).null_key(self.temperature, answer.keys).logit(0.0, self.temperature)
        whole = float(np.logaddexp(partition, null))
        rest = -math.expm1(min(float(logs[0]) - whole, 0.0))
        found = (1 - sure) * np.exp(logs - whole) / rest if rest > 0 else np.zeros(len(logs))
        return [sure, *np.minimum(found[1:], 1 - sure).tolist()]

    def _first(self, log: float, partition: float) -> float:
        return float(self.variant.curve(weight_logits(np.array([log]), np.array([partition])))[0])

    def _knows(self, answer: Answer) -> bool:
        return not len(answer.logits) or 1 - answer.null_weight > _LEAST


def as_wanted(record: CollectionRecord, options: Options) -> Options:
    """With the words' weight that was fitted, for "auto"; and one match more than a set may have: does it go on?

    Raises:
        InvalidContent: a set is asked beside `top_p`, `answer_if` of no match, or "auto" of a collection that is not
            calibrated.
    """
    if options.full_text == "auto":
        options = replace(options, full_text=calibration_of(record, "/full_text").full_text)
    if options.answer_if is not None and options.top_k == 0:
        raise InvalidContent.at("/answer_if", "answer_if is of the first match, and top_k is 0: ask for at least one")
    if options.conformal is None:
        return options
    if options.top_p is not None:
        raise InvalidContent.at("/conformal", "conformal and top_p both say where the matches end: send one of them")
    return replace(options, top_k=1 + (MOST_OF_A_SET if options.top_k is None else options.top_k))


def _otherwise(found: Calibration, record: CollectionRecord, options: Options) -> str | None:
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
    if options.bias is not None:
        return "a bias is added"
    if found.variant(weight_of_words(options)) is None:
        return f"full_text is {options.full_text}, not {' or '.join(map(str, sorted({0, found.full_text})))}"
    if options.allow_missing:
        return "allow_missing may leave documents out"
    return None


def _threshold(found: Calibration, variant: Variant, promise: float) -> float:
    """Of the least promise in the table that is no smaller."""
    wanted = next(each for each in PROMISES if each >= promise)
    if wanted not in variant.thresholds:
        raise InvalidContent.at(
            "/conformal",
            f"a promise of {promise} needs {fewest(wanted)} labelled questions that have an answer, the calibration "
            f"has {found.present}: ask for less, or calibrate with more",
        )
    return variant.thresholds[wanted]


def _log_partition(answer: Answer) -> float:
    """Of the documents, the null key left out."""
    whole = answer.log_partition
    assert whole is not None  # softmax has one
    return whole + math.log1p(-answer.null_weight) if answer.null_weight < 1 else -math.inf
