"""One secret rotation, at random among all that there are, and keys for whatever else is drawn at random."""

from __future__ import annotations

from hashlib import blake2b, shake_256

import numpy as np

from attention.dtypes import F64
from attention.errors import ParameterError

SEED_BYTES = 32


class Rotation:
    """A rotation of every width, made of a secret seed: the same wherever the seed is.

    It is uniform over the orthogonal group, by Haar's measure: Q of the QR decomposition of a Gaussian matrix, each
    column with the sign that makes R's diagonal positive (Mezzadri 2007). What SHAKE-256 makes of a secret seed is
    taken for independent bits.

    Args:
        seed: 32 bytes that nobody who asks knows.

    Raises:
        ParameterError: not so many bytes.
    """

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_BYTES:
            raise ParameterError(f"thin_seed must be {SEED_BYTES} bytes, got {len(seed)}: secrets.token_bytes(32) are")
        self._seed = seed
        self._matrices: dict[int, F64] = {}

    def matrix(self, width: int) -> F64:
        """float64[width, width], orthogonal to the last digits."""
        found = self._matrices.get(width)
        if found is None:
            made, signs = np.linalg.qr(self._normal(width))
            found = self._matrices[width] = np.ascontiguousarray(made * np.sign(np.diagonal(signs)))
        return found

    def turned(self, vectors: F64) -> F64:
        """float64[n, d], the rotation of each of vectors float64[n, d]."""
        matrix = self.matrix(vectors.shape[1])
        # Few vectors not through a BLAS, whose threads would wait for a busy core.
        if len(vectors) <= 4:
            return np.asarray(np.einsum("ij,nj->ni", matrix, vectors))
        return np.asarray(vectors @ matrix.T)

    def key(self, *parts: bytes) -> int:
        """A number below 2⁶⁴ that nobody without the seed foresees, of some bytes."""
        digest = blake2b(key=self._seed, digest_size=8, person=b"softkv draws")
        for part in parts:
            digest.update(len(part).to_bytes(8, "little") + part)
        return int.from_bytes(digest.digest(), "little")

    def _normal(self, width: int) -> F64:
        """float64[width, width], independent standard normal numbers, by Box and Muller."""
        pairs = -(-width * width // 2)
        stream = shake_256(b"softkv rotation" + width.to_bytes(8, "little") + self._seed).digest(16 * pairs)
        uniform = ((np.frombuffer(stream, dtype="<u8") >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
        lengths, turns = np.sqrt(-2 * np.log(uniform[:pairs])), 2 * np.pi * uniform[pairs:]
        both = np.concatenate([lengths * np.cos(turns), lengths * np.sin(turns)])
        return both[: width * width].reshape(width, width)
