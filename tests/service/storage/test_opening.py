"""Who may open a data directory, and what is refused and left alone."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from service.storage import (
    CollectionExists,
    DatabaseDamaged,
    DatabaseForeign,
    DatabaseTooNew,
    DirectoryLocked,
    DirectoryUnusable,
    StorageError,
    Store,
    StoreClosed,
)
from service.storage.sqlite.migrations import SCHEMA
from tests.service.storage.making import SETTINGS, collection, document

OTHER_PROCESS = """
import sys
from pathlib import Path
from service.storage import DirectoryLocked, Store
try:
    Store.open(Path(sys.argv[1]))
except DirectoryLocked as error:
    print(error)
"""


def from_another_process(directory: Path) -> str:
    command = [sys.executable, "-c", OTHER_PROCESS, str(directory)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def test_a_directory_is_made_and_its_file_is_durable(tmp_path: Path) -> None:
    with Store.open(tmp_path / "a" / "b") as store, store.writing() as writer:
        connection = writer._connection
        settings = [
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    assert settings == ["wal", 2, 1]


def test_a_second_process_is_told_directory_and_process(tmp_path: Path) -> None:
    with Store.open(tmp_path):
        said = from_another_process(tmp_path)
    assert str(tmp_path) in said
    assert str(os.getpid()) in said
    assert from_another_process(tmp_path) == ""


def test_a_second_store_in_the_same_process_is_refused_too(tmp_path: Path) -> None:
    with Store.open(tmp_path):
        with pytest.raises(DirectoryLocked) as refused:
            Store.open(tmp_path)
        assert refused.value.pid == os.getpid()
    Store.open(tmp_path).close()


def test_a_file_in_the_place_of_the_directory(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("not a directory")
    with pytest.raises(DirectoryUnusable, match="data"):
        Store.open(tmp_path / "data")


def test_what_was_written_is_there_after_reopening(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        number = collection(store, [document("a", 1)])
    with Store.open(tmp_path) as store, store.reading() as reader:
        assert reader.collection("c").id == number
        assert reader.count(number) == 1


def refuse_and_keep(directory: Path, error: type[StorageError]) -> str:
    """Opening raises, leaves the file byte for byte, and gives the directory back."""
    path = directory / "softkv.sqlite3"
    before = path.read_bytes()
    with pytest.raises(error) as refused:
        Store.open(directory)
    assert path.read_bytes() == before
    with pytest.raises(error):
        Store.open(directory)
    assert str(path) in str(refused.value)
    return str(refused.value)


def test_a_file_that_is_not_sqlite(tmp_path: Path) -> None:
    (tmp_path / "softkv.sqlite3").write_bytes(b"my thesis, chapter one\n" * 1000)
    assert "not a SQLite file" in refuse_and_keep(tmp_path, DatabaseDamaged)


@pytest.mark.parametrize("page", [0, 1, 2, 5, 9])
def test_a_damaged_page(tmp_path: Path, page: int) -> None:
    with Store.open(tmp_path) as store:
        collection(store, [document(f"d{i}", i, value="x" * 300) for i in range(400)])
    path = tmp_path / "softkv.sqlite3"
    sound = path.read_bytes()
    at = page * 8192 + (100 if page == 0 else 0)
    path.write_bytes(sound[:at] + b"\xff" * 4000 + sound[at + 4000 :])
    refuse_and_keep(tmp_path, DatabaseDamaged)


def test_a_file_cut_short(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        collection(store, [document(f"d{i}", i, value="x" * 300) for i in range(400)])
    path = tmp_path / "softkv.sqlite3"
    path.write_bytes(path.read_bytes()[: 8192 * 3])
    refuse_and_keep(tmp_path, DatabaseDamaged)


def test_a_newer_version(tmp_path: Path) -> None:
    Store.open(tmp_path).close()
    connection = sqlite3.connect(tmp_path / "softkv.sqlite3")
    connection.execute(f"PRAGMA user_version = {SCHEMA + 1}")
    connection.close()
    said = refuse_and_keep(tmp_path, DatabaseTooNew)
    assert f"version {SCHEMA + 1}" in said


def test_another_programs_database(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "softkv.sqlite3")
    connection.execute("CREATE TABLE photos (name TEXT)")
    connection.close()
    refuse_and_keep(tmp_path, DatabaseForeign)


def test_an_empty_file_is_a_new_store(tmp_path: Path) -> None:
    (tmp_path / "softkv.sqlite3").touch()
    with Store.open(tmp_path) as store:
        collection(store)


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    store.close()
    store.close()
    with pytest.raises(StoreClosed), store.reading():
        pass
    with pytest.raises(StoreClosed), store.writing():
        pass


def test_a_sound_store_checks_as_sound(store: Store) -> None:
    collection(store, [document("a", 1)])
    assert list(store.check()) == []
    with store.writing() as writer, pytest.raises(CollectionExists):
        writer.create_collection("c", SETTINGS)
