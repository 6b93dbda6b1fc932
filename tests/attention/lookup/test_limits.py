"""Limits: the defaults, which values are refused, and that every view carries those of its memory."""

from __future__ import annotations

import numpy as np
import pytest

from softkv_attention.errors import ParameterError
from softkv_attention.lookup import Limits, Memory, Rows, View, attend, sealable_segments

KEYS = np.random.default_rng(0).standard_normal((300, 5)).astype(np.float32)
SMALL = Limits(block_rows=64, exact_max_components=0)


@pytest.mark.parametrize(
    ("refused", "message"),
    [
        ({"block_rows": 0}, "Expected block_rows from 1 to 131,072, got 0."),
        ({"block_rows": 131_073}, "Expected block_rows from 1 to 131,072, got 131073."),
        ({"first_rows": 0}, "Expected first_rows above 0, got 0."),
        ({"max_tile_rows": -1}, "Expected max_tile_rows above 0, got -1."),
        ({"rows_scanned_per_exact_row": np.nan}, "Expected rows_scanned_per_exact_row above 0, got nan."),
        ({"min_file_bytes": -1}, "Expected min_file_bytes of 0 or more, got -1."),
        ({"exact_max_components": -2}, "Expected exact_max_components of -1 or more, got -2."),
        ({"scan_widths": ()}, "Expected at least one of scan_widths, got none. Leave it out for the default."),
    ],
)
def test_a_limit_out_of_its_range_is_refused(refused, message):
    with pytest.raises(ParameterError) as caught:
        Limits(**refused)
    assert str(caught.value) == message


def test_views_carry_the_limits_of_their_memory():
    memory = Memory.of(KEYS, limits=SMALL)
    assert [segment.count for segment in memory.view.segments] == [64, 64, 64, 64, 44]
    assert len(sealable_segments(memory.view)) == 4
    removed = memory.publish(remove=np.arange(100))
    assert memory.compact()
    uncoded = Memory("dot", codes_later=True, limits=SMALL)
    uncoded.publish(add=Rows(np.arange(1000, 1064), KEYS[:64]))
    with_both = View.merged([Memory.of(KEYS, similarity="dot", limits=SMALL).view, uncoded.view])
    views = [removed, memory.view, with_both, *with_both.runs]
    assert len(views) == 5
    assert all(view.limits is SMALL for view in views)


def test_limits_choose_the_path_and_not_the_answer(running):
    exact, scanned = (attend(KEYS[3], Memory.of(KEYS, limits=limits), temperature=0.1) for limits in (Limits(), SMALL))
    assert exact.certificate.method == "exact"
    assert scanned.certificate.method == ("quantised" if running.SCANS else "exact")
    np.testing.assert_array_equal(scanned.numbers, exact.numbers)
    np.testing.assert_allclose(scanned.weights, exact.weights, atol=scanned.certificate.total_variation + 1e-12)
