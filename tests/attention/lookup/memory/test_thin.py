"""What a view knows of its thin codes: of all segments together, and of a sample of each."""

from __future__ import annotations

import numpy as np
import pytest

from attention.kernels.layout import fields_at
from attention.lookup import Memory, Rows
from attention.lookup.memory.thin import ThinFacts

SEED = bytes(range(32))


@pytest.fixture
def view():
    keys = np.random.default_rng(1).standard_normal((700, 48)).astype(np.float32)
    written = Memory("dot", thin_seed=SEED)
    for rows in np.array_split(np.arange(700), 3):
        written.publish(add=Rows(rows, keys[rows]))
    return written.view


def test_spreads_are_of_the_rows_of_all_segments(view):
    spreads = np.concatenate(
        [segment.block.thin.spreads[:, : segment.count] for segment in view.segments], axis=1
    ).astype(np.float64)
    assert spreads.shape == (2, 700)
    np.testing.assert_array_equal(view.thin.largest, spreads.max(axis=1))
    np.testing.assert_allclose(view.thin.typical, np.sqrt((spreads**2).mean(axis=1)), rtol=1e-12)
    assert (view.thin.largest[1], view.thin.typical[1]) < (view.thin.largest[0], view.thin.typical[0])


def test_the_usual_spread_lies_between_the_typical_and_the_largest(view):
    for code in (0, 1):
        assert view.thin.typical[code] < view.thin.usual(code) <= view.thin.largest[code]


def test_a_sample_has_the_codes_of_its_rows(view):
    for segment, sample in zip(view.segments, view.thin.samples, strict=True):
        thin = segment.block.thin
        np.testing.assert_array_equal(sample.scales, thin.scales[:, sample.places])
        np.testing.assert_array_equal(sample.spreads, thin.spreads[:, sample.places])
        for plane, fields in zip((sample.high, sample.low), thin.at(sample.places), strict=True):
            np.testing.assert_array_equal(fields_at(plane, np.arange(len(sample.places)), thin.width), fields)


def test_there_is_nothing_to_know_where_a_segment_has_no_thin_codes(view):
    plain = Memory.of(np.ones((5, 48), dtype=np.float32), similarity="dot").view
    assert ThinFacts.of([]) is None
    assert ThinFacts.of(plain.segments) is None
    assert ThinFacts.of([*view.segments, *plain.segments]) is None
