"""Kernels in C that are rows of a table: the method of each is made here, when the library is loaded.

A method checks that arrays are contiguous and have the types and numbers of elements of its row. It passes one
structure of C: the addresses of arrays, then sizes and integers, then float64, each in the order of the row.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from attention.kernels.interface import TOTALS
from attention.kernels.layout import LANES
from attention.kernels.native import pointers

RADIX_BYTES = 28
"""Scratch memory of `sort_candidates` for each row of the longest run."""

ROWS = {
    "add_rows": "values f32[n, width], rows i64[m], queries i64[m], weights f64[m], outputs out f64[q, width]",
    "all_products": "vectors f32[n, width], rows i64[m], queries f64[q, width], products out f64[q, m]",
    "all_sums": "vectors f32[n, width], rows i64[m], weights f64[q, m], outputs out f64[q, width]",
    "row_products": "vectors f32[n, width], rows i64[m], queries f64[q, width], query_of i64[m], products new f64[m]",
    "residual_sum": "vectors f32[n, width], rows i64[m], total new f64[width]",
    "code_rows": """vectors f32[n, width], codes out i8[n, width], left out f32[n, width], scales out f64[n],
        squares out f64[n], total out f64[width]""",
    "quadratic_forms": """vectors f64[q, width], matrix f32[width, width], squares new f64[q], forms new f64[q],
        side scratch f32[width, LANES]""",
    "softmax_masses": "similarities f64[n], masses new f64[n], totals new f64[3], temperature real",
    "sort_candidates": """row_numbers i64[workers, queries, room], similarities f32[workers, queries, room],
        counts i64[workers, queries], starts i64[queries + 1], first int, last int, ordered out i64[m],
        descending out f64[m], memory scratch i8[RADIX_BYTES, longest] where longest = min(workers * room, m)""",
    "heavy_counts": """similarities f64[m], starts i64[queries + 1], inverse f64[queries], levels f64[queries],
        squares f64[queries], few real, negligible real, first int, last int, counts out i64[queries]""",
    "initial_counts": """similarities f64[m], starts i64[queries + 1], heavy i64[queries], ks i64[queries],
        margins f64[queries], maximum int, times int, counts new i64[queries]""",
    "first_rows": """starts i64[queries], counts i64[queries], edges new i64[queries + 1], indices new i64[room],
        runs new i64[room] where room = int(add.reduce(counts))""",
    "decisive_counts": """similarities f64[m], starts i64[queries + 1], rescored f64[known], counts i64[queries],
        ks i64[queries], supports f64[queries], thresholds f64[queries], errors f64[queries], maximum int, times int,
        needed new i64[queries], heap scratch f64[known // 2 + 1]""",
    "softmax_weights": """values f64[m], starts i64[cases + 1], counts i64[cases], temperatures f64[cases],
        thresholds f64[cases, bands], sums f64[cases, bands, 3], nulls f64[cases, 2], first int, last int,
        weights out f64[m], factors out f64[cases, bands], totals out f64[cases, TOTALS]""",
    "select_top": """similarities f64[m], row_numbers i64[m], starts i64[queries + 1], counts i64[queries],
        ks i64[queries], edges new i64[queries + 1], rows new i64[room], runs new i64[room],
        heap scratch f64[room // 2 + 1] where room = int(add.reduce(counts))""",
}
"""The kernels: their arguments, each with its type and shape; `out` is written, `new` is made and returned.

A size is that of the first array whose shape names it, or what follows `where`. `scratch` is memory that the kernel
alone uses. Functions in C return −1, or the place of what they refuse.
"""

_ITEM = re.compile(r"(\w+) (?:(out|new|scratch) )?([a-z]\w+)(?:\[(.+?)\])?")
_METHOD = """
def bind(function, pack):
    def {name}({parameters}):
        {sizes}
        refused = function(pack({values}))
        if refused >= 0:
            raise refusal("{name}", refused)
        return {made}
    return {name}
"""


def _refusal(name: str, index: int) -> IndexError:
    """Return the error of a kernel that refuses an index or a run."""
    return IndexError(f"wanted rows, queries and runs within the arrays of {name}, got another at index {index}")


SCOPE = {**vars(pointers), "LANES": LANES, "RADIX_BYTES": RADIX_BYTES, "TOTALS": TOTALS}
SCOPE |= {"add": np.add, "empty": np.empty, "refusal": _refusal}
"""The names that `_METHOD` and rows may use."""


class Row(NamedTuple):
    """A row of the table, as its method in Python needs it.

    Attributes:
        parameters: the method's.
        made: the arrays that it returns.
        addresses: by the name of a field of the structure, the address of an array in Python.
        sizes: by the name of a field, a size in Python.
        integers, reals: the names of the other fields.
    """

    parameters: list[str]
    made: list[str]
    addresses: dict[str, str]
    sizes: dict[str, str]
    integers: list[str]
    reals: list[str]

    @property
    def fields(self) -> list[str]:
        """The names of the fields of the structure, in their order."""
        return [*self.addresses, *self.sizes, *self.integers, *self.reals]


def row_of(name: str) -> Row:
    """Return a row of the table."""
    row = Row([], [], {}, {}, [], [])
    items, _, definition = ROWS[name].partition(" where ")
    for item, use, kind, shape in _ITEM.findall(items):
        elements, axes = kind.upper(), shape.split(", ")
        count = " * ".join(axes)
        if use == "scratch":
            row.addresses[item] = f"scratch.of({elements}.itemsize * ({count}))"
        elif use == "new":
            row.made.append(item)
            row.addresses[item] = f"output({item} := empty(({shape},), {elements}), {elements})"
        else:
            row.parameters.append(item)
            if shape:
                row.addresses[item] = f"{'output' if use else 'address'}({item}, {elements}, {count})"
                row.sizes.update(_sizes_of(item, axes) | row.sizes)
            else:
                (row.integers if kind == "int" else row.reals).append(item)
    if definition:
        size, value = definition.split(" = ")
        row.sizes[size] = value
    return row


def _sizes_of(array: str, axes: list[str]) -> dict[str, str]:
    """Return the sizes that the shape of an array names, as Python that reads them."""
    return {
        size: f"{array}.shape[{axis}]" if axis else f"len({array})"
        for axis, size in enumerate(axes)
        if size.isidentifier() and size.islower()
    }


def method_of(name: str, function: Callable[[bytes], int]) -> Callable[..., Any]:
    """Return the method of a row of the table.

    Args:
        name: a key of ROWS.
        function: the kernel in C. It takes a structure.
    """
    row = row_of(name)
    source = _METHOD.format(
        name=name,
        parameters=", ".join(row.parameters),
        sizes="; ".join(f"{size} = {value}" for size, value in row.sizes.items()),
        values=", ".join([*row.addresses.values(), *row.sizes, *row.integers, *row.reals]),
        made=", ".join(row.made),
    )
    made: dict[str, Any] = {}
    exec(source, SCOPE, made)
    pack = pointers.packer(len(row.addresses), len(row.sizes) + len(row.integers), len(row.reals))
    method: Callable[..., Any] = made["bind"](function, pack)
    return method
