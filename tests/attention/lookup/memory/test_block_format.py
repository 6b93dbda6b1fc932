"""The capacity of a block."""

from __future__ import annotations

import pytest

from attention.lookup.codes.quantisation import MAX_WIDTH
from attention.lookup.memory.blocks import BlockFormat


@pytest.mark.parametrize(
    ("layout", "width", "coded"),
    [
        (BlockFormat("cosine"), 384, True),
        (BlockFormat("dot"), MAX_WIDTH, True),
        (BlockFormat("dot"), MAX_WIDTH + 1, False),
        (BlockFormat("gaussian"), 384, False),
        (BlockFormat("cosine", codes_later=True), 384, False),
    ],
)
def test_keys_have_codes_where_these_say_something_and_are_wanted_now(layout, width, coded):
    assert layout.codes(width) is coded
