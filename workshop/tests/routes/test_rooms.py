"""Rooms over HTTP: permissions, joining, answers equal to those of compare, and a clear refusal at each limit."""

from __future__ import annotations

import json
import re
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import pytest
import segno

from softkv_service import addresses
from softkv_workshop.rooms import Limits, Rooms
from softkv_workshop.state import Workshop
from tests.running import RunningService
from tests.service.commands.conftest import serving
from tests.service.server.stopping import BUSY
from tests.waiting import until

SECRET = "X-Room-Secret"
OVER = "question_over"
Heard = tuple[str, Any]


@pytest.fixture
def opened(client: httpx.Client) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield a room's path, and the header of its presenter."""
    body = client.post("/v1/rooms", json={}).json()
    path, presents = f"/v1/rooms/{body['code']}", {SECRET: body["secret"]}
    yield path, presents
    client.delete(path, headers=presents)


@contextmanager
def listening(client: httpx.Client, path: str) -> Iterator[Iterator[Heard]]:
    """Yield the events of a room, as they arrive."""
    with client.stream("GET", f"{path}/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield events(answer)


def events(answer: httpx.Response) -> Iterator[Heard]:
    name = ""
    for line in answer.iter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


def refused(answer: httpx.Response, status: int, code: str) -> str:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    detail: str = answer.json()["detail"]
    return detail


def reveal(client: httpx.Client, path: str, presents: dict[str, str], number: int) -> httpx.Response:
    return client.patch(path, json={"question": {"number": number, "revealed": True}}, headers=presents)


def test_events_reach_the_listeners_and_the_answer_equals_compare(client, opened):
    path, presents = opened
    rows = [
        {"id": "1", "key": "cats", "value": "They purr."},
        {"id": "2", "key": "a history of Rome", "value": "Kings."},
    ]
    with listening(client, path) as heard:
        assert next(heard)[0] == "room"
        assert next(heard) == ("here", {"listeners": 1})
        for row in rows:
            body = {"key": row["key"], "value": row["value"]}
            assert client.put(f"{path}/rows/{row['id']}", json=body).json() == row
            assert next(heard) == ("row", row)
        assert client.post(f"{path}/questions", json={"query": "kitten"}).json()["guesses"] == 0
        assert next(heard) == ("waiting", {"waiting": [{"number": 1, "query": "kitten"}]})
        question = {"query": "kitten", "temperature": 0.2}
        assert client.post(f"{path}/questions", json=question, headers=presents).json()["number"] == 2
        assert [next(heard)[0] for _ in range(2)] == ["waiting", "question"]
        for participant, guessed in {"a": "1", "b": None, "c": "2"}.items():
            client.put(f"{path}/guesses/{participant}", json={"question": 2, "row": guessed})
        assert [next(heard)[1]["guesses"] for _ in range(3)] == [1, 2, 3]
        revealed = reveal(client, path, presents, 2).json()["question"]
        assert next(heard) == ("answer", revealed)
        client.delete(path, headers=presents)
        assert next(heard)[0] == "over"
        assert list(heard) == []
    attention = client.post("/v1/compare", json={**question, "rows": rows}).json()["attention"]
    matches = [{"id": match["id"], "weight": match["weight"]} for match in attention["matches"]]
    assert [{"id": match["id"], "weight": match["weight"]} for match in revealed["answer"]["matches"]] == matches
    assert revealed["answer"]["null_weight"] == attention["evidence"]["null_weight"]
    assert [match["guesses"] for match in revealed["answer"]["matches"]] == [1, 1]
    assert revealed["answer"]["null_guesses"] == 1


def test_an_answer_has_the_numbers_for_weights_at_any_temperature(client, opened):
    path, presents = opened
    rows = [{"id": str(i), "key": key} for i, key in enumerate(["cats", "a history of Rome", "iced lemonade"])]
    for row in rows:
        client.put(f"{path}/rows/{row['id']}", json={"key": row["key"]})
    client.post(f"{path}/questions", json={"query": "something warm to drink"}, headers=presents)
    refused(client.patch(path, json={"question": {"number": 1, "shown_temperature": 1}}, headers=presents), 409, OVER)
    refused(client.post(f"{path}/words", json={"question": 1}), 409, OVER)
    answer = reveal(client, path, presents, 1).json()["question"]["answer"]
    compared = client.post("/v1/compare", json={"query": "something warm to drink", "rows": rows}).json()
    assert answer["background"] == compared["background"]
    refused(client.patch(path, json={"question": {"number": 1, "shown_temperature": 1}}), 403, "not_presenter")
    with listening(client, path) as heard:
        [next(heard) for _ in range(2)]
        shown = client.patch(path, json={"question": {"number": 1, "shown_temperature": 0}}, headers=presents).json()
        assert next(heard) == ("temperature", {"number": 1, "temperature": 0})
        assert shown["question"]["shown_temperature"] == 0
    assert client.get(path).json()["question"]["shown_temperature"] == 0


def test_a_row_is_compared_with_the_question_without_each_word(client, opened):
    path, presents = opened
    for row, key in {"wrong": "iced lemonade", "right": "a cup of cocoa"}.items():
        client.put(f"{path}/rows/{row}", json={"key": key})
    query = "something warm to drink"
    client.post(f"{path}/questions", json={"query": query}, headers=presents)
    answer = reveal(client, path, presents, 1).json()["question"]["answer"]
    assert answer["matches"][0]["id"] == "wrong"
    told = client.post(f"{path}/words", json={"question": 1}).json()
    assert told == client.post(f"{path}/words", json={"question": 1, "row": "wrong"}).json()
    assert [(word["text"], query[word["start"] : word["end"]]) for word in told["words"]] == [
        (word, word) for word in query.split()
    ]
    assert told["similarity"] == pytest.approx(answer["matches"][0]["similarity"], abs=1e-6)
    for word in told["words"]:
        rest = " ".join(other for other in query.split() if other != word["text"])
        body = {"query": rest, "rows": [{"key": "iced lemonade"}]}
        alone = client.post("/v1/compare", json=body).json()["attention"]["matches"][0]["similarity"]
        assert word["similarity"] == pytest.approx(alone, abs=1e-6)
    least = min(told["words"], key=lambda word: word["similarity"])
    assert least["text"] == "drink"
    refused(client.post(f"{path}/words", json={"question": 1, "row": "none"}), 404, "room_row_not_found")


def test_a_word_with_an_apostrophe_is_one_and_a_chinese_character_is_one(client, opened):
    path, presents = opened
    client.put(f"{path}/rows/1", json={"key": "cats"})
    client.post(f"{path}/questions", json={"query": "what's a 猫科 kitten?"}, headers=presents)
    reveal(client, path, presents, 1)
    words = client.post(f"{path}/words", json={"question": 1}).json()["words"]
    assert [word["text"] for word in words] == ["what's", "a", "猫", "科", "kitten"]
    client.post(f"{path}/questions", json={"query": "kitten " * 50}, headers=presents)
    reveal(client, path, presents, 2)
    assert len(client.post(f"{path}/words", json={"question": 2}).json()["words"]) == 32
    client.post(f"{path}/questions", json={"query": "kitten"}, headers=presents)
    reveal(client, path, presents, 3)
    (only,) = client.post(f"{path}/words", json={"question": 3}).json()["words"]
    assert only["similarity"] is None


def test_only_the_presenter_opens_questions_shows_answers_removes_and_closes(client, opened):
    path, presents = opened
    client.put(f"{path}/rows/1", json={"key": "cats"})
    client.post(f"{path}/questions", json={"query": "kitten"}, headers=presents)
    for other in ({}, {SECRET: "guessed"}):
        for place in ("", "/rows", "/rows/1"):
            refused(client.delete(f"{path}{place}", headers=other), 403, "not_presenter")
        for change in ({"hold": True}, {"released": []}, {"question": {"number": 1, "revealed": True}}, {}):
            refused(client.patch(path, json=change, headers=other), 403, "not_presenter")
    refused(client.post(f"{path}/questions", json={"query": "dog"}, headers={SECRET: "guessed"}), 403, "not_presenter")
    assert [row["id"] for row in client.get(path).json()["rows"]] == ["1"]


def test_one_change_holds_releases_reveals_and_shows_a_temperature(client, opened):
    path, presents = opened
    assert client.patch(path, json={"hold": True}, headers=presents).json()["hold"]
    for row, key in {"a": "cats", "b": "dogs", "c": "a history of Rome"}.items():
        assert client.put(f"{path}/rows/{row}", json={"key": key}).json()["held"]
    client.post(f"{path}/questions", json={"query": "kitten"}, headers=presents)
    change = {
        "hold": False,
        "released": ["a", "c"],
        "question": {"number": 1, "revealed": True, "shown_temperature": 0.5},
    }
    with listening(client, path) as heard:
        [next(heard) for _ in range(2)]
        state = client.patch(path, json=change, headers=presents).json()
        assert [next(heard)[0] for _ in range(5)] == ["row", "row", "answer", "hold", "waiting"]
    assert (state["hold"], [row["id"] for row in state["rows"]], [row["id"] for row in state["held"]]) == (
        False,
        ["a", "c"],
        ["b"],
    )
    assert {match["id"] for match in state["question"]["answer"]["matches"]} == {"a", "c"}
    assert state["question"]["shown_temperature"] == 0.5
    unchanged = client.patch(path, json={}, headers=presents).json()
    for name in ("hold", "rows", "held", "question"):
        assert unchanged[name] == state[name]


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"released": ["a", "none"]}, 404, "room_row_not_found"),
        ({"question": {"number": 2, "revealed": True}}, 409, OVER),
        ({"question": {"number": 2}}, 409, OVER),
        ({"question": {"number": 1, "shown_temperature": 1}}, 409, OVER),
        ({"question": {"number": 1, "revealed": False}}, 422, "invalid_content"),
        ({"question": {"revealed": True}}, 422, "invalid_content"),
        ({"question": {"number": 1, "query": "dogs"}}, 422, "invalid_content"),
        ({"released": ["a/b"]}, 422, "invalid_content"),
        ({"hold": 1}, 422, "invalid_content"),
        ({"rows": []}, 422, "invalid_content"),
    ],
)
def test_a_refused_change_changes_nothing(client, opened, change, status, code):
    path, presents = opened
    client.patch(path, json={"hold": True}, headers=presents)
    client.put(f"{path}/rows/a", json={"key": "cats"})
    client.post(f"{path}/questions", json={"query": "kitten"}, headers=presents)
    before = client.get(path, headers=presents).json()
    body = {"released": ["a"], "hold": False} | change
    refused(client.patch(path, json=body, headers=presents), status, code)
    after = client.get(path, headers=presents).json()
    assert {name: after[name] for name in after if name != "seconds_left"} == {
        name: before[name] for name in before if name != "seconds_left"
    }


def test_a_room_is_opened_again_with_its_rows(client, opened):
    path, presents = opened
    code = path.rpartition("/")[2]
    refused(client.post("/v1/rooms", json={"code": code}), 409, "room_taken")
    client.delete(path, headers=presents)
    assert f"room {code} is over" in refused(client.get(f"{path}/events"), 404, "room_over")
    assert "when the service is restarted" in refused(client.get("/v1/rooms/ZZZZ/events"), 404, "room_not_found")
    rows = [{"id": "a", "key": "cats"}, {"key": "dogs", "value": "They bark."}]
    again = client.post("/v1/rooms", json={"code": code, "rows": rows}).json()
    assert again["secret"] != presents[SECRET]
    assert client.get(path).json()["rows"] == [
        {"id": "a", "key": "cats", "value": "cats"},
        {"id": "2", "key": "dogs", "value": "They bark."},
    ]
    presents[SECRET] = again["secret"]
    twice = client.post("/v1/rooms", json={"rows": [{"id": "a", "key": "k"}, {"id": "a", "key": "k"}]})
    assert twice.json()["errors"][0]["pointer"] == "/rows/1/id"


def modules(path: str, size: int) -> list[list[bool]]:
    """Return the dark modules of a path of runs."""
    drawn = [[False] * size for _ in range(size)]
    for x, y, length, back in re.findall(r"M(\d+) (\d+)h(\d+)v1h-(\d+)z", path):
        assert length == back
        for position in range(int(x), int(x) + int(length)):
            drawn[int(y)][position] = True
    return drawn


def test_others_come_in_by_an_address_of_the_network_and_its_code(tmp_path, monkeypatch):
    monkeypatch.setattr(addresses, "_own_addresses", lambda version: ["192.168.1.20"] if version == 4 else [])
    monkeypatch.setattr(addresses, "in_a_container", lambda: False)
    settings = {"data_dir": tmp_path, "encoder": "none", "host": "0.0.0.0", "allow_anonymous": "read"}
    with RunningService(**settings) as running, running.client() as client:
        joining = client.post("/v1/rooms", json={"code": "MATH"}).json()["joining"]
        assert joining["address"] == f"http://192.168.1.20:{running.port}/room?code=MATH"
        qr = segno.make(joining["address"], error="m", micro=False)
        expected = [[bool(module) for module in row] for row in qr.matrix_iter(border=4)]
        assert modules(joining["path"], joining["size"]) == expected
        names = {"host": "10.1.2.3:8443", "origin": "https://10.1.2.3:8443"}
        response = client.post("/v1/rooms", json={"code": "ARTS"}, headers=names).json()["joining"]
        assert response["address"] == "https://10.1.2.3:8443/room?code=ARTS"
        other = client.post(
            "/v1/rooms", json={"code": "GEOG"}, headers=names | {"origin": "https://evil.example"}
        ).json()
        assert other["joining"]["address"] == "http://10.1.2.3:8443/room?code=GEOG"
        assert client.get("/room").status_code == 200


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    data = tmp_path_factory.mktemp("keyed")
    with RunningService(data_dir=data, encoder="none", api_keys=("w",), read_keys=("r",)) as running:
        yield running


@pytest.mark.parametrize("host", ["evil.example/x?", "evil.example#", "a@evil.example", "[", "evil.example:http"])
def test_an_invalid_host_is_not_shown_in_addresses(keyed, host):
    with keyed.client(headers={"x-api-key": "w", "host": host, "origin": "http://["}) as client:
        joining = client.post("/v1/rooms", json={}).json()["joining"]
        assert joining["address"].startswith(f"http://localhost:{keyed.port}/room?code=")
        assert client.get("/nothing").json()["detail"].startswith("there is nothing at /nothing:")


@pytest.mark.parametrize(
    ("settings", "headers", "status"),
    [
        ({"api_keys": ("w",), "read_keys": ("r",)}, {}, 401),
        ({"api_keys": ("w",), "read_keys": ("r",)}, {"x-api-key": "r"}, 200),
        ({"api_keys": ("w",), "allow_anonymous": "read"}, {}, 200),
    ],
)
def test_a_caller_with_read_permission_may_open_and_fill_a_room(tmp_path, settings, headers, status):
    with RunningService(data_dir=tmp_path, encoder="none", **settings) as running, running.client() as client:
        answer = client.post("/v1/rooms", json={"code": "MATH"}, headers=headers)
        assert answer.status_code == status
        filled = client.put("/v1/rooms/MATH/rows/a", json={"key": "cats"}, headers=headers)
        assert filled.status_code == status
        with client.stream("GET", "/v1/rooms/MATH/events", headers=headers) as answer:
            assert answer.status_code == status


def test_each_limit_is_a_clear_refusal(tmp_path):
    with RunningService(data_dir=tmp_path, encoder="none") as running, running.client() as client, ExitStack() as stack:
        limits = Limits(rooms=1, rows=2, bytes=200, listeners=1, guesses=1, waiting=1)
        object.__setattr__(Workshop.of(running.app.state.parts), "rooms", Rooms(limits))
        secret = client.post("/v1/rooms", json={"code": "MATH"}).json()["secret"]
        path, presents = "/v1/rooms/MATH", {SECRET: secret}  # the presenter may do everything
        assert "1 rooms are open" in refused(client.post("/v1/rooms", json={}), 429, "rooms_full")
        row = {"key": "k" * 90}
        client.put(f"{path}/rows/a", json=row, headers=presents)
        assert "200" in refused(client.put(f"{path}/rows/b", json=row, headers=presents), 413, "room_full")
        client.put(f"{path}/rows/b", json={"key": "k"}, headers=presents)
        assert "2 rows" in refused(client.put(f"{path}/rows/c", json={"key": "k"}, headers=presents), 413, "room_full")
        client.post(f"{path}/questions", json={"query": "q"})
        assert "1 questions" in refused(client.post(f"{path}/questions", json={"query": "r"}), 413, "room_full")
        client.post(f"{path}/questions", json={"query": "q"}, headers=presents)
        client.put(f"{path}/guesses/me", json={"question": 2, "row": None})
        second = client.put(f"{path}/guesses/you", json={"question": 2, "row": None})
        assert "1 have guessed" in refused(second, 413, "room_full")
        heard = stack.enter_context(listening(client, path))
        next(heard)
        assert "1 listen" in refused(client.get(f"{path}/events"), 429, "listeners_full")
        for body in ({"key": "k" * 481}, {"key": ""}, {"key": "k", "value": "v" * 481}, {}):
            refused(client.put(f"{path}/rows/a", json=body), 422, "invalid_content")
        refused(client.put(f"{path}/rows/{'i' * 65}", json={"key": "k"}), 422, "invalid_content")
        many = [{"key": "k"}] * 1001
        refused(client.post("/v1/rooms", json={"rows": many}), 422, "invalid_content")


def test_a_flood_of_listeners_takes_no_slot_of_other_calls(tmp_path):
    settings = {"data_dir": tmp_path, "encoder": "none", "max_queue": 4}
    with RunningService(**settings) as running, running.client() as client, ExitStack() as stack:
        client.post("/v1/rooms", json={"code": "MATH"})
        # Three quarters of four, a caller's share.
        hearing = [stack.enter_context(listening(client, "/v1/rooms/MATH")) for _ in range(3)]
        assert {next(heard)[0] for heard in hearing} == {"room"}
        assert "kind listen" in refused(client.get("/v1/rooms/MATH/events"), 429, "queue_full")
        assert client.put("/v1/rooms/MATH/rows/a", json={"key": "k"}).status_code == 200
        assert client.get("/v1/collections").status_code == 200
        stack.close()
        admission = running.app.state.admission
        until(lambda: not client.get("/v1/rooms/MATH").json()["listeners"] and not admission.slots_in_use["listen"])
        with listening(client, "/v1/rooms/MATH") as heard:
            assert next(heard)[0] == "room"


def test_a_listener_hears_within_two_seconds_that_the_service_stops(tmp_path):
    with serving(tmp_path) as running, httpx.Client(base_url=running.url, timeout=60) as client:
        client.post("/v1/rooms", json={"code": "MATH"})
        with listening(client, "/v1/rooms/MATH") as heard:
            next(heard)
            running.process.send_signal(signal.SIGTERM)
            stop_time = time.monotonic()
            *_, (name, problem) = heard
            assert time.monotonic() - stop_time < 2 + BUSY
            assert (name, problem["code"]) == ("problem", "stopping")


def test_a_listener_that_does_not_read_is_dropped_and_hears_everything_after_reconnecting(tmp_path):
    with RunningService(data_dir=tmp_path, encoder="none") as running, running.client() as client:
        object.__setattr__(Workshop.of(running.app.state.parts), "rooms", Rooms(Limits(updates=8)))
        presents = {SECRET: client.post("/v1/rooms", json={"code": "MATH"}).json()["secret"]}
        questions = [{"query": f"{i} " + "q" * 470} for i in range(50)]
        for question in questions:
            client.post("/v1/rooms/MATH/questions", json=question)
        with socket.create_connection(("127.0.0.1", running.port)) as slow:
            slow.sendall(b"GET /v1/rooms/MATH/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert slow.recv(12) == b"HTTP/1.1 200"
            for number in range(3000):  # each tells of all that wait: what systems hold of a connection is megabytes
                question = questions[number % 50]
                client.post("/v1/rooms/MATH/questions", json=question, headers=presents)
                client.post("/v1/rooms/MATH/questions", json=question)
                if not client.get("/v1/rooms/MATH").json()["listeners"]:
                    break
            else:
                pytest.fail("it is never too slow")
        with listening(client, "/v1/rooms/MATH") as heard:
            assert next(heard)[1]["question"]["query"] == question["query"]
