"""A store of schema 3 is given a place for calibrations, and what it holds stays as it was checked."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from service.storage import SQLiteStore
from tests.service.storage.making import SETTINGS, document
from tests.service.storage.sqlite.old_store import remove_later_schemas


def test_a_collection_keeps_its_checksum_and_may_be_calibrated(tmp_path: Path) -> None:
    with SQLiteStore.open(tmp_path) as store, store.writing() as writer:
        number = writer.create_collection("old", SETTINGS).id
        writer.upsert(number, [document("a", 1)])
    path = tmp_path / "softkv.sqlite3"
    with closing(sqlite3.connect(path)) as connection:
        before = connection.execute("SELECT checksum FROM collections").fetchone()
        remove_later_schemas(connection)
        connection.execute("ALTER TABLE collections DROP COLUMN calibration")
        connection.execute("CREATE TABLE calibrations (collection INTEGER PRIMARY KEY, fitted TEXT NOT NULL) STRICT")
        connection.execute("PRAGMA user_version = 3")
        connection.commit()
    with SQLiteStore.open(tmp_path) as store:
        with store.reading() as reader:
            record = reader.collection("old")
        assert list(store.check()) == []
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("SELECT checksum FROM collections").fetchone() == before
        with store.writing() as writer:
            writer.update_collection("old", replace(record.settings, null="calibrated", calibration='{"version":1}'))
    with SQLiteStore.open(tmp_path) as store, store.reading() as reader:
        settings = reader.collection("old").settings
        assert (settings.null, settings.calibration) == ("calibrated", '{"version":1}')
        assert list(store.check()) == []


def test_a_calibration_that_was_changed_on_disk_is_found(tmp_path: Path) -> None:
    with SQLiteStore.open(tmp_path) as store, store.writing() as writer:
        writer.create_collection("c", replace(SETTINGS, calibration='{"version":1}'))
    with closing(sqlite3.connect(tmp_path / "softkv.sqlite3")) as connection:
        connection.execute("UPDATE collections SET calibration = '{\"version\":2}'")
        connection.commit()
    with SQLiteStore.open(tmp_path) as store:
        assert any("settings" in line for line in store.check())
