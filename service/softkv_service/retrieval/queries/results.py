"""Results of queries: the documents that an answer names, with their weights, terms and confidence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Any, NamedTuple, Self, TypeAlias

import numpy as np

from softkv_attention.lookup import (
    HALF,
    Answer,
    Coverage,
    Evidence,
    GroupShare,
    Policy,
    Question,
    Verdict,
    judge,
)
from softkv_service.retrieval.collections import Snapshot, parse_filter
from softkv_service.retrieval.documents import explain_filter
from softkv_service.retrieval.queries.documents import BestKey, Document, DocumentReader, choose_matches
from softkv_service.retrieval.queries.encoded import Array, EncodedQuery, build_mask
from softkv_service.retrieval.queries.places import find_places
from softkv_service.retrieval.queries.terms import LogitTerms
from softkv_service.retrieval.question import CollectionQuestion
from softkv_service.retrieval.terms import Explanation, FilterTerm, parse_bias
from softkv_service.retrieval.verdict import Conclusion, explain_verdict, share_alike
from softkv_service.storage.conditions import condition_digest
from softkv_service.storage.records import CollectionRecord, FieldKinds, TextSpan


@dataclass(frozen=True)
class Match:
    """A document among the matches of an answer, with its weight and confidence.

    Attributes:
        document: the document, with its vectors if they were requested; None if only its id was.
        similarity, logit: similarity and logit of the document's most similar key.
        weight: the weight of all the document's keys together, and of the documents that share its place.
        log_weight_of_other_parts: ln(weight / weight of the most similar key); 0 if it has one key.
        spoke: the document's most similar key; None if it has only one.
        addends: the explanation of each term that was added to the logit; None without terms or if not requested.
        confidence: the probability that this is the right document; None if the collection is uncalibrated or the
            options differ from the calibrated ones.
        stands_for: id and weight of each document that shares its place, the heaviest first.
        highlight: the sentence of the key text that is most similar to the query; None if not requested, or without a
            key text.
    """

    id: str
    document: Document | None
    similarity: float
    logit: float
    weight: float
    log_weight_of_other_parts: float = 0.0
    spoke: BestKey | None = None
    addends: Sequence[Explanation] | None = None
    confidence: float | None = None
    stands_for: Sequence[tuple[str, float]] = ()
    highlight: TextSpan | None = None


ShapeMatches: TypeAlias = Callable[[Sequence[Match]], list[dict[str, Any]]]
"""Returns matches as JSON, with the fields that the question includes."""


class Leader(NamedTuple):
    """Documents that may stand out together as one does: their name, and their share of the weight."""

    name: str
    share: GroupShare


class Reading:
    """The statement of a reader on one answer, beside its weights; the base of what readers return.

    Attributes:
        labels: a clause on the collection's labels, for the reason; None to leave it as it is.
    """

    labels: str | None = None

    @property
    def leader(self) -> Leader | None:
        """Documents that may stand out together; None if each is alone."""
        return None

    @property
    def matches(self) -> Sequence[Match]:
        """The matches in it, beside those of the answer."""
        return ()

    def advise(self, answer: Answer, policy: Policy) -> Policy:
        """Return what the verdict on the answer depends on beside the weights, with what the reader knows of it."""
        return policy

    def describe(self, answer: Answer, matches: list[Match]) -> list[Match]:
        """Return the matches of the answer, with what the reader says of them."""
        return matches

    def change_matches(self, change: Callable[[Match], Match]) -> Self:
        """Return the same with each match changed that is in it."""
        return self

    def shape(self, shape_matches: ShapeMatches) -> dict[str, Any]:
        """Return its field of the answer as JSON; empty if it has none."""
        return {}


@dataclass(frozen=True)
class FullText:
    """The effect of full text on a query: its weight, the ranking, and how many documents have a word of the query."""

    weight: float
    ranking: str
    documents: int


@dataclass(frozen=True)
class Result:
    """The answer to a query with its documents; the weights of matches, rest and null sum to one.

    Attributes:
        verdict: whether one document stands out, several share the weight, or none matches.
        alike: whether the documents that share the weight say nearly the same, see `share_alike`.
        reason: why, in two sentences.
        query_vector: the query [d].
        coverage: how much of the collection the answer covers; None if the query required all of it.
        unknown_tokens: the number of query tokens that the model does not know; None for a vector.
        full_text: the full-text term; None without one.
        readings: what each reader of the question says of the answer.
        warnings: what the filter's comparisons leave out in silence, a sentence each.
        reranked: the depth to which a reranker added to the logits; None without one.
    """

    matches: list[Match]
    rest_weight: float
    output: Array | None
    answer: Answer
    verdict: Verdict
    alike: bool
    reason: str
    unknown_tokens: int | None
    query_vector: Array
    coverage: Coverage | None = None
    full_text: FullText | None = None
    readings: Sequence[Reading] = ()
    warnings: Sequence[str] = ()
    reranked: int | None = None

    @property
    def all_matches(self) -> Iterator[Match]:
        """The matches, and those of the readings."""
        return chain(self.matches, *(reading.matches for reading in self.readings))


@dataclass(frozen=True, eq=False)
class Answered:
    """The answers to the queries of a question, from one version of a collection.

    Attributes:
        queries: each query with its vector.
        scanned: the query as the keys were scanned with it; a term may have read its best documents since.
        answers: its answer.
        terms: the terms that were added to the documents' logits; None without any.
        documents: reads the documents of matches.
    """

    question: CollectionQuestion
    snapshot: Snapshot
    queries: Sequence[EncodedQuery]
    scanned: Sequence[Question]
    answers: Sequence[Answer]
    terms: Sequence[LogitTerms | None]
    documents: DocumentReader

    def question_of(self, query: int) -> Question:
        """Return the question whose answer the query with this index has, with all terms in its bias."""
        question, added = self.scanned[query], self.terms[query]
        return question if added is None else replace(question, bias=added.sum_in(self.snapshot))


def warn_of_filters(snapshot: Snapshot, question: CollectionQuestion, documents: int) -> list[str]:
    """Return the warnings of a question's filter, which this number of documents passes, and of filters in its bias."""
    if question.filter is None and not question.bias:
        return []
    condition = parse_filter(question.filter, question.now)
    soft_filters = [term.condition for term in parse_bias(question.bias, question.now) if isinstance(term, FilterTerm)]
    kinds = snapshot.lasting("field kinds", dict[str, FieldKinds])
    explain = partial(explain_filter, snapshot.reader, snapshot.record.id, cached_kinds=kinds)
    warnings = dict.fromkeys(warning for soft in soft_filters for warning in explain(soft, passes=True))
    if condition is not None:
        name = ("warnings", condition_digest(condition), documents > 0)
        warnings |= dict.fromkeys(snapshot.once(name, partial(explain, condition, passes=documents > 0)))
    return list(warnings)


def summarise_full_text(added: LogitTerms | None, snapshot: Snapshot, question: CollectionQuestion) -> FullText | None:
    """Return the effect of full text on a query; None without full text.

    Args:
        added: the terms that were added to the documents' logits, full text among them.
        snapshot: the version of the collection that was queried.
        question: the question; only documents that pass its filter are counted.
    """
    if added is None or added.words is None:
        return None
    return FullText(added.words.weight, added.words.ranking, added.count_containing(build_mask(snapshot, question)))


@dataclass(frozen=True)
class ResultBuilder:
    """A builder of results: of answers to one question, from one version of a collection.

    Attributes:
        labels: a clause on the collection's labels, for the reasons of answers; empty to say nothing about them.
    """

    record: CollectionRecord
    question: CollectionQuestion
    documents: DocumentReader
    labels: str = ""

    def build(
        self,
        query: EncodedQuery,
        answer: Answer,
        added: LogitTerms | None = None,
        readings: Sequence[Reading] = (),
    ) -> Result:
        """Build the result of an answer: its verdict with the reason, and the documents of its matches.

        If documents tie for the last place among the matches, the id decides.

        Args:
            query: the query with its vector.
            answer: the lookup's answer.
            added: the terms (numbers added to logits) to explain for each match; None for no explanation.
            readings: what readers say of the answer.
        """
        conclusion = self._conclude(query, answer, readings)
        shares = self.question.shares_places
        sharing = find_places(self.record, self.question, answer, self.documents) if shares else None
        matches = read_matches(answer, self.documents, added, None if sharing is None else sharing.matching)
        for reading in readings:
            matches = reading.describe(answer, matches)
        labels = next((reading.labels for reading in readings if reading.labels is not None), self.labels)
        measure = self.record.settings.similarity
        reason = explain_verdict(matches, answer, conclusion, self.question, labels, measure)
        if sharing is not None:
            matches = _add_shares(matches, sharing.members)
        reranker = self.question.reranker
        return Result(
            matches,
            compute_rest_weight(answer.evidence, [match.weight for match in matches], answer.documents),
            _output(self.record, answer),
            answer,
            conclusion.verdict,
            conclusion.alike,
            reason,
            query.unknown_tokens,
            query.vector,
            readings=readings,
            reranked=None if reranker is None else reranker.depth,
        )

    def _conclude(self, query: EncodedQuery, answer: Answer, readings: Sequence[Reading]) -> Conclusion:
        """Return the verdict on an answer, as the readings advise, with what the sentences of its reason need."""
        policy = Policy(is_readable=not query.words_unknown)
        for reading in readings:
            policy = reading.advise(answer, policy)
        verdict, several = judge(answer.shares, policy), answer.heaviest <= HALF
        alike = several and share_alike(
            self.record.settings.similarity,
            verdict,
            answer.heavy_rows,
            self.documents.keys,
            is_readable=policy.is_readable,
        )
        named = None
        if several and policy.group is not None and verdict.stands == "one":
            named = next((leader.name, leader.share.weight) for one in readings if (leader := one.leader) is not None)
        required = None if policy.confidence is None else policy.confidence.required
        return Conclusion(verdict, alike, policy.is_readable, named, required)


def read_matches(
    answer: Answer, reading: DocumentReader, added: LogitTerms | None = None, matching: Array | None = None
) -> list[Match]:
    """Return the matches of an answer with their documents, in the order of weight, then similarity, then id.

    Args:
        answer: the lookup's answer.
        reading: reads the documents.
        added: the terms to explain for each match; None for no explanation.
        matching: int64[k], the indices of the matches among the answer's documents; None for the best ones.
    """
    chosen = choose_matches(answer, reading) if matching is None else matching
    return sort_matches(read_documents(answer, reading, chosen, added))


def read_documents(
    answer: Answer, reading: DocumentReader, indices: Array, added: LogitTerms | None = None
) -> list[Match]:
    """Return some documents of an answer as matches, in the order of the indices.

    Args:
        answer: the lookup's answer.
        reading: reads the documents.
        indices: int64[k], of the answer's documents.
        added: the terms to explain for each match; None for no explanation.
    """
    rows, weights = answer.numbers[indices], answer.weights[indices]
    documents = reading.documents(rows)
    best_keys = reading.find_best_keys(documents, rows, answer.parts[indices])
    columns = zip(
        [document if isinstance(document, str) else document.id for document in documents],
        [None if isinstance(document, str) else document for document in documents],
        answer.similarities[indices].tolist(),
        answer.logits[indices].tolist(),
        weights.tolist(),
        answer.log_weight_of_other_parts[indices].tolist(),
        best_keys,
        [None] * len(rows) if added is None else added.explain(rows),
        strict=True,
    )
    return [Match(*row) for row in columns]


def sort_matches(matches: Sequence[Match]) -> list[Match]:
    """Return matches in the order of weight, then similarity, then id."""
    return sorted(matches, key=lambda match: (-match.weight, -match.similarity, match.id))


def _add_shares(matches: Sequence[Match], members: Mapping[str, Sequence[tuple[str, float]]]) -> list[Match]:
    """Return the matches with the weights of the documents that share their places, in the order of these sums."""
    shares = [members[match.id] for match in matches]
    return sort_matches(
        [
            replace(match, weight=match.weight + sum(weight for _, weight in share), stands_for=share)
            for match, share in zip(matches, shares, strict=True)
        ]
    )


def compute_rest_weight(evidence: Evidence, weights: Sequence[float] | Array, documents: int) -> float:
    """Return the total weight of the documents that pass the filter but are not matches.

    Args:
        evidence: the answer's evidence, which has the weight of the null key.
        weights: the weights of the matches.
        documents: the number of documents that pass.
    """
    return max(0.0, 1.0 - evidence.null_weight - float(np.add.reduce(weights))) if documents else 0.0


def _output(record: CollectionRecord, answer: Answer) -> Array | None:
    """Return the answer's output vector; for an empty collection the settings determine its width."""
    if answer.output is None or answer.output.size:
        return answer.output
    return np.zeros(record.settings.value_dimension or record.settings.dimension or 0)
