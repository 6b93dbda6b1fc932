"""Functions that write files of documents and of vectors."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import orjson
from numpy.typing import NDArray

from softkv.tables import EXPORT_MARK, EXPORT_SETTINGS, EXPORT_VERSION


def write_document(document: dict[str, Any]) -> bytes:
    """Return a document as a line of NDJSON."""
    return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)


@dataclass(frozen=True)
class ExportHead:
    """The first line of an exported collection: the collection's name, and its settings as the client's `create` takes
    them.
    """

    name: str
    settings: Mapping[str, Any]

    @classmethod
    def of(cls, info: Any) -> ExportHead:
        """Return the head for a collection, from the client's description of it."""
        settings: dict[str, Any] = {name: getattr(info, name) for name in EXPORT_SETTINGS}
        if settings["null"] == "calibrated":  # a new collection cannot be calibrated: it gets the defaults
            settings |= {"null": None, "temperature": None}
        # Unknown settings are left out, except the encoder: None means that the collection has no encoder.
        return cls(info.name, {name: v for name, v in settings.items() if v is not None or name == "encoder"})

    def line(self) -> bytes:
        """Return the head as a line of NDJSON."""
        return write_document({EXPORT_MARK: EXPORT_VERSION, "collection": self.name, "settings": dict(self.settings)})


def write_vector(vector: NDArray[Any]) -> dict[str, str]:
    """Return a vector [d] in its base64 form of the HTTP API, five times shorter than its numbers."""
    return {"base64": base64.b64encode(np.ascontiguousarray(vector, dtype="<f4").tobytes()).decode("ascii")}


class ArrayFile:
    """A .npy file of float32 [n, d], written batch by batch; n and d are known at the end."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._shape = (0, 0)
        self._write_header()

    def append(self, documents: Sequence[dict[str, Any]], vectors: NDArray[np.float32]) -> None:
        """Append the vector of each document as a row."""
        self._file.write(np.ascontiguousarray(vectors, dtype="<f4").tobytes())
        self._shape = (self._shape[0] + len(documents), vectors.shape[1])

    def finish(self) -> None:
        """Write the shape into the space that the header reserved for it."""
        self._file.seek(0)
        self._write_header()

    def _write_header(self) -> None:
        header = {"descr": "<f4", "fortran_order": False, "shape": self._shape}
        np.lib.format.write_array_header_1_0(self._file, header)


class LineFile:
    """An NDJSON file of documents, each with its vector as `key_vector`."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def append(self, documents: Sequence[dict[str, Any]], vectors: NDArray[np.float32]) -> None:
        """Append a line for each document."""
        for document, vector in zip(documents, vectors, strict=True):
            self._file.write(write_document(document | {"key_vector": vector}) + b"\n")

    def finish(self) -> None:
        """Write buffered lines to the file, which is then complete."""
        self._file.flush()
