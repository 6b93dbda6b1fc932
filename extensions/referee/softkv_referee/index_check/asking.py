"""Asking a store and computing the exact answers. The result is a report as JSON, with the data of every question."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from softkv.tables import Asked
from softkv_referee.index_check.exact import (
    TIE,
    ExactAnswer,
    ExactSearch,
    count_as_similar,
    exact_search,
    scale,
    similarities,
    weights_of,
)
from softkv_referee.index_check.questions import Encode, resolve
from softkv_referee.stores import Store, StoreError

F32: TypeAlias = NDArray[np.float32]
F64: TypeAlias = NDArray[np.float64]

FORMAT = 1
_WIDE_QUESTIONS = 100
_LISTED = 20
_BATCH = 100

Progress: TypeAlias = Callable[[str, int, int], None]
"""Takes the name of a step, how much of it is done, and how much there is."""


@dataclass(frozen=True)
class Reading:
    """The rows of a store that a search can compare.

    Attributes:
        ids: their ids.
        vectors: float32[n, d].
        row_of: the row of each id.
        count: the number of rows that the store counts.
        without_vector: ids of rows without a vector.
        invalid: ids of rows whose vector has a number that is not finite, or no cosine.
    """

    ids: list[str]
    vectors: F32
    row_of: dict[str, int]
    count: int
    without_vector: list[str]
    invalid: list[str]


def read_rows(store: Store, report: Progress) -> Reading:
    """Read every row of a store.

    Raises:
        StoreError: there is no row with a vector, or an id comes twice.
    """
    count = store.count()
    ids: list[str] = []
    parts: list[F32] = []
    without_vector: list[str] = []
    for page in store.pages():
        ids += page.ids
        without_vector += page.without_vector
        if page.ids:
            parts.append(page.vectors)
        report("reading", len(ids), count)
    if not ids:
        raise StoreError(f"the collection has no vectors ({count:,} rows): nothing can be asked of it")
    vectors = np.concatenate(parts)
    row_of = {id_: row for row, id_ in enumerate(ids)}
    if len(row_of) < len(ids):
        seen: set[str] = set()
        twice = next(id_ for id_ in ids if id_ in seen or seen.add(id_))  # type: ignore[func-returns-value]
        raise StoreError(f"the id {twice!r} comes twice: name a column of unique ids")
    usable = np.isfinite(vectors).all(axis=1)
    if store.similarity == "cosine":
        usable &= vectors.any(axis=1)
    if usable.all():
        return Reading(ids, vectors, row_of, count, without_vector, [])
    invalid = [ids[row] for row in np.flatnonzero(~usable)]
    ids = [ids[row] for row in np.flatnonzero(usable)]
    if not ids:
        raise StoreError(
            "no vector of the collection can be compared: each has length 0 or a number that is not finite"
        )
    return Reading(ids, vectors[usable], {id_: row for row, id_ in enumerate(ids)}, count, without_vector, invalid)


def check_index(
    store: Store,
    questions: Sequence[Asked],
    *,
    k: int,
    temperature: float | None = None,
    conditions: Sequence[Any] = (),
    probes: int = 1000,
    seed: int = 0,
    encode: Encode | None = None,
    core: bool | None = None,
    progress: Progress = lambda step, done, total: None,
) -> dict[str, Any]:
    """Ask a store each question, and return the report.

    Args:
        store: the store.
        questions: the questions, at least one.
        k: how many results to ask for.
        temperature: T of the softmax; 0.05 for the cosine and 1 otherwise if left out, as for a collection of softkv.
        conditions: filters, with each of which every question is asked too.
        probes: how many random rows to search by their own vectors.
        seed: of the random rows.
        encode: the encoder of texts.
        core: whether `softkv-core` computes; None if it does whenever it is installed.
        progress: called as steps go on.

    Raises:
        StoreError: the store refuses, or has nothing to compare.
        Invalid: a question does not fit the store.
    """
    check = _Check(store, k, temperature or (0.05 if store.similarity == "cosine" else 1.0), core, progress)
    return check.run(questions, conditions, probes, seed, encode)


class _Check:
    """One check of a store."""

    def __init__(self, store: Store, k: int, temperature: float, core: bool | None, progress: Progress) -> None:
        self._store = store
        self._k = k
        self._temperature = temperature
        self._core = core
        self._progress = progress
        self._seconds: dict[str, float] = {}
        self._reading: Reading
        self._exact: ExactSearch

    @contextmanager
    def _measure_time(self, step: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self._seconds[step] = self._seconds.get(step, 0.0) + time.perf_counter() - start

    def run(
        self,
        questions: Sequence[Asked],
        conditions: Sequence[Any],
        probes: int,
        seed: int,
        encode: Encode | None,
    ) -> dict[str, Any]:
        parsed = {_key(condition): self._store.read_filter(condition) for condition in conditions}
        for question in questions:
            if question.condition is not None and _key(question.condition) not in parsed:
                parsed[_key(question.condition)] = self._store.read_filter(question.condition)
        with self._measure_time("reading"):
            self._reading = read_rows(self._store, self._progress)
        vectors = self._reading.vectors
        with self._measure_time("encoding"):
            queries = resolve(
                questions, vectors, self._reading.row_of, similarity=self._store.similarity, encode=encode
            )
        with self._measure_time("exact"):
            self._exact = exact_search(vectors, self._store.similarity, core=self._core)
        groups = self._groups(questions, conditions)
        records, searches = [], []
        for condition, numbers in groups:
            group, search = self._ask_group(condition, parsed.get(_key(condition)), questions, queries, numbers)
            records += group
            searches.append({"filter": condition, **search})
        return {
            "softkv_check_index": FORMAT,
            "similarity": self._store.similarity,
            "k": self._k,
            "temperature": self._temperature,
            "computed_by": self._exact.library,
            "rows": {
                "counted": self._reading.count,
                "compared": len(vectors),
                "width": vectors.shape[1],
                "without_vector": len(self._reading.without_vector),
                "without_vector_ids": self._reading.without_vector[:_LISTED],
                "invalid_vector": len(self._reading.invalid),
                "invalid_vector_ids": self._reading.invalid[:_LISTED],
            },
            "searches": searches,
            "questions": records,
            "probes": self._probe(probes, seed),
            "seconds": self._seconds,
        }

    def _groups(self, questions: Sequence[Asked], conditions: Sequence[Any]) -> list[tuple[Any, list[int]]]:
        """Return each filter, None for none, with the questions that are asked with it."""
        plain = [number for number, question in enumerate(questions) if question.condition is None]
        groups: dict[str, tuple[Any, list[int]]] = {}
        if plain:
            groups = {_key(condition): (condition, list(plain)) for condition in (None, *conditions)}
        for number, question in enumerate(questions):
            if question.condition is not None:
                groups.setdefault(_key(question.condition), (question.condition, []))[1].append(number)
        return list(groups.values())

    def _ask_group(
        self, condition: Any, parsed: Any, questions: Sequence[Asked], queries: F64, numbers: list[int]
    ) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        row_of, members = self._reading.row_of, [questions[number] for number in numbers]
        batch = queries[numbers]
        passing, passes = None, None
        if condition is not None:
            with self._measure_time("filters"):
                passes = set(self._store.passing(parsed))
                passing = np.zeros(len(self._reading.ids), dtype=np.bool_)
                passing[[row_of[id_] for id_ in passes if id_ in row_of]] = True
        excluded = np.array([-1 if q.document is None else row_of[q.document] for q in members], dtype=np.int64)
        with self._measure_time("exact"):
            exact = self._exact.answers(batch, self._k, self._temperature, passing, excluded)
        name = "questions" if condition is None else "questions with filters"
        returned = self._search(batch, self._k, parsed, excluded, name)
        records = [
            self._record(question, condition, query, answer, ids, int(row), passing, passes)
            for question, query, answer, ids, row in zip(members, batch, exact, returned, excluded, strict=True)
        ]
        description = asdict(self._store.describe(batch[0], self._k, parsed))
        if description["widest"] is not None:
            self._search_widest(records, batch, exact, parsed, excluded)
        return records, description

    def _search(
        self, queries: F64, k: int, parsed: Any, excluded: Any, step: str, *, widest: bool = False
    ) -> list[list[str]]:
        """Return what the store returns; a document that is its own question is asked with one result more."""
        results: list[list[str]] = []
        more = k + bool((excluded >= 0).any())
        with self._measure_time("widest search" if widest else "search"):
            for start in range(0, len(queries), _BATCH):
                results += self._store.search(queries[start : start + _BATCH], more, parsed, widest=widest)
                self._progress(step, len(results), len(queries))
        ids = self._reading.ids
        return [
            [id_ for id_ in result if row < 0 or id_ != ids[row]][:k]
            for result, row in zip(results, excluded, strict=True)
        ]

    def _record(
        self,
        question: Asked,
        condition: Any,
        query: F64,
        answer: ExactAnswer,
        returned: list[str],
        excluded: int,
        passing: Any,
        passes: set[str] | None,
    ) -> dict[str, Any]:
        row_of, ids = self._reading.row_of, self._reading.ids
        count = len(ids) if passing is None else int(passing.sum())
        left_out = excluded >= 0 and (passing is None or bool(passing[excluded]))
        distinct = list(dict.fromkeys(returned))
        outside = [id_ for id_ in distinct if passes is not None and id_ not in passes]
        unknown = [id_ for id_ in distinct if id_ not in row_of]
        usable = [id_ for id_ in distinct if id_ in row_of and id_ not in set(outside)]
        values = self._similarities(query, [row_of[id_] for id_ in usable])
        hits = self._hits(query, answer, values)
        best = float(weights_of(answer, answer.similarities, self._temperature).sum())
        missed = max(best - float(weights_of(answer, values, self._temperature).sum()), 0.0)
        return {
            "question": question.name,
            "filter": condition,
            "passing": count - left_out,
            "exact": [ids[row] for row in answer.rows],
            "returned": returned,
            "hits": hits,
            "missed_weight": missed,
            # An error of the log-partition changes all weights by one factor, which is within bound / best of 1.
            "weight_bound": answer.rounding + (missed * answer.bound / best if missed else 0.0),
            "unknown": unknown,
            "outside_filter": outside,
            "widest_hits": None,
        }

    def _similarities(self, query: F64, rows: list[int]) -> F64:
        keys = self._reading.vectors[rows].astype(np.float64)
        values: F64 = similarities(self._store.similarity, query[None], keys)[0]
        return values

    def _hits(self, query: F64, answer: ExactAnswer, values: F64) -> int:
        """Count the similarities that reach the k-th best, except for float32's rounding."""
        if not len(answer.rows):
            return 0
        last = self._reading.vectors[answer.rows[-1]].astype(np.float64)
        least = answer.similarities[-1] - TIE * scale(self._store.similarity, query, last)
        return min(int((values >= least).sum()), len(answer.rows))

    def _search_widest(
        self, records: list[dict[str, Any]], queries: F64, exact: list[ExactAnswer], parsed: Any, excluded: Any
    ) -> None:
        """Ask some of the questions that missed a row again, with the widest search."""
        missing = [n for n, record in enumerate(records) if record["hits"] < len(record["exact"])]
        chosen = missing[:: max(1, -(-len(missing) // _WIDE_QUESTIONS))]
        if not chosen:
            return
        again = self._search(queries[chosen], self._k, parsed, excluded[chosen], "widest search", widest=True)
        for number, returned in zip(chosen, again, strict=True):
            allowed = [id_ for id_ in dict.fromkeys(returned) if id_ in self._reading.row_of]
            values = self._similarities(queries[number], [self._reading.row_of[id_] for id_ in allowed])
            records[number]["widest_hits"] = self._hits(queries[number], exact[number], values)

    def _probe(self, probes: int, seed: int) -> dict[str, Any]:
        """Search random rows by their own vectors.

        A row counts only if it is among the k nearest of its own vector: not if it has k copies, and for the dot
        product not if k longer rows are more similar.
        """
        n = len(self._reading.ids)
        rows = np.sort(np.random.default_rng(seed).choice(n, min(probes, n), replace=False))
        with self._measure_time("exact"):
            rows = rows[count_as_similar(self._reading.vectors, self._store.similarity, rows) < self._k]
        if not len(rows):
            return {"seed": seed, "rows": []}
        queries = self._reading.vectors[rows].astype(np.float64)
        excluded = np.full(len(rows), -1)
        returned = self._search(queries, self._k, None, excluded, "rows by their own vectors")
        ids = [self._reading.ids[row] for row in rows]
        records: list[dict[str, Any]] = [
            {"id": id_, "found": id_ in result, "found_by_widest": None}
            for id_, result in zip(ids, returned, strict=True)
        ]
        missing = [number for number, record in enumerate(records) if not record["found"]]
        if missing and self._store.describe(queries[0], self._k).widest is not None:
            again = self._search(queries[missing], self._k, None, excluded[missing], "widest search", widest=True)
            for number, result in zip(missing, again, strict=True):
                records[number]["found_by_widest"] = ids[number] in result
        return {"seed": seed, "rows": records}


def _key(condition: Any) -> str:
    """Return a text that is the same for equal filters."""
    return json.dumps(condition, sort_keys=True, ensure_ascii=False)
