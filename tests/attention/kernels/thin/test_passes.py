"""The passes over thin keys: both twins alike, what they list and sum, and the law of what they draw."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention.kernels import NO_BLENDS, CandidateLists, Draws, ThinBlends, ThinKeys, in_machine_code, in_numpy
from attention.kernels.layout import fields_room, put_fields

TWINS = (in_machine_code, in_numpy)
f32 = np.float32
BASE = 2048


def keys_of(rows, width, bits, seed=0):
    """Thin keys at random, and the odd numbers that their fields mean."""
    random = np.random.default_rng([rows, width, seed])
    fields = random.integers(0, 16, (rows, width)).astype(np.uint8)
    high, low = fields_room(rows, width), fields_room(rows, width)
    put_fields(high, 0, fields >> 2)
    put_fields(low, 0, fields & 3)
    scales, spreads = random.random(rows, dtype=f32) / 1000, random.random(rows, dtype=f32)
    meant = 2 * fields.astype(np.int64) - 15 if bits == 4 else 2 * (fields >> 2).astype(np.int64) - 3
    return ThinKeys(high, low if bits == 4 else low[:0], scales, spreads, random.random(rows) < 0.8, BASE), meant


def queries_of(queries, width, seed=0):
    random = np.random.default_rng([queries, width, seed])
    codes = random.integers(-3000, 3001, (queries, width)).astype(np.int16)
    return codes, (random.random(queries) / 3000).astype(f32), random.random(queries, dtype=f32) / 50


def passed(twin, keys, asked, bits, thresholds, inverse, rates, room=100_000, blends=NO_BLENDS):
    """(rows done, lists, sums, draws, best) of one pass."""
    codes, steps, units = asked
    q = len(codes)
    packed = twin.thin_queries(codes, steps, units, 0.7, bits)
    lists = CandidateLists(thresholds, np.empty((q, 3000), np.int64), np.empty((q, 3000), f32), np.zeros(q, np.int64))
    kinds = [np.empty((q, room), kind) for kind in (np.int64, f32, np.float64)]
    draws = Draws(np.arange(7, 7 + q).astype(np.uint64), rates, *kinds, np.zeros(q, np.int64))
    sums, best = np.zeros((q, 3)), np.full((q, 5), -1, f32)
    done = twin.accumulate_thin(keys, 0, packed, lists, inverse, sums, draws, blends)
    twin.sample_top_thin(keys, packed, best)
    return done, lists, sums, draws, best


@settings(deadline=None)
@given(
    rows=st.integers(1, 2500),
    width=st.sampled_from([16, 37, 64]),
    queries=st.sampled_from([1, 2, 4]),
    bits=st.sampled_from([2, 4]),
)
def test_the_twins_list_the_same_to_the_bit_and_sum_and_draw_alike(rows, width, queries, bits):
    keys, _ = keys_of(rows, width, bits)
    asked = queries_of(queries, width)
    thresholds = np.full(queries, 0.05, dtype=f32)
    inverse, rates = np.zeros(queries, dtype=f32), np.full(queries, 0.3)
    one, other = (passed(twin, keys, asked, bits, thresholds, inverse, rates) for twin in TWINS)
    assert one[0] == other[0] == rows
    np.testing.assert_array_equal(one[4], other[4])
    np.testing.assert_allclose(one[2], other[2], rtol=1e-6)
    for query in range(queries):
        for found, expected in ((one[1], other[1]), (one[3], other[3])):
            count = found.counts[query]
            assert count == expected.counts[query]
            np.testing.assert_array_equal(found.places[query, :count], expected.places[query, :count])
            np.testing.assert_array_equal(found.similarities[query, :count], expected.similarities[query, :count])
        np.testing.assert_array_equal(one[3].marks[query, :count], other[3].marks[query, :count])


@pytest.mark.parametrize("twin", TWINS)
@pytest.mark.parametrize("bits", [2, 4])
def test_what_reaches_the_threshold_is_listed_and_the_rest_summed(twin, bits):
    keys, meant = keys_of(1500, 48, bits)
    codes, steps, units = asked = queries_of(2, 48)
    exact = (codes.astype(np.int64) @ meant.T) * keys.scales.astype(float) * steps[:, None].astype(float)
    exact += np.maximum(keys.spreads.astype(float) - 0.7, 0) * units[:, None]
    _, lists, sums, draws, _ = passed(twin, keys, asked, bits, np.full(2, 0.02, f32), np.full(2, 20, f32), np.zeros(2))
    assert not draws.counts.any()
    for query in range(2):
        hits = np.flatnonzero((exact[query] >= 0.02) & keys.allowed)
        np.testing.assert_array_equal(lists.places[query, : lists.counts[query]], BASE + hits)
        x = (exact[query][keys.allowed & (exact[query] < 0.02)] - 0.02) * 20
        expected = np.exp(x).sum(), (np.exp(x) * x).sum(), np.exp(2 * x).sum()
        np.testing.assert_allclose(sums[query], expected, rtol=1e-5)


def test_rows_are_drawn_in_proportion_to_their_terms():
    keys, _ = keys_of(1500, 48, 4)
    asked = queries_of(1, 48)
    threshold, inverse = np.full(1, 0.02, f32), np.full(1, 20, f32)
    _, _, sums, draws, _ = passed(in_machine_code, keys, asked, 4, threshold, inverse, np.full(1, 50.0))
    count = int(draws.counts[0])
    # A Poisson number of points, of mean 50 times the mass, each on a row by its share.
    assert abs(count - 50 * sums[0, 0]) < 5 * np.sqrt(50 * sums[0, 0])
    terms = np.exp((draws.similarities[0, :count].astype(float) - 0.02) * 20)
    rows, times = np.unique(draws.places[0, :count] - BASE, return_counts=True)
    assert keys.allowed[rows].all()
    everyone = passed(in_machine_code, keys, asked, 4, np.full(1, -3e38, f32), inverse, np.zeros(1))[1]
    similarities = everyone.similarities[0, : everyone.counts[0]].astype(float)
    shares = np.where(similarities < 0.02, np.exp((similarities - 0.02) * 20), 0.0)
    expected = dict(zip(everyone.places[0, : everyone.counts[0]] - BASE, count * shares / shares.sum(), strict=True))
    found = dict(zip(rows, times, strict=True))
    chi = sum((found.get(row, 0) - mean) ** 2 / mean for row, mean in expected.items() if mean > 0)
    freedom = sum(mean > 0 for mean in expected.values())
    assert abs(chi - freedom) < 5 * np.sqrt(2 * freedom)
    assert (terms <= 1).all()
    marks = draws.marks[0, :count]
    assert abs(marks.mean() - 0.5) < 5 / np.sqrt(12 * count)
    assert 0 < marks.min() < marks.max() <= 1


@pytest.mark.parametrize("twin", TWINS)
def test_what_is_drawn_does_not_depend_on_how_rows_are_cut(twin):
    keys, _ = keys_of(5000, 16, 4)
    asked = queries_of(1, 16)
    arguments = np.full(1, 1e9, f32), np.zeros(1, f32), np.full(1, 0.1)
    whole = passed(twin, keys, asked, 4, *arguments)[3]
    found = []
    for first, stop in ((0, 1024), (1024, 4096), (4096, 5000)):
        part = ThinKeys(
            keys.high[first // 16 :],
            keys.low[first // 16 :],
            *(each[first:stop] for each in (keys.scales, keys.spreads, keys.allowed)),
            BASE + first,
        )
        draws = passed(twin, part, asked, 4, *arguments)[3]
        found += draws.places[0, : draws.counts[0]].tolist()
    assert found == whole.places[0, : whole.counts[0]].tolist()


@pytest.mark.parametrize("twin", TWINS)
def test_points_without_room_are_counted(twin):
    keys, _ = keys_of(2000, 16, 2)
    draws = passed(twin, keys, queries_of(1, 16), 2, np.full(1, 1e9, f32), np.zeros(1, f32), np.ones(1), room=50)[3]
    assert 1000 < draws.counts[0] < 2200


@pytest.mark.parametrize("twin", TWINS)
def test_a_list_that_is_full_stops_the_pass(twin):
    keys, _ = keys_of(4096, 16, 2)
    done = passed(twin, keys, queries_of(1, 16), 2, np.full(1, -3e38, f32), np.zeros(1, f32), np.zeros(1))[0]
    assert 0 < done < 4096


@pytest.mark.parametrize("twin", TWINS)
@pytest.mark.parametrize("bits", [2, 4])
@pytest.mark.parametrize("rows", [5, 1500, 3100])
def test_codes_are_added_up_by_the_terms_of_their_rows(twin, bits, rows):
    keys, meant = keys_of(rows, 48, bits)
    keys = keys._replace(value_scales=np.random.default_rng(rows).random(rows, dtype=f32))
    asked = queries_of(2, 48)
    inverse, room = np.full(2, 20, f32), 5000
    blends = ThinBlends(np.zeros((2, 48)), np.zeros((2, 4, 48)), np.zeros((2, room)))
    _, _, _, draws, _ = passed(
        twin, keys, asked, bits, np.full(2, 0.02, f32), inverse, np.full(2, 0.8), room, blends=blends
    )
    everyone = passed(twin, keys, asked, bits, np.full(2, -3e38, f32), inverse, np.zeros(2))[1]
    for query in range(2):
        places = everyone.places[query, : everyone.counts[query]] - BASE
        terms = np.zeros(rows)
        similarities = everyone.similarities[query, : everyone.counts[query]].astype(float)
        terms[places] = np.where(similarities < f32(0.02), np.exp((similarities - 0.02) * 20), 0.0)
        counts = terms * keys.value_scales
        step = np.repeat([counts[first : first + 1024].max() / 127 for first in range(0, rows, 1024)], 1024)[:rows]
        off = np.abs(blends.sums[query] - counts @ meant)
        assert (off <= 0.501 * step @ np.abs(meant)).all()
        assert np.sqrt((off**2).mean()) <= 3 * np.sqrt((step**2).sum() / 12) * np.sqrt((meant**2).mean())
        count = draws.counts[query]
        drawn, shares = draws.places[query, :count] - BASE, blends.shares[query, :count]
        np.testing.assert_allclose(
            shares * counts[drawn], step[drawn] * np.rint(counts[drawn] / step[drawn]), atol=1e-3
        )
        weights = shares * keys.value_scales[drawn]
        for part in range(4):
            of = (draws.marks[query, :count] > part / 4) & (draws.marks[query, :count] <= (part + 1) / 4)
            np.testing.assert_allclose(blends.drawn[query, part], weights[of] @ meant[drawn[of]], rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("bits", [2, 4])
def test_the_twins_add_up_alike(bits):
    keys, _ = keys_of(2500, 100, bits)
    keys = keys._replace(value_scales=keys.scales)
    found = []
    for twin in TWINS:
        blends = ThinBlends(np.zeros((1, 112)), np.zeros((1, 16, 112)), np.zeros((1, 5000)))
        passed(
            twin,
            keys,
            queries_of(1, 100),
            bits,
            np.full(1, 1e9, f32),
            np.zeros(1, f32),
            np.ones(1),
            5000,
            blends=blends,
        )
        found.append(blends)
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)
