"""Late interaction inside the softmax: words of a question and of its best documents find each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias

import numpy as np

from softkv_attention.arrays import F64, I64
from softkv_attention.late import I8, find_best_words, share_again
from softkv_service.encoding import EncodingQueue, Late, WordModel, Words
from softkv_service.retrieval.calibration import RerankerSettings
from softkv_service.retrieval.collections import Collection, get_encoding_queue, get_words_queue
from softkv_service.retrieval.errors import InvalidContent
from softkv_service.retrieval.queries.query_parts import Query
from softkv_service.retrieval.queries.terms.heads import Head, HeadText
from softkv_service.retrieval.queries.terms.reranker import are_texts
from softkv_service.retrieval.queries.terms.term import HeadAddends, HeadTerm, QueryTerm
from softkv_service.retrieval.question import CollectionQuestion
from softkv_service.retrieval.terms import Explanation, clip_addends
from softkv_service.scheduling import READS, TEXTS
from softkv_service.storage.records import RowNumbers

ReadKept: TypeAlias = Callable[[RowNumbers], Mapping[int, bytes]]
"""Reads the kept words of keys by their row numbers int64[n]."""

ADVICE: Final = ("/rerank/model", "leave rerank out, or name a reranker")
"""Pointer and advice of errors about a collection that late interaction is not for."""


@dataclass(frozen=True, eq=False)
class ReadPairs:
    """The words of a question, each with the best word of one document.

    Attributes:
        words, found: these words, as they are written.
        spans: the characters of each found word in the key text of the document.
        cosines, shares: float64[m], their cosine, and the share of each word of the question in the mean.
    """

    words: Sequence[str]
    found: Sequence[str]
    spans: Sequence[tuple[int, int]]
    cosines: F64
    shares: F64

    def explain(self) -> list[Explanation]:
        """Return the pairs as JSON."""
        columns = zip(self.words, self.found, self.spans, self.cosines.tolist(), self.shares.tolist(), strict=True)
        return [
            {"word": word, "found": best, "start": start, "end": end, "cosine": cosine, "share": share}
            for word, best, (start, end), cosine, share in columns
        ]


@dataclass(frozen=True, eq=False)
class LateAddends(HeadAddends):
    """The numbers by which the best documents share their mass again, by their words.

    Attributes:
        weight: 1, or 0 if it does not count.
        rows: int64[r], the ascending rows of these documents.
        logits: float64[r], their new logits minus the old ones.
        similarities: float64[r], the mean cosines of the words.
        of_words: float64[r], what these add to the old logits, before all are divided.
        divisor: see `Late`.
        shifts: float64[r], what is added at last, which keeps the mass.
        pairs: the pairs of words of each.
    """

    weight: float
    rows: I64
    logits: F64
    similarities: F64
    of_words: F64
    divisor: float
    shifts: F64
    pairs: Sequence[ReadPairs]

    @property
    def by_row(self) -> tuple[I64, F64]:
        """The documents whose words were read, and the number that is added to the logit of each."""
        return self.rows, self.weight * self.logits

    def explain(self, rows: I64) -> list[list[Explanation]]:
        """Return for each document with these row numbers how the number that is added to its logit is computed."""
        columns = (self.rows, self.similarities, self.of_words, self.shifts, self.by_row[1])
        lines: dict[int, Explanation] = {
            row: {
                "of": "late",
                "similarity": similarity,
                "words": of_words,
                "divisor": self.divisor,
                "shift": shift,
                "addend": addend,
                "pairs": pairs.explain(),
            }
            for row, similarity, of_words, shift, addend, pairs in zip(
                *(column.tolist() for column in columns), self.pairs, strict=True
            )
        }
        unread: Explanation = {
            **dict.fromkeys(("similarity", "words", "divisor", "shift")),
            "of": "late",
            "addend": 0.0,
            "pairs": [],
        }
        return [[lines.get(row, unread)] for row in rows.tolist()]


@dataclass(frozen=True, eq=False)
class LateTerm(QueryTerm):
    """The late interaction of a question: the texts whose words are read, and those of their best documents.

    Attributes:
        queries: the text of each query.
        reranker: how many documents are read, and the weight: 1, or 0 if late interaction does not count.
        temperature: the temperature of the queries; None for the collection's.
        explained: whether the pairs of words are explained.
    """

    queries: Sequence[str]
    reranker: RerankerSettings
    temperature: float | None
    explained: bool

    @classmethod
    def of(cls, queries: Sequence[str], question: CollectionQuestion) -> LateTerm:
        """Return the term of a question with these texts; raise InvalidContent if its options do not allow it."""
        reranker, temperature = question.reranker, question.temperature
        assert reranker is not None
        assert temperature != "auto"
        if temperature == 0:
            raise InvalidContent.at(
                "/temperature",
                "late interaction shares weights again, and at 0 there is one: send a temperature above 0",
            )
        if reranker.weight not in (0, 1):
            raise InvalidContent.at(
                "/rerank/weight",
                "the weight of late interaction is 1, or 0 to leave it out: its numbers are those of its encoder",
            )
        return cls(queries, reranker, temperature, question.explained)

    @property
    def depth(self) -> int:  # type: ignore[override]
        """The number of documents of each query whose words are read."""
        return self.reranker.depth

    async def prepare(self, collection: Collection) -> HeadTerm:
        """Return the term with the encoder of the collection.

        Raises:
            InvalidContent: the gain of late interaction with this encoder is unmeasured.
            RetrievalError: the encoder is not ready.
        """
        settings, weight = collection.record.settings, self.reranker.weight
        assert weight != "auto"
        words, late = await get_words_queue(collection.encoders, settings, *ADVICE)
        compute = partial(
            compute_late_addends,
            words,
            late=late,
            temperature=settings.temperature if self.temperature is None else self.temperature,
            weight=weight,
            read_kept=collection.read_words if settings.late else None,
            explained=self.explained,
        )
        return HeadTerm(lambda query, head: compute(self.queries[query], head), self.depth)


async def encode_words(collection: Collection, queries: Sequence[Query]) -> None:
    """Read the words of the queries that are texts, and keep their vectors, which come from the same pass.

    Raises:
        InvalidContent: the gain of late interaction with the collection's encoder is unmeasured.
        RetrievalError: the encoder is not ready.
    """
    settings = collection.record.settings
    words, _ = await get_words_queue(collection.encoders, settings, *ADVICE)
    texts = [query for query in queries if isinstance(query, str) and are_texts([query])]
    encoded = await words.encode_each(texts, "query")
    queue = await get_encoding_queue(collection.encoders, settings)
    queue.cache.keep(dict(zip(texts, encoded, strict=True)), "query")


async def compute_late_addends(
    queue: EncodingQueue[WordModel],
    query: str,
    head: Head,
    late: Late,
    temperature: float,
    weight: float,
    *,
    read_kept: ReadKept | None = None,
    explained: bool = True,
) -> LateAddends:
    """Return the addends of late interaction for one query.

    Args:
        queue: the queue that reads the words of texts.
        query: the text of the query.
        head: its best documents, with their logits.
        late: the numbers of the encoder.
        temperature: the temperature of the query.
        weight: 1, or 0 if late interaction does not count.
        read_kept: reads kept words from the store; blocks. None if the collection keeps none.
        explained: whether the pairs of words are explained.
    """
    rows = np.sort(np.array([*head.texts], dtype=np.int64))
    if not len(rows):
        empty = np.empty(0)
        return LateAddends(weight, rows, empty, empty, empty, late.divisor, empty, ())
    read = [head.texts[row] for row in rows.tolist()]
    (query_words,) = (await queue.encode([query], "query")).read_words()
    kept_words = dict[int, I8]()
    if read_kept is not None:
        stored = await READS.run(read_kept, np.array(sorted(one.key_row for one in read), dtype=np.int64))
        width = query_words.vectors.shape[1]
        kept_words = {row: np.frombuffer(words, np.int8).reshape(-1, width) for row, words in stored.items()}
    lacking = list({one.text: None for one in read if one.key_row not in kept_words})
    encoded = dict(zip(lacking, (await queue.encode(lacking, "document")).read_words() if lacking else (), strict=True))
    spans = dict[str, list[tuple[int, int]]]()
    if explained and kept_words:
        texts = list({one.text: None for one in read if one.key_row in kept_words})
        spans = dict(zip(texts, await TEXTS.run(queue.encoder.find_spans, texts), strict=True))
    written = [
        _unpack(kept_words[one.key_row], spans.get(one.text)) if one.key_row in kept_words else encoded[one.text]
        for one in read
    ]
    pairs = [pair_words(query, query_words, one, words) for one, words in zip(read, written, strict=True)]
    similarities = np.array([float(one.cosines @ one.shares) for one in pairs])
    of_words = clip_addends(late.weight / temperature * similarities)
    before = np.array([one.logit for one in read])
    targets = (before + of_words) / late.divisor
    after = share_again(before, targets, head.following)
    return LateAddends(weight, rows, after - before, similarities, of_words, late.divisor, after - targets, pairs)


def _unpack(vectors: I8, spans: list[tuple[int, int]] | None) -> Words:
    """Return kept words; their spans are empty unless the pairs are explained."""
    return Words([(0, 0)] * len(vectors) if spans is None else spans, np.empty(0), vectors)


def pair_words(query: str, query_words: Words, read: HeadText, text_words: Words) -> ReadPairs:
    """Return for each word of a query the best word of a text.

    Args:
        query: the text of the query.
        read: the text of the document.
        query_words, text_words: their words. If one has none, there is no pair, so that the mean is 0.
    """
    if not len(query_words.spans) or not len(text_words.spans):
        return ReadPairs((), (), (), np.empty(0), np.empty(0))
    best = find_best_words(query_words.vectors, text_words.vectors)
    spans = [text_words.spans[i] for i in best.indices.tolist()]
    return ReadPairs(
        [query[start:end] for start, end in query_words.spans],
        [read.text[start:end] for start, end in spans],
        [(read.place(start), read.place(end - 1) + 1) for start, end in spans],
        best.cosines,
        query_words.rarity,
    )
