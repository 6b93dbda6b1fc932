"""Vectors in files of NumPy and HDF5, and of the benchmarks of nearest neighbours: .fvecs, .bvecs, .fbin, .u8bin, …"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from softkv.problems import invalid_value
from softkv.tables.columns import Columns
from softkv.tables.content import Content, NumberedRow, require_reader, unreadable

ENDINGS = (".npy", ".npz", ".fvecs", ".bvecs", ".fbin", ".u8bin", ".i8bin")

Array: TypeAlias = NDArray[Any]
_COMPONENTS = {".fvecs": "<f4", ".bvecs": "u1", ".fbin": "<f4", ".u8bin": "u1", ".i8bin": "i1"}
_NUMERIC = "fiu"

HDF5_ENDINGS = (".hdf5", ".h5")
_TRAIN = "train"  # as ann-benchmarks names the vectors
_COPY_IN = "write the data set itself into this file"
_SIMILARITIES = {"angular": "cosine", "euclidean": "gaussian", "dot": "dot", "ip": "dot"}


def read_arrays(path: Path) -> Content:
    """Return vectors as a table of the column `key_vector`; a .npz file has a column for each of its arrays.

    Raises:
        Invalid: the file is damaged, or its arrays differ in length.
    """
    ending = path.suffix.lower()
    try:
        if ending == ".npz":
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            if strangers := [name for name, array in arrays.items() if not isinstance(array, np.ndarray)]:
                raise ValueError(f"{strangers[0]!r} in it is not an array")
            return table_of_arrays(arrays, path)
        if ending == ".npy":
            vectors = np.load(path, mmap_mode="r", allow_pickle=False)
        else:
            vectors = (_vecs if ending.endswith("vecs") else _bin)(path, np.dtype(_COMPONENTS[ending]))
    except (ValueError, OSError, EOFError) as error:
        raise unreadable(path, f"is not a file in {ending} format: {error}") from None
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
    """Return the cells of a column: vectors of numbers stay arrays, others become Python's values."""
    match array.dtype.kind:
        case "S":  # bytes
            return np.char.decode(array, "utf-8").tolist()
        case "O":  # texts of variable length in HDF5
            return [cell.decode() if isinstance(cell, bytes) else cell for cell in array.tolist()]
        case "M":  # Python's datetime holds microseconds
            return array.astype("datetime64[us]").tolist()
        case "m":
            return array.astype("timedelta64[us]").tolist()
    return array if array.ndim > 1 else array.tolist()


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


def read_hdf5(path: Path, columns: Columns) -> Content:
    """Return the vectors of the data set `train`, or of the one that is named, and all data sets of the same length.

    The attribute `distance` selects the similarity of a new collection.

    Raises:
        Invalid: it is another file, h5py is not installed, there is no such data set, or one is not in the file.
    """
    h5py = require_reader("h5py", "h5py", path)
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise unreadable(path, f"is not an HDF5 file: {error}") from None
    arrays = {}
    for name in file:
        if not isinstance(file.get(name, getlink=True), h5py.HardLink):
            raise unreadable(path, f"has a link in place of {name!r}, which is not followed: {_COPY_IN}")
        array = file[name]
        if isinstance(array, h5py.Dataset) and array.shape:
            _require_held(array, name, path)
            arrays[name] = array
    chosen = columns.vector or _TRAIN
    if chosen not in arrays:
        raise invalid_value(
            "",
            f"{path} has no data set {chosen!r}, its data sets are {', '.join(arrays) or 'none'}: "
            f"name the one with the vectors with {columns.say('vector')}",
        )
    total = arrays[chosen].shape[0]
    companions = {name: array for name, array in arrays.items() if name != chosen and array.shape[0] == total}
    content = table_of_arrays({columns.vector or "key_vector": arrays[chosen], **companions}, path)
    similarity = _SIMILARITIES.get(str(file.attrs.get("distance")))
    return replace(content, settings={} if similarity is None else {"encoder": None, "similarity": similarity})


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
