"""A view as one part: what it says of itself, and that what it gathers leaves no row out and looks up the best."""

from __future__ import annotations

import numpy as np
import pytest

from softkv_attention.lookup import Limits, Memory, Rows
from softkv_attention.lookup import scan as scan_module
from softkv_attention.lookup.codes.quantisation import code_queries
from softkv_attention.lookup.shards.local import LocalShard
from softkv_attention.lookup.shards.scan_result import ScanRequest

N, WIDTH = 3000, 19
LIMITS = Limits(max_tile_rows=1024, block_rows=1024)
RANDOM = np.random.default_rng(6)
KEYS = RANDOM.standard_normal((N, WIDTH)).astype(np.float32)
KEYS[1500] = KEYS[20]  # copies in two blocks
VALUES = RANDOM.standard_normal((N, 5)).astype(np.float32)
QUERIES = RANDOM.standard_normal((3, WIDTH))
KS = [1, 10, 40]


@pytest.fixture(params=["cosine", "dot", "scaled_dot"])
def view(request):
    memory = Memory(request.param, limits=LIMITS)
    memory.publish(add=Rows(np.arange(N), KEYS, VALUES))
    return memory.publish(remove=np.arange(0, N, 7))


@pytest.fixture(params=["all", "a mask", "one row", "none"])
def mask(request, view):
    allowed = {"a mask": np.arange(900, 2900, 2), "one row": np.array([20]), "none": np.empty(0, dtype=np.int64)}
    return view.mask(allowed[request.param]) if request.param in allowed else None


def passing(view, mask):
    if mask is None:
        return view.numbers()
    return np.concatenate([np.empty(0, np.int64), *(s.numbers[allowed] for s, allowed in view.passing(mask))])


def test_a_shard_counts_its_passing_rows_and_knows_their_numbers(view, mask):
    part = LocalShard(view, mask)
    assert part.documents == len(passing(view, mask))
    assert part.facts is view.facts
    positions = np.array([2999, 0, 1024, 1023, 20])
    np.testing.assert_array_equal(part.numbers(positions), positions)  # removed rows have places too
    assert part.fits(QUERIES[0])
    assert part.fits(1e35 * QUERIES[0]) == (view.similarity == "cosine")


@pytest.mark.parametrize("temperature", [0.0, 0.1, np.inf])
@pytest.mark.parametrize("workers", [1, 3])
def test_every_row_that_passes_is_gathered_once(running, monkeypatch, oracle, view, mask, workers, temperature):
    monkeypatch.setattr(scan_module, "workers", lambda: workers)
    part, expected = LocalShard(view, mask), passing(view, mask)
    request = ScanRequest(QUERIES, KS, listed=128, max_lookups=30, temperatures=np.full(3, temperature), outputs=True)
    gathered = part.gather(request)
    assert gathered.documents == len(expected)
    assert (gathered.starts[0], gathered.starts[-1]) == (0, len(gathered.rows))
    for query, k in enumerate(KS):
        own_slice = slice(gathered.starts[query], gathered.starts[query + 1])
        positions, similarities, error = (
            gathered.rows[own_slice],
            gathered.similarities[own_slice],
            gathered.error(query),
        )
        assert len(set(positions)) == len(positions)
        assert np.isin(positions, expected).all()
        assert (np.diff(similarities) <= 0).all()
        true = oracle(view.similarity, QUERIES[query], KEYS[expected])
        index_of = {row: position for position, row in enumerate(expected)}
        listed = np.array([index_of[row] for row in positions], dtype=np.intp)
        assert (np.abs(similarities - true[listed]) <= error.largest).all()
        rest = np.delete(true, listed)
        assert not len(rest) or rest.max() <= gathered.thresholds[query] + error.largest
        if temperature == np.inf:
            assert gathered.sums[query, 0] == len(rest)
        elif temperature > 0 and len(rest):
            mass = np.exp((rest - gathered.levels[query]) / temperature).sum()
            assert abs(np.log(gathered.sums[query, 0] / mass)) <= error.largest / temperature
        # The best of those listed are known: at least k, and not all.
        exact_similarities = gathered.exact_similarities(query)
        np.testing.assert_allclose(exact_similarities, true[listed[: len(exact_similarities)]], rtol=1e-11, atol=1e-13)
        assert (len(exact_similarities) >= k) == (len(positions) >= k)
        if mask is None:
            assert k <= len(exact_similarities) < len(positions)
    assert gathered.outputs.shape == (3, 5)


def test_rows_lie_within_the_width_of_their_bin(running, coded, view):
    gathered = LocalShard(view, None).gather(ScanRequest(QUERIES, KS, listed=128, max_lookups=30, temperatures=None))
    similarities = coded(view, code_queries(view.similarity, QUERIES, outputs=False))
    assert gathered.outputs is None
    for query in range(3):
        counts, sums = gathered.histogram[query].T
        own_slice = slice(gathered.starts[query], gathered.starts[query + 1])
        rest = np.setdiff1d(view.numbers(), gathered.rows[own_slice])
        scanned = np.sort(similarities[query, rest])
        assert counts.sum() == len(scanned)
        means = np.repeat(sums[counts > 0] / counts[counts > 0], counts[counts > 0].astype(int))
        # Both in order, they are the same rows, and those of a bin lie within its width.
        assert (np.abs(means - scanned) <= gathered.bin_widths[query]).all()
        assert np.abs(means - scanned).max() > gathered.bin_widths[query] / 4


@pytest.mark.parametrize("masked", [False, True])
def test_a_document_s_rows_are_found_across_blocks(masked):
    sizes = np.tile([1, 500, 3, 2], 10)[:12]
    documents = np.cumsum([0, *sizes[:-1]])
    owners = np.repeat(documents, sizes)
    keys = RANDOM.standard_normal((len(owners), WIDTH))
    view = Memory.of(keys, owners=owners, limits=LIMITS).publish(remove=documents[:2])
    remaining = documents[[0, 3, 5, 6]] if masked else documents
    part = LocalShard(view, view.mask(remaining) if masked else None)
    passing = np.isin(documents, remaining) & (np.arange(12) >= 2)
    assert (part.documents, part.keys) == (passing.sum(), sizes[passing].sum())
    np.testing.assert_array_equal(part.key_counts(documents[::-1]), (sizes * passing)[::-1])
    positions = part.rows_of(documents)
    np.testing.assert_array_equal(positions, np.flatnonzero(np.isin(owners, documents[passing])))
    np.testing.assert_array_equal(part.owners(positions), owners[positions])
    np.testing.assert_array_equal(part.numbers(positions), positions)
    assert len(view.segments) > 1
