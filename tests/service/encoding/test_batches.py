from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from service.encoding.batches import token_batches


@given(st.lists(st.integers(0, 256), max_size=200), st.integers(1, 1000))
def test_every_text_is_in_one_batch_and_none_exceeds_the_budget(lengths, budget):
    lengths = np.asarray(lengths, dtype=np.int64)
    batches = list(token_batches(lengths, budget))
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * lengths[batch].max() <= budget or not lengths[batch].any()
    longest = [lengths[batch].max() for batch in batches]
    assert longest == sorted(longest, reverse=True)
