"""What a field of the metadata comes to over every document that passes, on the wire."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Gt, Lt
from pydantic import AfterValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from service.schemas.json_object import OrNull
from service.schemas.wire import Number, Text, Wire
from service.storage import METADATA

MAX_QUANTILES = 100

ReadAs = Literal["mean", "vote", "quantile"]
How = Annotated[
    ReadAs,
    Field(
        alias="as",
        description="`mean` and `quantile` are of numbers; `vote` is of texts, numbers, true and false.",
    ),
]
Scalar = str | int | float | bool | None


def _in_metadata(field: str) -> str:
    if not field.startswith(METADATA):
        raise PydanticCustomError(
            "field", f"wanted {METADATA} and the name of a field, got {{came}}", {"came": field[:60]}
        )
    return field


class Read(Wire):
    """Which field, and what is made of its values, each by its document's weight."""

    field: Annotated[Text, AfterValidator(_in_metadata)] = Field(
        description="As filters write it: `metadata.` and a name.",
        examples=["metadata.year"],
        json_schema_extra={"pattern": r"^metadata\."},
    )
    how: How
    quantiles: list[Annotated[Number, Gt(0), Lt(1)]] | None = Field(
        None,
        min_length=1,
        max_length=MAX_QUANTILES,
        description="Which, with `quantile`; left out: the median.",
    )

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"field": "metadata.year", "as": "mean"},
                {"field": "metadata.year", "as": "quantile", "quantiles": [0.1, 0.5, 0.9]},
            ]
        }
    )


class Vote(Wire):
    """A value, and what the documents that have it weigh."""

    value: Scalar = Field(description="A text, a number, true or false.")
    weight: float = Field(description="Its share of the weight of all documents that have the field.")


class QuantileAnswer(Wire):
    """A quantile: the smallest number such that so large a share of the weight lies on numbers up to it."""

    quantile: float = Field(description="As asked.")
    value: float | None = Field(description="null where nothing was read.")
    at_least: float | None = Field(description="The exact one is no lower.")
    at_most: float | None = Field(description="And no higher.")


class ReadAnswer(Wire):
    """The field's value: documents without one are left out, and so is the null key."""

    field: str
    how: How
    value: Scalar = Field(
        description="The mean; the value with most weight; or the median, or the first quantile that was asked. null "
        "where no document with weight has the field."
    )
    weight: float = Field(description="Which share of the documents' weight has the field, 0 to 1.")
    deviation: OrNull[float] = Field(None, description="Of a mean: the weighted standard deviation around it.")
    error: OrNull[float] = Field(
        None,
        description="Of a mean: it is this far from the exact one at most; of a vote: each share is. null where "
        "nothing is certain.",
    )
    votes: list[Vote] | None = Field(None, description="Of a vote: at most 10 values, by weight.")
    rest_weight: float | None = Field(None, description="Of a vote: the share of all other values.")
    quantiles: list[QuantileAnswer] | None = Field(None, description="Of quantiles: each that was asked, in order.")
