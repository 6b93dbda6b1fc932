"""HDF5, as ann-benchmarks publishes its data sets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from softkv.problems import invalid_value
from softkv.tables.arrays import table_of_arrays
from softkv.tables.columns import Columns
from softkv.tables.content import Content, require_reader, unreadable

ENDINGS = (".hdf5", ".h5")
_TRAIN = "train"
_SIMILARITIES = {"angular": "cosine", "euclidean": "gaussian", "dot": "dot", "ip": "dot"}


def read_hdf5(path: Path, columns: Columns) -> Content:
    """Return the vectors of the data set `train`, or of the one that is named, and all data sets of the same length.

    The attribute `distance` selects the similarity of a new collection.

    Raises:
        Invalid: it is another file, h5py is not installed, or there is no such data set.
    """
    h5py = require_reader("h5py", "h5py", path)
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise unreadable(path, f"is not an HDF5 file: {error}") from None
    arrays = {name: array for name, array in file.items() if isinstance(array, h5py.Dataset) and array.shape}
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
    similarity = _SIMILARITIES.get(file.attrs.get("distance", ""))
    return replace(content, settings={} if similarity is None else {"encoder": None, "similarity": similarity})
