"""Messages arrive as they were sent, in the fewest bytes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from softkv_attention.lookup import Memory, Rows
from softkv_attention.lookup.shards.local import LocalShard
from softkv_attention.lookup.shards.scan_result import ScanRequest
from softkv_cluster.lookup import join_statistics, of_bytes, to_bytes
from softkv_cluster.lookup.wire import join_result, pack_messages, split_result, split_statistics, unpack_messages

ARRAYS = st.one_of(
    *(
        npst.arrays(dtype, npst.array_shapes(max_dims=3, min_side=0, max_side=5))
        for dtype in ("f4", "f8", "i8", "u1", "?")
    )
)


@given(st.dictionaries(st.text(max_size=4), ARRAYS, max_size=4))
def test_arrays_come_back_as_they_were(arrays):
    fields, received = of_bytes(to_bytes({"call": "x", "none": None}, arrays))
    assert fields == {"call": "x", "none": None}
    assert list(received) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(received[name], array)
        assert received[name].dtype == array.dtype
        assert np.array_equal(np.signbit(received[name]), np.signbit(array)) or array.dtype.kind != "f"
        assert received[name].flags.aligned
        assert received[name].flags.writeable or not array.size


@pytest.mark.parametrize(
    ("array", "size"),
    [
        (np.arange(1000) + 2**40, 2),
        (np.arange(1000) * 2**20, 4),
        (np.arange(1000) * 2**40, 8),
        (np.arange(1000) / 8, 4),
        (np.arange(1000) / 3, 8),
    ],
)
def test_a_number_takes_the_bytes_that_it_needs(array, size):
    assert abs(len(to_bytes({}, {"a": array})) - 1000 * size) < 150


def test_nan_and_ends_of_the_numbers_come_back():
    array = np.array([np.nan, np.inf, -np.inf, 1e300, 5e-324, -0.0])
    _, arrays = of_bytes(to_bytes({}, {"a": array, "b": np.array([-(2**63), 2**63 - 1])}))
    assert arrays["a"].tobytes() == array.tobytes()
    assert arrays["b"].tolist() == [-(2**63), 2**63 - 1]


def _memory(rows=3000):
    random = np.random.default_rng(4)
    keys = random.standard_normal((rows, 16)).astype(np.float32)
    return Memory.of(keys, random.standard_normal((rows, 5)).astype(np.float32)), keys


def test_facts_come_back():
    memory, _ = _memory()
    facts = memory.view.facts
    statistics = join_statistics(*of_bytes(to_bytes(*split_statistics(facts))))
    for name in ("similarity", "n", "documents", "most_keys", "value_dimension", "key_norm", "value_norm", "blocks"):
        assert getattr(statistics, name) == getattr(facts, name)
    spread, expected = statistics.value_spread, facts.value_spread
    assert spread.around_mean == pytest.approx(expected.around_mean)
    np.testing.assert_allclose(spread.mean, expected.mean)
    np.testing.assert_array_equal(spread.residuals.total, expected.residuals.total)


def test_facts_of_rows_whose_values_are_not_bounded_come_back():
    memory = Memory("dot")
    memory.publish(add=Rows(np.arange(2), np.array([[1.0], [3e38]], dtype=np.float32)))
    statistics = join_statistics(*split_statistics(memory.view.facts))
    assert statistics.value_spread is None
    assert statistics.n == 2


def test_a_scan_result_survives_the_wire_with_its_exact_similarities():
    memory, keys = _memory()
    request = ScanRequest(keys[:3].astype(np.float64), [5, 5, 5], 64, 64, np.array([0.05, 0.2, 1.0]), outputs=True)
    gathered = LocalShard(memory.view, None).gather(request)
    fields, arrays = split_result(gathered)
    result = join_result(*of_bytes(to_bytes(fields, arrays)))
    for query in range(3):
        first, last = gathered.starts[query : query + 2]
        exact_count = len(gathered.exact_similarities(query))
        np.testing.assert_array_equal(
            result.similarities[first : first + exact_count], gathered.exact_similarities(query)
        )
        np.testing.assert_array_equal(
            result.similarities[first + exact_count : last], gathered.similarities[first + exact_count : last]
        )
    for name in ("rows", "starts", "sums", "errors", "outputs", "thresholds", "levels", "value_errors", "known"):
        np.testing.assert_array_equal(getattr(result, name), getattr(gathered, name))


def test_several_messages_are_one_and_several_again():
    messages = [({"a": 1}, {"x": np.arange(3)}), ({"a": 2}, {}), ({}, {"y z": np.ones(2)})]
    received = unpack_messages(*of_bytes(to_bytes(*pack_messages(messages))))
    assert [message for message, _ in received] == [message for message, _ in messages]
    for (_, arrays), (_, expected) in zip(received, messages, strict=True):
        assert list(arrays) == list(expected)
        for name, array in expected.items():
            np.testing.assert_array_equal(arrays[name], array)
