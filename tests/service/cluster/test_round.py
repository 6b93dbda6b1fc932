"""One question to several slots, some of which are lost, slow, or lack ranges."""

from __future__ import annotations

import time
from concurrent.futures import Future
from threading import Timer
from typing import Any

import pytest

from attention.lookup import of_bytes, to_bytes
from service.cluster import NodeLost, Router, ShardsLost, VersionGone
from service.cluster.router import CollectionVersion
from service.storage import NodeRecord, ShardReplica


class Register:
    """Two slots that hold all of three ranges, and a third that holds the last."""

    def holders(self, collection: int | None = None) -> list[ShardReplica]:
        both = [
            ShardReplica(1, first_row, NodeRecord(name, name))
            for first_row in (0, 131_072, 262_144)
            for name in ("a", "b")
        ]
        return [*both, ShardReplica(1, 262_144, NodeRecord("c", "c"))]

    def members(self) -> list[NodeRecord]:
        return [NodeRecord(name, name) for name in ("a", "b")]


class Slots:
    """The answer of each slot to any message, or silence; `said` has the ranges in each message."""

    def __init__(self, **says: Any) -> None:
        self.says, self.said = says, list[tuple[str, tuple[int, ...]]]()

    def send(self, node: str, message: bytes) -> Future[bytes]:
        fields, _ = of_bytes(message)
        self.said.append((node, tuple(fields["ranges"])))
        answer: Future[bytes] = Future()
        says = self.says.get(node, {"slot": node})
        if says == "lost":
            answer.set_exception(NodeLost(f"{node} is lost"))
        elif says != "silent":
            answer.set_result(to_bytes(says, {}))
        return answer


def asked(slots: Slots, seconds: float = 0.5) -> dict[int, str]:
    """Return the slot that answered for each range."""
    calling = Router(slots, Register(), 2, seconds=seconds)  # type: ignore[arg-type]
    answer = calling.ask(CollectionVersion(1, 7), [0, 131_072, 262_144], lambda _: ({"call": "x"}, {}))
    rows = [row for rows, _ in answer for row in rows]
    assert sorted(rows) == [0, 131_072, 262_144]  # each once
    return {row: message["slot"] for rows, (message, _) in answer for row in rows}


def test_each_range_is_answered_for_once() -> None:
    assert set(asked(Slots()).values()) <= {"a", "b"}


@pytest.mark.parametrize("says", ["lost", {"missing": [0]}, {"behind": 6}, {"failed": "no memory"}])
def test_where_one_has_no_answer_another_copy_is_asked(says: Any) -> None:
    assert set(asked(Slots(a=says)).values()) <= {"b", "c"}


def test_where_one_is_silent_another_copy_is_asked() -> None:
    assert set(asked(Slots(a="silent"), seconds=2.0).values()) <= {"b", "c"}


def test_a_version_that_is_gone_is_gone_for_all() -> None:
    with pytest.raises(VersionGone):
        asked(Slots(a={"gone": True}, b={"gone": True}))


def test_where_nobody_has_an_answer_it_is_told_why_and_at_once() -> None:
    began = time.monotonic()
    with pytest.raises(ShardsLost) as error:
        asked(Slots(a="lost", b={"failed": "no memory"}, c="lost"), seconds=30.0)
    assert time.monotonic() - began < 5
    assert "a is lost" in str(error.value) or "b: failed no memory" in str(error.value)


def test_who_was_silent_for_long_is_not_asked_first_again() -> None:
    slots = Slots(a="silent")
    calling = Router(slots, Register(), 2, seconds=6.0)  # type: ignore[arg-type]
    for _ in range(2):
        calling.ask(CollectionVersion(1, 7), [0, 131_072], lambda _: ({"call": "x"}, {}))
    first_asked = [slot for slot, _ in slots.said].index("a")
    assert [slot for slot, _ in slots.said][first_asked + 1 :].count("a") == 0


class Apart(Register):
    """One range that a and b hold, and one that a and c hold."""

    def holders(self, collection: int | None = None) -> list[ShardReplica]:
        shards = ((0, "a"), (0, "b"), (131_072, "a"), (131_072, "c"))
        return [ShardReplica(1, first_row, NodeRecord(name, name)) for first_row, name in shards]

    def members(self) -> list[NodeRecord]:
        return []


class Late(Slots):
    """A transport that answers some seconds later."""

    def send(self, node: str, message: bytes) -> Future[bytes]:
        seconds, says = self.says[node]
        later: Future[bytes] = Future()

        def answer() -> None:
            if says == "lost":
                later.set_exception(NodeLost(f"{node} is lost"))
            else:
                later.set_result(to_bytes(says, {}))

        timer = Timer(seconds, answer)
        timer.daemon = True
        timer.start()
        return later


def test_it_ends_as_soon_as_nobody_is_left_for_one_of_the_ranges() -> None:
    # After a second b and c are asked beside a, which is slow. Then a is lost, and b, and c answers for one range.
    slots = Late(a=(1.3, "lost"), b=(0.5, "lost"), c=(0.8, {"slot": "c"}))
    calling = Router(slots, Apart(), 2, seconds=4.0)  # type: ignore[arg-type]
    began = time.monotonic()
    with pytest.raises(ShardsLost, match=r"a is lost; b is lost|b is lost; a is lost"):
        calling.ask(CollectionVersion(1, 7), [0, 131_072], lambda _: ({"call": "x"}, {}))
    assert time.monotonic() - began < 3.5
