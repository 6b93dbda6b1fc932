"""What a memory of thin codes alone keeps, and which it is not."""

from __future__ import annotations

import numpy as np
import pytest

from attention import ParameterError
from attention.lookup import Memory, Question, Rows, answer

SEED = bytes(range(32))
N, WIDTH = 3_001, 48


@pytest.fixture(scope="module")
def keys():
    return np.random.default_rng(1).standard_normal((N, WIDTH)).astype(np.float32)


@pytest.fixture(scope="module")
def values():
    return np.random.default_rng(2).standard_normal((N, 5)).astype(np.float32)


def test_a_block_has_thin_codes_and_nothing_beside_them(keys, values):
    plain = Memory("cosine", thin_seed=SEED)
    plain.publish(add=Rows(np.arange(N), keys))
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
