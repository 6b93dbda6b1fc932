"""The lines of streamed answers: of an upload, of encoded texts, and of a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, NotRequired, TypeAlias, TypedDict

from softkv.answers.arrays import Piece
from softkv.record import VECTOR, Keyword, Named

if TYPE_CHECKING:
    from softkv.wire import Array


class RefusedLine(TypedDict):
    """A line of an upload whose document was not written, with the reasons.

    Attributes:
        line: the number of the line, from 1; empty lines count.
        detail: the first flaw of the line.
        errors: the first 10 flaws; the pointers lead into the line.
    """

    line: int
    detail: str
    errors: list[Annotated[Mapping[str, str], Named("FieldProblem")]]


class UploadBatch(TypedDict):
    """The result of a batch of 1,000 lines. Its valid documents are written in one transaction.

    Attributes:
        upserted: the number of documents of the batch that were written.
        truncated: ids of documents whose text was longer than the encoder reads; None if the encoder does not tell.
        refused: the rejected lines, in the order of their numbers; the first 1,000 of the upload.
        more_refused: the number of rejected lines of the batch that `refused` leaves out; left out if it is 0.
    """

    upserted: int
    truncated: list[str] | None
    refused: list[RefusedLine]
    more_refused: NotRequired[int]


class UploadEnd(TypedDict):
    """The last line of an upload: whether it is complete, and its totals.

    Attributes:
        done: whether the whole body has been read; if not, `problem` says why.
        upserted: the number of documents written in all.
        refused: the number of lines rejected in all.
    """

    done: bool
    upserted: int
    refused: int
    problem: NotRequired[Annotated[Mapping[str, Any], Named("Problem")]]


class EncodedText(TypedDict):
    """The vector of a text, and facts about how the model read the text.

    Attributes:
        index: the position of the text in `texts`, from 0.
        token_count: the number of tokens of the whole text, with special tokens; None if the encoder does not tell.
        truncated: whether the text is longer than the model reads; None if the encoder does not tell.
        unknown_tokens: the number of tokens that the model does not know, and reads as one and the same; None if
            the encoder does not tell.
        tokens: the tokens that the model reads.
    """

    index: int
    embedding: Annotated[Array, VECTOR]
    token_count: int | None
    truncated: bool | None
    unknown_tokens: int | None
    tokens: NotRequired[list[Piece]]


class EncodeEnd(TypedDict):
    """The last line of a stream of encoded texts: whether it is complete, and how many texts were encoded.

    Attributes:
        done: whether every text has its line; if not, `problem` says why.
        encoded: the number of texts encoded.
    """

    done: bool
    model: str
    dimension: int
    encoded: int
    problem: NotRequired[Annotated[Mapping[str, Any], Named("Problem")]]


class TableHead(TypedDict):
    """The first line about a file that is read as a table.

    Attributes:
        name: the name of the file, or of the exported collection in it.
        unit: what the number of a row counts, from 1.
        total: the number of rows; None if it is unknown before they are read.
        columns: the names that cells have in this answer; None if each row has its own, as in JSON.
        settings: the settings of the collection that the rows are for; {} if unknown.
        notices: sentences about the table for its reader.
    """

    name: str
    unit: Literal["line", "row"]
    total: int | None
    columns: list[str] | None
    settings: dict[str, Any]
    notices: list[str]


class TableCells(TypedDict):
    """A row of a table.

    Attributes:
        line: the number of the row in the file.
        cells: the filled cells by the names of their columns. Columns named as a field of a document are this
            field; all others are metadata.
    """

    line: int
    cells: dict[str, Any]


class RefusedRow(TypedDict):
    """A row that cannot be read, with the reason.

    Attributes:
        line: the number of the row in the file.
        id: the id in the row; None if it is unknown.
        detail: the reason, and what to do.
    """

    line: int
    id: str | None
    detail: str


class TableEnd(TypedDict):
    """The last line of a table that was read to its end.

    Attributes:
        rows: the number of rows.
        refused: the number of rows that cannot be read.
        keyless: the number of rows without a key.
        expired: the number of rows whose instant of expiry is over.
    """

    done: Literal[True]
    rows: int
    refused: int
    keyless: int
    expired: int


class TableCut(TypedDict):
    """The last line of a table that could not be read to its end."""

    done: Literal[False]
    problem: Annotated[Mapping[str, Any], Named("Problem")]


UploadLine: TypeAlias = Annotated[
    UploadBatch | UploadEnd, Named("UploadLine"), Keyword("description", "A line of an upload's answer.")
]
EncodeLine: TypeAlias = Annotated[
    EncodedText | EncodeEnd, Named("EncodeLine"), Keyword("description", "A line of an encoding's answer.")
]
TableLine: TypeAlias = Annotated[
    TableHead | TableCells | RefusedRow | TableEnd | TableCut,
    Named("TableLine"),
    Keyword("description", "A line about a table."),
]
