"""What is kept of a labelled question: small tables over temperatures and shares of the words, whatever n is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

FULL_TEXT_WEIGHTS = (0.0, 0.05, 0.1, 0.15, 0.2)
"""λ that are tried, for bm25: what a document's logit gains is λ·rank. The first one is none."""

FINE_FACTORS = 4.0 ** (np.arange(1, 19) / 18)
COARSE_FACTORS = 4.0 * 2.0 ** (np.arange(1, 7) / 2)
"""By how much temperatures are above and below the collection's own: 8 % apart up to four times it, then up to 32 times
41 %, from where they are fitted once more."""

MIN_TEMPERATURE = 1e-30
"""No collection has a temperature between 0 and this."""

NO_TIE = np.iinfo(np.int64).max
"""Where a document stands by its id that ties with no right one."""


def temperatures_around(own: float) -> Array:
    """float64[49], from a 32nd to 32 times the collection's own, which is the one in the middle."""
    above = np.concatenate([FINE_FACTORS, COARSE_FACTORS])
    with np.errstate(over="ignore"):
        found = own * np.concatenate([1 / above[::-1], [1.0], above])
    return np.asarray(np.clip(found, MIN_TEMPERATURE, np.finfo(np.float64).max))


@dataclass(frozen=True)
class DocumentKeys:
    """The documents that questions attend to.

    Attributes:
        rows: int64[m], their row numbers, ascending.
        begins: int64[m], where each document's keys begin among the similarities; None where each has one key.
    """

    rows: Array
    begins: Array | None

    @classmethod
    def of(cls, owners: Array) -> DocumentKeys:
        """Of the documents int64[n] that each of n keys belongs to, ascending."""
        rows, begins = np.unique(owners, return_index=True)
        return cls(rows, None if len(rows) == len(owners) else begins)

    def has(self, row: int) -> bool:
        """Whether a document with that row number is among them."""
        place = int(np.searchsorted(self.rows, row))
        return place < len(self.rows) and bool(self.rows[place] == row)

    def by_id(self, similarities: Array, right: Array, ids: Callable[[Array], Sequence[str]]) -> Array:
        """int64[m]: where each document stands by its id among those that tie with a right one; LAST for all others.

        Args:
            similarities: float64[n], of every key; `right`: int64[r], row numbers.
            ids: of the documents of such row numbers.
        """
        found = np.full(len(self.rows), NO_TIE)
        if len(right):
            masses = self.log_masses(similarities)
            tied = np.flatnonzero(np.isin(masses, masses[np.searchsorted(self.rows, right)]))
            names = np.array(ids(self.rows[tied]), dtype=object)
            found[tied] = np.argsort(np.argsort(names, kind="stable"), kind="stable")
        return found

    def log_masses(self, logits: Array) -> Array:
        """float64[m]: ln Σ exp(logit) over each document's keys, of the logits float64[n] of all."""
        if self.begins is None:
            return logits
        best = np.maximum.reduceat(logits, self.begins)
        counts = np.diff(self.begins, append=len(logits))
        return np.asarray(best + np.log(np.add.reduceat(np.exp(logits - np.repeat(best, counts)), self.begins)))


@dataclass(frozen=True)
class Profiles:
    """q questions at every λ of `words` and T of `temperatures`; tables are float64[q, λ, T], all masses logarithms.

    Attributes:
        keys: n, which the null key competes with.
        present: bool[q], whether the question has an answer.
        log_partition: of all documents, without a null key.
        best: of the best document.
        right: of all documents that answer together; −∞ where none does.
        best_right: of the best of them; −∞ where there is none.
        rank: of the best of them, from 1, ties by id; infinite where there is none.
        ahead: float64[q], what outranks it as served, as a share of all documents; 1 where there is none.
    """

    temperatures: Array
    words: tuple[float, ...]
    keys: int
    present: Array
    log_partition: Array
    best: Array
    right: Array
    best_right: Array
    rank: Array
    ahead: Array

    @property
    def served(self) -> int:
        """Which of the temperatures is the collection's own."""
        return len(self.temperatures) // 2

    def of(self, chosen: Array) -> Profiles:
        """Those of some questions, int64[k] or bool[q]."""
        tables = ("present", "log_partition", "best", "right", "best_right", "rank", "ahead")
        return Profiles(self.temperatures, self.words, self.keys, *(getattr(self, name)[chosen] for name in tables))


class ProfileBuilder:
    """Makes the tables, a question after the other.

    Args:
        own: the collection's temperature, above 0.
        keys: how many keys there are.
        words: the λ to try; only the first, which is 0, where relevance cannot be asked.
    """

    def __init__(self, own: float, keys: int, words: tuple[float, ...] = FULL_TEXT_WEIGHTS) -> None:
        self._temperatures = temperatures_around(own)
        self._words, self.keys = words, keys
        self._rows = list[tuple[bool, Array, float]]()

    def add(
        self,
        similarities: Array,
        documents: DocumentKeys,
        relevant: tuple[Array, Array] | None,
        right: Array,
        by_id: Array,
    ) -> None:
        """Take a question in.

        Args:
            similarities: float64[n], of every key.
            documents: whose keys they are.
            relevant: row numbers int64[k], ascending, and bm25 float64[k] of documents that have a word of it.
            right: the row numbers of the documents that answer it; none where it has no answer.
            by_id: int64[m], where each document stands by its id among those that tie with a right one; else LAST.
        """
        answers = np.searchsorted(documents.rows, right)
        boosted, bm25 = _locate_ranks(documents, relevant)
        others = np.ones(len(documents.rows), dtype=np.bool_)
        others[boosted] = False
        most_words = np.array(self._words) * bm25.max(initial=0.0)
        boosts = np.exp(np.outer(self._words, bm25) - most_words[:, None])
        most = float(similarities.max())
        table = np.empty((5, len(self._words), len(self._temperatures)))
        for t, temperature in enumerate(self._temperatures.tolist()):
            logs = documents.log_masses((similarities - most) / temperature)
            masses = np.exp(logs)
            rest, with_words = logs[others], logs[boosted]
            plain, worded = masses[others].sum(), boosts @ masses[boosted]
            with np.errstate(divide="ignore"):
                partitions = np.logaddexp(np.log(plain), np.log(worded) + most_words)
            for i, share in enumerate(self._words):
                if i and not len(boosted):
                    table[:, i, t] = table[:, 0, t]
                    continue
                scores = with_words + share * bm25
                best = max(rest.max(initial=-np.inf), scores.max(initial=-np.inf))
                table[:, i, t] = partitions[i], best, -np.inf, -np.inf, np.inf
                if len(answers):
                    gained = np.zeros(len(logs))
                    gained[boosted] = share * bm25
                    table[2:, i, t] = _rank_answers(logs + gained, answers, by_id)
            table[:4, :, t] += most / temperature
        self._rows.append((len(right) > 0, table, self._ahead(similarities, documents, answers)))

    @property
    def has_words(self) -> bool:
        """Whether any λ but 0 is tried."""
        return len(self._words) > 1

    def temperature(self, cell: tuple[int, int]) -> float:
        """That of a cell of λ and T."""
        return float(self._temperatures[cell[1]])

    def _ahead(self, similarities: Array, documents: DocumentKeys, answers: Array) -> float:
        if not len(answers):
            return 1.0
        own = self._temperatures[len(self._temperatures) // 2]
        logs = documents.log_masses((similarities - similarities.max()) / own)
        masses = np.exp(logs)
        return float(masses[logs > logs[answers].max()].sum() / masses.sum())

    def made(self) -> Profiles:
        """The tables of all questions that were taken in, in order."""
        tables = np.stack([table for _, table, _ in self._rows], axis=1)
        present = np.array([present for present, _, _ in self._rows], dtype=np.bool_)
        ahead = np.array([ahead for _, _, ahead in self._rows])
        partition, best, right, best_right, rank = tables
        return Profiles(
            self._temperatures, self._words, self.keys, present, partition, best, right, best_right, rank, ahead
        )


def _locate_ranks(documents: DocumentKeys, relevant: tuple[Array, Array] | None) -> tuple[Array, Array]:
    """Places of documents and their bm25; one that has no key has no place."""
    if relevant is None:
        return np.empty(0, dtype=np.int64), np.empty(0)
    rows, bm25 = relevant
    places = np.minimum(np.searchsorted(documents.rows, rows), len(documents.rows) - 1)
    there = documents.rows[places] == rows
    return places[there], bm25[there]


def _rank_answers(scores: Array, answers: Array, by_id: Array) -> tuple[float, float, float]:
    """Of the right documents: all their mass, the best one's, and its rank, where the least id is first of equals."""
    masses = scores[answers]
    best = float(masses.max())
    rank = 1 + np.count_nonzero(scores > best)
    first = by_id[answers[masses == best]].min()
    rank += np.count_nonzero((scores == best) & (by_id < first))
    return best + float(np.log(np.exp(masses - best).sum())), best, float(rank)
