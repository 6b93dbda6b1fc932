"""A holder's answer to one message."""

from __future__ import annotations

import numpy as np
import pytest

from softkv_attention.lookup import Memory, Rows
from softkv_cluster.lookup import respond

RANDOM = np.random.default_rng(8)
KEYS = RANDOM.standard_normal((300, 8)).astype(np.float32)


def view(**how):
    memory = Memory("dot", **how)
    memory.publish(add=Rows(np.arange(100, 400), KEYS, None, 100 + np.arange(300) // 2 * 2))
    return memory.publish(remove=np.array([100, 102]))


def asked(call, view, mask=None, arrays=None, **message):
    return respond([view], mask, view, {"call": call, **message}, arrays or {})


def test_rows_are_known_by_their_numbers():
    remote_view = view()
    numbers = np.array([399, 104, 200])
    _fields, arrays = asked(
        "similarities",
        remote_view,
        arrays={"numbers": numbers, "vectors": np.eye(8)[:2], "queries": np.array([0, 1, 0])},
    )
    np.testing.assert_array_equal(arrays["similarities"], KEYS[numbers - 100, [0, 1, 0]].astype(np.float64))
    _, arrays = asked("owners", remote_view, arrays={"numbers": numbers})
    assert arrays["owners"].tolist() == [398, 104, 200]
    _, arrays = asked("key counts", remote_view, arrays={"numbers": np.array([100, 104, 399])})
    assert arrays["counts"].tolist() == [0, 2, 0]
    _, arrays = asked("rows of", remote_view, arrays={"numbers": np.array([104, 398])})
    assert sorted(arrays["numbers"].tolist()) == [104, 105, 398, 399]


def test_a_row_that_is_not_there_is_an_error():
    with pytest.raises(KeyError, match="row 99"):
        asked("owners", view(), arrays={"numbers": np.array([200, 99])})


def test_all_rows_that_pass_and_sums_of_their_values():
    remote_view = view()
    mask = remote_view.mask(np.array([104, 110]))
    _, arrays = asked("rows", remote_view, mask, {"vectors": np.eye(8)[:1]})
    assert arrays["numbers"].tolist() == [104, 105, 110, 111]
    assert arrays["owners"].tolist() == [104, 104, 110, 110]
    np.testing.assert_array_equal(arrays["similarities"][0], KEYS[[4, 5, 10, 11], 0].astype(np.float64))
    arrays_given = {"numbers": np.array([111, 104]), "weights": np.array([[2.0, 1.0]])}
    _, arrays = asked("sums", remote_view, mask, arrays_given)
    np.testing.assert_allclose(arrays["outputs"][0], 2.0 * KEYS[11] + KEYS[4], rtol=1e-6)


def test_a_sample_has_rows_that_live():
    _, arrays = asked("sample", view(), stride=7)
    assert 40 < len(arrays["keys"]) < 46
    alive = {row.tobytes() for row in KEYS[4:]}
    assert all(row.tobytes() in alive for row in arrays["keys"])


def test_nothing_is_gathered_where_nothing_passes():
    remote_view = view()
    fields, _ = asked(
        "gather", remote_view, remote_view.mask(np.array([7])), all={"n": 300, "documents": 150, "key_norm": 9.0}
    )
    assert fields == {"keys": 0}


def test_copies_have_one_digest_and_others_none():
    keys = np.concatenate([KEYS[:1], KEYS[:1], KEYS[1:2]])
    memory = Memory.of(keys, similarity="dot").view
    (one, _), (same, _), (other, _) = (
        asked("digest", memory, arrays={"numbers": np.array(rows)}) for rows in ([0], [1, 0], [0, 2])
    )
    assert one == same
    assert other == {"digest": None}
