"""Feedback: what callers say of answers, and the labels that follow.

A record says of one question and one document whether the document answers it; or, without a document, whether the
collection has no answer. When it comes, the service asks the collection the same question, and keeps which document was
first: a question whose first match is wrong, and whose right documents are unknown, is one without an answer.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from softkv.questions import Question
from softkv_service.retrieval.collections import Collection
from softkv_service.retrieval.documents import decode_cursor, encode_cursor
from softkv_service.retrieval.errors import Flaw, InvalidContent
from softkv_service.retrieval.queries import Array, Match, attend_collection, complete_question
from softkv_service.scheduling import WRITES
from softkv_service.storage import IdempotentWrite, Reader
from softkv_service.storage.records import FeedbackRecord, JSONText

QUESTIONS_AT_ONCE = 64
"""Questions of one request that are asked at a time, so that other callers get their turn in between."""

MAX_DIGITS = 19
"""Numbers of records have fewer digits, since they are below 2⁶³."""

_NEEDS_DOCUMENT = (
    "a key with a filter sees a part of the collection, so it cannot say that nothing answers: name a document"
)
_PAGE = 1000


@dataclass(frozen=True, eq=False)
class Judgement:
    """A caller's judgement of one question and one document.

    Attributes:
        query: a text, or a vector [d].
        id: the id of the document; None for "the collection has no answer".
        correct: whether that is right.
        pointer: the position in the request, for errors.
    """

    query: str | Array
    id: str | None
    correct: bool
    pointer: str

    def refuse(self, reason: str) -> Flaw:
        """Return the flaw of its document."""
        return Flaw(f"{self.pointer}/id", reason)


async def keep_feedback(
    collection: Collection,
    judgements: Sequence[Judgement],
    *,
    now: int,
    once: IdempotentWrite[int] | None = None,
) -> int:
    """Store what callers say of answers, with what the collection answers now; return how many records were stored.

    Args:
        collection: the collection as the caller sees it.
        judgements: at least one, of `leave_missing_out`.
        now: the time of the request, in microseconds of Unix time.
        once: makes a repeated request get its first answer; None without an Idempotency-Key.

    Raises:
        RetrievalError: a question does not fit the collection, or the collection cannot be queried.
    """
    observed = await _observe(collection, judgements, now)
    records = [
        FeedbackRecord(_encode_query(judgement.query), judgement.id, judgement.correct, now, observation)
        for judgement, observation in zip(judgements, observed, strict=True)
    ]
    return await WRITES.run(lambda: collection.write_feedback(records, once=once))


def leave_missing_out(collection: Collection, judgements: Sequence[Judgement]) -> tuple[list[Judgement], list[Flaw]]:
    """Return the judgements without those of missing documents, and a flaw for each of these; blocks.

    Raises:
        InvalidContent: all documents are missing, or the caller sees only a part of the collection and says that
            nothing answers.
    """
    if _is_part(collection) and (flaws := [one.refuse(_NEEDS_DOCUMENT) for one in judgements if one.id is None]):
        raise InvalidContent(flaws)
    with collection.reading() as (record, reader):
        existing = reader.existing(record.id, sorted({one.id for one in judgements if one.id is not None}))
    remaining = [one for one in judgements if one.id is None or one.id in existing]
    left_out = [
        one.refuse(f"there is no document {one.id!r}: leave feedback on deleted documents out")
        for one in judgements
        if one.id is not None and one.id not in existing
    ]
    if not remaining:
        raise InvalidContent(left_out)
    return remaining, left_out


def _is_part(collection: Collection) -> bool:
    """Return whether the caller sees only a part of the collection."""
    return collection.restriction.condition is not None


async def _observe(collection: Collection, judgements: Sequence[Judgement], now: int) -> list[JSONText | None]:
    """Return the collection's first match of each question, as JSON; None if the caller sees only a part of it."""
    answers = await _ask(collection, judgements, now)
    if _is_part(collection):
        return [None] * len(judgements)
    firsts = [matches[0].id if matches else None for matches in answers]
    return [JSONText(json.dumps({"first": first}, separators=(",", ":"))) for first in firsts]


async def _ask(collection: Collection, judgements: Sequence[Judgement], now: int) -> list[list[Match]]:
    matches = list[list[Match]]()
    for start in range(0, len(judgements), QUESTIONS_AT_ONCE):
        batch = judgements[start : start + QUESTIONS_AT_ONCE]
        queries, pointers = [one.query for one in batch], [f"{one.pointer}/query" for one in batch]
        question, _ = complete_question(collection, Question(top_k=1, include=()), queries, now)
        matches += [result.matches for result in await attend_collection(collection, queries, question, pointers)]
    return matches


def _encode_query(query: str | Array) -> JSONText:
    return JSONText(json.dumps(query if isinstance(query, str) else query.tolist(), ensure_ascii=False))


def read_first(record: FeedbackRecord) -> str | None:
    """Return the first match of a record's question when the record came; None without one, or if it is unknown."""
    first: str | None = None if record.observed is None else json.loads(record.observed).get("first")
    return first


def decode_query(record: FeedbackRecord) -> str | list[float]:
    """Return the question of a record, a text or the numbers of a vector."""
    query: str | list[float] = json.loads(record.query)
    return query


@dataclass(frozen=True)
class FeedbackPage:
    """A page of feedback, oldest first; `count` is the number of all records."""

    records: list[FeedbackRecord]
    next_cursor: str | None
    count: int


def page_feedback(collection: Collection, cursor: str | None, limit: int) -> FeedbackPage:
    """Return a page of the feedback of a collection; blocks.

    Raises:
        InvalidContent: the cursor is not that of a page.
    """
    after = decode_cursor(cursor, "")
    if after is not None and not (after.isascii() and after.isdecimal() and len(after) < MAX_DIGITS):
        raise InvalidContent.at("", "the cursor is not one of ours: send next_cursor as it came")
    with collection.reading() as (record, reader):
        records = reader.feedback(record.id, after=int(after or 0), limit=limit)
        count = reader.count_feedback(record.id)
        last = records[-1].number or 0 if records else 0
        # A page may be shorter than its limit, because damaged records are left out.
        more = bool(records) and reader.count_feedback(record.id, after=last) > 0
    return FeedbackPage(records, encode_cursor(str(last)) if more else None, count)


@dataclass(frozen=True)
class FeedbackLabels:
    """Labelled questions that follow from feedback.

    Attributes:
        answers: by question, as stored, the ids of the documents that answer it; empty if the collection has no answer.
        undecided: the number of questions from which no label follows.
    """

    answers: Mapping[str, tuple[str, ...]]
    undecided: int


@dataclass
class _Votes:
    """The state of one question: documents that answer it, those that do not, and whether nothing does."""

    right: dict[str, None] = field(default_factory=dict)
    wrong: set[str] = field(default_factory=set)
    nothing: bool = False
    first: str | None = None

    def add(self, record: FeedbackRecord) -> None:
        """Add the next record, which outweighs those before it."""
        self.first = read_first(record) or self.first
        if record.document is None:
            self.nothing = record.correct
            if record.correct:
                self.right.clear()
        elif record.correct:
            self.nothing = False
            self.right[record.document] = None
            self.wrong.discard(record.document)
        else:
            self.right.pop(record.document, None)
            self.wrong.add(record.document)


def label_feedback(records: Iterable[FeedbackRecord]) -> FeedbackLabels:
    """Return the labelled questions that follow from records of feedback, in the order in which they came.

    If records contradict each other, the latest counts. A question whose right documents are unknown has no answer if
    its first match was said to be wrong: then to abstain is right. Otherwise nothing follows from it.
    """
    votes = dict[str, _Votes]()
    for record in records:
        votes.setdefault(record.query, _Votes()).add(record)
    decided = {
        query: tuple(vote.right)
        for query, vote in votes.items()
        if vote.right or vote.nothing or (vote.first is not None and vote.first in vote.wrong)
    }
    return FeedbackLabels(decided, len(votes) - len(decided))


def read_labels(collection: Collection) -> FeedbackLabels:
    """Return the labels that follow from the feedback of a collection, on documents that were deleted since, too.

    Blocks.
    """
    with collection.reading() as (record, reader):
        return label_feedback(_read_all(reader, record.id))


def _read_all(reader: Reader, collection: int) -> Iterable[FeedbackRecord]:
    after = 0
    while page := reader.feedback(collection, after=after, limit=_PAGE):
        yield from page
        after = page[-1].number or 0
