"""A store of schema 2 is changed in place, with all that it holds; or not at all."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from service.storage import CollectionDamaged, SQLiteStore
from service.storage.checksums import settings_checksum
from service.storage.sqlite.schema import migrations
from tests.service.storage.making import SETTINGS, document, plain
from tests.service.storage.sqlite.old_store import remove_later_schemas

WANTED = {"first": replace(SETTINGS, null="auto", dimension=3, value_dimension=2), "second": SETTINGS}
COLUMNS = "similarity, temperature, dimension, value_dimension, encoder, precision, value_from, null_key"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file of a store as schema 2 had it."""
    with SQLiteStore.open(tmp_path) as store, store.writing() as writer:
        for name, settings in WANTED.items():
            number = writer.create_collection(name, settings).id
        writer.upsert(number, [document("a", 1), document("b", 2)])
    with closing(sqlite3.connect(tmp_path / "softkv.sqlite3")) as connection:
        remove_later_schemas(connection)
        for column in ("thin_seed", "basis", "calibration"):
            connection.execute(f"ALTER TABLE collections DROP COLUMN {column}")
        connection.create_function("checked", -1, lambda name, *stored: settings_checksum(name, stored))
        connection.execute(f"UPDATE collections SET checksum = checked(name, {COLUMNS})")
        connection.execute("PRAGMA user_version = 2")
        connection.commit()
    return tmp_path / "softkv.sqlite3"


def test_everything_is_there(path: Path) -> None:
    for _ in range(2):
        with SQLiteStore.open(path.parent) as store:
            with store.reading() as reader:
                first, second = reader.collections()
                page = reader.page(second.id)
            assert list(store.check()) == []
            assert store.unclean_shutdown is None
        assert first.settings == WANTED["first"]
        assert second.settings == replace(SETTINGS, dimension=3, value_dimension=2)
        assert (second.low_bit, second.documents) == (False, 2)
        assert [plain(document) for document in page] == [plain(document("a", 1)), plain(document("b", 2))]


def test_settings_that_were_damaged_before_are_not_taken_for_sound(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE collections SET temperature = 3 WHERE name = 'first'")
    with SQLiteStore.open(path.parent) as store, store.reading() as reader:
        assert reader.collection("second").documents == 2
        with pytest.raises(CollectionDamaged):
            reader.collection("first")


def test_what_fails_in_the_middle_leaves_the_old_store(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changes: Mapping[int, Any] = migrations.MIGRATIONS

    def fail(connection: sqlite3.Connection) -> None:
        changes[2](connection)
        raise MemoryError

    monkeypatch.setattr(migrations, "MIGRATIONS", {2: fail})
    with pytest.raises(MemoryError):
        SQLiteStore.open(path.parent)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (2,)
    monkeypatch.undo()
    test_everything_is_there(path)
