"""Profiles of labelled questions: small tables over λ and temperatures, independent of the number of keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

FULL_TEXT_WEIGHTS = (0.0, 0.05, 0.1, 0.15, 0.2)
"""The λ that are tried, for bm25: a document's logit gains λ·rank. The first is 0."""

FINE_FACTORS = 4.0 ** (np.arange(1, 19) / 18)
COARSE_FACTORS = 4.0 * 2.0 ** (np.arange(1, 7) / 2)
"""Factors between the collection's own temperature and those that are tried: 8 % apart up to 4, then 41 % apart up to
32; from there a second calibration continues.
"""

MIN_TEMPERATURE = 1e-30
"""Every collection's temperature is 0 or at least this."""

NO_TIE = np.iinfo(np.int64).max
"""The rank by id of a document that ties with no right one."""


def temperatures_around(centre: float) -> Array:
    """Return float64[49], the ascending temperatures to try, from 1/32 to 32 times a collection's own temperature.

    The own temperature is the middle one.

    Args:
        centre: the own temperature, above 0.
    """
    above = np.concatenate([FINE_FACTORS, COARSE_FACTORS])
    with np.errstate(over="ignore"):
        temperatures = centre * np.concatenate([1 / above[::-1], [1.0], above])
    return np.clip(temperatures, MIN_TEMPERATURE, np.finfo(np.float64).max)


@dataclass(frozen=True)
class DocumentKeys:
    """The documents that questions attend to.

    Attributes:
        rows: int64[m], their ascending row numbers.
        begins: int64[m], the index of each document's first key among the similarities; None if each has one key.
    """

    rows: Array
    begins: Array | None

    @classmethod
    def of(cls, owners: Array) -> DocumentKeys:
        """Build the object from the row number of each key's document, int64[n], ascending."""
        rows, begins = np.unique(owners, return_index=True)
        return cls(rows, None if len(rows) == len(owners) else begins)

    def has(self, row: int) -> bool:
        """Return whether the document with this row number is included."""
        index = int(np.searchsorted(self.rows, row))
        return index < len(self.rows) and bool(self.rows[index] == row)

    def by_id(self, similarities: Array, right: Array, ids: Callable[[Array], Sequence[str]]) -> Array:
        """Return int64[m], the rank by id of each document that ties with a right one; NO_TIE for all others.

        Args:
            similarities: float64[n], of every key.
            right: int64[r], the row numbers of the documents that answer the question.
            ids: returns the ids of documents with these row numbers.
        """
        order = np.full(len(self.rows), NO_TIE)
        if len(right):
            masses = self.log_masses(similarities)
            tied = np.flatnonzero(np.isin(masses, masses[np.searchsorted(self.rows, right)]))
            names = np.array(ids(self.rows[tied]), dtype=object)
            order[tied] = np.argsort(np.argsort(names, kind="stable"), kind="stable")
        return order

    def log_masses(self, logits: Array) -> Array:
        """Return float64[m], the log mass (unnormalised weight) of each document: ln Σ exp(logit) over its keys.

        Args:
            logits: float64[n], of all keys.
        """
        if self.begins is None:
            return logits
        best = np.maximum.reduceat(logits, self.begins)
        counts = np.diff(self.begins, append=len(logits))
        return np.asarray(best + np.log(np.add.reduceat(np.exp(logits - np.repeat(best, counts)), self.begins)))


@dataclass(frozen=True)
class Profiles:
    """Profiles of q labelled questions: what a calibration needs to know of their answers, as small tables.

    The tables are float64[q, λ, T], with every λ (weight of full text) of `words` and every temperature T of
    `temperatures`. A mass is an unnormalised weight, Σ exp(logit); all masses are logarithms.

    Attributes:
        keys: n, the number of keys that the null key competes with.
        present: bool[q], whether the question has an answer.
        log_partition: the mass of all documents, without the null key.
        best: the mass of the best document.
        right: the mass of all right documents together; −∞ without any.
        rank: the rank of the best right document, from 1, ties by id; infinite without one.
        score: the reranker's logit of the best document; 0 without a reranker, or if it has not read that document.
    """

    temperatures: Array
    words: tuple[float, ...]
    keys: int
    present: Array
    log_partition: Array
    best: Array
    right: Array
    rank: Array
    score: Array

    @property
    def own_index(self) -> int:
        """The index of the collection's own temperature among the temperatures of the tables."""
        return len(self.temperatures) // 2

    def nearest(self, temperature: float) -> int:
        """Return the index of the nearest temperature in the tables."""
        return int(np.argmin(np.abs(np.log(self.temperatures / temperature))))

    def at(self, temperature: float) -> Profiles:
        """Return the same profiles at one temperature alone, the nearest in the tables."""
        one = [self.nearest(temperature)]
        names = ("log_partition", "best", "right", "rank", "score")
        tables = {name: getattr(self, name)[:, :, one] for name in names}
        return replace(self, temperatures=self.temperatures[one], **tables)

    def of(self, chosen: Array) -> Profiles:
        """Return the profiles of some questions, int64[k] or bool[q]."""
        tables = ("present", "log_partition", "best", "right", "rank", "score")
        return Profiles(self.temperatures, self.words, self.keys, *(getattr(self, name)[chosen] for name in tables))


class ProfileBuilder:
    """A builder of `Profiles` (the tables to which a calibration is fitted): questions are added one by one.

    Args:
        scored: whether what is weighed by `words` is a reranker's logits, which are then a feature of the curve.
        temperature: the collection's temperature, above 0.
        keys: the number of keys.
        words: the λ (weights of full text) to try; the first is 0, and the only one if documents are not ranked by full
            text.
    """

    def __init__(
        self, temperature: float, keys: int, words: tuple[float, ...] = FULL_TEXT_WEIGHTS, *, scored: bool = False
    ) -> None:
        self._temperatures, self._scored = temperatures_around(temperature), scored
        self._words, self.keys = words, keys
        self._rows = list[tuple[bool, Array]]()

    def add(
        self,
        similarities: Array,
        documents: DocumentKeys,
        relevant: tuple[Array, Array] | None,
        right: Array,
        by_id: Array,
    ) -> None:
        """Add one labelled question to the tables.

        Args:
            similarities: float64[n], of every key.
            documents: the documents of these keys.
            relevant: ascending row numbers int64[k] and bm25 (full-text rank) float64[k] of documents that contain a
                word of the question; None without full text.
            right: the row numbers of the documents that answer it; empty without an answer.
            by_id: int64[m], the rank by id of each document that ties with a right one; NO_TIE for others.
        """
        answers = np.searchsorted(documents.rows, right)
        boosted, bm25 = _locate_ranks(documents, relevant)
        unranked = np.ones(len(documents.rows), dtype=np.bool_)
        unranked[boosted] = False
        addends = np.outer(self._words, bm25)  # [λ, k]
        max_boost = np.array(self._words) * bm25.max(initial=0.0)
        boosts = np.exp(addends - max_boost[:, None])
        max_similarity = float(similarities.max())
        table = np.full((5, len(self._words), len(self._temperatures)), -np.inf)
        table[3], table[4] = np.inf, 0.0
        for t, temperature in enumerate(self._temperatures.tolist()):
            logs = documents.log_masses((similarities - max_similarity) / temperature)
            masses = np.exp(logs)
            unranked_logs, with_words = logs[unranked], logs[boosted]
            plain, worded = masses[unranked].sum(), boosts @ masses[boosted]
            with np.errstate(divide="ignore"):
                table[0, :, t] = np.logaddexp(np.log(plain), np.log(worded) + max_boost)
            best, other = (with_words + addends).max(axis=1, initial=-np.inf), unranked_logs.max(initial=-np.inf)
            table[1, :, t] = np.maximum(best, other)
            if self._scored and len(boosted):
                table[4, :, t] = np.where(best >= other, bm25[(with_words + addends).argmax(axis=1)], 0.0)
            if len(answers):
                gained = np.zeros(len(logs))
                # Without documents that full text ranks, every λ has the same table.
                for i, addend in enumerate(addends if len(boosted) else addends[:1]):
                    gained[boosted] = addend
                    table[2:4, i, t] = _rank_answers(logs + gained, answers, by_id)
                if not len(boosted):
                    table[2:4, 1:, t] = table[2:4, :1, t]
            table[:3, :, t] += max_similarity / temperature
        self._rows.append((len(right) > 0, table))

    @property
    def has_words(self) -> bool:
        """Whether full text is tried: some λ (weight of full text) is not 0."""
        return len(self._words) > 1

    def temperature(self, cell: tuple[int, int]) -> float:
        """Return the temperature of a cell, the indices of λ and temperature in the tables."""
        return float(self._temperatures[cell[1]])

    def nearest(self, temperature: float) -> float:
        """Return the nearest temperature in the tables."""
        return float(self._temperatures[np.argmin(np.abs(np.log(self._temperatures / temperature)))])

    def build(self) -> Profiles:
        """Return the profiles of all questions that were added, in order."""
        tables = np.stack([table for _, table in self._rows], axis=1)
        present = np.array([present for present, _ in self._rows], dtype=np.bool_)
        partition, best, right, rank, score = tables
        return Profiles(self._temperatures, self._words, self.keys, present, partition, best, right, rank, score)


def _locate_ranks(documents: DocumentKeys, relevant: tuple[Array, Array] | None) -> tuple[Array, Array]:
    """Return the indices among `documents` of those that full text ranks, and their bm25 (full-text rank).

    Documents without a key are left out.

    Args:
        documents: the documents that have keys.
        relevant: row numbers int64[k] and bm25 float64[k] of the ranked documents; None without full text.
    """
    if relevant is None:
        return np.empty(0, dtype=np.int64), np.empty(0)
    rows, bm25 = relevant
    indices = np.minimum(np.searchsorted(documents.rows, rows), len(documents.rows) - 1)
    present = documents.rows[indices] == rows
    return indices[present], bm25[present]


def _rank_answers(scores: Array, answers: Array, by_id: Array) -> tuple[float, float]:
    """Return the log mass of all right documents, and the rank of the best one; equal masses rank by id.

    Args:
        scores: float64[m], the log mass (unnormalised weight) of each document.
        answers: int64[r], the indices of the right documents.
        by_id: int64[m], the rank by id of documents that tie with a right one.
    """
    masses = scores[answers]
    best = float(masses.max())
    rank = 1 + np.count_nonzero(scores > best)
    first = by_id[answers[masses == best]].min()
    rank += np.count_nonzero((scores == best) & (by_id < first))
    return best + float(np.log(np.exp(masses - best).sum())), float(rank)
