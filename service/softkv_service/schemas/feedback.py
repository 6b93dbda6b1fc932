"""Models of feedback: what callers say of answers."""

from __future__ import annotations

from typing import Annotated, Any

from annotated_types import Ge, Le, Len
from pydantic import AfterValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from softkv_service.schemas.query import QUESTION, Query
from softkv_service.schemas.wire import DocumentId, InParts, JSONValue, NullHasMeaning, Wire

MAX_JUDGEMENTS = 1000
MAX_QUESTION = 10_000
"""The most characters of a question, as of one with full text."""
MAX_NUMBER = 2**63 - 1


def _check_length(query: Any) -> Any:
    if isinstance(query, str) and len(query) > MAX_QUESTION:
        raise PydanticCustomError(
            "length",
            "{came} characters came, a question has at most {most}: send the question without its documents",
            {"came": len(query), "most": MAX_QUESTION},
        )
    return query


class Judgement(Wire):
    """Whether a document answers a question, or whether the collection has no answer to it."""

    query: Annotated[Query, AfterValidator(_check_length)] = Field(
        description="A text of at most 10,000 characters, or a vector of the keys' width."
    )
    id: Annotated[DocumentId | None, NullHasMeaning()] = Field(
        description='The document; null for "the collection has no answer".'
    )
    right: bool = Field(description="Whether that is right.")


EXAMPLE: JSONValue = {
    "feedback": [{"query": QUESTION, "id": "qa76", "right": True}, {"query": "steam", "id": None, "right": True}]
}


class FeedbackRequest(Wire):
    """Judgements of answers."""

    feedback: Annotated[list[Judgement], Len(1, MAX_JUDGEMENTS)] = Field(
        description="At least one. If two contradict each other, the later one counts."
    )

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})


class FeedbackDelete(Wire):
    """A choice of records of feedback to delete."""

    numbers: Annotated[list[Annotated[int, Ge(0), Le(MAX_NUMBER)]], InParts] | None = Field(
        None, description="The numbers of the records; others are ignored."
    )
    all: bool = Field(False, description="Whether all are deleted, instead of `numbers`.")

    model_config = ConfigDict(json_schema_extra={"examples": [{"numbers": [1, 2]}, {"all": True}]})

    @model_validator(mode="after")
    def _check_choice(self) -> FeedbackDelete:
        if (self.numbers is not None) == self.all:
            raise PydanticCustomError("numbers", 'wanted exactly one of numbers and "all": true')
        return self
