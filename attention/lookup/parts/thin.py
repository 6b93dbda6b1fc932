"""A view that is scanned in thin codes: what lies above the threshold is known in float64, and so is what is drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from attention.dtypes import F32, F64, I64, U64
from attention.lookup.codes.queries import QueryCodes, in_codes
from attention.lookup.memory.thin import ThinFacts
from attention.lookup.memory.view import Mask, View
from attention.lookup.parts.whole import Whole
from attention.lookup.scan.thin import Foreseen, thin_scan
from attention.lookup.scan.thin_accumulator import MARKS, ThinScan

PARTS = 4
"""Sums that a blend of values is made of, so that several threads can add."""


@dataclass(frozen=True, eq=False)
class Drawn:
    """Rows of the rest, drawn with chances proportional to the terms they were summed by.

    Attributes:
        query: float64[d], that they were drawn for.
        places: int64[m].
        scanned, similarities: float64[m], as scanned and as they are.
        blend, shares: float64[d] and float64[m], Σ share·scale·code and the shares, see `ThinScan`; of no length where
            codes were not blended.
    """

    query: F64
    places: I64
    scanned: F64
    similarities: F64
    blend: F64
    shares: F64


class ThinWhole(Whole):
    """The rows of a view that a mask lets through, in thin codes.

    Attributes:
        thin: what is known of the codes.
    """

    def __init__(self, view: View, mask: Mask | None, thin: ThinFacts) -> None:
        super().__init__(view, mask)
        self.thin = thin
        self.blends = all(segment.block.values is None for segment in view.segments)
        """Whether values are the keys, whose codes can be blended."""

    def queries(self, vectors: F64) -> QueryCodes:
        """Queries float64[q, d] as a scan multiplies them: rotated, in 16 bits, so that products are similarities."""
        return in_codes(self.thin.rotation.turned(np.array([self.asked_for(vector) for vector in vectors])), fine=True)

    def asked_for(self, vector: F64) -> F64:
        """float64[d]: of which the product with a key, or its direction, is the similarity with a query float64[d]."""
        if self.facts.similarity == "cosine":
            return np.asarray(vector / np.sqrt((vector * vector).sum()))
        return vector / np.sqrt(len(vector)) if self.facts.similarity == "scaled_dot" else vector

    def scanned(
        self,
        queries: QueryCodes,
        units: F32,
        bits: int,
        listed: int,
        temperatures: F64,
        wanted: F64,
        keys: U64,
        enough: Callable[[int, Foreseen], float],
        *,
        blending: bool,
    ) -> list[ThinScan | None]:
        """What a scan brings home for each query, see `thin_scan`; `blending` where values are the keys."""
        view, mask, blending = self._view, self._mask, blending and self.blends
        rest = temperatures, wanted, keys, enough
        return thin_scan(view, self.thin, mask, queries, units, bits, listed, *rest, blending=blending)

    def looked_up(self, vector: F64, places: I64) -> F64:
        """float64[r], the similarities of a query float64[d] with the rows at `places`."""
        return self.similarities_at(vector[None], places, np.zeros(len(places), dtype=np.int64))

    def drawn(self, vector: F64, found: ThinScan, wanted: float) -> Drawn:
        """About so many of the rows that a scan drew, looked up: those whose marks are low enough.

        Which rows these are depends on their marks alone, so they are draws of the same law.
        """
        chosen, blend = np.arange(len(found.marks)), found.drawn_blend.sum(axis=0)
        if wanted < len(chosen):
            part = wanted / len(found.marks)
            if found.blend is not None:
                parts = int(np.ceil(part * MARKS))
                part, blend = parts / MARKS, found.drawn_blend[:parts].sum(axis=0)
            chosen = np.flatnonzero(found.marks <= part)
        # By their places, so that threads which scanned them in another order give the same answer.
        chosen = chosen[np.argsort(found.drawn_places[chosen], kind="stable")]
        places = found.drawn_places[chosen]
        similarities = self.looked_up(vector, places)
        shares = found.shares[chosen] if found.blend is not None else found.shares
        return Drawn(vector, places, found.drawn[chosen].astype(np.float64), similarities, blend, shares)

    def blended(self, places: I64, weights: F64) -> F64:
        """float64[d_v], the values at `places`, weighted."""
        sums = np.zeros((PARTS, self.facts.value_dimension or 0))
        self.add_values(places, np.arange(len(places)) * PARTS // max(len(places), 1), weights, sums)
        return np.asarray(sums.sum(axis=0))

    def turned_back(self, turned: F64) -> F64:
        """float64[d], a vector that was rotated as keys are."""
        return np.asarray(np.einsum("ij,i->j", self.thin.rotation.matrix(len(turned)), turned))

    def spreads_at(self, places: I64, bits: int) -> tuple[F64, F64, F64]:
        """‖v‖ of the rows at `places`, ‖v̂ − v‖ where values are the keys, and the spread of their similarities."""
        lengths, spreads = np.empty(len(places)), np.empty(len(places))
        for index, tile in self._rows.grouped(places):
            thin = tile.segment.block.thin
            assert thin is not None
            lengths[index] = tile.segment.block.value_norms[tile.rows]
            spreads[index] = thin.spreads[bits // 2 - 1, tile.rows]
        return lengths, spreads * lengths if self._directions else spreads, spreads

    def largest_spread(self, bits: int) -> float:
        """At least ‖v̂ − v‖ of any row."""
        return float(self.thin.largest[bits // 2 - 1]) * (self.facts.key_norm if self._directions else 1.0)

    def typical_spread(self, bits: int) -> float:
        """About ‖v̂ − v‖ of the longest."""
        return float(self.thin.typical[bits // 2 - 1]) * (self.facts.key_norm if self._directions else 1.0)

    @property
    def _directions(self) -> bool:
        return self.facts.similarity == "cosine"
