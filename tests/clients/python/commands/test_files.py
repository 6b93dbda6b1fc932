"""Files of documents: each format gives the same documents, and errors name the file and the reason."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from softkv.commands.command_line import CommandError, Misused
from softkv.commands.files import ColumnNames, Entry, ExportHead, batches, open_source
from softkv.wire import decode_array

BOOKS = [
    {"id": "a/1", "key": "cats, and 猫", "value": 'Old "Possum"', "metadata": {"year": 1939, "shelf": "poetry"}},
    {"id": "b", "key": "chess", "value": "My 60\nMemorable Games", "metadata": {"year": 1969, "shelf": "games"}},
]


DEFAULT = ColumnNames()


def documents(path: Path, columns: ColumnNames = DEFAULT, ids: Path | None = None) -> list[dict[str, Any]]:
    source = open_source(path, columns, ids)
    read = [entry.document for entry in source.entries()]
    assert source.total == len(read)
    return [document for document in read if document is not None]


def write_csv(path: Path, rows: list[list[str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def rows(*names: str) -> list[list[str]]:
    """The books as a table with these headings."""
    return [
        list(names),
        *(
            [book["id"], book["key"], book["value"], str(book["metadata"]["year"]), book["metadata"]["shelf"]]
            for book in BOOKS
        ),
    ]


@pytest.mark.parametrize("ending", ["ndjson", "jsonl", "NDJSON"])
def test_ndjson_is_taken_as_it_is(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"books.{ending}"
    lines = [json.dumps(book) for book in BOOKS]
    path.write_text("\ufeff" + lines[0] + "\r\n\n" + lines[1] + "\nnot json\n", encoding="utf-8")
    source = open_source(path, ColumnNames())
    entries = list(source.entries())
    assert source.total == 3
    assert [entry.number for entry in entries] == [1, 3, 4]
    assert [entry.document for entry in entries] == [*BOOKS, None]
    assert [entry.id for entry in entries] == ["a/1", "b", None]


def test_a_csv_table_is_the_same_documents(tmp_path: Path) -> None:
    assert documents(write_csv(tmp_path / "books.csv", rows("id", "key", "value", "year", "shelf"))) == BOOKS
    assert documents(write_csv(tmp_path / "books.csv", rows("id", "key", "value", "metadata.year", "shelf"))) == BOOKS


def test_columns_can_have_other_names(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "books.csv", rows("isbn", "card", "title", "year", "shelf"))
    assert documents(path, ColumnNames("isbn", "card", "title")) == BOOKS


def test_a_column_can_hold_the_instants_of_expiry(tmp_path: Path) -> None:
    path = write_csv(
        tmp_path / "t.csv", [["id", "until"], ["a", "2126-01-01T00:00:00Z"], ["b", "978307200"], ["c", ""]]
    )
    read = documents(path, ColumnNames(expires="until"))
    assert read == [{"id": "a", "expires": "2126-01-01T00:00:00Z"}, {"id": "b", "expires": 978307200}, {"id": "c"}]


@given(st.lists(st.tuples(*[st.text(st.characters(codec="utf-8", exclude_characters="\0"))] * 3), min_size=1))
def test_any_text_survives_a_csv_file(tmp_path_factory: pytest.TempPathFactory, cells: list[tuple[str, ...]]) -> None:
    path = tmp_path_factory.mktemp("csv") / "any.csv"
    write_csv(path, [["id", "key", "shelf"], *map(list, cells)])
    read = documents(path, ColumnNames(text=True))
    assert [(d["id"], d["key"], d.get("metadata", {}).get("shelf", "")) for d in read] == cells


def test_a_cell_of_metadata_is_a_number_where_it_reads_as_one(tmp_path: Path) -> None:
    cells = ["1939", "-1.5e3", "true", "false", "007", "1,5", "null", '"x"', "NaN", "", "1e999"]
    path = write_csv(tmp_path / "t.csv", [["id", "field"], *([str(i), cell] for i, cell in enumerate(cells))])
    read = [document.get("metadata", {}).get("field") for document in documents(path)]
    assert read == [1939, -1500.0, True, False, "007", "1,5", "null", '"x"', "NaN", None, "1e999"]
    texts = [document.get("metadata", {}).get("field", "") for document in documents(path, ColumnNames(text=True))]
    assert texts == cells


def test_a_line_number_is_that_of_the_file(tmp_path: Path) -> None:
    """The second book's cells hold a line break, so it ends on line 4."""
    path = write_csv(tmp_path / "books.csv", rows("id", "key", "value", "year", "shelf"))
    assert [entry.number for entry in open_source(path, ColumnNames()).entries()] == [2, 4]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"key,value\na,b\n", "no column 'id', its columns are key, value"),
        (b"", "no column 'id', its columns are none"),
        (b"id,key\na,b,c\n", "line 2 has another number of cells than the header"),
        (b"id,key\na\n", "line 2 has another number of cells than the header"),
        (b'id,key\na,"b\n', "not CSV in UTF-8"),
        (b"id,key\na,\xff\n", "not CSV in UTF-8"),
    ],
)
def test_an_invalid_csv_file_is_refused_with_a_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "books.csv"
    path.write_bytes(content)
    with pytest.raises(CommandError, match=reason):
        open_source(path, ColumnNames())


def test_a_parquet_table_is_the_same_documents(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "books.parquet"
    parquet.write_table(pa.Table.from_pylist(BOOKS), path)
    assert documents(path) == BOOKS
    flat = [{**book, **book["metadata"], "key_vector": [1.0, 0.5]} for book in BOOKS]
    for book in flat:
        del book["metadata"]
    parquet.write_table(pa.Table.from_pylist(flat), path)
    assert documents(path) == [book | {"key_vector": [1.0, 0.5]} for book in BOOKS]
    path.write_bytes(b"not parquet")
    with pytest.raises(CommandError, match="not a Parquet file"):
        open_source(path, ColumnNames())


def test_parquet_without_pyarrow_names_the_package_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(CommandError, match="pip install pyarrow"):
        open_source(tmp_path / "books.parquet", ColumnNames())


@pytest.mark.parametrize("kind", ["<f4", "<f8", "<f2", "<i8", ">f4"])
def test_vectors_beside_their_ids(tmp_path: Path, kind: str) -> None:
    vectors = np.arange(6).reshape(2, 3).astype(kind)
    np.save(tmp_path / "books.npy", vectors)
    (tmp_path / "books.ids.txt").write_text("a/1\nb\n")
    read = documents(tmp_path / "books.npy")
    assert [document["id"] for document in read] == ["a/1", "b"]
    for document, vector in zip(read, vectors, strict=True):
        assert decode_array(document["key_vector"] | {"shape": [3]}).tolist() == vector.tolist()


def test_vectors_beside_their_documents(tmp_path: Path) -> None:
    np.save(tmp_path / "books.npy", np.eye(2, dtype=np.float32))
    path = write_csv(tmp_path / "books.csv", rows("id", "key", "value", "year", "shelf"))
    read = documents(tmp_path / "books.npy", ids=path)
    assert [document | {"key_vector": None} for document in read] == [book | {"key_vector": None} for book in BOOKS]


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.ones((3, 2)), "3 vectors and .* 2 ids"),
        (np.ones(2), "expected one row of numbers per document"),
        (np.array(["a", "b"]), "expected one row of numbers per document"),
        (np.array([{}, {}]), "not an array in .npy format"),
    ],
)
def test_invalid_vectors_are_refused_with_a_reason(tmp_path: Path, array: np.ndarray[Any, Any], reason: str) -> None:
    np.save(tmp_path / "books.npy", array, allow_pickle=True)
    (tmp_path / "books.ids.txt").write_text("a\nb\n")
    with pytest.raises(CommandError, match=reason):
        open_source(tmp_path / "books.npy", ColumnNames())


def test_files_that_make_no_sense(tmp_path: Path) -> None:
    np.save(tmp_path / "books.npy", np.eye(2))
    with pytest.raises(Misused, match=r"books\.ids\.txt is not there"):
        open_source(tmp_path / "books.npy", ColumnNames())
    with pytest.raises(Misused, match="ends in none of"):
        open_source(tmp_path / "books.xlsx", ColumnNames())
    with pytest.raises(Misused, match="leave it out"):
        open_source(tmp_path / "books.csv", ColumnNames(), tmp_path / "ids.txt")


SETTINGS = {
    "similarity": "cosine",
    "dimension": 2,
    "value_dimension": None,
    "encoder": None,
    "value_from": "value",
    "defaults": {"top_k": 5},
    "expire_after": None,
}


@pytest.mark.parametrize(
    ("temperature", "null", "settings_kept"),
    [
        (0.3, "strict", {"temperature": 0.3, "null": "strict"}),
        (0.3, False, {"temperature": 0.3, "null": False}),
        (0.062, "calibrated", {}),
    ],
)
def test_settings_of_a_calibration_are_left_out(temperature, null, settings_kept):
    head = ExportHead.of(SimpleNamespace(name="c", **SETTINGS, temperature=temperature, null=null))
    assert head.settings == {
        "similarity": "cosine",
        "dimension": 2,
        "encoder": None,
        "value_from": "value",
        "defaults": {"top_k": 5},
        **settings_kept,
    }


@pytest.mark.parametrize("content", [b"1", b"[]", b'"a"', b"{}", b'{"id": 1}', b"{", b"\xff"])
def test_a_line_without_an_id_has_none(content: bytes) -> None:
    assert Entry(1, content).id is None


@given(st.lists(st.binary(max_size=50)), st.integers(1, 7))
def test_batches_hold_every_entry_in_order(contents: list[bytes], size: int) -> None:
    entries = [Entry(number, content) for number, content in enumerate(contents)]
    made = list(batches(entries, size))
    assert [entry for batch in made for entry in batch] == entries
    assert all(1 <= len(batch) <= size for batch in made)


def test_a_batch_of_long_lines_is_short() -> None:
    entries = [Entry(number, b"x" * 3_000_000) for number in range(3)]
    assert [len(batch) for batch in batches(entries, 100)] == [1, 1, 1]
