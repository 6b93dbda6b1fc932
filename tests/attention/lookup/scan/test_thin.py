"""A scan of thin codes: what it lists lies above its threshold, what it draws below, and nothing that is masked."""

from __future__ import annotations

import numpy as np
import pytest

from attention.lookup import Memory, Rows
from attention.lookup.parts.thin import ThinWhole
from attention.lookup.scan.thin import MOST_TIMES

N, WIDTH, LISTED, WANTED = 9_000, 64, 300, 500.0
BITS = pytest.mark.parametrize("bits", [2, 4])


@pytest.fixture(scope="module")
def keys():
    return np.random.default_rng(4).standard_normal((N, WIDTH)).astype(np.float32)


def scanned(view, mask, bits, temperature=0.2, wanted=WANTED, query=None, enough=None, blending=False):
    part = ThinWhole(view, mask, view.thin)
    vector = np.random.default_rng(5).standard_normal(WIDTH) if query is None else query
    queries = part.queries(vector[None])
    units = np.zeros(1, dtype=np.float32)
    numbers = np.array([wanted]), np.array([17], dtype=np.uint64)
    enough = enough or (lambda index, foreseen: wanted)
    return part.scanned(queries, units, bits, LISTED, np.array([temperature]), *numbers, enough, blending=blending)[0]


@BITS
def test_rows_are_listed_from_the_threshold_on_and_drawn_below(running, keys, bits):
    found = scanned(Memory.of(keys, thin_seed=bytes(32)).view, None, bits)
    assert LISTED / 2 < len(found.places) < 2 * LISTED
    assert len(set(found.places.tolist())) == len(found.places)
    assert found.similarities.min() >= found.threshold > found.drawn.max()
    assert abs(len(found.drawn_places) - WANTED) < 6 * np.sqrt(WANTED) + 0.2 * WANTED
    assert not set(found.drawn_places.tolist()) & set(found.places.tolist())
    assert 0 <= found.marks.min() <= found.marks.max() < 1


@BITS
def test_masked_and_removed_rows_are_neither(running, keys, bits):
    memory = Memory("cosine", thin_seed=bytes(32))
    for rows in np.array_split(np.arange(N), 2):
        memory.publish(add=Rows(rows, keys[rows]))
    view = memory.publish(remove=np.arange(0, N, 3))
    mask = view.mask(np.arange(N // 2))
    part, found = ThinWhole(view, mask, view.thin), scanned(view, mask, bits)
    for places in (found.places, found.drawn_places):
        numbers = part.numbers(places)
        assert len(numbers) > 0
        assert (numbers % 3 > 0).all()
        assert (numbers < N // 2).all()


def test_of_thin_codes_alone_no_more_are_listed_however_many_rows_there_are(keys, monkeypatch):
    monkeypatch.setattr("attention.lookup.scan.thin.SAMPLED", 16)  # as if there were very many
    alone, beside = (
        len(scanned(Memory.of(keys, thin_seed=bytes(32), thin_only=thin_only).view, None, 4).places)
        for thin_only in (True, False)
    )
    assert LISTED / 2 < alone < 2 * LISTED
    assert beside > 1.5 * LISTED


def test_nothing_is_drawn_where_nothing_is_wanted(running, keys):
    found = scanned(Memory.of(keys, thin_seed=bytes(32)).view, None, 4, wanted=0.0)
    assert len(found.drawn_places) == len(found.marks) == 0
    assert found.sums[0] > 0


def test_too_many_to_list_are_not_told_of(running, keys):
    copies = np.repeat(keys[:1], MOST_TIMES * LISTED + N // 2, axis=0)
    view = Memory.of(copies, thin_seed=bytes(32)).view
    assert scanned(view, None, 4, query=keys[0].astype(np.float64)) is None


@BITS
def test_codes_of_what_is_summed_are_added_up_and_of_what_is_drawn(running, keys, bits):
    view = Memory.of(keys * 3, thin_seed=bytes(32)).view
    found = scanned(view, None, bits, blending=True)
    thin = view.segments[0].block.thin
    high, low = thin.at(np.arange(N))
    odd = 2.0 * (4 * high + low) - 15 if bits == 4 else 2.0 * high - 3
    coded = odd * (thin.scales[bits // 2 - 1, :N] * np.linalg.norm(keys * 3, axis=1))[:, None]
    # What is drawn was summed by a term; the mean of codes by these is about that of all.
    mean = found.blend / found.sums[0]
    terms = np.exp((found.drawn.astype(float) - found.threshold) / 0.2)
    assert (found.shares <= 2.0001).all()
    assert abs(found.shares.mean() - 1) < 0.02
    for part in range(len(found.drawn_blend)):
        of = np.ceil(found.marks * len(found.drawn_blend)) == part + 1
        expected = found.shares[of] @ coded[found.drawn_places[of]]
        np.testing.assert_allclose(found.drawn_blend[part], expected, rtol=1e-5, atol=1e-5 * len(terms))
    drawn = found.drawn_blend.sum(axis=0) / len(found.marks)
    spread = np.sqrt((coded**2).sum(axis=1).mean() / len(found.marks))
    assert np.linalg.norm(drawn - mean) < 1.5 * spread


def test_where_a_sample_has_no_hope_nothing_is_scanned(running, keys, monkeypatch):
    monkeypatch.setattr("attention.lookup.scan.thin._work", None)
    seen = []
    view = Memory.of(keys, thin_seed=bytes(32)).view
    assert scanned(view, None, 4, enough=lambda index, foreseen: float(seen.append(foreseen) or 0)) is None
    monkeypatch.undo()
    found = scanned(view, None, 4)
    (foreseen,) = seen
    assert foreseen.threshold == found.threshold
    assert foreseen.mass == pytest.approx(found.sums[0], rel=0.3)
    assert foreseen.gap == pytest.approx(found.sums[1], rel=0.3)
    assert foreseen.square == pytest.approx(found.sums[2], rel=0.5)
    listed = np.exp((found.similarities.astype(float) - found.threshold) / 0.2).sum()
    assert foreseen.listed == pytest.approx(listed, rel=0.5)
