"""The distinct values of one field, in the order filters compare by: SQLite's own."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, TypeAlias

from service.storage.fields import Kind, Stored

_OBJECT_BYTES = 48  # a Python object and the reference to it, about


class Texts:
    """Texts side by side in UTF-8, whose bytes order as the code points do."""

    def __init__(self, texts: Sequence[str]) -> None:
        encoded = [text.encode() for text in texts]
        self._bytes = b"".join(encoded)
        self._edges = array("q", accumulate(map(len, encoded), initial=0))

    def __len__(self) -> int:
        return len(self._edges) - 1

    def __getitem__(self, index: int) -> bytes:
        return self._bytes[self._edges[index] : self._edges[index + 1]]

    @property
    def nbytes(self) -> int:
        """The memory that they take, in bytes."""
        return len(self._bytes) + self._edges.itemsize * len(self._edges)


_Values: TypeAlias = "Texts | array[Any] | list[Any]"


class Distinct:
    """The distinct values of one field; the place of each among them, from 0, is its code.

    Args:
        values: for each kind its distinct values, as they are stored, ascending.
    """

    def __init__(self, values: Mapping[Kind, list[Any]]) -> None:
        self._values: dict[Kind, _Values] = {kind: _compact(kind, found) for kind, found in values.items()}
        self._starts = list(accumulate((len(values.get(kind, ())) for kind in Kind), initial=0))

    def __len__(self) -> int:
        return self._starts[-1]

    @property
    def nbytes(self) -> int:
        """The memory that they take, in bytes, about."""
        return sum(_nbytes(values) for values in self._values.values())

    def equal(self, operand: Stored) -> slice:
        """The code of the operand, or nothing."""
        return slice(self._place(operand), self._place(operand, behind=True))

    def ordered(self, operator: str, operand: Stored) -> slice:
        """The codes that stand to the operand as the operator says, of texts or of numbers as it is one."""
        if operand.kind is Kind.TEXT:
            first, last = Kind.TEXT, Kind.TEXT
        else:
            first, last = Kind.NUMBER_BELOW, Kind.NUMBER_ABOVE
        edge = self._place(operand, behind=operator in (">", "<="))
        if operator in (">", ">="):
            return slice(edge, self._starts[last + 1])
        return slice(self._starts[first], edge)

    def holding(self, operand: str) -> Iterator[int]:
        """The codes of the texts that hold the operand."""
        part, start = operand.encode(), self._starts[Kind.TEXT]
        texts = self._values.get(Kind.TEXT, [])
        return (start + place for place in range(len(texts)) if part in texts[place])

    def _place(self, operand: Stored, *, behind: bool = False) -> int:
        """Where the operand stands or would stand; the place behind it, if it is there and that is asked."""
        kind, value = operand
        compared = value.encode() if isinstance(value, str) else value
        find = bisect_right if behind else bisect_left
        return self._starts[kind] + find(self._values.get(kind, []), compared)


def _compact(kind: Kind, values: list[Any]) -> _Values:
    if kind in (Kind.TEXT, Kind.LIST):
        return Texts(values)
    # Arrays give back Python's own numbers, which compare exactly, integers with floats too.
    if all(type(value) is int for value in values):
        return array("q", values)
    return array("d", values) if all(type(value) is float for value in values) else values


def _nbytes(values: _Values) -> int:
    if isinstance(values, Texts):
        return values.nbytes
    if isinstance(values, array):
        return values.itemsize * len(values)
    return sum(_OBJECT_BYTES + (len(value) if isinstance(value, bytes) else 0) for value in values)
