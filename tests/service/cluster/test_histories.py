"""Slots through random histories: writes, slots that come, go and die, lines that break, and questions in between.

Whatever can happen beside a call to the store happens in the middle of it, so that each history has looks, readings and
answers one within the other. What is drawn follows from a number, and so does the history; HISTORIES=1000 in the
environment has the thorough test go through a thousand, in some minutes.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from attention.lookup import Limits, Segment, View, sealable_segments
from service.cluster.node import replica
from service.retrieval.collections import fill_memory, sealed
from tests.service.cluster.history import lived

FEW = (4, 5, 6, 7, 9, 10, 11, 12)  # short ones
TOO_LATE = (208, 303, 332, 357)  # in each of these a log is gone before a slot has followed it, which is rare
MANY = [*TOO_LATE, *(seed for seed in range(int(os.environ.get("HISTORIES", "256"))) if seed not in FEW + TOO_LATE)]
PARTS = 2


def of_all(seeds: Sequence[int]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for seed in seeds:
        for event, count in lived(seed).counts.items():
            counts[event] = counts.get(event, 0) + count
    return counts


def of_any_size(view: View, *, complete: bool = False) -> list[Segment]:
    """Return the segments to write to files, as if a block with 16 rows were full."""
    return sealable_segments(replace(view, limits=Limits(block_rows=16)), complete=complete)


@pytest.fixture(autouse=True)
def read(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count how often a range was read, and how often with rows from files: a block of any size has a file."""
    counts = Counter[str]()

    def counted(memory: Any, files: Any, *other_events: Any) -> None:
        counts["from files" if files is not None else "from the store"] += 1
        fill_memory(memory, files, *other_events)

    monkeypatch.setattr(replica, "fill_memory", counted)
    monkeypatch.setattr(sealed, "sealable_segments", of_any_size)
    monkeypatch.setattr(sealed, "_PAUSE_SECONDS", 0)
    return counts


def test_some_histories(read: Counter[str]) -> None:
    counts = of_all(FEW)
    assert counts["answered"] > 50
    assert counts["given up"] > 5
    assert read["from files"] > 10


@pytest.mark.thorough
@pytest.mark.parametrize("part", range(PARTS))
def test_many_histories(part: int, read: Counter[str]) -> None:
    counts = of_all(MANY[part::PARTS])
    assert read["from files"] > len(MANY[part::PARTS]) // 4
    assert min(counts[text] for text in ("answered", "missing", "behind", "gone", "failed", "given up", "lost")) > 0
