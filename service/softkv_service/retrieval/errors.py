"""Errors of retrieval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from softkv_service.encoding import TextRefused


class RetrievalError(Exception):
    """Base class of the errors of retrieval."""


class CollectionNotFound(RetrievalError):
    """No collection has that name.

    Args:
        names: collections that the caller may see; None if they were not listed.
        more: whether there are further collections.
    """

    def __init__(self, name: str, names: Sequence[str] | None = None, *, more: bool = False) -> None:
        self.name = name
        create = f"create it with PUT /v1/collections/{name}"
        if names:
            listed = ", ".join(names) + (", …" if more else "")
            super().__init__(f"there is no collection {name!r}: use one of these names: {listed}; or {create}")
        else:
            super().__init__(f"there is no collection {name!r}{'' if names is None else ', and no other'}: {create}")


class CollectionMoved(RetrievalError):
    """The collection has moved to another encoder, so that a write has to be prepared again."""

    def __init__(self, name: str) -> None:
        super().__init__(f"collection {name!r} was moved to another encoder meanwhile: try again")


class ReEncodingNotFound(RetrievalError):
    """The collection was never re-encoded."""

    def __init__(self, name: str) -> None:
        super().__init__(f"collection {name!r} was not re-encoded: POST /v1/collections/{name}/re-encode starts it")


class ReEncodingOver(RetrievalError):
    """The job that is to be cancelled has ended."""

    def __init__(self, name: str, state: str) -> None:
        super().__init__(f"re-encoding of collection {name!r} has ended ({state}): there is nothing to cancel")


class DocumentNotFound(RetrievalError):
    """No document of the collection has that id."""

    def __init__(self, collection: str, document_id: str) -> None:
        super().__init__(f"collection {collection!r} holds no document with the id {document_id!r}")


class ModelNotFound(RetrievalError):
    """The service runs no model of that name."""


class CollectionConflict(RetrievalError):
    """The collection exists with other settings."""


class AliasNotFound(RetrievalError):
    """The caller sees no alias of that name."""

    def __init__(self, alias: str) -> None:
        super().__init__(f"there is no alias {alias!r}: create it with PUT /v1/aliases/{alias}")


class AliasConflict(RetrievalError):
    """The name is that of an alias, where another name is needed."""


class CollectionLoading(RetrievalError):
    """The collection's keys are still being read from storage, or could not be read."""

    def __init__(self, name: str, trouble: str | None = None) -> None:
        reason = "" if trouble is None else f" ({trouble})"
        super().__init__(
            f"collection {name!r} is still being read from disk{reason}: try again in a moment, or see /readyz"
        )


class DemoLoading(CollectionLoading):
    """The documents of a demo collection are being written, so an answer would cover only some of them."""

    def __init__(self, name: str, how_far: str) -> None:
        RetrievalError.__init__(
            self, f"the demo collection {name!r} is being loaded ({how_far}): try again in a moment, or see /readyz"
        )


class CollectionUnsound(RetrievalError):
    """Key vectors of the collection are damaged on disk, so every weight of an answer would be wrong."""

    def __init__(self, name: str, documents: int | None = None, first: Exception | None = None) -> None:
        reason = "" if documents is None else f", as vectors of {documents} documents fail: {first}"
        super().__init__(f"collection {name!r} is not attended to{reason or ': its operator finds why at /readyz'}")


class SnapshotGone(RetrievalError):
    """The version of a collection that was being read was dropped, or is unavailable now.

    The caller has to read a newer version.
    """


class ShardsMissing(RetrievalError):
    """Some of the collection's documents are unavailable now, and the query requires all of them."""

    def __init__(self, name: str, documents: int | None = None, of: int | None = None) -> None:
        part = "only some" if documents is None or of is None else f"only {documents:,} of the {of:,}"
        super().__init__(
            f"{part} documents of collection {name!r} can be asked now: "
            'try again in a moment, or attend with "allow_missing": true for an answer without the others'
        )


class ValuesPending(RetrievalError):
    """An answer needs vectors of values that are still being encoded.

    Attributes:
        name: the collection.
        rows: int64[n], the row numbers of the documents, all of which the caller may see.
    """

    def __init__(self, name: str, rows: NDArray[np.int64]) -> None:
        self.name, self.rows = name, rows
        documents = "1 document" if len(rows) == 1 else f"{len(rows):,} documents"
        super().__init__(
            f"the values of {documents} of collection {name!r} that this call needs are still being encoded: try again "
            "in a moment, narrow the filter, or leave output and value_vector out of include"
        )


class EncoderMissing(RetrievalError):
    """A text needs an encoder that the service does not have, or one of this name but of another model."""


class EncoderUnavailable(RetrievalError):
    """A text needs the encoder, which is unavailable or still loading."""


@dataclass(frozen=True)
class Flaw:
    """One flaw of a request: its position, as a JSON pointer, and its description."""

    pointer: str
    detail: str


class InvalidContent(RetrievalError):
    """The request is well-formed but cannot be met; nothing was written."""

    def __init__(self, flaws: Sequence[Flaw]) -> None:
        super().__init__("; ".join(flaw.detail for flaw in flaws[:3]))
        self.flaws = tuple(flaws)

    @classmethod
    def at(cls, pointer: str, detail: str) -> InvalidContent:
        """Return the error for one flaw."""
        return cls([Flaw(pointer, detail)])

    @classmethod
    def of_texts(cls, error: TextRefused, pointers: Sequence[str]) -> InvalidContent:
        """Return the error for texts that a model or its provider refuses.

        Args:
            error: the refusal.
            pointers: the position of each text in the request.
        """
        return cls([Flaw(pointers[i], reason) for i, reason in sorted(error.messages.items())])


class NothingToRead(InvalidContent):
    """The query is a text in which the model knows no token."""


class TooLarge(InvalidContent):
    """The request exceeds a limit."""


class DocumentChanged(RetrievalError):
    """The document to replace has been changed or deleted by another caller in the meantime."""

    def __init__(self, document_id: str) -> None:
        super().__init__(f"document {document_id!r} keeps changing while it is patched: try again")
