"""A store of every earlier schema, made by the code of its time, opens and holds what was written.

The files are in `upgrades/`; `upgrades/made.py` says how each was made, and of which commit.
"""

from __future__ import annotations

import lzma
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.storage import Comparison, DocumentRecord, SQLiteStore, restore
from service.storage import backup as backed_up
from service.storage.fields import INSTANT
from service.storage.sqlite.schema.migrations import SCHEMA, add_instants
from tests.service.storage.making import SETTINGS, document, plain
from tests.service.storage.sqlite.upgrades import made

FOLDER = Path(made.__file__).parent
# file → the schema in it, and whether documents had several keys then
FILES = {
    "schema_1": (1, False),
    "schema_2_first": (2, False),
    "schema_2": (2, True),
    "schema_3": (3, True),
    "schema_4": (4, True),
    "schema_5": (5, True),
    "schema_6": (6, True),
}


def unpacked(name: str, directory: Path) -> Path:
    directory.mkdir()
    path = directory / "softkv.sqlite3"
    path.write_bytes(lzma.decompress((FOLDER / f"{name}.sqlite3.xz").read_bytes()))
    return path


def record(written: dict[str, Any]) -> DocumentRecord:
    """Return the record in this version's form; a single key stands for the whole text, so `parts` is empty."""
    keys = np.array(written["keys"], np.float32)
    value = written.get("value_vector")
    return DocumentRecord(
        **{name: written[name] for name in ("id", "key", "value", "metadata")},
        keys=keys.reshape(len(keys), -1) if len(keys) else np.empty((0, 0), np.float32),
        value_vector=None if value is None else np.array(value, np.float32),
        value_sent=written["value"] != written["key"],
    )


def pragma(path: Path, name: str) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def compare(store: SQLiteStore, expected: dict[str, list[dict[str, Any]]]) -> None:
    with store.reading() as reader:
        assert [document.name for document in reader.collections()] == sorted(expected)
        for name, written in expected.items():
            collection = reader.collection(name)
            assert collection.documents == len(written)
            assert collection.keyless == sum(not document["keys"] for document in written)
            for setting, chosen in made.SETTINGS[name].items():
                assert getattr(collection.settings, setting) == chosen
            page = reader.page(collection.id, limit=1000)
            assert sorted(map(plain, page), key=repr) == sorted(
                (plain(record(document)) for document in written), key=repr
            )
            late = [document["id"] for document in written if (document["metadata"].get("year") or 0) >= 2000]
            rows = reader.rows_where(collection.id, Comparison("metadata.year", ">=", 2000))
            assert sorted(document.id for document in reader.documents(collection.id, rows)) == sorted(late)
            words = reader.search(collection.id).full_text("words", 1000)
            assert len(words.rows) == sum("words" in (document["key"] or "") for document in written)
    assert list(store.check()) == []


@pytest.mark.parametrize("name", FILES)
def test_it_opens_holds_what_was_written_and_goes_on(name: str, tmp_path: Path) -> None:
    schema, several = FILES[name]
    path = unpacked(name, tmp_path / "data")
    assert pragma(path, "user_version") == schema
    expected = made.documents(several=several)
    for _ in range(2):
        with SQLiteStore.open(path.parent) as store:
            assert store.unclean_shutdown is None
            compare(store, expected)
    # Deleting gives space back, whichever version made the file.
    assert (pragma(path, "user_version"), pragma(path, "auto_vacuum")) == (SCHEMA, 2)
    with SQLiteStore.open(path.parent) as store:
        with store.writing() as writer:
            writer.upsert(writer.collection("empty").id, [document("new", 3)])
        with backed_up(store) as copy, (tmp_path / "backup").open("wb") as file:
            file.writelines(copy.chunks())
    with (tmp_path / "backup").open("rb") as file:
        restore(file, tmp_path / "restored")
    with SQLiteStore.open(tmp_path / "restored") as other, other.reading() as reader:
        assert [plain(document) for document in reader.page(reader.collection("empty").id)] == [
            plain(document("new", 3))
        ]


def test_schema_7_adds_the_instants_of_dates(tmp_path: Path) -> None:
    dates = ["2026-11-01", "20261101T00Z", "2026", "soon", ["2026-11-01"], None]
    with SQLiteStore.open(tmp_path) as store, store.writing() as writer:
        number = writer.create_collection("c", SETTINGS).id
        writer.upsert(number, [document(str(i), metadata={"x": date}) for i, date in enumerate(dates)])
    with closing(sqlite3.connect(tmp_path / "softkv.sqlite3")) as connection, connection:
        rows = connection.execute("SELECT * FROM fields ORDER BY 1, 2, 3, 4, 5, 6").fetchall()
        assert connection.execute("DELETE FROM fields WHERE element = ?", (INSTANT,)).rowcount == 2
        add_instants(connection)
        assert connection.execute("SELECT * FROM fields ORDER BY 1, 2, 3, 4, 5, 6").fetchall() == rows


def test_every_earlier_schema_has_a_file() -> None:
    assert {schema for schema, _ in FILES.values()} == set(range(1, SCHEMA))
    assert {path.name.removesuffix(".sqlite3.xz") for path in FOLDER.glob("*.xz")} == FILES.keys()
