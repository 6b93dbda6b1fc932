"""`softkv copy`: what a service stored is served from another directory."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from softkv_service.storage import SQLiteStore
from tests.service.commands.conftest import Softkv, serving
from tests.service.storage.making import collection, document
from tests.waiting import until


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    with SQLiteStore.open(tmp_path / "first") as store:
        collection(store, [document(f"{i}", i) for i in range(300)], "many")
        collection(store, [document("x")], "one")
        with store.writing() as writer:
            writer.put_alias("current", "many")
    return tmp_path / "first"


def test_a_service_on_the_copy_answers(bare: Softkv, filled: Path, tmp_path: Path) -> None:
    result = bare("copy", str(filled), f"sqlite:{tmp_path / 'second'}", "--verify", "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert [(row["name"], row["documents"], row["written"]) for row in report["copied"]] == [
        ("many", 300, 300),
        ("one", 1, 1),
    ]
    assert report["aliases"] == [{"alias": "current", "collection": "many"}]
    assert all(row["digests"][0] == row["digests"][1] for row in report["compared"])
    with serving(tmp_path / "second") as service, httpx.Client(base_url=service.url, timeout=60) as client:
        body = {"query": [7, 0.1, -1], "temperature": 0, "top_k": 1, "include": ["value"]}
        path = "/v1/collections/many/attend"
        until(lambda: client.post(path, json=body).json().get("code") != "collection_loading")
        (match,) = client.post(path, json=body).json()["matches"]
        assert match["value"] == {"seed": 7}
        taken = bare("copy", str(filled), str(tmp_path / "second"))
        assert taken.exit_code == 1
        assert "in use" in taken.stderr or "another process" in taken.stderr, taken.stderr


def test_chosen_collections_are_copied_and_differences_reported(bare: Softkv, filled: Path, tmp_path: Path) -> None:
    with SQLiteStore.open(tmp_path / "second") as store:
        collection(store, [document("x", 1), document("y")], "one")
    result = bare("copy", str(filled), str(tmp_path / "second"), "-c", "one", "--verify")
    assert result.exit_code == 1
    assert "one: wrote 1 of 1 documents" in result.stdout
    assert "one: 1 only there: y" in result.stdout
    with SQLiteStore.open(tmp_path / "second") as store, store.reading() as reader:
        assert [collection.name for collection in reader.collections()] == ["one"]


@pytest.mark.parametrize(
    ("source", "target", "code", "message"),
    [
        ("first", "first", 2, "are one store"),
        ("nothing", "second", 1, "has no store"),
        ("first", "second -c none", 1, "none"),
    ],
)
def test_an_invalid_copy_is_refused(bare, filled, tmp_path, monkeypatch, source, target, code, message):
    monkeypatch.chdir(tmp_path)
    result = bare("copy", source, *target.split())
    assert result.exit_code == code
    assert message in result.stderr
    assert not (tmp_path / "nothing").exists()


def test_a_collection_is_copied_by_its_alias(bare: Softkv, filled: Path, tmp_path: Path) -> None:
    result = bare("copy", str(filled), str(tmp_path / "second"), "-c", "current")
    assert result.exit_code == 0, result.output
    assert "many: wrote 300 of 300 documents" in result.stdout
    assert "current: an alias of many" in result.stdout
    with SQLiteStore.open(tmp_path / "second") as store, store.reading() as reader:
        assert [collection.name for collection in reader.collections()] == ["many"]
