"""What comes back: the head, the evidence, the blended value and how sure all of it is.

A row is a key. Weights are made over keys; documents, which may have several, are what the head tells of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from attention.dtypes import F64, I64, Index
from attention.lookup.bounds.certificate import Certificate
from attention.lookup.question import Question
from attention.lookup.rescoring.ranking import (
    DocumentGrouping,
    TopRows,
    log_parts,
    select_heaviest,
    select_top,
    truncate_top_p,
)
from attention.lookup.softmax.evidence import Evidence, Verdict
from attention.lookup.softmax.mixture import log_or_minus_inf


@dataclass(frozen=True, eq=False)
class Answer:
    """Attention of one query over every row that passes.

    Attributes:
        numbers: int64[k'], the head: the best documents by weight, then by similarity, and all that tie in both with
            the last of them. A document has the number of its first row.
        parts: int64[k'], the key of each that is most similar, the first of those that tie: a row's number.
        similarities, logits: float64[k'], of that key; the logit has the bias in it, but at temperature 0.
        weights: float64[k'], each the sum over all keys of the document.
        log_parts: float64[k'], ln Σ exp(logit − logit of the best key) over them, 0 for one key. With softmax the
            logarithm of a weight is logit − log_partition + log_parts, within the certificate, and where the weight
            vanishes as well; at temperature 0 of how many of its keys tie for the best of all, and of their bias. 0
            where the normaliser is not softmax.
        matches: how many of the head are asked for (top_k, or the smallest set that holds top_p); more are ties.
        complete: False where top_k came before top_p was reached.
        evidence: at the temperature used.
        heaviest: the weight of the heaviest document, in the head or not; 0 if no document passes.
        best_similarity: the best that passes, with a bias that of the largest logit; None where none does.
        output: float64[d_v], Σ weight·value, not rescaled for the null; None where not asked for.
        certificate: a proven bound on the error of all this.
        documents, keys: how many documents and how many rows pass.
    """

    numbers: I64
    parts: I64
    similarities: F64
    logits: F64
    weights: F64
    log_parts: F64
    matches: int
    complete: bool
    evidence: Evidence
    heaviest: float
    best_similarity: float | None
    output: F64 | None
    certificate: Certificate
    documents: int
    keys: int

    def __repr__(self) -> str:
        return f"<Answer {self.matches} of {self.documents:,} documents, null {self.null_weight:.3f}>"

    @property
    def verdict(self) -> Verdict:
        """Whether one document stands out, several share the weight, or there is nothing."""
        variation = self.certificate.total_variation
        return Verdict.of(self.evidence, self.heaviest, variation, documents=self.documents)

    @property
    def temperature(self) -> float:
        """The temperature used; where `Auto` was asked, the one it found."""
        return self.evidence.temperature

    @property
    def null_weight(self) -> float:
        """The null key's weight; 0 without one."""
        return self.evidence.null_weight

    @property
    def log_partition(self) -> float | None:
        """See `Evidence`."""
        return self.evidence.log_partition

    @property
    def entropy(self) -> float:
        """See `Evidence`."""
        return self.evidence.entropy

    @property
    def effective_documents(self) -> float:
        """See `Evidence`."""
        return self.evidence.effective_documents


@dataclass(frozen=True, eq=False)
class Sweep:
    """One query at many temperatures, from one pass over the keys.

    Attributes:
        numbers: int64[k'], the head, the same at every temperature: the best documents by similarity, and all that tie
            with the last of them.
        parts, similarities, best_similarity, documents, keys: as in `Answer`.
        weights: float64[t, k'], each the sum over all keys of the document.
        matches: how many of the head were asked for; more are ties with the last.
        evidence: one for each temperature, in the order asked.
        certificates: one for each temperature.
        heaviest: float64[t, 2], the least and the largest weight that the heaviest document can have.
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

    @property
    def verdicts(self) -> list[Verdict]:
        """The verdict at each temperature; see `Answer`."""
        columns = zip(self.evidence, self.certificates, self.heaviest, strict=True)
        return [
            Verdict.of(evidence, least, certificate.total_variation, documents=self.documents, at_most=most)
            for evidence, certificate, (least, most) in columns
        ]


def answer_to(
    question: Question,
    numbers: Callable[[Index], I64],
    similarities: F64,
    weights: F64,
    evidence: Evidence,
    certificate: Certificate,
    *,
    documents: int,
    output: F64 | None,
    elsewhere: float = 0.0,
    keys: int | None = None,
    grouping: DocumentGrouping | None = None,
    order: I64 | None = None,
    raw: Callable[[Index], F64] | None = None,
    biased: bool = False,
) -> Answer:
    """The answer that a distribution makes.

    Args:
        numbers: the row numbers of some of the rows that are known.
        similarities, weights: float64[n], of the rows that are known; the best that pass are among them.
        documents: how many pass.
        output: float64[d_v], or None.
        elsewhere: the weight of documents that are not known.
        keys: how many rows pass; None where as many as documents.
        grouping: of the rows that are known, all of a document among them; None where each is a document by itself.
        order: int64[n], by which rows that tie are told apart; None for as they stand.
        raw: the similarities of some of the rows, where logits were given in their place; None for those given.
        biased: whether what ties for the best shares by a bias, as at temperature 0; all rows that pass are known.
    """
    if grouping is None:
        shown = _rows_shown(question, similarities, weights, elsewhere, order, biased=biased)
    else:
        shown = _documents_shown(question, similarities, weights, elsewhere, grouping, evidence, raw)
    rows = shown.rows
    parts, logits, more = numbers(rows), _logits(similarities, rows, evidence), shown.log_parts
    if biased and evidence.log_partition is not None:
        more = np.where(logits == 0, log_or_minus_inf(shown.weights) + evidence.log_partition, 0.0)
    first = select_top(similarities, 1, order).places[:1]
    return Answer(
        numbers=parts if shown.documents is None else shown.documents,
        parts=parts,
        similarities=similarities[rows] if raw is None else raw(rows),
        logits=logits,
        weights=shown.weights,
        log_parts=more,
        matches=shown.head.matches,
        complete=shown.head.complete,
        evidence=evidence,
        heaviest=float((weights if grouping is None else grouping.sums(weights)).max(initial=0.0)),
        best_similarity=float((similarities[first] if raw is None else raw(first))[0]) if documents else None,
        output=output,
        certificate=certificate,
        documents=documents,
        keys=documents if keys is None else keys,
    )


@dataclass(frozen=True, eq=False)
class _Shown:
    """What an answer tells of.

    Attributes:
        head: the best rows or documents.
        rows: the row of each, the most similar one of a document.
        weights, log_parts: as in `Answer`.
        documents: int64[k'], their numbers; None where each row is one.
    """

    head: TopRows
    rows: Index
    weights: F64
    log_parts: F64
    documents: I64 | None = None


def _rows_shown(
    question: Question, similarities: F64, weights: F64, elsewhere: float, order: I64 | None, *, biased: bool
) -> _Shown:
    if biased:
        head = select_heaviest(weights, similarities, question.cap, order)
    else:
        head = select_top(similarities, question.cap, order)
    if question.top_p is not None:
        head = truncate_top_p(head, similarities, weights, question.top_p, elsewhere, by_weight=biased)
    return _Shown(head, head.places, weights[head.places], np.zeros(len(head.places)))


def _documents_shown(
    question: Question,
    similarities: F64,
    weights: F64,
    elsewhere: float,
    grouping: DocumentGrouping,
    evidence: Evidence,
    raw: Callable[[Index], F64] | None,
) -> _Shown:
    sums, best = grouping.sums(weights), grouping.best(similarities)
    head = select_heaviest(sums, best, question.cap)
    if question.top_p is not None:
        head = truncate_top_p(head, best, sums, question.top_p, elsewhere, by_weight=True)
    softmax = question.normaliser == "softmax"
    more = log_parts(grouping, similarities, evidence.temperature) if softmax else np.zeros(len(sums))
    told_apart = similarities if raw is None else grouping.break_ties(similarities, head.places, raw)
    rows = grouping.best_rows(told_apart)[head.places]
    return _Shown(head, rows, sums[head.places], more[head.places], grouping.numbers[head.places])


def sweep_of(
    question: Question,
    numbers: Callable[[Index], I64],
    similarities: F64,
    distributions: Iterable[tuple[F64, Evidence, Certificate]],
    *,
    documents: int,
    heaviest: F64 | None = None,
    keys: int | None = None,
    grouping: DocumentGrouping | None = None,
    order: I64 | None = None,
) -> Sweep:
    """The same at many temperatures.

    Args:
        distributions: for each the weights float64[n] of the rows that are known, the evidence and a certificate; taken
            one by one, so that they need not be there together.
        heaviest: float64[t, 2], see `Sweep`; None if the heaviest document is among the known ones.
    """
    if grouping is None:
        head = select_top(similarities, question.cap, order)
        rows = head.places
        parts = documents_of = numbers(rows)
    else:
        head = select_top(grouping.best(similarities), question.cap)
        rows = grouping.best_rows(similarities)[head.places]
        parts, documents_of = numbers(rows), grouping.numbers[head.places]
    weights, evidence, certificates, largest = list[F64](), list[Evidence](), list[Certificate](), list[float]()
    for known, told, certificate in distributions:
        whole = known if grouping is None else grouping.sums(known)
        weights.append(known[rows] if grouping is None else whole[head.places])
        largest.append(float(whole.max(initial=0.0)))
        evidence.append(told)
        certificates.append(certificate)
    return Sweep(
        numbers=documents_of,
        parts=parts,
        similarities=similarities[rows],
        weights=np.array(weights).reshape(len(weights), len(head.places)),
        matches=head.matches,
        evidence=tuple(evidence),
        certificates=tuple(certificates),
        heaviest=np.repeat(largest, 2).reshape(-1, 2) if heaviest is None else heaviest,
        best_similarity=float(similarities.max()) if documents else None,
        documents=documents,
        keys=documents if keys is None else keys,
    )


def _logits(similarities: F64, rows: Index, evidence: Evidence) -> F64:
    """s/T; at T = 0 nothing for those that tie for the best, −∞ for the rest, a null key above them included."""
    if evidence.temperature > 0:
        return np.asarray(similarities[rows] / evidence.temperature)
    null = evidence.null_similarity
    best = similarities.max(initial=-np.inf)
    wins = (similarities[rows] == best) & (null is None or null <= best)
    return np.where(wins, 0.0, -np.inf)
