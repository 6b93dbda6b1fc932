"""What a view knows of its thin codes: of all segments together, and of a sample of each."""

from __future__ import annotations

import numpy as np
import pytest

from attention import ParameterError
from attention.kernels.layout import fields_at
from attention.lookup import Memory, Question, Rows, answer
from attention.lookup.memory.thin import ThinFacts

SEED = bytes(range(32))
WIDTH = 48


@pytest.fixture
def view():
    keys = np.random.default_rng(1).standard_normal((700, WIDTH)).astype(np.float32)
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
    plain = Memory.of(np.ones((5, WIDTH), dtype=np.float32), similarity="dot").view
    assert ThinFacts.of([]) is None
    assert ThinFacts.of(plain.segments) is None
    assert ThinFacts.of([*view.segments, *plain.segments]) is None


def test_a_block_has_thin_codes_and_nothing_beside_them():
    random = np.random.default_rng(1)
    keys, values = (random.standard_normal((3_001, width)).astype(np.float32) for width in (WIDTH, 5))
    plain = Memory.of(keys, thin_seed=SEED)
    for own in (None, values):
        found = Memory.of(keys, own, thin_seed=SEED, thin_only=True).view
        assert found.thin_only
        assert not plain.view.thin_only
        assert found.facts.value_moments == ()
        for segment, other in zip(found.segments, plain.view.segments, strict=True):
            assert (segment.block.codes, segment.block.value_codes) == (None, None)
            for name in ("high", "low", "scales", "spreads"):
                mine, theirs = (getattr(each.block.thin, name) for each in (segment, other))
                used = slice(None) if name in ("scales", "spreads") else slice(segment.count // 16)
                np.testing.assert_array_equal(mine[..., : segment.count][used], theirs[..., : segment.count][used])


def test_narrow_keys_have_no_thin_codes_and_are_read_in_float64():
    keys = np.random.default_rng(3).standard_normal((2_000, 15)).astype(np.float32)
    seen = Memory.of(keys, thin_seed=SEED, thin_only=True).view
    assert (seen.thin_only, seen.thin) == (False, None)
    assert answer(seen, Question(keys[7], 0.1)).certificate.method == "exact"


def test_thin_codes_alone_want_a_seed_and_a_similarity_that_they_are_for():
    with pytest.raises(ParameterError, match="thin_only needs a thin_seed, got None"):
        Memory("cosine", thin_only=True)
    with pytest.raises(
        ParameterError, match="thin_only is for cosine, dot and scaled_dot, got 'gaussian', which has no thin codes"
    ):
        Memory("gaussian", thin_seed=SEED, thin_only=True)
    with pytest.raises(ParameterError, match="thin_seed must be 32 bytes, got 2"):
        Memory.of(np.ones((3, 20), dtype=np.float32), thin_seed=b"no", thin_only=True)
    assert not Memory("cosine", thin_seed=SEED, thin_only=True).view.thin_only  # as yet it keeps nothing
