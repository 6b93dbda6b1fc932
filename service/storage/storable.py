"""What can be stored: documents as JSON in UTF-8, each id once, vectors as wide as the collection's others."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from service.storage.errors import DocumentsRepeated, Unstorable, WidthMismatch
from service.storage.fields import FieldRow, field_rows, is_utf8, nesting_problem
from service.storage.records import CollectionSettings, DocumentRecord

NUL = "\0"
SENT = " "
"""Before the JSON of a value that was sent and is the key text; without it such a value was never sent."""


@dataclass(frozen=True)
class DocumentTexts:
    """A document without its vectors, as it will stand in the tables."""

    id: str
    key: str | None
    value: str
    metadata: str
    fields: tuple[FieldRow, ...]

    @classmethod
    def of(
        cls, identity: str, key: str | None, value: Any, metadata: Mapping[str, Any], *, value_sent: bool = True
    ) -> DocumentTexts:
        """Raises Unstorable for what neither JSON nor UTF-8 can say, or metadata that is nested too much."""
        what = f"of document {identity!r}"
        if (excess := nesting_problem(metadata)) is not None:
            raise Unstorable(f"metadata {what} is too deep or too long, {excess}: put some of it into the value")
        text = json_text(metadata, f"metadata {what}")
        if (where := "id" if NUL in identity else find_nul(key, metadata)) is not None:
            raise Unstorable(
                f"the {where} {what} holds a NUL (U+0000), which PostgreSQL keeps in no text: leave it out"
            )
        searched = tuple(field_rows(metadata))
        if not all(map(is_utf8, (identity, key or "", *_strings(searched)))):
            raise Unstorable(f"id, key or metadata {what} holds half of a surrogate pair, which UTF-8 cannot say")
        mark = SENT if value_sent and value == key else ""
        return cls(identity, key, mark + json_text(value, f"value {what}"), text, searched)


def json_text(value: Any, what: str) -> str:
    """Any JSON as text that reads back as the same; `what` names it in an error."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise Unstorable(f"{what} is not JSON that can be stored: {error}") from None
    if is_utf8(text):
        return text
    # Half of a surrogate pair is JSON but not UTF-8: written as an escape it is both.
    return json.dumps(value, separators=(",", ":"))


def refuse_surrogates(asked: Iterable[Any]) -> None:
    """Raise Unstorable for a text among what is asked that no database can be given."""
    if not all(is_utf8(each) for each in asked if isinstance(each, str)):
        raise Unstorable("the question holds half of a surrogate pair, which UTF-8 cannot say: send whole characters")


def find_nul(key: str | None, metadata: Mapping[str, Any]) -> str | None:
    """Where a NUL stands, which PostgreSQL keeps in no text and so no store does: "key", "metadata", or nowhere.

    A value may hold one, since it is kept as JSON and nothing compares it.
    """
    if key is not None and NUL in key:
        return "key"
    return "metadata" if _holds_nul(metadata) else None


def _holds_nul(value: Any) -> bool:
    if isinstance(value, str):
        return NUL in value
    if isinstance(value, Mapping):
        return any(NUL in str(name) or _holds_nul(each) for name, each in value.items())
    return isinstance(value, list | tuple) and any(map(_holds_nul, value))


def refuse_repeated(ids: Sequence[str]) -> None:
    """Raise DocumentsRepeated where an id comes twice."""
    repeated = [identity for identity, times in Counter(ids).items() if times > 1]
    if repeated:
        raise DocumentsRepeated(repeated)


def with_widths(settings: CollectionSettings, documents: Sequence[DocumentRecord]) -> CollectionSettings:
    """The settings with the widths of the first document that has such vectors, where they had none.

    Raises WidthMismatch for a document that does not fit them.
    """
    dimension, value_dimension = settings.dimension, settings.value_dimension
    for each in documents:
        if len(each.keys):
            dimension = dimension or each.keys.shape[1]
            if each.keys.shape[1] != dimension:
                raise WidthMismatch(each.id, "key_vector", dimension, each.keys.shape[1])
        value_width = _value_width(each)
        if value_width is not None:
            value_dimension = value_dimension or value_width
            if value_width != value_dimension:
                vector = "value_vector"
                if each.value_vector is None:
                    vector = "the value (the key vector, as no value_vector came)"
                raise WidthMismatch(each.id, vector, value_dimension, value_width)
    return replace(settings, dimension=dimension, value_dimension=value_dimension)


def _value_width(document: DocumentRecord) -> int | None:
    """None where there is neither a value vector nor a key."""
    if document.value_vector is not None:
        return len(document.value_vector)
    return document.keys.shape[1] if len(document.keys) else None


def _strings(searched: Sequence[FieldRow]) -> Iterator[str]:
    for row in searched:
        yield row.field
        if isinstance(row.value, str):
            yield row.value
