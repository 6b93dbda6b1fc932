"""Where the originals of a block lie: in memory, or in a file without a name."""

from __future__ import annotations

import numpy as np

from attention.lookup.memory import originals as originals_module
from attention.lookup.memory.originals import originals


def test_a_small_original_is_kept_in_memory_and_a_large_one_in_a_file(tmp_path, monkeypatch):
    monkeypatch.setattr(originals_module, "SMALLEST_FILE", 400)
    small, large = originals(9, 11, tmp_path), originals(10, 10, tmp_path)
    assert [type(each) for each in (small, large, originals(10, 10, None))] == [np.ndarray, np.memmap, np.ndarray]
    large[:] = 3
    assert (large.shape, large.dtype, large.sum()) == ((10, 10), np.float32, 300)
    assert not list(tmp_path.iterdir())
