"""One field of a collection in memory, so that a filter is evaluated without reading the disk.

Distinct values are stored once, in order, and every row has the code of its value. A comparison is evaluated for each
distinct value, then looked up for all rows at once. A row number always stands for the same values, so a column that
was read never becomes stale.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from softkv_service.storage.checksums import AS_BYTES
from softkv_service.storage.conditions.condition import MEMBERSHIP, ORDERING, Comparison
from softkv_service.storage.fields import EncodedValue, Kind, Scalar, casefold, decode_scalar, encode_value, kind_range
from softkv_service.storage.instants import Instant, parse_instant
from softkv_service.storage.records import RowNumbers

_BASE_BYTES = 8192  # approximate size of an empty column
_OBJECT_BYTES = 48  # approximate size of a Python object and the reference to it


class TextArray:
    """An array of texts in one UTF-8 buffer. The order of the bytes is that of the code points."""

    def __init__(self, texts: Sequence[str] | Sequence[bytes]) -> None:
        encoded = [text.encode() if isinstance(text, str) else text for text in texts]
        self._bytes = b"".join(encoded)
        self._edges = array("q", accumulate(map(len, encoded), initial=0))

    def __len__(self) -> int:
        return len(self._edges) - 1

    def __getitem__(self, index: int) -> bytes:
        return self._bytes[self._edges[index] : self._edges[index + 1]]

    def containing(self, part: bytes) -> Iterator[int]:
        """Yield the index of each text that contains `part`; the whole buffer is searched at once.

        Each search but the first follows a text that is as long as the part, so the work is linear in the buffer.
        """
        if not part:
            yield from range(len(self))
            return
        edges, position = self._edges, self._bytes.find(part)
        while position >= 0:
            end = bisect_right(edges, position)
            if position + len(part) <= edges[end]:
                yield end - 1
            else:  # every later place in this text is too late as well, and shorter texts have none
                while end + 1 < len(edges) and edges[end + 1] - edges[end] < len(part):
                    end += 1
            position = self._bytes.find(part, edges[end])

    @property
    def nbytes(self) -> int:
        """The size in memory, in bytes."""
        return len(self._bytes) + self._edges.itemsize * len(self._edges)


_Values: TypeAlias = "TextArray | array[Any] | list[Any]"


@dataclass(frozen=True, eq=False)
class Dates:
    """The instants of those distinct values of a field that are dates.

    Attributes:
        instants: int64[m], microseconds of Unix time, ascending.
        codes: int64[m], the code of the value of each instant.
    """

    instants: NDArray[np.int64]
    codes: NDArray[np.int64]

    def compare(self, operator: str, instant: int) -> slice | NDArray[np.int64]:
        """Return the codes of values for which `value operator instant` holds; `operator` is `==` or one of order."""
        first, last = (int(np.searchsorted(self.instants, instant, side)) for side in ("left", "right"))
        begin, end = {
            "==": (first, last),
            "<": (0, first),
            "<=": (0, last),
            ">": (last, len(self.codes)),
            ">=": (first, len(self.codes)),
        }[operator]
        if self._has_order_of_texts:
            return slice(int(self.codes[0]) + begin, int(self.codes[0]) + end)
        return self.codes[begin:end]

    @cached_property
    def _has_order_of_texts(self) -> bool:
        """Whether all dates are written alike, so that their codes follow one another."""
        return len(self.codes) > 0 and bool((np.diff(self.codes) == 1).all())


class DistinctValues:
    """The distinct values of one field; the index of each, from 0, is its code.

    Args:
        values: for each kind its distinct encoded values, ascending.
    """

    def __init__(self, values: Mapping[Kind, list[Any]]) -> None:
        self._values: dict[Kind, _Values] = {kind: _compact(kind, items) for kind, items in values.items()}
        self._starts = list(accumulate((len(values.get(kind, ())) for kind in Kind), initial=0))
        self._folded_bytes = 0
        self._values_bytes = sum(_nbytes(items) for items in self._values.values())

    def __len__(self) -> int:
        return self._starts[-1]

    @property
    def nbytes(self) -> int:
        """The approximate size in memory, in bytes."""
        dates = self.__dict__.get("dates")  # only if they were needed
        size = 0 if dates is None else dates.instants.nbytes + dates.codes.nbytes
        return size + self._values_bytes + self._folded_bytes

    @cached_property
    def dates(self) -> Dates:
        """The instants of the texts that are dates."""
        texts, codes, instants = self._values.get(Kind.TEXT, []), array("q"), array("q")
        for code, index in enumerate(range(len(texts)), self._starts[Kind.TEXT]):
            instant = parse_instant(texts[index].decode(errors=AS_BYTES))
            if instant is not None:
                codes.append(code)
                instants.append(instant)
        order = np.argsort(instants, kind="stable")
        return Dates(np.array(instants, dtype=np.int64)[order], np.array(codes, dtype=np.int64)[order])

    def equal(self, operand: EncodedValue) -> slice:
        """Return the code of a value equal to the operand, as a slice of codes.

        The slice is empty if no row has that value.
        """
        return slice(self._position(operand), self._position(operand, after=True))

    def compare(self, operator: str, operand: EncodedValue) -> slice:
        """Return the codes of values for which `value operator operand` holds, among texts or among numbers."""
        first, last = kind_range(operand.kind)
        edge = self._position(operand, after=operator in (">", "<="))
        if operator in (">", ">="):
            return slice(edge, self._starts[last + 1])
        return slice(self._starts[first], edge)

    def codes(self, operator: str, operand: Any) -> slice | NDArray[np.int64]:
        """Return the codes of values for which `value operator operand` holds.

        Args:
            operator: `==` or one of order.
            operand: a scalar or an instant.
        """
        if isinstance(operand, Instant):
            return self.dates.compare(operator, operand.absolute)
        value = encode_value(operand)
        return self.equal(value) if operator == "==" else self.compare(operator, value)

    @cached_property
    def case_folds(self) -> TextArray:
        """The texts after case folding, which takes much longer than to compare them."""
        texts = self._values.get(Kind.TEXT, [])
        folded = TextArray([casefold(texts[index]) for index in range(len(texts))])
        self._folded_bytes = folded.nbytes
        return folded

    def containing(self, part: bytes, *, ignore_case: bool = False) -> list[int]:
        """Return the codes of the texts that contain a part, which is case-folded already if case is ignored."""
        texts, start = self.case_folds if ignore_case else self._values.get(Kind.TEXT), self._starts[Kind.TEXT]
        return [start + index for index in texts.containing(part)] if isinstance(texts, TextArray) else []

    def equal_folds(self, fold: bytes) -> list[int]:
        """Return the codes of the texts that equal `fold` after case folding."""
        folds, start = self.case_folds, self._starts[Kind.TEXT]
        return [start + index for index in folds.containing(fold) if folds[index] == fold]

    def numbers(self) -> NDArray[np.float64]:
        """Return float64[c]: the nearest float of each number, infinity beyond float64, and NaN for other values."""
        numbers = np.full(len(self), np.nan)
        for kind in (Kind.NUMBER_BELOW, Kind.NUMBER, Kind.NUMBER_ABOVE):
            values = self._values.get(kind, [])
            nearest = values if kind is Kind.NUMBER else [_nearest(kind, values[i]) for i in range(len(values))]
            numbers[self._starts[kind] : self._starts[kind] + len(values)] = nearest
        return numbers

    def scalars(self) -> slice:
        """Return the codes of all scalar values: all values but null, lists and objects."""
        return slice(self._starts[Kind.BOOLEAN], self._starts[Kind.LIST])

    def value(self, code: int) -> EncodedValue:
        """Return the value of a code; damaged UTF-8 is decoded with replacement characters."""
        kind = Kind(bisect_right(self._starts, code) - 1)
        value = self._values[kind][code - self._starts[kind]]
        return EncodedValue(kind, value.decode(errors="replace") if kind >= Kind.TEXT else value)

    def scalar(self, code: int) -> Scalar:
        """Return the value of a code as a JSON scalar; None for a list or an object."""
        kind, value = self.value(code)
        return None if kind > Kind.TEXT else decode_scalar(kind, value)

    def _position(self, operand: EncodedValue, *, after: bool = False) -> int:
        """Return the index of the operand among the values, or the index at which it would be inserted.

        With `after`, return the index after the operand.
        """
        kind, value = operand
        compared = value.encode() if isinstance(value, str) else value
        find = bisect_right if after else bisect_left
        return self._starts[kind] + find(self._values.get(kind, []), compared)


@dataclass(frozen=True, eq=False)
class Entries:
    """The values of a field, row by row.

    Attributes:
        distinct: the distinct values.
        rows: int64[n], row numbers, ascending; a list repeats its row for each element.
        codes: int32[n], the code of each row's value.
    """

    distinct: DistinctValues
    rows: RowNumbers
    codes: NDArray[np.int32]

    @property
    def nbytes(self) -> int:
        """The approximate size in memory, in bytes."""
        return self.distinct.nbytes + self.rows.nbytes + self.codes.nbytes

    def codes_of(self, rows: RowNumbers) -> NDArray[np.int64]:
        """Return int64[n], the code of each row's value, or −1 for a row without a value."""
        if not len(self.rows):
            return np.full(len(rows), -1, dtype=np.int64)
        indices = np.minimum(np.searchsorted(self.rows, rows), len(self.rows) - 1)
        return np.where(self.rows[indices] == rows, self.codes[indices].astype(np.int64), -1)

    def until(self, last: int) -> Entries:
        """Return the entries of the rows with numbers up to `last`."""
        n = int(np.searchsorted(self.rows, last, side="right"))
        return self if n == len(self.rows) else Entries(self.distinct, self.rows[:n], self.codes[:n])

    def among(self, *codes: slice | Sequence[int] | NDArray[np.int64]) -> RowNumbers:
        """Return the rows int64[r], ascending, whose value has one of these codes."""
        passes = np.zeros(len(self.distinct), dtype=np.bool_)
        for selection in codes:
            passes[selection] = True
        return self.rows[passes[self.codes]] if passes.any() else self.rows[:0]


@dataclass(frozen=True, eq=False)
class Column:
    """A metadata field of all rows: its values, and the elements of values that are lists."""

    field: Entries
    elements: Entries

    @property
    def nbytes(self) -> int:
        """The approximate size in memory, in bytes."""
        return _BASE_BYTES + self.field.nbytes + self.elements.nbytes

    def until(self, last: int) -> Column:
        """Return the column of rows up to `last`."""
        return Column(self.field.until(last), self.elements.until(last))

    @property
    def present(self) -> RowNumbers:
        """The rows int64[r] in which the field is not null, ascending."""
        return self.field.rows

    def rows(self, comparison: Comparison) -> RowNumbers:
        """Return the rows int64[r] whose value matches; rows with null never match.

        The caller evaluates `!=` and `not in` as the complement of `==` and `in`.
        """
        operator, value = comparison.operator, comparison.value
        distinct = self.field.distinct
        if operator in ORDERING:
            return self.field.among(distinct.codes(operator, value))
        if operator == "contains":
            return self._containing(value, ignore_case=comparison.ignore_case)
        if operator not in ("==", "in"):
            raise ValueError(f"a column answers ==, in, contains and comparisons of order, not {operator}")
        operands = value if operator in MEMBERSHIP else [value]
        return self.field.among(*(distinct.codes("==", operand) for operand in operands))

    def _containing(self, value: Any, *, ignore_case: bool) -> RowNumbers:
        texts, elements = self.field.distinct, self.elements.distinct
        if not isinstance(value, str):
            return self.elements.among(elements.equal(encode_value(value)))
        part = casefold(value.encode()) if ignore_case else value.encode()
        equal = elements.equal_folds(part) if ignore_case else elements.equal(encode_value(value))
        holding = texts.containing(part, ignore_case=ignore_case)
        return np.concatenate([self.field.among(holding), self.elements.among(equal)])


def _compact(kind: Kind, values: list[Any]) -> _Values:
    if kind in (Kind.TEXT, Kind.LIST, Kind.OBJECT):
        return TextArray(values)
    # Arrays return Python numbers, which compare exactly, also integers with floats.
    if all(type(value) is int for value in values):
        return array("q", values)
    return array("d", values) if all(type(value) is float for value in values) else values


def _nearest(kind: Kind, form: bytes) -> float:
    """Return the nearest float64 of a number outside int64."""
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
