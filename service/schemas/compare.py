"""One question, four ways, on the wire."""

from __future__ import annotations

from typing import Annotated, Any

from annotated_types import Len
from pydantic import ConfigDict, Field

from service.schemas.attend import AttendAnswer, SweptMatch
from service.schemas.collection import NullBackground
from service.schemas.filter import FilterField
from service.schemas.wire import MAX_TOP_K, DocumentId, JSONValue, Null, Temperature, Text, Wire

MAX_ROWS = 1000


class Comparing(Wire):
    """A question, asked in four ways."""

    query: Text = Field(description="The question: a text, for all four ways.")
    temperature: Temperature | None = Field(
        None, description="Of attention. Left out: the collection's; of rows, the encoder's own."
    )
    top_k: int = Field(10, ge=0, le=MAX_TOP_K, description="Rows to return, in each of the four.")
    null: Null | None = Field(None, description='Of attention. Left out: the collection\'s; of rows, "auto".')


class CompareRequest(Comparing):
    """A question to a collection."""

    filter: FilterField = None

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"query": "what's a cat?", "top_k": 3},
                {"query": "war", "filter": {"field": "metadata.year", "operator": "<", "value": 0}},
            ]
        }
    )


class Row(Wire):
    """A row of the request."""

    id: DocumentId | None = Field(None, description="Left out: its position, from 1.")
    key: Text = Field(description="What SQL's `=` compares, and what attention encodes.")
    value: JSONValue = Field(None, description="Left out: the key text.")


class CompareRowsRequest(Comparing):
    """A question to rows that come with it; nothing is stored."""

    rows: Annotated[list[Row], Len(0, MAX_ROWS)] = Field(description="At most 1,000; each id once.")

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

    statement: str = Field(description="The SQL as it was run, with named parameters.")
    parameters: dict[str, Any] = Field(
        description="What the statement's parameters stood for. Bytes, as which numbers beyond 64 bits are compared, "
        "are written as SQL writes them: X'0A'."
    )
    rows: list[SQLRow]
    took_ms: float


class TopKAnswer(Wire):
    """The nearest documents, without weights: always some, whether or not anything matched."""

    matches: list[SweptMatch]
    documents: int = Field(description="How many were compared.")
    took_ms: float


class CompareAnswer(Wire):
    """One question asked in four ways, all of the same version of the rows."""

    sql: SQLAnswer = Field(description="SQL's `=` on the key: the question has to be the very text.")
    full_text: SQLAnswer = Field(
        description="The database's full text: the question's words quoted and joined by OR; SQLite ranks by bm25, "
        "PostgreSQL by ts_rank_cd, which does not know how rare a word is."
    )
    top_k: TopKAnswer
    attention: AttendAnswer
    background: NullBackground | None = Field(
        description="What attention's null key stands on beside this question, where it is one with a name: the null "
        "similarity at any temperature follows from its `mean` and `deviation`."
    )
