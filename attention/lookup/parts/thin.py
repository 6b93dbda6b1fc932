"""A view that is scanned in thin codes: what lies above the threshold is known in float64, and so is what is drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attention.dtypes import F32, F64, I64, U64
from attention.lookup.codes.queries import QueryCodes, in_codes
from attention.lookup.memory.thin import ThinFacts
from attention.lookup.memory.view import Mask, View
from attention.lookup.parts.whole import Whole
from attention.lookup.scan.thin import ThinScan, thin_scan


@dataclass(frozen=True, eq=False)
class Drawn:
    """Rows of the rest, drawn with chances proportional to the terms they were summed by.

    Attributes:
        scanned, similarities: float64[m], as scanned and as they are.
    """

    scanned: F64
    similarities: F64


class ThinWhole(Whole):
    """The rows of a view that a mask lets through, in thin codes.

    Attributes:
        thin: what is known of the codes.
    """

    def __init__(self, view: View, mask: Mask | None, thin: ThinFacts) -> None:
        super().__init__(view, mask)
        self.thin = thin

    def queries(self, vectors: F64) -> QueryCodes:
        """Queries float64[q, d] as a scan multiplies them: rotated, in 16 bits, so that products are similarities."""
        if self.facts.similarity == "cosine":
            vectors = vectors / np.sqrt((vectors * vectors).sum(axis=1))[:, None]
        elif self.facts.similarity == "scaled_dot":
            vectors = vectors / np.sqrt(vectors.shape[1])
        return in_codes(self.thin.rotation.turned(vectors), fine=True)

    def scanned(
        self, queries: QueryCodes, units: F32, bits: int, listed: int, temperatures: F64, wanted: F64, keys: U64
    ) -> list[ThinScan | None]:
        """What a scan brings home for each query, see `thin_scan`."""
        return thin_scan(self._view, self.thin, self._mask, queries, units, bits, listed, temperatures, wanted, keys)

    def looked_up(self, vector: F64, places: I64) -> F64:
        """float64[r], the similarities of a query float64[d] with the rows at `places`."""
        return self.similarities_at(vector[None], places, np.zeros(len(places), dtype=np.int64))

    def drawn(self, vector: F64, found: ThinScan, wanted: float) -> Drawn:
        """About so many of the rows that a scan drew, looked up: those whose marks are low enough.

        Which rows these are depends on their marks alone, so they are draws of the same law.
        """
        chosen = np.arange(len(found.marks))
        if wanted < len(chosen):
            chosen = np.flatnonzero(found.marks <= wanted / len(found.marks))
        # By their places, so that threads which scanned them in another order give the same answer.
        chosen = chosen[np.argsort(found.drawn_places[chosen], kind="stable")]
        similarities = self.looked_up(vector, found.drawn_places[chosen])
        return Drawn(found.drawn[chosen].astype(np.float64), similarities)
