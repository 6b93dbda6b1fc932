"""Precomputed vectors of the texts in demo collections, so that a start need not encode them: `vectors/{name}.npz`.

A file has the digests of texts, uint64 [n], their vectors [n, d], and the checksum of the model that made them.
Vectors of a small collection are float32, as they are stored; those of thousands of texts are float16, half as large.
With another model, or if a text is missing (a docstring of another Python), the text is encoded like any other.
`make vectors` writes the files again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


class PrecomputedVectors:
    """The precomputed vectors of texts.

    Args:
        digests: uint64 [n], of the texts.
        vectors: float32 or float16 [n, d], of length one, or nearly.
    """

    def __init__(self, digests: NDArray[np.uint64], vectors: NDArray[np.floating[Any]]) -> None:
        self._rows = {int(digest): row for row, digest in enumerate(digests)}
        self._vectors = vectors

    def of(self, text: str) -> NDArray[np.float32] | None:
        """Return the vector of a text, float32 [d] of length one, or None if it is unknown."""
        row = self._rows.get(text_digest(text))
        if row is None:
            return None
        vector: NDArray[np.float32] = self._vectors[row].astype(np.float32)
        return vector / np.linalg.norm(vector)


NO_VECTORS = PrecomputedVectors(np.empty(0, np.uint64), np.empty((0, 0), np.float16))


MANY = 1000
"""The number of texts from which vectors are written as float16, which changes a weight by a ten-thousandth."""


def load_vectors(name: str, checksum: str | None) -> PrecomputedVectors:
    """Return the precomputed vectors of a demo collection.

    The result is empty if another model than that with this checksum made them.
    """
    file = resources.files("softkv_service.datasets").joinpath("vectors", f"{name}.npz")
    if checksum is None or not file.is_file():
        return NO_VECTORS
    with file.open("rb") as opened, np.load(opened, allow_pickle=False) as arrays:
        if str(arrays["model"]) != checksum:
            return NO_VECTORS
        return PrecomputedVectors(arrays["digests"], arrays["vectors"])


def write_vectors(directory: Path, name: str, checksum: str, vectors: Mapping[str, NDArray[np.float32]]) -> None:
    """Write a file for `load_vectors`; the same vectors give the same bytes."""
    digests = np.array([text_digest(text) for text in vectors], np.uint64)
    np.savez(
        directory / f"{name}.npz",
        model=np.array(checksum),
        digests=digests,
        vectors=np.array(list(vectors.values()), np.float16 if len(vectors) > MANY else np.float32),
    )


def text_digest(text: str) -> int:
    """Return a digest of 64 bits that distinguishes a text from all others."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
