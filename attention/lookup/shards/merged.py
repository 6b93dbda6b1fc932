"""What several parts gathered becomes one record: sums are added, lists put in order, the largest bounds taken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce

import numpy as np

from attention.dtypes import F64, I64
from attention.kernels import kernels
from attention.lookup.rescoring.candidates import Candidates, count_heavy
from attention.lookup.shards.local import KNOWN
from attention.lookup.shards.scan_result import ScanRequest, ScanResult, Sums, joined


def merged(
    found: Sequence[ScanResult], wanted: ScanRequest, documents: int, keys: int, looked_up: Callable[[I64, I64], F64]
) -> ScanResult:
    """What all parts gathered. What they looked up is kept; what is missing is asked for.

    A row that a part looked up stands in the list by what it is, not by what it was scanned at: also that is within the
    error of what is scanned.

    Args:
        found: at least one, whose places are those among the rows of all.
        documents, keys: how many documents pass, and how many rows, of all parts.
        looked_up: float64[m] of places int64[m] and queries int64[m]: the similarity of each with its query.
    """
    none = np.zeros(len(wanted.ks))
    inverse = np.ones(len(none)) if wanted.temperatures is None else 1 / np.maximum(wanted.temperatures, 1e-30)
    totals = joined([each.summed for each in found], inverse)
    starts, places, similarities, known = _listed(found)
    errors = np.array([each.errors for each in found])
    errors = np.stack([errors[:, :, 0].max(0), errors[:, :, 1].sum(0), errors[:, :, 2].max(0)], axis=1)
    weighty = _weighty(similarities, starts, inverse, totals, wanted.temperatures is None)
    best = np.array(wanted.ks)
    candidates = Candidates(best, none, starts, places, similarities, totals.thresholds, errors[:, 0].copy())
    counts = np.maximum(candidates.at_first(weighty, wanted.most), _told(starts, known))
    known_starts, first, whose = candidates.first(counts)
    missing = np.flatnonzero(~known[first])
    similar = similarities[first]
    if len(missing):
        similar[missing] = looked_up(places[first[missing]], whose[missing])
    histograms = [each.histogram for each in found if each.histogram is not None]
    return ScanResult(
        documents=documents,
        keys=keys,
        thresholds=totals.thresholds,
        levels=totals.levels,
        sums=totals.sums,
        starts=starts,
        places=places,
        similarities=similarities,
        known_starts=known_starts,
        known=similar,
        errors=errors,
        outputs=totals.outputs,
        value_errors=totals.value_errors,
        bits=min(each.bits for each in found),
        histogram=reduce(np.add, histograms) if histograms else None,
        bin_widths=np.max([each.bin_widths for each in found], axis=0),
    )


def listed_similarities(gathered: ScanResult) -> F64:
    """float64[m]: of the candidates that were looked up what they are, of the others what they were scanned at."""
    found = gathered.similarities.copy()
    for query in range(len(gathered.starts) - 1):
        known, first = gathered.known_of(query), gathered.starts[query]
        found[first : first + len(known)] = known
    return found


def _listed(found: Sequence[ScanResult]) -> tuple[I64, I64, F64, np.ndarray]:
    """All rows that the parts listed, each query's best first.

    Returns:
        Where each query's begin int64[q + 1], places, similarities, and bool[m], which were looked up.
    """
    starts = np.sum([each.starts for each in found], axis=0)
    places, similarities = np.empty(starts[-1], dtype=np.int64), np.empty(starts[-1])
    known = np.empty(starts[-1], dtype=np.bool_)
    listed = [listed_similarities(each) for each in found]
    for query in range(len(starts) - 1):
        here = slice(starts[query], starts[query + 1])
        runs = [slice(each.starts[query], each.starts[query + 1]) for each in found]
        own = np.concatenate([similar[run] for similar, run in zip(listed, runs, strict=True)])
        order = np.argsort(-own, kind="stable")
        similarities[here] = own[order]
        places[here] = np.concatenate([each.places[run] for each, run in zip(found, runs, strict=True)])[order]
        told = [
            np.arange(run.stop - run.start) < len(each.known_of(query)) for each, run in zip(found, runs, strict=True)
        ]
        known[here] = np.concatenate(told)[order]
    return starts, places, similarities, known


def _told(starts: I64, known: np.ndarray) -> I64:
    """int64[q]: how many of each query's first candidates were looked up, one after another."""
    runs = zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)
    return np.array([int(np.append(known[first:last], False).argmin()) for first, last in runs], dtype=np.int64)


def _weighty(similarities: F64, starts: I64, inverse: F64, totals: Sums, histogram: bool) -> I64:
    """Return int64[q], the number of heavy candidates of each query; at most KNOWN for histograms."""
    counts = np.empty(len(inverse), dtype=np.int64)
    squares = totals.sums[:, 2].copy()
    count_heavy(kernels(), similarities, starts, inverse, totals.levels, squares, 0, len(inverse), counts)
    return np.minimum(counts, KNOWN) if histogram else counts
