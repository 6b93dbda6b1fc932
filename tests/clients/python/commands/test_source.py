"""Entries of a file: their ids, and batches of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softkv.commands.files import Entry, batches


@pytest.mark.parametrize("content", [b"1", b"[]", b'"a"', b"{}", b'{"id": 1}', b"{", b"\xff"])
def test_a_line_without_an_id_has_none(content: bytes) -> None:
    assert Entry(1, content).id is None


@given(st.lists(st.binary(max_size=50)), st.integers(1, 7))
def test_batches_hold_every_entry_in_order(contents: list[bytes], size: int) -> None:
    entries = [Entry(number, content) for number, content in enumerate(contents)]
    made = list(batches(entries, size))
    assert [entry for batch in made for entry in batch] == entries
    assert all(1 <= len(batch) <= size for batch in made)


def test_a_batch_of_long_lines_is_short() -> None:
    entries = [Entry(number, b"x" * 3_000_000) for number in range(3)]
    assert [len(batch) for batch in batches(entries, 100)] == [1, 1, 1]
