"""A view whose rows are in other processes, which answer messages about them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, final

import numpy as np

from attention.arrays import I64, Bools, Index
from attention.errors import ParameterError
from attention.lookup.codes.moments import Residuals
from attention.lookup.limits import Limits
from attention.lookup.memory.statistics import BlockStatistics
from attention.lookup.shards.remote.summaries import SampleKeys
from attention.shared_memory import Array

Message = tuple[Mapping[str, Any], Mapping[str, Array]]
"""JSON fields and arrays, see `wire.to_bytes`."""


class ShardHosts(Protocol):
    """The processes that hold the rows of one view.

    A row is identified by its number, and one process, its host, answers for it.
    """

    def ask_all(self, message: Message) -> Sequence[Message]:
        """Send one message to all hosts, each about its own rows, and return their replies."""

    def ask_about(self, numbers: I64, message: Callable[[Index], Message]) -> Sequence[tuple[Index, Message]]:
        """Send messages about some rows or documents to their hosts.

        Args:
            numbers: int64[m], of the rows or documents, in any order.
            message: returns the message about the numbers at these positions, which ascend.

        Returns:
            For each host that was asked, the positions of its numbers and its reply.
        """


@dataclass(frozen=True, eq=False)
class RemoteView:
    """A view whose rows other processes hold.

    Attributes:
        similarity, dimension, value_dimension, facts, limits: see `View`.
        hosts: the processes that hold the rows.
        coded: whether all rows have codes.
        sample: keys of some rows, from which thresholds are chosen; None to ask the hosts for samples.
    """

    similarity: str
    dimension: int | None
    value_dimension: int | None
    hosts: ShardHosts
    facts: BlockStatistics
    coded: bool = True
    sample: SampleKeys | None = field(default=None, repr=False)
    limits: Limits = field(default=Limits(), repr=False)

    @property
    def n(self) -> int:
        """The number of rows, without removed ones."""
        return self.facts.n

    @property
    def documents(self) -> int:
        """The number of documents, without removed ones."""
        return self.facts.documents

    @property
    def bare(self) -> bool:
        """Whether some rows have no 8-bit codes."""
        return not self.coded

    @property
    def beyond_memory(self) -> bool:
        """False, because only the hosts know whether originals are on disk."""
        return False

    @cached_property
    def value_residuals(self) -> Residuals:
        """The sum of what the value codes leave out of all rows."""
        return residuals_of(self, None)

    def mask(self, numbers: I64 | Bools) -> RemoteMask:
        """Raise an error, because the hosts know rows by conditions only.

        Raises:
            ParameterError: always.
        """
        raise ParameterError("A remote view has no mask of numbers or booleans. Use view.where(condition).")

    def where(self, condition: str) -> RemoteMask:
        """Return the mask of the documents that pass a condition.

        The condition is a text that the hosts understand.
        """
        counts = [reply for reply, _ in self.hosts.ask_all(({"call": "counts", "condition": condition}, {}))]
        n, scanned, documents = (sum(reply[name] for reply in counts) for name in ("n", "scanned", "documents"))
        stride = max((reply["stride"] for reply in counts), default=1)
        return RemoteMask(self, condition, n, scanned, documents, stride)


@final
@dataclass(frozen=True, eq=False)
class RemoteMask:
    """The rows of a remote view that pass a condition.

    Each host determines which of its rows pass.

    Attributes:
        condition: the condition, as a text that the hosts understand.
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
        """The sum of what the value codes leave out of the rows that pass."""
        return residuals_of(self.view, self)


def condition_of(mask: RemoteMask | None) -> str | None:
    """Return the condition that a message to the hosts carries; None without a mask."""
    return None if mask is None else mask.condition


def residuals_of(view: RemoteView, mask: RemoteMask | None, numbers: I64 | None = None) -> Residuals:
    """Return the sum of what the value codes leave out of some rows of a remote view.

    These are the rows with the numbers int64[m], or all rows that pass if `numbers` is None.
    """
    total = Residuals(0, np.zeros(view.value_dimension or 0))
    condition = condition_of(mask)
    if numbers is None:
        replies = view.hosts.ask_all(({"call": "residuals", "condition": condition}, {}))
    else:
        call = {"call": "residuals at", "condition": condition}
        replies = [
            reply
            for _, reply in view.hosts.ask_about(numbers, lambda positions: (call, {"numbers": numbers[positions]}))
        ]
    for fields, arrays in replies:
        total += Residuals(fields["count"], arrays["total"])
    return total
