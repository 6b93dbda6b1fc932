"""One field of a collection in memory, so that a filter is evaluated without reading the disk.

The values are kept once each, in order, and every row has the code of its value: a comparison is
decided for each distinct value, and what that says is then taken for all rows at once. A row number
always stands for the same values, so what was read of a row holds for good.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from service.storage.conditions import MEMBERSHIP, ORDERING, Comparison
from service.storage.fields import EncodedValue, Kind, Scalar, casefold, decode_scalar, encode_value, ordered_kinds
from service.storage.records import RowNumbers

_FEW_BYTES = 8192  # what an empty column takes, about
_OBJECT_BYTES = 48  # a Python object and the reference to it, about


class TextArray:
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


_Values: TypeAlias = "TextArray | array[Any] | list[Any]"


class DistinctValues:
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

    def equal(self, operand: EncodedValue) -> slice:
        """The code of the operand, or nothing."""
        return slice(self._place(operand), self._place(operand, behind=True))

    def ordered(self, operator: str, operand: EncodedValue) -> slice:
        """The codes that stand to the operand as the operator says, of texts or of numbers as it is one."""
        first, last = ordered_kinds(operand.kind)
        edge = self._place(operand, behind=operator in (">", "<="))
        if operator in (">", ">="):
            return slice(edge, self._starts[last + 1])
        return slice(self._starts[first], edge)

    def texts(self, fit: Callable[[bytes], bool]) -> list[int]:
        """The codes of the texts that fit; each is shown in UTF-8."""
        texts, start = self._values.get(Kind.TEXT, []), self._starts[Kind.TEXT]
        return [start + place for place in range(len(texts)) if fit(texts[place])]

    def numbers(self) -> NDArray[np.float64]:
        """float64[c]: of each value that is a number the nearest, infinity past float64; NaN of all others."""
        found = np.full(len(self), np.nan)
        for kind in (Kind.NUMBER_BELOW, Kind.NUMBER, Kind.NUMBER_ABOVE):
            values = self._values.get(kind, [])
            nearest = values if kind is Kind.NUMBER else [_nearest(kind, values[i]) for i in range(len(values))]
            found[self._starts[kind] : self._starts[kind] + len(values)] = nearest
        return found

    def scalars(self) -> slice:
        """The codes of what is neither null nor a list nor an object."""
        return slice(self._starts[Kind.BOOLEAN], self._starts[Kind.LIST])

    def value(self, code: int) -> EncodedValue:
        """What stands behind a code; bytes on disk that are no UTF-8 any more are shown as such."""
        kind = Kind(bisect_right(self._starts, code) - 1)
        value = self._values[kind][code - self._starts[kind]]
        return EncodedValue(kind, value.decode(errors="replace") if kind >= Kind.TEXT else value)

    def scalar(self, code: int) -> Scalar:
        """The same as JSON has it; None of a list or an object."""
        kind, value = self.value(code)
        return None if kind > Kind.TEXT else decode_scalar(kind, value)

    def _place(self, operand: EncodedValue, *, behind: bool = False) -> int:
        """Where the operand stands or would stand; the place behind it, if it is there and that is asked."""
        kind, value = operand
        compared = value.encode() if isinstance(value, str) else value
        find = bisect_right if behind else bisect_left
        return self._starts[kind] + find(self._values.get(kind, []), compared)


@dataclass(frozen=True, eq=False)
class Entries:
    """The values of some rows.

    Attributes:
        distinct: the values, each once.
        rows: int64[n] row numbers, ascending; a list's elements give its row more than once.
        codes: int32[n], the code of each row's value.
    """

    distinct: DistinctValues
    rows: RowNumbers
    codes: NDArray[np.int32]

    @property
    def nbytes(self) -> int:
        """The memory that they take, in bytes, about."""
        return self.distinct.nbytes + self.rows.nbytes + self.codes.nbytes

    def codes_of(self, rows: RowNumbers) -> NDArray[np.int64]:
        """int64[n]: the code of each of these rows' values, −1 of a row that has none."""
        if not len(self.rows):
            return np.full(len(rows), -1, dtype=np.int64)
        places = np.minimum(np.searchsorted(self.rows, rows), len(self.rows) - 1)
        return np.where(self.rows[places] == rows, self.codes[places].astype(np.int64), -1)

    def until(self, last: int) -> Entries:
        """Those of rows up to `last`."""
        n = int(np.searchsorted(self.rows, last, side="right"))
        return self if n == len(self.rows) else Entries(self.distinct, self.rows[:n], self.codes[:n])

    def among(self, *codes: slice | Sequence[int]) -> RowNumbers:
        """The rows int64[r] whose value has one of the codes, ascending."""
        passes = np.zeros(len(self.distinct), dtype=np.bool_)
        for some in codes:
            passes[some] = True
        return self.rows[passes[self.codes]] if passes.any() else self.rows[:0]


@dataclass(frozen=True, eq=False)
class Column:
    """What a field of the metadata holds: the field itself, and the elements where it is a list."""

    field: Entries
    elements: Entries

    @property
    def nbytes(self) -> int:
        """The memory that it takes, in bytes, about."""
        return _FEW_BYTES + self.field.nbytes + self.elements.nbytes

    def until(self, last: int) -> Column:
        """The same of rows up to `last`."""
        return Column(self.field.until(last), self.elements.until(last))

    @property
    def present(self) -> RowNumbers:
        """The rows int64[r] where the field is not null, ascending."""
        return self.field.rows

    def rows(self, comparison: Comparison) -> RowNumbers:
        """The rows int64[r] whose value passes: what is null, and so has no value, is never among them.

        `!=` and `not in` are for the caller to turn around.
        """
        operator, value = comparison.operator, comparison.value
        if operator in ORDERING:
            return self.field.among(self.field.distinct.ordered(operator, encode_value(value)))
        if operator == "contains":
            return self._containing(value, ignore_case=comparison.ignore_case)
        if operator not in ("==", "in"):
            raise ValueError(f"a column answers ==, in, contains and comparisons of order, not {operator}")
        wanted = value if operator in MEMBERSHIP else [value]
        return self.field.among(*(self.field.distinct.equal(encode_value(each)) for each in wanted))

    def _containing(self, value: Any, *, ignore_case: bool) -> RowNumbers:
        texts, elements = self.field.distinct, self.elements.distinct
        if not isinstance(value, str):
            return self.elements.among(elements.equal(encode_value(value)))
        part = value.encode()
        if ignore_case:
            part = casefold(part)
            holding = texts.texts(lambda text: part in casefold(text))
            equal = self.elements.among(elements.texts(lambda text: casefold(text) == part))
        else:
            holding = texts.texts(lambda text: part in text)
            equal = self.elements.among(elements.equal(encode_value(value)))
        return np.concatenate([self.field.among(holding), equal])


def _compact(kind: Kind, values: list[Any]) -> _Values:
    if kind in (Kind.TEXT, Kind.LIST, Kind.OBJECT):
        return TextArray(values)
    # Arrays give back Python's own numbers, which compare exactly, integers with floats too.
    if all(type(value) is int for value in values):
        return array("q", values)
    return array("d", values) if all(type(value) is float for value in values) else values


def _nearest(kind: Kind, form: bytes) -> float:
    """What float64 has for a number past int64."""
    try:
        return float(decode_scalar(kind, form) or 0)
    except OverflowError:
        return -math.inf if kind is Kind.NUMBER_BELOW else math.inf


def _nbytes(values: _Values) -> int:
    if isinstance(values, TextArray):
        return values.nbytes
    if isinstance(values, array):
        return values.itemsize * len(values)
    return sum(_OBJECT_BYTES + (len(value) if isinstance(value, bytes) else 0) for value in values)
