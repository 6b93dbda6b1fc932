"""A store whose collections had low-bit codes opens, and what they were made by is dropped when it is written again."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from service.storage import CollectionDamaged, SQLiteStore
from service.storage.checksums import settings_checksum
from service.storage.serialisation import SETTINGS_COLUMNS
from tests.service.storage.making import SETTINGS, document, plain

SEED = bytes(range(32))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file of a store as the version before had it: `basis` and a seed, which the checksum counts."""
    with SQLiteStore.open(tmp_path) as store, store.writing() as writer:
        number = writer.create_collection("old", SETTINGS).id
        writer.create_collection("plain", SETTINGS)
        writer.upsert(number, [document("a", 1)])
    file = tmp_path / "softkv.sqlite3"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE collections SET basis = 'measured', thin_seed = ? WHERE name = 'old'", (SEED,))
        connection.create_function("checked", -1, lambda name, *stored: settings_checksum(name, stored))
        connection.execute(f"UPDATE collections SET checksum = checked(name, {SETTINGS_COLUMNS})")
        connection.commit()
    return file


def stored(path: Path) -> tuple[str, bytes | None]:
    with closing(sqlite3.connect(path)) as connection:
        basis, seed = connection.execute("SELECT basis, thin_seed FROM collections WHERE name = 'old'").fetchone()
    return basis, seed


def test_it_opens_with_all_that_it_holds_and_says_which_had_them(path: Path) -> None:
    with SQLiteStore.open(path.parent) as store:
        with store.reading() as reader:
            records = {record.name: record for record in reader.collections()}
            documents = reader.page(records["old"].id)
        assert list(store.check()) == []
    assert {name: record.low_bit for name, record in records.items()} == {"old": True, "plain": False}
    assert records["old"].settings == replace(SETTINGS, dimension=3, value_dimension=2)
    assert [plain(document) for document in documents] == [plain(document("a", 1))]
    assert stored(path) == ("measured", SEED)


def test_writing_its_settings_drops_them(path: Path) -> None:
    with SQLiteStore.open(path.parent) as store, store.writing() as writer:
        writer.update_collection("old", replace(writer.collection("old").settings, temperature=2.0))
    assert stored(path) == ("proven", None)
    with SQLiteStore.open(path.parent) as store, store.reading() as reader:
        record = reader.collection("old")
    assert (record.low_bit, record.settings.temperature, record.documents) == (False, 2.0, 1)


def test_a_seed_that_a_disk_has_changed_is_known_from_its_checksum(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE collections SET thin_seed = zeroblob(32) WHERE name = 'old'")
        connection.commit()
    with SQLiteStore.open(path.parent) as store, store.reading() as reader, pytest.raises(CollectionDamaged):
        reader.collection("old")
