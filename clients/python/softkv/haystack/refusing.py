"""What is refused, as the errors that Haystack has for it, with what softkv said inside."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from haystack.document_stores.errors import DocumentStoreError, DuplicateDocumentError
from haystack.errors import FilterError

from softkv.errors import Conflict, Invalid, TooLarge

_TAKEN = "documents_exist"


@contextmanager
def as_filter_error() -> Iterator[None]:
    """Around what makes a filter."""
    try:
        yield
    except Invalid as error:
        raise FilterError(str(error)) from error


@contextmanager
def as_store_error() -> Iterator[None]:
    """Around the calls of a store; that the service cannot be reached, or lets nobody in, stays softkv's error."""
    try:
        yield
    except Conflict as error:
        raise (DuplicateDocumentError if error.code == _TAKEN else DocumentStoreError)(str(error)) from error
    except Invalid as error:
        of_filter = any(flaw.pointer.startswith("/filter") for flaw in error.errors)
        raise (FilterError if of_filter else DocumentStoreError)(str(error)) from error
    except TooLarge as error:
        raise DocumentStoreError(str(error)) from error
