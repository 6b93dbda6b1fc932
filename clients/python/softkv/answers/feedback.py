"""Feedback of callers, as the service sends it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from softkv.record import ALWAYS_SENT, Named, Record


class FeedbackRecord(Record):
    """A record of feedback.

    Attributes:
        number: the number of the record; later ones have larger numbers.
        query: a text, or a list of numbers.
        id: the document; None for "the collection has no answer".
        right: whether that is right.
        at: when it came, in UTC (RFC 3339).
        first: the id of the first match at that time; None without one, or for a caller that sees a part of the
            collection.
    """

    number: int
    query: Annotated[str | list[float], Named("Query")]
    id: str | None
    right: bool
    at: str
    first: Annotated[str | None, ALWAYS_SENT] = None


class FeedbackKept(Record):
    """The number of records that were stored, and the judgements that were not.

    Attributes:
        left_out: the judgements of documents that are missing.
        collection: the name of the collection that answered, if an alias was named.
    """

    kept: int
    left_out: list[Annotated[Mapping[str, str], Named("FieldProblem")]]
    collection: str | None = None


class FeedbackPage(Record):
    """A page of feedback, the oldest first.

    Attributes:
        next_cursor: for the next page; None after the last.
        count: the number of all records; at most 100,000, of which the oldest make room.
        collection: the name of the collection that answered, if an alias was named.
    """

    feedback: list[FeedbackRecord]
    next_cursor: str | None
    count: int
    collection: str | None = None


class FeedbackDeleted(Record):
    """The number of records that were deleted.

    Attributes:
        collection: the name of the collection that answered, if an alias was named.
    """

    deleted: int
    collection: str | None = None
