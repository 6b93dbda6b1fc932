"""Files as the explorer reads them: CSV as Python's module does, Parquet as pyarrow does; what a column becomes."""

from __future__ import annotations

import csv
import io
import json
from base64 import b64encode
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest

from softkv.tables import open_table
from tests.node import ROOT, checked, node

pytestmark = pytest.mark.node

SCRIPT = Path("tests", "browser", "explore", "read_files.mjs")
LETTERS = ["a", "é", "日", "😀", " ", '"', '""', ",", ";", "\t", "\n", "\r\n", "\r", "0", "-1.5"]


def ask(**given: Any) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(checked(node(ROOT, SCRIPT, given=json.dumps(given))))
    return answer


def read(name: str, content: str | bytes, **options: Any) -> dict[str, Any]:
    """Return what a file is read as."""
    data = content.encode() if isinstance(content, str) else content
    file: dict[str, Any] = ask(files=[{"name": name, "base64": b64encode(data).decode(), **options}])["files"][0]
    return file


def documents(read_file: dict[str, Any]) -> list[Any]:
    return [made["document"] for made in read_file["made"] if "document" in made]


def test_csv_is_read_as_python_reads_it() -> None:
    random = Random(46)
    texts, wanted = [], []
    for _ in range(400):
        delimiter = random.choice(",;\t|")
        text = "".join(random.choice([*LETTERS, delimiter, delimiter]) for _ in range(random.randrange(40)))
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row]
        cuts = sorted({0, len(text), *(random.randrange(len(text) + 1) for _ in range(3))})
        texts.append({"delimiter": delimiter, "pieces": [text[a:b] for a, b in pairwise(cuts)]})
        wanted.append(rows)
    got = [[record["cells"] for record in records] for records in ask(texts=texts)["records"]]
    assert got == wanted


def test_written_csv_is_read_back_unchanged() -> None:
    random = Random(47)
    cells = [["".join(random.choices(LETTERS, k=random.randrange(6))) for _ in range(3)] for _ in range(300)]
    lines = ask(cells=cells)["lines"]
    assert list(csv.reader(io.StringIO("".join(lines), newline=""))) == cells


def test_a_record_tells_the_line_that_it_begins_in() -> None:
    text = 'a,b\r\n"x\r\ny",1\r\n\r\nz,2\n"open\nto the end'
    pieces = list(text)  # every place may be the end of a piece
    got = ask(texts=[{"delimiter": ",", "pieces": pieces}])["records"][0]
    assert [(record["line"], record["open"]) for record in got] == [(1, False), (2, False), (5, False), (6, True)]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_csv_tells_its_delimiter_and_its_columns(delimiter: str, encoding: str) -> None:
    rows = [
        ["id", "title", "year", "zip", "lent", "tags"],
        ["a1", 'Cats, "big"; and\nsmall', "1993", "01234", "true", '["pets"]'],
        ["a2", "Hunde, die bellen", "2004", "56789", "FALSE", "[]"],
        ["a3", "", "", "", "", ""],
    ]
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows(rows)
    file = read("books.csv", text.getvalue().encode(encoding))
    assert file["mapping"]["roles"] == {
        "id": "id",
        "title": "key",
        "year": "metadata",
        "zip": "metadata",
        "lent": "metadata",
        "tags": "metadata",
    }
    metadata = {"year": 1993, "zip": "01234", "lent": True, "tags": ["pets"]}
    first, second = documents(file)
    assert first == {"id": "a1", "key": 'Cats, "big"; and\nsmall', "metadata": metadata}
    assert second["metadata"] == {"year": 2004, "zip": "56789", "lent": False, "tags": []}
    assert file["made"][2] == {"line": 5, "flaw": {"name": "flaw.empty", "places": {"column": "title"}}}


def test_unreadable_rows_are_listed_with_their_lines() -> None:
    file = read("books.csv", "title,year\ncats,1993\ndogs,1994,more\nbirds\n\nfish,1995\n")
    assert [made["line"] for made in file["made"]] == [2, 3, 4, 6]
    assert file["made"][1]["flaw"] == {"name": "flaw.cells", "places": {"cells": 3, "columns": 2}}
    assert file["survey"]["flawed"] == 1
    assert [document["id"] for document in documents(file)] == ["books-2", "books-4", "books-6"]


def test_a_csv_without_names_or_in_another_encoding() -> None:
    file = read("words.csv", "1,keeping cats\n2,keeping dogs\n")
    assert file["survey"]["rows"] == 2
    assert [document["key"] for document in documents(file)] == ["keeping cats", "keeping dogs"]
    assert read("words.csv", "a,b\nc,d\n", reading={"named": False})["survey"]["rows"] == 2
    chinese = "书名,年份\n养猫,1993\n".encode("gb18030")
    assert read("books.csv", chinese)["unreadable"]["name"] == "file.encoding"
    assert documents(read("books.csv", chinese, reading={"encoding": "gb18030"}))[0]["key"] == "养猫"


def test_ndjson_and_a_json_array_are_distinguished() -> None:
    rows = [{"title": "cats", "author": {"name": "Ada"}}, {"title": "dogs", "pages": 3}, 7]
    for name, text in (
        ("a.json", json.dumps(rows)),
        ("a.ndjson", "\n".join(map(json.dumps, rows)) + "\n{oh"),
    ):
        file = read(name, text)
        assert [document["key"] for document in documents(file)] == ["cats", "dogs"]
        assert documents(file)[0]["metadata"] == {"author": {"name": "Ada"}}
        flaws = [made["flaw"]["name"] for made in file["made"] if "flaw" in made]
        assert flaws == ["flaw.object"] + ["flaw.json"] * (name == "a.ndjson")
    assert read("a.json", "[1, 2")["unreadable"]["name"] == "file.json"
    assert read("a.csv", "")["unreadable"]["name"] == "file.empty"


def test_an_export_is_sent_as_it_is() -> None:
    exported = [{"id": "a", "key": "cats", "metadata": {"year": 1993}}, {"id": "b", "key": None, "value": {"x": 1}}]
    file = read("export.ndjson", "\n".join(map(json.dumps, exported)))
    assert file["mapping"]["whole"]
    assert documents(file) == exported


@pytest.mark.parametrize("compression", ["none", "snappy", "gzip", "zstd", "lz4"])
def test_parquet_is_read_as_pyarrow_reads_it(tmp_path: Path, compression: str) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    parquet = pytest.importorskip("pyarrow.parquet")
    count = 250
    columns = {
        "id": pyarrow.array(range(count), pyarrow.int64()),
        "text": [f"row {i} of them ⚑" if i % 7 else None for i in range(count)],
        "big": pyarrow.array([2**60 + i for i in range(count)], pyarrow.int64()),
        "share": [i / 7 if i % 5 else float("nan") for i in range(count)],
        "vector": pyarrow.array([[i, 0.5] for i in range(count)], pyarrow.list_(pyarrow.float32())),
        "day": [date(2026, 1, 1 + i % 28) for i in range(count)],
        "at": [datetime(2026, 1, 1, i % 24, tzinfo=UTC) for i in range(count)],
        "author": [{"name": f"A{i % 3}", "born": 1900 + i % 90} for i in range(count)],
    }
    file = tmp_path / "rows.parquet"
    parquet.write_table(pyarrow.table(columns), file, compression=compression, row_group_size=100)
    got = read("rows.parquet", file.read_bytes(), encodes=False)
    assert got["format"] == "parquet"
    assert got["survey"]["rows"] == count
    assert {name for name, role in got["mapping"]["roles"].items() if role != "metadata"} == {"id", "text", "vector"}
    row = documents(got)[8]
    assert row["id"] == "8"
    assert row["key"] == "row 8 of them ⚑"
    assert row["key_vector"] == [8, 0.5]
    assert row["metadata"] == {
        "big": str(2**60 + 8),
        "share": 8 / 7,
        "day": "2026-01-09",
        "at": "2026-01-01T08:00:00.000Z",
        "author": {"name": "A2", "born": 1908},
    }
    assert "share" not in documents(got)[10]["metadata"]
    assert read("rows.parquet", file.read_bytes())["mapping"]["roles"]["vector"] == "skip"


CELLS = [
    *[
        "0",
        "7",
        "-7",
        "01234",
        "1.10",
        "1.0",
        "2.5",
        "-0",
        "-0.0",
        "1e5",
        "1e-07",
        "1e-7",
        "1E5",
        "+1",
        ".5",
        "5.",
        " 7",
    ],
    *["0.0001", "0.00001", "1e-05", "1e+16", "1e16", "1000000000000000.0", "123456789012345680000.0", "1e999"],
    *[
        "NaN",
        "9007199254740991",
        "12345678901234567890123",
        "TRUE",
        "False",
        "true",
        "yes",
        "[1, 2]",
        "[1",
        '["a"]',
    ],
    *["[]", '{"n": 1}', "{}", "null", '"x"', "1,5", "0x10", "Infinity"],
]


def test_a_csv_is_the_same_documents_as_in_python(tmp_path: Path) -> None:
    """Each cell makes a column of itself, and columns with others."""
    random = Random(60)
    columns = [[cell] * 3 for cell in CELLS] + [random.choices(CELLS, k=3) for _ in range(300)]
    columns += [random.choices(["TRUE", "False", ""], k=3), random.choices(["1", "2.5", "1e-07", ""], k=3)]
    rows = [["id", "key", *(f"c{i}" for i in range(len(columns)))]]
    rows += [[f"r{i}", f"key {i}", *(column[i] for column in columns)] for i in range(3)]
    path = tmp_path / "t.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=";").writerows(rows)
    assert documents(read("t.csv", path.read_bytes(), encodes=False)) == [row.document for row in open_table(path)]


def test_a_key_of_spaces_counts_as_missing() -> None:
    made = read("t.csv", "id,key\na,cats\nb, \n")["made"]
    assert [made_row.get("flaw", {}).get("name") for made_row in made] == [None, "flaw.empty"]


def test_rows_that_are_documents_are_the_same_as_in_python(tmp_path: Path) -> None:
    path = tmp_path / "t.ndjson"
    path.write_text('{"id": 7, "key": "cats", "expires": "2126-01-01T00:00:00Z"}\n{"id": "b", "key": "x"}\n')
    assert documents(read("t.ndjson", path.read_bytes())) == [row.document for row in open_table(path)]
