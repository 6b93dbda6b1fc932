"""Models of a comparison of rows in the request: by SQL's `=`, by SQL's full text, by top-k and by attention."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Len
from pydantic import ConfigDict, Field

from softkv.questions import MAX_TOP_K
from softkv_service.schemas.query import TextOrParts
from softkv_service.schemas.wire import DocumentId, JSONValue, Null, Temperature, Text, Wire

MAX_ROWS = 1000


class Row(Wire):
    """A row of a comparison: a document in the request itself, which is searched but not stored."""

    id: DocumentId | None = Field(None, description="Left out: its position, from 1.")
    key: Text = Field(description="The text that SQL's `=` compares and attention encodes.")
    value: JSONValue = Field(None, description="Left out: the key text.")


class CompareRowsRequest(Wire):
    """A question, to be answered in the same four ways from rows in the request. Nothing is stored."""

    query: TextOrParts = Field(
        description="The question for all four ways: a text, or a list of parts as for `attend`. SQL then looks for "
        "the texts of the parts with a positive weight."
    )
    temperature: Temperature | None = Field(None, description="The temperature of attention. Left out: the encoder's.")
    null: Null | None = Field(None, description='The null key of attention. Left out: "auto".')
    top_k: int = Field(10, ge=0, le=MAX_TOP_K, description="Rows to return for each of the four ways.")
    rows: Annotated[list[Row], Len(0, MAX_ROWS)] = Field(description="At most 1,000 rows; each id once.")

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"query": "kitten", "rows": [{"key": "cat", "value": "meows"}, {"key": "dog", "value": "barks"}]}
            ]
        }
    )
