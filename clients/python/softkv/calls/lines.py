"""A row as a line of JSON: seen to be a document's as far as can be seen from here, its vectors in base64."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from softkv.answers.document import Document, wire_fields
from softkv.problems import flawed, refuse
from softkv.wire import checks
from softkv.wire.body import body
from softkv.wire.vectors import single

if TYPE_CHECKING:
    from softkv.wire.vectors import Array

_KEY_VECTOR = "key_vector"


class Line(NamedTuple):
    """A row on its way.

    Attributes:
        place: among the rows that were given, from 0.
        id: its document's, None where that is no text.
        content: the line, without its end.
        width: of its key vector, None where it came without one, or as base64.
    """

    place: int
    id: str | None
    content: bytes
    width: int | None


def fields_of(row: Any, place: int) -> Mapping[str, Any]:
    """The fields of a row.

    Raises:
        Invalid: it is none, so neither are the rows.
    """
    if isinstance(row, Document):
        return {"id": row.id, **row.fields}
    if isinstance(row, Mapping):
        return row
    raise flawed(f"/{place}", f"wanted a Document or an object with its fields, got {type(row).__name__}")


def name_of(fields: Mapping[str, Any]) -> str | None:
    """The id that a row has."""
    given = fields.get("id")
    return given if isinstance(given, str) else None


def line(fields: Mapping[str, Any], place: int) -> Line:
    """A row as a line.

    Raises:
        Invalid: no document can be so; the error says why, in the service's words.
    """
    if "id" in fields:
        refuse(checks.document_id(fields["id"], "/id"))
    vector = fields.get(_KEY_VECTOR)
    if vector is None or isinstance(vector, Mapping):
        return Line(place, name_of(fields), body(wire_fields(fields)), None)
    array = single(vector, f"/{_KEY_VECTOR}")
    content = body(wire_fields({name: each for name, each in fields.items() if name != _KEY_VECTOR}))
    return Line(place, name_of(fields), _with_vector(content, array), len(array))


def _with_vector(content: bytes, array: Array) -> bytes:
    """An object with the vector as one more field, written beside what is JSON already."""
    comma = b"," if len(content) > 2 else b""
    return b'%s%s"key_vector":{"base64":"%s"}}' % (content[:-1], comma, b64encode(array.data))
