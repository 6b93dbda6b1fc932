"""Words that a collection keeps: written with their keys, read by questions, to the bit those that it would encode."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest

from softkv_service.storage import restore
from softkv_service.storage.checksums import words_checksum
from softkv_service.storage.sqlite.store import SQLiteStore
from tests.running import RunningService
from tests.service.api.routes.test_attend_late import KEYS, QUERY
from tests.service.api.test_openapi import DESCRIBED
from tests.waiting import until

LATE = {"rerank": {"model": "late"}}
WALL, PLAIN = "/v1/collections/kept", "/v1/collections/plain"
LONG = ". ".join(["the walls of Rome and its seven hills"] * 6 + ["a cat needs sleep and milk"] * 9)
DOCUMENTS: list[dict[str, Any]] = [
    *({"id": f"{i:02}", "key": key, "metadata": {"year": i}} for i, key in enumerate(KEYS)),
    {"id": "long", "key": LONG, "split": {"tokens": 40, "overlap": 5}},
    {"id": "titled", "key": f"Venice for cats\n{LONG}", "split": {"tokens": 40, "overlap": 5}},
    {"id": "signs", "key": "?!"},
    {"id": "valued", "key": "what cats need", "value": "sleep and food"},
]
TEXT_KEYS = len(KEYS) + 2


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    with RunningService(data_dir=tmp_path_factory.mktemp("service") / "data") as running:
        running.wait_until_ready()
        yield running


@pytest.fixture
def client(running: RunningService) -> Iterator[httpx.Client]:
    with running.client(event_hooks={"response": [DESCRIBED.keeps]}) as client:
        for wall, late in ((WALL, True), (PLAIN, False)):
            client.delete(wall)
            assert client.put(wall, json={"late": late}).status_code == 201
            client.post(f"{wall}/documents", json={"documents": DOCUMENTS}).raise_for_status()
        yield client


def ask(client: httpx.Client, wall: str, **body: Any) -> list[dict[str, Any]]:
    sent = {"query": QUERY, "top_k": 30, "include": ["key", "explanation"]} | LATE | body
    answer = client.post(f"{wall}/attend", json=sent)
    assert answer.status_code == 200, answer.text
    matches: list[dict[str, Any]] = answer.json()["matches"]
    return matches


def words_of(client: httpx.Client, wall: str = WALL) -> dict[str, int] | None:
    words: dict[str, int] | None = client.get(wall).json()["words"]
    return words


def test_answers_are_the_same_to_the_bit_as_without_kept_words(client: httpx.Client) -> None:
    words = words_of(client)
    assert words is not None
    assert words["waiting"] == 0
    assert words["kept"] > TEXT_KEYS + 1
    assert words_of(client, PLAIN) is None
    for query in (QUERY, "pets that purr", "seven hills", "?!"):
        for include in (["key", "explanation"], ["key"]):
            assert ask(client, WALL, query=query, include=include) == ask(client, PLAIN, query=query, include=include)
    depths = ({"model": "late", "depth": depth} for depth in (1, 3, 30))
    for rerank in depths:
        assert ask(client, WALL, rerank=rerank) == ask(client, PLAIN, rerank=rerank)


def test_the_title_stands_before_each_part(client: httpx.Client) -> None:
    key = next(one["key"] for one in DOCUMENTS if one["id"] == "titled")
    (titled,) = ask(
        client,
        WALL,
        query="is a cat asleep in Venice?",
        filter={"field": "id", "operator": "==", "value": "titled"},
        top_k=1,
    )
    assert titled["part"]["start"] > 20
    pairs = titled["explanation"]["addends"][-1]["pairs"]
    assert {key[pair["start"] : pair["end"]] for pair in pairs} == {pair["found"] for pair in pairs}
    assert [(pair["start"], pair["end"]) for pair in pairs if pair["word"] == "Venice"] == [(0, 6)]
    part = key[titled["part"]["start"] : titled["part"]["end"]]
    sent = {"texts": [f"Venice for cats\n{part}"], "purpose": "document"}
    vector = client.post("/v1/encode", json=sent).json()["embeddings"][0]
    stored = client.get(f"{WALL}/documents/titled", params={"include": "key_vector"}).json()["key_vectors"]
    assert any(max(abs(a - b) for a, b in zip(vector, one, strict=True)) < 1e-6 for one in stored)


def test_words_follow_their_text(client: httpx.Client) -> None:
    before = words_of(client)
    assert before is not None
    assert client.patch(f"{WALL}/documents/00", json={"metadata": {"year": 1999}}).status_code == 200
    client.post(f"{WALL}/documents/update", json={"filter": None, "metadata": {"seen": True}})
    assert words_of(client) == before
    for wall in (WALL, PLAIN):
        assert client.patch(f"{wall}/documents/01", json={"key": "a kitten purrs all night"}).status_code == 200
        assert client.patch(f"{wall}/documents/02", json={"value": "other"}).status_code == 200
    assert words_of(client) == before
    query = {"query": "kittens that purr", "include": ["key"]}
    kept, plain = ask(client, WALL, **query), ask(client, PLAIN, **query)
    assert [(one["id"], one["weight"]) for one in kept] == [(one["id"], one["weight"]) for one in plain]
    assert client.delete(f"{WALL}/documents/03").status_code == 204
    assert words_of(client) == {"kept": before["kept"] - 1, "waiting": 0}


def test_keys_without_words_are_encoded_at_the_question_and_get_them(client: httpx.Client) -> None:
    changed = client.patch(PLAIN, json={"late": True})
    assert (changed.status_code, changed.json()["late"]) == (200, True)
    client.put(f"{PLAIN}/documents/new", json={"key": "cats need food"}).raise_for_status()
    client.put(f"{WALL}/documents/new", json={"key": "cats need food"}).raise_for_status()
    assert ask(client, PLAIN) == ask(client, WALL)
    until(lambda: (words_of(client, PLAIN) or {}).get("waiting") == 0)
    assert words_of(client, PLAIN) == words_of(client, WALL)
    assert ask(client, PLAIN) == ask(client, WALL)


def test_without_late_the_words_are_deleted(client: httpx.Client) -> None:
    assert client.patch(WALL, json={"late": False}).json()["late"] is False
    assert words_of(client) is None
    assert ask(client, WALL) == ask(client, PLAIN)


def test_vectors_that_were_sent_wait_for_words(client: httpx.Client) -> None:
    vector = client.post("/v1/encode", json={"texts": ["a cat"], "purpose": "document"}).json()["embeddings"][0]
    for wall in (WALL, PLAIN):
        client.put(f"{wall}/documents/sent", json={"key": "a cat", "key_vector": vector}).raise_for_status()
        client.put(f"{wall}/documents/bare", json={"key_vector": vector}).raise_for_status()
    assert ask(client, WALL) == ask(client, PLAIN)
    until(lambda: (words_of(client) or {}).get("waiting") == 0)
    assert ask(client, WALL) == ask(client, PLAIN)


REFUSED = [
    ({"encoder": None, "dimension": 384}, "it has none"),
    ({"similarity": "gaussian"}, "cosine or dot, got gaussian"),
]


@pytest.mark.parametrize(("settings", "told"), REFUSED)
def test_refusals(client: httpx.Client, settings: dict[str, Any], told: str) -> None:
    created = client.put("/v1/collections/other", json=settings | {"late": True})
    assert created.status_code == 422
    (flaw,) = created.json()["errors"]
    assert flaw["pointer"] == "/late"
    assert told in flaw["detail"]
    assert "leave late out" in flaw["detail"]
    client.put("/v1/collections/other", json=settings).raise_for_status()
    changed = client.patch("/v1/collections/other", json={"late": True})
    client.delete("/v1/collections/other")
    assert (changed.status_code, changed.json()["errors"][0]["pointer"]) == (422, "/late")


def test_another_setting_is_a_conflict(client: httpx.Client) -> None:
    assert client.put(WALL, json={"late": True}).status_code == 200
    assert client.put(WALL, json={"late": False}).status_code == 409


def test_a_restored_backup_has_the_words_and_answers_alike(client: httpx.Client, tmp_path: Path) -> None:
    before, words = ask(client, WALL), words_of(client)
    restore(BytesIO(client.get("/v1/backup").raise_for_status().content), tmp_path)
    with SQLiteStore.open(tmp_path) as store, store.reading() as reader:
        assert list(store.check()) == []
        assert reader.count_words(reader.collection("kept").id)._asdict() == words
    with RunningService(data_dir=tmp_path) as running, running.client() as restored:
        running.wait_until_ready()
        assert words_of(restored) == words
        assert ask(restored, WALL) == before
        for one in (client, restored):
            one.delete(f"{WALL}/documents/long").raise_for_status()
        assert words_of(restored) == words_of(client) != words


def test_damaged_words_are_encoded_again(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with RunningService(data_dir=folder) as running, running.client() as client:
        running.wait_until_ready()
        client.put(WALL, json={"late": True}).raise_for_status()
        client.post(f"{WALL}/documents", json={"documents": DOCUMENTS[:8]}).raise_for_status()
        before = ask(client, WALL)
    with closing(sqlite3.connect(folder / "softkv.sqlite3")) as connection:
        connection.execute('UPDATE words SET words = zeroblob(7) WHERE "row" % 2 = 0')
        connection.commit()
    with SQLiteStore.open(folder) as store:
        assert any("questions encode them again" in line for line in store.check())
    with RunningService(data_dir=folder) as running, running.client() as client:
        running.wait_until_ready()
        assert ask(client, WALL) == before
    other = bytes([1, *[0] * 127])
    with closing(sqlite3.connect(folder / "softkv.sqlite3")) as connection:
        numbers = connection.execute('SELECT "row" FROM words').fetchall()
        rows = [(other, words_checksum(row, other), row) for (row,) in numbers]
        connection.executemany('UPDATE words SET words = ?, checksum = ? WHERE "row" = ?', rows)
        connection.commit()
    with RunningService(data_dir=folder) as running, running.client() as client:
        running.wait_until_ready()
        similarities = {
            line["explanation"]["addends"][-1]["similarity"]
            for line in ask(client, WALL, include=["key", "explanation"])
        }
        assert len(similarities) == 1  # of the words that are stored, all the same
