"""Calibration of a collection by labelled questions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias, TypeGuard

import numpy as np
from xxhash import xxh3_64_intdigest

from attention.lookup import Answer, Background, similarities_of
from service.encoding import Backgrounds
from service.retrieval.calibration import (
    FULL_TEXT_WEIGHTS,
    Calibration,
    DocumentKeys,
    Evaluation,
    LabelSource,
    ProfileBuilder,
    evaluate,
)
from service.retrieval.collections import (
    AnyCatalogue,
    AnyCollection,
    NullKey,
    Snapshot,
    get_encoder_backgrounds,
    resolve_null,
)
from service.retrieval.errors import Flaw, InvalidContent
from service.retrieval.queries.question import Array, check_complete, check_queries, check_texts, encode_queries
from service.retrieval.queries.terms import fits_full_text
from service.scheduling import ARRAYS, WRITES
from service.storage import CollectionRecord

MIN_LABELS = 50
MIN_LABELS_PER_KIND = 10
"""The least number of questions with an answer, and of those without; with fewer, some of the five folds has less
than two.
"""

MAX_LABELS = 10_000
MAX_BATCH_QUESTIONS = 16
"""Questions whose similarities are computed at once."""

MAX_BATCH_SIMILARITIES = 1 << 24
"""The most similarities of such a batch, 8 bytes each; in a larger collection questions are computed one by one."""

ENCODING_BATCH = 256
"""Texts that are encoded at a time, so that other callers get their turn in between."""


@dataclass(frozen=True)
class LabelledQuestion:
    """A question with known answers, to which a calibration is fitted.

    Attributes:
        query: a text, or a vector [d].
        ids: the ids of the documents that answer it; empty if it has no answer.
        pointers: the position of each id in the request.
    """

    query: str | Array
    ids: tuple[str, ...]
    pointers: tuple[str, ...] = ()


NumberedQuestion: TypeAlias = tuple[int, LabelledQuestion]
"""A question and its index in the request."""


@dataclass(frozen=True)
class CalibrationResult:
    """The result of a calibration.

    Attributes:
        calibration: the calibration that would be stored.
        assessed: the metrics of the calibration.
        applied: whether the calibration was stored.
        reason: why the calibration is not worth storing; None if it is.
    """

    calibration: Calibration
    assessed: Evaluation
    applied: bool
    reason: str | None


async def calibrate_collection(
    catalogue: AnyCatalogue,
    name: str,
    questions: Sequence[LabelledQuestion],
    *,
    source: LabelSource = "labels",
    now: float,
    apply: bool,
) -> CalibrationResult:
    """Fit a calibration to labelled questions: temperature, null key, weight of full text, confidences and answer sets.

    Args:
        catalogue: the collections.
        name: the collection to calibrate.
        questions: questions with the ids of the documents that answer them.
        source: where the questions come from.
        now: the time, in seconds of Unix time.
        apply: whether to store the result if it improves the answers.

    Raises:
        InvalidContent: too few or too many questions, a question that does not fit the collection, or an unknown id.
        NothingToRead: the encoder can read nothing of some questions.
        RetrievalError: the collection cannot be queried.
    """
    collection = catalogue.collection(name)
    record = collection.record
    if len(questions) > MAX_LABELS:
        raise InvalidContent.at(
            "/questions", f"{len(questions)} questions came, at most {MAX_LABELS} are taken: send a sample of them"
        )
    if not 0 < record.settings.temperature < math.inf:
        raise InvalidContent.at(
            "",
            f"the temperature of {name!r} is {record.settings.temperature}, at which weights say nothing of how sure "
            "they are: PATCH it to a number above 0 first",
        )
    numbered = _deduplicate(questions)
    check_texts(record, [question.query for _, question in numbered], [f"/questions/{i}/query" for i, _ in numbered])
    check_labels([question for _, question in numbered], len(questions))
    keys = await ARRAYS.run(lambda: collection.keys)
    if not keys:
        raise InvalidContent.at("/questions", f"no document of {name!r} has a key: write some first")
    vectors = await _encode(collection, numbered)
    backgrounds = await get_encoder_backgrounds(collection.encoders, record, None)
    words = FULL_TEXT_WEIGHTS if any(_has_words(question.query) for _, question in numbered) else FULL_TEXT_WEIGHTS[:1]
    profiling = ProfileBuilder(record.settings.temperature, keys, words)
    batch_size = max(1, min(MAX_BATCH_QUESTIONS, MAX_BATCH_SIMILARITIES // keys))
    nulls = list[float | Background | None]()
    for start in range(0, len(numbered), batch_size):
        selected = slice(start, start + batch_size)
        batch = _Batch(numbered[selected], np.stack(vectors[selected]), profiling.has_words, backgrounds)
        null, similarities = await collection.lookups.ask(lambda snapshot: [], batch.look_up, size=batch_size)
        nulls += [null.of(question.query) for _, question in batch.asked]
        await ARRAYS.run(partial(_add_profiles, profiling, similarities))
    order = np.array([_hash_order(vector) for vector in vectors])
    logits = np.array(
        [_compute_null_logit(question, record.settings.temperature, profiling.keys) for question in nulls]
    )
    stored = Calibration.read(record.settings.calibration)
    served = stored.plain if stored is not None and stored.temperature == record.settings.temperature else None
    assessed = await ARRAYS.run(lambda: evaluate(profiling.build(), order, logits, served))
    temperature = profiling.temperature(assessed.plain.cell)
    calibration = _build_calibration(record, numbered, assessed, temperature, source=source, now=now)
    reason = None if assessed.gains else _explain_no_gain(assessed)
    if apply and reason is None:
        changes = {"temperature": calibration.temperature, "null": "calibrated", "calibration": calibration.text()}
        await WRITES.run(partial(catalogue.change, name, changes, of=record))
    return CalibrationResult(calibration, assessed, apply and reason is None, reason)


def _deduplicate(questions: Sequence[LabelledQuestion]) -> list[NumberedQuestion]:
    """Return each question once, with all its answers and its first index.

    Raises:
        InvalidContent: the same question comes with an answer and without one.
    """
    distinct = dict[str | bytes, NumberedQuestion]()
    for i, question in enumerate(questions):
        key = question.query if isinstance(question.query, str) else question.query.tobytes()
        index, first = distinct.setdefault(key, (i, question))
        if bool(first.ids) != bool(question.ids):
            reason = f"the same question stands at /questions/{index}, one with an answer and one without"
            raise InvalidContent.at(f"/questions/{i}", f"{reason}: leave one of them out")
        ids = dict(zip(question.ids, question.pointers, strict=True)) | dict(
            zip(first.ids, first.pointers, strict=True)
        )
        distinct[key] = index, LabelledQuestion(first.query, tuple(ids), tuple(ids.values()))
    return [*distinct.values()]


def _has_words(query: str | Array) -> TypeGuard[str]:
    """Return whether documents can be ranked in full text for the query."""
    return isinstance(query, str) and fits_full_text(query)


async def _encode(collection: AnyCollection, questions: Sequence[NumberedQuestion]) -> list[Array]:
    """Encode the queries as vectors [d] that fit the collection."""
    pointers = [f"/questions/{i}/query" for i, _ in questions]
    vectors = list[Array]()
    for start in range(0, len(questions), ENCODING_BATCH):
        selected = slice(start, start + ENCODING_BATCH)
        queries = [question.query for _, question in questions[selected]]
        encoded = await encode_queries(collection.encoders, collection.record, queries, pointers[selected])
        vectors += [query.vector for query in encoded]
    check_queries(collection.record, vectors, pointers)
    return vectors


@dataclass(frozen=True)
class _QuestionSimilarities:
    """The similarities of one labelled question to all keys, and its answers: the arguments of `ProfileBuilder.add`."""

    similarities: Array
    documents: DocumentKeys
    ranks: tuple[Array, Array] | None
    right: Array
    by_id: Array


def _add_profiles(profiling: ProfileBuilder, similarities: Sequence[_QuestionSimilarities]) -> None:
    for question in similarities:
        profiling.add(question.similarities, question.documents, question.ranks, question.right, question.by_id)


@dataclass(frozen=True)
class _Batch:
    """A batch of labelled questions, with their indices in the request."""

    asked: Sequence[NumberedQuestion]
    vectors: Array
    with_words: bool
    backgrounds: Backgrounds | None

    def look_up(self, snapshot: Snapshot, _: list[Answer]) -> tuple[NullKey, list[_QuestionSimilarities]]:
        """Return the collection's null key, and the similarities of each question of the batch to all keys.

        Args:
            snapshot: the version of the collection to read.
        """
        check_complete(snapshot)
        record, reader = snapshot.record, snapshot.reader
        rows = similarities_of(snapshot.view, self.vectors)
        order = np.argsort(rows.owners, kind="stable")
        documents = DocumentKeys.of(rows.owners[order])
        existing = reader.existing(
            record.id, sorted({identity for _, labelled in self.asked for identity in labelled.ids})
        )
        results = list[_QuestionSimilarities]()
        for (_index, question), row in zip(self.asked, rows.similarities, strict=True):
            right = _find_answer_rows(question, existing, documents)
            ranks = None
            if self.with_words and _has_words(question.query):
                ranks = reader.search(record.id).ranks(question.query)
            similarities = row[order]
            by_id = documents.by_id(similarities, right, partial(reader.ids, record.id))
            results.append(_QuestionSimilarities(similarities, documents, ranks, right, by_id))
        return resolve_null(record, snapshot.own, None, self.backgrounds), results


def _find_answer_rows(question: LabelledQuestion, rows: Mapping[str, int], documents: DocumentKeys) -> Array:
    """Return the row numbers of the documents that answer a question.

    Args:
        question: the question, with the ids of these documents.
        rows: row numbers by id.
        documents: the documents that have keys.

    Raises:
        InvalidContent: one of the documents has no key.
    """
    flaws = [
        Flaw(
            pointer,
            f"there is no document {identity!r} with a key: a question whose document is gone is none without an "
            "answer, so leave it out",
        )
        for identity, pointer in zip(question.ids, question.pointers, strict=True)
        if identity not in rows or not documents.has(rows[identity])
    ]
    if flaws:
        raise InvalidContent(flaws)
    return np.array([rows[identity] for identity in question.ids], dtype=np.int64)


def check_labels(questions: Sequence[LabelledQuestion], total: int) -> None:
    """Raise InvalidContent if there are too few questions, in all or with or without an answer.

    Args:
        questions: different questions.
        total: the number of questions that were sent, duplicates included.
    """
    present = sum(bool(question.ids) for question in questions)
    absent = len(questions) - present
    if len(questions) < MIN_LABELS or min(present, absent) < MIN_LABELS_PER_KIND:
        again = f", and {total - len(questions)} that were said before" if total > len(questions) else ""
        raise InvalidContent.at(
            "/questions",
            f"{present} questions with an answer came and {absent} without one{again}: wanted at least "
            f"{MIN_LABELS}, and of either kind at least {MIN_LABELS_PER_KIND}",
        )


def _build_calibration(
    record: CollectionRecord,
    questions: Sequence[NumberedQuestion],
    assessed: Evaluation,
    temperature: float,
    *,
    source: LabelSource,
    now: float,
) -> Calibration:
    present = sum(bool(question.ids) for _, question in questions)
    before = record.settings.temperature, record.settings.null
    if (stored := Calibration.read(record.settings.calibration)) is not None:
        unchanged = before[0] == stored.temperature, before[1] == "calibrated"
        before = stored.was[0] if unchanged[0] else before[0], stored.was[1] if unchanged[1] else before[1]
    return Calibration(
        documents=record.attendable,
        encoder=record.settings.encoder,
        temperature=temperature,
        full_text=0.0 if assessed.words is None else FULL_TEXT_WEIGHTS[assessed.words.cell[0]],
        present=present,
        absent=len(questions) - present,
        plain=assessed.plain.variant,
        words=None if assessed.words is None else assessed.words.variant,
        was=before,
        source=source,
        at=now,
    )


def _compute_null_logit(null: float | Background | None, temperature: float, keys: int) -> float:
    """Return the logit of the null key ("none of these"); −∞ without one.

    Args:
        null: its similarity, or the background (similarities of unrelated texts) from which one follows; None without a
            null key.
        temperature: above 0.
        keys: the number of keys that queries attend to.
    """
    if null is None:
        return -math.inf
    if isinstance(null, Background):
        return null.null_key(temperature, keys).logit(0.0, temperature)
    return null / temperature


def _explain_no_gain(assessed: Evaluation) -> str:
    metrics = {"label_loss": assessed.gained.pair, "log_loss": assessed.surer.pair}
    changes = " and ".join(
        f"{name} {'rose' if fell < 0 else 'fell'} by {abs(fell):.4f} ± {error:.4f}"
        for name, (fell, error) in metrics.items()
    )
    return (
        f"{changes}: wanted label_loss to fall by more than its standard error, or log_loss by more than its own and "
        "label_loss not to rise by more than twice its own; send more labelled questions, or stay with what is"
    )


def _hash_order(vector: Array) -> int:
    return int(xxh3_64_intdigest(np.ascontiguousarray(vector).tobytes())) >> 1
