"""The made off-topic questions that a calibration asks: those of the topics on which encoders are measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from softkv_attention.lookup import similarities_of
from softkv_service.encoding import TOPICS, Content, EncoderFacts, EncodingQueue, TextRefused
from softkv_service.retrieval.calibration import (
    Calibration,
    DocumentKeys,
    OffTopic,
    ProfileBuilder,
    RerankerSettings,
    null_logit,
)
from softkv_service.retrieval.collections import (
    Collection,
    Snapshot,
    get_encoder_facts,
    get_encoding_queue,
    get_null_encoder,
)
from softkv_service.retrieval.projection import Projection, read_projection
from softkv_service.retrieval.queries import Array, HeadAddends, check_complete, read_query_heads
from softkv_service.retrieval.verdict import ResolvedNull, resolve_null
from softkv_service.scheduling import ARRAYS
from softkv_service.storage.records import CollectionRecord

MAX_BATCH_QUESTIONS, MAX_BATCH_SIMILARITIES = 16, 1 << 24
"""The most questions whose similarities are computed at once, and the most similarities of 8 bytes each."""

MAX_OFF_TOPIC_PAIRS, MIN_TOPICS = 50_000_000, 50
"""The most pairs of an off-topic question and a key that are compared, and the fewest questions in a large collection.
"""

NO_ROWS = np.empty(0, dtype=np.int64)


async def profile_off_topic(
    collection: Collection,
    record: CollectionRecord,
    keys: int,
    words: tuple[float, ...] = (0.0,),
    reranker: RerankerSettings | None = None,
    reranked_at: float | None = None,
) -> OffTopic | None:
    """Ask a collection made off-topic questions.

    Return None if it has no encoder, if the service does not have that encoder, or if too few of the questions are
    off-topic for this collection.

    Args:
        collection: the collection.
        record: its record.
        keys: the number of its keys.
        words: the λ (weights of full text) to try; with a reranker, its weights.
        reranker: the reranker to try in place of full text; None for full text.
        reranked_at: the temperature of the logits that it adds to; None for the collection's.

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
    profiling = ProfileBuilder(temperature, keys, words, scored=reranker is not None)
    calibration = Calibration.read(record.settings.calibration)
    before = temperature if calibration is None else profiling.nearest(calibration.undo(temperature, None)[0])
    heads: Sequence[HeadAddends] = ()
    if reranker is not None:
        head_temperature = temperature if reranked_at is None else reranked_at
        texts = [text for text, _ in questions]
        heads = await read_query_heads(collection, texts, reranker, head_temperature, [""] * len(questions))
    served, auto = list[float](), list[float]()
    batch_size = max(1, min(MAX_BATCH_QUESTIONS, MAX_BATCH_SIMILARITIES // keys))
    for start in range(0, len(questions), batch_size):
        batch = _Batch(questions[start : start + batch_size], profiling.has_words and reranker is None, encoder)
        served_null, auto_null, similarities = await collection.read(batch.look_up, size=batch_size)
        if heads:
            similarities = [
                replace(one, ranks=(head.rows, head.logits))
                for one, head in zip(similarities, heads[start : start + batch_size], strict=True)
            ]
        await ARRAYS.run(partial(_add_profiles, profiling, similarities))
        served += [null_logit(served_null.of(text, vector), temperature, keys) for text, vector in batch.questions]
        auto += [null_logit(auto_null.of(text, vector), before, keys) for text, vector in batch.questions]
    profiles = await ARRAYS.run(profiling.build)
    return OffTopic.choose(profiles, np.array(served), np.array(auto), profiles.nearest(before))


async def _encode(queue: EncodingQueue, texts: list[str], projection: Projection | None) -> list[tuple[str, Array]]:
    """Return the texts that the encoder can read, each with its vector [d], mapped by the collection's projection."""
    try:
        encoded_texts = await queue.encode_each(texts, "query")
    except TextRefused as error:  # no caller sent them: the questions are made of the others
        readable = [text for i, text in enumerate(texts) if i not in error.messages]
        return await _encode(queue, readable, projection)
    return [
        (text, (encoded.vector if projection is None else projection.map_queries(encoded.vector)).astype(np.float64))
        for text, encoded in zip(texts, encoded_texts, strict=True)
        if encoded.content != Content.NOTHING and encoded.vector.any()
    ]


@dataclass(frozen=True)
class _Similarities:
    """The similarities of one question to all keys, and how full text or a reranker ranks them; None without."""

    similarities: Array
    documents: DocumentKeys
    ranks: tuple[Array, Array] | None


def _add_profiles(profiling: ProfileBuilder, questions: Sequence[_Similarities]) -> None:
    for question in questions:
        by_id = question.documents.by_id(question.similarities, NO_ROWS, lambda rows: [*map(str, rows)])
        profiling.add(question.similarities, question.documents, question.ranks, NO_ROWS, by_id)


@dataclass(frozen=True)
class _Batch:
    """A batch of questions with their vectors."""

    questions: Sequence[tuple[str, Array]]
    with_words: bool
    encoder: EncoderFacts | None

    def look_up(self, snapshot: Snapshot) -> tuple[ResolvedNull, ResolvedNull, list[_Similarities]]:
        """Return the collection's null key, the null key `auto`, and the similarities of each question.

        Args:
            snapshot: the version of the collection to read.
        """
        check_complete(snapshot)
        record, reader = snapshot.record, snapshot.reader
        rows = similarities_of(snapshot.view, np.stack([vector for _, vector in self.questions]))
        order = np.argsort(rows.owners, kind="stable")
        documents, results = DocumentKeys.of(rows.owners[order]), list[_Similarities]()
        for (text, _), row in zip(self.questions, rows.similarities, strict=True):
            ranks = reader.search(record.id).ranks(text) if self.with_words else None
            results.append(_Similarities(row[order], documents, ranks))
        served, auto = (resolve_null(record, snapshot.own, choice, self.encoder) for choice in (None, "auto"))
        return served, auto, results
