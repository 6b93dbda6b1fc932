"""Questions that are made for a collection, and the profiles of their answers.

A question of a collection's own key repeats half of its words, or three in a row. It counts if its document is clearly
the best match: words that many keys share ask for none of them. For every other question its document is then hidden.

Off-topic questions are those of the topics on which encoders are measured.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from xxhash import xxh3_64_intdigest

from attention.lookup import Background, similarities_of
from service.encoding import TOPICS, Content, EncoderFacts, EncodingQueue, Temperatures, TextRefused
from service.retrieval.calibration import (
    FULL_TEXT_WEIGHTS,
    DocumentKeys,
    OffTopic,
    PreviousWeighting,
    ProfileBuilder,
    Profiles,
    Rerank,
    null_logit,
)
from service.retrieval.collections import (
    Collection,
    NullKey,
    Projection,
    Snapshot,
    default_temperature,
    get_encoder_facts,
    get_encoding_queue,
    get_null_encoder,
    read_projection,
    resolve_null,
)
from service.retrieval.errors import InvalidContent
from service.retrieval.labels.previous_settings import PreviousSettings
from service.retrieval.queries import COPY_COSINE, Array, RerankTerm, check_complete, read_query_heads
from service.scheduling import ARRAYS
from service.storage.errors import DocumentDamaged
from service.storage.records import CollectionRecord

MIN_QUESTIONS, MIN_QUESTIONS_PER_KIND = 50, 10
"""The least number of synthetic questions, and of those whose document is hidden, or is not."""

MAX_PAIRS, MIN_DOCUMENTS = 100_000_000, 100
"""The most pairs of a question and a key that are compared: a large collection has questions of fewer documents, but of
at least MIN_DOCUMENTS.
"""

MAX_BATCH_QUESTIONS, MAX_BATCH_SIMILARITIES = 16, 1 << 24
"""The most questions whose similarities are computed at once, and the most similarities of 8 bytes each."""

ENCODING_BATCH = 256
"""Texts that are encoded at a time, so that other callers get their turn in between."""

DOCUMENTS = 512
"""The number of documents of which questions are made, two of each."""

WINDOW_WORDS, ROW_WORDS = 24, 3
"""The most words of a key from which a question is made, and the words of the shorter of its two questions."""

MAX_OFF_TOPIC_PAIRS, MIN_TOPICS = 50_000_000, 50
"""The most pairs of an off-topic question and a key that are compared, and the fewest questions in a large collection.
"""

_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")


@dataclass(frozen=True)
class SyntheticQuestion:
    """A question that is made of a document's key.

    Attributes:
        text: a part of the key.
        id: the document.
        hidden: whether the document is left out when the question is asked, so that it has no answer.
    """

    text: str
    id: str
    hidden: bool


def make_questions(keys: Sequence[tuple[str, str]]) -> list[SyntheticQuestion]:
    """Return two questions of each document whose key has enough words; different texts, the same every time.

    Args:
        keys: the id and key of each document, in an order that means nothing.
    """
    questions = dict[str, SyntheticQuestion]()
    for i, (identity, key) in enumerate(keys):
        joint = "" if _UNSPACED.search(key) else " "
        words = key.split() if joint else [*"".join(key.split())]
        random = np.random.default_rng(xxh3_64_intdigest(identity.encode()))
        start = int(random.integers(max(1, len(words) - WINDOW_WORDS + 1)))
        window = words[start : start + WINDOW_WORDS]
        half = np.sort(random.permutation(len(window))[: (len(window) + 1) // 2])
        first = int(random.integers(max(1, len(window) - ROW_WORDS + 1)))
        parts = [window[j] for j in half], window[first : first + ROW_WORDS]
        for part, fewest, hidden in zip(parts, (2, ROW_WORDS + 1), (i % 2 > 0, i // 2 % 2 > 0), strict=True):
            if len(window) >= fewest:
                text = joint.join(part)
                questions.setdefault(text, SyntheticQuestion(text, identity, hidden))
    return [*questions.values()]


@dataclass(frozen=True)
class SyntheticProfiles:
    """The profiles of synthetic questions.

    Attributes:
        profiles: the profiles of q questions.
        order: int64[q], a hash of each question.
        log_counts: float64[T], the log weight of the null key `auto` at each temperature of the profiles, to which no
            question has added.
        nulls: float64[q, T], the same beside each question.
        served: float64[q], the logit of the collection's null key beside each question; −∞ without one.
        previous: the settings from before the collection was calibrated; None if it is not.
    """

    profiles: Profiles
    order: Array
    log_counts: Array
    nulls: Array
    served: Array
    previous: PreviousWeighting | None


async def profile_questions(collection: Collection, keys: int) -> SyntheticProfiles:
    """Ask a collection questions that are made of its own keys, half of them with their document hidden.

    Args:
        collection: the collection.
        keys: the number of its keys.

    Raises:
        InvalidContent: the collection has no encoder, or too few of its keys have two words.
        RetrievalError: the collection cannot be queried.
    """
    record = collection.record
    if record.settings.encoder is None:
        raise InvalidContent.at(
            "/from",
            f"questions are made of key texts, and {record.name!r} has no encoder: send labels with vectors",
        )
    documents = min(DOCUMENTS, max(MIN_DOCUMENTS, MAX_PAIRS // (2 * keys)))
    texts = await collection.read(partial(_read_keys, documents), size=1)
    unasked = make_questions(texts)
    queue, projection = await get_encoding_queue(collection.encoders, record.settings), read_projection(record.settings)
    encoded = list[tuple[SyntheticQuestion, Array]]()
    for start in range(0, len(unasked), ENCODING_BATCH):
        selected = unasked[start : start + ENCODING_BATCH]
        vectors = dict(await _encode(queue, [question.text for question in selected], projection))
        encoded += [(question, vectors[question.text]) for question in selected if question.text in vectors]
    encoder = await get_null_encoder(collection.encoders, record, "auto")
    previous = await PreviousSettings.read(collection.encoders, record)
    profiling = ProfileBuilder(
        record.settings.temperature, keys, FULL_TEXT_WEIGHTS[:1], None if previous is None else previous.temperature
    )
    batch_size = max(1, min(MAX_BATCH_QUESTIONS, MAX_BATCH_SIMILARITIES // keys))
    questions, auto = list[SyntheticQuestion](), NullKey(None, None)
    nulls, auto_nulls, previous_nulls = (list[float | Background | None]() for _ in range(3))
    lead = _clear_lead(record, queue.encoder.temperatures)
    for start in range(0, len(encoded), batch_size):
        batch = _Batch(encoded[start : start + batch_size], encoder, previous, lead)
        null, auto, previous_null, similarities = await collection.read(batch.look_up, size=batch_size)
        await ARRAYS.run(partial(_add_profiles, profiling, similarities))
        questions += [question.question for question in similarities]
        for null_key, of_questions in ((null, nulls), (auto, auto_nulls), (previous_null, previous_nulls)):
            of_questions += [null_key.of(question.question.text, question.vector) for question in similarities]
    hidden = sum(question.hidden for question in questions)
    fewer = min(hidden, len(questions) - hidden)
    if len(questions) < MIN_QUESTIONS or fewer < MIN_QUESTIONS_PER_KIND or auto.standing is None:
        raise InvalidContent.at(
            "/from",
            f"{len(encoded)} questions can be made of the keys of {record.name!r}, and {len(questions)} of them have "
            f"their document clearly as the best match: wanted at least {MIN_QUESTIONS}, and {MIN_QUESTIONS_PER_KIND} "
            "with the document hidden and as many without. A key needs two words, and words that other keys do not "
            "have; send labelled questions",
        )
    profiles = await ARRAYS.run(profiling.build)

    def logits(null: float | Background | None) -> list[float]:
        return [null_logit(null, temperature, keys) for temperature in profiles.temperatures.tolist()]

    log_counts, null_logits = np.array(logits(auto.standing.background)), np.array([*map(logits, auto_nulls)])
    served = np.array([null_logit(null, record.settings.temperature, keys) for null in nulls])
    order = np.array([xxh3_64_intdigest(question.text.encode()) >> 1 for question in questions])
    before = None if previous is None else previous.with_nulls(previous_nulls, keys)
    return SyntheticProfiles(profiles, order, log_counts, null_logits, served, before)


async def _encode(queue: EncodingQueue, texts: list[str], projection: Projection | None) -> list[tuple[str, Array]]:
    """Return the texts that the encoder can read, each with its vector [d], mapped by the collection's projection."""
    try:
        encoded_texts = (await queue.encode(texts, "query")).texts()
    except TextRefused as error:  # no caller sent them: the questions are made of the others
        readable = [text for i, text in enumerate(texts) if i not in error.messages]
        return await _encode(queue, readable, projection)
    return [
        (text, (encoded.vector if projection is None else projection.map_queries(encoded.vector)).astype(np.float64))
        for text, encoded in zip(texts, encoded_texts, strict=True)
        if encoded.content != Content.NOTHING and encoded.vector.any()
    ]


def _clear_lead(record: CollectionRecord, temperatures: Temperatures) -> float:
    """Return by how much the similarity of a best match must exceed all others: the encoder's own temperature.

    A gaussian similarity of vectors of length 1 differs between keys by as much as their cosine.
    """
    similarity = record.settings.similarity
    if similarity == "gaussian" and "gaussian" not in temperatures:
        similarity = "cosine"
    return default_temperature(similarity, encoder=temperatures, dimension=record.settings.dimension)


def _read_keys(documents: int, snapshot: Snapshot) -> list[tuple[str, str]]:
    """Return the ids and key texts of a sample of documents, without damaged ones and those without a key text."""
    record, reader = snapshot.record, snapshot.reader
    keys = list[tuple[str, str]]()
    for row in reader.sample(record.id, documents):
        with suppress(DocumentDamaged):  # reported to callers that read the document
            (document,) = reader.texts(record.id, np.array([row]))
            if document.key is not None:
                keys.append((document.id, document.key))
    return keys


@dataclass(frozen=True)
class _SyntheticSimilarities:
    """The similarities of one synthetic question to the keys that are not hidden from it, and its right documents."""

    question: SyntheticQuestion
    vector: Array
    similarities: Array
    documents: DocumentKeys
    right: Array


def _add_profiles(profiling: ProfileBuilder, questions: Sequence[_SyntheticSimilarities]) -> None:
    for question in questions:
        ties = question.documents.by_id(question.similarities, question.right, lambda rows: [*map(str, rows)])
        profiling.add(question.similarities, question.documents, None, question.right, ties)


@dataclass(frozen=True)
class _Batch:
    """A batch of synthetic questions with their vectors.

    Attributes:
        lead: by how much a question's document must be more similar to it than all others.
    """

    asked: Sequence[tuple[SyntheticQuestion, Array]]
    encoder: EncoderFacts | None
    previous: PreviousSettings | None
    lead: float

    def look_up(self, snapshot: Snapshot) -> tuple[NullKey, NullKey, NullKey, list[_SyntheticSimilarities]]:
        """Return three null keys and the similarities of each question.

        The null keys are the collection's, `auto`, and the one from before its calibration.

        A question is left out if its document was deleted in the meantime, or is not clearly its best match.

        Args:
            snapshot: the version of the collection to read.
        """
        check_complete(snapshot)
        record, reader = snapshot.record, snapshot.reader
        existing = reader.existing(record.id, sorted({question.id for question, _ in self.asked}))
        keys = dict[str, Array]()
        if existing:
            vectors = reader.keys(record.id, np.array([*existing.values()], dtype=np.int64)).astype(np.float64)
            keys = dict(zip(existing, vectors, strict=True))
        # A zero key has no direction, so it has no copies to find.
        questions = [pair for pair in self.asked if pair[0].id in keys and keys[pair[0].id].any()]
        served, auto = (resolve_null(record, snapshot.own, choice, self.encoder) for choice in (None, "auto"))
        previous = served if self.previous is None else self.previous.resolve(snapshot)
        if not questions:
            return served, auto, previous, []
        sources = np.array([existing[question.id] for question, _ in questions], dtype=np.int64)
        rows = similarities_of(snapshot.view, np.stack([vector for _, vector in questions]))
        alike = similarities_of(snapshot.view, np.stack([keys[question.id] for question, _ in questions])).similarities
        is_cosine = record.settings.similarity == "cosine"
        order = np.argsort(rows.owners, kind="stable")
        owners, results = rows.owners[order], list[_SyntheticSimilarities]()
        for (question, vector), source, row, near in zip(questions, sources, rows.similarities, alike, strict=True):
            least = COPY_COSINE if is_cosine else float(near[rows.owners == source].max(initial=-np.inf))
            family = np.union1d(rows.owners[near >= least], source)
            copies = np.isin(owners, family)
            if row[order][copies].max(initial=-np.inf) - row[order][~copies].max(initial=-np.inf) < self.lead:
                continue
            visible = ~copies if question.hidden else np.ones(len(owners), dtype=np.bool_)
            right = np.empty(0, dtype=np.int64) if question.hidden else np.intersect1d(family, owners)
            if visible.any() and (question.hidden or len(right)):
                results.append(
                    _SyntheticSimilarities(
                        question, vector, row[order][visible], DocumentKeys.of(owners[visible]), right
                    )
                )
        return served, auto, previous, results


NO_ROWS = np.empty(0, dtype=np.int64)


async def profile_off_topic(
    collection: Collection,
    record: CollectionRecord,
    keys: int,
    previous: PreviousSettings | None,
    words: tuple[float, ...] = FULL_TEXT_WEIGHTS[:1],
    reranker: Rerank | None = None,
) -> OffTopic | None:
    """Ask a collection made off-topic questions.

    Return None if it has no encoder, if the service does not have that encoder, or if too few of the questions are
    off-topic for this collection.

    Args:
        collection: the collection.
        record: its record.
        keys: the number of its keys.
        previous: the settings from before the collection was calibrated; None if it is not.
        words: the λ (weights of full text) to try; with a reranker, its weights.
        reranker: the reranker to try in place of full text; None for full text.

    Raises:
        RetrievalError: the collection cannot be queried, or its encoder has failed.
    """
    if await get_encoder_facts(collection.encoders, record.settings) is None:
        return None
    queue = await get_encoding_queue(collection.encoders, record.settings)
    texts = [topic.question for topic in TOPICS[: max(MIN_TOPICS, MAX_OFF_TOPIC_PAIRS // keys)]]
    questions = await _encode(queue, texts, read_projection(record.settings))
    if not questions:
        return None
    encoder = await get_null_encoder(collection.encoders, record, "auto")
    temperature = record.settings.temperature
    before = temperature if previous is None else previous.temperature
    profiling = ProfileBuilder(temperature, keys, words, None if previous is None else before)
    heads: Sequence[RerankTerm] = ()
    if reranker is not None:
        heads = await read_query_heads(collection, [text for text, _ in questions], reranker, [""] * len(questions))
    served, auto = list[float](), list[float]()
    batch_size = max(1, min(MAX_BATCH_QUESTIONS, MAX_BATCH_SIMILARITIES // keys))
    for start in range(0, len(questions), batch_size):
        batch = _OffTopicBatch(questions[start : start + batch_size], profiling.has_words and reranker is None, encoder)
        served_null, auto_null, similarities = await collection.read(batch.look_up, size=batch_size)
        if heads:
            similarities = [
                replace(one, ranks=(head.rows, head.logits))
                for one, head in zip(similarities, heads[start : start + batch_size], strict=True)
            ]
        await ARRAYS.run(partial(_add_off_topic, profiling, similarities))
        served += [null_logit(served_null.of(text, vector), temperature, keys) for text, vector in batch.questions]
        auto += [null_logit(auto_null.of(text, vector), before, keys) for text, vector in batch.questions]
    profiles = await ARRAYS.run(profiling.build)
    return OffTopic.choose(profiles, np.array(served), np.array(auto), profiles.nearest(before))


@dataclass(frozen=True)
class _OffTopicSimilarities:
    """The similarities of one question to all keys, and how full text or a reranker ranks them; None without."""

    similarities: Array
    documents: DocumentKeys
    ranks: tuple[Array, Array] | None


def _add_off_topic(profiling: ProfileBuilder, questions: Sequence[_OffTopicSimilarities]) -> None:
    for question in questions:
        by_id = question.documents.by_id(question.similarities, NO_ROWS, lambda rows: [*map(str, rows)])
        profiling.add(question.similarities, question.documents, question.ranks, NO_ROWS, by_id)


@dataclass(frozen=True)
class _OffTopicBatch:
    """A batch of questions with their vectors."""

    questions: Sequence[tuple[str, Array]]
    with_words: bool
    encoder: EncoderFacts | None

    def look_up(self, snapshot: Snapshot) -> tuple[NullKey, NullKey, list[_OffTopicSimilarities]]:
        """Return the collection's null key, the null key `auto`, and the similarities of each question.

        Args:
            snapshot: the version of the collection to read.
        """
        check_complete(snapshot)
        record, reader = snapshot.record, snapshot.reader
        rows = similarities_of(snapshot.view, np.stack([vector for _, vector in self.questions]))
        order = np.argsort(rows.owners, kind="stable")
        documents, results = DocumentKeys.of(rows.owners[order]), list[_OffTopicSimilarities]()
        for (text, _), row in zip(self.questions, rows.similarities, strict=True):
            ranks = reader.search(record.id).ranks(text) if self.with_words else None
            results.append(_OffTopicSimilarities(row[order], documents, ranks))
        served, auto = (resolve_null(record, snapshot.own, choice, self.encoder) for choice in (None, "auto"))
        return served, auto, results
