"""Calibrations and their parts, as the service sends them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeAlias, TypedDict

from softkv.record import ALWAYS_SENT, Named, Record

LabelSource: TypeAlias = Literal["labels", "feedback"]
ErrorOf: TypeAlias = Literal["answers", "questions"]


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


class CalibrationFigure(TypedDict):
    """A measured value and its standard error. Each is None if too few questions contribute."""

    value: float | None
    error: float | None


class CalibrationFigures(TypedDict):
    """Measures of the quality of a calibration: of its confidences, and the ranks of right documents.

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


class CalibrationGain(TypedDict):
    """The decrease of two losses of the answers by a calibration, which decides whether it is stored."""

    label_loss: CalibrationFigure
    log_loss: CalibrationFigure


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
    """A curve for the probability that the first match is right: sigmoid(s·x + r·z + t·u + offset), at most `most`.
    x = logit(w), z = logit(1 − v) and u are within ±40. w is the weight of the best document without the null key, v
    that of the null key of the calibration, and u the reranker's logit of that document.

    Attributes:
        slope: s if w is below ½.
        slope_above: s if w is at least ½.
        lead_slope: r if the null key has more than half of the weight.
        lead_slope_above: r if the null key has at most half of the weight.
        offset: the logit of the confidence if w and v are ½.
        score_slope: t; 0 without a reranker.
        most: the largest confidence that the labels support: (k + 1)/(k + 2) after k right first matches.
    """

    slope: float
    slope_above: float
    lead_slope: float
    lead_slope_above: float
    offset: float
    score_slope: float
    most: float


class WithWords(TypedDict):
    """The part of a calibration for queries with one more term in their logits, `full_text` or `rerank`, if it has the
    fitted weight.

    Attributes:
        none_from: the weight of this null key from which the verdict is `none`, at least ½. 19 of 20 questions with
            an answer are below it, unless made questions on other topics would be below it, too.
        errors: the promised errors for which there are enough labels.
    """

    level: float
    none_from: float
    confidence: ConfidenceCurve
    errors: list[ErrorBound]


Figures: TypeAlias = Annotated[Mapping[str, CalibrationFigure], CalibrationFigures]


class KeptCalibration(Record, sent={"source": "from"}):
    """The stored calibration of a collection: what was fitted to labelled questions.

    Attributes:
        version: the version of the format.
        documents: the number of documents of the collection at that time.
        encoder: the encoder of the collection at that time.
        level: the null key weighs as much as n keys of this similarity.
        full_text: λ: the factor of the full-text rank in a logit; 0 if words do not help.
        outgrown: whether the calibration is out of date: the collection now has more than twice or less than half
            of these documents, or another temperature or encoder. Then calibrate it again.
        none_from: the weight of this null key from which the verdict is `none`, at least ½. 19 of 20 questions with
            an answer are below it, unless made questions on other topics would be below it, too.
        errors: confidences that keep a promised share of wrong answers; `find_min_confidence` chooses one.
        source: the origin of the questions; "labels" if the caller sent them.
        at: the time of the fit in UTC (RFC 3339); None if it is unknown.
        rerank: model, depth and fitted weight of the reranker; None if the fit had none.
    """

    version: int
    documents: int
    encoder: str | None
    temperature: float
    level: float
    full_text: float
    labels: Annotated[Mapping[str, int], Labels]
    outgrown: bool
    none_from: Annotated[float, ALWAYS_SENT] = 0.5
    errors: Annotated[Sequence[ErrorBound], ALWAYS_SENT] = ()
    source: Annotated[LabelSource, ALWAYS_SENT] = "labels"
    at: Annotated[str | None, ALWAYS_SENT] = None
    rerank: Annotated[CalibratedReranker | None, ALWAYS_SENT] = None

    def find_min_confidence(self, error: float, of: ErrorOf = "answers") -> float | None:
        """Return the `min_confidence` that keeps a promised share of wrong answers; None if no bound is so strict.

        Args:
            error: the largest share that is wrong.
            of: whether it is a share of the answers, or of all questions.
        """
        return _find_min_confidence(self.errors, error, of)


class Calibration(Record, schema="CalibrateAnswer", sent={"source": "from"}):
    """The result of a calibration: values fitted to labelled questions, and how much they improve answers.
    docs/guide/calibration.md explains each field.

    Attributes:
        level: the null key weighs as much as n keys of this similarity.
        full_text: λ; 0 if words improve the likelihood of the labels by no more than its standard error, or worsen
            the ranking.
        confidence: slope, slope_above, lead_slope, lead_slope_above and offset of the curve.
        words: level and confidence fitted with full text, at the fitted `full_text`; None if that is 0.
        summary: one sentence on what the labels bought: how many questions are answered, and how many of them wrongly.
        before, after, after_words, after_reranked: figures by name, each a value and its standard error.
        gained: the decrease of these losses, question by question, without words and reranker.
        applied: whether the calibration was stored.
        reason: the reason against storing it: confidences are no better than one for all. None if they are.
        none_from: the weight of this null key from which the verdict is `none`, at least ½. 19 of 20 questions with
            an answer are below it, unless made questions on other topics would be below it, too.
        errors: confidences that keep a promised share of wrong answers; `find_min_confidence` chooses one.
        source: the origin of the questions; "labels" if the caller sent them.
        at: when it was fitted, in UTC (RFC 3339); None if unknown.
        collection: the name of the collection that answered, if an alias was named.
        rerank: model, depth and fitted weight of the reranker; None if the call had none.
        reranked: what `words` has, fitted with the reranker; None if its weight is 0.
        left_out: the ids that do not count, since no document with a key has them. A question with no other answer
            is left out.
    """

    temperature: float
    level: float
    full_text: float
    confidence: Annotated[Mapping[str, float], ConfidenceCurve]
    words: WithWords | None
    before: Figures
    after: Figures
    after_words: Figures | None
    gained: Annotated[Mapping[str, CalibrationFigure], CalibrationGain]
    labels: Annotated[Mapping[str, int], Labels]
    documents: int
    encoder: str | None
    applied: bool
    reason: str | None
    took_ms: float
    none_from: Annotated[float, ALWAYS_SENT] = 0.5
    errors: Annotated[Sequence[ErrorBound], ALWAYS_SENT] = ()
    source: Annotated[LabelSource, ALWAYS_SENT] = "labels"
    at: Annotated[str | None, ALWAYS_SENT] = None
    collection: str | None = None
    rerank: Annotated[CalibratedReranker | None, ALWAYS_SENT] = None
    reranked: Annotated[WithWords | None, ALWAYS_SENT] = None
    after_reranked: Annotated[Figures | None, ALWAYS_SENT] = None
    left_out: Annotated[Sequence[Annotated[Mapping[str, str], Named("FieldProblem")]], ALWAYS_SENT] = ()
    summary: Annotated[str, ALWAYS_SENT] = ""

    @property
    def would_apply(self) -> bool:
        """Whether it is good enough; `apply=True` then stores the calibration."""
        return self.reason is None

    def find_min_confidence(self, error: float, of: ErrorOf = "answers") -> float | None:
        """Return the `min_confidence` that keeps a promised share of wrong answers; None if no bound is so strict.

        Args:
            error: the largest share that is wrong.
            of: whether it is a share of the answers, or of all questions.
        """
        return _find_min_confidence(self.errors, error, of)

    def explain(self) -> str:
        """Return the figures before and after as a table with standard errors, and whether they are stored."""
        columns = {"before": self.before, "after": self.after}
        if self.after_words is not None:
            columns["after_words"] = self.after_words
        if self.after_reranked is not None:
            columns["after_reranked"] = self.after_reranked
        rows = [
            ("", *columns),
            *((name, *(_format_figure(figures[name]) for figures in columns.values())) for name in self.before),
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        table = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows]
        return "\n".join([*table, self._gains_text(), *filter(None, [self.summary]), self._status_text()])

    def __repr__(self) -> str:
        questions = sum(self.labels.values())
        return f"<Calibration of {questions:,} questions, {self._gains_text()}, {self._status_text()}>"

    def _gains_text(self) -> str:
        return ", ".join(describe_gain(name, figure) for name, figure in self.gained.items())

    def _status_text(self) -> str:
        unknown = f"; {describe_left_out(self.left_out)}" if self.left_out else ""
        if self.reason is not None:
            return f"not applied: {self.reason}{unknown}"
        return ("applied" if self.applied else "not applied: apply=True keeps it") + unknown


def _find_min_confidence(errors: Sequence[ErrorBound], error: float, of: ErrorOf) -> float | None:
    confidences = [bound["min_confidence"] for bound in errors if bound["of"] == of and bound["error"] <= error]
    return min(confidences, default=None)


def describe_left_out(flaws: Sequence[Mapping[str, str]]) -> str:
    """Return in words how many judgements do not count, and what is said of the first."""
    return f"judgements that do not count: {len(flaws):,}, the first at {flaws[0]['pointer']}: {flaws[0]['detail']}"


def describe_gain(name: str, figure: CalibrationFigure) -> str:
    """Return in words how much a loss fell or rose, with its standard error."""
    fell = figure["value"]
    rose = fell is not None and fell < 0
    return f"{name} rose by {_format_figure(figure)[1:]}" if rose else f"{name} fell by {_format_figure(figure)}"


def _format_figure(figure: CalibrationFigure) -> str:
    """Format a value and its standard error."""
    value, error = figure["value"], figure["error"]
    return "–" if value is None or error is None else f"{value:.3f} ± {error:.3f}"


def parse_kept_calibration(content: Mapping[str, Any] | None) -> KeptCalibration | None:
    """Parse a stored calibration; return None if the service sent null or nothing."""
    return None if content is None else KeptCalibration.read(content)
