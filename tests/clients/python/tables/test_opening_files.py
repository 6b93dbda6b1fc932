"""Files as people make them: nothing in them changes or goes without a word."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import zipfile
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import softkv
from softkv import tables as outside
from softkv.tables.packing import LEAST_LIMIT
from tests.clients.python.tables.files import CASES, Case, save_cells, save_shards, save_workbook
from tests.clients.python.tables.here import open_table
from tests.clients.python.tables.test_opening import documents, flaws, text_file

pytest.importorskip("h5py")
pytest.importorskip("python_calamine")
pytest.importorskip("openpyxl")


def in_lists(document: Any) -> Any:
    """Return a document with its vectors as lists."""
    return {name: cell.tolist() if isinstance(cell, np.ndarray) else cell for name, cell in document.items()}


@pytest.mark.parametrize("open_", [outside.open_table, open_table], ids=["process", "here"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_file_is_its_documents(tmp_path: Path, case: Case, open_) -> None:
    case.save(tmp_path / case.name)
    table = open_(tmp_path / case.name, **case.options)
    assert table.notices == [f"{case.name}: {notice}" for notice in case.notices]
    rows = {row.id: row for row in table}
    assert [in_lists(rows[document["id"]].document) for document in case.documents] == case.documents
    assert [row.flaw for row in rows.values() if row.flaw] == []


def test_a_quotation_mark_in_the_middle_of_a_cell_refuses_its_row_alone(tmp_path: Path) -> None:
    path = text_file(tmp_path / "t.csv", 'id,key\na,"Hello" she said\nb,"well ""quoted"""\n')
    assert flaws(path) == [
        (2, None, "text follows the quotation mark that ends a cell: write a mark within a cell twice")
    ]
    assert documents(path, quoting="none")[0] == {"id": "a", "key": '"Hello" she said'}


def test_sheets_are_named(tmp_path: Path) -> None:
    save_workbook(tmp_path / "book.xlsx")
    with pytest.raises(softkv.Invalid, match=r"no sheet 'Dta' with cells, its sheets are Picture \(without"):
        open_table(tmp_path / "book.xlsx", sheet="Dta")
    with pytest.raises(softkv.Invalid, match="has no cells in its sheet 'Old': name another with sheet=…"):
        open_table(tmp_path / "book.xlsx", sheet="Old")
    with pytest.raises(softkv.Invalid, match=r"are Report of the year, 2, 3, 4, 5 \(name the row of the header, h"):
        open_table(tmp_path / "book.xlsx")
    assert len(documents(tmp_path / "book.xlsx", sheet="Data", header_row=3)) == 4
    with pytest.raises(softkv.Invalid, match="sheet 'Data' from row 99 on: name an earlier one, or another sheet"):
        open_table(tmp_path / "book.xlsx", sheet="Data", header_row=99)


def save_hdf5(path: Path, arrays: dict[str, Any], **attributes: Any) -> Path:
    import h5py

    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array
        file.attrs.update(attributes)
    return path


@pytest.mark.parametrize(
    ("distance", "similarity"),
    [
        *((distance, "gaussian") for distance in ("euclidean", np.bytes_("euclidean"), ["euclidean"], "L2")),
        *(("IP", "dot"), (np.bytes_("angular"), "cosine")),
    ],
    ids=repr,
)
def test_a_distance_of_hdf5_is_a_similarity_however_it_is_written(
    tmp_path: Path, distance: Any, similarity: str
) -> None:
    path = save_hdf5(tmp_path / "t.h5", {"train": np.eye(3)}, distance=distance)
    assert open_table(path).settings == {"encoder": None, "similarity": similarity}
    (tmp_path / "t.ids.txt").write_text("a\nb\nc\n")
    assert open_table(path).settings == {"encoder": None, "similarity": similarity}


@pytest.mark.parametrize(
    ("arrays", "attributes", "words"),
    [
        ({"train": np.eye(3)}, {"distance": "hamming"}, "no similarity orders alike: expected angular, eucl"),
        ({"train": np.arange(9), "size_train": np.full(3, 3)}, {"distance": "angular"}, "as sparse vectors do"),
        ({"obsm/X_pca": np.eye(3)}, {}, "no data set 'train', its data sets are obsm/X_pca: name the one"),
    ],
)
def test_a_file_of_hdf5_that_cannot_be_is_refused(tmp_path: Path, arrays: Any, attributes: Any, words: str) -> None:
    with pytest.raises(softkv.Invalid, match=words):
        open_table(save_hdf5(tmp_path / "t.h5", arrays, **attributes))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda file: file["X/indices"].write_direct(np.array([0, 9, 1, 1])), "has a column outside of its 3 ones"),
        (lambda file: file["X"].attrs.update(shape=(2, 3)), "has a sparse matrix of 2 rows, and 3 beginnings of rows"),
        (
            lambda file: file["obs/type/codes"].write_direct(np.int8([5, 5, 5])),
            "may be damaged: index 5 is out of bounds",
        ),
        (lambda file: file.move("obs", "cells"), "has no 'obs' in /, as AnnData writes it"),
        (lambda file: file["X"].attrs.pop("shape"), "has no matrix in /X: name one, such as vector=…"),
    ],
)
def test_a_file_of_cells_that_cannot_be_is_refused(tmp_path: Path, change: Any, words: str) -> None:
    import h5py

    path = tmp_path / "csr_matrix.h5ad"
    save_cells(path)
    with h5py.File(path, "a") as file:
        change(file)
    with pytest.raises(softkv.Invalid, match=words):
        list(open_table(path))


@pytest.mark.parametrize("kind", [["csc_matrix"], b"csc_matrix", [b"csc_matrix"]], ids=str)
def test_attributes_of_other_writers_are_lists_or_bytes(tmp_path: Path, kind: Any) -> None:
    import h5py

    path = tmp_path / "csc_matrix.h5ad"  # a square matrix, whose form only this attribute tells
    save_cells(path)
    before = [row.document["key_vector"] for row in open_table(path) if row.document]
    with h5py.File(path, "a") as file:
        file["X"].attrs["encoding-type"] = kind
        file["obs"].attrs["_index"] = b"cell" if isinstance(kind, bytes) else [b"cell"]
    assert [row.document["id"] for row in open_table(path) if row.document] == ["a", "b", "c"]
    assert np.array_equal([row.document["key_vector"] for row in open_table(path) if row.document], before)


def test_entries_of_one_place_in_a_sparse_matrix_are_summed(tmp_path: Path) -> None:
    import h5py

    path = tmp_path / "csr_matrix.h5ad"
    save_cells(path)
    with h5py.File(path, "a") as file:
        file["X/indices"][:2] = [2, 2]
    first, *_ = open_table(path)
    assert (first.document or {})["key_vector"].tolist() == [0, 0, -0.5]


def test_cells_of_anndata_before_0_7_are_refused_by_name(tmp_path: Path) -> None:
    import h5py

    path = tmp_path / "array.h5ad"
    with h5py.File(path, "w") as file:
        file["X"], file["obs"] = np.eye(2), np.array([(b"a", 1), (b"b", 2)], [("index", "S1"), ("n", "i4")])
    with pytest.raises(softkv.Invalid, match=r"is of anndata before 0\.7: read it with anndata, and write it again"):
        open_table(path)


def test_a_word_that_is_not_utf_8_costs_its_row(tmp_path: Path) -> None:
    vector = np.float32([0.5, -1]).tobytes()
    (tmp_path / "t.bin").write_bytes(b"3 2\ncat " + vector + b"d\xc3 " + vector + b"mouse " + vector)
    rows = [(row.id, row.flaw) for row in open_table(tmp_path / "t.bin")]
    assert rows == [("cat", ""), (None, "its word is not in UTF-8: d\ufffd"), ("mouse", "")]


def test_results_that_datasets_keeps_beside_its_files_are_left_out(tmp_path: Path) -> None:
    save_shards(tmp_path)
    expected = documents(tmp_path)
    (tmp_path / "state.json").unlink()  # as in its folder of caches
    table = open_table(tmp_path)
    assert [row.document for row in table] == expected
    assert (len(expected), table.notices) == (2, [])


@pytest.mark.parametrize("name", ["_indices_files", "_indices_data_files"])
def test_a_choice_of_rows_beside_the_files_of_datasets_is_refused(tmp_path: Path, name: str) -> None:
    save_shards(tmp_path)
    files = [{"filename": path.name} for path in tmp_path.glob("part*.parquet")]
    state = {"_data_files": files, name: [{"filename": "indices.arrow"}]}
    (tmp_path / "state.json").write_text(json.dumps(state))
    with pytest.raises(
        softkv.Invalid, match=r"has a choice of rows beside them: save it again with flatten_indices\(\)"
    ):
        open_table(tmp_path)
    (tmp_path / "state.json").write_text(json.dumps({**state, name: None}))
    assert len(documents(tmp_path)) == 2


def test_a_folder_names_files_left_out_and_takes_columns_by_name(tmp_path: Path) -> None:
    pd.DataFrame({"id": ["a"], "key": ["cats"]}).to_parquet(tmp_path / "1.parquet")
    pd.DataFrame({"key": ["dogs"], "id": ["b"]}).to_parquet(tmp_path / "2.parquet")
    (tmp_path / "b.csv").write_text("id,key\nc,birds\n")
    (tmp_path / "_SUCCESS").write_text("")
    (tmp_path / "a.json").write_text('[{"id": "d", "key": "fish"}]')
    for name in ("README.md", "dataset_info.json", "cache-1.arrow", ".x.csv"):
        (tmp_path / name).write_text("x")
    (tmp_path / "more").mkdir()
    (tmp_path / "_delta_log").mkdir()
    table = open_table(tmp_path)
    assert [row.document for row in table] == [{"id": "a", "key": "cats"}, {"id": "b", "key": "dogs"}]
    assert table.notices == [
        f"{tmp_path.name}: left out, since their format is another: a.json, b.csv",
        f"{tmp_path.name}: left out, since they are folders: more/",
    ]


def test_files_of_a_folder_whose_columns_have_other_kinds_are_named(tmp_path: Path) -> None:
    pd.DataFrame({"id": ["a"], "key": ["cats"], "year": np.int32([1990]), "n": [1.5]}).to_parquet(
        tmp_path / "1.parquet"
    )
    pd.DataFrame({"id": ["b"], "key": ["dogs"], "year": ["1991"], "n": [2]}).to_parquet(tmp_path / "2.parquet")
    assert open_table(tmp_path).notices == [
        f"{tmp_path.name}: column 'year' has texts in 2.parquet, and numbers in files before it"
    ]


def test_a_vector_in_base64_is_refused_with_the_way_on(tmp_path: Path) -> None:
    row = {"id": "a", "vector": "P4AAAEAAAAA="}  # as newer clients of Elasticsearch pack vectors
    (tmp_path / "t.ndjson").write_text(json.dumps(row))
    (refused,) = open_table(tmp_path / "t.ndjson", vector="vector")
    assert refused.flaw.endswith("got 'P4AAAEAAAAA=': write its numbers as a list, and not in base64")


def test_an_empty_part_of_a_folder_has_no_rows(tmp_path: Path) -> None:
    (tmp_path / "part-0.csv").write_text("")
    (tmp_path / "part-1.csv").write_text("id,key\na,cats\n")
    assert documents(tmp_path) == [{"id": "a", "key": "cats"}]


def test_a_folder_of_folders_names_them(tmp_path: Path) -> None:
    for year in ("1990", "1991"):
        (tmp_path / f"year={year}").mkdir()
    with pytest.raises(softkv.Invalid, match="name a file, or one of its folders, year=1990/, year=1991/"):
        open_table(tmp_path)


def test_tables_of_pandas_in_hdf5_are_refused_by_name(tmp_path: Path) -> None:
    import h5py

    save_hdf5(tmp_path / "t.h5", {"df/axis0": np.arange(2)})
    with h5py.File(tmp_path / "t.h5", "a") as file:
        file["df"].attrs["pandas_type"] = "frame"
    with pytest.raises(softkv.Invalid, match=r"holds tables of pandas, df: save it with DataFrame\.to_parquet"):
        open_table(tmp_path / "t.h5")


def test_data_sets_in_groups_are_named_and_the_others_are_counted_out(tmp_path: Path) -> None:
    arrays = {"obsm/X_pca": np.eye(3), "obsm/year": np.arange(3), "obsm/other": np.arange(2), "top": np.arange(3)}
    table = open_table(save_hdf5(tmp_path / "t.h5", arrays), vector="obsm/X_pca")
    assert [row.document["metadata"] for row in table if row.document] == [{"year": 0}, {"year": 1}, {"year": 2}]
    assert table.notices[0] == "t.h5: left out, since they have other lengths or types than the vectors: other"


def test_values_of_hdf5_keep_their_names_and_their_empty_cells(tmp_path: Path) -> None:
    import h5py

    path = tmp_path / "t.h5"
    kind, pair = h5py.enum_dtype({"RED": 0, "BLUE": 1}), np.dtype([("x", "i4"), ("y", "f8")])
    with h5py.File(path, "w") as file:
        file["train"] = np.eye(3)
        file.create_dataset("colour", data=[0, 1, 0], dtype=kind)
        file["at"] = np.array([(1, 0.5), (2, 1.5), (3, 2.5)], pair)
        file["depth"] = np.array([1, -999, 3])
        file["depth"].attrs["_FillValue"] = np.array([-999])
        file["note"] = np.array([b"a", "\xe9".encode("latin-1"), b"c"])
    first, second, third = open_table(path)
    assert (first.document or {})["metadata"] == {"colour": "RED", "at": {"x": 1, "y": 0.5}, "depth": 1, "note": "a"}
    assert second.flaw.startswith("column 'note': it is not UTF-8")
    assert "depth" in (third.document or {})["metadata"]
    assert "depth" not in (next(iter(list(open_table(path, skip=["note"]))[1:2])).document or {})["metadata"]


def test_packed_numbers_of_hdf5_are_refused_by_name(tmp_path: Path) -> None:
    import h5py

    path = save_hdf5(tmp_path / "t.h5", {"train": np.eye(3), "depth": np.arange(3)})
    with h5py.File(path, "a") as file:
        file["depth"].attrs["scale_factor"] = 0.1
    with pytest.raises(softkv.Invalid, match="holds packed numbers in 'depth': write their values, or leave it out"):
        open_table(path)
    assert len(documents(path, skip=["depth"])) == 3


def test_a_single_value_beside_vectors_is_left_out(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", key_vector=np.eye(2), version=3)
    table = open_table(tmp_path / "t.npz")
    assert (len(list(table)), table.notices[0]) == (2, "t.npz: left out, since they are single values: version")


@pytest.mark.parametrize("ending", [".npz", ".npy"])
def test_arrays_of_objects_are_refused_and_not_as_damaged_files(tmp_path: Path, ending: str) -> None:
    path, objects = tmp_path / f"t{ending}", np.array(["a", "b"], object)
    save = np.save if ending == ".npy" else np.savez
    save(path, objects)
    with pytest.raises(softkv.Invalid, match=r"an array of Python's objects, which need pickle: save texts as np\.arr"):
        open_table(path)
    path.write_bytes(b"no array")
    with pytest.raises(softkv.Invalid, match=f"is not a file in {ending} format that can be read"):
        open_table(path)


def test_odd_cells_of_a_sheet_are_named_with_the_ways_out(tmp_path: Path) -> None:
    import openpyxl

    book = openpyxl.Workbook()
    day = datetime(2025, 11, 30)
    for row in (
        ["id", "key", "price", "day"],
        ["a", "cats", 118, day],
        ["b", "dogs", "on request", day],
        ["c", "mice", "€ 7.50", "30.11.2025"],
        ["d", "owls", "€ 9", day],
        ["e", "bees", 3, "soon"],
    ):
        book.active.append(row)
    path = tmp_path / "t.xlsx"
    book.save(path)
    prices, days = open_table(path).notices
    assert prices == (
        "t.xlsx: column 'price' has texts among others, such as 'on request' in row 3, so all its cells become texts; "
        "mend it, or number='price' refuses such rows, and with odd='empty' leaves such cells empty"
    )
    assert days == (
        "t.xlsx: column 'day' has texts among others, such as '30.11.2025' in row 4, so all its cells become texts; "
        "mend it, or date=… reads texts in a format"
    )
    rows = list(open_table(path, number="price", date="%d.%m.%Y"))
    assert [row.flaw.partition(", got")[0] for row in rows] == [
        "",
        "column 'price': wanted a number",
        "",
        "",
        "column 'day': wanted a date in the format %d.%m.%Y",
    ]
    table = open_table(path, number="price", date="%d.%m.%Y", odd="empty")
    assert [(row.document or {})["metadata"] for row in table] == [
        {"price": 118, "day": "2025-11-30"},
        {"day": "2025-11-30"},
        {"price": 7.5, "day": "2025-11-30"},
        {"price": 9, "day": "2025-11-30"},
        {"price": 3},
    ]
    assert [notice for notice in table.notices if "left empty" in notice] == [
        "t.xlsx: column 'price': 1 odd cell is left empty, such as 'on request' in row 3",
        "t.xlsx: column 'day': 1 odd cell is left empty, such as 'soon' in row 6",
    ]


def test_vectors_in_bfloat16_are_refused_with_the_way_on(tmp_path: Path) -> None:
    vectors = np.zeros((2, 3), "V2")  # as NumPy reads them without ml_dtypes
    np.save(tmp_path / "t.npy", vectors)
    np.savez(tmp_path / "t.npz", key_vector=vectors)
    with pytest.raises(softkv.Invalid, match=r"holds a type that NumPy does not have, such as bfloat16: save it as"):
        open_table(tmp_path / "t.npy")
    with pytest.raises(
        softkv.Invalid, match=r"holds 'key_vector' in a type that NumPy does not have, such as bfloat16"
    ):
        open_table(tmp_path / "t.npz")


def test_a_folder_of_chroma_names_the_way_on(tmp_path: Path) -> None:
    (tmp_path / "chroma.sqlite3").write_bytes(b"SQLite format 3")
    with pytest.raises(softkv.Invalid, match=r"is a folder of chroma: save what its collection\.get\(include="):
        open_table(tmp_path)


@pytest.mark.parametrize(
    ("name", "advice"),
    [("t.index", r"an index has no texts: save its vectors as \.npy"), ("t.sqlite3", r"export its table as \.csv")],
)
def test_files_of_stores_name_the_way_on(tmp_path: Path, name: str, advice: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(softkv.Invalid, match=advice):
        open_table(tmp_path / name)


def test_a_table_without_ids_and_keys_names_both_at_once(tmp_path: Path) -> None:
    (tmp_path / "faq.csv").write_text("Nr,Question,Answer\n1,Where?,Here.\n")
    message = (
        "faq.csv has no columns 'id' and 'key', its columns are Nr, Question, Answer: name the one of the ids, id=…, "
        "and the one of the texts, key=…; value=… names the one that answers show"
    )
    with pytest.raises(softkv.Invalid) as refused:
        open_table(tmp_path / "faq.csv")
    assert str(refused.value) == message


def test_an_elapsed_time_beside_texts_counts_from_now(tmp_path: Path) -> None:
    import openpyxl

    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (["id", "key", "expires"], ["a", "x", timedelta(days=30)], ["b", "y", "2101-01-31"], ["c", "z", "30d"]):
        sheet.append(row)
    book.save(tmp_path / "t.xlsx")
    before = datetime.now(UTC)
    elapsed, dated, written = (document["expires"] for document in documents(tmp_path / "t.xlsx"))
    assert before <= datetime.fromisoformat(elapsed) - timedelta(days=30) <= datetime.now(UTC)
    assert (dated, written) == ("2101-01-31T00:00:00Z", elapsed)


@pytest.mark.parametrize("door", ["table", "parquet", "file", "stream"])
def test_a_column_of_json_has_its_values(tmp_path: Path, door: str) -> None:
    cells = pa.array(['{"a": [1, 1.5]}', None, "[true]", '"text"', "not JSON"], pa.json_(pa.utf8()))
    table = pa.table({"id": list("abcde"), "key": list("vwxyz"), "data": cells})
    *rows, last = open_table(save_arrow(table, tmp_path, door))
    fields = [(row.document or {}).get("metadata", {}).get("data") for row in rows]
    assert fields == [{"a": [1, 1.5]}, None, [True], "text"]
    assert last.flaw.startswith("column 'data': it is not JSON")


@pytest.mark.parametrize("door", ["table", "parquet", "file", "stream"])
@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(1)], ids=str)
def test_a_column_of_bytes_is_refused_once_by_its_name(tmp_path: Path, door: str, kind: pa.DataType) -> None:
    source = save_arrow(pa.table({"id": ["a"], "key": ["x"], "raw": pa.array([b"a"], kind)}), tmp_path, door)
    with pytest.raises(softkv.Invalid, match=r"column 'raw' holds bytes \(.*leave it out with skip='raw'"):
        open_table(source)
    assert documents(source, skip=["raw"]) == [{"id": "a", "key": "x"}]


def save_arrow(table: pa.Table, folder: Path, door: str) -> Any:
    """Return the table itself, or a file of it."""
    path = folder / ("t.parquet" if door == "parquet" else "t.arrow")
    if door == "parquet":
        pq.write_table(table, path)
    elif door != "table":
        new = pa.ipc.new_file if door == "file" else pa.ipc.new_stream
        with new(str(path), table.schema) as writer:
            writer.write_table(table)
    return table if door == "table" else path


def test_the_own_id_and_key_of_a_line_of_beir_are_metadata(tmp_path: Path) -> None:
    line = {"_id": "d1", "title": "Cats", "text": "purr", "id": 17, "key": "cat-17"}
    text_file(tmp_path / "corpus.jsonl", json.dumps(line) + '\n{"_id": "d2", "text": ["a"]}\n')
    first, second = open_table(tmp_path)
    assert first.document == {"id": "d1", "key": "Cats purr", "metadata": {"id": 17, "key": "cat-17", "title": "Cats"}}
    assert second.flaw == 'it is not a document: expected {"_id": …, "title": "a text", "text": "a text"}'


def test_vectors_of_decimals_are_vectors(tmp_path: Path) -> None:
    vectors = pa.array([[Decimal("0.1"), Decimal("0.2")]], pa.list_(pa.decimal128(4, 2)))
    pq.write_table(pa.table({"id": ["a"], "key_vector": vectors}), tmp_path / "t.parquet")
    assert documents(tmp_path / "t.parquet")[0]["key_vector"] == [0.1, 0.2]


def zipped(*names: str, flags: int = 0) -> bytes:
    """Return a zip of small files; flags are those of its files, such as 1 for encrypted."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in names:
            archive.writestr(name, "id,key\na,b\n")
    return content.getvalue().replace(b"PK\1\2\x14\3\x14\0\0", b"PK\1\2\x14\3\x14\0" + bytes([flags]))


def safe(head: str) -> bytes:
    """Return a file of safetensors with this head, and no numbers."""
    return len(head).to_bytes(8, "little") + head.encode()


UNREADABLE: list[tuple[str, bytes, dict[str, Any], str]] = [
    ("t.npy.gz", gzip.compress(b""), {}, "is packed, as which only texts are read: unpack it"),
    ("t.npy.zip", zipped("a.npy"), {}, "is packed, as which only texts are read: unpack it"),
    ("t.tar.xz", lzma.compress(b""), {}, "ends in none of .*: unpack it, and load the files in it"),
    ("t.csv.xz", b"no xz", {}, r"t\.csv\.xz cannot be read, and may be damaged"),
    ("t.csv.zip", b"PK", {}, "cannot be read, and may be damaged: File is not a zip file"),
    ("t.zip", zipped("a.csv", "b.csv"), {}, r"several files, its files are a\.csv, b\.csv: name one with member=…"),
    ("t.zip", zipped(*map(str, range(12))), {"member": "x"}, "no single file 'x', its files are 0, .* and 2 others"),
    ("t.zip", zipped("a.csv", flags=1), {}, "is encrypted: unpack it"),
    ("t.zip", zipped("a.csv.gz"), {}, r"holds a\.csv\.gz, which is packed again: unpack it"),
    ("t.zip", zipped("/etc/passwd"), {}, "t.zip holds passwd, which ends in none of"),
    ("t.zip", zipped("a/", ".b.csv", "a/._c.csv", "__MACOSX/d.csv"), {}, "holds no files: pack a table into it"),
    ("t.csv", b'"id,key\n', {}, "cannot be read from line 1 on: a quotation mark in it is never closed"),
    ("t.csv", b"1,x\n", {"no_header": True}, "are 1, 2 .*, or all columns, columns=…"),
    ("t.txt", b"a line of words\n", {}, "is read as vectors of words, and its first line is not"),
    ("t.vec", b"2 0\na\nb\n", {}, "its first line is not a word and its numbers"),
    ("t.bin", b"\xba\x16O/", {}, "is not in the binary format of word2vec: save vectors of fastText as .vec"),
    ("t.bin", b"2 99999999999\na 1234", {}, "is not in the binary format of word2vec"),
    ("t.vec", b"2 99999999999999999999\na 1\n", {}, "its first line is not a word and its numbers"),
    ("t.bin", b"2 1\na 1234b 123", {}, "ends in word 2 of 2: it is cut, or a word has a space"),
    ("t.bin", b"1 1\na b 1234", {}, "has more bytes than 1 words"),
    ("t.bin", b"2 1\na b \0\0\0Ac 1234", {}, "has no text as word 2: save it as .vec, or a word before has a space"),
    ("t.csv", b"id,key\n", {"quoting": "all"}, "wanted quoting csv or none, got 'all'"),
    ("t.csv", b"id,key\n", {"header_row": 9}, "has no line 9: name the one of the header"),
    ("t.csv", b"1,2\n", {"columns": ["a"]}, "has 2 cells in its first row, and 1 columns are named"),
    ("t.mat", b"MATLAB 5.0 MAT-file", {}, r"is of MATLAB before 7\.3: save it with -v7\.3, or as \.npz with scipy"),
    ("t.h5ad", b"", {}, "is not an HDF5 file"),
    ("t.pt", b"PK", {}, "to unpickle it would run code: save its vectors as .safetensors or .npy, and its ids"),
    ("t.safetensors", b"\xff" * 8, {}, "is not a file in .safetensors format that can be read: its head is cut"),
    ("t.safetensors", safe('{"a": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 8]}}'), {}, "'a' is cut"),
    ("t.safetensors", safe('{"a": {"dtype": "F8_E4M3", "shape": [], "data_offsets": [0, 1]}}'), {}, "'a' is F8_E4M3"),
    ("t.safetensors", safe('{"a": [1]}'), {}, "is not a file in .safetensors format"),
    ("bulk.ndjson", b'{"index": {"_id": "1"}}\n{"key": "a"}\n', {}, "no column 'id', its columns are key, _id: name"),
    ("t.json", b'{"ids": ["a"], "documents": []}', {}, "has lists of different lengths: ids 1, documents 0"),
    ("t.json", b'{"points": {"a": [1]}}', {}, "is not a JSON array"),
]


@pytest.mark.parametrize(("name", "content", "options", "words"), UNREADABLE, ids=[case[0] for case in UNREADABLE])
def test_a_file_that_is_not_read_is_refused_with_advice(
    tmp_path: Path, name: str, content: bytes, options: dict[str, Any], words: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(softkv.Invalid, match=words):
        open_table(tmp_path / name, **options)


FOLDERS: list[tuple[dict[str, str], str, str]] = [
    ({"dataset_dict.json": "{}", "train/state.json": "{}"}, "", "is a folder for each split, train: name one of them"),
    ({"train-0-of-1.csv": "", "test-0-of-1.csv": ""}, "", r"has several splits, test, train: .* of one, as test-\*"),
    (
        {"a.csv": "id,key\n", "b.csv": "id,text\n"},
        "",
        "other columns than a.csv, id, text: give them .* a.csv, id, key,",
    ),
    ({"state.json": '{"_data_files": [{"filename": "/etc/passwd.csv"}]}', "a.csv": ""}, "", "name a file"),
    ({"_a.csv": "", ".b.csv": "", "c.pdf": ""}, "", "has no corpus.jsonl as of BEIR, nor Parquet, Arrow, NDJSON or"),
    ({"a.csv": ""}, "b*.csv", "is a pattern of no file"),
]


@pytest.mark.parametrize("open_", [outside.open_table, open_table], ids=["process", "here"])
@pytest.mark.parametrize(("files", "pattern", "words"), FOLDERS)
def test_a_folder_that_is_not_one_table_is_refused(
    tmp_path: Path, files: dict[str, str], pattern: str, words: str, open_: Any
) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    with pytest.raises(softkv.Invalid, match=words):
        open_(tmp_path / pattern)


def test_a_word_without_its_numbers_refuses_its_line_alone(tmp_path: Path) -> None:
    (tmp_path / "t.vec").write_bytes(b"5 2\na 1 2\nb 1\nc 1 x\n\xff 1 2\n")
    found = {number: flaw for number, _, flaw in flaws(tmp_path / "t.vec")}
    assert found.pop(6) == "the file ends before it, and its first line counts 5 words: it is cut"
    assert found == dict.fromkeys([3, 4, 5], "expected a word in UTF-8 and 2 numbers")


@pytest.mark.parametrize("open_", [outside.open_table, open_table], ids=["process", "here"])
def test_the_folder_of_a_shell_is_read_as_any_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, open_: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text("id,key\na,b\n")
    assert [row.document for row in open_(Path())] == [{"id": "a", "key": "b"}]


def test_a_file_in_a_zip_may_have_any_name(tmp_path: Path) -> None:
    (tmp_path / "t.zip").write_bytes(zipped("../../a.csv", "x/.b.csv"))
    for options in ({}, {"member": "x/.b.csv"}):
        assert documents(tmp_path / "t.zip", **options) == [{"id": "a", "key": "b"}]


@pytest.mark.parametrize("ending", ["gz", "bz2", "xz", "zst", "zip"])
def test_a_packed_file_that_grows_too_much_is_refused(tmp_path: Path, ending: str) -> None:
    path, long = tmp_path / f"t.json.{ending}", bytes(LEAST_LIMIT + 1)
    match ending:
        case "gz" | "bz2":
            path.write_bytes((gzip if ending == "gz" else bz2).compress(long, 1))
        case "xz":
            path.write_bytes(lzma.compress(long, preset=0))
        case "zst":
            path.write_bytes(pa.compress(long, "zstd", asbytes=True))
        case "zip":
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr("t.json", long)
    with pytest.raises(softkv.Invalid, match=r"t\.json\..* unpacks to more than 67,108,864 bytes: unpack it, and load"):
        open_table(path)


@pytest.mark.parametrize("mark", ["sep=;\r\n", "SEP=;\n", '"sep=;"\n', "\ufeffsep=;\n", "sep=|\n", "sep=\t\n"])
def test_a_first_line_that_names_the_delimiter_is_not_a_row(tmp_path: Path, mark: str) -> None:
    delimiter = next(sign for sign in ";|\t" if sign in mark)
    (tmp_path / "t.csv").write_text(f"{mark}id{delimiter}key\na{delimiter}cats, dogs\n", encoding="utf-8")
    (row,) = open_table(tmp_path / "t.csv")
    assert (row.number, row.document) == (3, {"id": "a", "key": "cats, dogs"})
