"""The projection of a collection: a map of its queries that was trained on labelled pairs."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from softkv_attention.arrays import F32
from softkv_attention.lookup import Background
from softkv_service.encoding import Backgrounds
from softkv_service.storage.records import CollectionSettings, JSONText

Array = np.ndarray[Any, Any]

MAX_READ = 64
"""The number of projections that are kept in memory after they were read, of 1.2 MB each at width 384 and full rank."""


@dataclass(frozen=True)
class TrainingReport:
    """The quality of a projection on labelled pairs, as its trainer measured it.

    Attributes:
        pairs: the number of pairs that it was trained on.
        held_out: the number of other pairs, on which its quality was measured.
        mrr_before, mrr_after: the mean reciprocal rank of the right documents, as served before and with it.
        error: the standard error of their difference, which is paired.
    """

    pairs: int
    held_out: int
    mrr_before: float
    mrr_after: float
    error: float


@dataclass(frozen=True, eq=False)
class Projection:
    """The map q → q + (q·downᵀ)·up of a query: the identity plus a matrix of rank r.

    Its form is that of Hu et al. 2021 (arXiv 2106.09685). Keys stay as they are. For dot products every pair of
    projections W_Q and W_K is such a map, since W_Q q · W_K k is W_Kᵀ W_Q q · k. For cosine the norms of mapped keys
    would be missing, so the query alone is mapped.

    Attributes:
        down, up: float32[r, d], the directions that are read from a query, and those that are added to it.
        at: when it was stored, in seconds of Unix time; 0 if it is not stored.
        backgrounds: how similar mapped questions and unrelated texts are, by the similarity of the collection; None
            without an encoder.
        trained: its quality; None if it was not sent.
    """

    down: F32
    up: F32
    at: float = 0.0
    backgrounds: Backgrounds | None = None
    trained: TrainingReport | None = None

    @property
    def rank(self) -> int:
        """Return r, the number of directions."""
        return len(self.down)

    @property
    def dimension(self) -> int:
        """Return d, the width of queries and keys."""
        return int(self.down.shape[1])

    @cached_property
    def _factors(self) -> tuple[Array, Array]:
        return self.down.astype(np.float64), self.up.astype(np.float64)

    def map_queries(self, queries: Array) -> F32:
        """Return float32[..., d], the mapped queries [..., d]; computed in float64. It may not be finite."""
        down, up = self._factors
        exact = queries.astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            mapped: F32 = (exact + (exact @ down.T) @ up).astype(np.float32)
        return mapped

    def text(self) -> JSONText:
        """Return the projection as JSON text, in the form in which it is stored."""
        fields = {
            "rank": self.rank,
            "down": _encode(self.down),
            "up": _encode(self.up),
            "at": self.at,
            "backgrounds": self.backgrounds and [asdict(background) for background in self.backgrounds],
            "trained": self.trained and asdict(self.trained),
        }
        return JSONText(json.dumps(fields, separators=(",", ":")))


@lru_cache(MAX_READ)
def _parse(text: str) -> Projection:
    fields: Mapping[str, Any] = json.loads(text)
    backgrounds, trained = fields["backgrounds"], fields["trained"]
    return Projection(
        _decode(fields["down"], fields["rank"]),
        _decode(fields["up"], fields["rank"]),
        fields["at"],
        backgrounds and Backgrounds(*(Background(**background) for background in backgrounds)),
        trained and TrainingReport(**trained),
    )


def read_projection(settings: CollectionSettings) -> Projection | None:
    """Return the projection of a collection with these settings; None without one."""
    return None if settings.projection is None else _parse(settings.projection)


def _encode(vectors: F32) -> str:
    return base64.b64encode(np.ascontiguousarray(vectors, dtype="<f4").tobytes()).decode("ascii")


def _decode(text: str, rank: int) -> F32:
    vectors: F32 = np.frombuffer(base64.b64decode(text), dtype="<f4").reshape(rank, -1)
    return vectors
