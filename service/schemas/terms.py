"""Terms that are added to a document's logit, on the wire: metadata, full text and soft filters."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, PlainValidator
from pydantic_core import PydanticCustomError
from typing_extensions import TypeAliasType

from service.schemas.filter import Filter
from service.schemas.wire import Distinct, DocumentedAs, Number, Wire, finite_number, json_value

FieldInBias = Annotated[
    str, Field(pattern=r"^metadata\.", description="`metadata.` and the name of a field, as in filters.")
]
Missing = Annotated[
    float, Field(description="The addend of documents whose field is no such value; 0 if left out.", examples=[0])
]


class Recency(Wire):
    """A document weighs half as much for each `half_life` that its number is away from the origin."""

    field: FieldInBias
    half_life: float = Field(gt=0, description="At this distance a document weighs half as much.")
    origin: float | None = Field(
        None,
        description="From where the distance is; left out: the largest number of all documents, whatever the filter.",
    )
    decay: Literal["exponential", "gaussian"] = Field(
        "exponential", description="−ln 2 · distance / half_life, or that of its square."
    )
    missing: Missing = 0

    model_config = ConfigDict(json_schema_extra={"examples": [{"field": "metadata.year", "half_life": 20}]})


class Linear(Wire):
    """A number of the document, times a factor."""

    field: FieldInBias
    factor: float = Field(description="What the number is multiplied by.")
    missing: Missing = 0

    model_config = ConfigDict(json_schema_extra={"examples": [{"field": "metadata.stars", "factor": 0.5}]})


class Prior(Wire):
    """The logarithm of a number, times a factor: the weight is multiplied by that power of the number."""

    field: FieldInBias
    scale: Literal["log"] = Field(description="Of the number, its natural logarithm.")
    factor: float = Field(1, description="The power. Where it is above 0, a number of 0 forbids the document.")
    missing: Missing = 0

    model_config = ConfigDict(json_schema_extra={"examples": [{"field": "metadata.stars", "scale": "log"}]})


class ByValue(Wire):
    """An addend for each of some values."""

    field: FieldInBias
    weights: dict[str, float] = Field(
        description="Of 1 to 1,000 values the addend: of texts, and of numbers and `true` as JSON writes them.",
        examples=[{"QA76": 1.5, "SF441": -1}],
    )
    missing: Missing = 0

    model_config = ConfigDict(json_schema_extra={"examples": [{"field": "metadata.shelf", "weights": {"QA76": 1.5}}]})


class SoftFilter(Wire):
    """An addend for documents that pass a filter; the others may be attended to as well."""

    filter: Filter
    addend: float = Field(description="What is added where it passes.")

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
        Field(description="What is added to the logit of each document, of a field of its metadata."),
    ],
)
Terms = Annotated[list[BiasTerm], Field(max_length=8)]


def _weight_or_auto(given: Any) -> Any:
    if given == "auto":
        return given
    if type(given) in (int, float) and given >= 0:
        return finite_number(given)
    raise PydanticCustomError("weight", 'wanted a number from 0 on, or "auto"')


_Weight = Annotated[Number, Field(json_schema_extra={"minimum": 0})]

# The queries check a bias, and say what is wrong where; these types only describe it.
BiasField = Annotated[
    Annotated[Any, AfterValidator(json_value), DocumentedAs(BiasTerm | Terms)] | None,
    Field(description="What is added to the logits: one term, or at most 8. Softmax at a number for its temperature."),
]
FullTextField = Annotated[
    Annotated[Any, PlainValidator(_weight_or_auto), DocumentedAs(_Weight | Literal["auto"])] | None,
    Field(
        description="λ: a document whose key holds words of the question has λ times its rank in full text added to "
        'its logit. For texts; softmax at a number for its temperature. 0 is as if left out; `"auto"` is what '
        "labelled questions said, where the collection is calibrated.",
    ),
]


class FullTextAnswer(Wire):
    """What the words of the question added."""

    weight: float = Field(description="λ, as it was asked.")
    ranking: Literal["bm25", "ts_rank_cd"] = Field(description="What the database ranks by: SQLite, PostgreSQL.")
    documents: int = Field(description="How many of the documents that can be attended to hold one of the words.")


class WordsAddend(Wire):
    """What the words of the question added to one document."""

    of: Literal["full_text"]
    rank: float = Field(description="Larger is better; 0 where it holds none of the words.")
    addend: float = Field(description="λ · rank.")


class FieldAddend(Wire):
    """What a field added to one document."""

    of: Literal["bias"]
    field: str = Field(description="As it was asked.")
    value: str | float | bool | None = Field(description="What it holds; null for nothing, a list or an object.")
    addend: float


class FilterAddend(Wire):
    """What a soft filter added to one document."""

    of: Literal["bias"]
    passes: bool = Field(description="Whether the document passes.")
    addend: float


AddendLine = TypeAliasType("AddendLine", Annotated[WordsAddend | FieldAddend | FilterAddend, Distinct()])
