"""A view of which no row lies here: others hold them, and are asked by messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, final

import numpy as np

from attention.dtypes import I64, Index
from attention.lookup.codes.moments import Residuals
from attention.lookup.memory.statistics import BlockStatistics
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
class RemoteView:
    """A view whose rows other processes hold.

    Attributes:
        similarity, dimension, value_dimension, facts: see `View`.
        hosts: the processes that hold the rows.
        coded: whether all rows have codes.
        sample: keys of some rows, from which thresholds are chosen; None if the hosts have to be asked.
    """

    similarity: str
    dimension: int | None
    value_dimension: int | None
    hosts: ShardHosts
    facts: BlockStatistics
    coded: bool = True
    sample: SampleKeys | None = field(default=None, repr=False)

    @property
    def n(self) -> int:
        """How many rows live."""
        return self.facts.n

    @property
    def documents(self) -> int:
        """How many documents live."""
        return self.facts.documents

    @property
    def bare(self) -> bool:
        """Whether some rows have no codes."""
        return not self.coded

    @property
    def beyond_memory(self) -> bool:
        """Whether originals are likely to be on disk; False, for only the hosts know."""
        return False

    @cached_property
    def value_residuals(self) -> Residuals:
        """What codes leave out of the values of all rows."""
        return residuals_of(self, None)

    def where(self, condition: str) -> RemoteMask:
        """Return the mask of the documents that pass a condition, as the hosts understand it."""
        counts = [reply for reply, _ in self.hosts.every(({"call": "counts", "condition": condition}, {}))]
        n, scanned, documents = (sum(reply[name] for reply in counts) for name in ("n", "scanned", "documents"))
        stride = max((reply["stride"] for reply in counts), default=1)
        return RemoteMask(self, condition, n, scanned, documents, stride)


@final
@dataclass(frozen=True, eq=False)
class RemoteMask:
    """The rows of a remote view that pass a condition; each host knows its own.

    Attributes:
        condition: as the hosts understand it.
        n, scanned, documents: see `Mask`.
        stride: the sample of a host has at most one row in `stride`.
    """

    view: RemoteView
    condition: str
    n: int
    scanned: int
    documents: int
    stride: int = 1

    @cached_property
    def value_residuals(self) -> Residuals:
        """What codes leave out of the values of the rows that pass."""
        return residuals_of(self.view, self)


def condition_of(mask: RemoteMask | None) -> str | None:
    """Return the condition that a message to the hosts carries."""
    return None if mask is None else mask.condition


def residuals_of(view: RemoteView, mask: RemoteMask | None, numbers: I64 | None = None) -> Residuals:
    """Return what codes leave out of the values of all rows that pass, or of those with these numbers int64[m]."""
    total = Residuals(0, np.zeros(view.value_dimension or 0))
    head = {"condition": condition_of(mask)}
    if numbers is None:
        replies = view.hosts.every(({"call": "residuals", **head}, {}))
    else:
        call = {"call": "residuals at", **head}
        replies = [reply for _, reply in view.hosts.those(numbers, lambda at: (call, {"numbers": numbers[at]}))]
    for reply, arrays in replies:
        total += Residuals(reply["count"], arrays["total"])
    return total
