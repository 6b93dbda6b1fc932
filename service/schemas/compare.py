"""Models of a comparison: one question, answered by SQL's `=`, by SQL's full text, by top-k and by attention."""

from __future__ import annotations

from typing import Annotated, Any

from annotated_types import Len
from pydantic import ConfigDict, Field

from service.schemas.attend import AttendAnswer, SweptMatch
from service.schemas.collection import NullBackground
from service.schemas.defaults import Applied, FilterOrNull
from service.schemas.query import TextOrParts
from service.schemas.wire import (
    MAX_TOP_K,
    CollectionBehind,
    DocumentId,
    JSONValue,
    Null,
    OrNull,
    Temperature,
    Text,
    Wire,
)

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


class SQLRow(Wire):
    """A row that an SQL statement returned."""

    id: str
    key: str | None
    value: JSONValue


class SQLAnswer(Wire):
    """An SQL statement that searched for the question, and the rows that it found."""

    statement: str = Field(description="The SQL statement as it was run, with named parameters.")
    parameters: dict[str, Any] = Field(
        description="The values of the parameters. Numbers beyond 64 bits are compared as bytes, and bytes "
        "are written as in SQL: X'0A'."
    )
    rows: list[SQLRow]
    took_ms: float


class TopKAnswer(Wire):
    """The k documents that are most similar to the question, without weights.

    They are returned even if nothing matches.
    """

    matches: list[SweptMatch]
    documents: int = Field(description="The number of documents compared.")
    took_ms: float


class CompareAnswer(Wire):
    """The four answers to one question, all from one version of the rows."""

    sql: SQLAnswer = Field(description="The answer of SQL's `=` on the key: the question must equal the whole text.")
    full_text: SQLAnswer = Field(
        description="The answer of the full-text search of the database: the words of the question, quoted "
        "and joined by OR. SQLite ranks by bm25; PostgreSQL ranks by ts_rank_cd, which ignores how rare a "
        "word is."
    )
    top_k: TopKAnswer
    attention: AttendAnswer
    background: NullBackground | None = Field(
        description="The basis of the null key of this question, if it has a name. Its `mean` and `deviation`, and "
        "those of `at_most` and `at_least`, give the null similarity at any temperature."
    )
    applied: Applied = None
    collection: CollectionBehind = None
