"""Calibration on the wire: labelled questions, and what a collection keeps of them."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Len
from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from service.schemas.attend import Query
from service.schemas.wire import DocumentId, InParts, JSONValue, OrNull, Wire


class Labels(Wire):
    """How many questions had an answer, and had none."""

    present: int
    absent: int


class KeptCalibration(Wire):
    """What a collection keeps of a calibration."""

    version: int = Field(description="Of what is kept.")
    documents: int = Field(description="How many the collection had.")
    encoder: str | None = Field(description="What its texts were encoded with.")
    temperature: float
    level: float = Field(description="The null key weighs as much as n keys of this similarity.")
    full_text: float = Field(description="λ, what a rank in full text is worth in logits; 0 where words gain nothing.")
    labels: Labels
    outgrown: bool = Field(
        description="Whether the collection has more than twice or less than half of these documents by now, or "
        "another temperature or encoder: then calibrate it anew."
    )


class LabelledQuestion(Wire):
    """A question, and what answers it."""

    query: Query = Field(description="A text, or a vector of the keys' width.")
    id: OrNull[DocumentId] = Field(None, description="The document that answers it; null: none does.")
    ids: Annotated[list[DocumentId], Len(1), InParts] | None = Field(
        None, description="The documents that answer it, instead of `id`: each of them is right."
    )

    @model_validator(mode="after")
    def _labelled(self) -> LabelledQuestion:
        if ("id" in self.model_fields_set) == (self.ids is not None):
            raise PydanticCustomError(
                "label", 'wanted exactly one of id and ids: "id": null says that the question has no answer'
            )
        return self


EXAMPLE: list[JSONValue] = [
    {"query": f"database {i}", "id": "qa76"} if i % 2 else {"query": f"steam {i}", "id": None} for i in range(50)
]


class CalibrateRequest(Wire):
    """Labelled questions to fit to."""

    questions: Annotated[list[LabelledQuestion], InParts] = Field(
        description="From 50 different ones on, at least 10 with an answer and 10 without one; like those that will be "
        "asked."
    )
    apply: bool = Field(
        False,
        description="Whether to keep it, where `label_loss` or `log_loss` falls by more than its standard error, and "
        "the other rises by no more than twice its own: the collection then "
        'has this temperature, and `null` is "calibrated". Wants a key that may write.',
    )

    model_config = ConfigDict(json_schema_extra={"examples": [{"questions": EXAMPLE}]})


class ConfidenceCurve(Wire):
    """sigmoid(s·x + r·z + offset), x = logit(w), z = logit(1 − v), both cut at ±40.

    w is the weight of the best document without the null key, v that of the fitted null key.
    """

    slope: float = Field(description="s, where w is below ½.")
    slope_above: float = Field(description="s, from there on.")
    lead_slope: float = Field(description="r, where the null key has more than half of the weight.")
    lead_slope_above: float = Field(description="r, where it has no more than half.")
    offset: float = Field(description="The logit of the confidence where w and v are ½.")


class ConformalLevel(Wire):
    """A promise, and the least weight of a match of its set."""

    conformal: float = Field(description="The chance that the right one is in the set, where there is one.")
    weight: float = Field(description="The null key left out.")


class WithWords(Wire):
    """What was fitted with words: with `full_text` at λ."""

    level: float
    confidence: ConfidenceCurve
    conformal: list[ConformalLevel]


class CalibrationFigure(Wire):
    """A figure and its standard error; null where too few questions had one."""

    value: float | None
    error: float | None


class CalibrationFigures(Wire):
    """How good confidences, ranks and sets are."""

    ece: CalibrationFigure = Field(
        description="Expected calibration error of the first match's confidence, over ten bins of equal size."
    )
    brier: CalibrationFigure = Field(description="Mean of (confidence − right)².")
    label_loss: CalibrationFigure = Field(
        description="−ln of the share that the right document had, or the null key where there is none: in nats, each "
        "share counted as at least 10⁻⁶."
    )
    log_loss: CalibrationFigure = Field(description="In nats; a confidence counts as at least 10⁻⁶ from 0 and 1.")
    recall: CalibrationFigure = Field(description="At 1, of the questions that have an answer.")
    mrr: CalibrationFigure = Field(description="Mean reciprocal rank, of these.")
    one_right: CalibrationFigure = Field(
        description="Share of these whose verdict is `one`, the right one being first."
    )
    one_wrong: CalibrationFigure = Field(description="Share of the questions without an answer whose verdict is `one`.")
    coverage: CalibrationFigure = Field(
        description="Share of those with an answer whose right one is in the set of 0.9: of `conformal`, and before of "
        "`top_p`."
    )


class CalibrationGain(Wire):
    """What a fit is kept by."""

    label_loss: CalibrationFigure
    log_loss: CalibrationFigure


class CalibrateAnswer(Wire):
    """What labelled questions say of a collection, and what it gains."""

    temperature: float
    level: float = Field(description="The null key weighs as much as n keys of this similarity.")
    full_text: float = Field(
        description="λ; 0 where words make the labels no likelier by more than the standard error of that, or rank "
        "worse."
    )
    confidence: ConfidenceCurve
    conformal: list[ConformalLevel] = Field(description="Those that there are labels enough for.")
    words: WithWords | None = Field(description="The same with words; null where `full_text` is 0.")
    before: CalibrationFigures = Field(
        description="As the collection is served: the first match's weight is taken for its confidence."
    )
    after: CalibrationFigures = Field(description="Each question by a fit to four fifths of the others.")
    after_words: CalibrationFigures | None = Field(description="With words; null where `full_text` is 0.")
    gained: CalibrationGain = Field(description="By how much these fell, question by question, without words.")
    labels: Labels
    documents: int
    encoder: str | None
    applied: bool = Field(description="Whether it is kept.")
    reason: str | None = Field(description="Why it is not worth keeping: it gains too little; null where it is.")
    took_ms: float


def labels(question: LabelledQuestion) -> dict[str, str]:
    """The ids that answer it, each once, and where it stands; none where it has no answer."""
    if question.ids is None:
        return {} if question.id is None else {question.id: "/id"}
    return {identity: f"/ids/{i}" for i, identity in reversed([*enumerate(question.ids)])}
