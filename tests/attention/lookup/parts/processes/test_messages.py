"""Messages between processes come back as they were sent."""

from __future__ import annotations

import numpy as np
import pytest

from attention.lookup.parts.processes.messages import packed, unpacked


def test_what_is_said_and_every_array_come_back():
    said = {"text": "köy", "number": 2**60, "share": 0.1, "list": [1, [2, None]], "nothing": None, "yes": True}
    arrays = {
        "floats": np.array([[0.1, -np.inf], [np.nan, 5e-324]]),
        "bytes": np.arange(5, dtype=np.uint8),
        "behind an odd number of bytes": np.arange(3),
        "bools": np.array([True, False]),
        "none of three": np.empty((0, 3), dtype=np.float32),
        "every second": np.arange(10)[::2],
    }
    heard, found = unpacked(packed(said, arrays))
    assert heard == said
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        assert found[name].flags.aligned
        assert found[name].flags.writeable


@pytest.mark.parametrize("said", [{}, {"name": "x" * 1000}])
def test_a_message_may_have_no_arrays(said):
    assert unpacked(packed(said, {})) == (said, {})


def test_what_json_has_no_form_for_is_refused():
    with pytest.raises(TypeError):
        packed({"run": print}, {})
