"""A backup is a state between two acknowledged writes; it is restored as a whole or not at all, and over nothing."""

from __future__ import annotations

import hashlib
import io
import json
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from softkv_service.storage import SQLiteStore, restore
from softkv_service.storage import backup as backed_up
from softkv_service.storage.errors import (
    BackupDamaged,
    DatabaseAltered,
    DatabaseDamaged,
    DatabaseForeign,
    DatabaseTooNew,
    DatabaseTooOld,
    DirectoryLocked,
    DirectoryTaken,
    DirectoryUnusable,
    DiskFull,
)
from softkv_service.storage.sqlite.schema.version import SCHEMA
from tests.service.storage.making import collection, document, plain

PATH_MAX = 4096  # of Linux


def copy_of(store: SQLiteStore) -> bytes:
    with backed_up(store) as made:
        return b"".join(made.chunks())


def contents(store: SQLiteStore) -> dict[str, list[Any]]:
    with store.reading() as reader:
        return {
            record.name: [plain(document) for document in reader.documents(record.id, reader.rows_where(record.id))]
            for record in reader.collections()
        }


def left_in(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()} - {"softkv.lock", "softkv.pid"}


def list_files(directory: Path) -> list[Path]:
    """Return all files and directories below a directory."""
    return sorted(directory.rglob("*"))


def test_a_restored_store_equals_the_original(store: SQLiteStore, tmp_path: Path) -> None:
    collection(store, [document(str(i), i) for i in range(300)])
    copy = copy_of(store)
    head = restore(io.BytesIO(copy), tmp_path / "elsewhere")
    assert head.schema == SCHEMA
    assert len(copy) == len(head.line()) + head.length
    assert left_in(tmp_path / "elsewhere") == {"softkv.sqlite3"}
    with SQLiteStore.open(tmp_path / "elsewhere") as other:
        assert other.unclean_shutdown is None
        assert contents(other) == contents(store)
        assert list(other.check()) == []
    assert not [name for name in left_in(store.path.parent) if "copy" in name]


def test_a_backup_beside_writes_is_a_state_between_two_of_them(store: SQLiteStore, tmp_path: Path) -> None:
    number = collection(store, [document("first")])
    acknowledged, stop = [1], threading.Event()

    def write() -> None:
        batch = 0
        while not stop.is_set():
            batch += 1
            with store.writing() as writer:
                writer.upsert(number, [document(f"{batch}-{i}", i) for i in range(20)])
            acknowledged[0] += 20

    writing = threading.Thread(target=write)
    writing.start()
    try:
        for round_ in range(5):
            least = acknowledged[0]
            copy = copy_of(store)
            limit = acknowledged[0] + 20
            restore(io.BytesIO(copy), tmp_path / str(round_))
            with SQLiteStore.open(tmp_path / str(round_)) as other:
                (documents,) = contents(other).values()
            assert least <= len(documents) <= limit
            assert len(documents) % 20 == 1
    finally:
        stop.set()
        writing.join()


Spoil = Callable[[bytes], bytes]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda copy: b"", "not a backup"),
        (lambda copy: b"SQLite format 3\0" + copy, "not a backup"),
        (lambda copy: b"[]\n" + copy, "not a backup"),
        (lambda copy: b"[" * 4000 + b"\n" + copy, "not a backup"),
        (lambda copy: copy[copy.index(b"\n") + 1 :], "not a backup"),
        (lambda copy: copy[:-1], "ends 1 bytes before"),
        (lambda copy: copy[: len(copy) // 2], "before its end"),
        (lambda copy: copy + b"\0", "checksum"),
        (lambda copy: copy[:-5000] + bytes([copy[-5000] ^ 1]) + copy[-4999:], "checksum"),
        (lambda copy: copy.replace(b'"softkv_backup": 1', b'"softkv_backup": 9', 1), "format 9"),
    ],
)
def test_a_backup_that_was_altered_is_refused_and_leaves_nothing(
    store: SQLiteStore, tmp_path: Path, spoil: Spoil, message: str
) -> None:
    collection(store, [document(str(i), i) for i in range(30)])
    (tmp_path / "notes").write_text("of somebody else")
    before = list_files(tmp_path)
    for target in (tmp_path / "new" / "deep", tmp_path):
        with pytest.raises(BackupDamaged, match=message):
            restore(io.BytesIO(spoil(copy_of(store))), target)
        assert list_files(tmp_path) == before


@pytest.mark.parametrize(
    ("field", "written"),
    [
        *(("length", length) for length in ("-1", "true", "1e308", "1" + "0" * 400, '"5"')),
        ("softkv_backup", "-1"),
        ("schema", "null"),
        *(("made", made) for made in (r'"\u001b[31m"', r'"\u202e2026-11-24"', "5")),
        ("sha256", '"00"'),
    ],
)
def test_a_head_that_no_backup_has_is_refused_by_its_field(
    store: SQLiteStore, tmp_path: Path, field: str, written: str
) -> None:
    head, _, content = copy_of(store).partition(b"\n")
    fields = ", ".join(
        f'"{name}": {written if name == field else json.dumps(was)}' for name, was in json.loads(head).items()
    )
    with pytest.raises(BackupDamaged, match=f"{field} is wrong") as refused:
        restore(io.BytesIO(f"{{{fields}}}\n".encode() + content), tmp_path / "new" / "deep")
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 200
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("CREATE TRIGGER evil AFTER INSERT ON documents BEGIN SELECT 1; END", DatabaseAltered),
        ("PRAGMA application_id = 7", DatabaseForeign),
        ("PRAGMA user_version = 99", DatabaseTooNew),
        ("PRAGMA user_version = 3", DatabaseTooOld),
        ("PRAGMA journal_mode = WAL", None),
    ],
)
def test_a_restore_that_is_refused_after_its_checksum_leaves_nothing(
    store: SQLiteStore, tmp_path: Path, statement: str, error: type[Exception] | None
) -> None:
    collection(store, [document(str(i), i) for i in range(30)])
    file = tmp_path / "file"
    with backed_up(store) as made:
        fields = json.loads(made.header.line())
        file.write_bytes(made.database.read())
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute(statement)
    connection.close()
    before = list_files(tmp_path)
    altered = with_header(fields, file.read_bytes())
    if error is None:  # SQLite writes a log beside such a file, and removes it
        restore(io.BytesIO(altered), tmp_path / "new" / "deep")
        assert left_in(tmp_path / "new" / "deep") == {"softkv.sqlite3"}
        return
    with pytest.raises(error):
        restore(io.BytesIO(altered), tmp_path / "new" / "deep")
    assert list_files(tmp_path) == before


def test_a_file_with_damaged_pages_and_a_right_checksum_is_refused_and_leaves_nothing(
    store: SQLiteStore, tmp_path: Path
) -> None:
    collection(store, [document(str(i), i) for i in range(300)])
    with backed_up(store) as made:
        fields, content = json.loads(made.header.line()), bytearray(made.database.read())
    content[8192 * 3 : 8192 * 20] = b"\xff" * (8192 * 17)
    before = list_files(tmp_path)
    with pytest.raises((DatabaseDamaged, DatabaseAltered)):
        restore(io.BytesIO(with_header(fields, bytes(content))), tmp_path / "new" / "deep")
    assert list_files(tmp_path) == before


def test_a_restore_without_room_leaves_nothing(store: SQLiteStore, small_disk: Path) -> None:
    number = collection(store, [])
    with store.writing() as writer:
        writer.upsert(number, [document(str(i), i, key="a text of some length " * 40) for i in range(2000)])
    with pytest.raises(OSError, match="No space left"):
        restore(io.BytesIO(copy_of(store)), small_disk / "new" / "deep")
    assert list_files(small_disk) == []


def test_an_interrupted_restore_leaves_nothing(store: SQLiteStore, tmp_path: Path) -> None:
    class Interrupted(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise KeyboardInterrupt

    before = list_files(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        restore(Interrupted(copy_of(store)), tmp_path / "new" / "deep")
    assert list_files(tmp_path) == before


def test_a_directory_that_cannot_be_locked_is_removed_with_its_parents(store: SQLiteStore, tmp_path: Path) -> None:
    before = list_files(tmp_path)
    target = tmp_path / "new"
    while len(str(target)) < PATH_MAX - 205:
        target /= "x" * 200
    target /= "x" * (PATH_MAX - len(str(target)) - 6)  # it can be made, and the path of its lock is too long
    with pytest.raises(DirectoryUnusable, match="File name too long"):
        restore(io.BytesIO(copy_of(store)), target)
    assert list_files(tmp_path) == before


def with_header(fields: dict[str, Any], content: bytes) -> bytes:
    """Return a backup with this content, and the length and the checksum of it."""
    fields |= {"length": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    return json.dumps(fields).encode() + b"\n" + content


def test_a_store_is_never_written_over(store: SQLiteStore, tmp_path: Path) -> None:
    copy = copy_of(store)
    with pytest.raises(DirectoryLocked):
        restore(io.BytesIO(copy), store.path.parent)
    store.close()
    before = store.path.read_bytes()
    with pytest.raises(DirectoryTaken) as refused:
        restore(io.BytesIO(copy), store.path.parent)
    assert "move that store away" in str(refused.value)
    assert store.path.read_bytes() == before


def test_without_room_for_a_copy_nothing_is_left_of_it(small_disk: Path) -> None:
    with SQLiteStore.open(small_disk / "data") as store:
        number = collection(store, [])
        with store.writing() as writer:
            writer.upsert(number, [document(str(i), i, key="a text of some length " * 40) for i in range(600)])
        with pytest.raises(DiskFull), backed_up(store):
            pass
        assert not [name for name in left_in(small_disk / "data") if "copy" in name]


def test_a_copy_that_a_killed_process_left_goes_at_the_next_start(tmp_path: Path) -> None:
    (tmp_path / "softkv.copy-0123").write_bytes(b"half of it")
    with SQLiteStore.open(tmp_path):
        assert "softkv.copy-0123" not in left_in(tmp_path)
