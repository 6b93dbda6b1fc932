"""Labelled questions asked of a collection, and what they say of it."""

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
    ProfileBuilder,
    evaluate,
)
from service.retrieval.collections import (
    Catalogue,
    Collection,
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
"""Questions with an answer, and questions without one: of fewer no fold of five has two."""

MAX_LABELS = 10_000
MAX_BATCH_QUESTIONS = 16
"""Questions whose similarities are read at once."""

MAX_BATCH_SIMILARITIES = 1 << 24
"""Of all questions of such a batch, 8 bytes each; of a larger collection they come one by one."""

ENCODING_BATCH = 256
"""Texts that are encoded at a time, so that others come in between."""


@dataclass(frozen=True)
class LabelledQuestion:
    """A text or a vector [d], and the ids of the documents that answer it; none where it has no answer.

    Attributes:
        pointers: where each of the ids stands in the request.
    """

    query: str | Array
    ids: tuple[str, ...]
    pointers: tuple[str, ...] = ()


NumberedQuestion: TypeAlias = tuple[int, LabelledQuestion]
"""A question, and its place in the request."""


@dataclass(frozen=True)
class CalibrationResult:
    """What was found of a collection.

    Attributes:
        calibration: as it would be kept.
        assessed: what it gains.
        applied: whether it is kept.
        reason: why it is not worth keeping; None where it is.
    """

    calibration: Calibration
    assessed: Evaluation
    applied: bool
    reason: str | None


async def calibrate_collection(
    catalogue: Catalogue, name: str, questions: Sequence[LabelledQuestion], *, apply: bool
) -> CalibrationResult:
    """Fit a temperature, null level, λ, confidence and sets to labelled questions; `apply` keeps them where they gain.

    Raises:
        InvalidContent: too few questions, or too many; one that does not fit the collection; an id that it has not.
        NothingToRead: questions of which the encoder can read nothing.
        RetrievalError: the collection cannot be asked.
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
    asked = _deduplicate(questions)
    check_texts(record, [each.query for _, each in asked], [f"/questions/{i}/query" for i, _ in asked])
    check_labels([each for _, each in asked], len(questions))
    keys = await ARRAYS.run(lambda: collection.keys)
    if not keys:
        raise InvalidContent.at("/questions", f"no document of {name!r} has a key: write some first")
    vectors = await _encode(collection, asked)
    backgrounds = await get_encoder_backgrounds(collection.encoder, record, None)
    words = FULL_TEXT_WEIGHTS if any(_has_words(each.query) for _, each in asked) else FULL_TEXT_WEIGHTS[:1]
    profiling = ProfileBuilder(record.settings.temperature, keys, words)
    together = max(1, min(MAX_BATCH_QUESTIONS, MAX_BATCH_SIMILARITIES // keys))
    nulls = list[float | Background | None]()
    for start in range(0, len(asked), together):
        some = slice(start, start + together)
        batch = _Batch(asked[some], np.stack(vectors[some]), profiling.has_words, backgrounds)
        null, found = await collection.lookups.ask(lambda snapshot: [], batch.look_up, size=together)
        nulls += [null.of(question.query) for _, question in batch.asked]
        await ARRAYS.run(partial(_add_profiles, profiling, found))
    order = np.array([_hash_order(vector) for vector in vectors])
    logits = np.array([_compute_null_logit(each, record.settings.temperature, profiling.keys) for each in nulls])
    kept = Calibration.read(record.settings.calibration)
    served = kept.plain if kept is not None and kept.temperature == record.settings.temperature else None
    assessed = await ARRAYS.run(lambda: evaluate(profiling.made(), order, logits, served))
    calibration = _build_calibration(record, asked, assessed, profiling.temperature(assessed.plain.cell))
    reason = None if assessed.gains else _explain_no_gain(assessed)
    if apply and reason is None:
        changes = {"temperature": calibration.temperature, "null": "calibrated", "calibration": calibration.text()}
        await WRITES.run(partial(catalogue.change, name, changes, of=record))
    return CalibrationResult(calibration, assessed, apply and reason is None, reason)


def _deduplicate(questions: Sequence[LabelledQuestion]) -> list[NumberedQuestion]:
    """Each question once, with all that answers it, and its first place.

    Raises:
        InvalidContent: one that has an answer and has none.
    """
    found = dict[str | bytes, NumberedQuestion]()
    for i, each in enumerate(questions):
        meant = each.query if isinstance(each.query, str) else each.query.tobytes()
        place, first = found.setdefault(meant, (i, each))
        if bool(first.ids) != bool(each.ids):
            what = f"the same question stands at /questions/{place}, one with an answer and one without"
            raise InvalidContent.at(f"/questions/{i}", f"{what}: leave one of them out")
        ids = dict(zip(each.ids, each.pointers, strict=True)) | dict(zip(first.ids, first.pointers, strict=True))
        found[meant] = place, LabelledQuestion(first.query, tuple(ids), tuple(ids.values()))
    return [*found.values()]


def _has_words(query: str | Array) -> TypeGuard[str]:
    """Whether documents can be ranked by its words."""
    return isinstance(query, str) and fits_full_text(query)


async def _encode(collection: Collection, asked: Sequence[NumberedQuestion]) -> list[Array]:
    """The queries as vectors [d], which fit the collection."""
    pointers = [f"/questions/{i}/query" for i, _ in asked]
    vectors = list[Array]()
    for start in range(0, len(asked), ENCODING_BATCH):
        some = slice(start, start + ENCODING_BATCH)
        queries = [each.query for _, each in asked[some]]
        encoded = await encode_queries(collection.encoder, collection.record, queries, pointers[some])
        vectors += [query.vector for query in encoded]
    check_queries(collection.record, vectors, pointers)
    return vectors


@dataclass(frozen=True)
class _QuestionSimilarities:
    """What a lookup finds of one question, see `ProfileBuilder.add`."""

    similarities: Array
    documents: DocumentKeys
    ranks: tuple[Array, Array] | None
    right: Array
    by_id: Array


def _add_profiles(profiling: ProfileBuilder, found: Sequence[_QuestionSimilarities]) -> None:
    for each in found:
        profiling.add(each.similarities, each.documents, each.ranks, each.right, each.by_id)


@dataclass(frozen=True)
class _Batch:
    """Some of the questions, each with its place in the request."""

    asked: Sequence[NumberedQuestion]
    vectors: Array
    with_words: bool
    backgrounds: Backgrounds | None

    def look_up(self, snapshot: Snapshot, _: list[Answer]) -> tuple[NullKey, list[_QuestionSimilarities]]:
        """What one version of the collection says of them, and the null key that it is served with."""
        check_complete(snapshot)
        record, reader = snapshot.record, snapshot.reader
        found = similarities_of(snapshot.view, self.vectors)
        order = np.argsort(found.owners, kind="stable")
        documents = DocumentKeys.of(found.owners[order])
        existing = reader.existing(record.id, sorted({identity for _, each in self.asked for identity in each.ids}))
        told = list[_QuestionSimilarities]()
        for (_place, question), row in zip(self.asked, found.similarities, strict=True):
            right = _find_answer_rows(question, existing, documents)
            ranks = None
            if self.with_words and _has_words(question.query):
                ranks = reader.search(record.id).ranks(question.query)
            similarities = row[order]
            by_id = documents.by_id(similarities, right, partial(reader.ids, record.id))
            told.append(_QuestionSimilarities(similarities, documents, ranks, right, by_id))
        return resolve_null(record, snapshot.own, None, self.backgrounds), told


def _find_answer_rows(question: LabelledQuestion, rows: Mapping[str, int], documents: DocumentKeys) -> Array:
    """The row numbers of the documents that answer a question, which must be there and have a key."""
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


def check_labels(questions: Sequence[LabelledQuestion], came: int) -> None:
    """Refuse too few labels, or too few of a kind; of so many that came these are not said twice."""
    present = sum(bool(each.ids) for each in questions)
    absent = len(questions) - present
    if len(questions) < MIN_LABELS or min(present, absent) < MIN_LABELS_PER_KIND:
        again = f", and {came - len(questions)} that were said before" if came > len(questions) else ""
        raise InvalidContent.at(
            "/questions",
            f"{present} questions with an answer came and {absent} without one{again}: wanted at least "
            f"{MIN_LABELS}, and of either kind at least {MIN_LABELS_PER_KIND}",
        )


def _build_calibration(
    record: CollectionRecord, asked: Sequence[NumberedQuestion], assessed: Evaluation, temperature: float
) -> Calibration:
    present = sum(bool(each.ids) for _, each in asked)
    was = record.settings.temperature, record.settings.null
    if (kept := Calibration.read(record.settings.calibration)) is not None:
        own = was[0] == kept.temperature, was[1] == "calibrated"
        was = kept.was[0] if own[0] else was[0], kept.was[1] if own[1] else was[1]
    return Calibration(
        documents=record.attendable,
        encoder=record.settings.encoder,
        temperature=temperature,
        full_text=0.0 if assessed.words is None else FULL_TEXT_WEIGHTS[assessed.words.cell[0]],
        present=present,
        absent=len(asked) - present,
        plain=assessed.plain.variant,
        words=None if assessed.words is None else assessed.words.variant,
        was=was,
    )


def _compute_null_logit(null: float | Background | None, temperature: float, keys: int) -> float:
    """The logarithm of what the null key weighs, in the unit of the log-partitions."""
    if null is None:
        return -math.inf
    if isinstance(null, Background):
        return null.null_key(temperature, keys).logit(0.0, temperature)
    return null / temperature


def _explain_no_gain(assessed: Evaluation) -> str:
    both = {"label_loss": assessed.gained.known, "log_loss": assessed.surer.known}
    found = " and ".join(
        f"{name} {'rose' if fell < 0 else 'fell'} by {abs(fell):.4f} ± {error:.4f}"
        for name, (fell, error) in both.items()
    )
    return (
        f"{found}: wanted label_loss to fall by more than its standard error, or log_loss by more than its own and "
        "label_loss not to rise by more than twice its own; send more labelled questions, or stay with what is"
    )


def _hash_order(vector: Array) -> int:
    return int(xxh3_64_intdigest(np.ascontiguousarray(vector).tobytes())) >> 1
