"""What callers said of answers, as the service keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, TypedDict

from softkv.record import ALWAYS_SENT, Named, Record


class Observation(TypedDict):
    """The answer of the collection when the record came.

    Attributes:
        first: the id of the first match; None without one.
        confidence: the confidence of that match; None if the collection was not calibrated.
        covered: whether the right document was in the set of `conformal` 0.9; None if that is unknown.
    """

    first: str | None
    confidence: float | None
    covered: bool | None


class FeedbackRecord(Record):
    """A stored record of feedback.

    Attributes:
        number: the number of the record; later ones have larger numbers.
        query: a text, or a list of numbers.
        id: the document; None for "the collection has no answer".
        right: whether that is right.
        at: when it came, in UTC (RFC 3339).
        observed: the answer of the collection at that time: `first`, the id of the first match, its `confidence`,
            and whether the right document was in the set of 0.9 (`covered`); None if it is unknown.
    """

    number: int
    query: Annotated[str | list[float], Named("Query")]
    id: str | None
    right: bool
    at: str
    observed: Annotated[Observation | None, ALWAYS_SENT] = None


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
