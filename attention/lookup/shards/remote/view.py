"""A view of which no row lies here: others hold them, and are asked by messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from attention.dtypes import I64, Bools, Index
from attention.errors import ParameterError
from attention.lookup.codes.moments import Residuals
from attention.lookup.memory.statistics import BlockStatistics
from attention.lookup.memory.view import Mask, View
from attention.lookup.shards.remote.sample import SampleKeys
from attention.shared_memory import Array

Message = tuple[Mapping[str, Any], Mapping[str, Array]]
"""What is said, and arrays, see `messages.packed`."""


class ShardHosts(Protocol):
    """Who hold the rows of one view. A row is known by its number, and there is one who answers for it."""

    def every(self, message: Message) -> Sequence[Message]:
        """Ask about all rows: what each answers of its own."""

    def those(self, numbers: I64, message: Callable[[Index], Message]) -> Sequence[tuple[Index, Message]]:
        """Ask about some rows, or documents, each of whoever holds it.

        Args:
            numbers: int64[m], in any order.
            message: what one is asked of those at these places among the numbers, ascending.

        Returns:
            Of each that was asked, the places and the answer.
        """


@dataclass(frozen=True, eq=False)
class RemoteView(View):
    """The rows of a view, in the hands of others.

    Attributes:
        holders: who has them.
        told: the facts of all rows, as their holders tell them.
        coded: whether rows have codes.
        sample: keys of some rows, by which lists open; None where the holders are to be asked for that.
    """

    holders: ShardHosts | None = None
    told: BlockStatistics | None = None
    coded: bool = True
    sample: SampleKeys | None = field(default=None, repr=False)

    @property
    def facts(self) -> BlockStatistics:
        """What an answer needs to know of all of it."""
        assert self.told is not None
        return self.told

    @property
    def bare(self) -> bool:
        """Whether rows have no codes."""
        return not self.coded

    @cached_property
    def value_residuals(self) -> Residuals:
        """Of the values of the rows that live."""
        return residuals_of(self, None)

    def ask(self) -> ShardHosts:
        """Who has the rows."""
        assert self.holders is not None
        return self.holders

    def mask(self, numbers: I64 | Bools) -> Mask:
        """None can be made of numbers here, see `where`."""
        raise ParameterError("rows that lie elsewhere pass by a condition, not by numbers: use where(condition)")

    def where(self, condition: str) -> RemoteMask:
        """The mask that lets the documents through which pass a condition, as their holders understand it."""
        found = [said for said, _ in self.ask().every(({"call": "counts", "condition": condition}, {}))]
        n, scanned, documents = (sum(said[name] for said in found) for name in ("n", "scanned", "documents"))
        stride = max((said["stride"] for said in found), default=1)
        return RemoteMask(self, (), condition, n, scanned, documents, stride)


@dataclass(frozen=True, eq=False)
class RemoteMask(Mask):
    """Which rows pass a condition; each holder knows of its own.

    Attributes:
        condition: as the holders understand it.
        n, scanned, documents: see `Mask`.
        stride: every holder's sample has one row of so many, or more.
    """

    condition: str = ""
    n: int = 0
    scanned: int = 0
    documents: int = 0
    stride: int = 1

    @cached_property
    def value_residuals(self) -> Residuals:
        """Of the values of the rows that pass."""
        assert isinstance(self.view, RemoteView)
        return residuals_of(self.view, self)


def condition_of(mask: Mask | None) -> str | None:
    """What the holders are to understand of a mask."""
    assert mask is None or isinstance(mask, RemoteMask)
    return None if mask is None else mask.condition


def residuals_of(view: RemoteView, mask: Mask | None, numbers: I64 | None = None) -> Residuals:
    """What codes leave out of the values of all rows that pass, or of those with these numbers int64[m]."""
    total = Residuals(0, np.zeros(view.value_dimension or 0))
    said = {"condition": condition_of(mask)}
    if numbers is None:
        found = view.ask().every(({"call": "residuals", **said}, {}))
    else:
        call = {"call": "residuals at", **said}
        found = [answer for _, answer in view.ask().those(numbers, lambda at: (call, {"numbers": numbers[at]}))]
    for each, arrays in found:
        total += Residuals(each["count"], arrays["total"])
    return total
