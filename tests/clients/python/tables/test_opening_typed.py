"""Typed tables: Parquet, Arrow, DataFrames, spreadsheets, arrays, HDF5, BEIR and batch results."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

import softkv
from softkv.tables import read_questions
from tests.clients.python.tables.here import open_table
from tests.clients.python.tables.test_opening import documents, flaws

BOOKS = [
    {"id": "a/1", "key": "cats, and 猫", "value": "Possum", "metadata": {"year": 1939, "open": True}},
    {"id": "b", "key": "chess", "value": "My 60\nGames", "metadata": {"year": 1969, "open": False}},
]
FLAT = [{**{n: c for n, c in book.items() if n != "metadata"}, **book["metadata"]} for book in BOOKS]  # type: ignore[dict-item]
UUIDS = [UUID(int=7), UUID(int=2**100)]
VECTORS = np.array([[1, 0.25], [0.5, -3]], np.float32)


def vectors_of(read: list[dict[str, Any]]) -> list[list[float]]:
    return [np.asarray(document["key_vector"]).tolist() for document in read]


def stored(table: pa.Table, way: str, folder: Path) -> Any:
    """A table in one of the ways in which Arrow's data come."""
    match way:
        case "parquet":
            pq.write_table(table, folder / "t.parquet")
            return folder / "t.parquet"
        case "feather":
            pyarrow.feather.write_feather(table, folder / "t.feather")
            return folder / "t.feather"
        case "stream":
            with pa.ipc.new_stream(folder / "t.arrow", table.schema) as stream:
                stream.write_table(table)
            return folder / "t.arrow"
    return table


@pytest.mark.parametrize("way", ["parquet", "feather", "stream", "table"])
def test_tables_of_arrow(tmp_path: Path, way: str) -> None:
    assert documents(stored(pa.Table.from_pylist(FLAT), way, tmp_path)) == BOOKS
    assert documents(stored(pa.Table.from_pylist(BOOKS), way, tmp_path)) == BOOKS
    columns = {"id": [1, 2], "text": ["cats", None], "embedding": VECTORS.tolist(), "tags": [[["x"], []], None]}
    assert documents(stored(pa.table(columns), way, tmp_path), key="text", vector="embedding", skip=["tags"]) == [
        {"id": "1", "key": "cats", "key_vector": [1, 0.25]},
        {"id": "2", "key_vector": [0.5, -3]},
    ]


@pytest.mark.parametrize("way", ["parquet", "table"])
@pytest.mark.parametrize("kind", [pa.binary(16), pa.binary(), pa.large_binary(), pa.uuid()])
def test_the_bytes_of_a_uuid_are_its_text(tmp_path: Path, way: str, kind: pa.DataType) -> None:
    ids = pa.array([uuid.bytes for uuid in UUIDS], pa.binary(16) if kind == pa.uuid() else kind).cast(kind)
    read = documents(stored(pa.table({"id": ids, "key": ["cats", "chess"]}), way, tmp_path))
    assert [document["id"] for document in read] == [str(uuid) for uuid in UUIDS]


def test_several_keys_and_nested_values() -> None:
    table = pa.table(
        {
            "id": ["a"],
            "key_vectors": [[[1.0, 0.0], [0.0, 1.0]]],
            "value": [{"n": [1, 2], "day": date(2024, 1, 2)}],
            "metadata": [{"year": 1939, "none": None}],
        }
    )
    assert documents(table) == [
        {
            "id": "a",
            "key_vectors": [[1, 0], [0, 1]],
            "value": {"n": [1, 2], "day": "2024-01-02"},
            "metadata": {"year": 1939},
        }
    ]


def test_a_field_in_metadata_and_beside_it_is_refused() -> None:
    table = pa.table({"id": ["a"], "key": ["k"], "metadata": [{"year": 1}], "year": [2]})
    assert flaws(table) == [(1, "a", "the field 'year' comes twice, in 'metadata' and in a column of its own")]


def test_a_column_of_vectors_that_becomes_metadata_has_a_notice() -> None:
    table = pa.table({"id": ["a"], "key": ["k"], "embedding": [[1.0, 2.0]]})
    assert open_table(table).notices == [
        "the table: column 'embedding' becomes metadata; vector='embedding' makes it the vectors of the keys, "
        "and skip='embedding' leaves it out"
    ]
    assert open_table(table, vector="embedding").notices == []


def test_data_frames() -> None:
    assert documents(pd.DataFrame(FLAT)) == BOOKS
    frame = pd.DataFrame(
        {"id": [1, 2], "key": ["cats", None], "n": [1.5, None], "at": pd.to_datetime(["2024-01-02", None])}
    )
    assert documents(frame) == [
        {"id": "1", "key": "cats", "metadata": {"n": 1.5, "at": "2024-01-02T00:00:00"}},
        {"id": "2"},
    ]
    with pytest.raises(softkv.Invalid, match="two columns named 'key'"):
        open_table(pd.DataFrame([[1, "a", "b"]], columns=["id", "key", "key"]))
    with pytest.raises(softkv.Invalid, match="which are one field"):
        open_table(pd.DataFrame({"id": [1], "key": ["a"], "year": [1], "metadata.year": [2]}))


def test_a_spreadsheet(tmp_path: Path) -> None:
    pytest.importorskip("python_calamine")
    openpyxl = pytest.importorskip("openpyxl")
    path = tmp_path / "books.xlsx"
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append([])
    sheet.append(["Nr", "Question", "zip", "day", "at", "length", "open", "size"])
    sheet.append([1, "cats", "01234", date(2024, 1, 2), time(3, 4), timedelta(hours=30), True, 2.5])
    sheet.append([2, None, 99999, datetime(2024, 1, 2, 3, 4, 5)])
    book.create_sheet("notes")
    book.save(path)
    assert documents(path, id="Nr", key="Question") == [
        {
            "id": "1",
            "key": "cats",
            "metadata": {
                "zip": "01234",
                "day": "2024-01-02",
                "at": "03:04:00",
                "length": 108000.0,
                "open": True,
                "size": 2.5,
            },
        },
        {"id": "2", "metadata": {"zip": "99999", "day": "2024-01-02T03:04:05"}},
    ]
    table = open_table(path, id="Nr", key="Question")
    assert table.notices == [
        "books.xlsx: only its sheet 'Sheet' is read, not notes; sheet=… names another",
        "books.xlsx: column 'zip' has texts among others, such as '01234' in row 3, so all its cells become texts; "
        "mend it, or number='zip' refuses such rows, and with odd='empty' leaves such cells empty",
    ]
    assert [row.number for row in table] == [3, 4]
    path.write_bytes(b"no")
    with pytest.raises(softkv.Invalid, match="is not a spreadsheet"):
        open_table(path)


@pytest.mark.parametrize("kind", ["<f4", "<f8", "<f2", "<i8", ">f4"])
def test_vectors_of_numpy(tmp_path: Path, kind: str) -> None:
    vectors = np.arange(6).reshape(2, 3).astype(kind)
    np.save(tmp_path / "books.npy", vectors)
    numbered = documents(tmp_path / "books.npy")
    assert [document["id"] for document in numbered] == ["0", "1"]
    assert vectors_of(numbered) == vectors.tolist()
    (tmp_path / "books.ids.txt").write_text("\ufeffa/1\r\nb\r\n\n", encoding="utf-8")
    read = documents(tmp_path / "books.npy")
    assert [document["id"] for document in read] == ["a/1", "b"]
    assert vectors_of(read) == vectors.tolist()


def test_vectors_beside_their_documents(tmp_path: Path) -> None:
    np.save(tmp_path / "books.npy", VECTORS)
    pd.DataFrame(FLAT).to_csv(tmp_path / "books.csv", index=False)
    (tmp_path / "books.ndjson").write_text("".join(json.dumps(book) + "\n" for book in BOOKS), encoding="utf-8")
    for ids in ("books.csv", "books.ndjson"):
        read = documents(tmp_path / "books.npy", ids=tmp_path / ids)
        assert vectors_of(read) == VECTORS.tolist()
        assert [document | {"key_vector": None} for document in read] == [book | {"key_vector": None} for book in BOOKS]
    with pytest.raises(softkv.Invalid, match="has ids already"):
        open_table(tmp_path / "books.csv", ids=tmp_path / "books.ndjson")


def test_arrays_of_one_file(tmp_path: Path) -> None:
    path = tmp_path / "books.npz"
    np.savez(
        path,
        ids=np.array(["a", "b"]),
        embeddings=VECTORS,
        year=np.array([1, 2]),
        at=np.array(["2024", "NaT"], "M8[ns]"),
    )
    read = documents(path, id="ids", vector="embeddings")
    assert vectors_of(read) == VECTORS.tolist()
    assert [(document["id"], document["metadata"]) for document in read] == [
        ("a", {"year": 1, "at": "2024-01-01T00:00:00"}),
        ("b", {"year": 2}),
    ]
    with pytest.raises(softkv.Invalid, match="no column of keys, its columns are ids, embeddings, year, at"):
        open_table(path)
    np.savez(path, a=np.ones(2), b=np.ones(3))
    with pytest.raises(softkv.Invalid, match="different lengths, so they cannot be a table: a 2, b 3"):
        open_table(path)


def test_vectors_of_the_benchmarks(tmp_path: Path) -> None:
    small = np.array([[1, 2, 255], [0, 7, 9]])
    files = {
        "t.fvecs": b"".join(np.int32(2).tobytes() + row.tobytes() for row in VECTORS),
        "t.bvecs": b"".join(np.int32(3).tobytes() + row.astype("u1").tobytes() for row in small),
        "t.fbin": np.array(VECTORS.shape, "<u4").tobytes() + VECTORS.tobytes(),
        "t.u8bin": np.array(small.shape, "<u4").tobytes() + small.astype("u1").tobytes(),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        read = documents(tmp_path / name)
        assert vectors_of(read) == (VECTORS if name in ("t.fvecs", "t.fbin") else small).tolist()
        assert [document["id"] for document in read] == ["0", "1"]
        (tmp_path / name).write_bytes(content[:-1])
        with pytest.raises(softkv.Invalid, match="is not a file in"):
            open_table(tmp_path / name)


def test_a_set_of_ann_benchmarks(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "t-2-angular.hdf5"
    with h5py.File(path, "w") as file:
        file.attrs["distance"] = "angular"
        file["train"] = VECTORS
        file["test"] = VECTORS[:1]
        file["neighbors"] = np.zeros((1, 1), int)
        file["names"] = ["cats", "chess"]
    table = open_table(path)
    assert table.settings == {"encoder": None, "similarity": "cosine"}
    assert table.notices[0].endswith(": left out, since they are of questions: neighbors, test")
    read = documents(path)
    assert vectors_of(read) == VECTORS.tolist()
    assert [document["metadata"] for document in read] == [{"names": "cats"}, {"names": "chess"}]
    assert [document["id"] for document in documents(path, id="names", vector="train")] == ["cats", "chess"]
    assert len(documents(path, vector="test")) == 1
    with pytest.raises(softkv.Invalid, match="no data set 'x', its data sets are names, neighbors, test, train"):
        open_table(path, vector="x")


def test_a_folder_of_beir(tmp_path: Path) -> None:
    corpus = [
        {"_id": "d1", "title": "Possum", "text": "cats", "metadata": {"year": 1939}},
        {"_id": "d2", "title": "", "text": "chess", "metadata": {}},
    ]
    (tmp_path / "corpus.jsonl").write_text("".join(json.dumps(line) + "\n" for line in corpus))
    queries = [{"_id": "q1", "text": "a pet"}, {"_id": "q2", "text": "war"}]
    (tmp_path / "queries.jsonl").write_text("".join(json.dumps(line) + "\n" for line in queries))
    (tmp_path / "qrels").mkdir()
    judged = "query-id\tcorpus-id\tscore\nq1\td1\t1\nq1\td2\t2\nq2\td1\t0\n"
    (tmp_path / "qrels" / "test.tsv").write_text(judged)
    assert documents(tmp_path) == [
        {"id": "d1", "key": "Possum cats", "metadata": {"title": "Possum", "year": 1939}},
        {"id": "d2", "key": "chess"},
    ]
    path = tmp_path / "qrels" / "test.tsv"
    questions = {
        f"line 2 of {path}": {"query": "a pet", "id": "d1"},
        f"line 3 of {path}": {"query": "a pet", "id": "d2"},
        f"line 4 of {path}": {"query": "war", "id": None},
    }
    assert read_questions(tmp_path) == (questions, {}, ())
    (tmp_path / "qrels" / "dev.tsv").write_text(judged)
    assert read_questions(path) == (questions, {}, ())
    with pytest.raises(softkv.Invalid, match=r"dev\.tsv, .*test\.tsv"):
        read_questions(tmp_path)


def test_judgements_that_cannot_be_read_are_left_out_with_their_places(tmp_path: Path) -> None:
    lines = ['{"_id": "q1", "text": "a pet"}', '{"_id": "q2"}', "{", '{"_id": "q4", "text": "war"}']
    queries = tmp_path / "queries.jsonl"
    queries.write_text("\n".join([*lines, '{"text": "peace"}', '{"_id": "q6", "text": "a pet"}']))
    path = tmp_path / "qrels" / "test.tsv"
    path.parent.mkdir()
    judged = [
        "q1\td1\t1.0",
        "q2\td1\t1",
        "q4\td1\tmany",
        "q4\td2\t0",
        "q6\td3\t-1",
        "",
        "q1\t\t1",
        "q1 d1 1",
        "q4\t0\td3\t0.0",
        "q4\td4\tinf",
        "q1\td5\tnan",
        "q1\td1\t1",
    ]
    path.write_bytes("\r\n".join(judged).encode())
    questions, left_out, _ = read_questions(tmp_path)
    # "war" has a judgement that cannot be read, and "a pet" an answer under another id: neither is without an answer.
    assert questions == {f"line 1 of {path}": {"query": "a pet", "id": "d1"}}
    assert {place: reason.partition(":")[0] for place, reason in left_out.items()} == {
        f"line 2 of {queries}": "it is not a query",
        f"line 3 of {queries}": "it is not JSON",
        f"line 5 of {queries}": "it is not a query",
        **{
            f"line {line} of {path}": "expected a query of queries.jsonl, a document and a score, got "
            + repr(judged[line - 1])
            for line in (2, 3, 7, 8, 10, 11)
        },
    }


def test_questions_of_a_table(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("Question;Nr\ncats?;1\nwar?;\n")
    assert read_questions(path, query="Question", id="Nr").labelled == {
        f"line 2 of {path}": {"query": "cats?", "id": "1"},
        f"line 3 of {path}": {"query": "war?", "id": None},
    }
    with pytest.raises(softkv.Invalid, match="no column 'query', its columns are Question, Nr"):
        read_questions(path)


def test_results_of_batches_of_openai(tmp_path: Path) -> None:
    def result(name: str, *embeddings: Any, error: Any = None) -> str:
        content = [{"object": "embedding", "index": i, "embedding": vector} for i, vector in enumerate(embeddings)]
        body = {"object": "list", "data": content, "model": "m"} if embeddings else {"error": {"message": "too long"}}
        response = {"status_code": 200 if embeddings else 400, "request_id": "r", "body": body}
        return json.dumps({"id": "batch_req", "custom_id": name, "response": response, "error": error})

    lines = [result("a", [1, 0.25]), result("b", [0.5, -3], [1, 2]), result("c")]
    (tmp_path / "out.jsonl").write_text("\n".join(lines))
    rows = list(open_table(tmp_path / "out.jsonl"))
    assert [(row.id, row.flaw) for row in rows] == [
        ("a", ""),
        ("b/0", ""),
        ("b/1", ""),
        (None, "the call 'c' has no embeddings: too long"),
    ]


@pytest.mark.parametrize(
    "line",
    [
        '{"custom_id": "b", "response": 5}',
        '{"custom_id": "b", "response": {"body": [1]}}',
        '{"custom_id": "b", "response": {"body": {"data": [1]}}}',
        '{"custom_id": "b", "response": {"body": {"data": [], "error": "x"}}, "error": 7}',
        '{"custom_id": "b", "response": {"body": {"error": {"message": 7}}}}',
    ],
)
def test_a_line_of_a_batch_in_another_form_refuses_itself_alone(tmp_path: Path, line: str) -> None:
    embedding = '{"object": "embedding", "index": 0, "embedding": [1, 2]}'
    first = f'{{"custom_id": "a", "response": {{"body": {{"data": [{embedding}]}}}}}}'
    (tmp_path / "out.jsonl").write_text(f"{first}\n{line}\n{first.replace('a', 'c', 1)}\n")
    rows = [(row.id, row.flaw) for row in open_table(tmp_path / "out.jsonl")]
    assert rows[1] == (None, "the call 'b' has no embeddings: it failed")
    assert rows[0] == ("a", "")
    assert len(rows) == 3


@pytest.mark.parametrize(
    "head", ['"collection": "x", "settings": []', '"collection": 5, "settings": {}', '"settings": {}']
)
def test_the_head_of_an_export_in_another_form_names_the_missing_part(tmp_path: Path, head: str) -> None:
    (tmp_path / "t.ndjson").write_text(f'{{"softkv_export": 1, {head}}}\n{{"id": "a", "key": "cats"}}\n')
    with pytest.raises(softkv.Invalid, match="lacks the name of the collection, or an object of its settings"):
        open_table(tmp_path / "t.ndjson")


def test_a_package_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, module, package in [
        ("t.parquet", "pyarrow", "pyarrow"),
        ("t.xlsx", "python_calamine", "python-calamine"),
        ("t.hdf5", "h5py", "h5py"),
        ("t.csv.zst", "pyarrow", "pyarrow"),
        ("t.lance", "lance", "pylance"),
    ]:
        (tmp_path / name).write_bytes(b"x")
        monkeypatch.setitem(__import__("sys").modules, module, None)
        with pytest.raises(softkv.Invalid, match=f"pip install {package}"):
            open_table(tmp_path / name)
    (tmp_path / "t.csv.xz").write_bytes(b"x")
    monkeypatch.setitem(__import__("sys").modules, "lzma", None)
    with pytest.raises(softkv.Invalid, match="needs a Python with the module lzma: unpack it"):
        open_table(tmp_path / "t.csv.xz")


def test_files_that_make_no_sense(tmp_path: Path) -> None:
    with pytest.raises(softkv.Invalid, match="is not there"):
        open_table(tmp_path / "t.csv")
    with pytest.raises(softkv.Invalid, match="got int"):
        open_table(3)


@pytest.mark.parametrize("kind", ["frame", "parquet", "xlsx"])
def test_an_id_that_a_float_has_rounded_is_refused(tmp_path: Path, kind: str) -> None:
    frame = pd.DataFrame({"id": [1234567890123456789, 2**53 - 1, None], "key": ["a", "b", "c"]})
    source: Any = frame
    if kind == "parquet":
        pq.write_table(pa.table({"id": frame["id"].tolist(), "key": ["a", "b", "c"]}), source := tmp_path / "t.parquet")
    if kind == "xlsx":
        pytest.importorskip("python_calamine")
        frame.to_excel(source := tmp_path / "t.xlsx", index=False)
    first, second, _ = open_table(source)
    assert "e+18 is a float beyond 2^53, which has lost its last digits: write it as text or Int64" in first.flaw
    assert second.id == "9007199254740991"
    exact = pd.DataFrame({"id": pd.array([1234567890123456789, None], "Int64"), "key": ["a", "b"]})
    assert next(iter(open_table(exact))).id == "1234567890123456789"
    exact["id"] = [Decimal(30000000420000002049), None]
    assert next(iter(open_table(exact))).id == "30000000420000002049"


@pytest.mark.parametrize("kind", ["float16", "float32"])
@pytest.mark.parametrize("door", ["frame", "arrow frame", "parquet", "hdf5"])
def test_an_id_that_a_narrow_float_has_rounded_is_refused(tmp_path: Path, door: str, kind: str) -> None:
    bits = {"float16": 11, "float32": 24}[kind]
    ids, path = np.array([2**bits, 2**bits - 1, 0.5], kind), tmp_path / "t"
    table = pa.table({"id": ids, "key": ["a", "b", "c"]})
    frame = pd.DataFrame({"id": ids, "key": ["a", "b", "c"]})
    source: Any = frame
    match door:
        case "arrow frame":
            source = frame.astype({"id": pd.ArrowDtype(table.schema.field("id").type)})
        case "parquet":
            pq.write_table(table, source := path.with_suffix(".parquet"))
        case "hdf5":
            h5py = pytest.importorskip("h5py")
            with h5py.File(source := path.with_suffix(".h5"), "w") as file:
                file["train"], file["id"] = np.eye(3), ids
    first, second, third = open_table(source)
    assert f"{2.0**bits} is a float beyond 2^{bits}, which has lost its last digits" in first.flaw
    assert second.id == str(2**bits - 1)
    assert "wanted an id as a text or a whole number, got float 0.5" in third.flaw


def test_a_narrow_float_of_metadata_is_a_number(tmp_path: Path) -> None:
    frame = pd.DataFrame({"id": ["a", "b"], "key": ["x", "y"], "size": np.array([2**24, np.nan], "f4")})
    frame.to_parquet(tmp_path / "t.parquet")
    for source in (frame, tmp_path / "t.parquet"):
        assert [document.get("metadata") for document in documents(source)] == [{"size": 16777216.0}, None]


def test_a_question_whose_answer_a_float_has_rounded_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "questions.parquet"
    pd.DataFrame({"query": ["cats", "dogs"], "id": [1234567890123456789, None]}).to_parquet(path)
    questions = read_questions(path)
    assert list(questions.labelled) == [f"row 2 of {path}"]
    assert "is a float beyond 2^53" in questions.left_out[f"row 1 of {path}"]


WITHOUT_PANDAS = """
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name == "pandas":
            raise ImportError
sys.meta_path.insert(0, Hidden())
import pyarrow
from softkv.tables import open_table
for zone in (None, "UTC", "Europe/Berlin"):
    cells = pyarrow.array([1_782_895_800_000_000_001], pyarrow.timestamp("ns", zone))
    (row,) = open_table(pyarrow.table({"id": ["a"], "key": ["b"], "at": cells}))
    print(row.document["metadata"]["at"])
"""


def test_nanoseconds_need_no_pandas() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_PANDAS], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [
        "2026-07-01T08:50:00.000000001",
        "2026-07-01T08:50:00.000000001+00:00",
        "2026-07-01T10:50:00.000000001+02:00",
    ]
