"""Results of queries: the documents that an answer names, with their weights, terms and confidence."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol

import numpy as np

from softkv_attention.lookup import HALF, Answer, Coverage, Evidence, GroupShare, Policy, Verdict, judge
from softkv_service.retrieval.collections import (
    MAX_COMPONENTS,
    Snapshot,
    count_components,
    parse_filter,
    require_values,
)
from softkv_service.retrieval.documents import explain_filter
from softkv_service.retrieval.errors import InvalidContent
from softkv_service.retrieval.options import DocumentDetail, Options
from softkv_service.retrieval.queries.diversity import Places
from softkv_service.retrieval.queries.question import Array, EncodedQuery, build_mask
from softkv_service.retrieval.queries.terms import LogitTerms
from softkv_service.retrieval.terms import Explanation, FilterTerm, parse_bias
from softkv_service.retrieval.verdict import OUTSIDE_CALIBRATION, ConfidenceModel, explain_verdict, share_alike
from softkv_service.storage.conditions import Condition, condition_digest
from softkv_service.storage.records import CollectionRecord, DocumentRecord, FieldKinds, StoredDocument, TextSpan

Document = StoredDocument | DocumentRecord


@dataclass(frozen=True)
class BestKey:
    """The most similar key of a document: its index from 0, and the part of the key text that it encodes.

    The part is None if the key text was not split. `first` is the first part, by which the text has a title.
    """

    index: int
    part: TextSpan | None
    first: TextSpan | None


class DocumentReader(Protocol):
    """A reader of documents by their row numbers int64[n], in order."""

    def ids(self, rows: Array) -> Sequence[str]:
        """Return the ids of the documents with these row numbers."""

    def documents(self, rows: Array) -> Sequence[Document | str]:
        """Return each document with the fields that are needed, or only its id if nothing else is."""

    def find_best_keys(self, documents: Sequence[Document | str], rows: Array, parts: Array) -> list[BestKey | None]:
        """Return for each document the one of its keys that is most similar to the query; None if it has only one key.

        Args:
            documents: n documents, as `documents` returns them.
            rows: int64[n], their row numbers.
            parts: int64[n], the number of the most similar key of each.
        """

    def keys(self, rows: Array) -> Array:
        """Return float32[n, d], the keys with these row numbers."""


class VectorCount:
    """The number of components of the vectors that an answer has so far, for all of its queries together."""

    def __init__(self) -> None:
        self._components = 0

    def add(self, components: Sequence[int]) -> None:
        """Count the vectors of some documents, before they are read.

        Raises:
            InvalidContent: the answer would have more than MAX_COMPONENTS.
        """
        self._components += sum(components)
        if self._components > MAX_COMPONENTS:
            raise InvalidContent.at(
                "/include",
                f"the vectors of the matches have {self._components:,} components or more, and an answer holds "
                f"{MAX_COMPONENTS:,}: leave key_vector and value_vector out, or send fewer queries or a smaller top_k",
            )


@dataclass(frozen=True)
class StoredDocuments:
    """A reader of documents from a snapshot.

    Attributes:
        wants: how much of each document is needed: its id, its texts, or also its vectors. "ids" is sufficient only if
            no document has several keys.
    """

    snapshot: Snapshot
    wants: DocumentDetail
    _vectors: VectorCount = field(default_factory=VectorCount)

    def ids(self, rows: Array) -> Sequence[str]:
        """Return the ids of the documents with these row numbers."""
        return self.snapshot.reader.ids(self.snapshot.record.id, rows)

    def documents(self, rows: Array) -> Sequence[Document | str]:
        """Return the documents with these row numbers, with the fields that are needed."""
        if self.wants in ("vectors", "values"):
            return self._with_vectors(rows)
        if self.wants == "texts" or self.snapshot.view.facts.several:
            return self.snapshot.reader.texts(self.snapshot.record.id, rows)
        return self.snapshot.reader.ids(self.snapshot.record.id, rows)

    def _with_vectors(self, rows: Array) -> Sequence[DocumentRecord]:
        self._vectors.add(
            count_components(self.snapshot.record, self.snapshot.reader.texts(self.snapshot.record.id, rows))
        )
        documents = self.snapshot.reader.documents(self.snapshot.record.id, rows)
        if self.wants == "values":
            require_values(self.snapshot.record.name, documents)
        return documents

    def find_best_keys(self, documents: Sequence[Document | str], rows: Array, parts: Array) -> list[BestKey | None]:
        """Return for each document the one of its keys that is most similar to the query; None if it has only one key.

        Args:
            documents: n documents, as `documents` returns them.
            rows: int64[n], their row numbers.
            parts: int64[n], the number of the most similar key of each.
        """
        spoke: list[BestKey | None] = [None] * len(documents)
        if self.snapshot.view.facts.several:
            several = [
                i for i, document in enumerate(documents) if not isinstance(document, str) and document.n_keys > 1
            ]
            both = np.concatenate([parts[several], rows[several]])
            spans = self.snapshot.reader.parts(self.snapshot.record.id, both)
            for i, part, first in zip(several, spans[: len(several)], spans[len(several) :], strict=True):
                spoke[i] = BestKey(int(parts[i] - rows[i]), part, first)
        return spoke

    def keys(self, rows: Array) -> Array:
        """Return float32[n, d], the keys with these row numbers; raises DocumentDamaged."""
        return self.snapshot.keys(rows)


@dataclass(frozen=True)
class MemoryDocuments:
    """A reader of documents that came with the query; each has one key, and its row is its index."""

    given: Sequence[DocumentRecord]

    def ids(self, rows: Array) -> Sequence[str]:
        """Return the ids of the documents with these row numbers."""
        return [self.given[row].id for row in np.asarray(rows).tolist()]

    def documents(self, rows: Array) -> Sequence[Document]:
        """Return the documents with these row numbers."""
        return [self.given[row] for row in np.asarray(rows).tolist()]

    def find_best_keys(self, documents: Sequence[Document | str], rows: Array, parts: Array) -> list[BestKey | None]:
        """Return None for each document, since each has only one key."""
        return [None] * len(documents)

    def keys(self, rows: Array) -> Array:
        """Return float32[n, d], the keys of the documents with these row numbers."""
        return np.stack([self.given[row].keys[0] for row in rows.tolist()])


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


@dataclass(frozen=True)
class Group:
    """The documents that have one value of a field, or a value in one range.

    Attributes:
        value: the value; the range as it was sent; None for the documents without the field.
        condition: the condition that these documents pass, apart from the filter of the query.
        weight: the weight of all of them together.
        documents: their number.
        matches: the best of them, with their weights among all documents.
    """

    value: Any
    condition: Condition
    weight: float
    documents: int
    matches: Sequence[Match] = ()


@dataclass(frozen=True)
class GroupedWeight:
    """The weight of an answer by groups.

    Attributes:
        groups: the groups with the most weight, the heaviest first.
        rest_weight: the weight of all documents that are in none of these groups, nor in heavier ones.
        error: a bound on the error of the weight of each group and each of its matches, and of `rest_weight`.
        more: whether there are lighter groups.
        heaviest: of all groups but that of the documents without the field, the one with the most weight; None if there
            is no other group.
    """

    groups: Sequence[Group]
    rest_weight: float
    error: float
    more: bool
    heaviest: Group | None


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
        coverage: how much of the collection the answer covers; None if the query required all of it.
        unknown_tokens: the number of query tokens that the model does not know; None for a vector.
        full_text: the full-text term; None without one.
        read: each requested field, aggregated over all documents.
        group_by: the weight by groups; None if not requested.
        warnings: what the filter's comparisons leave out in silence, a sentence each.
        reranked: the depth to which a reranker added to the logits; None without one.
        query_vector: the query [d], for the highlights of its matches; None if not requested.
    """

    matches: list[Match]
    rest_weight: float
    output: Array | None
    answer: Answer
    verdict: Verdict
    alike: bool
    reason: str
    unknown_tokens: int | None
    coverage: Coverage | None = None
    full_text: FullText | None = None
    read: Sequence[dict[str, Any]] = ()
    group_by: GroupedWeight | None = None
    warnings: Sequence[str] = ()
    reranked: int | None = None
    query_vector: Array | None = None


@dataclass(frozen=True)
class ResultBuilder:
    """A builder of results, for answers from one version of a collection with the same options.

    Attributes:
        labels: a clause on the collection's labels, for the reasons of answers.
    """

    snapshot: Snapshot
    reading: DocumentReader
    options: Options
    labels: str

    def build(
        self,
        query: EncodedQuery,
        answer: Answer,
        added: LogitTerms | None,
        confident: ConfidenceModel | None,
        *,
        groups: GroupedWeight | None = None,
        coverage: Coverage | None = None,
        read: Sequence[dict[str, Any]] = (),
    ) -> Result:
        """Build the result of an answer, with documents, confidence and the explanation of its terms.

        Args:
            query: the query with its vector.
            answer: the lookup's answer.
            added: the terms that were added to the documents' logits; None without any.
            confident: the calibration's part that computes confidences; None for no confidences.
            groups, coverage, read: fields of the result.
        """
        snapshot, options = self.snapshot, self.options
        is_outside = query.is_sum and snapshot.record.settings.calibration is not None
        return build_result(
            snapshot.record,
            query,
            answer,
            self.reading,
            options,
            added if options.explained else None,
            confident,
            OUTSIDE_CALIBRATION.format("the query is a weighted sum") if is_outside else self.labels,
            groups=groups,
            coverage=coverage,
            read=read,
            full_text=summarise_full_text(added, snapshot, options),
            warnings=warn_of_filters(snapshot, options, answer.documents),
        )


def warn_of_filters(snapshot: Snapshot, options: Options, documents: int) -> list[str]:
    """Return the warnings of a question's filter, which this number of documents passes, and of filters in its bias."""
    if options.filter is None and not options.bias:
        return []
    condition = parse_filter(options.filter, options.now)
    soft_filters = [term.condition for term in parse_bias(options.bias, options.now) if isinstance(term, FilterTerm)]
    kinds = snapshot.lasting("field kinds", dict[str, FieldKinds])
    explain = partial(explain_filter, snapshot.reader, snapshot.record.id, cached_kinds=kinds)
    warnings = dict.fromkeys(warning for soft in soft_filters for warning in explain(soft, passes=True))
    if condition is not None:
        name = ("warnings", condition_digest(condition), documents > 0)
        warnings |= dict.fromkeys(snapshot.once(name, partial(explain, condition, passes=documents > 0)))
    return list(warnings)


def summarise_full_text(added: LogitTerms | None, snapshot: Snapshot, options: Options) -> FullText | None:
    """Return the effect of full text on a query; None without full text.

    Args:
        added: the terms that were added to the documents' logits, full text among them.
        snapshot: the version of the collection that was queried.
        options: the options of the query; only documents that pass its filter are counted.
    """
    if added is None or added.words is None:
        return None
    return FullText(added.words.weight, added.words.ranking, added.count_containing(build_mask(snapshot, options)))


def build_result(
    record: CollectionRecord,
    query: EncodedQuery,
    answer: Answer,
    reading: DocumentReader,
    options: Options,
    added: LogitTerms | None = None,
    confidence_model: ConfidenceModel | None = None,
    labels: str = "",
    *,
    groups: GroupedWeight | None = None,
    coverage: Coverage | None = None,
    full_text: FullText | None = None,
    read: Sequence[dict[str, Any]] = (),
    warnings: Sequence[str] = (),
) -> Result:
    """Build the result of an answer, with the documents that were requested.

    If documents tie for the last place among the matches, the id decides.

    Args:
        record: the collection's record.
        query: the query with its vector.
        answer: the lookup's answer.
        reading: reads the documents.
        options: the options of the query.
        added: the terms (numbers added to logits) to explain for each match; None for no explanation.
        confidence_model: computes the confidence of each match; None for no confidence.
        labels: a clause on the collection's labels, for the reason; empty for none.
        groups, coverage, full_text, read, warnings: fields of the result.
    """
    policy = Policy(
        HALF if confidence_model is None else confidence_model.none_from,
        is_readable=not query.words_unknown,
        confidence=None if confidence_model is None else confidence_model.of_first(answer),
        group=_share_of_groups(groups, options),
    )
    verdict = judge(answer.shares, policy)
    leader = None
    if groups is not None and policy.group is not None and verdict.stands == "one" and answer.heaviest <= HALF:
        leader = _name_group(groups, options)
    similarity, is_readable = record.settings.similarity, policy.is_readable
    alike = answer.heaviest <= HALF and share_alike(
        similarity, verdict, answer.heavy_rows, reading.keys, is_readable=is_readable
    )
    reranker = options.text_terms.reranker
    sharing = None
    if options.diversity is not None:
        sharing = Places.of(similarity, answer, options, reading.ids(answer.numbers), reading.keys)
    matches = read_matches(answer, reading, added, None if sharing is None else sharing.matching)
    if confidence_model is not None:
        logs = np.array([match.logit + match.log_weight_of_other_parts for match in matches])
        pairs = zip(matches, confidence_model.of_matches(logs, answer.keys), strict=True)
        matches = [replace(match, confidence=confidence) for match, confidence in pairs]
    reason = explain_verdict(
        matches, answer, verdict, options, labels, is_readable=is_readable, alike=alike, leader=leader
    )
    if sharing is not None:
        matches = _add_shares(matches, sharing.members)
    rest = compute_rest_weight(answer.evidence, [match.weight for match in matches], answer.documents)
    return Result(
        matches,
        rest,
        _output(record, answer),
        answer,
        verdict,
        alike,
        reason,
        query.unknown_tokens,
        coverage,
        full_text,
        read,
        groups,
        warnings,
        reranked=None if reranker is None else reranker.depth,
        query_vector=query.vector if options.highlight else None,
    )


def _share_of_groups(groups: GroupedWeight | None, options: Options) -> GroupShare | None:
    """Return the heaviest group as the one that may stand out; None without groups.

    With `min_confidence`, the verdict is on the first match alone.
    """
    if groups is None or groups.heaviest is None or options.min_confidence is not None:
        return None
    return GroupShare(groups.heaviest.weight, groups.error)


def _name_group(groups: GroupedWeight, options: Options) -> tuple[str, float]:
    """Return the heaviest group in words, and its weight."""
    assert options.group_by is not None
    assert groups.heaviest is not None
    value = json.dumps(groups.heaviest.value, ensure_ascii=False)
    return f"{options.group_by.field} = {value}", groups.heaviest.weight


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
    columns = zip(
        [document if isinstance(document, str) else document.id for document in documents],
        [None if isinstance(document, str) else document for document in documents],
        answer.similarities[indices].tolist(),
        answer.logits[indices].tolist(),
        weights.tolist(),
        answer.log_weight_of_other_parts[indices].tolist(),
        reading.find_best_keys(documents, rows, answer.parts[indices]),
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


def choose_matches(answer: Answer, reading: DocumentReader) -> Array:
    """Return the indices of the answer's matches among its best documents, the best one first.

    The answer has more documents than matches if several tie for the last place; then the id decides.
    """
    indices = np.arange(len(answer.numbers))
    if len(indices) <= answer.matches:
        return indices
    ids = np.array(reading.ids(answer.numbers), dtype=object)
    return np.lexsort((ids, -answer.similarities, -answer.weights))[: answer.matches]


def compute_rest_weight(evidence: Evidence, weights: Sequence[float] | Array, documents: int) -> float:
    """Return the total weight of the documents that pass the filter but are not matches.

    Args:
        evidence: the answer's evidence, which has the weight of the null key.
        weights: the weights of the matches.
        documents: the number of documents that pass.
    """
    return max(0.0, 1.0 - evidence.null_weight - float(np.sum(weights))) if documents else 0.0


def _output(record: CollectionRecord, answer: Answer) -> Array | None:
    """Return the answer's output vector; for an empty collection the settings determine its width."""
    if answer.output is None or answer.output.size:
        return answer.output
    return np.zeros(record.settings.value_dimension or record.settings.dimension or 0)
