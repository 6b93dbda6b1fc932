"""Models of calibration: labelled questions, and the calibration that a collection stores."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Len
from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from service.schemas.query import Query
from service.schemas.terms import RerankModel
from service.schemas.wire import CollectionBehind, DocumentId, FieldProblem, InParts, JSONValue, OrNull, Wire

LabelSource = Literal["labels", "feedback", "self"]
RefitMode = Literal["auto", "propose"]
CalibratedAt = Annotated[str | None, Field(description="When it was fitted, in UTC (RFC 3339); null if unknown.")]


class Labels(Wire):
    """The number of labelled questions that have an answer in the collection, and of those without one."""

    present: int
    absent: int


class ErrorBound(Wire):
    """A confidence with which a promised share of wrong answers is kept, with a probability of 0.9."""

    error: float = Field(description="The largest share that is wrong.")
    of: Literal["answers", "questions"] = Field(
        description="Whether it is a share of the answers, or of all questions, unanswered ones included."
    )
    min_confidence: float = Field(description="The `min_confidence` of `attend` that keeps it.")
    answered: float = Field(description="The share of the labelled questions that have this confidence.")


NoneFrom = Annotated[
    float,
    Field(
        description="The weight of this null key from which the verdict is `none`, at least ½. 9 of 10 questions with "
        "an answer are below it, unless made questions on other topics would be below it, too."
    ),
]
ErrorBounds = Annotated[list[ErrorBound], Field(description="The promised errors for which there are enough labels.")]


class Promised(Wire):
    """The quality of a calibration on held-out questions, when it was fitted."""

    ece: float = Field(description="The expected calibration error of the confidence of the first match.")
    coverage: float | None = Field(
        description="The share of questions with an answer whose right document was in the set for `conformal` 0.9; "
        "null if there were too few labels."
    )


class Frequency(Wire):
    """An expected and an observed frequency over some questions."""

    questions: int
    expected: float
    observed: float


class Seen(Wire):
    """A comparison of a calibration with feedback since the fit: at most the last 1,000 records."""

    confidence: Frequency | None = Field(
        description="The mean confidence of first matches, and the share of them that was right; null without any."
    )
    drift: float | None = Field(description="The observed less the expected share of right first matches.")
    error: float | None = Field(description="The standard error of `drift`.")
    coverage: Frequency | None = Field(
        description="The coverage that `conformal` 0.9 promises, and the share of right documents that were in such "
        "sets; null without any."
    )


class RefitStatus(Wire):
    """Whether a calibration follows the feedback that comes after it."""

    mode: RefitMode = Field(
        description="`auto`: a better fit to feedback replaces the calibration. `propose`: it is only shown here."
    )
    tried: str | None = Field(description="When the last fit to feedback was compared, in UTC; null before.")
    proposed: bool = Field(description='Whether that fit is better: send `{"from": "feedback", "apply": true}`.')
    reason: str | None = Field(description="The reason against that fit; null without one.")
    gained: CalibrationGain | None = Field(description="The decrease of the losses by that fit; null without one.")


class KeptCalibration(Wire):
    """The stored calibration of a collection: what was fitted to labelled questions."""

    version: int = Field(description="The version of the format.")
    from_: LabelSource = Field(alias="from", description="The origin of the questions.")
    at: CalibratedAt
    documents: int = Field(description="The number of documents of the collection at that time.")
    encoder: str | None = Field(description="The encoder of the collection at that time.")
    temperature: float
    level: float = Field(description="The null key weighs as much as n keys of this similarity.")
    full_text: float = Field(description="λ: the factor of the full-text rank in a logit; 0 if words do not help.")
    none_from: NoneFrom
    errors: ErrorBounds
    labels: Labels
    promised: Promised | None = Field(description="null for a calibration of an earlier version.")
    seen: Seen | None = Field(description="A comparison with feedback since; null in a list of collections.")
    refit: RefitStatus
    rerank: CalibratedReranker | None = Field(description="null if the fit had no `rerank`.")
    outgrown: bool = Field(
        description="Whether the calibration is out of date: the collection now has more than twice or less "
        "than half of these documents, or another temperature or encoder. Then calibrate it again."
    )


class CalibratedReranker(Wire):
    """The reranker of a calibration. Questions with it have confidences, and a null key of their own."""

    model: str
    depth: int = Field(description="The number of documents that it reads.")
    weight: float = Field(
        description="The fitted factor of its logit; 0 if it improves the likelihood of the labels by no more than its "
        "standard error, or worsens the ranking."
    )


class LabelledQuestion(Wire):
    """A question and the documents that answer it."""

    query: Query = Field(description="A text, or a vector of the keys' width.")
    id: OrNull[DocumentId] = Field(None, description="The document that answers it; null if none does.")
    ids: Annotated[list[DocumentId], Len(1), InParts] | None = Field(
        None, description="The documents that answer it, instead of `id`; each of them is a right answer."
    )

    @model_validator(mode="after")
    def _check_label(self) -> LabelledQuestion:
        if ("id" in self.model_fields_set) == (self.ids is not None):
            raise PydanticCustomError(
                "label", 'wanted exactly one of id and ids: "id": null says that the question has no answer'
            )
        return self


EXAMPLE: list[JSONValue] = [
    {"query": f"database {i}", "id": "qa76"} if i % 2 else {"query": f"steam {i}", "id": None} for i in range(50)
]


class CalibrateRequest(Wire):
    """Labelled questions, to which the calibration of a collection is fitted."""

    from_: LabelSource = Field(
        "labels",
        alias="from",
        description="The origin of the questions. `labels`: they are in `questions`. `feedback`: they follow from what "
        "was sent to `feedback`, with the same minimum. `self`: they are made of the collection's own keys, for the "
        "time before there are labels.",
    )
    questions: Annotated[list[LabelledQuestion], InParts] | None = Field(
        None,
        description="For `labels`: at least 50 different questions, at least 10 with an answer and 10 without one. "
        "They should resemble later questions.",
    )
    apply: bool = Field(
        False,
        description="Whether to store the calibration if it is better. It is if `label_loss` falls by more than its "
        "standard error, or if `log_loss` does and `label_loss` rises by at most twice its own. The collection then "
        'has this temperature, and its `null` is "calibrated"; if it is `from` "self", "auto". Needs a key with write '
        "access.",
    )

    rerank: RerankModel | None = Field(
        None,
        description="A reranker whose weight is fitted too, with a null key and confidences for questions that have "
        "it. Each question must be a text, and it reads 100,000 documents at most. Not for `self`.",
    )

    refit: RefitMode = Field(
        "propose",
        description="With `apply`: what happens when enough new feedback has come. `propose`: a fit to it is compared "
        "with the calibration, and shown in its `refit`. `auto`: it also replaces the calibration if it is better.",
    )

    model_config = ConfigDict(json_schema_extra={"examples": [{"questions": EXAMPLE}]})

    @model_validator(mode="after")
    def _check_questions(self) -> CalibrateRequest:
        if (self.questions is not None) != (self.from_ == "labels"):
            raise PydanticCustomError(
                "questions", 'wanted questions exactly if "from" is "labels", which it is if it is left out'
            )
        return self


class ConfidenceCurve(Wire):
    """A curve for the probability that the first match is right: sigmoid(s·x + r·z + offset).

    x = logit(w) and z = logit(1 − v), both within ±40. w is the weight of the best document without the null key, and v
    that of the null key of the calibration.
    """

    slope: float = Field(description="s if w is below ½.")
    slope_above: float = Field(description="s if w is at least ½.")
    lead_slope: float = Field(description="r if the null key has more than half of the weight.")
    lead_slope_above: float = Field(description="r if the null key has at most half of the weight.")
    offset: float = Field(description="The logit of the confidence if w and v are ½.")


class ConformalLevel(Wire):
    """A conformal level: which matches make a set that contains the right document with a given probability.

    The set has all matches of at least this weight.
    """

    conformal: float = Field(description="The probability that the right document is in the set, if there is one.")
    weight: float = Field(description="The smallest weight, computed without the null key.")


class WithWords(Wire):
    """The part of a calibration for queries with one more term in their logits, if it has the fitted weight.

    The term is `full_text` or `rerank`.
    """

    level: float
    none_from: NoneFrom
    confidence: ConfidenceCurve
    conformal: list[ConformalLevel]
    errors: ErrorBounds


class CalibrationFigure(Wire):
    """A measured value and its standard error. Each is null if too few questions contribute."""

    value: float | None
    error: float | None


class CalibrationFigures(Wire):
    """Measures of the quality of a calibration.

    They are about its confidences, the ranks of right documents, and its sets of matches.
    """

    ece: CalibrationFigure = Field(
        description="The expected calibration error of the confidence of the first match, over ten bins with equally "
        "many questions."
    )
    brier: CalibrationFigure = Field(description="The mean of (confidence − right)².")
    label_loss: CalibrationFigure = Field(
        description="The mean of −ln(weight of the right document), or of the null key for a question without "
        "an answer, in nats. Weights below 10⁻⁶ count as 10⁻⁶."
    )
    log_loss: CalibrationFigure = Field(
        description="The log loss of the confidence, in nats. Confidences are limited to 10⁻⁶ from 0 and 1."
    )
    recall: CalibrationFigure = Field(description="The recall at 1, for questions that have an answer.")
    mrr: CalibrationFigure = Field(description="The mean reciprocal rank, for the same questions.")
    one_right: CalibrationFigure = Field(
        description="The share of the same questions with the verdict `one` and the right document first."
    )
    one_wrong: CalibrationFigure = Field(
        description="The share of questions without an answer that have the verdict `one`."
    )
    none_right: CalibrationFigure = Field(
        description="The share of questions without an answer that have the verdict `none`."
    )
    none_wrong: CalibrationFigure = Field(
        description="The share of questions with an answer that have the verdict `none`."
    )
    off_topic_none: CalibrationFigure = Field(
        description="The share of made questions on other topics that have the verdict `none`. They are not among "
        "the labels. It is null without an encoder, or if the collection is about nearly all of these topics."
    )
    coverage: CalibrationFigure = Field(
        description="The share of questions with an answer whose right document is in the set for 0.9: of "
        "`conformal`, and in `before` of `top_p`."
    )


class CalibrationGain(Wire):
    """The decrease of two losses of the answers by a calibration, which decides whether it is stored."""

    label_loss: CalibrationFigure
    log_loss: CalibrationFigure


class CalibrateAnswer(Wire):
    """The result of a calibration: the fit, and its quality before and after."""

    temperature: float
    level: float = Field(description="The null key weighs as much as n keys of this similarity.")
    full_text: float = Field(
        description="λ; 0 if words improve the likelihood of the labels by no more than its standard error, "
        "or worsen the ranking."
    )
    confidence: ConfidenceCurve
    none_from: NoneFrom
    conformal: list[ConformalLevel] = Field(description="The levels for which there are enough labels.")
    errors: ErrorBounds
    words: WithWords | None = Field(description="The fit with words; null if `full_text` is 0.")
    before: CalibrationFigures = Field(
        description="The quality with the present settings of the collection. The weight of the first match "
        "counts as its confidence."
    )
    after: CalibrationFigures = Field(
        description="The quality after the fit. Each question is evaluated with a fit to four fifths of the "
        "other questions."
    )
    after_words: CalibrationFigures | None = Field(description="The quality with words; null if `full_text` is 0.")
    rerank: CalibratedReranker | None = Field(description="The fitted reranker; null if the request has none.")
    reranked: WithWords | None = Field(description="The fit with the reranker, without words; null if its weight is 0.")
    after_reranked: CalibrationFigures | None = Field(
        description="The quality with the reranker; null if its weight is 0."
    )
    gained: CalibrationGain = Field(
        description="The decrease of these losses, question by question, without words and reranker."
    )
    from_: LabelSource = Field(alias="from", description="The origin of the questions.")
    at: CalibratedAt
    labels: Labels
    documents: int
    encoder: str | None
    applied: bool = Field(description="Whether the calibration was stored.")
    reason: str | None = Field(
        description="The reason against storing it: the gain is too small. null if it is large enough."
    )
    left_out: list[FieldProblem] = Field(
        description="The ids that do not count, since no document with a key has them. A question with no other answer "
        "is left out."
    )
    collection: CollectionBehind = None
    took_ms: float


def labels(question: LabelledQuestion) -> dict[str, str]:
    """Return the ids that answer a question, each once, with their JSON pointers.

    The result is empty for a question without an answer.
    """
    if question.ids is None:
        return {} if question.id is None else {question.id: "/id"}
    first = {identity: f"/ids/{i}" for i, identity in reversed([*enumerate(question.ids)])}
    return dict(reversed(first.items()))
