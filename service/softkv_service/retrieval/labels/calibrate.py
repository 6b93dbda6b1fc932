"""Calibration of a collection by labelled questions."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias, TypeGuard

import numpy as np
from xxhash import xxh3_64_intdigest

from softkv.questions import RerankModel
from softkv_attention.lookup import HALF, Background, similarities_of
from softkv_service.encoding import EncoderFacts
from softkv_service.retrieval.calibration import (
    FULL_TEXT_WEIGHTS,
    USUAL_LATE,
    Bought,
    Calibration,
    DocumentKeys,
    Evaluation,
    LabelSource,
    ProfileBuilder,
    RerankedEvaluation,
    RerankerSettings,
    Variant,
    evaluate,
    evaluate_reranked,
    null_logit,
)
from softkv_service.retrieval.collections import Catalogue, Collection, Snapshot, get_null_encoder
from softkv_service.retrieval.errors import Flaw, InvalidContent
from softkv_service.retrieval.labels.feedback import FeedbackLabels, read_labels
from softkv_service.retrieval.labels.off_topic_questions import profile_off_topic
from softkv_service.retrieval.projection import read_projection
from softkv_service.retrieval.queries import (
    Array,
    HeadAddends,
    asks_with_late,
    check_complete,
    check_queries,
    check_texts,
    encode_queries,
    fits_full_text,
    read_query_heads,
    resolve_reranker,
)
from softkv_service.retrieval.verdict import CALIBRATED, ResolvedNull, resolve_null
from softkv_service.scheduling import ARRAYS, READS, WRITES
from softkv_service.storage.records import CollectionRecord

MIN_LABELS = 30
MIN_LABELS_PER_KIND = 10
"""The least number of questions with an answer, and of those without; with fewer, some of the five folds has less
than two.
"""

QUESTIONS_OF_GROUP, MAX_GROUPS = 3, 500
"""The mean number of neighbouring questions that are in the same fold, and the most such groups."""

MAX_LABELS = 10_000
MAX_RERANKED_LABELS = 100_000
"""Documents that a reranker reads for all questions of a calibration together, without the made ones."""

MAX_BATCH_QUESTIONS = 16
"""Questions whose similarities are computed at once."""

MAX_BATCH_SIMILARITIES = 1 << 24
"""The most similarities of such a batch, 8 bytes each; in a larger collection questions are computed one by one."""

SHOWN_CHARACTERS = 60
"""The most characters of a question that an error shows."""

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
        bought: what the labels bought, as the collection's questions are asked.
        reranked: the fit with a reranker, and its metrics; None without one.
        applied: whether the calibration was stored.
        reason: why the calibration is not worth storing; None if it is.
        left_out: the answers that do not count, since their documents are missing or have no key.
    """

    calibration: Calibration
    assessed: Evaluation
    bought: Bought
    reranked: RerankedEvaluation | None
    applied: bool
    reason: str | None
    left_out: tuple[Flaw, ...]


async def calibrate_collection(
    catalogue: Catalogue,
    name: str,
    questions: Sequence[LabelledQuestion],
    *,
    source: LabelSource = "labels",
    now: float,
    apply: bool,
    rerank: RerankModel | None = None,
) -> CalibrationResult:
    """Fit a calibration to labelled questions: temperature, null key, weights and confidences.

    Args:
        catalogue: the collections.
        name: the collection to calibrate.
        questions: questions with the ids of the documents that answer them, for the source "labels".
        source: where the questions come from.
        now: the time, in seconds of Unix time.
        apply: whether to store the result if it improves the answers.
        rerank: the reranker whose weight is fitted too. None for late interaction with the weight 1 if the collection's
            questions have it and are texts, otherwise without one.

    Raises:
        InvalidContent: too few or too many questions, or a question that does not fit the collection.
        NothingToRead: the encoder can read nothing of some questions.
        RetrievalError: the collection cannot be queried.
    """
    collection = catalogue.collection(name)
    record, keys = await _read_collection(collection, name, source)
    undecided, is_feedback = 0, source == "feedback"
    if is_feedback:
        labels = await READS.run(read_labels, collection)
        questions, undecided = _from_feedback(record, labels), labels.undecided
        questions = _leave_vectors_out(collection, questions, has_reranker=rerank is not None)
    reranker, weights = _choose_reranker(collection, rerank, questions)
    numbered, left_out = await READS.run(_leave_unknown_out, collection, questions)
    numbered = numbered[-MAX_LABELS:] if is_feedback else numbered
    try:
        distinct = _deduplicate(numbered)
        _check_questions(record, distinct)
        again, labelled = len(numbered) - len(distinct), [question for _, question in distinct]
        check_labels(labelled, left_out, source=source, again=again, undecided=undecided)
        job = _CalibrationJob(collection, record, keys, distinct, reranker, weights)
        fits = await job.run()
    except InvalidContent as error:
        raise _name_feedback(error, questions) if is_feedback else error from None
    calibration, reason = _judge_gain(record, fits.evaluation, job.build_calibration(fits, source=source, now=now))
    is_applied = apply and reason is None
    if is_applied:
        changes = {"temperature": calibration.temperature, "null": calibration.null, "calibration": calibration.text()}
        await WRITES.run(partial(catalogue.change, name, changes, of=record))
    bought = fits.evaluation.bought
    if rerank is None and fits.reranked is not None:  # questions have late interaction unless they say otherwise
        bought = fits.reranked.bought or bought
    return CalibrationResult(calibration, fits.evaluation, bought, fits.reranked, is_applied, reason, tuple(left_out))


async def _read_collection(collection: Collection, name: str, source: LabelSource) -> tuple[CollectionRecord, int]:
    """Return the record of a collection, and the number of its keys.

    Raises:
        InvalidContent: its temperature lets weights say nothing, or no document has a key.
    """
    record = await READS.run(_read_record, collection)
    if not 0 < record.settings.temperature < math.inf:
        raise InvalidContent.at(
            "",
            f"the temperature of {name!r} is {record.settings.temperature}, at which weights say nothing of how sure "
            "they are: PATCH it to a number above 0 first",
        )
    keys = await ARRAYS.run(lambda: collection.keys)
    if not keys:
        pointer = "/questions" if source == "labels" else "/from"
        raise InvalidContent.at(pointer, f"no document of {name!r} has a key: write some first")
    return record, keys


def _choose_reranker(
    collection: Collection, rerank: RerankModel | None, questions: Sequence[LabelledQuestion]
) -> tuple[RerankerSettings | None, tuple[float, ...]]:
    """Return the reranker whose weight is fitted too, None without one, and the weights to try.

    Without a choice it is late interaction, which then counts, if the questions have it.
    """
    if rerank is not None:
        chosen = replace(resolve_reranker(collection.record, collection.encoders, rerank), weight=1.0)
        return chosen, chosen.grid
    if asks_with_late(collection, [question.query for question in questions]):
        return replace(USUAL_LATE, weight=1.0), USUAL_LATE.grid[1:]
    return None, (0.0,)


def _leave_vectors_out(
    collection: Collection, questions: Sequence[LabelledQuestion], *, has_reranker: bool
) -> Sequence[LabelledQuestion]:
    """Return the questions from feedback that are texts, if a reranker or late interaction reads them; else all."""
    texts = [question for question in questions if isinstance(question.query, str)]
    reads_texts = has_reranker or (texts and asks_with_late(collection, [texts[0].query]))
    return texts if reads_texts else questions


def _judge_gain(
    record: CollectionRecord, assessed: Evaluation, calibration: Calibration
) -> tuple[Calibration, str | None]:
    """Return the calibration that is worth storing, and why there is none; None if there is.

    If the fit gains nothing, what it says of a reranker may still extend the stored calibration.
    """
    if assessed.gains:
        return calibration, None
    stored = _find_to_extend(record, calibration.rerank)
    if stored is None or calibration.reranked is None:
        return calibration, _explain_no_gain(assessed)
    return replace(stored, rerank=calibration.rerank, reranked=calibration.reranked), None


def _read_record(collection: Collection) -> CollectionRecord:
    """Return the record of a collection, which counts only documents that have not expired; blocks."""
    with collection.reading() as (record, reader):
        return collection.with_counts(record, reader)


def _check_questions(record: CollectionRecord, questions: Sequence[NumberedQuestion]) -> None:
    """Raise InvalidContent if there are too many questions, or if the collection cannot encode a text."""
    if len(questions) > MAX_LABELS:
        raise InvalidContent.at(
            "/questions",
            f"{len(questions)} different questions came, at most {MAX_LABELS} are taken: send a sample of them",
        )
    check_texts(record, [question.query for _, question in questions], [f"/questions/{i}/query" for i, _ in questions])


@dataclass(frozen=True)
class _Fits:
    """The fits to labelled questions of a collection.

    Attributes:
        evaluation: the fits without a reranker, and their metrics.
        temperature: the temperature of these fits.
        reranked: the fit with the reranker, and its metrics; None without a reranker.
    """

    evaluation: Evaluation
    temperature: float
    reranked: RerankedEvaluation | None


@dataclass(frozen=True)
class _CalibrationJob:
    """A calibration of a collection, from its labelled questions to what is stored.

    Attributes:
        collection: the collection.
        record: its record, to which the questions were checked.
        keys: the number of its keys.
        questions: different questions, with their indices in the request.
        reranker: the reranker whose weight is fitted too; None without one.
        weights: those of its weights that are tried.
    """

    collection: Collection
    record: CollectionRecord
    keys: int
    questions: Sequence[NumberedQuestion]
    reranker: RerankerSettings | None
    weights: tuple[float, ...]

    async def run(self) -> _Fits:
        """Ask the collection all questions, and fit to their profiles; see `calibrate_collection`."""
        vectors = await _encode(self.collection, self.record, self.questions)
        tables = _Tables(self.record.settings.temperature, self.keys, self._words, self.weights)
        await self._fill(tables, vectors)
        groups = group_neighbours(np.stack(vectors))
        evaluation = await self._evaluate(tables, groups)
        temperature = tables.plain.temperature(evaluation.plain.cell)
        if self.reranker is None:
            return _Fits(evaluation, temperature, None)
        # A reranker that extends the stored calibration is fitted at its temperature.
        extends = not evaluation.gains and _find_to_extend(self.record, self.reranker) is not None
        at_temperature = self.record.settings.temperature if extends else temperature
        heads = await _read_heads(self.collection, self.questions, self.reranker, at_temperature)
        await self._fill(tables, vectors, heads)
        reranked = await self._evaluate_reranked(tables, groups, self.reranker, at_temperature)
        return _Fits(evaluation, temperature, reranked)

    @property
    def _words(self) -> tuple[float, ...]:
        """The λ (weights of full text) to try: 0 alone if no question has words."""
        has_words = any(_has_words(question.query) for _, question in self.questions)
        return FULL_TEXT_WEIGHTS if has_words else FULL_TEXT_WEIGHTS[:1]

    async def _fill(
        self, tables: _Tables, vectors: Sequence[Array], heads: Sequence[HeadAddends] | None = None
    ) -> None:
        """Add all questions to a table, in batches, so that other callers get their turn in between.

        With what the reranker says of each question's best documents it is the table `reranked`, else `plain`.
        """
        encoder = await get_null_encoder(self.collection.encoders, self.record, None)
        batch_size = max(1, min(MAX_BATCH_QUESTIONS, MAX_BATCH_SIMILARITIES // self.keys))
        for start in range(0, len(self.questions), batch_size):
            selected = slice(start, start + batch_size)
            batch = _Batch(self.questions[selected], np.stack(vectors[selected]), tables.plain.has_words, encoder)
            null, similarities = await self.collection.read(batch.look_up, size=batch_size)
            if heads is not None:
                await ARRAYS.run(partial(tables.add_reranked, similarities, heads[selected]))
                continue
            tables.nulls += [
                null.of(question.query, vector)
                for (_, question), vector in zip(batch.asked, batch.vectors, strict=True)
            ]
            await ARRAYS.run(partial(_add_profiles, tables.plain, similarities))

    async def _evaluate(self, tables: _Tables, groups: Array) -> Evaluation:
        """Fit without a reranker, and measure what that gains on the collection as it is served."""
        settings = self.record.settings
        logits = np.array([null_logit(null, settings.temperature, self.keys) for null in tables.nulls])
        served = _read_served(self.record)
        off_topic = await profile_off_topic(self.collection, self.record, self.keys, self._words)
        may_keep_null = settings.null != CALIBRATED
        return await ARRAYS.run(
            lambda: evaluate(tables.plain.build(), groups, logits, served, off_topic, may_keep_null=may_keep_null)
        )

    async def _evaluate_reranked(
        self, tables: _Tables, groups: Array, reranker: RerankerSettings, temperature: float
    ) -> RerankedEvaluation:
        """Fit the weight of the reranker at one temperature, and measure what that gains."""
        made = await profile_off_topic(self.collection, self.record, self.keys, self.weights, reranker, temperature)
        off_topic = made and made.at(temperature)
        return await ARRAYS.run(lambda: evaluate_reranked(tables.reranked.build().at(temperature), groups, off_topic))

    def build_calibration(self, fits: _Fits, *, source: LabelSource, now: float) -> Calibration:
        """Return the calibration of these fits, as it would be stored.

        Args:
            fits: the fits.
            source: where the questions come from.
            now: the time, in seconds of Unix time.
        """
        settings, evaluation = self.record.settings, fits.evaluation
        stored, was = Calibration.read(settings.calibration), (settings.temperature, settings.null)
        if stored is not None:
            was = stored.undo(*was)
        present = sum(bool(question.ids) for _, question in self.questions)
        rerank, fit = self.reranker, fits.reranked and fits.reranked.fit
        if rerank is not None:
            rerank = replace(rerank, weight=0.0 if fit is None else self.weights[fit.cell[0]])
        return Calibration(
            documents=self.record.attendable,
            encoder=settings.encoder,
            temperature=fits.temperature,
            full_text=0.0 if evaluation.words is None else FULL_TEXT_WEIGHTS[evaluation.words.cell[0]],
            present=present,
            absent=len(self.questions) - present,
            plain=evaluation.plain.variant,
            words=None if evaluation.words is None else evaluation.words.variant,
            was=was,
            null=settings.null if evaluation.keeps_null else "calibrated",
            source=source,
            at=now,
            rerank=rerank,
            reranked=None if fit is None else fit.variant,
        )


class _Tables:
    """The tables of labelled questions to which a calibration is fitted, with the null key beside each question.

    Args:
        temperature: the collection's temperature.
        keys: the number of its keys.
        words: the λ (weights of full text) to try.
        weights: the weights of a reranker to try.
    """

    def __init__(self, temperature: float, keys: int, words: tuple[float, ...], weights: tuple[float, ...]) -> None:
        self.plain = ProfileBuilder(temperature, keys, words)
        self.reranked = ProfileBuilder(temperature, keys, weights, scored=True)
        self.nulls = list[float | Background | None]()

    def add_reranked(self, similarities: Sequence[_QuestionSimilarities], heads: Sequence[HeadAddends]) -> None:
        """Add questions with what the reranker says of their best documents; blocks."""
        pairs = zip(similarities, heads, strict=True)
        _add_profiles(self.reranked, [replace(one, ranks=(head.rows, head.logits)) for one, head in pairs])


async def _read_heads(
    collection: Collection, questions: Sequence[NumberedQuestion], reranker: RerankerSettings, temperature: float
) -> list[HeadAddends]:
    """Return what a reranker says of the best documents of each question.

    Raises:
        InvalidContent: a question is a vector, or they are too many for this depth.
    """
    if len(questions) * reranker.depth > MAX_RERANKED_LABELS:
        raise InvalidContent.at(
            "/rerank/depth",
            f"{len(questions)} questions of depth {reranker.depth} came, and a calibration reranks "
            f"{MAX_RERANKED_LABELS} documents in all: send a sample of the questions, or a smaller depth",
        )
    pointers = [f"/questions/{i}/query" for i, _ in questions]
    texts = list[str]()
    for (_, question), pointer in zip(questions, pointers, strict=True):
        if not isinstance(question.query, str):
            raise InvalidContent.at(pointer, "a reranker reads texts, got a vector: send a text, or leave rerank out")
        texts.append(question.query)
    return await read_query_heads(collection, texts, reranker, temperature, pointers)


def _find_to_extend(record: CollectionRecord, reranker: RerankerSettings | None) -> Calibration | None:
    """Return the stored calibration if it holds and lacks this reranker."""
    stored = Calibration.read(record.settings.calibration)
    if reranker is None or stored is None:
        return None
    if stored.outgrown(record.attendable, record.settings.encoder, record.settings.temperature):
        return None
    return None if reranker.reads_as(stored.rerank) else stored


def _read_served(record: CollectionRecord) -> Variant | None:
    """Return the stored fit for the collection's temperature; None without one."""
    stored = Calibration.read(record.settings.calibration)
    if stored is None or stored.temperature != record.settings.temperature:
        return None
    return stored.plain if record.settings.null == CALIBRATED else replace(stored.plain, none_from=HALF)


def _deduplicate(questions: Sequence[NumberedQuestion]) -> list[NumberedQuestion]:
    """Return each question once, with all its answers and its first index.

    Raises:
        InvalidContent: the same question comes with an answer and without one.
    """
    distinct = dict[str | bytes, NumberedQuestion]()
    for i, question in questions:
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


def _from_feedback(record: CollectionRecord, labels: FeedbackLabels) -> list[LabelledQuestion]:
    """Return labelled questions that fit the collection: its width may have changed since the feedback came."""
    questions = list[LabelledQuestion]()
    for text, ids in labels.answers.items():
        query = json.loads(text)
        if isinstance(query, str) or len(query) == record.settings.dimension:
            vector = query if isinstance(query, str) else np.array(query, dtype=np.float32)
            questions.append(LabelledQuestion(vector, ids, ("/from",) * len(ids)))
    return questions


def _name_feedback(error: InvalidContent, questions: Sequence[LabelledQuestion]) -> InvalidContent:
    """Return an error about questions that follow from feedback: no request has them, so the message names each."""

    def name(flaw: Flaw) -> Flaw:
        steps = flaw.pointer.split("/")
        if steps[1:2] != ["questions"]:
            return flaw
        query = questions[int(steps[2])].query
        start = (
            repr(query[:SHOWN_CHARACTERS]) if isinstance(query, str) else f"the vector that begins {query[:3].tolist()}"
        )
        return Flaw("/from", f"the feedback on {start}: {flaw.detail} Delete its records to leave the question out.")

    return type(error)([name(flaw) for flaw in error.flaws])


def _has_words(query: str | Array) -> TypeGuard[str]:
    """Return whether documents can be ranked in full text for the query."""
    return isinstance(query, str) and fits_full_text(query)


async def _encode(
    collection: Collection, record: CollectionRecord, questions: Sequence[NumberedQuestion]
) -> list[Array]:
    """Encode the queries as vectors [d] that fit the collection, and map them by its projection."""
    pointers = [f"/questions/{i}/query" for i, _ in questions]
    vectors = list[Array]()
    for start in range(0, len(questions), ENCODING_BATCH):
        selected = slice(start, start + ENCODING_BATCH)
        queries = [question.query for _, question in questions[selected]]
        encoded = await encode_queries(collection.encoders, record, queries, pointers[selected])
        vectors += [query.vector for query in encoded]
    check_queries(record, vectors, pointers)
    projection = read_projection(record.settings)
    return vectors if projection is None else [projection.map_queries(vector) for vector in vectors]


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
    encoder: EncoderFacts | None

    def look_up(self, snapshot: Snapshot) -> tuple[ResolvedNull, list[_QuestionSimilarities]]:
        """Return the collection's null key, and the similarities of each question.

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
        return resolve_null(record, snapshot.own, None, self.encoder), results


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
        _name_unknown(identity, pointer)
        for identity, pointer in zip(question.ids, question.pointers, strict=True)
        if identity not in rows or not documents.has(rows[identity])
    ]
    if flaws:
        raise InvalidContent(flaws)
    return np.array([rows[identity] for identity in question.ids], dtype=np.int64)


def _name_unknown(identity: str, pointer: str) -> Flaw:
    return Flaw(pointer, f"no document with a key has the id {identity!r}: correct the id, or leave it out")


def _leave_unknown_out(
    collection: Collection, questions: Sequence[LabelledQuestion]
) -> tuple[list[NumberedQuestion], list[Flaw]]:
    """Return the questions without the ids that no document with a key has, and a flaw for each of these; blocks.

    A question with no other answer is left out, since only null says that nothing answers it.
    """
    named = sorted({identity for question in questions for identity in question.ids})
    with collection.reading() as (record, reader):
        rows = np.sort(np.fromiter(reader.existing(record.id, named).values(), dtype=np.int64))
        existing = {document.id for document in reader.texts(record.id, rows) if document.n_keys}
    numbered, left_out = list[NumberedQuestion](), list[Flaw]()
    for i, question in enumerate(questions):
        answers = dict(zip(question.ids, question.pointers, strict=True))
        left_out += [_name_unknown(*answer) for answer in answers.items() if answer[0] not in existing]
        remaining = {identity: pointer for identity, pointer in answers.items() if identity in existing}
        if remaining or not answers:
            numbered.append((i, replace(question, ids=tuple(remaining), pointers=tuple(remaining.values()))))
    return numbered, left_out


def check_labels(
    questions: Sequence[LabelledQuestion],
    left_out: Sequence[Flaw] = (),
    *,
    source: LabelSource = "labels",
    again: int = 0,
    undecided: int = 0,
) -> None:
    """Raise InvalidContent if there are too few questions, in all or with or without an answer.

    Args:
        questions: different questions.
        left_out: the answers that do not count, whose documents are missing or have no key.
        source: their origin.
        again: the number of further questions that were sent before.
        undecided: for feedback, the number of further questions from which no label follows.
    """
    present = sum(bool(question.ids) for question in questions)
    absent = len(questions) - present
    if len(questions) >= MIN_LABELS and min(present, absent) >= MIN_LABELS_PER_KIND:
        return
    requirement = f"wanted at least {MIN_LABELS}, and of either kind at least {MIN_LABELS_PER_KIND}"
    unknown = f", and {len(left_out)} answers whose documents are missing or have no key" if left_out else ""
    if source == "feedback":
        flaw = Flaw(
            "/from",
            f"from feedback follow {present} questions with an answer and {absent} without one, and nothing from "
            f"{undecided} others{unknown}: {requirement}; give more feedback, or send labelled questions",
        )
    else:
        repeated = f", and {again} that were said before" if again else ""
        came = f"{present} questions with an answer came and {absent} without one{repeated}{unknown}"
        flaw = Flaw("/questions", f"{came}: {requirement}")
    raise InvalidContent([flaw, *left_out])


def _explain_no_gain(assessed: Evaluation) -> str:
    right, present = assessed.found
    if right < assessed.min_right:
        return (
            f"the first match is right for {right} of {present} questions with an answer, wanted at least "
            f"{assessed.min_right}: check that the ids are those of the answers"
        )
    if not assessed.replaces:
        return (
            f"on held-out questions, log_loss is {assessed.log_loss:.4f}, and {assessed.constant:.4f} if every "
            "confidence is the share that was right: wanted it lower, or another null key that gains; send more labels"
        )
    changes = [
        f"{name} {'rose' if fell < 0 else 'fell'} by {abs(fell):.4f} ± {error:.4f}"
        for name, (fell, error) in zip(assessed.gain._fields, (one.pair for one in assessed.gain), strict=True)
    ]
    return (
        f"{' and '.join(changes)} beside the calibration that it would replace: wanted label_loss to fall by more "
        "than its standard error, or log_loss by more than its own and label_loss not to rise by more than twice its "
        "own; send more labelled questions"
    )


def group_neighbours(vectors: Array) -> Array:
    """Return int64[q], the group of each question: it is with those that are nearest to the same one of some questions.

    Args:
        vectors: float64[q, d], the questions.
    """
    order = np.argsort([xxh3_64_intdigest(np.ascontiguousarray(vector).tobytes()) >> 1 for vector in vectors])
    lengths = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float64).tiny)
    centres = (vectors / lengths)[order[: min(MAX_GROUPS, len(vectors) // QUESTIONS_OF_GROUP)]]
    return np.asarray((vectors @ centres.T).argmax(axis=1))
