"""Confidence: the probability that a match is right, by the labels of a calibrated collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from softkv_attention.lookup import Answer, Policy
from softkv_service.retrieval.calibration import Calibration, LabelSource
from softkv_service.retrieval.errors import InvalidContent
from softkv_service.retrieval.queries.query_parts import Query, WeightedSum
from softkv_service.retrieval.queries.readers.reader import Reader
from softkv_service.retrieval.queries.results import Answered, Match, Reading
from softkv_service.retrieval.question import CollectionQuestion
from softkv_service.retrieval.verdict import UNCALIBRATED, ConfidenceModel, explain_mismatch, require_calibration
from softkv_service.storage.records import CollectionRecord

SOURCES: Mapping[LabelSource, str] = {
    "labels": "labelled questions",
    "feedback": "questions with feedback",
}
"""Names for the questions of a calibration, by their source."""

LOST_CALIBRATION = (
    "a calibration that was made of the collection's own texts is not read any more, so min_confidence has no effect "
    "until labels calibrate it"
)
OUTSIDE_CALIBRATION = "the collection's calibration does not hold here, because {}"


@dataclass(frozen=True)
class Confidence(Reading):
    """The confidence of the matches of one answer.

    Attributes:
        model: what computes it; None if the calibration does not hold for the query.
        labels: a clause on the collection's labels, for the reason.
    """

    model: ConfidenceModel | None
    labels: str

    def advise(self, answer: Answer, policy: Policy) -> Policy:
        """Let the calibrated null weight decide, and the confidence of the first match if one is required."""
        if self.model is None:
            return policy
        return replace(policy, none_from=self.model.none_from, confidence=self.model.of_first(answer))

    def describe(self, answer: Answer, matches: list[Match]) -> list[Match]:
        """Return the matches with the probability that each is the right one."""
        if self.model is None:
            return matches
        logs = np.array([match.logit + match.log_weight_of_other_parts for match in matches])
        confidences = self.model.of_matches(logs, answer.keys)
        return [replace(match, confidence=one) for match, one in zip(matches, confidences, strict=True)]


@dataclass(frozen=True)
class ConfidenceReader(Reader):
    """A reader of the confidence of matches, by the labels of a collection.

    Attributes:
        required: the confidence that the first match needs for the verdict "one"; None if not requested.
    """

    name: ClassVar = "min_confidence"
    required: float | None

    @classmethod
    def of(cls, record: CollectionRecord, question: CollectionQuestion, queries: Sequence[Query]) -> ConfidenceReader:
        """Return the reader for a question. A calibration that is not read any more takes the requirement away.

        Raises:
            InvalidContent: a confidence is required of no match, or of the match of a weighted sum.
        """
        if question.min_confidence is None or record.settings.has_lost_calibration:
            return cls(None)
        if question.top_k == 0:
            raise InvalidContent.at(
                "/min_confidence", "min_confidence is of the first match, and top_k is 0: ask for at least one"
            )
        if any(isinstance(query, WeightedSum) for query in queries):
            raise InvalidContent.at(
                "/min_confidence",
                "min_confidence holds for questions as they were calibrated, and a query is a weighted sum: send one "
                "text or vector, or leave min_confidence out",
            )
        return cls(question.min_confidence)

    @property
    def is_of_first(self) -> bool:
        """Whether the verdict is on the first match alone, because a confidence is required of it."""
        return self.required is not None

    def read(self, answered: Answered) -> list[Confidence]:
        """Return the confidence of each answer.

        Raises:
            InvalidContent: a confidence is required, and the collection has no calibration that holds for the question.
        """
        record, question, snapshot = answered.snapshot.record, answered.question, answered.snapshot
        of_part = snapshot.restriction is not None
        if self.required is not None:
            calibration = require_calibration(record, "/min_confidence")
            if mismatch := explain_mismatch(calibration, record, question, of_part=of_part):
                raise InvalidContent.at(
                    "/min_confidence",
                    f"min_confidence holds for questions as they were calibrated, and {mismatch}: ask without one of "
                    "them",
                )
        model = ConfidenceModel.of(record, question, self.required, of_part=of_part)
        labels = _describe_labels(record, question, model, of_part=of_part)
        models: Sequence[ConfidenceModel | None] = [None] * len(answered.answers)
        if model is not None:
            pairs = zip(answered.terms, answered.answers, strict=True)
            scores = [0.0 if terms is None else terms.score_of_best(answer) for terms, answer in pairs]
            models = model.about(snapshot.view, answered.question_of, answered.answers, scores)
        of_sum = Confidence(None, OUTSIDE_CALIBRATION.format("the query is a weighted sum"))
        return [
            of_sum if query.is_sum else Confidence(model, labels)
            for query, model in zip(answered.queries, models, strict=True)
        ]


def _describe_labels(
    record: CollectionRecord, question: CollectionQuestion, model: ConfidenceModel | None, *, of_part: bool
) -> str:
    """Return a clause on the labels of a collection: how many there are, or why they say nothing about a query.

    Args:
        record: the collection's record.
        question: the question.
        model: the model of confidence for the query; None without one.
        of_part: whether the caller sees only a part of the collection.
    """
    if model is not None:
        return f"by {model.labels:,} {SOURCES[model.source]}"
    if record.settings.has_lost_calibration:
        return LOST_CALIBRATION
    calibration = Calibration.read(record.settings.calibration)
    mismatch = calibration and explain_mismatch(calibration, record, question, of_part=of_part)
    return OUTSIDE_CALIBRATION.format(mismatch) if mismatch else UNCALIBRATED
