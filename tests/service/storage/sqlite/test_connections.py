"""Opening files, and files that are refused and left alone."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from softkv_service.storage import SQLiteStore
from softkv_service.storage.conditions import Combination, Comparison
from softkv_service.storage.errors import (
    DatabaseDamaged,
    DatabaseForeign,
    DatabaseMoved,
    DatabaseTooNew,
    DatabaseTooOld,
    StorageError,
    StorageFailed,
    StoreClosed,
)
from softkv_service.storage.fields import casefold
from softkv_service.storage.sqlite import connections, integrity
from softkv_service.storage.sqlite.schema.version import OLDEST, SCHEMA
from tests.service.storage.making import collection, document


def test_a_directory_is_made_and_its_file_is_durable(tmp_path: Path) -> None:
    with SQLiteStore.open(tmp_path / "a" / "b") as store, store.writing() as writer:
        connection = writer._connection
        settings = [
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    assert settings == ["wal", 2, 1]


def replace_database(directory: Path) -> None:
    """Let another program have a store at the same path."""
    shutil.rmtree(directory)
    SQLiteStore.open(directory).close()


@pytest.mark.skipif(os.name == "nt", reason="Windows lets no program delete an open file")
@pytest.mark.parametrize(
    "lose",
    [
        shutil.rmtree,
        lambda directory: (directory / "softkv.sqlite3").unlink(),
        lambda directory: (directory / "softkv.sqlite3-wal").unlink(),
        replace_database,
    ],
)
def test_nothing_is_written_to_files_that_another_program_deleted(
    tmp_path: Path, lose: Callable[[Path], object]
) -> None:
    with SQLiteStore.open(tmp_path / "data") as store:
        collection(store, [document("a", 1)])
        assert store.troubles() == []
        lose(tmp_path / "data")
        with pytest.raises(DatabaseMoved, match=r"softkv\.sqlite3 is not the file that is open"), store.writing():
            pass
        (trouble,) = store.troubles()
        assert trouble.startswith(f"storage: {store.path} is not the file that is open")


def refuse_and_keep(directory: Path, error: type[StorageError], message: str = "") -> None:
    """Check that opening raises, keeps the file byte for byte, and releases the directory."""
    path = directory / "softkv.sqlite3"
    before = path.read_bytes()
    for _ in range(2):
        with pytest.raises(error, match=message) as refused:
            SQLiteStore.open(directory)
        assert path.read_bytes() == before
        assert str(path) in str(refused.value)


def spoiled(page: int) -> Callable[[bytes], bytes]:
    """Return a function that writes over a page of a file."""
    offset = page * 8192 + (100 if page == 0 else 0)
    return lambda sound: sound[:offset] + b"\xff" * 4000 + sound[offset + 4000 :]


def of_version(version: int) -> Callable[[bytes], bytes]:
    """Return a function that changes the number of the schema in the head of a file."""
    return lambda sound: sound[:60] + version.to_bytes(4, "big") + sound[64:]


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (lambda _: b"my thesis, chapter one\n" * 1000, DatabaseDamaged, "not a SQLite file"),
        *((spoiled(page), DatabaseDamaged, "") for page in (0, 1, 2, 5, 9)),
        (lambda sound: sound[: 8192 * 3], DatabaseDamaged, ""),
        (of_version(SCHEMA + 1), DatabaseTooNew, f"version {SCHEMA + 1}"),
        *(
            (of_version(version), DatabaseTooOld, f"schema version {version}, of a build before the .*`softkv export`")
            for version in range(1, OLDEST)
        ),
    ],
)
def test_a_file_that_is_damaged_or_of_another_version_is_refused_and_kept(
    large: Path, spoil: Callable[[bytes], bytes], error: type[StorageError], message: str
) -> None:
    large.write_bytes(spoil(large.read_bytes()))
    refuse_and_keep(large.parent, error, message)


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return a store whose pages are checked while readers use it, like a large file."""
    monkeypatch.setattr(connections, "CHECKED_AT_OPEN", 0)
    with SQLiteStore.open(tmp_path) as store:
        collection(store, [document(f"d{i}", i, value="x" * 300) for i in range(400)])
    return tmp_path / "softkv.sqlite3"


def test_a_large_file_is_read_while_its_pages_are_checked_and_written_afterwards(large: Path) -> None:
    with SQLiteStore.open(large.parent, soon=True) as store:
        with store.reading() as reader:
            (finding,) = reader.collections()
            assert reader.count(finding.id) == 400
        with store.writing() as writer:
            assert not store._pages._running
            assert writer._connection.execute("SELECT pid FROM open_stores").fetchone() == (os.getpid(),)
            writer.upsert(finding.id, [document("new", 5)])
        assert store.troubles() == []
        with store.reading() as reader:
            assert reader.count(finding.id) == 401


@pytest.mark.parametrize("page", [5, 9])
def test_a_large_file_with_a_damaged_page_is_never_written(large: Path, page: int) -> None:
    damaged = spoiled(page)(large.read_bytes())
    large.write_bytes(damaged)
    for _ in range(2):
        with SQLiteStore.open(large.parent, soon=True) as store:
            for _ in range(2):
                with pytest.raises(DatabaseDamaged, match="is damaged"), store.writing():
                    pass
            (trouble,) = store.troubles()
            assert trouble.startswith(f"storage: {large} is damaged")
        assert large.read_bytes() == damaged
    refuse_and_keep(large.parent, DatabaseDamaged)


@pytest.mark.parametrize("raised", [MemoryError, sqlite3.OperationalError])
def test_a_large_file_whose_pages_cannot_be_looked_at_is_not_written(
    large: Path, monkeypatch: pytest.MonkeyPatch, raised: type[Exception]
) -> None:
    def fails(connection: sqlite3.Connection, path: Path) -> None:
        raise raised

    before = large.read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr(integrity, "require_sound", fails)
        with SQLiteStore.open(large.parent, soon=True) as store:
            with pytest.raises(StorageFailed, match="could not be"), store.writing():
                pass
            assert len(store.troubles()) == 1
    assert large.read_bytes() == before


def test_a_writer_that_waits_while_a_store_closes_writes_nothing(large: Path) -> None:
    store = SQLiteStore.open(large.parent, soon=True)
    store._pages.stop()
    with pytest.raises(StoreClosed), store.writing():
        pass
    store.close()


def test_a_store_that_is_closed_does_not_wait_for_its_pages(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def long(connection: sqlite3.Connection, path: Path) -> None:
        forever = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
        connection.execute(forever).fetchone()

    with monkeypatch.context() as patched:
        patched.setattr(integrity, "require_sound", long)
        store = SQLiteStore.open(large.parent, soon=True)
        assert store.troubles() == []
        store.close()
    with SQLiteStore.open(large.parent) as store:
        assert store.unclean_shutdown is None


def test_another_programs_database(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "softkv.sqlite3")
    connection.execute("CREATE TABLE photos (name TEXT)")
    connection.close()
    refuse_and_keep(tmp_path, DatabaseForeign)


def test_an_empty_file_is_a_new_store(tmp_path: Path) -> None:
    (tmp_path / "softkv.sqlite3").touch()
    with SQLiteStore.open(tmp_path) as store:
        collection(store)


@pytest.mark.parametrize("how", ["OR", "AND", "NOT"])
def test_a_filter_folds_each_text_once(store: SQLiteStore, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    number = collection(store, [document(str(i), key=f"Key {i}", metadata={"text": f"Text {i}"}) for i in range(10)])
    folded: list[bytes] = []
    monkeypatch.setattr(connections, "casefold", lambda text: folded.append(text) or casefold(text))
    parts = [
        Comparison(field, "contains", part, ignore_case=True)
        for field, part in [("key", "kEY"), ("key", "EY"), ("metadata.text", "tEXT"), ("metadata.text", "EXT")]
    ]
    with store.reading() as reader:
        assert reader.count(number, condition=Combination(how, tuple(parts))) == (0 if how == "NOT" else 10)
    assert len(folded) == len(set(folded)) <= 20
    with store.reading() as reader:
        assert reader._connection.folds._folds == {}


def test_folds_beyond_their_bytes_are_not_kept() -> None:
    folds = connections.CaseFolds(most_bytes=10)
    assert [folds(text) for text in (b"ABC", b"LONG TEXT", None)] == [b"abc", b"long text", None]
    assert folds._folds == {b"ABC": b"abc"}
