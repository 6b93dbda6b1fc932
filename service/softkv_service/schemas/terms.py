"""Models of terms that are added to the logit of a document: from its metadata, from full text and from soft
filters.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Discriminator, Field, PlainSerializer, PlainValidator, Tag
from pydantic_core import PydanticCustomError
from typing_extensions import TypeAliasType

from softkv_service.retrieval import InvalidContent
from softkv_service.retrieval.queries import parse_full_text_query
from softkv_service.retrieval.terms import parse_bias
from softkv_service.schemas.filter import DateTime, Filter
from softkv_service.schemas.wire import Distinct, DocumentedAs, Number, Text, Wire, finite_number, json_value

FieldInBias = Annotated[
    str, Field(pattern=r"^metadata\.", description="`metadata.` and the name of a field, as in filters.")
]
Missing = Annotated[
    float,
    Field(
        description="The addend of documents whose field is missing or has an unsuitable value. Left out: 0.",
        examples=[0],
    ),
]


class Recency(Wire):
    """A term that prefers documents whose field is near an origin, such as a date.

    The weight halves with each `half_life` of distance.
    """

    field: FieldInBias
    half_life: Annotated[float, Field(gt=0)] | str = Field(
        description="The distance at which a document weighs half as much: a number, or for dates a duration such as "
        "`30d` or `12h` (units `s`, `m`, `h`, `d`, `w`)."
    )
    origin: float | str | DateTime | None = Field(
        None,
        description="The number from which distances count; with a duration, the date or the instant. Left out: the "
        "largest number, or the latest date, of all documents, whatever the filter.",
    )
    decay: Literal["exponential", "gaussian"] = Field(
        "exponential",
        description="exponential: −ln 2 · distance / half_life; gaussian: −ln 2 · (distance / half_life)².",
    )
    missing: Missing = 0

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"field": "metadata.year", "half_life": 20},
                {"field": "metadata.written", "half_life": "30d", "origin": {"datetime": "now"}},
            ]
        }
    )


class Linear(Wire):
    """A term that adds a number of the document's metadata, times a factor, to the document's logit."""

    field: FieldInBias
    factor: float = Field(description="The factor of the number.")
    missing: Missing = 0

    model_config = ConfigDict(json_schema_extra={"examples": [{"field": "metadata.stars", "factor": 0.5}]})


class Prior(Wire):
    """A term that adds the logarithm of a number of the document's metadata, times a factor, to the document's logit.

    It multiplies the weight by that power of the number.
    """

    field: FieldInBias
    scale: Literal["log"] = Field(description="Always `log`: the natural logarithm of the number.")
    factor: float = Field(
        1, description="The power of the number. If it is above 0, a number of 0 excludes the document."
    )
    missing: Missing = 0

    model_config = ConfigDict(json_schema_extra={"examples": [{"field": "metadata.stars", "scale": "log"}]})


class ByValue(Wire):
    """A term that adds a number to the document's logit, depending on the value of one of its metadata fields."""

    field: FieldInBias
    weights: dict[str, float] = Field(
        description="The addends of 1 to 1,000 values: texts, or numbers and `true` as JSON writes them.",
        examples=[{"QA76": 1.5, "SF441": -1}],
    )
    missing: Missing = 0

    model_config = ConfigDict(json_schema_extra={"examples": [{"field": "metadata.shelf", "weights": {"QA76": 1.5}}]})


class SoftFilter(Wire):
    """A term that adds a number to the logits of documents that pass a filter.

    Unlike a filter, it does not exclude the other documents.
    """

    filter: Filter
    addend: float = Field(description="The addend if the document passes.")

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"filter": {"field": "metadata.year", "operator": ">=", "value": 1990}, "addend": 1}]
        }
    )


BiasTerm = TypeAliasType(
    "BiasTerm",
    Annotated[
        Recency | Linear | Prior | ByValue | SoftFilter,
        Distinct(),
        Field(
            description="A term that adds to the logit of each document, from a field of its metadata or from a filter."
        ),
    ],
)
Terms = Annotated[list[BiasTerm], Field(max_length=8)]


def _weight_or_auto(value: Any) -> Any:
    if value == "auto":
        return value
    if type(value) in (int, float) and value >= 0:
        return finite_number(value)
    raise PydanticCustomError("weight", 'wanted a number from 0 on, or "auto"')


_Weight = Annotated[Number, Field(json_schema_extra={"minimum": 0})]
WeightOrAuto = Annotated[Any, PlainValidator(_weight_or_auto), DocumentedAs(_Weight | Literal["auto"])]


def _check_full_text_query(text: str) -> str:
    try:
        parse_full_text_query(text)
    except InvalidContent as error:
        raise PydanticCustomError("full_text", "{message}", {"message": error.flaws[0].detail}) from None
    return text


class FullTextQuery(Wire):
    """Full text that ranks a text of its own, in place of the words of the query."""

    weight: WeightOrAuto = Field(description='λ, or `"auto"`: the λ of the calibration.')
    query: Annotated[Text, AfterValidator(_check_full_text_query)] = Field(
        description='Words, `"a phrase"` in double quotes, and `micro*` for words that begin so. A key that contains '
        "one of them has a rank. At most 500 words and 10,000 characters.",
        examples=['"difference engine" comput*'],
    )

    model_config = ConfigDict(json_schema_extra={"examples": [{"weight": 0.1, "query": '"difference engine" comput*'}]})


def _weight_or_query(value: Any) -> str:
    return "query_of_its_own" if isinstance(value, dict) else "weight_alone"


def _check_bias(bias: Any) -> Any:
    """Return a bias in its JSON form, after checking it as a question with it would do."""
    try:
        parse_bias(bias)
    except InvalidContent as error:
        flaw = error.flaws[0]
        pointer = flaw.pointer.removeprefix("/bias").removeprefix("/")
        raise PydanticCustomError("bias", "{message}", {"message": flaw.detail, "pointer": pointer}) from None
    return bias


StoredBias = Annotated[Any, AfterValidator(json_value), AfterValidator(_check_bias), DocumentedAs(BiasTerm | Terms)]
"""The bias of a collection's defaults, which is checked when it is set."""

# The code that computes addends checks a bias and reports the position of a flaw; these types only describe it.
Bias = Annotated[Any, AfterValidator(json_value), DocumentedAs(BiasTerm | Terms)]
FullText = Annotated[
    Annotated[WeightOrAuto, Tag("weight_alone")]
    | Annotated[FullTextQuery, AfterValidator(lambda sent: sent.model_dump()), Tag("query_of_its_own")],
    Discriminator(_weight_or_query),
    PlainSerializer(lambda value: value),
    DocumentedAs(_Weight | Literal["auto"] | FullTextQuery),
]

NAMED_TERMS: dict[str, Any] = {
    "Bias": Bias,
    "FullText": FullText,
    "StoredBias": StoredBias,
    "WeightOrAuto": WeightOrAuto,
}
"""The types of terms that the client's records name."""
