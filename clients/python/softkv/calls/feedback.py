"""Calls on feedback: say whether answers were right, list what was said, and delete it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from softkv import validation
from softkv.answers.calibration import describe_left_out
from softkv.answers.feedback import FeedbackRecord
from softkv.calls.call import WRITE_TIMEOUT, Call, CollectionRef, Page, Paging
from softkv.calls.queries import encode_query
from softkv.problems import Reply, invalid_value_at, warn_caller
from softkv.wire import encode_json


def give_feedback(collection: CollectionRef, feedback: Iterable[Mapping[str, Any]]) -> Call[int]:
    """Say whether documents answer questions; `calibrate(source="feedback")` learns from it.

    Args:
        feedback: at most 1,000 mappings with a `query` (text or vector), the `id` of a document, and `right`: whether
            it answers the question. `"id": None` stands for "the collection has no answer".

    Returns:
        The number of records that were stored. A warning names judgements of missing documents, which are not.

    Raises:
        Invalid: a mapping lacks a field, or all documents are missing.

    Example:
        >>> collection.give_feedback([{"query": "purring pets", "id": "cats", "right": True}])
    """
    judgements = validation.require_list(feedback, "/feedback")
    for index, judgement in enumerate(judgements):
        if not isinstance(judgement, Mapping) or "query" not in judgement:
            raise invalid_value_at(
                f"/feedback/{index}", 'wanted {"query": …, "id": …, "right": …}, "id": None for "no answer"'
            )
    queries = [judgement["query"] for judgement in judgements]
    encoded = [
        {**judgement, "query": encode_query(query, f"/feedback/{index}/query")}
        for index, (judgement, query) in enumerate(zip(judgements, queries, strict=True))
    ]

    def parse(reply: Reply) -> int:
        content = reply.json()
        if left_out := content.get("left_out"):
            warn_caller(describe_left_out(left_out))
        return int(content["kept"])

    return Call(
        "POST",
        f"{collection.path}/feedback",
        parse,
        content=encode_json({"feedback": encoded}),
        idempotent=True,
        timeout=WRITE_TIMEOUT,
    )


def feedback(collection: CollectionRef, *, page: int = 1000) -> Paging[FeedbackRecord]:
    """List what was said of answers, the oldest first; needs a key with write access.

    Args:
        page: the number of records per request.

    Returns:
        A `Pages` of `FeedbackRecord`; `AsyncPages` for `AsyncCollection`.

    Raises:
        Invalid: the page size is out of range.

    Example:
        >>> [record.id for record in collection.feedback() if not record.right]
    """

    def parse(reply: Reply) -> Page[FeedbackRecord]:
        content = reply.json()
        return Page([FeedbackRecord.read(record) for record in content["feedback"]], content["next_cursor"])

    def ask(cursor: str | None, limit: int) -> Call[Page[FeedbackRecord]]:
        query = [("limit", str(limit)), *([] if cursor is None else [("cursor", cursor)])]
        return Call("GET", f"{collection.path}/feedback", parse, tuple(query))

    count = Call("GET", f"{collection.path}/feedback", lambda reply: int(reply.json()["count"]), (("limit", "0"),))
    return Paging(ask, page, count)


def delete_feedback(
    collection: CollectionRef,
    numbers: Iterable[int] | None = None,
    *,
    all: bool = False,  # noqa: A002  # the wire's name
) -> Call[int]:
    """Delete records of feedback by number, or all; a calibration that was made of them stays.

    Args:
        numbers: the numbers of the records; unknown ones are ignored.
        all: delete all records, in place of numbers.

    Returns:
        The number of deleted records.

    Raises:
        Invalid: both numbers and `all` were given, or neither.

    Example:
        >>> collection.delete_feedback([1, 2])
    """
    selection = {"all": all} if numbers is None else {"numbers": [*numbers], "all": all}
    return Call(
        "POST",
        f"{collection.path}/feedback/delete",
        lambda reply: int(reply.json()["deleted"]),
        content=encode_json(selection),
        idempotent=True,
        timeout=WRITE_TIMEOUT,
    )
