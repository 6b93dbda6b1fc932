"""What the documents of a collection hold in one field of their metadata, as plain frozen records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from service.storage.fields import Scalar

# In the order in which facts name them.
FieldType: TypeAlias = Literal["integer", "number", "text", "boolean", "null", "list", "object"]


@dataclass(frozen=True)
class FieldValue:
    """A value, and how many documents have it in the field, as the field itself or as an element of its list."""

    value: Scalar
    count: int


@dataclass(frozen=True)
class FieldFacts:
    """What a field holds.

    Attributes:
        types: of its values, each once; and "list" and "object" where a document has one there.
        count: how many documents have the field and in it something but null.
        distinct: how many different values there are; 1, 1.0, "1" and true are four.
        min, max: the least and the greatest number where there are numbers, else text; None where there are neither.
        values: as many as were asked for, those that most documents have first.
    """

    types: tuple[FieldType, ...] = ()
    count: int = 0
    distinct: int = 0
    min: Scalar = None
    max: Scalar = None
    values: tuple[FieldValue, ...] = ()
