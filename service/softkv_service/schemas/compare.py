"""Models of a comparison: one question, answered by SQL's `=`, by SQL's full text, by top-k and by attention."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Len
from pydantic import ConfigDict, Field

from softkv_service.schemas.defaults import FilterOrNull
from softkv_service.schemas.query import TextOrParts
from softkv_service.schemas.wire import MAX_TOP_K, DocumentId, JSONValue, Null, OrNull, Temperature, Text, Wire

MAX_ROWS = 1000


class Comparing(Wire):
    """The fields that both kinds of comparison share: a question, which four searches answer, and its options."""

    query: TextOrParts = Field(
        description="The question for all four ways: a text, or a list of parts as for `attend`. SQL then looks for "
        "the texts of the parts with a positive weight."
    )
    temperature: Temperature | None = Field(
        None, description="The temperature of attention. Left out: the collection's; for rows, the encoder's."
    )
    null: Null | None = Field(
        None, description='The null key of attention. Left out: the collection\'s; for rows, "auto".'
    )


class CompareRequest(Comparing):
    """A question, to be answered from a collection by SQL's `=`, by SQL's full text, by top-k and by attention."""

    top_k: OrNull[int] = Field(
        None,
        ge=0,
        le=MAX_TOP_K,
        description="Rows to return for each of the four ways. Left out: the collection's default, or 10. null: 10.",
    )
    filter: FilterOrNull = None

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"query": "what's a cat?", "top_k": 3},
                {"query": "war", "filter": {"field": "metadata.year", "operator": "<", "value": 0}},
            ]
        }
    )


class Row(Wire):
    """A row of a comparison: a document in the request itself, which is searched but not stored."""

    id: DocumentId | None = Field(None, description="Left out: its position, from 1.")
    key: Text = Field(description="The text that SQL's `=` compares and attention encodes.")
    value: JSONValue = Field(None, description="Left out: the key text.")


class CompareRowsRequest(Comparing):
    """A question, to be answered in the same four ways from rows in the request. Nothing is stored."""

    top_k: int = Field(10, ge=0, le=MAX_TOP_K, description="Rows to return for each of the four ways.")
    rows: Annotated[list[Row], Len(0, MAX_ROWS)] = Field(description="At most 1,000 rows; each id once.")

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"query": "kitten", "rows": [{"key": "cat", "value": "meows"}, {"key": "dog", "value": "barks"}]}
            ]
        }
    )
