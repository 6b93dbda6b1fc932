"""Tables of every format become the same documents, from files made by the libraries that people make them with."""

from __future__ import annotations

import csv
import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import softkv
from softkv_service.encoding import read_part
from tests.clients.python.tables.here import open_table

BOOKS = [
    {"id": "a/1", "key": "cats, and 猫", "value": 'Old "Possum"', "metadata": {"year": 1939, "shelf": "poetry"}},
    {"id": "b", "key": "chess", "value": "My 60\nMemorable Games", "metadata": {"year": 1969, "shelf": "games"}},
]
FLAT = [{**{n: c for n, c in book.items() if n != "metadata"}, **book["metadata"]} for book in BOOKS]  # type: ignore[dict-item]
NAMES = list(FLAT[0])


def documents(source: Any, **options: Any) -> list[dict[str, Any]]:
    table = open_table(source, **options)
    rows = list(table)
    assert [row.flaw for row in rows if row.flaw] == []
    assert table.total in (None, len(rows))
    return [row.document for row in rows if row.document is not None]


def flaws(source: Any, **options: Any) -> list[tuple[int, str | None, str]]:
    return [(row.number, row.id, row.flaw) for row in open_table(source, **options) if row.flaw]


def write_csv(path: Path, rows: list[list[Any]], encoding: str = "utf-8", **dialect: Any) -> Path:
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file, **dialect).writerows(rows)
    return path


def table_of(*names: str) -> list[list[Any]]:
    """The books as a table with these headings."""
    return [list(names), *([*row.values()] for row in FLAT)]


def text_file(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_a_csv_of_pandas_is_the_same_documents(tmp_path: Path) -> None:
    pd.DataFrame(FLAT).to_csv(tmp_path / "books.csv", index=False)
    assert documents(tmp_path / "books.csv") == BOOKS
    pd.DataFrame(FLAT).to_csv(tmp_path / "books.csv.gz", index=False)
    assert documents(tmp_path / "books.csv.gz") == BOOKS


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_the_delimiter_and_the_encoding_are_found(tmp_path: Path, delimiter: str, encoding: str) -> None:
    path = write_csv(tmp_path / "books.csv", table_of(*NAMES), encoding, delimiter=delimiter)
    assert documents(path) == BOOKS


def test_columns_can_have_other_names(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "books.csv", table_of("isbn", " card", "title", "metadata.year", "shelf"))
    assert documents(path, id="isbn", key="card", value="title") == BOOKS


@pytest.mark.parametrize(("characters", "is_title"), [(119, True), (120, True), (121, False)])
def test_a_short_first_column_stands_before_each_part_of_a_joined_text(
    tmp_path: Path, characters: int, is_title: bool
) -> None:
    question, answer = "?" * characters, "It is in the hall. " * 60
    path = tmp_path / "faq.csv"
    path.write_text(f"id,Question,Answer\n1,{question},{answer}\n", "utf-8")
    (document,) = documents(path, key="Question,Answer")
    text = document["key"]
    assert text == f"{question}\n{answer.strip()}"
    later, title = read_part(text, (800, 820), (0, 700))
    assert (later, title) == ((f"{question}\n" if is_title else "") + text[800:820], (characters + 1) * is_title)


def test_columns_are_joined_to_a_key_and_stay_in_the_document(tmp_path: Path) -> None:
    path = tmp_path / "faq.csv"
    path.write_text("id,Question,Answer,year\n1,Where is it?,In the hall,1999\n2,When?,,\n3,,Left,\n4,,,\n", "utf-8")
    table = open_table(path, key="Question, Answer", join=" — ")
    assert [row.document for row in table] == [
        {
            "id": "1",
            "key": "Where is it? — In the hall",
            "value": "In the hall",
            "metadata": {"Question": "Where is it?", "year": 1999},
        },
        {"id": "2", "key": "When?", "metadata": {"Question": "When?"}},
        {"id": "3", "key": "Left", "value": "Left"},
        {"id": "4"},
    ]
    assert table.keyless == 1
    assert table.settings == {"defaults": {"include": ["value", "metadata"]}}
    named = documents(path, key="Answer,year", value="Question", skip="year")
    assert named[0] == {
        "id": "1",
        "key": "In the hall\n1999",
        "value": "Where is it?",
        "metadata": {"Answer": "In the hall"},
    }
    with pytest.raises(softkv.Invalid, match="no column 'Antwort'"):
        open_table(path, key="Question,Antwort")
    path.write_text('id,"Name, first"\n1,Ada\n', "utf-8")
    assert documents(path, key="Name, first") == [{"id": "1", "key": "Ada"}]
    rows = tmp_path / "faq.json"
    rows.write_text(json.dumps([{"id": 1, "about": {"title": "A"}, "text": "b"}]), "utf-8")
    assert documents(rows, key="about.title,text")[0]["key"] == "A\nb"


def test_a_long_column_beside_short_keys_is_proposed_as_part_of_them(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("id,title,text\n1,Opening,We open at nine and close at five every day\n", "utf-8")
    (notice,) = open_table(path, key="title").notices
    assert notice.startswith("t.csv: column 'text' has longer texts")
    assert "key='title,text'" in notice
    assert open_table(path, key="title,text").notices == open_table(path, key="text").notices == []


def test_a_column_of_numbers_that_stays_text_has_a_notice_and_can_be_forced(tmp_path: Path) -> None:
    path = text_file(tmp_path / "t.csv", "id,key,size\na,k,1.10\nb,k,2\nc,k,\nd,k,nine\ne,k,12345678901234567890123\n")
    assert open_table(path).notices == []  # "nine" makes it a column of texts anyway
    forced = list(open_table(path, number=["size"]))
    assert [row.document["metadata"] for row in forced[:2] if row.document] == [{"size": 1.1}, {"size": 2}]
    assert [row.flaw for row in forced[3:]] == [
        "column 'size': wanted a number, got 'nine'",
        "column 'size': 12345678901234567890123 is a whole number beyond 64 bits: leave it a text",
    ]


@given(st.lists(st.tuples(*[st.text(st.characters(codec="utf-8"))] * 2), min_size=1))
def test_any_text_survives_a_csv_file(tmp_path_factory: pytest.TempPathFactory, cells: list[tuple[str, ...]]) -> None:
    path = tmp_path_factory.mktemp("csv") / "any.csv"
    write_csv(path, [["id", "key", "shelf"], *([i, *row] for i, row in enumerate(cells))])
    read = documents(path, text=True, delimiter=",")
    assert [document.get("metadata", {}).get("shelf", "") for document in read] == [shelf for _, shelf in cells]
    assert [d.get("key", "").strip() for d in read] == [key.strip() for key, _ in cells]


def test_the_number_of_a_record_is_its_first_line(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "books.csv", [*table_of(*NAMES), ["c"]])
    assert [row.number for row in open_table(path)] == [2, 3, 5]
    assert flaws(path) == [(5, None, "it has 1 cells and the header 5: quote cells that hold ','")]


def test_a_quotation_mark_that_is_never_closed_is_named(tmp_path: Path) -> None:
    path = text_file(tmp_path / "t.csv", 'id,key\na,b\nc,"d\ne,f\n')
    assert flaws(path) == [(3, None, "a quotation mark in it is never closed")]


def test_rows_without_a_key_and_expired_ones_are_counted(tmp_path: Path) -> None:
    path = text_file(tmp_path / "t.csv", "id,key,until\na,cats,2001-01-01\nb,,30d\nc, ,\nd,x,978307200\n")
    table = open_table(path, expires="until")
    read = [row.document for row in table]
    assert (table.keyless, table.expired) == (2, 2)
    assert read[0] == {"id": "a", "key": "cats", "expires": "2001-01-01T00:00:00Z"}
    assert read[2:] == [{"id": "c"}, {"id": "d", "key": "x", "expires": 978307200}]
    assert read[1] is not None
    left = datetime.fromisoformat(read[1]["expires"]) - datetime.now(UTC)
    assert timedelta(days=29.9) < left <= timedelta(days=30)
    text_file(path, "id,key,until\na,cats,soon\n")
    assert "wanted an instant such as" in flaws(path, expires="until")[0][2]


def test_a_repeated_id_refuses_the_later_row(tmp_path: Path) -> None:
    path = text_file(tmp_path / "t.csv", "id,key\na,1\nb,2\na,3\n")
    assert flaws(path) == [(4, "a", "the id 'a' is in line 2 already: give each document an id of its own")]


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ("key,value\na,b\n", {}, "no column 'id', its columns are key, value: name the one that holds it with id="),
        ("", {}, "t.csv has no rows: write the names of the columns"),
        ("id,key\na,b\n", {"id": "id", "key": "id"}, "one column 'id', named for id=… and key=…: name two columns"),
        ("id,text\na,b\n", {}, "no column of keys, its columns are id, text: name the one with the texts, key="),
        ("id,key\na,b\n", {"key": "txet"}, "no column 'txet' for key=…, its columns are id, key"),
        ("id,key\na,b\n", {"expires": "expirse"}, "no column 'expirse' for expires="),
        ("id,key\na,b\n", {"skip": ["x"]}, "no column 'x' for skip="),
        ("id,key,year,year\na,b,1,2\n", {}, "two columns named 'year'"),
        ("id,key,year,metadata.year\na,b,1,2\n", {}, "the columns 'year' and 'metadata.year', which are one field"),
        ("id,key\na,b\n", {"delimiter": "ab"}, "wanted a delimiter of one character"),
    ],
)
def test_a_table_whose_columns_do_not_fit_is_refused(
    tmp_path: Path, text: str, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(softkv.Invalid, match=words):
        open_table(text_file(tmp_path / "t.csv", text), **options)


def test_a_column_without_a_name_is_named_by_its_number(tmp_path: Path) -> None:
    pd.DataFrame(FLAT).to_csv(tmp_path / "books.csv")
    table = open_table(tmp_path / "books.csv")
    assert table.notices == ["books.csv: column 1 has no name, so its number is its name"]
    assert documents(tmp_path / "books.csv", skip=["1"]) == BOOKS


@pytest.mark.parametrize(
    ("cell", "vector"),
    [
        ("[0.5, 2]", [0.5, 2]),
        (str(np.array([0.5, 2.0])), [0.5, 2]),
        (str([np.float32(0.5), np.float32(2)]), [0.5, 2]),
        (str(np.arange(30.0)), list(range(30))),
        ("{0.5,2}", [0.5, 2]),
        ("0.5 2", [0.5, 2]),
    ],
)
def test_a_vector_is_read_from_the_text_of_a_cell(tmp_path: Path, cell: str, vector: list[float]) -> None:
    path = write_csv(tmp_path / "t.csv", [["id", "embedding"], ["a", cell]])
    assert documents(path, vector="embedding") == [{"id": "a", "key_vector": vector}]


def test_a_vector_that_was_shortened_in_print_is_named(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", [["id", "key_vector"], ["a", str(np.arange(2000.0))], ["b", "cats"]])
    (_, _, shortened), (_, _, text) = flaws(path)
    assert "was shortened as it was printed, so its numbers are lost" in shortened
    assert "wanted a vector such as [0.1, 0.2], got 'cats'" in text


@pytest.mark.parametrize("ending", ["ndjson", "jsonl", "NDJSON", "jsonl.gz"])
def test_lines_of_json_are_documents_as_they_are(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"books.{ending}"
    lines = [json.dumps(book) for book in [*BOOKS, {"id": 7, "expires": None}]]
    text = "\ufeff" + lines[0] + "\r\n\n" + lines[1] + "\n" + lines[2] + '\nnot json\n[1]\n{"x": NaN}\n'
    path.write_bytes(gzip.compress(text.encode()) if ending.endswith("gz") else text.encode())
    rows = list(open_table(path))
    assert [row.document for row in rows] == [*BOOKS, {"id": "7", "expires": None}, None, None, None]
    assert [row.number for row in rows] == [1, 3, 4, 5, 6, 7]
    assert rows[4].flaw == "expected a document as a JSON object, got [1]"
    assert "NaN is not a JSON number" in rows[5].flaw


def test_columns_are_named_in_json_too(tmp_path: Path) -> None:
    line = {"_id": 1, "title": "Possum", "text": "cats", "metadata": {"year": 1939}}
    expected = [{"id": "1", "key": "cats", "metadata": {"title": "Possum", "year": 1939}}]
    text_file(tmp_path / "t.jsonl", json.dumps(line))
    assert documents(tmp_path / "t.jsonl", id="_id", key="text") == expected
    text_file(tmp_path / "t.json", json.dumps([line]))
    assert documents(tmp_path / "t.json", id="_id", key="text") == expected
    with pytest.raises(softkv.Invalid, match="no column 'txet' for key=…, its columns are _id, title, text, metadata"):
        open_table(tmp_path / "t.jsonl", id="_id", key="txet")


def test_a_json_array_is_documents(tmp_path: Path) -> None:
    pd.DataFrame(FLAT).to_json(tmp_path / "flat.json", orient="records")
    assert documents(tmp_path / "flat.json", id="id") == BOOKS
    assert documents(text_file(tmp_path / "books.json", json.dumps(BOOKS, indent=2))) == BOOKS
    assert documents(text_file(tmp_path / "books.json", " [ ] ")) == []
    for text, words in [("{}", "not a JSON array"), ('[{"id": 1} {}]', "is not JSON"), ('[{"id": "a"}', "is not JSON")]:
        with pytest.raises(softkv.Invalid, match=words):
            open_table(text_file(tmp_path / "books.json", text))


def test_the_delimiter_is_found_below_titles(tmp_path: Path) -> None:
    path = text_file(tmp_path / "t.csv", "of the year, and more\n\nid;key;year\na;cats;1990\nb;dogs;1991\n")
    assert documents(path, header_row=3) == [
        {"id": "a", "key": "cats", "metadata": {"year": 1990}},
        {"id": "b", "key": "dogs", "metadata": {"year": 1991}},
    ]


PAGE = '{"result": {"points": [{"id": "a", "key": "cats"}], "next_page_offset": 2}, "status": "ok"}'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            '[{"id": "a", "key": "cats"}]\n[{"id": "b", "key": "dogs"}]',
            "goes on in line 2 after its list: keep one list",
        ),
        ('[{"id": "a", "key": "cats"}], [{"id": "b"}]', "goes on in line 1 after its list"),
        ('[{"id": "a", "key": "cats"}]]', "goes on in line 1 after its list"),
        ('[{"id": "a", "key": "cats"}]\n\nthe end', "goes on in line 3 after its list"),
        (
            f"{PAGE}\n{PAGE}",
            "goes on in line 2 after its first value: rename it .ndjson if it has an object on each line",
        ),
        ('{"id": "a", "rows": [1]}\n{"id": "b", "rows": [2]}', r"goes on in line 2 .*: rename it \.ndjson"),
        ('{"id": "a", "key": "cats"}\n{"id": "b", "key": "dogs"}', r"goes on in line 2 .*: rename it \.ndjson"),
        ('{"hits": {"hits": [{"_id": "a"}]}, "took": ', "is not JSON: Expecting value"),
        ('{"hits": {"hits": [{"_id": "a"}]}, "took": 1', "is not JSON: Expecting ',' or '}'"),
        ('{"hits": {"hits": [{"_id": "a"}]', "is not JSON: Expecting ',' or '}'"),
        ('{"rows": [{"id": "a"}], "data": [{"id": "b"}]}', "has several lists of rows, 'rows' of 1 and 'data' of 1"),
        ('{"rows": [{"id": "a"}], 5: 1}', "is not JSON: Expecting property name"),
        ('{"rows" [{"id": "a"}]}', "is not JSON: Expecting ':'"),
        ('{"rows": [{"id": "a"}], "x": NaN}', "is not JSON: NaN is not a JSON number"),
        ("", "is empty: write"),
    ],
)
def test_json_is_read_to_its_end(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(softkv.Invalid, match=words):
        open_table(text_file(tmp_path / "points.json", text))


@pytest.mark.parametrize(
    ("answer", "notices"),
    [
        (PAGE, ["points.json: is one page of several, since it has a next_page_offset: load the others, too"]),
        (PAGE.replace("2}", "null}"), []),
        (
            '{"hits": {"total": {"value": 7}, "hits": [{"id": "a", "key": "cats"}]}}',
            ["points.json: is one page of several, with 1 of 7 hits: load the others, too"],
        ),
        ('{"hits": {"total": 1, "hits": [{"id": "a", "key": "cats"}]}}', []),
        ('{"data": [], "rows": [{"id": "a", "key": "cats"}]}\n', []),
        (
            '{"objects": [{"id": "a", "key": "cats"}], "totalResults": 7}',
            ["points.json: is one page of several, with 1 of 7 hits: load the others, too"],
        ),
        (
            '{"matches": [{"id": "a", "key": "cats"}], "pagination": {"next": "x"}}',
            ["points.json: is one page of several, since it has a pagination: load the others, too"],
        ),
        (
            '{"vectors": {"a": {"key": "cats"}}, "pagination": {"next": "x"}}',
            ["points.json: is one page of several, since it has a pagination: load the others, too"],
        ),
        ('{"vectors": {"a": {"key": "cats"}}, "pagination": null}', []),
    ],
)
def test_a_notice_names_an_answer_that_is_one_page_of_several(tmp_path: Path, answer: str, notices: list[str]) -> None:
    table = open_table(text_file(tmp_path / "points.json", answer))
    assert [row.document for row in table] == [{"id": "a", "key": "cats"}]
    assert table.notices == notices


def test_a_list_for_each_column_keeps_the_names_of_the_columns(tmp_path: Path) -> None:
    columns = {"ids": ["a"], "documents": ["cats"], "status": [1], "address": ["x"], "class": ["y"]}
    assert documents(text_file(tmp_path / "t.json", json.dumps(columns)), key="document") == [
        {"id": "a", "key": "cats", "metadata": {"status": 1, "address": "x", "class": "y"}}
    ]


def test_no_digit_of_json_is_lost(tmp_path: Path) -> None:
    numbers = [2**53 + 1, 2**63, 2**64 - 1, 2**64 + 1, 10**30 + 7, 0.1, 1e-300, 5e-324]
    path = text_file(tmp_path / "t.ndjson", "\n".join(f'{{"id": "{i}", "value": {n}}}' for i, n in enumerate(numbers)))
    assert [document["value"] for document in documents(path)] == numbers
    text_file(path, '{"id": "a", "key": "\\ud800"}')
    assert documents(path) == [{"id": "a", "key": "\ud800"}]
