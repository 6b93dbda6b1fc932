"""What an answer needs to know of a whole view, whatever is asked: numbers, so that a part can say them from afar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from attention.lookup.codes.moments import Moments, Spread
from attention.lookup.memory.blocks import Segment


@dataclass(frozen=True, eq=False)
class Facts:
    """Of one version of a part.

    Attributes:
        similarity: the name of the similarity that queries are compared by.
        n: how many rows live.
        value_dimension: the values' width; None before the first write.
        key_norm, value_norm: upper bounds on ‖k‖ and ‖v‖, each reached by a row that lives or did.
        blocks: how many blocks its rows stand in.
        value_moments: of the values of each block; empty where they are not kept.
    """

    similarity: str
    n: int
    value_dimension: int | None
    key_norm: float
    value_norm: float
    blocks: int
    value_moments: tuple[Moments, ...]

    @classmethod
    def of(cls, similarity: str, value_dimension: int | None, segments: Sequence[Segment]) -> Facts:
        """Of the segments of one view."""
        codes = [segment.block.value_codes for segment in segments]
        moments = tuple(each.moments for each in codes if each is not None and each.moments is not None)
        return cls(
            similarity=similarity,
            n=sum(segment.n for segment in segments),
            value_dimension=value_dimension,
            key_norm=max((segment.key_norm for segment in segments), default=0.0),
            value_norm=max((segment.value_norm for segment in segments), default=0.0),
            blocks=len(segments),
            value_moments=moments if len(moments) == len(codes) else (),
        )

    @cached_property
    def value_spread(self) -> Spread | None:
        """Of the values of all rows, removed ones included; None where not kept or not finite."""
        return Spread.of(self.value_moments) if self.value_moments else None
