"""Collections as the caller of one key sees them: only its part, and with its quotas.

Every call of such a caller has a restricted handle of the catalogue, which returns restricted handles of collections.
So no route can pass the restriction by.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from softkv_service.retrieval.errors import CollectionUnsound
from softkv_service.storage import WHOLE, Restriction
from softkv_service.storage.errors import DocumentDamaged


class Handle:
    """A state and the restriction of one caller. All handles of a state share its attributes, except `restriction`."""

    __slots__ = ("__dict__", "__weakref__", "restriction")

    restriction: Restriction

    def __init__(self) -> None:
        self.restriction = WHOLE

    def restrict(self, restriction: Restriction) -> Self:
        """Return a handle of the same state for a caller with this restriction."""
        if restriction is self.restriction:
            return self
        handle = object.__new__(type(self))
        handle.__dict__, handle.restriction = self.__dict__, restriction
        return handle


@contextmanager
def without_ids(collection: str, restriction: Restriction) -> Iterator[None]:
    """Raise an error without ids in place of one about damaged documents: they may be hidden from the caller."""
    try:
        yield
    except (DocumentDamaged, CollectionUnsound) as error:
        if restriction.condition is None:
            raise
        raise CollectionUnsound(collection) from error
