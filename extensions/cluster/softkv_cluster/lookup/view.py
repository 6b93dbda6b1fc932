"""A view whose rows are in other processes, which answer messages about them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, final

import numpy as np
from numpy.typing import ArrayLike

from softkv_attention.aligned import Array
from softkv_attention.arrays import I64, Bools, Index
from softkv_attention.errors import ParameterError
from softkv_attention.forked import cached_property
from softkv_attention.lookup import AnyMask, BlockStatistics, Limits
from softkv_attention.lookup.shards import Residuals, sort_addends
from softkv_cluster.lookup.sample import SampleKeys

Message = tuple[Mapping[str, Any], Mapping[str, Array]]
"""JSON fields and arrays, see `wire.to_bytes`."""


@dataclass(frozen=True, eq=False)
class DocumentArrays:
    """Arrays with one element for each of some documents, for messages to hosts.

    Each host is sent only the elements of its own documents.

    Attributes:
        name: the name of the array of documents in a message.
        documents: int64[r], ascending.
        columns: arrays [r], by their names in a message.
    """

    name: str
    documents: I64
    columns: Mapping[str, Array]

    def at(self, positions: Index) -> dict[str, Array]:
        """Return the arrays, by name, for a message about the documents at these positions only."""
        columns = {name: column[positions] for name, column in self.columns.items()}
        return {self.name: self.documents[positions], **columns}


class ShardHosts(Protocol):
    """The connection to the processes (hosts) that hold the rows of one view.

    A row is identified by its number, and one host answers for it.
    """

    def ask_all(self, message: Message, document_arrays: DocumentArrays | None = None) -> Sequence[Message]:
        """Send the same message to all hosts, each about its own rows, and return their replies.

        Args:
            message: the JSON fields and arrays.
            document_arrays: further arrays with an element for each document; each host gets those of its documents.
        """

    def ask_about(
        self, numbers: I64, message: Callable[[Index], Message], document_arrays: DocumentArrays | None = None
    ) -> Sequence[tuple[Index, Message]]:
        """Send each host a message about its rows or documents among `numbers`.

        Args:
            numbers: int64[m], of the rows or documents, in any order.
            message: returns the message about the numbers at the given positions, which ascend.
            document_arrays: further arrays with an element for each document; each host gets those of its documents.

        Returns:
            For each host that got a message, the positions of its numbers in `numbers`, and its reply.
        """


@dataclass(frozen=True, eq=False)
class RemoteView:
    """An immutable snapshot of a collection whose rows (keys with values) are in other processes, the hosts.

    Attributes:
        similarity: the name of the similarity of queries and keys.
        dimension, value_dimension: the widths of keys and values; None before the first write.
        hosts: the connection to the processes that hold the rows.
        facts: statistics of all rows.
        coded: whether all rows have 8-bit codes.
        sample: keys of some rows, from which a scan's thresholds are chosen; None to ask the hosts for samples.
        limits: the sizes by which the planner chooses between reading all keys in float64 and a scan of 8-bit codes.
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
        """The number of rows (keys), without removed ones."""
        return self.facts.n

    @property
    def documents(self) -> int:
        """The number of documents, without removed ones."""
        return self.facts.documents

    @property
    def bare(self) -> bool:
        """Whether some rows have no 8-bit codes, so that only their float32 originals can be read."""
        return not self.coded

    @property
    def beyond_memory(self) -> bool:
        """False, because only the processes that hold the rows know whether their float32 originals are on disk."""
        return False

    @cached_property
    def value_residuals(self) -> Residuals:
        """The sum over all rows of v − v̂, the part of a value v that its 8-bit code v̂ leaves out."""
        return residuals_of(self, None)

    def mask(self, numbers: I64 | Bools) -> RemoteMask:
        """Raise an error, because the processes that hold the rows select them by a condition only, see `where`.

        Raises:
            ParameterError: always.
        """
        raise ParameterError("A remote view has no mask of numbers or booleans. Use view.where(condition).")

    def where(self, condition: str | None, terms: str | None = None) -> RemoteMask:
        """Return the mask of the documents that pass a condition and that a bias does not forbid with −∞.

        The hosts, which are the processes that hold the rows, count these rows and documents.

        Args:
            condition: a text that the hosts understand; None for all documents.
            terms: a text from which the hosts compute a bias for each document; None for no bias.
        """
        fields = {"call": "counts", **_selection(condition, terms)}
        return _mask_of(self, condition, terms, [reply for reply, _ in self.hosts.ask_all((fields, {}))])

    def bias(self, terms: str) -> RemoteBias:
        """Return the bias that the processes that hold the rows compute for each document.

        Args:
            terms: a text that these processes understand.

        Raises:
            ParameterError: a host refuses the terms.
        """
        fields = {"call": "bias", "condition": None, "terms": terms}
        replies = [reply for reply, _ in self.hosts.ask_all((fields, {}))]
        if refusal := next((reply["refused"] for reply in replies if "refused" in reply), None):
            raise ParameterError(refusal)
        largest = max((reply["largest"] for reply in replies), default=0.0)
        forbids = any(reply["forbids"] for reply in replies)
        return RemoteBias(self, terms, _mask_of(self, None, terms, replies) if forbids else None, largest)

    @cached_property
    def sample_stride(self) -> int:
        """The sampling rate of the processes that hold the rows: a sample has at most one row in this many."""
        replies = self.hosts.ask_all(({"call": "counts", "condition": None}, {}))
        return max((reply["stride"] for reply, _ in replies), default=1)

    def count_documents(self, numbers: I64, mask: AnyMask | None) -> int:
        """Return how many of the documents with these numbers pass the mask; unknown documents are ignored.

        Args:
            numbers: int64[r], ascending.
            mask: of this view; None for all rows.
        """
        assert mask is None or isinstance(mask, RemoteMask)
        document_arrays = DocumentArrays("numbers", numbers, {})
        replies = self.hosts.ask_all(({"call": "documents among", **selection_of(mask)}, {}), document_arrays)
        return sum(reply["documents"] for reply, _ in replies)


@final
@dataclass(frozen=True, eq=False)
class RemoteMask:
    """The rows of a remote view that a query may attend to; each host determines which of its rows these are.

    A host is a process that holds some of the rows. These are the rows that pass a condition and that a bias does not
    forbid with −∞.

    Attributes:
        view: the view that the mask was made for.
        condition: a text that the hosts understand; None for all rows.
        n, documents: how many rows and how many documents pass.
        scanned: how many rows the hosts' scans read to reach the passing ones.
        stride: the sampling rate of the hosts: at most one row in this many.
        terms: a text from which the hosts compute a bias; documents with −∞ do not pass. None without such documents.
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
        """The sum over the passing rows of v − v̂, the part of a value v that its 8-bit code v̂ leaves out."""
        return residuals_of(self.view, self)


MAX_RESTRICTED_MASKS = 64
"""Masks that a bias keeps, without the documents that it forbids. Each is a few numbers."""


@final
@dataclass(frozen=True, eq=False)
class RemoteBias:
    """A number added to the logit of every row of a remote view; each host computes it for its own documents.

    A host is a process that holds some of the rows. The number of a document is the sum of what the terms give and of
    its addend, rounded once.

    Attributes:
        view: the view that the bias was made for.
        terms: a text from which the hosts compute a number for each document; None for no terms.
        mask: the rows with a bias above −∞; None if no row has −∞.
        largest: an upper bound on the largest |bias|.
        addends: for some documents a further number; None for no further numbers.
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
            addends: float[r], the number for each document, finite.
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

    def add(self, numbers: ArrayLike, addends: ArrayLike) -> RemoteBias:
        """Return this bias with a further number for some documents.

        Args:
            numbers: int64[r], the documents' numbers, in any order; unknown documents are ignored.
            addends: float[r], the number for each document, finite.

        Raises:
            ShapeError: the length of `addends` differs from the number of documents.
            ParameterError: a document is listed twice, or an addend is not finite.
        """
        further = RemoteBias.of(self.view, numbers, addends)
        assert further.addends is not None
        arrays = further.addends if self.addends is None else _add_arrays(self.addends, further.addends)
        return RemoteBias(self.view, self.terms, self.mask, self.largest + further.largest, arrays, self._restricted)

    def restrict(self, mask: AnyMask | None) -> AnyMask | None:
        """Return the rows that pass a mask and have a bias above −∞; None if all rows do.

        For the same condition, return the same object, so that questions with it share a scan.

        Raises:
            ParameterError: the mask was made for another bias.
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


def _add_arrays(one: DocumentArrays, other: DocumentArrays) -> DocumentArrays:
    documents = np.union1d(one.documents, other.documents)
    amounts = np.zeros(len(documents))
    for arrays in (one, other):
        amounts[np.searchsorted(documents, arrays.documents)] += arrays.columns[BIAS_ADDENDS]
    return DocumentArrays(BIAS_DOCUMENTS, documents, {BIAS_ADDENDS: amounts})


def _mask_of(
    view: RemoteView, condition: str | None, terms: str | None, counts: Sequence[Mapping[str, Any]]
) -> RemoteMask:
    """Return a mask with counts that are the sums over the hosts' replies.

    Args:
        view, condition, terms: the fields of the mask, see `RemoteMask`.
        counts: the reply of each host, with its numbers of rows and documents.
    """
    n, scanned, documents = (sum(reply[name] for reply in counts) for name in ("n", "scanned", "documents"))
    return RemoteMask(
        view, condition, n, scanned, documents, max((reply["stride"] for reply in counts), default=1), terms
    )


def selection_of(mask: RemoteMask | None) -> dict[str, Any]:
    """Return the JSON fields by which a message to the hosts says which rows it is about."""
    return _selection(None, None) if mask is None else _selection(mask.condition, mask.terms)


def _selection(condition: str | None, terms: str | None) -> dict[str, Any]:
    return {"condition": condition} if terms is None else {"condition": condition, "forbidden by": terms}


def residuals_of(view: RemoteView, mask: RemoteMask | None, numbers: I64 | None = None) -> Residuals:
    """Return the sum over some rows of v − v̂, the part of a value v that its 8-bit code v̂ leaves out.

    The processes that hold the rows compute it.

    Args:
        view: the rows.
        mask: the rows that pass; None for all.
        numbers: int64[m], the row numbers to sum; None for all rows that pass.
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
