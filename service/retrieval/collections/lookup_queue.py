"""Who is answered next: the questions to one collection that arrive while a scan runs form the next batch."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from attention.errors import AttentionError
from attention.lookup import Answer, Question, answers
from service.retrieval.collections.collection import Collection, Snapshot
from service.retrieval.errors import InvalidContent, RetrievalError
from service.storage import DocumentDamaged

MOST_QUESTIONS = 256  # of one batch: what waits longer than such a scan would be better off in its own


@dataclass(frozen=True, eq=False)
class Ask:
    """One caller's questions, made on the batch's version of the collection, and what becomes of their answers."""

    questions: Callable[[Snapshot], list[Question]]
    finish: Callable[[Snapshot, list[Answer]], Any]
    size: int
    future: asyncio.Future[Any] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Lookups:
    """Feeds the scans of one collection; work-conserving, without a timer, off the event loop.

    A batch has one version of the collection, taken when it begins: after every write that was acknowledged
    before any of its questions arrived. A cancelled question leaves; one that fails, fails alone.
    """

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self._waiting: list[Ask] = []
        self._runner: asyncio.Task[None] | None = None

    async def ask(self, ask: Ask) -> Any:
        """What `ask.finish` made of the answers."""
        self._waiting.append(ask)
        if self._runner is None:
            self._runner = asyncio.create_task(self._run())
        return await ask.future

    async def _run(self) -> None:
        try:
            while batch := self._next_batch():
                for ask, outcome in zip(batch, await self._answered(batch), strict=True):
                    if ask.future.done():
                        continue
                    if isinstance(outcome, Exception):
                        ask.future.set_exception(outcome)
                    else:
                        ask.future.set_result(outcome)
        finally:
            self._runner = None

    def _next_batch(self) -> list[Ask]:
        waiting = [ask for ask in self._waiting if not ask.future.done()]
        batch, size = list[Ask](), 0
        for ask in waiting:
            if batch and size + ask.size > MOST_QUESTIONS:
                break
            batch.append(ask)
            size += ask.size
        self._waiting = waiting[len(batch) :]
        return batch

    async def _answered(self, batch: Sequence[Ask]) -> list[Any]:
        try:
            return await asyncio.to_thread(_answer, self._collection, batch)
        except Exception as error:  # whatever it is, it belongs to those who wait for it
            return [error] * len(batch)


def _answer(collection: Collection, batch: Sequence[Ask]) -> list[Any]:
    """An outcome an ask, in order: what it finished with, or its error."""
    with collection.snapshot() as snapshot:
        asked = [_guarded(ask.questions, snapshot) for ask in batch]
        together = [question for questions in asked if isinstance(questions, list) for question in questions]
        found = _guarded(answers, snapshot.view, together)
        if isinstance(found, Exception):  # someone's question is to blame: each alone finds out whose
            return [_alone(collection, ask, snapshot, questions) for ask, questions in zip(batch, asked, strict=True)]
        rest = iter(found)
        return [
            questions
            if isinstance(questions, Exception)
            else _finished(collection, ask, snapshot, list(islice(rest, len(questions))))
            for ask, questions in zip(batch, asked, strict=True)
        ]


def _alone(collection: Collection, ask: Ask, snapshot: Snapshot, questions: Any) -> Any:
    found = questions if isinstance(questions, Exception) else _guarded(answers, snapshot.view, questions)
    return found if isinstance(found, Exception) else _finished(collection, ask, snapshot, found)


def _finished(collection: Collection, ask: Ask, snapshot: Snapshot, found: list[Answer]) -> Any:
    try:
        return _guarded(ask.finish, snapshot, found)
    except DocumentDamaged as error:  # of one answer's documents: the others may have theirs
        collection.damage.note(error)
        return error


def _guarded(work: Callable[..., Any], *arguments: Any) -> Any:
    """What the work gives, or the error that belongs to who asked for it."""
    try:
        return work(*arguments)
    except RetrievalError as error:
        return error
    except AttentionError as error:
        return InvalidContent.at("", str(error))
