"""Rooms with each client: open, fill, ask, guess, reveal, listen, close."""

from __future__ import annotations

import threading
from typing import Any

import pytest

import softkv
from softkv import Client
from tests.running import RunningService


def test_a_room_from_its_opening_to_its_end(softkv_client: Any) -> None:
    opened = softkv_client.open_room(rows=[{"id": "1", "key": "cats", "value": "They purr."}])
    code, secret = opened.code, opened.secret
    assert opened.joining.address.endswith(f"/room?code={code}")
    softkv_client.hold_room(code, True, secret)
    assert softkv_client.put_room_row(code, "2", "a history of Rome", by="Anna", secret="mine").held
    assert [row.by for row in softkv_client.room(code, secret=secret).held] == ["Anna"]
    (released,) = softkv_client.release_room_rows(code, secret, rows=["2"])
    assert (released.key, released.held, softkv_client.room(code).held) == ("a history of Rome", False, None)
    question = softkv_client.ask_room(code, "kitten", temperature=0.1, secret=secret)
    assert (question.number, question.answer) == (1, None)
    assert softkv_client.guess(code, "me", 1, "1").guesses == 1
    shown = softkv_client.reveal(code, 1, secret)
    assert [(match.id, match.guesses) for match in shown.answer.matches] == [("1", 1), ("2", 0)]
    assert (shown.answer.null_guesses, shown.answer.verdict, shown.answer.verdict_certain) == (0, "one", True)
    words = softkv_client.room_words(code, 1)
    assert (words.row, [word.text for word in words.words], words.words[0].similarity) == ("1", ["kitten"], None)
    softkv_client.show_room_temperature(code, 1, 0.5, secret)
    softkv_client.remove_room_row(code, "2", "mine")
    room = softkv_client.room(code)
    assert [row.key for row in room.rows] == ["cats"]
    assert (room.question.answer, room.question.shown_temperature) == (shown.answer, 0.5)
    softkv_client.remove_room_rows(code, secret)
    softkv_client.close_room(code, secret)
    with pytest.raises(softkv.NotFound) as error:
        softkv_client.room(code)
    assert error.value.code == "room_over"


def test_a_listener_hears_events_until_it_returns_true(service: RunningService) -> None:
    heard: list[tuple[str, Any]] = []
    with Client(service.url) as client:
        opened = client.open_room()

        def hear(name: str, data: Any) -> bool:
            heard.append((name, data))
            return name == "row"

        hearing = threading.Thread(target=client.hear_room, args=(opened.code, hear), daemon=True)
        hearing.start()
        while not heard:
            hearing.join(0.01)
        client.put_room_row(opened.code, "1", "猫")
        hearing.join(60)
        assert not hearing.is_alive()
        assert (heard[0][0], heard[-1]) == ("room", ("row", {"id": "1", "key": "猫", "value": "猫"}))
        client.close_room(opened.code, opened.secret)
        with pytest.raises(softkv.NotFound):
            client.hear_room(opened.code, hear)
