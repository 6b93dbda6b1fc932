"""Models of calibration: labelled questions, and the calibration that a collection stores."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Len
from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from softkv.questions import RerankModel
from softkv_service.schemas.query import Query
from softkv_service.schemas.requests import AsRecord
from softkv_service.schemas.wire import DocumentId, InParts, JSONValue, OrNull, Wire

LabelSource = Literal["labels", "feedback"]


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
        "was sent to `feedback`, with the same minimum.",
    )
    questions: Annotated[list[LabelledQuestion], InParts] | None = Field(
        None,
        description="For `labels`: at least 30 different questions, at least 10 with an answer and 10 without one. "
        "They should resemble later questions.",
    )
    apply: bool = Field(
        False,
        description="Whether to store the calibration if `log_loss` on held-out questions is below that of one "
        "confidence for all, or if another temperature and null key lower the sum of `label_loss` and `log_loss` by "
        "more than its standard error. Only then the collection has this temperature, and its `null` is "
        '"calibrated"; otherwise both stay. One that replaces another has to lower one of the losses by more than its '
        "standard error. Needs a key with write access.",
    )

    rerank: Annotated[RerankModel, AsRecord()] | None = Field(
        None,
        description="A reranker whose weight is fitted too, with a null key and confidences for questions that have "
        "it. Each question must be a text, and it reads 100,000 documents at most. Left out: late interaction with the "
        "weight 1 if the collection has `late` and each question is a text; otherwise none.",
    )

    model_config = ConfigDict(json_schema_extra={"examples": [{"questions": EXAMPLE}]})

    @model_validator(mode="after")
    def _check_questions(self) -> CalibrateRequest:
        if (self.questions is not None) != (self.from_ == "labels"):
            raise PydanticCustomError(
                "questions", 'wanted questions exactly if "from" is "labels", which it is if it is left out'
            )
        return self


def labels(question: LabelledQuestion) -> dict[str, str]:
    """Return the ids that answer a question, each once, with their JSON pointers.

    The result is empty for a question without an answer.
    """
    if question.ids is None:
        return {} if question.id is None else {question.id: "/id"}
    first = {identity: f"/ids/{i}" for i, identity in reversed([*enumerate(question.ids)])}
    return dict(reversed(first.items()))
