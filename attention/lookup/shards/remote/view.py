"""A view whose rows are in other processes, which answer messages about them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, final

import numpy as np
from numpy.typing import ArrayLike

from attention.arrays import I64, Bools, Index
from attention.errors import ParameterError
from attention.lookup.codes.moments import Residuals
from attention.lookup.limits import Limits
from attention.lookup.memory.bias import sort_addends
from attention.lookup.memory.statistics import BlockStatistics
from attention.lookup.memory.view import AnyMask
from attention.lookup.shards.remote.summaries import SampleKeys
from attention.shared_memory import Array

Message = tuple[Mapping[str, Any], Mapping[str, Array]]
"""JSON fields and arrays, see `wire.to_bytes`."""


@dataclass(frozen=True, eq=False)
class DocumentArrays:
    """Arrays with one element for each of some documents. A host is sent only the elements of its own documents.

    Attributes:
        name: the name of the documents in a message.
        documents: int64[r], ascending.
        columns: arrays [r], by their names in a message.
    """

    name: str
    documents: I64
    columns: Mapping[str, Array]

    def at(self, positions: Index) -> dict[str, Array]:
        """Return the arrays of a message about the documents at these positions."""
        columns = {name: column[positions] for name, column in self.columns.items()}
        return {self.name: self.documents[positions], **columns}


class ShardHosts(Protocol):
    """The processes that hold the rows of one view.

    A row is identified by its number, and one process, its host, answers for it.
    """

    def ask_all(self, message: Message, beside: DocumentArrays | None = None) -> Sequence[Message]:
        """Send one message to all hosts, each about its own rows, and return their replies.

        Args:
            beside: arrays that a message carries too, of the documents of its host.
        """

    def ask_about(
        self, numbers: I64, message: Callable[[Index], Message], beside: DocumentArrays | None = None
    ) -> Sequence[tuple[Index, Message]]:
        """Send messages about some rows or documents to their hosts.

        Args:
            numbers: int64[m], of the rows or documents, in any order.
            message: returns the message about the numbers at these positions, which ascend.
            beside: arrays that a message carries too, of all documents of its host.

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

    def where(self, condition: str | None, terms: str | None = None) -> RemoteMask:
        """Return the mask of the documents that pass a condition, and that a bias does not forbid.

        The condition and the terms of the bias are texts that the hosts understand; None for no condition or bias.
        """
        fields = {"call": "counts", **_selection(condition, terms)}
        return _mask_of(self, condition, terms, [reply for reply, _ in self.hosts.ask_all((fields, {}))])

    def bias(self, terms: str) -> RemoteBias:
        """Return the bias that the hosts compute from terms, a text that they understand."""
        fields = {"call": "bias", "condition": None, "terms": terms}
        replies = [reply for reply, _ in self.hosts.ask_all((fields, {}))]
        largest = max((reply["largest"] for reply in replies), default=0.0)
        forbids = any(reply["forbids"] for reply in replies)
        return RemoteBias(self, terms, _mask_of(self, None, terms, replies) if forbids else None, largest)

    @cached_property
    def sample_stride(self) -> int:
        """The sample of a host has at most one row in this many."""
        replies = self.hosts.ask_all(({"call": "counts", "condition": None}, {}))
        return max((reply["stride"] for reply, _ in replies), default=1)

    def count_documents(self, numbers: I64, mask: AnyMask | None) -> int:
        """Return how many of the documents with these numbers pass the mask; unknown documents are ignored.

        Args:
            numbers: int64[r], ascending.
        """
        assert mask is None or isinstance(mask, RemoteMask)
        beside = DocumentArrays("numbers", numbers, {})
        replies = self.hosts.ask_all(({"call": "documents among", **selection_of(mask)}, {}), beside)
        return sum(reply["documents"] for reply, _ in replies)


@final
@dataclass(frozen=True, eq=False)
class RemoteMask:
    """The rows of a remote view that pass a condition, and that a bias does not forbid.

    Each host determines which of its rows pass.

    Attributes:
        condition: the condition, as a text that the hosts understand; None for all rows.
        n, scanned, documents: see `Mask`.
        stride: the sample of a host has at most one row in `stride`.
        terms: the terms of a bias, as a text that the hosts understand. Documents with a bias of −∞ do not pass. None
            without such documents.
    """

    view: RemoteView
    condition: str | None
    n: int
    scanned: int
    documents: int
    stride: int = 1
    terms: str | None = None

    @cached_property
    def value_residuals(self) -> Residuals:
        """The sum of what the value codes leave out of the rows that pass."""
        return residuals_of(self.view, self)


MAX_RESTRICTED_MASKS = 64
"""Masks that a bias keeps, without the documents that it forbids. Each is a few numbers."""


@final
@dataclass(frozen=True, eq=False)
class RemoteBias:
    """A number added to the logit of every row of a remote view. Each host computes it for its own documents.

    The number of a document is the sum of its terms and of its addend, rounded once.

    Attributes:
        terms: a text, from which the hosts compute an addend for each document; None for no terms.
        mask: the rows with a bias above −∞; None if all rows have one.
        largest: an upper bound on the largest |number|.
        addends: more addends, of some documents; None if there are none.
    """

    view: RemoteView
    terms: str | None
    mask: RemoteMask | None
    largest: float
    addends: DocumentArrays | None = None
    _restricted: dict[str, RemoteMask] = field(default_factory=dict, repr=False)

    @classmethod
    def of(
        cls, view: RemoteView, numbers: ArrayLike, addends: ArrayLike, terms: RemoteBias | None = None
    ) -> RemoteBias:
        """Return the bias that adds a number to the logits of all rows of the given documents.

        Args:
            numbers: int64[r], the documents' numbers, in any order; unknown documents are ignored.
            addends: float[r], one for each document, finite.
            terms: a bias of the hosts, to which these numbers are added; None for 0.

        Raises:
            ShapeError: the number of addends differs from the number of documents.
            ParameterError: a document is listed twice, an addend is not finite, or `terms` is of another view.
        """
        documents, amounts = sort_addends(numbers, addends)
        if not np.isfinite(amounts).all():
            raise ParameterError("Expected finite addends for a remote view. Forbid documents by a condition.")
        largest = float(np.abs(amounts).max(initial=0.0))
        arrays = DocumentArrays(BIAS_DOCUMENTS, documents, {BIAS_ADDENDS: amounts})
        if terms is None:
            return cls(view, None, None, largest, arrays)
        if terms.view is not view or terms.addends is not None:
            raise ParameterError(
                "Expected terms of this view without further addends. Make them with view.bias(terms)."
            )
        return cls(view, terms.terms, terms.mask, terms.largest + largest, arrays, terms._restricted)

    def restrict(self, mask: AnyMask | None) -> AnyMask | None:
        """Return the rows that pass a mask and have a bias above −∞; None if all rows do.

        The same condition gets the same object, so that its questions share a scan.
        """
        assert mask is None or isinstance(mask, RemoteMask)
        if mask is None or self.mask is None:
            return self.mask if mask is None else mask
        if mask.terms == self.terms:
            return mask
        if mask.condition is None or mask.terms is not None:
            raise ParameterError("The mask is of another bias. Use view.where(condition).")
        if mask.condition not in self._restricted:
            if len(self._restricted) >= MAX_RESTRICTED_MASKS:
                self._restricted.clear()
            self._restricted[mask.condition] = self.view.where(mask.condition, self.terms)
        return self._restricted[mask.condition]


BIAS_DOCUMENTS, BIAS_ADDENDS = "bias documents", "bias addends"
"""The arrays of a message that has addends of a `RemoteBias`."""


def _mask_of(
    view: RemoteView, condition: str | None, terms: str | None, counts: Sequence[Mapping[str, Any]]
) -> RemoteMask:
    """Return the mask of the rows that each host has counted."""
    n, scanned, documents = (sum(reply[name] for reply in counts) for name in ("n", "scanned", "documents"))
    return RemoteMask(
        view, condition, n, scanned, documents, max((reply["stride"] for reply in counts), default=1), terms
    )


def selection_of(mask: RemoteMask | None) -> dict[str, Any]:
    """Return the fields of a message that say which rows it is about."""
    return _selection(None, None) if mask is None else _selection(mask.condition, mask.terms)


def _selection(condition: str | None, terms: str | None) -> dict[str, Any]:
    return {"condition": condition} if terms is None else {"condition": condition, "forbidden by": terms}


def residuals_of(view: RemoteView, mask: RemoteMask | None, numbers: I64 | None = None) -> Residuals:
    """Return the sum of what the value codes leave out of some rows of a remote view.

    These are the rows with the numbers int64[m], or all rows that pass if `numbers` is None.
    """
    total = Residuals(0, np.zeros(view.value_dimension or 0))
    if numbers is None:
        replies = view.hosts.ask_all(({"call": "residuals", **selection_of(mask)}, {}))
    else:
        call = {"call": "residuals at", **selection_of(mask)}
        replies = [
            reply
            for _, reply in view.hosts.ask_about(numbers, lambda positions: (call, {"numbers": numbers[positions]}))
        ]
    for fields, arrays in replies:
        total += Residuals(fields["count"], arrays["total"])
    return total
