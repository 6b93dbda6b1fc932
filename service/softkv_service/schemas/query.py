"""Models of a query: a text, a vector, or a weighted sum of texts, documents and vectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Self

from annotated_types import Len
from pydantic import ConfigDict, Field, PlainValidator, TypeAdapter, WrapValidator, model_validator
from pydantic_core import PydanticCustomError
from typing_extensions import TypeAliasType

from softkv_service.schemas.vector import Vector, parse_vector
from softkv_service.schemas.wire import DocumentedAs, DocumentId, Number, Text, Wire, well_formed

MAX_PARTS = 100
"""The most parts of one query."""
QUESTION = "how do databases work?"


class QueryPart(Wire):
    """A part of a query, and its weight: exactly one of `text`, `id` and `vector`."""

    text: Text | None = Field(None, description="A text, encoded by the collection's encoder.", examples=[QUESTION])
    id: DocumentId | None = Field(
        None, description="The id of a document of the collection, whose key is meant; of several keys, their mean."
    )
    vector: Vector | None = Field(None, description="A vector of the keys' width.")
    weight: Number = Field(1.0, description="The factor of the part in the sum; negative for what is unlike it.")

    @model_validator(mode="after")
    def _has_one_content(self) -> Self:
        sent = [name for name in ("text", "id", "vector") if getattr(self, name) is not None]
        if len(sent) != 1:
            came = " and ".join(sent) if sent else "none of them"
            raise PydanticCustomError(
                "query_part", "wanted exactly one of text, id and vector in each part, got {came}", {"came": came}
            )
        return self

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"text": QUESTION}, {"id": "qa76", "weight": -0.5}],
            "oneOf": [{"required": [name]} for name in ("text", "id", "vector")],
        }
    )


def _query(content: Any) -> Any:
    return well_formed(content) if isinstance(content, str) else parse_vector(content)


def _query_or_parts(content: Any, validate: Callable[[Any], Any]) -> Any:
    return validate(content) if _are_parts(content) else _query(content)


def _text_or_parts(content: Any, validate: Callable[[Any], Any]) -> Any:
    return validate(content) if _are_parts(content) else _TEXT.validate_python(content)


def _are_parts(content: Any) -> bool:
    """Return whether a query is a list of parts: of which the first is an object."""
    return isinstance(content, list) and bool(content) and isinstance(content[0], dict | QueryPart)


Query = TypeAliasType(
    "Query",
    Annotated[
        Any, PlainValidator(_query), DocumentedAs(Annotated[str | Vector, Field(description="A text, or a vector.")])
    ],
)
QueryParts = Annotated[
    list[QueryPart],
    Len(1, MAX_PARTS),
    Field(
        description="A weighted sum: of unit vectors if the similarity is cosine, else of vectors as they are. At most "
        f"{MAX_PARTS} parts.",
        examples=[[{"text": QUESTION}, {"id": "qa76", "weight": -0.5}]],
    ),
]
QueryOrParts = TypeAliasType(
    "QueryOrParts", Annotated[QueryParts, WrapValidator(_query_or_parts), DocumentedAs(Query | QueryParts)]
)
TextOrParts = TypeAliasType(
    "TextOrParts", Annotated[QueryParts, WrapValidator(_text_or_parts), DocumentedAs(Text | QueryParts)]
)
_TEXT: TypeAdapter[str] = TypeAdapter(Text, config=ConfigDict(strict=True))
