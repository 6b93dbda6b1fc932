"""Vectors in files: base64 of float32, .npy, NDJSON."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from service.commands.files.source import write_document


def write_vector(vector: NDArray[Any]) -> dict[str, str]:
    """A vector [d] → its base64 form, as the wire has it, five times shorter than its numbers."""
    return {"base64": base64.b64encode(np.ascontiguousarray(vector, dtype="<f4").tobytes()).decode("ascii")}


class ArrayFile:
    """A .npy file of float32 [n, d], written batch by batch; n and d are known at the end."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._shape = (0, 0)
        self._write_header()

    def append(self, documents: Sequence[dict[str, Any]], vectors: NDArray[np.float32]) -> None:
        """Add a row for each document: its vector."""
        self._file.write(np.ascontiguousarray(vectors, dtype="<f4").tobytes())
        self._shape = (self._shape[0] + len(documents), vectors.shape[1])

    def finish(self) -> None:
        """Write the shape where the header left room for it."""
        self._file.seek(0)
        self._write_header()

    def _write_header(self) -> None:
        described = {"descr": "<f4", "fortran_order": False, "shape": self._shape}
        np.lib.format.write_array_header_1_0(self._file, described)


class LineFile:
    """An NDJSON file of documents, each with its vector as `key_vector`."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def append(self, documents: Sequence[dict[str, Any]], vectors: NDArray[np.float32]) -> None:
        """Add a line for each document."""
        for document, vector in zip(documents, vectors, strict=True):
            self._file.write(write_document(document | {"key_vector": vector}) + b"\n")

    def finish(self) -> None:
        """Nothing is left to write."""
        self._file.flush()
