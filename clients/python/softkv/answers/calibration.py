"""The parts of a calibration, as the service sends them."""

from __future__ import annotations

from typing import Literal, TypedDict


class Labels(TypedDict):
    """The number of labelled questions that have an answer in the collection, and of those without one."""

    present: int
    absent: int


class ErrorBound(TypedDict):
    """A confidence with which a promised share of wrong answers is kept, with a probability of 0.9.

    Attributes:
        error: the largest share that is wrong.
        of: whether it is a share of the answers, or of all questions, unanswered ones included.
        min_confidence: the `min_confidence` of `attend` that keeps it.
        answered: the share of the labelled questions that have this confidence.
    """

    error: float
    of: Literal["answers", "questions"]
    min_confidence: float
    answered: float


class Promised(TypedDict):
    """The quality of a calibration on held-out questions, when it was fitted.

    Attributes:
        ece: the expected calibration error of the confidence of the first match.
        coverage: the share of questions with an answer whose right document was in the set for `conformal` 0.9;
            None if there were too few labels.
    """

    ece: float
    coverage: float | None


class Frequency(TypedDict):
    """An expected and an observed frequency over some questions."""

    questions: int
    expected: float
    observed: float


class Seen(TypedDict):
    """A comparison of a calibration with feedback since the fit: at most the last 1,000 records.

    Attributes:
        confidence: the mean confidence of first matches, and the share of them that was right; None without any.
        drift: the observed less the expected share of right first matches.
        error: the standard error of `drift`.
        coverage: the coverage that `conformal` 0.9 promises, and the share of right documents that were in such
            sets; None without any.
    """

    confidence: Frequency | None
    drift: float | None
    error: float | None
    coverage: Frequency | None


class CalibrationFigure(TypedDict):
    """A measured value and its standard error. Each is None if too few questions contribute."""

    value: float | None
    error: float | None


class CalibrationFigures(TypedDict):
    """Measures of the quality of a calibration: of its confidences, the ranks of right documents, and its sets of
    matches.

    Attributes:
        ece: the expected calibration error of the confidence of the first match, over ten bins with equally many
            questions.
        brier: the mean of (confidence − right)².
        label_loss: the mean of −ln(weight of the right document), or of the null key for a question without an
            answer, in nats. Weights below 10⁻⁶ count as 10⁻⁶.
        log_loss: the log loss of the confidence, in nats. Confidences are limited to 10⁻⁶ from 0 and 1.
        recall: the recall at 1, for questions that have an answer.
        mrr: the mean reciprocal rank, for the same questions.
        one_right: the share of the same questions with the verdict `one` and the right document first.
        one_wrong: the share of questions without an answer that have the verdict `one`.
        none_right: the share of questions without an answer that have the verdict `none`.
        none_wrong: the share of questions with an answer that have the verdict `none`.
        off_topic_none: the share of made questions on other topics that have the verdict `none`. They are not among
            the labels. It is None without an encoder, or if the collection is about nearly all of these topics.
        coverage: the share of questions with an answer whose right document is in the set for 0.9: of `conformal`,
            and in `before` of `top_p`.
    """

    ece: CalibrationFigure
    brier: CalibrationFigure
    label_loss: CalibrationFigure
    log_loss: CalibrationFigure
    recall: CalibrationFigure
    mrr: CalibrationFigure
    one_right: CalibrationFigure
    one_wrong: CalibrationFigure
    none_right: CalibrationFigure
    none_wrong: CalibrationFigure
    off_topic_none: CalibrationFigure
    coverage: CalibrationFigure


class CalibrationGain(TypedDict):
    """The decrease of two losses of the answers by a calibration, which decides whether it is stored."""

    label_loss: CalibrationFigure
    log_loss: CalibrationFigure


class RefitStatus(TypedDict):
    """Whether a calibration follows the feedback that comes after it.

    Attributes:
        mode: `auto`: a better fit to feedback replaces the calibration. `propose`: it is only shown here.
        tried: when the last fit to feedback was compared, in UTC; None before.
        proposed: whether that fit is better: send `{"from": "feedback", "apply": true}`.
        reason: the reason against that fit; None without one.
        gained: the decrease of the losses by that fit; None without one.
    """

    mode: Literal["auto", "propose"]
    tried: str | None
    proposed: bool
    reason: str | None
    gained: CalibrationGain | None


class CalibratedReranker(TypedDict):
    """The reranker of a calibration. Questions with it have confidences, and a null key of their own.

    Attributes:
        depth: the number of documents that it reads.
        weight: the fitted factor of its logit; 0 if it improves the likelihood of the labels by no more than its
            standard error, or worsens the ranking.
    """

    model: str
    depth: int
    weight: float


class ConfidenceCurve(TypedDict):
    """A curve for the probability that the first match is right: sigmoid(s·x + r·z + offset). x = logit(w) and
    z = logit(1 − v), both within ±40. w is the weight of the best document without the null key, and v that of the null
    key of the calibration.

    Attributes:
        slope: s if w is below ½.
        slope_above: s if w is at least ½.
        lead_slope: r if the null key has more than half of the weight.
        lead_slope_above: r if the null key has at most half of the weight.
        offset: the logit of the confidence if w and v are ½.
    """

    slope: float
    slope_above: float
    lead_slope: float
    lead_slope_above: float
    offset: float


class ConformalLevel(TypedDict):
    """A conformal level: the matches of at least this weight make a set that contains the right document with a given
    probability.

    Attributes:
        conformal: the probability that the right document is in the set, if there is one.
        weight: the smallest weight, computed without the null key.
    """

    conformal: float
    weight: float


class WithWords(TypedDict):
    """The part of a calibration for queries with one more term in their logits, `full_text` or `rerank`, if it has the
    fitted weight.

    Attributes:
        none_from: the weight of this null key from which the verdict is `none`, at least ½. 9 of 10 questions with
            an answer are below it, unless made questions on other topics would be below it, too.
        errors: the promised errors for which there are enough labels.
    """

    level: float
    none_from: float
    confidence: ConfidenceCurve
    conformal: list[ConformalLevel]
    errors: list[ErrorBound]
