"""Several views as one: each is scanned by itself, and what they say becomes one answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, pairwise
from typing import Self
from weakref import WeakKeyDictionary

from attention.errors import ParameterError, ShapeError
from attention.lookup.memory.bias import Bias
from attention.lookup.memory.statistics import BlockStatistics
from attention.lookup.memory.view import Mask, View


@dataclass(frozen=True, eq=False)
class Parted(View):
    """The rows of several views, no two of the same number. Masks and biases are made of this one, for all parts.

    Attributes:
        parts: the views that have rows; a document has all of its in one of them.
    """

    parts: tuple[View, ...] = ()

    @classmethod
    def of(cls, views: Sequence[View]) -> Self:
        """The views as parts of one.

        Raises:
            ParameterError: none, or views of two similarities.
            ShapeError: keys or values of two widths.
        """
        if not views:
            raise ParameterError("a list of parts needs at least one view, got none: send [memory.view]")
        similarities = sorted({view.similarity for view in views})
        if len(similarities) > 1:
            raise ParameterError(
                f"parts must have one similarity, got {' and '.join(similarities)}: ask each by itself"
            )
        parts = tuple(view for view in views if view.segments)
        widths = {name: sorted({getattr(part, name) for part in parts}) for name in ("dimension", "value_dimension")}
        for name, found in widths.items():
            if len(found) > 1:
                raise ShapeError(f"parts must have one {name}, got {found}: encode all with the same model")
        segments = tuple(segment for part in parts for segment in part.segments)
        dimension, value_dimension = (found[0] if found else None for found in widths.values())
        return cls(similarities[0], segments, dimension, value_dimension, parts=parts)

    @cached_property
    def facts(self) -> BlockStatistics:
        """Of all parts, as far as each of them tells."""
        return BlockStatistics.joined(self.similarity, self.value_dimension, [part.facts for part in self.parts])

    def masks(self, mask: Mask | None) -> Sequence[Mask | None]:
        """What a mask lets through of each part; the same ones whenever it is asked.

        Raises:
            ParameterError: the mask was made for another view.
        """
        if mask is None:
            return [None] * len(self.parts)
        if mask.view.segments is not self.segments:
            raise ParameterError("the mask belongs to another view: make it with this view's mask(numbers)")
        if mask not in self._masks:
            self._masks[mask] = [
                Mask(part, mask.bits[here]) for part, here in zip(self.parts, self._slices(), strict=True)
            ]
        return self._masks[mask]

    def biases(self, bias: Bias | None) -> Sequence[Bias | None]:
        """What a bias adds to each part; the same ones whenever it is asked."""
        if bias is None:
            return [None] * len(self.parts)
        if bias not in self._biases:
            self._biases[bias] = [
                Bias(part, bias.addends[here], own, bias.largest)
                for part, here, own in zip(self.parts, self._slices(), self.masks(bias.mask), strict=True)
            ]
        return self._biases[bias]

    def _slices(self) -> Iterator[slice]:
        """Where the segments of each part stand among all."""
        edges = [0]
        for part in self.parts:
            edges.append(edges[-1] + len(part.segments))
        return (slice(first, last) for first, last in pairwise(edges))

    @cached_property
    def _masks(self) -> WeakKeyDictionary[Mask, Sequence[Mask]]:
        return WeakKeyDictionary()

    @cached_property
    def _biases(self) -> WeakKeyDictionary[Bias, Sequence[Bias]]:
        return WeakKeyDictionary()


_RUNS: WeakKeyDictionary[View, Parted] = WeakKeyDictionary()


def in_runs(view: View) -> View:
    """The view itself; or, where some of its rows have codes and others have none, its runs of either as parts."""
    parts = view.parts if isinstance(view, Parted) else (view,)
    if not any(_mixed(part) for part in parts):
        return view
    if view not in _RUNS:
        runs = [
            View(part.similarity, tuple(run), part.dimension, part.value_dimension)
            for part in parts
            for _, run in groupby(part.segments, key=lambda segment: segment.block.codes is None)
        ]
        _RUNS[view] = Parted(view.similarity, view.segments, view.dimension, view.value_dimension, parts=tuple(runs))
    return _RUNS[view]


def _mixed(view: View) -> bool:
    return len({segment.block.codes is None for segment in view.segments}) > 1
