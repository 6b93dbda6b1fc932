"""One room: the owners of rows, the course of a question, limits, and the events for listeners."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

from softkv_workshop.rooms import (
    Answer,
    FirstRow,
    Limits,
    NotPresenter,
    QuestionOver,
    Room,
    RoomFull,
    RowNotFound,
    Share,
    Update,
)

SMALL = Limits(rows=2, bytes=100, waiting=2, guesses=2, listeners=2, updates=8, seconds=10)
ANSWER = Answer([Share("a", 0.9, 0.8)], 0.05, 0.1, 0.2, "one", True)


def room(limits: Limits = SMALL) -> Room:
    return Room("MATH", "somebody", limits, clock=lambda: 0.0)


def test_a_row_is_its_sender_s_and_the_presenter_s():
    open_room = room()
    open_room.put("a", "cats", "purr", "mine")
    with pytest.raises(NotPresenter):
        open_room.put("a", "dogs", "bark", "another's")
    with pytest.raises(NotPresenter):
        open_room.put("a", "dogs", "bark", None)
    open_room.put("a", "dogs", "bark", open_room.secret)
    assert open_room.put("a", "birds", "sing", "mine") == {"id": "a", "key": "birds", "value": "sing"}
    open_room.put("b", "nobody's", "row", None)
    for secret in ("mine", None, ""):
        with pytest.raises(NotPresenter):
            open_room.remove("b", secret)
    open_room.remove("b", open_room.secret)
    open_room.remove("a", "mine")
    assert open_room.public_state()["rows"] == []
    with pytest.raises(RowNotFound):
        open_room.remove("a", open_room.secret)


def test_public_state_holds_no_secret():
    open_room = room()
    open_room.put("a", "cats", "purr", "a-secret-of-its-own")
    question = open_room.ask("kitten", None, open_room.secret)
    open_room.guess("a-phone", question["number"], "a")
    state = json.dumps(open_room.public_state())
    assert open_room.secret not in state
    assert "a-secret-of-its-own" not in state
    assert "a-phone" not in state


def test_rows_and_bytes_beyond_the_limit_are_refused_and_change_nothing():
    open_room = room()
    open_room.put("a", "k", "v" * 40, None)
    with pytest.raises(RoomFull, match="holds 42 bytes of text and may hold 100: 62 more"):
        open_room.put("b", "k", "é" * 30, None)
    open_room.put("b", "k", "v", None)
    with pytest.raises(RoomFull, match="2 rows, the most"):
        open_room.put("c", "k", "v", None)
    with pytest.raises(RoomFull):
        open_room.put("a", "k", "v" * 96, open_room.secret)
    assert [row["value"] for row in open_room.public_state()["rows"]] == ["v" * 40, "v"]
    open_room.remove("a", open_room.secret)
    open_room.put("a", "k", "v" * 90, None)
    open_room.put("a", "k", "v", open_room.secret)
    open_room.put("b", "k", "v" * 90, open_room.secret)


def test_waiting_questions_take_space_and_free_it_when_they_are_shown():
    open_room = room()
    for _ in range(5):
        open_room.wait("w" * 40)
        open_room.ask("w" * 40, None, open_room.secret)
    assert open_room.public_state()["waiting"] == []
    open_room.wait("x" * 30)
    open_room.wait("y" * 30)
    with pytest.raises(RoomFull, match="2 questions wait"):
        open_room.wait("z")
    open_room.ask("x" * 30, None, open_room.secret)
    with pytest.raises(RoomFull, match="bytes of text"):
        open_room.wait("z" * 50)
    assert [question["query"] for question in open_room.public_state()["waiting"]] == ["y" * 30]


def test_guesses_are_taken_while_the_question_is_open_and_for_rows_that_are_there():
    open_room = room()
    open_room.put("a", "k", "v", None)
    with pytest.raises(QuestionOver):
        open_room.guess("me", 1, "a")
    with pytest.raises(NotPresenter):
        open_room.ask("kitten", None, "not the secret")
    number = open_room.ask("kitten", None, open_room.secret)["number"]
    assert open_room.guess("me", number, "a") == 1
    assert open_room.guess("me", number, None) == 1
    with pytest.raises(RowNotFound):
        open_room.guess("me", number, "b")
    assert open_room.guess("you", number, "a") == 2
    with pytest.raises(RoomFull, match="2 have guessed"):
        open_room.guess("they", number, "a")
    open_room.remove("a", open_room.secret)
    assert open_room.public_state()["question"]["guesses"] == 1
    later = open_room.ask("puppy", None, open_room.secret)["number"]
    with pytest.raises(QuestionOver):
        open_room.guess("me", number, None)
    assert open_room.guess("me", later, None) == 1


def fail(open_room: Room, number: int) -> None:
    """Fail a question as a service without an encoder does."""
    with open_room.revealing(number):
        with pytest.raises(QuestionOver):
            open_room.guess("me", number, None)
        raise ZeroDivisionError


def test_an_answer_closes_the_guesses_and_one_that_fails_opens_them_again():
    open_room = room()
    number = open_room.ask("kitten", None, open_room.secret)["number"]
    with pytest.raises(ZeroDivisionError):
        fail(open_room, number)
    assert open_room.guess("me", number, None) == 1
    with open_room.revealing(number) as (question, rows):
        assert rows == []
        open_room.reveal(question, ANSWER)
    assert open_room.public_state()["question"]["answer"]["null_guesses"] == 1
    with pytest.raises(QuestionOver), open_room.revealing(number):
        pass


def test_an_answer_that_comes_after_the_next_question_is_not_shown_for_it():
    open_room = room()
    number = open_room.ask("kitten", None, open_room.secret)["number"]
    with open_room.revealing(number) as (question, _):
        open_room.ask("puppy", None, open_room.secret)
        open_room.reveal(question, ANSWER)
    assert "answer" not in open_room.public_state()["question"]


def answered_room() -> tuple[Room, int]:
    open_room = room()
    open_room.put("a", "cats", "purr", None)
    number = open_room.ask("kitten", None, open_room.secret)["number"]
    with open_room.revealing(number) as (question, _):
        open_room.reveal(question, ANSWER)
    return open_room, number


def test_the_presenter_shows_an_answer_at_another_temperature_and_listeners_hear_it():
    async def run() -> list[Update]:
        open_room, number = answered_room()
        updates = open_room.listen()
        heard = [await anext(updates), await anext(updates)]
        open_room.show_temperature(number, 0.5)
        assert open_room.public_state()["question"]["shown_temperature"] == 0.5
        heard.append(await anext(updates))
        await updates.aclose()
        return heard

    assert asyncio.run(run())[-1][:2] == ("temperature", {"number": 1, "temperature": 0.5})


def test_neither_a_temperature_nor_a_row_is_shown_before_the_answer_nor_for_another_question():
    open_room = room()
    open_room.put("a", "cats", "purr", None)
    number = open_room.ask("kitten", None, open_room.secret)["number"]
    with pytest.raises(QuestionOver, match="no answer yet"):
        open_room.show_temperature(number, 0.5)
    with pytest.raises(QuestionOver, match="no answer yet"):
        open_room.find_row_of_answer(number, "a")
    open_room, number = answered_room()
    with pytest.raises(QuestionOver, match="not the one"):
        open_room.show_temperature(number + 1, 0.5)
    with pytest.raises(QuestionOver, match="not the one"):
        open_room.find_row_of_answer(number + 1, "a")


def test_the_heaviest_row_that_is_still_there_is_explained_and_no_row_that_came_later():
    open_room, number = answered_room()
    for row in (None, "a"):
        assert open_room.find_row_of_answer(number, row)[1].key == "cats"
    open_room.put("b", "dogs", "bark", None)
    with pytest.raises(RowNotFound, match="'b'"):
        open_room.find_row_of_answer(number, "b")
    open_room.remove("a", open_room.secret)
    for row in (None, "a"):
        with pytest.raises(RowNotFound):
            open_room.find_row_of_answer(number, row)


def test_a_listener_hears_the_whole_state_first_and_then_changes():
    async def run() -> list[Update]:
        open_room = room()
        open_room.put("a", "k", "v", None)
        updates = open_room.listen()
        heard = [await anext(updates)]
        number = open_room.ask("kitten", None, open_room.secret)["number"]
        open_room.guess("me", number, "a")
        open_room.end("the lesson is over")
        return heard + [update async for update in updates]

    heard = asyncio.run(run())
    assert [update.name for update in heard] == ["room", "here", "question", "guesses", "over"]
    assert heard[0].data["rows"] == [{"id": "a", "key": "k", "value": "v"}]
    assert heard[-1].data == {"detail": "the lesson is over"}
    versions = [update.version for update in heard]
    assert versions == sorted(set(versions))


def test_a_listener_that_leaves_is_not_counted():
    async def run() -> None:
        open_room = room()
        first, second = open_room.listen(), open_room.listen()
        await anext(first)
        await anext(second)
        assert open_room.public_state()["listeners"] == 2
        await second.aclose()
        assert open_room.public_state()["listeners"] == 1
        names = [(await anext(first)).name for _ in range(3)]
        assert names == ["here", "here", "here"]
        await first.aclose()
        assert open_room.public_state()["listeners"] == 0

    asyncio.run(run())


SHARED = Limits(rows=8, bytes=1000, waiting=8, guesses=8)


def test_one_caller_leaves_a_quarter_of_everything_to_others():
    open_room = room(SHARED)
    for i in range(6):
        open_room.put(f"a{i}", "k", "v", None, "one phone")
        open_room.wait(f"question {i}", "one phone")
    with pytest.raises(RoomFull, match="6 of the 6 rows in this room came from where this comes from"):
        open_room.put("a6", "k", "v", None, "one phone")
    with pytest.raises(RoomFull, match="6 of the 6 questions that wait"):
        open_room.wait("question 6", "one phone")
    open_room.put("b0", "k", "v", None, "another phone")
    open_room.wait("mine", "another phone")
    number = open_room.ask("kitten", None, open_room.secret)["number"]
    for i in range(6):
        open_room.guess(f"a{i}", number, "a0", "one phone")
    with pytest.raises(RoomFull, match="6 of the 6 guesses"):
        open_room.guess("a6", number, "a0", "one phone")
    assert open_room.guess("a0", number, None, "one phone") == 6  # another guess of the same guesser
    assert open_room.guess("b0", number, "b0", "another phone") == 7


def test_long_texts_of_one_caller_leave_room_for_others_texts():
    open_room = room(SHARED)
    open_room.put("a", "k", "v" * 698, "mine", "one phone")
    with pytest.raises(RoomFull, match="700 of the 700 bytes of text"):
        open_room.put("b", "k", "v" * 98, None, "one phone")
    with pytest.raises(RoomFull, match="bytes of text"):
        open_room.wait("w" * 100, "one phone")
    open_room.put("c", "k", "v" * 198, None, "another phone")
    open_room.put("a", "k", "v" * 600, "mine", "one phone")  # shorter than before


def test_the_presenter_has_no_share_and_may_fill_a_room():
    open_room = room(SHARED)
    open_room.fill([FirstRow(str(i), "k", "v") for i in range(4)], open_room.secret)
    for i in range(4, 8):
        open_room.put(str(i), "k", "v", open_room.secret, "one phone")
    with pytest.raises(RoomFull, match="8 rows, the most"):
        open_room.put("8", "k", "v", open_room.secret, "one phone")


def test_the_presenter_removes_all_rows_in_one_call():
    async def tried() -> None:
        open_room = room(SHARED)
        for i in range(3):
            open_room.put(str(i), "k", "v" * 248, None, str(i))
        number = open_room.ask("kitten", None, open_room.secret)["number"]
        open_room.guess("a", number, "0", "a")
        open_room.guess("b", number, None, "b")
        with pytest.raises(NotPresenter):
            open_room.clear("another's")
        updates = open_room.listen()
        await anext(updates)
        open_room.clear(open_room.secret)
        heard = [(await anext(updates)) for _ in range(3)]
        assert [update.name for update in heard] == ["here", "guesses", "room"]
        assert (heard[2].data["rows"], heard[2].data["question"]["guesses"]) == ([], 1)
        open_room.put("0", "k", "v" * 700, None, "one phone")
        await updates.aclose()

    asyncio.run(tried())


def test_the_presenter_alone_sees_and_releases_held_rows_and_questions():
    open_room = room(Limits())
    open_room.hold(True)
    assert open_room.put("a", "cats", "purr", "mine", "anna", by="Anna")["held"]
    open_room.put("b", "dogs", "bark", "mine", "anna")
    open_room.put("c", "birds", "sing", open_room.secret)
    open_room.wait("kitten", "anna")
    state, private = open_room.public_state(), open_room.public_state(for_presenter=True)
    assert ([row["id"] for row in state["rows"]], state["waiting"], state["hold"]) == (["c"], [], True)
    assert "held" not in state
    assert private["held"] == [
        {"id": "a", "key": "cats", "value": "purr", "by": "Anna"},
        {"id": "b", "key": "dogs", "value": "bark"},
    ]
    assert [question["query"] for question in private["waiting"]] == ["kitten"]
    with pytest.raises(RowNotFound):
        open_room.release(["a", "c"])
    assert [row["id"] for row in open_room.public_state(for_presenter=True)["held"]] == ["a", "b"]
    with pytest.raises(RowNotFound):
        open_room.release(["c"])
    open_room.release(["a"])
    open_room.remove("b", open_room.secret)
    assert [row["id"] for row in open_room.public_state()["rows"]] == ["c", "a"]
    assert open_room.public_state(for_presenter=True)["held"] == []
    open_room.hold(False)
    assert [question["query"] for question in open_room.public_state()["waiting"]] == ["kitten"]


def test_a_held_change_leaves_the_shown_row():
    open_room = room(Limits())
    open_room.put("a", "cats", "purr", "mine", "anna")
    open_room.hold(True)
    with pytest.raises(NotPresenter):
        open_room.put("a", "rude", "words", "another's", "ben")
    for _ in range(2):
        open_room.put("a", "rude", "words", "mine", "anna")
        assert [row["key"] for row in open_room.public_state()["rows"]] == ["cats"]
        open_room.remove("a", open_room.secret)
        assert [row["key"] for row in open_room.public_state()["rows"]] == ["cats"]
    open_room.put("a", "kittens", "play", "mine", "anna")
    open_room.release(["a"])
    assert [row["key"] for row in open_room.public_state()["rows"]] == ["kittens"]
    open_room.put("a", "lions", "roar", "mine", "anna")
    open_room.remove("a", "mine")
    assert open_room.public_state(for_presenter=True)["rows"] == []
    assert open_room.public_state(for_presenter=True)["held"] == []
    # Its bytes are free again.
    open_room.put("a", "k" * 100_000, "v" * 100_000, open_room.secret)


def test_the_presenter_s_listener_alone_hears_held_rows():
    async def hear() -> tuple[list[str], list[str]]:
        open_room = room(Limits())
        open_room.hold(True)
        heard: tuple[list[str], list[str]] = ([], [])
        listeners = [open_room.listen(), open_room.listen(is_presenter=True)]
        for listener in listeners:
            await anext(listener)
        open_room.put("a", "cats", "purr", "mine", "anna")
        open_room.wait("kitten", "anna")
        open_room.release(["a"])
        open_room.end("over")
        for names, listener in zip(heard, listeners, strict=True):
            names.extend([update.name async for update in listener if update.name != "here"])
        return heard

    public, private = asyncio.run(hear())
    assert public == ["row", "over"]
    assert private == ["held", "waiting", "row", "held", "over"]


def test_a_silent_room_gives_a_sign_of_life():
    async def hear() -> list[str]:
        listener = room(replace(SMALL, silent_seconds=0.01)).listen()
        names = [(await anext(listener)).name for _ in range(4)]
        await listener.aclose()
        return names

    assert asyncio.run(hear()) == ["room", "here", "here", "here"]
