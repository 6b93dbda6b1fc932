"""A store of schema 1 is written anew in the last one: nothing is lost, whatever interrupts it."""

from __future__ import annotations

import random
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.storage import Comparison, DiskFull, DocumentRecord, SQLiteStore
from service.storage.sqlite.schema.migrations import SCHEMA, rewrite_path
from tests.service.storage.making import document, plain
from tests.service.storage.sqlite.old_store import make_store_of_schema_1

MANY = 12_000


def library(n: int) -> dict[str, list[DocumentRecord]]:
    metadata: list[dict[str, Any]] = [{}, {"year": 1994, "tags": ["a", None, 2.5]}, {"big": 2**70, "no": False}]
    first = [
        document(f"id {i} 猫", i, key=None if i % 5 == 0 else f"key {i % 7} words", metadata=metadata[i % 3])
        for i in range(n)
    ]
    return {"first": first, "empty": [], "third": [document("only", 3, value_vector=None)]}


def open_and_compare(directory: Path, collections: dict[str, list[DocumentRecord]]) -> list[tuple[int, int]]:
    reported: list[tuple[int, int]] = []
    with SQLiteStore.open(directory, lambda done, of: reported.append((done, of))) as store:
        assert store.unclean_shutdown is None
        with store.reading() as reader:
            assert [record.name for record in reader.collections()] == sorted(collections)
            for name, documents in collections.items():
                record = reader.collection(name)
                assert record.settings.temperature == 0.25
                assert (record.settings.encoder, record.settings.value_from) == ("some-encoder", "key")
                assert record.settings.null == ("auto" if name == "first" else 0.5)
                assert reader.count(record.id) == record.documents == len(documents)
                page = reader.page(record.id, limit=10**6)
                assert sorted(map(plain, page), key=repr) == sorted(map(plain, documents), key=repr)
                keys = np.concatenate([vector.keys for vector in reader.vectors(record.id)] or [np.empty((0, 3))])
                expected = [document.keys[0] for document in documents]  # row numbers keep their order
                np.testing.assert_array_equal(keys, np.array(expected, np.float32).reshape(-1, 3))
                passing = reader.rows_where(record.id, Comparison("metadata.year", "==", 1994))
                assert len(passing) == sum(document.metadata.get("year") == 1994 for document in documents)
                words = reader.search(record.id).full_text("words", 10**6)
                assert len(words.rows) == sum("words" in (document.key or "") for document in documents)
        assert list(store.check()) == []
    return reported


def test_everything_is_there_and_row_numbers_go_on(tmp_path: Path) -> None:
    collections = library(9000)
    path = make_store_of_schema_1(tmp_path, collections)
    reported = open_and_compare(tmp_path, collections)
    assert reported[-1] == (9001, 9001)
    assert len(reported) == 3
    assert open_and_compare(tmp_path, collections) == []
    with closing(sqlite3.connect(path)) as connection:
        pragmas = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("user_version", "auto_vacuum")]
    assert pragmas == [SCHEMA, 2]
    with SQLiteStore.open(tmp_path) as store, store.writing() as writer:
        # 9000 documents after one that is gone, one after another one, and seven numbers used up since.
        added = writer.upsert(writer.collection("empty").id, [document("new")]).added
        assert added.tolist() == [9000 + 1 + 1 + 1 + 1 + 7 + 1]


def test_one_that_was_not_closed_is_read_with_its_log(tmp_path: Path) -> None:
    collections = library(50)
    path = make_store_of_schema_1(tmp_path / "made", collections)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE collections SET temperature = 0.5 WHERE name = 'third'")
        connection.execute("UPDATE collections SET temperature = 0.25 WHERE name = 'third'")
        connection.execute("UPDATE collections SET name = 'renamed' WHERE name = 'empty'")
        shutil.copytree(tmp_path / "made", tmp_path / "killed")
    collections["renamed"] = collections.pop("empty")
    open_and_compare(tmp_path / "killed", collections)


OPEN = """
import sys
from pathlib import Path
from service.storage import SQLiteStore
SQLiteStore.open(Path(sys.argv[1]), lambda done, of: print(done, flush=True))
"""


@pytest.mark.kill
def test_killed_in_the_middle_it_begins_again(tmp_path: Path) -> None:
    collections = library(MANY)
    path = make_store_of_schema_1(tmp_path, collections)
    old = path.read_bytes()
    moments = random.Random(5)
    for turn in range(4):
        with subprocess.Popen(
            [sys.executable, "-c", OPEN, str(tmp_path)], stdout=subprocess.PIPE, cwd=Path(__file__).parents[4]
        ) as child:
            assert child.stdout is not None
            child.stdout.readline()
            time.sleep(moments.uniform(0, 0.1) * turn)
            child.kill()
        if rewrite_path(path).exists():
            assert path.read_bytes() == old
    open_and_compare(tmp_path, collections)
    assert not rewrite_path(path).exists()


def test_without_room_for_a_second_file_it_stays_as_it_was(small_disk: Path) -> None:
    collections = library(1200)
    path = make_store_of_schema_1(small_disk / "data", collections)
    old = path.read_bytes()
    assert len(old) > 500_000
    (small_disk / "ballast").write_bytes(b"\0" * (2 * 2**20 - len(old) - 300_000))
    with pytest.raises(DiskFull):
        SQLiteStore.open(small_disk / "data")
    assert path.read_bytes() == old
    assert not rewrite_path(path).exists()
    (small_disk / "ballast").unlink()
    open_and_compare(small_disk / "data", collections)
