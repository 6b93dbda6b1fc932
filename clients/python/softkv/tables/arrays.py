"""Vectors in files of NumPy and HDF5, and of the benchmarks of nearest neighbours: .fvecs, .bvecs, .fbin, .u8bin, …"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from softkv.problems import invalid_value
from softkv.tables.cells import BadCell
from softkv.tables.content import Content, NumberedRow, require_reader, unreadable
from softkv.tables.packing import File

Array: TypeAlias = NDArray[Any]
_COMPONENTS = {".fvecs": "<f4", ".bvecs": "u1", ".fbin": "<f4", ".u8bin": "u1", ".i8bin": "i1"}
_NUMERIC = "fiu"
_OBJECTS = ("Object arrays", "Python objects")  # as NumPy refuses them in .npz and in .npy

_TRAIN = "train"  # as ann-benchmarks names the vectors
_COPY_IN = "write the data set itself into this file"
_SIMILARITIES = {
    **dict.fromkeys(("angular", "cosine"), "cosine"),
    **dict.fromkeys(("euclidean", "l2"), "gaussian"),
    **dict.fromkeys(("dot", "ip", "inner_product", "innerproduct"), "dot"),
}
_OF_QUESTIONS = {"test", "neighbors", "distances"}  # of ann-benchmarks, which may be as long as the vectors
_PACKED = ("scale_factor", "add_offset")  # as netCDF packs numbers
_EMPTY = ("_FillValue", "missing_value")
_NUMBERS_OF_MATLAB = {"double", "single", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))}


def read_arrays(file: File) -> Content:
    """Return vectors as a table of the column `key_vector`; a .npz file has a column for each of its arrays.

    Raises:
        Invalid: the file is damaged, or its arrays differ in length.
    """
    path, ending = file.path, file.ending
    try:
        if ending == ".npz":
            with np.load(path, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
            if strangers := [name for name, array in arrays.items() if not isinstance(array, np.ndarray)]:
                raise ValueError(f"{strangers[0]!r} in it is not an array")
            single = [name for name, array in arrays.items() if not array.shape]
            rows = {name: array for name, array in arrays.items() if array.shape}
            return replace(table_of_arrays(rows, path), notices=_say_left_out(single, "are single values"))
        if ending == ".npy":
            vectors = np.load(path, mmap_mode="r", allow_pickle=False)
        else:
            vectors = (_vecs if ending.endswith("vecs") else _bin)(path, np.dtype(_COMPONENTS[ending]))
    except (ValueError, OSError, EOFError) as error:
        if any(words in str(error) for words in _OBJECTS):
            advice = "save texts as np.array(texts, dtype=str)"
            raise unreadable(path, f"holds an array of Python's objects, which need pickle: {advice}") from None
        raise unreadable(path, f"is not a file in {ending} format that can be read: {error}") from None
    if vectors.ndim != 2 or vectors.dtype.kind not in _NUMERIC:
        raise unreadable(
            path, f"holds {vectors.dtype} of shape {vectors.shape}: expected one row of numbers per document"
        )
    return table_of_arrays({"key_vector": vectors}, path)


def table_of_arrays(arrays: Mapping[str, Any], path: Path) -> Content:
    """Return arrays of one length as the columns of a table, whose ids may be the rows' numbers.

    Raises:
        Invalid: the arrays differ in length, or the rows of one have no bytes.
    """
    lengths = {name: array.shape[0] if array.shape else 1 for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{name} {length:,}" for name, length in lengths.items())
        raise unreadable(path, f"holds arrays of different lengths, so they cannot be a table: {counts}")
    total = next(iter(lengths.values()), 0)
    for name, array in arrays.items():
        if total and not array.nbytes:
            raise unreadable(path, f"holds {total:,} rows of {name!r}, and no bytes of them: expected a width above 0")

    def rows() -> Iterator[NumberedRow]:
        for start in range(0, total, 1000):
            chunk = {name: _cells(np.asarray(array[start : start + 1000])) for name, array in arrays.items()}
            for number, cells in enumerate(zip(*chunk.values(), strict=True), start=start + 1):
                yield number, dict(zip(chunk, cells, strict=True))

    matrices = [(name, array) for name, array in arrays.items() if array.ndim == 2 and array.dtype.kind in _NUMERIC]
    matrix = matrices[0] if matrices and len(arrays) == 1 else None
    return Content(list(arrays), rows, total, numbered=True, matrix=matrix)


def _cells(array: Array) -> Any:
    """Return the cells of a column: vectors of numbers stay arrays, neighbours become Python's values."""
    match array.dtype.kind:
        case "S" | "O" if array.ndim == 1:  # texts of HDF5, or vectors of several lengths
            return [_decode(cell) for cell in array.tolist()]
        case "V" if array.dtype.names:
            parts = {name: _cells(array[name]) for name in array.dtype.names}
            return [dict(zip(parts, cells, strict=True)) for cells in zip(*parts.values(), strict=True)]
        case "M":  # Python's datetime holds microseconds
            return array.astype("datetime64[us]").tolist()
        case "m":
            return array.astype("timedelta64[us]").tolist()
        case "f" if array.ndim == 1 and array.itemsize < 8:  # NumPy's numbers know how many digits they have
            return list(array)
    metadata: Mapping[str, Any] = array.dtype.metadata or {}
    names = {number: name for name, number in metadata.get("enum", {}).items()}
    if names and array.ndim == 1:
        return [names.get(cell, cell) for cell in array.tolist()]
    return array if array.ndim > 1 else array.tolist()


def _decode(cell: Any) -> Any:
    """Return the text of a cell of bytes, or why it has none."""
    try:
        return cell.decode() if isinstance(cell, bytes) else cell
    except UnicodeDecodeError as error:
        return BadCell(f"it is not UTF-8 ({error}): write the data set as UTF-8")


def _say_left_out(names: Collection[str], reason: str) -> list[str]:
    """Return the notice about arrays that are not columns; none if all are."""
    return [f"left out, since they {reason}: {', '.join(names)}"] if names else []


def _vecs(path: Path, component: np.dtype[Any]) -> Array:
    """Return the vectors of a file in which each follows its width, an int32."""
    width = int(np.fromfile(path, "<i4", 1)[0]) if path.stat().st_size >= 4 else 0
    if width <= 0:
        raise ValueError(f"its first vector has width {width}")
    rows = np.memmap(path, np.dtype([("width", "<i4"), ("vector", component, (width,))]), mode="r")
    if (rows["width"] != width).any():
        raise ValueError("its vectors differ in width")
    return np.asarray(rows["vector"])


def _bin(path: Path, component: np.dtype[Any]) -> Array:
    """Return the vectors of a file that begins with their number and width, both uint32."""
    if path.stat().st_size < 8:
        raise ValueError(f"it has {path.stat().st_size} bytes, and the number and the width of its vectors take 8")
    total, width = (int(number) for number in np.fromfile(path, "<u4", 2))
    expected = 8 + total * width * component.itemsize
    if path.stat().st_size != expected:
        raise ValueError(
            f"{total:,} vectors of width {width} make {expected:,} bytes, and it has {path.stat().st_size:,}"
        )
    return np.memmap(path, component, mode="r", offset=8, shape=(total, width))


def read_hdf5(source: File) -> Content:
    """Return the vectors of the data set `train`, or of the one that is named, and all data sets of the same length.

    The attribute `distance` selects the similarity of a new collection.

    Raises:
        Invalid: it is another file, h5py is not installed, there is no such data set, or one is not in the file.
    """
    path, columns = source.path, source.columns
    h5py = require_reader("h5py", "h5py", path)
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise unreadable(path, f"is not an HDF5 file: {error}") from None
    chosen = columns.vector or _TRAIN
    *folders, last = chosen.split("/")
    group = file
    for name in folders:
        group = _take_item(group, name, path) if isinstance(group, h5py.Group) and name in group else {}
    items = {name: _take_item(group, name, path) for name in group}
    arrays = {name: array for name, array in items.items() if isinstance(array, h5py.Dataset) and array.shape}
    for name, array in arrays.items():
        _require_held(array, name, path)
    if last not in arrays:
        names = list[str]()
        file.visititems(lambda name, item: names.append(name) if getattr(item, "shape", None) else None)
        raise invalid_value(
            "",
            f"{path} has no data set {chosen!r}, its data sets are {', '.join(names) or 'none'}: "
            f"name the one with the vectors with {columns.say('vector')}",
        )
    vectors = _put_in_order(arrays.pop(last))
    if vectors is None or (vectors.ndim < 2 and vectors.dtype.kind != "O"):
        raise unreadable(path, f"holds no rows of numbers in {chosen!r}, but as sparse vectors do: write all numbers")
    neighbours = {name: _put_in_order(array) for name, array in arrays.items()}
    of_questions = {name for name in neighbours if chosen == _TRAIN and name in _OF_QUESTIONS}
    strangers = {name for name, array in neighbours.items() if array is None or array.shape[0] != vectors.shape[0]}
    companions = {name: array for name, array in neighbours.items() if name not in strangers | of_questions}
    for name, array in companions.items():
        is_packed = any(attribute in getattr(array, "attrs", ()) for attribute in _PACKED)
        if is_packed and name not in columns.skip:
            skip = columns.say("skip", name)
            raise unreadable(path, f"holds packed numbers in {name!r}: write their values, or leave it out with {skip}")
    columns_of_file = {columns.vector or "key_vector": vectors, **{n: _clear_empty(a) for n, a in companions.items()}}
    notices = _say_left_out(sorted(of_questions), "are of questions")
    notices += _say_left_out(sorted(strangers - of_questions), "have other lengths or types than the vectors")
    return replace(table_of_arrays(columns_of_file, path), settings=_settings(file, path), notices=notices)


def _take_item(group: Any, name: str, path: Path) -> Any:
    """Return what a group of HDF5 has under a name.

    Raises:
        Invalid: it is a link.
    """
    h5py = require_reader("h5py", "h5py", path)
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise unreadable(path, f"has a link in place of {name!r}, which is not followed: {_COPY_IN}")
    return group[name]


def _put_in_order(array: Any) -> Any:
    """Return a data set; one that MATLAB has written by columns in its order by rows, and None if it has no numbers."""
    if "MATLAB_class" not in array.attrs:
        return array
    values = array[()].T if _text(array.attrs["MATLAB_class"]) in _NUMBERS_OF_MATLAB else None
    return values.ravel() if values is not None and values.shape[1:] == (1,) else values


def _clear_empty(array: Any) -> Any:
    """Return a data set of one dimension with None for the cells that its attributes mark as empty."""
    marks = [array.attrs[name] for name in _EMPTY if name in getattr(array, "attrs", ())]
    if not marks or array.ndim > 1:
        return array
    cells = array[()].astype(object)
    cells[np.isin(array[()], np.concatenate([np.ravel(mark) for mark in marks]))] = None
    return cells


def _text(attribute: Any) -> str:
    """Return an attribute as a text, which may be bytes, or a list of one."""
    return next((part.decode("latin-1") if isinstance(part, bytes) else str(part) for part in np.ravel(attribute)), "")


def _settings(file: Any, path: Path) -> dict[str, Any]:
    """Return the settings of a collection by the attribute `distance` of a file.

    Raises:
        Invalid: no similarity orders documents as this distance does.
    """
    distance = _text(file.attrs.get("distance", "")).strip().lower()
    if distance and distance not in _SIMILARITIES:
        raise unreadable(
            path, f"has the distance {distance!r}, and no similarity orders alike: expected angular, euclidean or dot"
        )
    return {"encoder": None, "similarity": _SIMILARITIES[distance]} if distance else {}


def _require_held(array: Any, name: str, path: Path) -> None:
    """Raise Invalid unless a file holds all bytes of a data set, which may lie in other files, or nowhere."""
    if array.external or array.is_virtual:
        raise unreadable(path, f"names other files for the rows of {name!r}, and these are not read: {_COPY_IN}")
    if array.chunks:
        expected = math.prod(-(-length // step) for length, step in zip(array.shape, array.chunks, strict=True))
        stored, unit = array.id.get_num_chunks(), "chunks"
    else:
        expected, unit = array.size * array.id.get_type().get_size(), "bytes"
        stored = array.id.get_storage_size()
    if stored < expected:
        raise unreadable(path, f"holds {stored:,} of the {expected:,} {unit} of {name!r}: write all of its rows")
