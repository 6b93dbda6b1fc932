"""What workers of a scan of thin codes have, as one."""

from __future__ import annotations

import numpy as np
import pytest

from attention.kernels.layout import PANEL
from attention.lookup.scan.thin_accumulator import MARKS, ThinAccumulator, joined

ROOM, DRAWN = 2 * PANEL, 2 * PANEL


def worker(places, drawn, *, blended=0):
    """One that has listed and drawn rows for one query, each scanned at a hundredth of its place."""
    made = ThinAccumulator.of(
        np.array([0.5], np.float32), ROOM, np.array([1.0]), DRAWN, np.zeros(1, np.uint64), blended
    )
    for into, rows in ((made.lists, places), (made.draws, drawn)):
        into.places[0, : len(rows)] = rows
        into.similarities[0, : len(rows)] = np.array(rows) / 100
        into.counts[0] = len(rows)
    made.draws.marks[0, : len(drawn)] = np.array(drawn) / 1000
    made.sums[0] = len(places), -1, 0.25
    return made


def test_workers_are_added_up_and_their_lists_stand_in_order():
    found = joined([worker([7, 90], [3]), worker([2, 8], [60, 61])], 0, ROOM, DRAWN, 0)
    assert found.threshold == 0.5
    assert found.places.tolist() == [2, 7, 8, 90]
    np.testing.assert_allclose(found.similarities, [0.02, 0.07, 0.08, 0.9], rtol=1e-6)
    assert found.sums.tolist() == [4, -2, 0.5]
    assert found.drawn_places.tolist() == [3, 60, 61]
    np.testing.assert_allclose(found.marks, [0.003, 0.06, 0.061])
    assert found.blend is None


def test_blends_are_added_up_without_what_fills_a_register():
    workers = [worker([1], [2, 3], blended=5), worker([4], [6], blended=5)]
    for number, each in enumerate(workers, start=1):
        each.blends.sums[:] = number
        each.blends.drawn[:] = 10 * number
        each.blends.shares[0, : each.draws.counts[0]] = number / 4
    found = joined(workers, 0, ROOM, DRAWN, 5)
    assert found.blend.tolist() == [3.0] * 5
    assert found.drawn_blend.shape == (MARKS, 5)
    assert (found.drawn_blend == 30).all()
    assert found.shares.tolist() == [0.25, 0.25, 0.5]


@pytest.mark.parametrize("full", [True, False])
def test_lists_without_room_are_not_told_of(full):
    workers = [worker(range(20), []), worker(range(20, 40), [])]
    workers[1].full = full
    assert joined(workers, 0, 39, DRAWN, 0) is None
    assert (joined(workers, 0, 40, DRAWN, 0) is None) == full


def test_of_more_draws_than_were_foreseen_none_are_told():
    workers = [worker([1], range(PANEL)), worker([2], range(PANEL, PANEL + 40))]
    assert len(joined(workers, 0, ROOM, DRAWN, 0).drawn_places) == 0
    assert len(joined(workers, 0, ROOM, DRAWN + 40, 0).drawn_places) == PANEL + 40
