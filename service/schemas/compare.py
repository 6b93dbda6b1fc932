"""One question, four ways, on the wire."""

from __future__ import annotations

from typing import Annotated, Any

from annotated_types import Len
from pydantic import ConfigDict, Field

from service.schemas.attend import AttendAnswer
from service.schemas.sweep import SweptMatch, SweptTemperature
from service.schemas.wire import DocumentId, JSONValue, Null, Text, Wire


class CompareRequest(Wire):
    """A question to a collection."""

    query: Text
    temperature: SweptTemperature | None = Field(None, description="Left out: the collection's.")
    top_k: int = Field(10, ge=0, le=10_000, description="Rows to return, in each of the four.")
    null: Null | None = Field(None, description="Left out: the collection's.")

    model_config = ConfigDict(json_schema_extra={"examples": [{"query": "what's a cat?", "top_k": 3}]})


class Row(Wire):
    """A row of the request; its id is its position, from 1, where none is sent."""

    id: DocumentId | None = None
    key: Text
    value: JSONValue = Field(None, description="Left out: the key text.")


class CompareRowsRequest(CompareRequest):
    """A question to rows that come with it; nothing is stored."""

    rows: Annotated[list[Row], Len(0, 1000)]

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"query": "kitten", "rows": [{"key": "cat", "value": "meows"}, {"key": "dog", "value": "barks"}]}
            ]
        }
    )


class SQLRow(Wire):
    """A row as the database answered it."""

    id: str
    key: str | None
    value: JSONValue


class SQLAnswer(Wire):
    """The statement that was run, and what it found."""

    statement: str
    parameters: dict[str, Any]
    rows: list[SQLRow]
    took_ms: float


class TopKAnswer(Wire):
    """The nearest documents, without weights: always some, whether or not anything matched."""

    matches: list[SweptMatch]
    documents: int
    took_ms: float


class CompareAnswer(Wire):
    """SQL's `=`, SQL's full text, top-k, and attention."""

    sql: SQLAnswer
    full_text: SQLAnswer
    top_k: TopKAnswer
    attention: AttendAnswer
