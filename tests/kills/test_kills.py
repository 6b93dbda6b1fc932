"""`kill -9` of a service under writers of every kind: what was acknowledged is there, whole."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import pytest

from tests.kills.killing import Killed
from tests.kills.writers import Writer, document, number_of
from tests.thorough import thorough


@pytest.mark.kill
@pytest.mark.parametrize("kills", [5, thorough(100)])
def test_kills_lose_nothing_and_leave_nothing_behind(tmp_path: Path, kills: int) -> None:
    killed = Killed(tmp_path, random.Random(8), most_writes=30)
    for _ in range(kills):
        killed.once()
    assert killed.acknowledged > kills
    killed.end()


def writer() -> Writer:
    made = Writer("w", random.Random(1), itertools.count(1))
    made.known = {"w-1": 1, "w-2": None}
    return made


def test_acknowledged_writes_must_be_present() -> None:
    writer().settle({"w-1": 1, "v-1": 9})
    for counts in ({}, {"w-1": 2}, {"w-1": 1, "w-2": 1}, {"w-1": 1, "w-3": 3}):
        with pytest.raises(AssertionError, match="writer w"):
            writer().settle(counts)


def test_an_unacknowledged_write_may_be_present_only_as_a_whole() -> None:
    for counts in ({"w-1": 1}, {"w-1": 2, "w-3": 2}):
        one = writer()
        one.under_way = [one.known | {"w-1": 2, "w-3": 2}]
        one.settle(counts)
        assert one.known == counts
    one = writer()
    one.under_way = [one.known | {"w-1": 2, "w-3": 2}]
    with pytest.raises(AssertionError, match="1 writes were under way"):
        one.settle({"w-1": 2})


def test_a_document_of_two_writes_is_seen() -> None:
    assert number_of(document("a", 7)) == 7
    for part in ("key", "key_vector", "value"):
        with pytest.raises(AssertionError, match="of several writes"):
            number_of(document("a", 7) | {part: document("a", 8)[part]})
