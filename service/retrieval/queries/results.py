"""Results of queries: the documents that an answer names, with their weights, terms and confidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from attention.lookup import Answer, Coverage, Evidence, Verdict
from service.retrieval.collections import Snapshot, parse_filter
from service.retrieval.documents import explain_no_match
from service.retrieval.queries.confidence import ConfidenceModel
from service.retrieval.queries.question import (
    Array,
    DocumentDetail,
    EncodedQuery,
    Options,
    build_mask,
)
from service.retrieval.queries.terms import Explanation, LogitTerms
from service.storage import CollectionRecord, DocumentRecord, Reader, StoredDocument, TextSpan

Document = StoredDocument | DocumentRecord


@dataclass(frozen=True)
class BestKey:
    """Which key of a document is the most similar, from 0; and what part of the key text it is of, where of one."""

    index: int
    part: TextSpan | None


class DocumentReader(Protocol):
    """Documents by their row numbers int64[n], in order."""

    def ids(self, rows: Array) -> Sequence[str]:
        """Their ids."""

    def documents(self, rows: Array) -> Sequence[Document | str]:
        """As much of them as is wanted; of a document of which nothing but its id is, that."""

    def spoke(self, found: Sequence[Document | str], rows: Array, parts: Array) -> list[BestKey | None]:
        """Which of its keys each of the documents found is told of by; `parts` int64[n] are those keys' numbers."""


@dataclass(frozen=True)
class StoredDocuments:
    """Documents of a collection, as its reader sees them.

    Attributes:
        wants: "ids" is enough only where no document has several keys.
    """

    record: CollectionRecord
    reader: Reader
    wants: DocumentDetail
    several: bool = False

    def ids(self, rows: Array) -> Sequence[str]:
        """See `DocumentReader`."""
        return self.reader.ids(self.record.id, rows)

    def documents(self, rows: Array) -> Sequence[Document | str]:
        """See `DocumentReader`."""
        if self.wants == "vectors":
            return self.reader.documents(self.record.id, rows)
        if self.wants == "texts" or self.several:
            return self.reader.texts(self.record.id, rows)
        return self.reader.ids(self.record.id, rows)

    def spoke(self, found: Sequence[Document | str], rows: Array, parts: Array) -> list[BestKey | None]:
        """See `DocumentReader`."""
        spoke: list[BestKey | None] = [None] * len(found)
        if self.several:
            several = [i for i, each in enumerate(found) if not isinstance(each, str) and each.n_keys > 1]
            for i, part in zip(several, self.reader.parts(self.record.id, parts[several]), strict=True):
                spoke[i] = BestKey(int(parts[i] - rows[i]), part)
        return spoke


@dataclass(frozen=True)
class MemoryDocuments:
    """Documents that came with the question, each with one key; their rows are their places."""

    given: Sequence[DocumentRecord]

    def ids(self, rows: Array) -> Sequence[str]:
        """See `DocumentReader`."""
        return [self.given[row].id for row in np.asarray(rows).tolist()]

    def documents(self, rows: Array) -> Sequence[Document]:
        """See `DocumentReader`."""
        return [self.given[row] for row in np.asarray(rows).tolist()]

    def spoke(self, found: Sequence[Document | str], rows: Array, parts: Array) -> list[BestKey | None]:
        """See `DocumentReader`."""
        return [None] * len(found)


@dataclass(frozen=True)
class Match:
    """A document and its share of the answer.

    Attributes:
        document: with its vectors where they were wanted; None where only its id was.
        similarity, logit: of its key that is most similar, the part of it that spoke.
        weight: of all its keys together.
        log_parts: ln(weight / weight of that one key); 0 where it has no other.
        spoke: which of its keys that is; None where it has no other.
        addends: what was added to the logit, a line each; None where nothing was, or that was not wanted.
        confidence: the chance that it is right; None where the collection is not calibrated, or asked otherwise.
    """

    id: str
    document: Document | None
    similarity: float
    logit: float
    weight: float
    log_parts: float = 0.0
    spoke: BestKey | None = None
    addends: Sequence[Explanation] | None = None
    confidence: float | None = None


@dataclass(frozen=True)
class FullText:
    """What the words of a question added: a weight times a ranking, to so many documents that hold one of them."""

    weight: float
    ranking: str
    documents: int


@dataclass(frozen=True)
class Result:
    """An answer of the core, with the documents it names; match weights, rest and null sum to one.

    Attributes:
        verdict: whether one document stands out, several share the weight, or there is nothing.
        coverage: of how much of the collection it was made; None where it had to be all of it.
        unknown_tokens: of the question, which the model does not know; None where it is a vector.
        full_text: what words added; None where that was not asked.
        read: what a field came to over all documents, where that was asked.
        warnings: why the filter passes no document, a sentence each.
    """

    matches: list[Match]
    rest_weight: float
    output: Array | None
    answer: Answer
    verdict: Verdict
    unknown_tokens: int | None
    coverage: Coverage | None = None
    full_text: FullText | None = None
    read: dict[str, Any] | None = None
    warnings: Sequence[str] = ()


@dataclass(frozen=True)
class ResultBuilder:
    """What answers to some options become, of one snapshot."""

    snapshot: Snapshot
    reading: DocumentReader
    options: Options

    def result(
        self, query: EncodedQuery, answer: Answer, added: LogitTerms | None, confident: ConfidenceModel | None
    ) -> Result:
        """An answer with its documents, how sure it is, and what is to be told of what was added to its logits."""
        explained = added if self.options.explained else None
        made = result(self.snapshot.record, query, answer, self.reading, explained, confident)
        warnings = explain_filter(self.snapshot, self.options.filter, answer.documents)
        return replace(
            made, full_text=summarise_full_text(added, self.snapshot, self.options.filter), warnings=warnings
        )


def explain_filter(snapshot: Snapshot, sent: Any, documents: int) -> list[str]:
    """Why a filter passes none of the documents, as far as their fields tell; nothing where it passes some."""
    return (
        [] if documents or sent is None else explain_no_match(snapshot.reader, snapshot.record.id, parse_filter(sent))
    )


def summarise_full_text(added: LogitTerms | None, snapshot: Snapshot, sent: Any) -> FullText | None:
    """What words added, to how many of the documents that pass the filter as it is sent."""
    if added is None or added.words is None:
        return None
    return FullText(added.words.weight, added.words.ranking, added.holding(build_mask(snapshot, sent)))


def result(
    record: CollectionRecord,
    query: EncodedQuery,
    answer: Answer,
    reading: DocumentReader,
    added: LogitTerms | None = None,
    confident: ConfidenceModel | None = None,
) -> Result:
    """The answer with its documents, as far as they are wanted; ties at the cut are decided by id.

    Args:
        query: what was asked.
        added: what is to be told of as added to each.
        confident: how sure each may be.
    """
    verdict = answer.verdict if confident is None else confident.verdict(answer)
    verdict = query.verdict(verdict, answer.evidence, answer.certificate.total_variation)
    answer = answer if confident is None else confident.cut(answer)
    chosen = _choose_matches(answer, reading)
    rows, weights = answer.numbers[chosen], answer.weights[chosen]
    found = reading.documents(rows)
    columns = zip(
        [each if isinstance(each, str) else each.id for each in found],
        [None if isinstance(each, str) else each for each in found],
        answer.similarities[chosen].tolist(),
        answer.logits[chosen].tolist(),
        weights.tolist(),
        answer.log_parts[chosen].tolist(),
        reading.spoke(found, rows, answer.parts[chosen]),
        [None] * len(rows) if added is None else added.told(rows),
        strict=True,
    )
    matches = [Match(*row) for row in columns]
    matches.sort(key=lambda match: (-match.weight, -match.similarity, match.id))
    logs = np.array([match.logit + match.log_parts for match in matches])
    confidences = None if confident is None else confident.of_matches(logs, answer.keys)
    if confidences is not None:
        both = zip(matches, confidences, strict=True)
        matches = [replace(match, confidence=confidence) for match, confidence in both]
    rest = compute_rest_weight(answer.evidence, weights, answer.documents)
    return Result(matches, rest, _output(record, answer), answer, verdict, query.unknown_tokens)


def _choose_matches(answer: Answer, reading: DocumentReader) -> Array:
    """Which places of the head are matches, where more than those tie with the last of them."""
    places = np.arange(len(answer.numbers))
    if len(places) <= answer.matches:
        return places
    ids = np.array(reading.ids(answer.numbers), dtype=object)
    return np.lexsort((ids, -answer.similarities, -answer.weights))[: answer.matches]


def compute_rest_weight(evidence: Evidence, weights: Sequence[float] | Array, documents: int) -> float:
    """What the documents that are no matches weigh together; `documents`: how many pass."""
    return max(0.0, 1.0 - evidence.null_weight - float(np.sum(weights))) if documents else 0.0


def _output(record: CollectionRecord, answer: Answer) -> Array | None:
    """The blended value; a collection that never held a document has only its settings to tell the width."""
    if answer.output is None or answer.output.size:
        return answer.output
    return np.zeros(record.settings.value_dimension or record.settings.dimension or 0)
