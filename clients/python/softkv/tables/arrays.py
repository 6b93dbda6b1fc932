"""Vectors in files of NumPy and safetensors, and of the benchmarks of nearest neighbours: .fvecs, .fbin, .u8bin, …"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from softkv.tables.cells import BadCell
from softkv.tables.columns import Reading
from softkv.tables.content import Content, NumberedRow, unreadable
from softkv.tables.packing import File

Array: TypeAlias = NDArray[Any]
_COMPONENTS = {".fvecs": "<f4", ".bvecs": "u1", ".fbin": "<f4", ".u8bin": "u1", ".i8bin": "i1"}
_TENSORS = {f"{sign}{bits}": f"<{sign.lower()}{bits // 8}" for sign in "IU" for bits in (8, 16, 32, 64)}
_TENSORS |= {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "BOOL": "?"}
_NUMERIC = "fiu"
_SHOWN = 10
_OBJECTS = ("Object arrays", "Python objects")  # as NumPy refuses them in .npz and in .npy


_FOREIGN = "a type that NumPy does not have, such as bfloat16: save it as float32"


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
            return replace(table_of_arrays(rows, path), notices=say_left_out(single, "are single values"))
        if ending == ".safetensors":
            return table_of_arrays(_name_vectors(_read_safetensors(path), file.reading), path)
        if ending == ".npy":
            vectors = np.load(path, mmap_mode="r", allow_pickle=False)
        else:
            vectors = (_vecs if ending.endswith("vecs") else _bin)(path, np.dtype(_COMPONENTS[ending]))
    except (ValueError, OSError, EOFError, KeyError, TypeError, AttributeError) as error:
        if any(words in str(error) for words in _OBJECTS):
            advice = "save texts as np.array(texts, dtype=str)"
            raise unreadable(path, f"holds an array of Python's objects, which need pickle: {advice}") from None
        raise unreadable(path, f"is not a file in {ending} format that can be read: {error}") from None
    if vectors.dtype.kind == "V":
        raise unreadable(path, f"holds {_FOREIGN}")
    if vectors.ndim != 2 or vectors.dtype.kind not in _NUMERIC:
        raise unreadable(
            path, f"holds {vectors.dtype} of shape {vectors.shape}: expected one row of numbers per document"
        )
    return table_of_arrays({"key_vector": vectors}, path)


def _name_vectors(arrays: dict[str, Any], reading: Reading) -> dict[str, Any]:
    """Return arrays under the names of columns: a single matrix is that of the keys, unless a caller names another."""
    matrices = [name for name, array in arrays.items() if array.ndim == 2]
    if reading.options.vector or "key_vector" in arrays or len(matrices) != 1:
        return arrays
    return {"key_vector" if name in matrices else name: array for name, array in arrays.items()}


def _read_safetensors(path: Path) -> dict[str, Any]:
    """Return the tensors of a file of safetensors, which stay in it; bfloat16 becomes float32 as it is read."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > size - 8:
            raise ValueError("its head is cut")
        head = json.loads(file.read(length))
    tensors = dict[str, Any]()
    for name, facts in head.items():
        if name == "__metadata__":
            continue
        kind, shape, (begin, end) = _TENSORS.get(facts["dtype"]), tuple(facts["shape"]), facts["data_offsets"]
        if kind is None:
            raise ValueError(f"{name!r} is {facts['dtype']}")
        if not 0 <= begin <= end <= size - 8 - length or end - begin != math.prod(shape) * np.dtype(kind).itemsize:
            raise ValueError(f"{name!r} is cut")
        tensor: Any = np.ndarray(shape, kind) if begin == end else np.memmap(path, kind, "r", 8 + length + begin, shape)
        if facts["dtype"] == "BF16" and len(shape) == 2:
            tensor = _widen(tensor)
        tensors[name] = tensor
    return tensors


def _widen(halves: Array) -> LazyMatrix:
    """Return a matrix of bfloat16, whose bits are those of uint16, as one of float32."""
    return LazyMatrix(
        halves.shape, np.dtype("f4"), lambda start, stop: (halves[start:stop].astype("<u4") << 16).view("<f4")
    )


class LazyMatrix:
    """A matrix [n, d] whose rows are computed as they are read.

    Args:
        shape: n and d.
        dtype: of its numbers.
        read: returns the rows from one number to another.
    """

    ndim = 2

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any], read: Callable[[int, int], Array]) -> None:
        self.shape, self.dtype, self._read = shape, dtype, read
        self.nbytes = math.prod(shape) * dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> Array:
        start, stop, _ = rows.indices(len(self))
        return self._read(start, stop)


def table_of_arrays(arrays: Mapping[str, Any], path: Path) -> Content:
    """Return arrays of one length as the columns of a table, whose ids may be the rows' numbers.

    Raises:
        Invalid: the arrays differ in length, or the rows of one have no bytes.
    """
    lengths = {name: array.shape[0] if array.shape else 1 for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{name} {length:,}" for name, length in [*lengths.items()][:_SHOWN])
        raise unreadable(path, f"holds arrays of different lengths, so they cannot be a table: {counts}")
    total = next(iter(lengths.values()), 0)
    if unknown := [name for name, array in arrays.items() if array.dtype.kind == "V" and not array.dtype.names]:
        raise unreadable(path, f"holds {unknown[0]!r} in {_FOREIGN}")
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


def text_of(attribute: Any) -> str:
    """Return an attribute of HDF5 as a text, which other writers keep as bytes, or as a list of one."""
    return next((part.decode("latin-1") if isinstance(part, bytes) else str(part) for part in np.ravel(attribute)), "")


def say_left_out(names: Collection[str], reason: str) -> list[str]:
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
