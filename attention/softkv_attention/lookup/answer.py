"""Answers: the best documents and their weights, the weighted sum of values, and bounds on their errors.

The evidence says how well the keys match; the certificate bounds the error. A row is a key. Weights are computed for
keys; the head lists documents, which may have several keys. `select_head` and `select_heads` choose the best documents,
`build_answer` builds every answer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from softkv_attention.arrays import F64, I64, Index
from softkv_attention.kernels import kernels
from softkv_attention.lookup.question import Question
from softkv_attention.lookup.rescoring.candidates import RescoredQueries
from softkv_attention.lookup.rescoring.ranking import (
    DocumentGrouping,
    TopRows,
    log_weight_of_other_parts,
    select_heaviest,
    select_top,
    truncate_top_p,
)
from softkv_attention.lookup.softmax.evidence import Evidence
from softkv_attention.lookup.softmax.mixture import Mixtures, log_or_minus_inf
from softkv_attention.lookup.softmax.verdict import Shares, Verdict, judge
from softkv_attention.rendering import KNOWN, OTHERS, bars_html

SHOWN = 10
"""The most documents that an answer lists in a notebook."""
VERDICTS = {"one": "one document stands out", "several": "several share the weight", "none": "none of these fits"}
LEAST_COMPARED = 1e-30
"""Smaller weights are not compared: a scan in float32 raises a term below exp(−87) of its level to that."""


@dataclass(frozen=True)
class Certificate:
    """A proven bound on the distance between the returned answer and the true one.

    w and ŵ are the true and the returned weights, o and ô the true and the returned output (weighted sum of values).

    Attributes:
        method: "exact" if every similarity is computed in float64 over the stored float32; "quantised" if most come
            from a scan of 8-bit codes.
        total_variation: an upper bound of ½·Σ|w − ŵ| over every document and the null key. If documents have several
            keys, over the documents of the answer, all others together, and the null key.
        output_error: an upper bound of ‖o − ô‖₂; None if no output was requested.
    """

    method: str
    total_variation: float
    output_error: float | None

    def error(self, value_norm: float) -> float:
        """Return the error bound as one number, which a question's `max_error` limits.

        It is the larger of two numbers: the total variation, and the output's error divided by the largest ‖v‖.

        Args:
            value_norm: the largest length ‖v‖ of a value.
        """
        return max(self.total_variation, (self.output_error or 0.0) / max(value_norm, 1e-300))


class HeavyRows(NamedTuple):
    """The rows (keys) that share the weight of an answer: at most 128, the heaviest first.

    Attributes:
        numbers: int64[r], their permanent row numbers.
        documents: int64[r], the document that each is a key of.
        weights: float64[r], of each row alone. Rows below the head may have the weight that a scan gives them.
    """

    numbers: I64
    documents: I64
    weights: F64


@dataclass(frozen=True, eq=False)
class Weights:
    """The weights of all documents that pass the mask.

    Attributes:
        numbers: int64[m], the documents, ascending.
        weights: float64[m], each summed over all keys of the document; with the null key's weight they sum to one.
        total_variation: an upper bound of ½·Σ|w − ŵ| over all documents and the null key, for true weights w and these
            weights ŵ.
        log_error: an upper bound of |ln ŵ − ln w|, apart from a difference that all documents share; infinite if
            unknown.
    """

    numbers: I64
    weights: F64
    total_variation: float
    log_error: float

    def _repr_html_(self) -> str:
        heaviest = np.argsort(-self.weights, kind="stable")[:SHOWN]
        rows = [(f"document {self.numbers[i]}", float(self.weights[i]), KNOWN) for i in heaviest]
        if hidden := len(self.weights) - len(heaviest):
            rest = float(np.delete(self.weights, heaviest).sum())
            rows.append((f"{hidden:,} others", rest, OTHERS))
        return bars_html(rows, f"{len(self.weights):,} documents, total variation ≤ {self.total_variation:.1g}")

    @classmethod
    def of_rows(cls, numbers: I64, weights: F64, total_variation: float, log_error: float) -> Weights:
        """Return the weights of documents with one row each, whose numbers come in any order."""
        if (numbers[1:] > numbers[:-1]).all():
            return cls(numbers, weights, total_variation, log_error)
        order = np.argsort(numbers)
        return cls(numbers[order], weights[order], total_variation, log_error)

    def find_candidates(self, numbers: I64, size: int) -> I64:
        """Return those of some documents that can truly be among the `size` heaviest of them.

        Args:
            numbers: int64[m], documents with weights.
            size: at least 1.
        """
        if len(numbers) <= size:
            return numbers
        weights = self.weights[np.searchsorted(self.numbers, numbers)]
        least = float(np.partition(weights, -size)[-size]) * math.exp(-2 * self.log_error)
        if least < LEAST_COMPARED:
            return numbers
        candidates: I64 = numbers[weights >= least]
        return candidates


@dataclass(frozen=True, eq=False)
class Answer:
    """The result of attention of one query over every key that passes its mask.

    Attributes:
        numbers: int64[k'], the listed documents: the best by weight, then by similarity, and all that tie with the last
            of them in both. A document may have several keys, each stored in a row, and has the number of its first
            row.
        parts: int64[k'], the row number of each listed document's most similar key, the first one if several tie.
        similarities, logits: float64[k'], of that key; the logit includes the bias, except at temperature 0.
        weights: float64[k'], of each document, summed over all of its keys.
        log_weight_of_other_parts: float64[k'], ln Σ exp(logit − logit of the best key) over the document's keys; 0 for
            one key. With softmax, ln(weight) = logit − log_partition + log_weight_of_other_parts within the
            certificate, even if the weight underflows. At temperature 0 it counts the keys that tie for the best of
            all, with their bias. 0 if the normaliser is not softmax.
        matches: how many of the listed documents were requested (top_k, or the smallest set that holds top_p); the
            others tie with the last of these.
        complete: False if top_k was reached before top_p.
        evidence: null weight, log-partition and entropy at the temperature used.
        heaviest: the weight of the heaviest document, listed or not; 0 if no document passes.
        best_similarity: the largest similarity that passes, with a bias that of the largest logit; None if no row
            passes.
        output: float64[d_v], Σ weight·value over all keys, which is not divided by the keys' total weight; None if not
            requested.
        certificate: a proven bound on the error of all this.
        documents, keys: how many documents and how many keys pass the mask.
        heavy_rows: the heaviest rows, listed or not, if they have more than half of all weight together, and neither
            one of them nor the null key has it alone; else None.
        all_weights: the weight of every document that passes; None if not requested.
    """

    numbers: I64
    parts: I64
    similarities: F64
    logits: F64
    weights: F64
    log_weight_of_other_parts: F64
    matches: int
    complete: bool
    evidence: Evidence
    heaviest: float
    best_similarity: float | None
    output: F64 | None
    certificate: Certificate
    documents: int
    keys: int
    heavy_rows: HeavyRows | None
    all_weights: Weights | None = None

    def __repr__(self) -> str:
        return f"<Answer {self.matches} of {self.documents:,} documents, null {self.null_weight:.3f}>"

    def _repr_html_(self) -> str:
        columns = zip(self.numbers.tolist(), self.similarities.tolist(), self.weights.tolist(), strict=True)
        listed = [(f"document {number}, similarity {s:.4f}", weight, KNOWN) for number, s, weight in columns]
        rows = listed[:SHOWN]
        if hidden := self.documents - len(rows):
            rest = self.rest_weight + sum(weight for _, weight, _ in listed[SHOWN:])
            rows.append((f"{hidden:,} others", rest, OTHERS))
        if self.evidence.null_similarity is not None:
            rows.append((f"none of these, similarity {self.evidence.null_similarity:.4f}", self.null_weight, OTHERS))
        certificate = self.certificate
        bound = f"{certificate.method}, total variation ≤ {certificate.total_variation:.1g}"
        return bars_html(rows, f"{VERDICTS[self.verdict.stands]}; T = {self.temperature:g}; {bound}")

    @property
    def verdict(self) -> Verdict:
        """The verdict: one document stands out, several share the weight, or no document matches the query."""
        return judge(self.shares)

    @property
    def shares(self) -> Shares:
        """The shares of the weight that a verdict follows from."""
        return Shares(self.evidence.competing_null, self.heaviest, self.documents, self.certificate.total_variation)

    @property
    def temperature(self) -> float:
        """The temperature of the answer; with `Auto`, the one that was solved for."""
        return self.evidence.temperature

    @property
    def null_weight(self) -> float:
        """The weight of the null key, which means "none of these"; 0 without a null key."""
        return self.evidence.null_weight

    @property
    def rest_weight(self) -> float:
        """The weight of all documents that pass the mask and are not listed, together."""
        return float(_rest_weights(self.weights, self.null_weight, self.documents))

    @property
    def log_partition(self) -> float | None:
        """ln Σ exp(logit) over all keys and the null key; None unless the normaliser is softmax."""
        return self.evidence.log_partition

    @property
    def entropy(self) -> float:
        """The entropy of the keys' weights in nats, without the null key."""
        return self.evidence.entropy

    @property
    def effective_documents(self) -> float:
        """The number of keys that share the weight, exp(entropy)."""
        return self.evidence.effective_documents


@dataclass(frozen=True, eq=False)
class Sweep:
    """The result of one query at many temperatures, from one pass over the keys.

    Attributes:
        numbers: int64[k'], the listed documents, the same at every temperature: the best by similarity, and all that
            tie with the last of them.
        parts: int64[k'], the row number of each listed document's most similar key.
        weights: float64[t, k'], of each document at each of t temperatures, summed over all of its keys.
        matches: how many of the listed documents were requested; the others tie with the last of these.
        evidence: one for each temperature, in the order of the temperatures.
        certificates: one for each temperature.
        heaviest: float64[t, 2], bounds on the weight of the heaviest document.
        heavy_rows: one for each temperature, see `Answer`.
    """

    numbers: I64
    parts: I64
    similarities: F64
    weights: F64
    matches: int
    evidence: tuple[Evidence, ...]
    certificates: tuple[Certificate, ...]
    heaviest: F64
    best_similarity: float | None
    documents: int
    keys: int
    heavy_rows: tuple[HeavyRows | None, ...]

    def __repr__(self) -> str:
        return f"<Sweep {len(self.evidence)} temperatures, {self.matches} of {self.documents:,} documents>"

    @property
    def temperatures(self) -> F64:
        """The temperatures of the sweep, float64[t]."""
        return np.array([evidence.temperature for evidence in self.evidence], dtype=np.float64)

    @property
    def null_weights(self) -> F64:
        """The weight of the null key at each temperature, float64[t]; 0 without a null key."""
        return np.array([evidence.null_weight for evidence in self.evidence], dtype=np.float64)

    @property
    def rest_weights(self) -> F64:
        """The weight of all documents that are not listed, together, at each temperature, float64[t]."""
        return _rest_weights(self.weights, self.null_weights, self.documents)

    @property
    def verdicts(self) -> list[Verdict]:
        """For each temperature, the verdict: one document stands out, several share the weight, or none matches."""
        return [judge(shares) for shares in self.shares]

    @property
    def shares(self) -> list[Shares]:
        """For each temperature, the shares of the weight that a verdict follows from."""
        columns = zip(self.evidence, self.certificates, self.heaviest.tolist(), strict=True)
        return [
            Shares(evidence.competing_null, low, self.documents, certificate.total_variation, at_most=high)
            for evidence, certificate, (low, high) in columns
        ]


class Head(NamedTuple):
    """The documents that one question's answer lists, which are the best ones, and the evidence.

    Attributes are those of `Answer`: numbers, similarities, logits and weights of the documents, how many were
    requested, and the evidence (null weight, log-partition and entropy).
    """

    numbers: I64
    parts: I64
    similarities: F64
    logits: F64
    weights: F64
    log_weight_of_other_parts: F64
    matches: int
    complete: bool
    evidence: Evidence
    heaviest: float
    best_similarity: float | None


def build_answer(
    head: Head,
    certificate: Certificate,
    *,
    documents: int,
    keys: int,
    output: F64 | None,
    heavy_rows: HeavyRows | None = None,
) -> Answer:
    """Return the answer that consists of the listed documents, error bounds, counts and output.

    Args:
        head: the listed documents and the evidence.
        certificate: the bounds on the answer's error.
        documents, keys: how many documents and how many keys pass the mask.
        output: float64[d_v], Σ weight·value; None if not requested.
        heavy_rows: the heaviest rows, see `Answer`.
    """
    # A head has the first attributes of an answer.
    return Answer(*head, output, certificate, documents, keys, heavy_rows)


def select_head(
    question: Question,
    numbers: Callable[[Index], I64],
    levels: F64,
    weights: F64,
    evidence: Evidence,
    *,
    unlisted_weight: float = 0.0,
    grouping: DocumentGrouping | None = None,
    order: I64 | None = None,
    compute_similarities: Callable[[Index], F64] | None = None,
    biased: bool = False,
) -> Head:
    """Return the documents to list in one question's answer: the best, and all that tie with the last of them.

    Args:
        question: how many documents to list, and by which rule.
        numbers: returns the permanent row numbers of the rows at some positions.
        levels, weights: float64[n], of n candidate rows; the best of all rows are among them. The levels are
            similarities, or logits, whose temperature is 1.
        evidence: null weight, log-partition and entropy of all rows, at the temperature of the levels.
        unlisted_weight: the weight of documents without a row among these.
        grouping: the documents of these rows; every row of these documents is among the n. None if each row is a
            document.
        order: int64[n], the sort key of rows that tie; None for their positions.
        compute_similarities: returns the similarities of the rows at some positions, if the levels are logits;
            otherwise None.
        biased: whether rows that tie for the best have unequal weights because of a bias, as at temperature 0. All rows
            that pass the mask are then among the n.
    """
    if grouping is None:
        best = _select_rows(question, levels, weights, unlisted_weight, order, biased=biased)
    else:
        best = _select_documents(
            question, levels, weights, unlisted_weight, grouping, evidence.temperature, compute_similarities
        )
    row_numbers, head_weights = numbers(best.rows), best.weights[best.top.indices]
    logits, log_weights = _logits(levels, best.rows, evidence), best.log_weight_of_other_parts
    if biased and evidence.log_partition is not None:
        log_weights = np.where(logits == 0, log_or_minus_inf(head_weights) + evidence.log_partition, 0.0)
    similarities_of = levels.__getitem__ if compute_similarities is None else compute_similarities
    best_similarity: float | None = None
    if len(levels) and compute_similarities is None:
        best_similarity = float(levels.max())
    elif len(levels):
        best_similarity = float(similarities_of(select_top(levels, 1, order).indices[:1])[0])
    return Head(
        numbers=row_numbers if grouping is None else grouping.numbers[best.top.indices],
        parts=row_numbers,
        similarities=similarities_of(best.rows),
        logits=logits,
        weights=head_weights,
        log_weight_of_other_parts=log_weights,
        matches=best.top.matches,
        complete=best.top.complete,
        evidence=evidence,
        heaviest=float(best.weights.max(initial=0.0)),
        best_similarity=best_similarity,
    )


class _BestDocuments(NamedTuple):
    """The documents that an answer lists, among the candidates.

    Attributes:
        top: which documents these are.
        rows: int64[h], the position of the best row of each.
        weights: float64, of all candidate documents.
        log_weight_of_other_parts: float64[h], see `Answer`.
    """

    top: TopRows
    rows: Index
    weights: F64
    log_weight_of_other_parts: F64


def _select_rows(
    question: Question, levels: F64, weights: F64, unlisted_weight: float, order: I64 | None, *, biased: bool
) -> _BestDocuments:
    """Return the best documents if each row is one; see `select_head`."""
    top = select_heaviest(weights, levels, question.cap, order) if biased else select_top(levels, question.cap, order)
    if question.top_p is not None:
        top = truncate_top_p(top, levels, weights, question.top_p, unlisted_weight, by_weight=biased)
    return _BestDocuments(top, top.indices, weights, np.zeros(len(top.indices)))


def _select_documents(
    question: Question,
    levels: F64,
    weights: F64,
    unlisted_weight: float,
    grouping: DocumentGrouping,
    temperature: float,
    compute_similarities: Callable[[Index], F64] | None,
) -> _BestDocuments:
    """Return the best documents, the heaviest, if some have several rows; see `select_head`."""
    of_documents, highest = grouping.sums(weights), grouping.best(levels)
    top = select_heaviest(of_documents, highest, question.cap)
    if question.top_p is not None:
        top = truncate_top_p(top, highest, of_documents, question.top_p, unlisted_weight, by_weight=True)
    log_weights = np.zeros(len(top.indices))
    if question.normaliser == "softmax":
        log_weights = log_weight_of_other_parts(grouping, levels, temperature)[top.indices]
    if compute_similarities is not None:
        levels = grouping.break_ties(levels, top.indices, compute_similarities)
    return _BestDocuments(top, grouping.best_rows(levels)[top.indices], of_documents, log_weights)


def select_heads(
    caps: Mapping[int, int],
    rescored: RescoredQueries,
    mixtures: Mixtures,
    cases: Mapping[int, int],
    numbers: Callable[[Index], I64],
    order: I64,
) -> dict[int, Head]:
    """Return, by question index, the documents to list in the answers of many questions.

    Each row must be a document, and the weights must be softmax above temperature 0.

    Args:
        caps: for the index of each question, how many documents to list; more if they tie.
        rescored: the candidate rows of all questions.
        mixtures: the weights of all questions.
        cases: for the index of each question, the index of its weights in `mixtures`.
        numbers: returns the permanent row numbers of rows.
        order: int64[l], the sort key of candidates that tie.
    """
    candidates, counts = rescored.candidates, np.maximum(rescored.counts, 0)
    row_caps = np.zeros(len(counts), dtype=np.int64)
    row_caps[list(caps)] = list(caps.values())
    edges, rows, queries = kernels().top_rows(rescored.similarities, order, candidates.starts, counts, row_caps)
    similarities, row_numbers = rescored.similarities[rows], numbers(candidates.rows[rows])
    if len(cases) < len(counts):  # the cases are numbered differently from the questions
        case_of = np.zeros(len(counts), dtype=np.int64)
        case_of[list(cases)] = list(cases.values())
        rows = rows + (mixtures.runs.starts[:-1][case_of] - candidates.starts[:-1])[queries]
        queries = case_of[queries]
    logits, weights = similarities / mixtures.temperatures[queries], mixtures.weights[rows]
    zeros = np.zeros(len(rows))
    starts, matches = edges.tolist(), np.minimum(row_caps, counts).tolist()
    heads = {}
    for index in caps:
        span, case = slice(starts[index], starts[index + 1]), cases[index]
        heads[index] = Head(
            numbers=row_numbers[span],
            parts=row_numbers[span],
            similarities=similarities[span],
            logits=logits[span],
            weights=weights[span],
            log_weight_of_other_parts=zeros[span],
            matches=matches[index],
            complete=True,
            evidence=mixtures.evidence(case),
            heaviest=float(mixtures.runs.of(mixtures.weights, case)[0].max()),
            best_similarity=mixtures.totals[case].best,
        )
    return heads


def build_sweep(
    question: Question,
    numbers: Callable[[Index], I64],
    similarities: F64,
    distributions: Iterable[tuple[F64, Evidence, Certificate, HeavyRows | None]],
    *,
    documents: int,
    heaviest: F64 | None = None,
    keys: int | None = None,
    grouping: DocumentGrouping | None = None,
    order: I64 | None = None,
) -> Sweep:
    """Return one question's answers at many temperatures: the listed documents, and what changes with temperature.

    Args:
        question: how many documents to list.
        numbers: returns the permanent row numbers of the rows at some positions.
        similarities: float64[n], of n candidate rows; the best of all rows are among them.
        distributions: for each temperature the weights float64[n] of these rows, the evidence, a certificate and the
            heaviest rows; taken one by one, so that they need not be in memory together.
        documents: how many documents pass the mask.
        heaviest: float64[t, 2], bounds on the weight of the heaviest document at each temperature; None if it is among
            the candidates.
        keys: how many rows pass the mask; None if each row is a document.
        grouping: the documents of the candidate rows, each with all of its rows; None if each row is a document.
        order: int64[n], the sort key of rows that tie; None for their positions.
    """
    if grouping is None:
        top = select_top(similarities, question.cap, order)
        rows = top.indices
        parts = document_numbers = numbers(rows)
    else:
        top = select_top(grouping.best(similarities), question.cap)
        rows = grouping.best_rows(similarities)[top.indices]
        parts, document_numbers = numbers(rows), grouping.numbers[top.indices]
    head_weights, evidences, certificates, largest = list[F64](), list[Evidence](), list[Certificate](), list[float]()
    heavy_rows = list[HeavyRows | None]()
    for weights, evidence, certificate, heavy in distributions:
        document_weights = weights if grouping is None else grouping.sums(weights)
        head_weights.append(document_weights[top.indices])
        largest.append(float(document_weights.max(initial=0.0)))
        evidences.append(evidence)
        certificates.append(certificate)
        heavy_rows.append(heavy)
    return Sweep(
        numbers=document_numbers,
        parts=parts,
        similarities=similarities[rows],
        weights=np.array(head_weights).reshape(len(head_weights), len(top.indices)),
        matches=top.matches,
        evidence=tuple(evidences),
        certificates=tuple(certificates),
        heaviest=np.repeat(largest, 2).reshape(-1, 2) if heaviest is None else heaviest,
        best_similarity=float(similarities.max()) if documents else None,
        documents=documents,
        keys=documents if keys is None else keys,
        heavy_rows=tuple(heavy_rows),
    )


def _rest_weights(weights: F64, null_weights: float | F64, documents: int) -> F64:
    """Return the weight of all documents that are not listed, at each temperature: float64[t], or float64[].

    Args:
        weights: float64[t, k] or float64[k], of the listed documents.
        null_weights: float64[t] or one number, of the null key ("none of these").
        documents: the number of documents that pass the mask; without any, the result is 0.
    """
    rest = np.maximum(1.0 - null_weights - weights.sum(axis=-1), 0.0)
    return np.asarray(rest if documents else np.zeros_like(rest))


def _logits(similarities: F64, rows: Index, evidence: Evidence) -> F64:
    """Return the logits s/T of some rows; at T = 0, 0 for the best rows and −∞ for the others.

    At T = 0, if the null key ("none of these") has the largest similarity, all are −∞.

    Args:
        similarities: float64[n], of all candidate rows.
        rows: int64[m], the positions of the rows among them.
        evidence: the temperature T and the null key's similarity.
    """
    if evidence.temperature > 0:
        return np.asarray(similarities[rows] / evidence.temperature)
    null = evidence.null_similarity
    best = similarities.max(initial=-np.inf)
    wins = (similarities[rows] == best) & (null is None or null <= best)
    return np.where(wins, 0.0, -np.inf)
