"""Confidence of answers of a calibrated collection, for queries with the options of the calibration."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from softkv_attention.lookup import HALF, Answer, AnyView, Background, FirstConfidence, Question, answers
from softkv_service.retrieval.calibration import Calibration, LabelSource, Variant, weight_logits
from softkv_service.retrieval.question import CollectionQuestion
from softkv_service.retrieval.verdict.null import CALIBRATED
from softkv_service.storage.records import CollectionRecord

Array = np.ndarray[Any, Any]

_MIN_DOCUMENT_WEIGHT = 1e-6  # beside a null weight near 1, float64 keeps ten digits of this documents' share


@dataclass(frozen=True)
class ConfidenceModel:
    """The part of a collection's calibration that turns the weights of one answer into confidences.

    Attributes:
        variant: the parameters that were fitted for the query's weight of full text.
        temperature: the temperature for which they were fitted.
        required: the confidence that the first match needs for the verdict "one"; None if not requested.
        labels: the number of questions to which they were fitted.
        source: where these questions came from.
        none_from: the null weight from which the verdict is "none"; ½ if the null key is not the calibrated one.
        partition: the log of the documents' total weight in the answer, without the null key; −∞ until `about` sets it.
        score: the reranker's logit of the best document, which `about` sets, too; 0 without a reranker.
    """

    variant: Variant
    temperature: float
    required: float | None
    labels: int
    source: LabelSource
    none_from: float = HALF
    partition: float = -math.inf
    score: float = 0.0

    @classmethod
    def of(
        cls,
        record: CollectionRecord,
        question: CollectionQuestion,
        required: float | None = None,
        *,
        of_part: bool = False,
    ) -> ConfidenceModel | None:
        """Return the model for a query, from the collection's calibration.

        Return None if the collection is not calibrated, or the query's options differ from the calibrated ones.

        Args:
            record: the collection's record.
            question: the question.
            required: the confidence that the first match needs; None if not requested.
            of_part: whether the caller sees only a part of the collection, so that documents are left out.
        """
        calibration = Calibration.read(record.settings.calibration)
        if calibration is None or explain_mismatch(calibration, record, question, of_part=of_part):
            return None
        variant = calibration.variant(question.text_terms)
        if variant is None:
            return None
        null = record.settings.null if question.null is None else question.null
        return cls(
            variant,
            calibration.temperature,
            required,
            labels=calibration.present + calibration.absent,
            source=calibration.source,
            none_from=variant.none_from if null == CALIBRATED else HALF,
        )

    def about(
        self,
        view: AnyView,
        question_of: Callable[[int], Question],
        batch: Sequence[Answer],
        scores: Sequence[float],
    ) -> list[ConfidenceModel]:
        """Return for each answer this model with the total weight of the answer's documents, and its reranker's score.

        If the null key has nearly all of the weight, the answer no longer shows that total. Then the question is asked
        again without a null key.

        Args:
            view: the keys to ask.
            question_of: returns a question of the batch, by its index.
            batch: their answers.
            scores: the reranker's logit of each best document; 0 without a reranker.
        """
        imprecise = [
            i for i, answer in enumerate(batch) if len(answer.logits) and 1 - answer.null_weight <= _MIN_DOCUMENT_WEIGHT
        ]
        without_null = [
            replace(question_of(i), null=None, top_k=0, top_p=None, output=False, max_error=None, weigh_all=False)
            for i in imprecise
        ]
        precise = [*batch]
        for i, answer in zip(imprecise, answers(view, without_null) if without_null else [], strict=True):
            precise[i] = answer
        return [
            replace(self, partition=_compute_log_partition(answer), score=score)
            for answer, score in zip(precise, scores, strict=True)
        ]

    def of_first(self, answer: Answer) -> FirstConfidence | None:
        """Return the confidence of an answer's first match, and its bounds; None if none is required.

        The similarity of the first match is exact, and total variation bounds its share of the documents' weight.
        Confidence rises with that share. It falls with the mass of all documents, which is the match's mass divided by
        its share.
        """
        logs = answer.logits + answer.log_weight_of_other_parts
        if self.required is None or not len(logs):
            return None
        best, variation = int(logs.argmax()), answer.certificate.total_variation
        best_log, best_weight, documents_weight = float(logs[best]), float(answer.weights[best]), 1 - answer.null_weight
        min_share = max(best_weight - variation, 0.0) / min(documents_weight + variation, 1.0)
        max_share = min(
            1.0, (best_weight + variation) / max(documents_weight - variation, best_weight, np.finfo(np.float64).tiny)
        )
        lowest = self._confidence(min_share, best_log, max_share, answer.keys)
        highest = self._confidence(max_share, best_log, min_share, answer.keys)
        return FirstConfidence(self.required, self._first(best_log, answer.keys), (lowest, highest))

    def of_matches(self, logs: Array, keys: int) -> list[float]:
        """Return the confidence of each match, best first.

        Args:
            logs: float64[k], logit + log_weight_of_other_parts of each match.
            keys: the number of keys that the query attends to.
        """
        if not len(logs):
            return []
        first = self._first(float(logs[0]), keys)
        # The rest is shared by the other matches in proportion to their weights, the null key included. A match is not
        # more probable than a heavier one.
        log_total = float(np.logaddexp(self.partition, self._null(keys)))
        rest = -math.expm1(min(float(logs[0]) - log_total, 0.0))
        confidences = (1 - first) * np.exp(logs - log_total) / rest if rest > 0 else np.zeros(len(logs))
        return [first, *np.minimum(confidences[1:], min(first, 1 - first)).tolist()]

    def _confidence(self, share: float, log: float, other_share: float, keys: int) -> float:
        """Return the confidence of a first match.

        Args:
            share: its share of the documents' weight.
            log: the log of its mass (unnormalised weight).
            other_share: the mass of all documents is e^log / `other_share`.
            keys: the number of keys that the query attends to.
        """
        partition = log - math.log(max(other_share, np.finfo(np.float64).tiny))
        logits = weight_logits(np.log([max(share, np.finfo(np.float64).tiny)]), np.zeros(1))
        return float(self.variant.curve(logits, np.array([partition - self._null(keys)]), self.score)[0])

    def _first(self, log: float, keys: int) -> float:
        logits = weight_logits(np.array([log]), np.array([self.partition]))
        return float(self.variant.curve(logits, np.array([self.partition - self._null(keys)]), self.score)[0])

    def _null(self, keys: int) -> float:
        """Return the logit of the calibration's null key, for a query that attends to this number of keys."""
        return Background(self.variant.level, 0.0).null_key(self.temperature, keys).logit(0.0, self.temperature)


def explain_mismatch(
    calibration: Calibration, record: CollectionRecord, question: CollectionQuestion, *, of_part: bool
) -> str | None:
    """Return how the options differ from the calibrated ones; None if they do not."""
    temperature = record.settings.temperature if question.temperature is None else question.temperature
    terms = question.text_terms
    if question.normaliser != "softmax":
        return f"the normaliser is {question.normaliser}, not softmax"
    if temperature == "auto":
        return f"the temperature is chosen for each question, not {calibration.temperature:g}"
    if temperature != calibration.temperature:
        digits = 6 if f"{temperature:g}" != f"{calibration.temperature:g}" else 17
        return f"the temperature is {temperature:.{digits}g}, not {calibration.temperature:.{digits}g}"
    if record.settings.encoder != calibration.encoder:
        return f"the encoder is {record.settings.encoder!r}, not {calibration.encoder!r}"
    if question.filter is not None or of_part:
        return f"{_name(question, 'filter')} leaves documents out"
    if (difference := calibration.describe_other_reranker(terms)) is not None:
        return difference
    if question.bias:
        return f"{_name(question, 'bias')} is added"
    if question.searched is not None and question.full_text:
        return "full_text has a query of its own, not the words of the question"
    if terms.reranker is not None and terms.full_text:
        return f"{_name(question, 'full_text')} is added beside a reranker"
    if calibration.variant(terms) is None:
        name = "the collection's default full_text" if "full_text" in question.defaults else "full_text"
        return f"{name} is {question.full_text}, not {' or '.join(map(str, sorted({0, calibration.full_text})))}"
    if question.allow_missing:
        return "allow_missing may leave documents out"
    return None


def _name(question: CollectionQuestion, name: str) -> str:
    """Return an option in words, with the way to take it away if it is a default of the collection."""
    return (
        f'the collection\'s default {name} (without it: "{name}": null)' if name in question.defaults else f"a {name}"
    )


def _compute_log_partition(answer: Answer) -> float:
    """Return the log of the documents' total weight, without the null key."""
    log_total = answer.log_partition
    assert log_total is not None  # softmax has one
    return log_total + math.log1p(-answer.null_weight) if answer.null_weight < 1 else -math.inf
