"""Vectors in files of HDF5: of ann-benchmarks, of AnnData and of MATLAB."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from softkv.problems import invalid_value
from softkv.tables.anndata import read_anndata
from softkv.tables.arrays import LazyMatrix, say_left_out, table_of_arrays, text_of
from softkv.tables.content import Content, require_reader, unreadable
from softkv.tables.packing import File

ANNDATA, MATLAB = ".h5ad", ".mat"
_MATLAB = b"MATLAB 7.3"
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


def read_hdf5(source: File) -> Content:
    """Return the vectors of the data set `train`, or of the one that is named, and all data sets of the same length.

    The attribute `distance` selects the similarity of a new collection.

    Raises:
        Invalid: it is another file, h5py is not installed, there is no such data set, or one is not in the file.
    """
    path, reading = source.path, source.reading
    if source.ending == MATLAB and not path.open("rb").read(len(_MATLAB)) == _MATLAB:
        raise unreadable(path, "is of MATLAB before 7.3: save it with -v7.3, or as .npz with scipy.io.loadmat")
    h5py = require_reader("h5py", "h5py", path)
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise unreadable(path, f"is not an HDF5 file: {error}") from None
    is_anndata = source.ending == ANNDATA
    chosen = reading.options.vector or ("X" if is_anndata else _TRAIN)
    *folders, last = chosen.split("/")
    group = file
    for name in folders:
        group = _take_item(group, name, path) if isinstance(group, h5py.Group) and name in group else {}
    items = {name: _take_item(group, name, path) for name in group}
    arrays = {name: array for name, array in items.items() if isinstance(array, h5py.Dataset) and array.shape}
    for name, array in arrays.items():
        _require_held(array, name, path)
    if is_anndata and last in items:
        return read_anndata(file, items[last], partial(_take_held, path), path, reading)
    if last not in arrays:
        names, of_pandas = list[str](), list[str]()
        file.visititems(lambda name, item: names.append(name) if getattr(item, "shape", None) else None)
        file.visititems(lambda name, item: of_pandas.append(name) if "pandas_type" in item.attrs else None)
        if of_pandas:
            raise unreadable(path, f"holds tables of pandas, {of_pandas[0]}: save it with DataFrame.to_parquet")
        raise invalid_value(
            "",
            f"{path} has no data set {chosen!r}, its data sets are {', '.join(names) or 'none'}: "
            f"name the one with the vectors with {reading.say('vector')}",
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
        if is_packed and name not in reading.options.skip:
            skip = reading.say("skip", name)
            raise unreadable(path, f"holds packed numbers in {name!r}: write their values, or leave it out with {skip}")
    columns_of_file = {
        reading.options.vector or "key_vector": vectors,
        **{n: _clear_empty(a) for n, a in companions.items()},
    }
    notices = say_left_out(sorted(of_questions), "are of questions")
    notices += say_left_out(sorted(strangers - of_questions), "have other lengths or types than the vectors")
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


def _take_held(path: Path, group: Any, name: str) -> Any:
    """Return what a group has under a name.

    Raises:
        Invalid: it is a link or missing, or the file does not hold all of it.
    """
    item = _take_item(group, name, path) if name in group else None
    if item is None:
        raise unreadable(path, f"has no {name!r} in {group.name}, as AnnData writes it")
    if hasattr(item, "shape"):
        _require_held(item, name, path)
    return item


def _put_in_order(array: Any) -> Any:
    """Return a data set; one that MATLAB has written by columns in its order by rows, and None if it has no numbers."""
    if "MATLAB_class" not in array.attrs:
        return array
    if text_of(array.attrs["MATLAB_class"]) not in _NUMBERS_OF_MATLAB:
        return None
    if array.ndim != 2 or 1 in array.shape:
        return array[()].T.ravel() if array.ndim == 2 and array.shape[0] == 1 else array[()].T
    return LazyMatrix(array.shape[::-1], array.dtype, lambda start, stop: array[:, start:stop].T)


def _clear_empty(array: Any) -> Any:
    """Return a data set of one dimension with None for the cells that its attributes mark as empty."""
    marks = [array.attrs[name] for name in _EMPTY if name in getattr(array, "attrs", ())]
    if not marks or array.ndim > 1:
        return array
    cells = array[()].astype(object)
    cells[np.isin(array[()], np.concatenate([np.ravel(mark) for mark in marks]))] = None
    return cells


def _settings(file: Any, path: Path) -> dict[str, Any]:
    """Return the settings of a collection by the attribute `distance` of a file.

    Raises:
        Invalid: no similarity orders documents as this distance does.
    """
    distance = text_of(file.attrs.get("distance", "")).strip().lower()
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
