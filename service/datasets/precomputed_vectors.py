"""Vectors of the demo collections' texts, encoded beforehand, so that a start need not: `vectors/{name}.npz`.

A file has the digests of texts, uint64 [n], their vectors [n, d], and the checksum of the model that made them. Those
of a small collection are float32, as they would be stored; of thousands of texts float16, half as large. With other
models, and where a text is not there, as another Python's docstring, it is encoded as any document's.
`make vectors` makes the files anew.
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
    """The vectors of texts.

    Args:
        digests: uint64 [n], of the texts.
        vectors: float32 or float16 [n, d], of length one, or nearly.
    """

    def __init__(self, digests: NDArray[np.uint64], vectors: NDArray[np.floating[Any]]) -> None:
        self._rows = {int(digest): row for row, digest in enumerate(digests)}
        self._vectors = vectors

    def of(self, text: str) -> NDArray[np.float32] | None:
        """The vector of a text, float32 [d] of length one; None where it is not known."""
        row = self._rows.get(text_digest(text))
        if row is None:
            return None
        vector: NDArray[np.float32] = self._vectors[row].astype(np.float32)
        return vector / np.linalg.norm(vector)


NO_VECTORS = PrecomputedVectors(np.empty(0, np.uint64), np.empty((0, 0), np.float16))


MANY = 1000
"""Texts from which on vectors are written as float16, which moves a weight by a ten-thousandth."""


def load_vectors(name: str, checksum: str | None) -> PrecomputedVectors:
    """Those of a demo collection, as far as they are of the model with that checksum."""
    file = resources.files("service.datasets").joinpath("vectors", f"{name}.npz")
    if checksum is None or not file.is_file():
        return NO_VECTORS
    with file.open("rb") as opened, np.load(opened, allow_pickle=False) as arrays:
        if str(arrays["model"]) != checksum:
            return NO_VECTORS
        return PrecomputedVectors(arrays["digests"], arrays["vectors"])


def write_vectors(directory: Path, name: str, checksum: str, vectors: Mapping[str, NDArray[np.float32]]) -> None:
    """Write what `load_vectors` reads, the same bytes for the same vectors."""
    digests = np.array([text_digest(text) for text in vectors], np.uint64)
    np.savez(
        directory / f"{name}.npz",
        model=np.array(checksum),
        digests=digests,
        vectors=np.array(list(vectors.values()), np.float16 if len(vectors) > MANY else np.float32),
    )


def text_digest(text: str) -> int:
    """64 bits that tell the text from every other one."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
