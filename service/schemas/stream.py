"""Streams of lines (NDJSON) on the wire: what each line is, since OpenAPI 3.1 knows a stream only as a text."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field
from typing_extensions import TypeAliasType

from service.schemas.document import Document
from service.schemas.encode import Token
from service.schemas.vector import VectorAnswer
from service.schemas.wire import Distinct, FieldProblem, Problem, Wire


class RefusedLine(Wire):
    """A line of the body that was not written."""

    line: int = Field(description="Its number, from 1; empty lines count.")
    detail: str = Field(description="The first of its flaws.")
    errors: list[FieldProblem] = Field(description="Every flaw; pointers lead into the line.")


class UploadBatch(Wire):
    """What became of a batch of 1,000 lines, whose good ones were written all or none."""

    upserted: int = Field(description="How many documents of the batch were written.")
    truncated: list[str] = Field(description="Ids of documents whose text was longer than the encoder reads.")
    refused: list[RefusedLine] = Field(description="By their numbers.")


class UploadEnd(Wire):
    """The last line: how the upload ended."""

    done: bool = Field(description="Whether the whole body has been read; where not, `problem` says why.")
    upserted: int = Field(description="How many documents were written in all.")
    refused: int = Field(description="How many lines were refused in all.")
    problem: Problem | None = None


class EncodedText(Wire):
    """A text's vector, and what the model made of the text."""

    index: int = Field(description="The text's place in `texts`, from 0.")
    embedding: VectorAnswer
    token_count: int = Field(description="Tokens of the whole text, special ones included.")
    truncated: bool = Field(description="Whether the model reads less than the whole text.")
    unknown_tokens: int = Field(description="Tokens that the model reads as one and the same.")
    tokens: list[Token] | None = Field(None, description="The tokens that the model reads.")


class EncodeEnd(Wire):
    """The last line: how the encoding ended."""

    done: bool = Field(description="Whether every text has its line; where not, `problem` says why.")
    model: str
    dimension: int
    encoded: int = Field(description="How many texts were encoded.")
    problem: Problem | None = None


UploadLine = TypeAliasType(
    "UploadLine", Annotated[UploadBatch | UploadEnd, Distinct(), Field(description="A line of an upload's answer.")]
)
EncodeLine = TypeAliasType(
    "EncodeLine", Annotated[EncodedText | EncodeEnd, Distinct(), Field(description="A line of an encoding's answer.")]
)
LINES = (UploadLine, EncodeLine)


def _of(line: str, description: str, example: str) -> dict[str, Any]:
    """A media type of lines; as `x-itemSchema` it has the schema of one, where OpenAPI 3.2 has `itemSchema`."""
    return {
        "schema": {"type": "string", "description": f"{description} A line is a `{line}`."},
        "x-itemSchema": {"$ref": f"#/components/schemas/{line}"},
        "example": example,
    }


UPLOAD_BODY = _of(
    Document.__name__,
    "A document a line, as in the JSON form; the whole has no limit, a line may be as long as a JSON body. Empty lines "
    "are skipped.",
    '{"id": "qa76", "key": "relational databases", "value": "A first course"}\n'
    '{"id": "sf447", "key": "keeping cats"}\n',
)
UPLOAD_ANSWER = _of(
    UploadLine.__name__,
    "A line for each batch of 1,000 lines, while the body is still being read; lines are counted from 1. Then a last "
    "one, and only with its `done: true` has the whole body been read.",
    '{"upserted": 2, "truncated": [], "refused": []}\n{"done": true, "upserted": 2, "refused": 0}\n',
)
ENCODE_ANSWER = _of(
    EncodeLine.__name__,
    "With `Accept: application/x-ndjson`: a line a text, in order, as batches finish. Then a last one, and only with "
    "its `done: true` is the answer whole.",
    '{"index": 0, "embedding": [0.1], "token_count": 4, "truncated": false, "unknown_tokens": 0}\n'
    '{"done": true, "model": "all-MiniLM-L6-v2", "dimension": 384, "encoded": 1}\n',
)
