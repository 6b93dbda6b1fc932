"""Documents in the order of a metadata field: booleans, numbers and texts, and last those that have none of these.

The order is total: by the kind of the value, by the value, and by the id. Numbers compare exactly, whatever their size,
texts by code point, false before true. Descending, kinds and values are reversed. Documents whose value is missing,
null, a list or an object come last in both directions. Equal values are in the order of the ids in both directions.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from softkv_service.storage.fields import EncodedValue, Kind, encode_value, is_utf8, paths

FIRST_KIND, LAST_KIND = Kind.BOOLEAN, Kind.TEXT
"""The kinds of values that have an order."""


@dataclass(frozen=True)
class Order:
    """The order of documents by a metadata field.

    Attributes:
        field: the name of the field, or the path to it, as in `loc.page`.
    """

    field: str
    descending: bool = False


@dataclass(frozen=True)
class Position:
    """The position of a document in an order.

    Attributes:
        value: a text, a finite number or a boolean; None for a document that comes after all of these.
        id: the document's id.
    """

    value: str | int | float | bool | None
    id: str

    @classmethod
    def of(cls, order: Order, identity: str, metadata: Mapping[str, Any]) -> Position:
        """Return the position of a document with this id and metadata."""
        value = paths(metadata).get(order.field)
        return cls(value if isinstance(value, str | int | float) else None, identity)

    @property
    def form(self) -> EncodedValue | None:
        """The value as the table `fields` stores it; None without one."""
        return None if self.value is None else encode_value(self.value)

    def write(self, order: Order) -> str:
        """Return the position as a text that `read` reads for the same order only."""
        return json.dumps([order.field, order.descending, self.value, self.id], ensure_ascii=False)

    @classmethod
    def read(cls, order: Order, text: str) -> Position | None:
        """Return the position that `write` wrote for this order, or None if the text is anything else."""
        try:
            field, descending, value, identity = json.loads(text)
        except (ValueError, TypeError, RecursionError):
            return None
        if field != order.field or descending is not order.descending or not _is_storable(identity):
            return None
        if isinstance(value, float) and not math.isfinite(value):
            return None
        valid = value is None or isinstance(value, int | float) or _is_storable(value)
        return cls(value, identity) if valid else None


def _is_storable(text: Any) -> bool:
    return isinstance(text, str) and "\0" not in text and is_utf8(text)
