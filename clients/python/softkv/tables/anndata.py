"""Files of AnnData: the vectors of cells, dense or sparse, with the names and the annotations of the cells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from softkv.tables.arrays import LazyMatrix, say_left_out, table_of_arrays, text_of
from softkv.tables.columns import Reading
from softkv.tables.content import Content, unreadable

Take: TypeAlias = Callable[[Any, str], Any]
"""A function that returns what a group has under a name, if the file itself holds it."""
Array: TypeAlias = NDArray[Any]


def read_anndata(file: Any, vectors: Any, take: Take, path: Path, reading: Reading) -> Content:
    """Return the cells of an AnnData file.

    Args:
        file: the open file.
        vectors: the data set, or the group of a sparse matrix, with a row for each cell.
        take: takes items of groups.
        path: the file's path.
        reading: how it is read.

    Raises:
        Invalid: the vectors are not numbers, or as many as the cells.
    """
    if "shape" in vectors.attrs:
        vectors = _open_sparse(vectors, take, path)
    if getattr(vectors, "ndim", 0) != 2:
        raise unreadable(path, f"has no matrix in {vectors.name}: name one, such as {reading.say('vector')}")
    obs = take(file, "obs")
    if hasattr(obs, "shape"):
        raise unreadable(path, "is of anndata before 0.7: read it with anndata, and write it again")
    index = text_of(obs.attrs.get("_index", "_index"))
    names, left_out = dict[str, Array](), list[str]()
    for name in dict.fromkeys((index, *obs)):
        values = _annotation(obs, name, take)
        if values is None:
            left_out.append(name)
        else:
            names["id" if name == index and "id" not in obs else name] = values
    arrays = {**names, reading.options.vector or "key_vector": vectors}
    return replace(table_of_arrays(arrays, path), notices=say_left_out(left_out, "are of other types"))


def _annotation(group: Any, name: str, take: Take) -> Array | None:
    """Return the values of an annotation, None for missing ones; None for one of another type."""
    item = take(group, name)
    if hasattr(item, "shape"):
        values = item[()] if item.ndim == 1 else None
        missing = np.isnan(values) if values is not None and values.dtype.kind == "f" else None
    elif "codes" in item:
        categories, codes, missing = _annotation(item, "categories", take), take(item, "codes")[()], None
        values = None if categories is None else np.array([*categories, None], object)[codes]  # -1 is missing
    elif "mask" in item:
        values, missing = take(item, "values")[()], take(item, "mask")[()]
    else:
        return None
    if missing is None or values is None or not missing.any():
        return values
    cells = np.array([*values, None], object)[:-1]
    cells[missing] = None
    return cells


def _open_sparse(group: Any, take: Take, path: Path) -> LazyMatrix:
    """Return a sparse matrix, whose rows are written out as they are read; one by columns is sorted by rows before.

    Raises:
        Invalid: a column is outside of the matrix.
    """
    rows, width = (int(length) for length in group.attrs["shape"])
    data, indices, starts = take(group, "data"), take(group, "indices"), take(group, "indptr")[()]
    by_columns = text_of(group.attrs.get("encoding-type", "")) == "csc_matrix"
    if by_columns:
        in_rows = indices[()]
        order = np.argsort(in_rows, kind="stable")
        data, indices = data[()][order], np.repeat(np.arange(width), np.diff(starts))[order]
        starts = np.searchsorted(in_rows[order], np.arange(rows + 1))

    def read(start: int, stop: int) -> Array:
        matrix = np.zeros((stop - start, width), data.dtype)
        first, last = int(starts[start]), int(starts[stop])
        in_rows = np.repeat(np.arange(stop - start), np.diff(starts[start : stop + 1]))
        in_columns = indices[first:last]
        if len(in_columns) and not 0 <= in_columns.min() <= in_columns.max() < width:
            raise unreadable(path, f"has a column outside of its {width:,} ones")
        np.add.at(matrix, (in_rows, in_columns), data[first:last])  # entries of one place are parts of a sum
        return matrix

    if len(starts) != rows + 1:
        raise unreadable(path, f"has a sparse matrix of {rows:,} rows, and {len(starts) - 1:,} beginnings of rows")
    return LazyMatrix((rows, width), data.dtype, read)
