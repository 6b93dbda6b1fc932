"""All rooms: codes, their limit, and their end after disuse."""

from __future__ import annotations

import asyncio

import pytest

from softkv_workshop.rooms import FirstRow, Limits, RoomFull, RoomNotFound, RoomOver, Rooms, RoomsFull, RoomTaken
from softkv_workshop.rooms.room import LETTERS


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_room_has_a_code_and_a_secret_of_its_own():
    rooms = Rooms()
    opened = [rooms.open(f"caller {i}") for i in range(20)]
    assert len({room.code for room in opened}) == len({room.secret for room in opened}) == 20
    assert all(len(room.code) == 4 and set(room.code) <= set(LETTERS) for room in opened)
    assert all(rooms.find(room.code) is room for room in opened)


def test_a_code_that_is_taken_is_refused_until_its_room_is_closed():
    rooms = Rooms()
    first = rooms.open("a", "MATH", [FirstRow("1", "cats", "purr")])
    with pytest.raises(RoomTaken, match="MATH"):
        rooms.open("b", "MATH")
    rooms.close(first)
    with pytest.raises(RoomOver, match="MATH"):
        rooms.find("MATH")
    assert rooms.open("b", "MATH").public_state()["rows"] == []
    rooms.close(first)  # which is not the one that has the code now
    assert len(rooms) == 1


def test_rows_that_do_not_fit_open_no_room():
    rooms = Rooms(Limits(rows=1))
    with pytest.raises(RoomFull):
        rooms.open("a", "MATH", [FirstRow("1", "k", "v"), FirstRow("2", "k", "v")])
    assert len(rooms) == 0


def test_a_caller_has_a_share_and_all_have_a_limit():
    rooms = Rooms(Limits(rooms=8))
    for _ in range(6):
        rooms.open("greedy")
    with pytest.raises(RoomsFull, match="6 rooms of this caller"):
        rooms.open("greedy")
    rooms.open("another")
    rooms.open("a third")
    with pytest.raises(RoomsFull, match="8 rooms are open, the most"):
        rooms.open("a fourth")


def test_an_unused_room_ends():
    clock = Clock()
    rooms = Rooms(Limits(seconds=10), clock)
    rooms.open("a", "MATH")
    clock.now = 9
    assert rooms.find("MATH").seconds_left == 10
    clock.now = 18
    rooms.open("b", "ARTS")
    clock.now = 19.5
    with pytest.raises(RoomOver):
        rooms.find("MATH")
    assert len(rooms) == 1


def test_an_unknown_code_differs_from_a_recently_ended_one():
    clock = Clock()
    rooms = Rooms(Limits(ended=2, ended_seconds=10), clock)
    with pytest.raises(RoomNotFound, match="no room ZZZZ: check the letters"):
        rooms.find("ZZZZ")
    for code in ("AAAA", "BBBB", "CCCC"):
        clock.now += 1
        rooms.close(rooms.open("a", code))
    for code, error in {"AAAA": RoomNotFound, "BBBB": RoomOver, "CCCC": RoomOver}.items():
        with pytest.raises(error):
            rooms.find(code)
    rooms.open("a", "BBBB")
    assert rooms.find("BBBB").code == "BBBB"
    clock.now += 11
    with pytest.raises(RoomNotFound):
        rooms.find("CCCC")


def test_a_room_ends_by_itself_and_its_listeners_hear_it():
    async def run() -> list[str]:
        rooms = Rooms(Limits(seconds=0.05))
        room = rooms.open("a")
        heard = [update.name async for update in room.listen()]
        assert len(rooms) == 0
        return heard

    async def in_time() -> list[str]:
        async with asyncio.timeout(5):
            return await run()

    assert asyncio.run(in_time()) == ["room", "here", "over"]
