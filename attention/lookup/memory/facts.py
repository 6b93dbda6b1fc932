"""What an answer needs to know of a whole view, whatever is asked: numbers, so that a part can say them from afar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from attention.dtypes import I64
from attention.lookup.codes.moments import Moments, Spread
from attention.lookup.memory.owners import LONGEST_DOCUMENTS, document_ranges
from attention.lookup.memory.segments import Segment


@dataclass(frozen=True, eq=False)
class BlockStatistics:
    """Of one version of a part.

    Attributes:
        similarity: the name of the similarity that queries are compared by.
        n: how many rows live.
        documents: how many documents, which may have several rows each.
        longest: int64[l], the documents with most rows, ascending; none where each has one.
        most_keys: how many rows any other document has at most.
        value_dimension: the values' width; None before the first write.
        key_norm, value_norm: upper bounds on ‖k‖ and ‖v‖, each reached by a row that lives or did.
        blocks: how many blocks its rows stand in.
        value_moments: of the values of each block; empty where they are not kept.
        value_spreads: what parts that lie elsewhere tell in place of these, see `Spread.joined`; else empty.
    """

    similarity: str
    n: int
    documents: int
    longest: I64
    most_keys: int
    value_dimension: int | None
    key_norm: float
    value_norm: float
    blocks: int
    value_moments: tuple[Moments, ...] = ()
    value_spreads: tuple[Spread, ...] = ()

    @classmethod
    def of(cls, similarity: str, value_dimension: int | None, segments: Sequence[Segment]) -> BlockStatistics:
        """Of the segments of one view."""
        codes = [segment.block.value_codes for segment in segments]
        moments = tuple(each.moments for each in codes if each is not None and each.moments is not None)
        longest, most_keys = _merge_longest(segments)
        return cls(
            similarity=similarity,
            n=sum(segment.n for segment in segments),
            documents=sum(segment.documents for segment in segments),
            longest=longest,
            most_keys=most_keys,
            value_dimension=value_dimension,
            key_norm=max((segment.key_norm for segment in segments), default=0.0),
            value_norm=max((segment.value_norm for segment in segments), default=0.0),
            blocks=len(segments),
            value_moments=moments if len(moments) == len(codes) else (),
        )

    @classmethod
    def joined(cls, similarity: str, value_dimension: int | None, parts: Sequence[BlockStatistics]) -> BlockStatistics:
        """Of all parts; a document has its rows in one of them."""
        moments = tuple(some for part in parts for some in part.value_moments)
        spreads = tuple(some for part in parts for some in part.value_spreads)
        named = [part.longest for part in parts]
        return cls(
            similarity=similarity,
            n=sum(part.n for part in parts),
            documents=sum(part.documents for part in parts),
            longest=np.sort(np.concatenate(named)) if named else np.empty(0, dtype=np.int64),
            most_keys=max((part.most_keys for part in parts), default=1),
            value_dimension=value_dimension,
            key_norm=max((part.key_norm for part in parts), default=0.0),
            value_norm=max((part.value_norm for part in parts), default=0.0),
            blocks=sum(part.blocks for part in parts),
            value_moments=moments if all(part.value_moments for part in parts) else (),
            value_spreads=spreads if all(part.value_spreads for part in parts) else (),
        )

    @property
    def several(self) -> bool:
        """Whether a document has more than one row."""
        return self.documents < self.n

    @cached_property
    def value_spread(self) -> Spread | None:
        """Of the values of all rows, removed ones included; None where not kept or not finite."""
        if self.value_spreads:
            return Spread.joined(self.value_spreads)
        return Spread.of(self.value_moments) if self.value_moments else None


def _merge_longest(segments: Sequence[Segment]) -> tuple[I64, int]:
    """The documents with most rows, and how many rows any other has at most.

    A document that lies in one segment and is not among the longest there has no more rows than LONGEST + 1 others; one
    that lies in several is named by all but the first of them. So none has more rows than the first that is left out.
    """
    if not any(segment.several for segment in segments):
        return np.empty(0, dtype=np.int64), 1
    documents = np.unique(np.concatenate([segment.longest for segment in segments if segment.several]))
    counts = np.zeros(len(documents), dtype=np.int64)
    for segment in segments:
        first, last = document_ranges(segment.owners, documents, segment.live)
        counts += last - first
    order = np.argsort(-counts, kind="stable")
    return np.sort(documents[order[:LONGEST_DOCUMENTS]]), int(counts[order[LONGEST_DOCUMENTS:]].max(initial=1))
