"""What is refused, as the error that LlamaIndex's stores raise, with what softkv said inside."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from softkv.errors import Conflict, Invalid, TooLarge


@contextmanager
def as_value_error() -> Iterator[None]:
    """Around calls; that the service cannot be reached, or lets nobody in, stays softkv's error."""
    try:
        yield
    except (Conflict, Invalid, TooLarge) as error:
        raise ValueError(str(error)) from error
