"""Labelled questions asked of a collection, and what they say of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from xxhash import xxh3_64_intdigest

from attention.lookup import Answer, Background, similarities_of
from service.retrieval.calibration import WORDS, Assessed, Calibration, Documents, Profiling, assess
from service.retrieval.collections import Catalogue, Snapshot, encoder_background, null_of
from service.retrieval.errors import Flaw, InvalidContent
from service.retrieval.queries.question import Array, check_queries, check_whole, encode_queries
from service.storage import CollectionRecord
from service.threads import ARRAYS, WRITES

FEWEST_LABELS = 50
FEWEST_OF_A_KIND = 10
"""Questions with an answer, and questions without one: of fewer no fold of five has two."""

MOST_LABELS = 10_000
TOGETHER = 16
"""Questions whose similarities are read at once."""

MOST_SIMILARITIES = 1 << 24
"""Of all questions of such a batch, 8 bytes each; of a larger collection they come one by one."""

ENCODED = 256
"""Texts that are encoded at a time, so that others come in between."""


@dataclass(frozen=True)
class LabelledQuestion:
    """A text or a vector [d], and the ids of the documents that answer it; none where it has no answer."""

    query: str | Array
    ids: tuple[str, ...]


@dataclass(frozen=True)
class Calibrated:
    """What was found of a collection.

    Attributes:
        calibration: as it would be kept.
        assessed: what it gains.
        applied: whether it is kept.
        reason: why not, where that was asked.
    """

    calibration: Calibration
    assessed: Assessed
    applied: bool
    reason: str | None


async def calibrate_collection(
    catalogue: Catalogue, name: str, questions: Sequence[LabelledQuestion], *, apply: bool
) -> Calibrated:
    """Fit a temperature, null level, λ, confidence and sets to labelled questions; `apply` keeps them where they gain.

    Raises:
        InvalidContent: too few questions, or too many; one that does not fit the collection; an id that it has not.
        RetrievalError: the collection cannot be asked.
    """
    collection = catalogue.collection(name)
    record = collection.record
    check_labels(questions)
    if not 0 < record.settings.temperature < math.inf:
        raise InvalidContent.at(
            "",
            f"the temperature of {name!r} is {record.settings.temperature}, at which weights say nothing of how sure "
            "they are: PATCH it to a number above 0 first",
        )
    pointers = [f"/questions/{i}/query" for i in range(len(questions))]
    vectors = list[Array]()
    for start in range(0, len(questions), ENCODED):
        some = slice(start, start + ENCODED)
        queries = [each.query for each in questions[some]]
        vectors += await encode_queries(collection.encoder, record, queries, pointers[some])
    check_queries(record, vectors, pointers)
    background = await encoder_background(collection.encoder, record, None)
    words = WORDS if all(isinstance(each.query, str) for each in questions) else WORDS[:1]
    profiling = Profiling(record.settings.temperature, max(collection.keys, 1), words)
    together = max(1, min(TOGETHER, MOST_SIMILARITIES // max(collection.keys, 1)))
    null: float | Background | None = None
    for start in range(0, len(questions), together):
        some = slice(start, start + together)
        batch = _Batch(questions[some], np.stack(vectors[some]), start, profiling, background)
        null = await collection.lookups.ask(lambda snapshot: [], batch.look_up, size=together)
    order = np.array([_order(vector) for vector in vectors])
    logit = _null_logit(null, record.settings.temperature, profiling.keys)
    assessed = await ARRAYS.run(lambda: assess(profiling.made(), order, logit))
    found = _calibration(record, questions, assessed, profiling.temperature(assessed.plain.cell))
    reason = None if assessed.gains else _no_gain(assessed)
    if apply and reason is None:
        changes = {"temperature": found.temperature, "null": "calibrated", "calibration": found.text()}
        await WRITES.run(catalogue.change, name, changes)
    return Calibrated(found, assessed, apply and reason is None, reason if apply else None)


@dataclass(frozen=True)
class _Batch:
    """Some of the questions, from the place `start` on."""

    questions: Sequence[LabelledQuestion]
    vectors: Array
    start: int
    profiling: Profiling
    background: Background | None

    def look_up(self, snapshot: Snapshot, _: list[Answer]) -> float | Background | None:
        """Take their profiles from one version of the collection; the null key that it is served with."""
        check_whole(snapshot)
        record, reader = snapshot.record, snapshot.reader
        if not snapshot.view.documents:
            raise InvalidContent.at("/questions", f"no document of {record.name!r} has a key: write some first")
        found = similarities_of(snapshot.view, self.vectors)
        order = np.argsort(found.owners, kind="stable")
        documents = Documents.of(found.owners[order])
        rows = reader.existing(record.id, sorted({identity for each in self.questions for identity in each.ids}))
        for i, question in enumerate(self.questions):
            right = self._rows(question, rows, documents, self.start + i)
            ranks = None
            if self.profiling.has_words and isinstance(question.query, str):
                ranks = reader.search(record.id).ranks(question.query)
            similarities = found.similarities[i][order]
            self.profiling.add(similarities, documents, ranks, right, lambda some: reader.ids(record.id, some))
        null, _standing = null_of(record, snapshot.own, None, self.background)
        return null

    def _rows(self, question: LabelledQuestion, rows: Mapping[str, int], documents: Documents, place: int) -> Array:
        """The row numbers of the documents that answer a question, which must be there and have a key."""
        flaws = [
            Flaw(
                f"/questions/{place}/ids/{i}",
                f"there is no document {identity!r} with a key: a question whose document is gone is none without an "
                "answer, so leave it out",
            )
            for i, identity in enumerate(question.ids)
            if identity not in rows or not documents.has(rows[identity])
        ]
        if flaws:
            raise InvalidContent(flaws)
        return np.array([rows[identity] for identity in question.ids], dtype=np.int64)


def check_labels(questions: Sequence[LabelledQuestion]) -> None:
    """Refuse too few labels, too many, or too few of a kind."""
    present = sum(bool(each.ids) for each in questions)
    absent = len(questions) - present
    if len(questions) > MOST_LABELS:
        raise InvalidContent.at(
            "/questions", f"{len(questions)} questions came, at most {MOST_LABELS} are taken: send a sample of them"
        )
    if len(questions) < FEWEST_LABELS or min(present, absent) < FEWEST_OF_A_KIND:
        raise InvalidContent.at(
            "/questions",
            f"{present} questions with an answer came and {absent} without one: wanted at least {FEWEST_LABELS}, and "
            f"of either kind at least {FEWEST_OF_A_KIND}",
        )


def _calibration(
    record: CollectionRecord, questions: Sequence[LabelledQuestion], assessed: Assessed, temperature: float
) -> Calibration:
    present = sum(bool(each.ids) for each in questions)
    kept = Calibration.read(record.settings.calibration)
    was = (record.settings.temperature, record.settings.null)
    return Calibration(
        documents=record.attendable,
        encoder=record.settings.encoder,
        temperature=temperature,
        full_text=0.0 if assessed.words is None else WORDS[assessed.words.cell[0]],
        present=present,
        absent=len(questions) - present,
        plain=assessed.plain.variant,
        words=None if assessed.words is None else assessed.words.variant,
        was=was if kept is None else kept.was,
    )


def _null_logit(null: float | Background | None, temperature: float, keys: int) -> float:
    """The logarithm of what the null key weighs, in the unit of the log-partitions."""
    if null is None:
        return -math.inf
    if isinstance(null, Background):
        return null.null_key(temperature, keys).logit(0.0, temperature)
    return null / temperature


def _no_gain(assessed: Assessed) -> str:
    (value, error), (surer, doubt) = assessed.gained.known, assessed.surer.known
    found = f"label_loss fell by {value:.4f}, with a standard error of {error:.4f}"
    found += f", and log_loss by {surer:.4f}, with one of {doubt:.4f}"
    return f"{found}: that is no gain; send more labelled questions, or stay with what is"


def _order(vector: Array) -> int:
    return int(xxh3_64_intdigest(np.ascontiguousarray(vector).tobytes())) >> 1
