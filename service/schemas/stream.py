"""Models of the lines in NDJSON streams. OpenAPI 3.1 itself can describe a stream only as one text."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field
from typing_extensions import TypeAliasType

from service.schemas.document import Document
from service.schemas.encode import Token
from service.schemas.vector import VectorAnswer
from service.schemas.wire import Distinct, FieldProblem, Problem, Wire


class RefusedLine(Wire):
    """A line of an upload whose document was not written, with the reasons."""

    line: int = Field(description="The number of the line, from 1; empty lines count.")
    detail: str = Field(description="The first flaw of the line.")
    errors: list[FieldProblem] = Field(description="The first 10 flaws; the pointers lead into the line.")


class UploadBatch(Wire):
    """The result of a batch of 1,000 lines. Its valid documents are written in one transaction."""

    upserted: int = Field(description="The number of documents of the batch that were written.")
    truncated: list[str] | None = Field(
        description="Ids of documents whose text was longer than the encoder reads; null if the encoder does not tell."
    )
    refused: list[RefusedLine] = Field(
        description="The rejected lines, in the order of their numbers; the first 1,000 of the upload."
    )
    more_refused: int | None = Field(
        None, description="The number of rejected lines of the batch that `refused` leaves out; left out if it is 0."
    )


class UploadEnd(Wire):
    """The last line of an upload: whether it is complete, and its totals."""

    done: bool = Field(description="Whether the whole body has been read; if not, `problem` says why.")
    upserted: int = Field(description="The number of documents written in all.")
    refused: int = Field(description="The number of lines rejected in all.")
    problem: Problem | None = None


class EncodedText(Wire):
    """The vector of a text, and facts about how the model read the text."""

    index: int = Field(description="The position of the text in `texts`, from 0.")
    embedding: VectorAnswer
    token_count: int | None = Field(
        description="The number of tokens of the whole text, with special tokens; null if the encoder does not tell."
    )
    truncated: bool | None = Field(
        description="Whether the text is longer than the model reads; null if the encoder does not tell."
    )
    unknown_tokens: int | None = Field(
        description="The number of tokens that the model does not know, and reads as one and the same; null if the "
        "encoder does not tell."
    )
    tokens: list[Token] | None = Field(None, description="The tokens that the model reads.")


class EncodeEnd(Wire):
    """The last line of a stream of encoded texts: whether it is complete, and how many texts were encoded."""

    done: bool = Field(description="Whether every text has its line; if not, `problem` says why.")
    model: str
    dimension: int
    encoded: int = Field(description="The number of texts encoded.")
    problem: Problem | None = None


class TableHead(Wire):
    """The first line about a file that is read as a table."""

    name: str = Field(description="The name of the file, or of the exported collection in it.")
    unit: Literal["line", "row"] = Field(description="What the number of a row counts, from 1.")
    total: int | None = Field(description="The number of rows; null if it is unknown before they are read.")
    columns: list[str] | None = Field(
        description="The names that cells have in this answer; null if each row has its own, as in JSON."
    )
    settings: dict[str, Any] = Field(description="The settings of the collection that the rows are for; {} if unknown.")
    notices: list[str] = Field(description="Sentences about the table for its reader.")


class TableCells(Wire):
    """A row of a table."""

    line: int = Field(description="The number of the row in the file.")
    cells: dict[str, Any] = Field(
        description="The filled cells by the names of their columns. Columns named as a field of a document are this "
        "field; all others are metadata."
    )


class RefusedRow(Wire):
    """A row that cannot be read, with the reason."""

    line: int = Field(description="The number of the row in the file.")
    id: str | None = Field(description="The id in the row; null if it is unknown.")
    detail: str = Field(description="The reason, and what to do.")


class TableEnd(Wire):
    """The last line of a table that was read to its end."""

    done: Literal[True]
    rows: int = Field(description="The number of rows.")
    refused: int = Field(description="The number of rows that cannot be read.")
    keyless: int = Field(description="The number of rows without a key.")
    expired: int = Field(description="The number of rows whose instant of expiry is over.")


class TableCut(Wire):
    """The last line of a table that could not be read to its end."""

    done: Literal[False]
    problem: Problem


UploadLine = TypeAliasType(
    "UploadLine", Annotated[UploadBatch | UploadEnd, Distinct(), Field(description="A line of an upload's answer.")]
)
EncodeLine = TypeAliasType(
    "EncodeLine", Annotated[EncodedText | EncodeEnd, Distinct(), Field(description="A line of an encoding's answer.")]
)
TableLine = TypeAliasType(
    "TableLine",
    Annotated[
        TableHead | TableCells | RefusedRow | TableEnd | TableCut,
        Distinct(),
        Field(description="A line about a table."),
    ],
)
LINES = (UploadLine, EncodeLine, TableLine)


def _of(line: str, description: str, example: str) -> dict[str, Any]:
    """Return the OpenAPI description of the media type of a stream of lines.

    `x-itemSchema` has the schema of a line, for which OpenAPI 3.2 has `itemSchema`.

    Args:
        line: the name of the schema of a line.
        description: the description of the stream.
        example: an example of the stream.
    """
    return {
        "schema": {"type": "string", "format": "binary", "description": f"{description} A line is a `{line}`."},
        "x-itemSchema": {"$ref": f"#/components/schemas/{line}"},
        "example": example,
    }


UPLOAD_BODY = _of(
    Document.__name__,
    "One document per line, as in the JSON form. The whole stream has no limit; a line may be "
    "as long as a JSON body. Empty lines are skipped.",
    '{"id": "qa76", "key": "relational databases", "value": "A first course"}\n'
    '{"id": "sf447", "key": "keeping cats"}\n',
)
UPLOAD_ANSWER = _of(
    UploadLine.__name__,
    "One line for each batch of 1,000 lines, sent while the body is still being read. Lines "
    "are counted from 1. Then a last line: the whole body has been read only if it says `done: true`.",
    '{"upserted": 2, "truncated": [], "refused": []}\n{"done": true, "upserted": 2, "refused": 0}\n',
)
ENCODE_ANSWER = _of(
    EncodeLine.__name__,
    "With `Accept: application/x-ndjson`: one line per text, in order, as batches finish. "
    "Then a last line: the answer is complete only if it says `done: true`.",
    '{"index": 0, "embedding": [0.1], "token_count": 4, "truncated": false, "unknown_tokens": 0}\n'
    '{"done": true, "model": "all-MiniLM-L6-v2", "dimension": 384, "encoded": 1}\n',
)
TABLE_BODY: dict[str, Any] = {
    "schema": {"type": "string", "format": "binary", "description": "The bytes of the file, as it is."},
    "example": "id,key\nqa76,relational databases\nsf447,keeping cats\n",
}
TABLE_ANSWER = _of(
    TableLine.__name__,
    "A line about the table, then a line for each row. Then a last line: the whole file has been read only if it says "
    "`done: true`.",
    '{"name": "books.csv", "unit": "line", "total": 1, "columns": ["id", "key"], "settings": {}, "notices": []}\n'
    '{"line": 2, "cells": {"id": "qa76", "key": "relational databases"}}\n'
    '{"done": true, "rows": 1, "refused": 0, "keyless": 0, "expired": 0}\n',
)
