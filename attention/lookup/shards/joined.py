"""Several parts as one: each scans its own rows, and what they gathered becomes one record.

Two things are told to all of them: the thresholds that lists open at, and how long a key is at most, which the bins of
a histogram and the codes of queries follow from. All else is sums, and the largest or the best of what each one says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial, reduce
from itertools import accumulate
from operator import add

import numpy as np

from attention.dtypes import F64, I64, Index
from attention.lookup.answer import Answer
from attention.lookup.bounds.similarities import Slack
from attention.lookup.codes.moments import Residuals
from attention.lookup.codes.quantisation import QueryCodes
from attention.lookup.question import Question
from attention.lookup.scan.thresholds import ThresholdSample, merge_thresholds
from attention.lookup.shards.biased import in_similarities
from attention.lookup.shards.local import LocalShard
from attention.lookup.shards.merged import merged
from attention.lookup.shards.scan_result import ScanRequest, ScanResult

WIDER = 2
"""So many times as many rows are listed as of one part: a sample says only about how many lie above a threshold, and
parts are not to know less together than one would."""


class MergedShards:
    """Some parts as a `Part`. A place of theirs is one here, behind all places of the parts before.

    Args:
        parts: at least one, of which a row passes, all told the facts of all.

    Attributes:
        facts, method, in_logits, documents, keys, beyond_memory: see `Part`.
    """

    def __init__(self, parts: Sequence[LocalShard]) -> None:
        self._first = min(parts, key=lambda part: part.method == "exact")  # one with codes, if there is any
        starts = accumulate((part.room for part in parts), initial=0)
        self._parts = [(part, start) for part, start in zip(parts, starts, strict=False) if part.keys]
        self._starts = np.array([start for _, start in self._parts], dtype=np.intp)
        self.facts, self.in_logits = self._first.facts, self._first.in_logits
        self.method = "exact" if all(part.method == "exact" for part in parts) else "quantised"
        self.documents, self.keys = sum(part.documents for part in parts), sum(part.keys for part in parts)
        self.beyond_memory = any(part.beyond_memory for part in parts)

    def fits(self, query: F64) -> bool:
        """See `Part`: as for each of the parts, for all of them know how long a key is."""
        return self._first.fits(query)

    def asked(self, question: Question) -> Question:
        """See `Part`."""
        return question.in_logits(self.keys) if self.in_logits else question

    def restored(self, question: Question, found: Answer) -> Answer:
        """See `Part`."""
        return in_similarities(question, found, self.keys) if self.in_logits else found

    def slack(self, query: F64) -> Slack:
        """See `Part`."""
        return self._first.slack(query)

    def codes(self, wanted: ScanRequest) -> QueryCodes:
        """See `Part`."""
        return self._first.codes(wanted)

    def gather(self, wanted: ScanRequest) -> ScanResult:
        """What all parts gathered. What they looked up is kept; what is missing is asked for."""
        parts = [part for part, _ in self._parts]
        sampling = ThresholdSample.of(max(part.sample_stride for part in parts), self.facts.n, WIDER * wanted.listed)
        thresholds = merge_thresholds([part.sampled(wanted, sampling) for part in parts], sampling.count)
        begun = [part.gathering(wanted, thresholds) for part in parts]
        found = [each() for each in begun]
        placed = [
            replace(each, places=each.places + start) for each, start in zip(found, self._starts.tolist(), strict=True)
        ]
        return merged(placed, wanted, self.documents, self.keys, partial(self.similarities_at, wanted.vectors))

    @property
    def value_residuals(self) -> Residuals:
        """Of all parts' rows, see `LocalShard`."""
        return reduce(add, [part.value_residuals for part, _ in self._parts])

    def residuals_at(self, places: I64) -> Residuals:
        """Of the rows at `places`."""
        return reduce(add, [part.residuals_at(places[here] - start) for part, start, here in self._among(places)])

    def similarities_at(self, vectors: F64, places: I64, queries: I64) -> F64:
        """float64[m]: the similarity of query `queries[i]` with the row at `places[i]`, copies of a row alike."""
        found = np.empty(len(places))
        for part, start, here in self._among(places):
            found[here] = part.similarities_at(vectors, places[here] - start, queries[here])
        return found

    def raw(self, query: F64, places: I64) -> Callable[[Index], F64] | None:
        """The similarities themselves of a query and of some of the rows at `places`, where others are compared."""
        if not self.in_logits:
            return None

        def similarities(at: Index) -> F64:
            found = np.empty(len(at))
            for part, start, here in self._among(places[at]):
                own = part.raw(query, places[at][here] - start)
                assert own is not None
                found[here] = own(np.arange(len(here)))
            return found

        return similarities

    def add_values(self, places: I64, queries: I64, weights: F64, outputs: F64) -> None:
        """outputs float64[q, d_v] [query] += weight·value, for every place, its query and its weight."""
        for part, start, here in self._among(places):
            part.add_values(places[here] - start, queries[here], weights[here], outputs)

    def numbers(self, places: Index) -> I64:
        """The row numbers at `places`."""
        found = np.empty(len(places), dtype=np.int64)
        for part, start, here in self._among(places):
            found[here] = part.numbers(places[here] - start)
        return found

    def order(self, places: I64) -> I64:
        """Rows that tie stand in the order of their numbers, in whichever part."""
        return self.numbers(places)

    def owners(self, places: Index) -> I64:
        """The documents that the rows at `places` are keys of."""
        found = np.empty(len(places), dtype=np.int64)
        for part, start, here in self._among(places):
            found[here] = part.owners(places[here] - start)
        return found

    def key_counts(self, documents: I64) -> I64:
        """int64[m]: how many rows each of the documents int64[m] has, in all parts."""
        return reduce(np.add, [part.key_counts(documents) for part, _ in self._parts])

    def places_of(self, documents: I64) -> I64:
        """Where all rows of some documents, ascending, stand that pass."""
        return np.concatenate([part.places_of(documents) + start for part, start in self._parts])

    def alike(self, places: Index) -> bool:
        """Whether the rows at `places`, ascending, hold copies of one key: each part tells a digest of its own."""
        digests = {part.digest(places[here] - start) for part, start, here in self._among(places)}
        return None not in digests and len(digests) < 2

    def _among(self, places: Index) -> Iterator[tuple[LocalShard, int, Index]]:
        """Each part that has some of the places: where its own begin, and which of them these are, in their order."""
        whose = np.searchsorted(self._starts, places, side="right") - 1
        for index, (part, start) in enumerate(self._parts):
            here = np.flatnonzero(whose == index)
            if len(here):
                yield part, start, here
