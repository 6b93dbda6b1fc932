"""Segments: bounds over all of their rows, and samples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from softkv_attention.kernels.layout import CHUNK
from softkv_attention.lookup import Rows
from softkv_attention.lookup.codes.quantisation import Codes
from softkv_attention.lookup.memory.segments import Segment

WIDTH = 5


@pytest.mark.parametrize("similarity", ["cosine", "dot"])
@pytest.mark.parametrize("count", [1, 64, 65, CHUNK, 2 * CHUNK + 1])
def test_a_segment_s_bounds_hold_for_each_of_its_rows(rows_of, segment_of, similarity, count):
    rows = rows_of(np.arange(count), own_values=True)
    segment = segment_of(rows, similarity, room=count + 100)
    codes, value_codes = segment.block.codes, segment.block.value_codes
    keys, values = (vectors.astype(np.float64) for vectors in (rows.keys, rows.values))
    norms = np.linalg.norm(keys, axis=1)
    targets = keys / norms[:, None] if similarity == "cosine" else keys
    seen = codes.at(np.arange(count), WIDTH) * codes.scales[:count, None].astype(np.float64)
    residual = np.linalg.norm(targets - seen, axis=1).max()
    assert residual <= segment.key_residual <= residual * 1.001
    assert segment.key_norm == pytest.approx(norms.max())
    assert segment.value_norm == pytest.approx(np.linalg.norm(values, axis=1).max())
    scales = value_codes.scales[:count].astype(np.float64)
    coded = np.rint(values / scales[:, None])
    residual = np.linalg.norm(values - coded * scales[:, None], axis=1).max()
    assert residual <= segment.value_residual <= residual * 1.001
    longest = np.linalg.norm(coded, axis=1).max()
    assert longest <= segment.code_norm <= longest * 1.02
    chunks = [(scales[first : first + CHUNK] ** -2).sum() for first in range(0, count, CHUNK)]
    np.testing.assert_allclose(segment.inverse_scales, chunks)


def test_a_value_of_nothing_but_zeros_has_no_scale_that_could_be_divided_by(segment_of):
    segment = segment_of(Rows(np.arange(3), np.ones((3, 2)), np.array([[0.0], [127.0], [0.0]])))
    assert segment.code_norm == pytest.approx(127, rel=1e-6)
    np.testing.assert_allclose(segment.inverse_scales, [1.0])


@pytest.mark.parametrize(("count", "stride"), [(1, 1), (511, 1), (512, 2), (5000, 19), (20_000, 64)])
def test_a_sample_has_one_row_in_64_or_256_rows_in_no_order(rows_of, segment_of, count, stride):
    segment = segment_of(rows_of(np.arange(count)))
    sample = segment.sample
    assert segment.sample_stride == stride
    assert sorted(sample.positions) == list(range(0, count, stride))
    assert count < 5000 or sorted(sample.positions) != list(sample.positions)
    codes = segment.block.codes
    np.testing.assert_array_equal(sample.scales, codes.scales[sample.positions])
    rows = Codes(sample.codes, sample.scales, sample.scales, None).at(np.arange(len(sample.positions)), WIDTH)
    np.testing.assert_array_equal(rows, codes.at(sample.positions, WIDTH))


@given(
    numbers=st.sets(st.integers(-50, 50), max_size=40),
    wanted=st.sets(st.integers(-60, 60), max_size=40),
    removed=st.sets(st.integers(0, 39), max_size=10),
)
def test_positions_are_those_of_the_wanted_documents_that_are_not_removed(
    rows_of, segment_of, numbers, wanted, removed
):
    segment = segment_of(rows_of(sorted(numbers))) if numbers else Segment(segment_of(rows_of([1])).block, 0)
    removed_positions = np.array(sorted(position for position in removed if position < len(numbers)), dtype=np.intp)
    segment = segment.without(removed_positions)
    positions = segment.positions(np.array(sorted(wanted), dtype=np.int64))
    live = numbers - set(segment.numbers[removed_positions].tolist())
    assert segment.numbers[positions].tolist() == sorted(live & wanted)
