"""A bit that a disk has changed is never served, and the integrity check names it."""

from __future__ import annotations

import random
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from softkv_service.storage import ReEncoding, SQLiteStore
from softkv_service.storage.conditions import Comparison
from softkv_service.storage.errors import DocumentDamaged, StorageError
from softkv_service.storage.records import DocumentRecord
from softkv_service.storage.sqlite.full_text import MAX_UNINDEXED
from tests.service.storage.making import SETTINGS, collection, document, plain

N = 100


def documents() -> list[DocumentRecord]:
    return [
        document(
            f"id-{i:03}-of-it",
            key=f"unmistakable text {i:03}",
            value={"precious": f"value {i:03}"},
            metadata={"shelf": f"shelf number {i:03}"},
            keys=np.array([[i, 7.125, -i]], np.float32),
            value_vector=np.array([9.5, i], np.float32),
        )
        for i in range(N)
    ]


WANTED = {each.id: plain(each) for each in documents()}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    directory = tmp_path_factory.mktemp("sound")
    with SQLiteStore.open(directory) as store:
        collection(store, documents())
        path = store.path
    return path.read_bytes()


@contextmanager
def opened(directory: Path, file: bytes) -> Iterator[SQLiteStore]:
    (directory / "softkv.sqlite3").write_bytes(file)
    with SQLiteStore.open(directory) as store:
        yield store


def flipped(file: bytes, offset: int, bit: int) -> bytes:
    return file[:offset] + bytes([file[offset] ^ (1 << bit)]) + file[offset + 1 :]


def read_everything(store: SQLiteStore) -> dict[str, Any]:
    """Return every document by each way of reading; damaged ones must raise."""
    results: dict[str, Any] = {}
    with store.reading() as reader:
        number = reader.collection("c").id
        ways = [
            lambda: reader.page(number),
            lambda: [found for i in WANTED if (found := reader.document(number, i)) is not None],
            lambda: reader.documents(number, reader.rows_where(number)),
        ]
        for way in ways:
            try:
                for result in way():
                    results[result.id] = plain(result)
                    assert results[result.id] == WANTED.get(result.id), "something else was served"
            except StorageError:
                results["damaged"] = True
        try:
            assert set(reader.ids(number, reader.rows_where(number))) <= WANTED.keys()
        except StorageError:
            results["damaged"] = True
        for i in range(N):
            try:
                for row in reader.search(number).equal(f"unmistakable text {i:03}", 5).rows:
                    assert (row.key, row.value) == WANTED[row.id][1:3]
            except StorageError:
                results["damaged"] = True
        try:
            errors: list[DocumentDamaged] = []
            rows = [vector.numbers for vector in reader.vectors(number, batch=7, damaged=errors.append)]
            results["attended"] = sum(map(len, rows))
            if errors:
                results["damaged"] = True
        except StorageError:
            results["damaged"] = True
    return results


# The bytes of a document's rows: its texts in `documents`, its numbers in `vectors`.
CONTENT = {
    "id": lambda i: f"id-{i:03}-of-it".encode() + f"unmistakable text {i:03}".encode(),
    "value": lambda i: f'"value {i:03}"'.encode(),
    "metadata": lambda i: f'{{"shelf":"shelf number {i:03}"}}'.encode(),
    "key_vector": lambda i: np.array([i, 7.125, -i], "<f4").tobytes() + np.array([9.5, i], "<f4").tobytes(),
}


@pytest.mark.parametrize(
    "part",
    ["key_vector", *(pytest.param(part, marks=pytest.mark.thorough) for part in CONTENT if part != "key_vector")],
)
def test_one_bit_in_each_row_is_never_served_and_always_named(tmp_path: Path, sound: bytes, part: str) -> None:
    chosen = random.Random(part)
    for i in range(N):
        content = CONTENT[part](i)
        assert sound.count(content) == 1
        offset = sound.index(content) + chosen.randrange(len(content))
        with opened(tmp_path, flipped(sound, offset, chosen.randrange(8))) as store:
            assert read_everything(store).get("damaged"), f"{part} of document {i} was served"
            named = " ".join(store.check())
            assert f"row {i + 1} " in named or f"row {i + 1}," in named


def test_the_other_documents_are_served_and_the_damaged_one_can_be_replaced(tmp_path: Path, sound: bytes) -> None:
    offset = sound.index(CONTENT["value"](5)) + 3
    with opened(tmp_path, flipped(sound, offset, 0)) as store:
        with store.reading() as reader:
            number = reader.collection("c").id
            with pytest.raises(DocumentDamaged, match="'id-005-of-it', row 6"):
                reader.document(number, "id-005-of-it")
            assert reader.document(number, "id-006-of-it") is not None
        with store.writing() as writer:
            writer.upsert(number, [document for document in documents() if document.id == "id-005-of-it"])
        assert not read_everything(store).get("damaged")
        assert list(store.check()) == []


def test_a_damaged_key_text_does_not_stay_in_the_full_text_index(tmp_path: Path, sound: bytes) -> None:
    offset = sound.index(CONTENT["id"](5)) + len("id-005-of-it") + 3
    with opened(tmp_path, flipped(sound, offset, 1)) as store:
        with store.writing() as writer:
            number = writer.collection("c").id
            writer.delete_ids(number, ["id-005-of-it"])
        with store.reading() as reader:
            assert len(reader.search(number).full_text("unmistakable", 1000).rows) == N - 1
        assert list(store.check()) == []


def test_the_error_of_a_damaged_document_hides_no_later_write(tmp_path: Path, sound: bytes) -> None:
    offset = sound.index(CONTENT["value"](5)) + 3
    with opened(tmp_path, flipped(sound, offset, 0)) as store:
        with store.reading() as reader:
            number = reader.collection("c").id

        def read_texts() -> None:
            with store.reading() as reader:
                reader.texts(number, np.arange(1, N + 1))

        with pytest.raises(DocumentDamaged) as kept:  # with its traceback
            read_texts()
        another = DocumentRecord("another", None, 1, np.ones((1, 3), np.float32), np.ones(2, np.float32))
        with store.writing() as writer:
            writer.upsert(number, [another])
        with store.reading() as reader:
            assert reader.count(number) == N + 1
        del kept


def test_a_damaged_key_can_be_compared_but_is_not_served(tmp_path: Path, sound: bytes) -> None:
    offset = sound.index(CONTENT["id"](5)) + len("id-005-of-it") + 3
    comparison = Comparison("key", "contains", "TEXT 0", ignore_case=True)
    with opened(tmp_path, flipped(sound, offset, 7)) as store, store.reading() as reader:
        number = reader.collection("c").id
        assert reader.count(number, condition=comparison) == N
        assert reader.count(number, condition=Comparison("key", "<", "z")) == N
        with pytest.raises(DocumentDamaged, match="'id-005-of-it', row 6"):
            reader.page(number, condition=comparison)


@pytest.mark.thorough
def test_a_bit_anywhere_in_the_file(tmp_path: Path, sound: bytes) -> None:
    """Whatever it hits: nothing else is served, and where nothing is named everything is served as it was."""
    chosen = random.Random(11)
    refused = named = 0
    for _ in range(250):
        file = flipped(sound, chosen.randrange(100, len(sound)), chosen.randrange(8))
        try:
            with opened(tmp_path, file) as store:
                results, findings = read_everything(store), list(store.check())
                named += bool(findings)
                if not findings:
                    assert results == {**WANTED, "attended": N}
                    with store.reading() as reader:
                        number = reader.collection("c").id
                        for i in range(0, N, 9):
                            result = reader.rows_where(
                                number, Comparison("metadata.shelf", "==", f"shelf number {i:03}")
                            )
                            assert result.tolist() == [i + 1]
                            words = reader.search(number).full_text(f"{i:03}", 5).rows
                            assert [row.id for row in words] == [f"id-{i:03}-of-it"]
        except StorageError:
            refused += 1
    assert refused > 5
    assert named > 10


@pytest.fixture
def moving(tmp_path: Path) -> ReEncoding:
    """Return the job of a collection that moves to another encoder, in a store that is closed."""
    with SQLiteStore.open(tmp_path) as store:
        number = collection(store, documents()[:3])
        with store.writing() as writer:
            job = ReEncoding(number, None, "running", None, "old", "new", 0.5, "auto", ("calibration",), 0.0)
            begun = writer.begin_re_encoding(job, SETTINGS)
        assert list(store.check()) == []
        with store.reading() as reader:
            assert reader.re_encodings() == [begun]
        return begun


@contextmanager
def altered(directory: Path, statement: str, *values: Any) -> Iterator[SQLiteStore]:
    """Change the file of a store, and open it again."""
    with closing(sqlite3.connect(directory / "softkv.sqlite3")) as connection, connection:
        connection.execute(statement, values)
    with SQLiteStore.open(directory) as store:
        yield store


@pytest.mark.parametrize(
    "change",
    [
        "job = '{'",
        "job = '[]'",
        "job = replace(job, '\"state\"', '\"stale\"')",
        'job = replace(job, \'"started": 0.0\', \'"started": "x"\')',
        'job = replace(job, \'"done": 0\', \'"done": 0, "more": 1\')',
        "shadow = collection",
        "shadow = NULL",
    ],
)
def test_a_damaged_move_to_another_encoder_has_failed_and_is_named(
    tmp_path: Path, moving: ReEncoding, change: str
) -> None:
    number = moving.collection
    with altered(tmp_path, "INSERT INTO copied_rows VALUES (?, 1, 99), (?, 2, 99)", moving.shadow, number):
        pass
    with altered(tmp_path, f"UPDATE re_encodings SET {change}") as store:
        with store.reading() as reader:
            read = reader.re_encoding(number)
        assert read is not None
        assert (read.damaged, read.state, read.shadow, read.active) == (True, "failed", None, False)
        named = "\n".join(store.check())
        assert f"the move of collection {number} to another encoder is not what was written" in named
        assert f"1 documents of the copy {moving.shadow}" in named
        assert f"copied to collection {number} for another encoder, and there is no such copy" in named
        with store.writing() as writer:
            writer.save_re_encoding(read.ending("cancelled", 1.0, 3, 0))
            assert [job.state for job in writer.re_encodings()] == ["cancelled"]


def test_a_move_that_was_written_before_moves_had_checksums_goes_on(tmp_path: Path, moving: ReEncoding) -> None:
    with altered(tmp_path, "UPDATE re_encodings SET job = json_remove(job, '$.checksum')") as store:
        with store.reading() as reader:
            assert reader.re_encodings() == [moving]
        assert list(store.check()) == []
        with store.writing() as writer:
            writer.save_re_encoding(replace(moving, state="paused"))
    with closing(sqlite3.connect(tmp_path / "softkv.sqlite3")) as connection:
        assert connection.execute("SELECT job ->> '$.checksum' FROM re_encodings").fetchone()[0]


@pytest.mark.parametrize(
    ("column", "value"),
    [("state", '"stale"'), ("started", '"x"'), ("drops", "[1]"), ("to", "null"), ("more", "1"), ("done", "true")],
)
def test_a_move_without_a_checksum_and_with_other_columns_has_failed(
    tmp_path: Path, moving: ReEncoding, column: str, value: str
) -> None:
    older = f"json_set(json_remove(job, '$.checksum'), '$.{column}', json(?))"
    with altered(tmp_path, f"UPDATE re_encodings SET job = {older}", value) as store, store.reading() as reader:
        assert [job.damaged for job in reader.re_encodings()] == [True]


def test_doctor_names_a_flipped_bit_in_filtered_fields(tmp_path: Path, sound: bytes) -> None:
    chosen = random.Random(3)
    for i in range(0, N, 5):
        content = f"shelf number {i:03}".encode()
        # In the metadata it is a JSON text, in `fields` it stands alone.
        offsets = [m.start() for m in re.finditer(content, sound) if sound[m.start() - 1 : m.start()] != b'"']
        assert len(offsets) == 2  # the table, and its index
        for offset in offsets:
            with opened(
                tmp_path, flipped(sound, offset + chosen.randrange(len(content)), chosen.randrange(8))
            ) as store:
                assert list(store.check()), f"a bit in the field of document {i} was not named"


def test_a_bit_in_the_full_text_index_refuses_no_start_and_doctor_names_it(tmp_path: Path) -> None:
    chosen = random.Random(4)
    with SQLiteStore.open(tmp_path) as store:
        more = [document(f"more-{i}", key=None) for i in range(MAX_UNINDEXED)]  # so many that there is an index
        collection(store, [*documents(), *more])
    sound = (tmp_path / "softkv.sqlite3").read_bytes()
    with opened(tmp_path, sound) as store, store.reading() as reader:
        blobs = [
            content
            for table, column in (("data", "block"), ("docsize", "sz"))
            for (content,) in reader._connection.execute(f"SELECT {column} FROM folds_1_{table}")
        ]
    pages = [content for content in blobs if len(content) > 20 and sound.count(content) == 1]
    assert pages
    for _ in range(30):
        content = chosen.choice(pages)
        offset = sound.index(content) + chosen.randrange(len(content))
        with opened(tmp_path, flipped(sound, offset, chosen.randrange(8))) as store:
            (line,) = store.check()
            assert line.startswith("the full-text index of collection 1 is not that of its keys"), f"a bit at {offset}"


@pytest.mark.parametrize(
    "change", ["calibration = '{\"version\":2}'", "calibration = NULL", "projection = '{}'", "expire_after = 5"]
)
def test_a_setting_that_a_disk_has_changed_is_named(tmp_path: Path, change: str) -> None:
    with SQLiteStore.open(tmp_path) as store, store.writing() as writer:
        writer.create_collection("c", replace(SETTINGS, calibration='{"version":1}'))
    with altered(tmp_path, f"UPDATE collections SET {change}") as store:
        assert any("settings" in line for line in store.check())
