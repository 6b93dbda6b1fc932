"""How a store was left by a process that did not close it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class UncleanStop:
    """What was found of a process that did not close the store.

    Attributes:
        process: its number.
        log_bytes: of what it had committed and not written back; None where its log is not there.
        collections, documents: that are stored now.
        seconds: that opening the store took.
    """

    process: int
    log_bytes: int | None
    collections: int
    documents: int
    seconds: float
