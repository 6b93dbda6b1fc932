"""A bit for each row: what is packed comes out again, and is counted without being unpacked."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from softkv_attention.kernels.layout import PANEL
from softkv_attention.lookup.memory.bitmaps import Bitmap, RowSelection

some = st.integers(0, 300).flatmap(lambda count: st.lists(st.booleans(), min_size=count, max_size=count))


@given(passes=some, start=st.integers(0, 300), more=some, dense=st.booleans())
def test_a_bitmap_returns_its_packed_bits(passes, start, more, dense):
    passes, more = np.array(passes, dtype=bool), np.array(more, dtype=bool)
    if not dense:
        passes &= np.arange(len(passes)) % 70 == 3
    bits, start = Bitmap.of(passes), min(start, len(passes))
    np.testing.assert_array_equal(bits.passes(start), passes[start:])
    assert (bits.n, bits.nbytes) == (passes.sum(), -(-len(passes) // 8))
    panels = [passes[first : first + PANEL] for first in range(0, len(passes), PANEL)]
    assert bits.scanned == sum(len(panel) for panel in panels if panel.any())
    np.testing.assert_array_equal(bits.append(more).passes(), np.concatenate([passes, more]))
    live = np.arange(len(passes)) % 3 > 0
    np.testing.assert_array_equal(bits.among(Bitmap.of(live)).passes(), passes & live)
    assert bits.among(None) is bits


@given(
    numbers=st.sets(st.integers(-40, 60) | st.integers(10**12, 10**12 + 40), min_size=1),
    left=st.lists(st.integers(-50, 70) | st.integers(10**12, 10**12 + 40)),
    right=st.lists(st.integers(-50, 70)),
    cut=st.integers(0, 60),
)
def test_picked_rows_are_sets(numbers, left, right, cut):
    owners = np.array(sorted(numbers), dtype=np.int64)
    spans = [part for part in (owners[:cut], owners[cut:]) if len(part)]

    def rows(picked):
        return np.concatenate([span[passes] for span, passes in zip(spans, picked.passes, strict=True)]).tolist()

    one, other = (RowSelection.of(spans, np.array(part, dtype=np.int64)) for part in (left, right))
    assert rows(one) == sorted(numbers & set(left))
    assert rows(~one) == sorted(numbers - set(left))
    assert rows(one & other) == sorted(numbers & set(left) & set(right))
    assert rows(one | ~other) == sorted(numbers & set(left) | numbers - set(right))
