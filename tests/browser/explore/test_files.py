"""Files as the explorer reads them: CSV as Python's module does; what a column becomes."""

from __future__ import annotations

import csv
import io
import json
import re
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest

from softkv import Invalid
from softkv.tables import open_table
from tests.clients.python.tables.files import CASES as TABLES
from tests.clients.python.tables.test_kinds import SHARED, expanded
from tools.node import ROOT, checked, node

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


def rows_in_python(text: str, delimiter: str, *, quoted: bool) -> list[list[str] | None]:
    """Return the cells of each row; None of one that cannot be read."""
    quoting: Any = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quoting=quoting, strict=True)
    rows: list[list[str] | None] = []
    while True:
        try:
            rows.append(next(reader))
        except csv.Error:
            rows.append(None)
        except StopIteration:
            return [row for row in rows if row != []]


def test_csv_is_read_as_python_reads_it() -> None:
    random = Random(46)
    texts, wanted = [], []
    for _ in range(400):
        delimiter = random.choice(",;\t|")
        text = "".join(random.choice([*LETTERS, delimiter, delimiter]) for _ in range(random.randrange(40)))
        quoted = random.random() < 0.8
        cuts = sorted({0, len(text), *(random.randrange(len(text) + 1) for _ in range(3))})
        texts.append({"delimiter": delimiter, "quoted": quoted, "pieces": [text[a:b] for a, b in pairwise(cuts)]})
        wanted.append(rows_in_python(text, delimiter, quoted=quoted))
    got = [
        [None if record["flaw"] else record["cells"] for record in records] for records in ask(texts=texts)["records"]
    ]
    assert got == wanted


def test_written_csv_is_read_back_unchanged() -> None:
    random = Random(47)
    cells = [["".join(random.choices(LETTERS, k=random.randrange(6))) for _ in range(3)] for _ in range(300)]
    lines = ask(cells=cells)["lines"]
    assert list(csv.reader(io.StringIO("".join(lines), newline=""))) == cells


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_csv_tells_its_delimiter_and_its_encoding(tmp_path: Path, delimiter: str, encoding: str) -> None:
    rows = [["id", "key", "year", "zip", "tags"], ["a1", 'Cats, "big"; and\nsmall', "1993", "01234", '["pets"]']]
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows([*rows, ["a2", "Hunde, die bellen", "2004", "56789", "[]"]])
    path = tmp_path / "books.csv"
    path.write_bytes(text.getvalue().encode(encoding))
    assert documents(read("books.csv", path.read_bytes())) == [row.document for row in open_table(path)]


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
    for name, text in (("a.json", json.dumps(rows)), ("a.ndjson", "\n".join(map(json.dumps, rows)) + "\n{oh")):
        file = read(name, text)
        assert [document["key"] for document in documents(file)] == ["cats", "dogs"]
        assert documents(file)[0]["metadata"] == {"author": {"name": "Ada"}}
        flaws = [made["flaw"]["name"] for made in file["made"] if "flaw" in made]
        assert flaws == ["flaw.object"] + ["flaw.json"] * (name == "a.ndjson")
    assert read("a.json", "[1, 2")["unreadable"]["name"] == "file.json"
    assert read("a.csv", "")["unreadable"]["name"] == "file.empty"


@pytest.mark.parametrize("name", ["words.vec", "words.vec.gz", "t.csv.BZ2", "t.zip"])
def test_a_text_that_only_the_service_reads_is_sent_to_it(name: str) -> None:
    assert read(name, "cat 0.5 1\n")["format"] == "other"


def test_an_export_is_sent_as_it_is() -> None:
    exported = [{"id": "a", "key": "cats", "metadata": {"year": 1993}}, {"id": "b", "key": None, "value": {"x": 1}}]
    file = read("export.ndjson", "\n".join(map(json.dumps, exported)))
    assert file["mapping"]["whole"]
    assert documents(file) == exported


def test_a_column_of_vectors_is_left_out_where_texts_are_encoded() -> None:
    rows = "".join(json.dumps({"id": i, "text": f"row {i}", "vector": [i, 0.5]}) + "\n" for i in range(3))
    assert read("rows.ndjson", rows, encodes=False)["mapping"]["roles"]["vector"] == "key_vector"
    assert read("rows.ndjson", rows)["mapping"]["roles"]["vector"] == "skip"


@pytest.mark.parametrize(("name", "content"), [("t.csv", b"id,key,key\na,b,c\n"), ("t.csv", b"id, id,key\na,b,c\n")])
def test_two_columns_of_one_name_are_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert read(name, content)["unreadable"]["name"] == "file.twice"
    with pytest.raises(Invalid, match="two columns named"):
        open_table(tmp_path / name)


def test_a_field_in_metadata_and_beside_it_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('id,key,metadata,year\na,cats,"{""year"": 1}",2\n')
    assert [made["flaw"]["name"] for made in read("t.csv", path.read_bytes())["made"]] == ["flaw.twice"]
    assert ["comes twice" in row.flaw for row in open_table(path)] == [True]


CELLS = [
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
    "0.0001",
    "0.00001",
    "1e-05",
    "1e+16",
    "1e16",
    "1000000000000000.0",
    "123456789012345680000.0",
    "1e999",
    "NaN",
    "9007199254740991",
    "9007199254740993",
    "18446744073709551615",
    "18446744073709551616",
    "-9223372036854775808",
    "-9223372036854775809",
    "12345678901234567890123",
    "TRUE",
    "False",
    "true",
    "yes",
    "[1, 2]",
    "[1",
    "[9007199254740993]",
    '["a"]',
    "[]",
    '{"n": 1}',
    "{}",
    "null",
    '"x"',
    "1,5",
    "0x10",
    "Infinity",
    "72.60",
    "1,50",
    "1.234,5",
    "01,5",
    "5.00",
    "0.1000000000000000055",
    "n/a",
    " - ",
    "7.9.2024",
    "07/09/2024",
    "29.02.2023",
    "29.02.2024",
    "2024/12/ 7",
    "31/12/0099 23:59:59",
    "1.1.2024 24:00",
    "5%",
    "05 %",
    "$7",
    "-$1,234.50",
    "1,234",
    "1,234,567",
    "1.234.567",
    "192.168.100.200",
    "1.234,50",
    "012,345.6",
]


def test_a_csv_is_the_same_documents_as_in_python(tmp_path: Path) -> None:
    """Each cell makes a column of itself, and columns with others."""
    random = Random(60)
    columns = [[cell] * 3 for cell in CELLS] + [random.choices(CELLS, k=3) for _ in range(300)]
    columns += [random.choices(["TRUE", "False", ""], k=3), random.choices(["1", "2.5", "1e-07", ""], k=3)]
    names = random.choices(["c", "price ", "net%", "rateOf", "Übertrag", "PREIS_"], k=len(columns))
    rows = [["id", "key", *(f"{name}{i}" for i, name in enumerate(names))]]
    rows += [[f"r{i}", f"key {i}", *(column[i] for column in columns)] for i in range(3)]
    path = tmp_path / "t.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=";").writerows(rows)
    file, table = read("t.csv", path.read_bytes(), encodes=False), open_table(path)
    assert documents(file) == [row.document for row in table]
    in_python = [notice.split("'")[1] for notice in table.notices if notice.startswith("t.csv: column '")]
    assert [notice.split("“")[1].split("”")[0] for notice, _ in file["notices"]] == in_python


UNQUOTED = "The quotation marks are part of the cells, since line {} is not quoted. {} --quoting csv takes them off."
TERMINAL = "At a terminal, softkv load"
LAID_OUT: dict[str, tuple[str, list[str]]] = {
    "few.csv": ("id,key,n\na,x\nb,y,1\nc\nd,z,2,3\n", []),
    "index.csv": (",id,key\n0,a,x\n1,b,y\n", ["The column 1 has no name, so its number is its name."]),
    "unnamed.csv": (
        "id,,key, \na,1,x,p\nb,,y,q\n",
        ["The columns 2, 4 have no names, so their numbers are their names."],
    ),
    "follows.csv": ('id,key\na,"x" y,"z\nb,"two\nlines" and\nc,"z"\n', []),
    "open.csv": ('id,key\na,x\nb,"y\nc,z\n', []),
    "both.tsv": (
        'id\tkey\t\n1\t"a" b\tc\n2\td\n',
        [UNQUOTED.format(2, TERMINAL), "The column 3 has no name, so its number is its name."],
    ),
    "wide.tsv": ('id\tkey\n1\t"a\n2\tb"\tc\n3\td\n', []),
}
MARKS = {"literal.tsv": [UNQUOTED.format(2, TERMINAL)], "swallowed.tsv": [UNQUOTED.format(3, TERMINAL)]}


def test_marks_cells_and_names_of_a_text_are_as_in_python(tmp_path: Path) -> None:
    notices_of = {name: notices for name, (_, notices) in LAID_OUT.items()}
    for name, (content, _) in LAID_OUT.items():
        (tmp_path / name).write_bytes(content.encode())
    for case in TABLES:
        if case.name.endswith(".tsv") and not case.options:
            case.save(tmp_path / case.name)
            notices_of[case.name] = MARKS.get(case.name, [])
    files = [{"name": name, "base64": b64encode((tmp_path / name).read_bytes()).decode()} for name in notices_of]
    for (name, notices), file in zip(notices_of.items(), ask(files=files)["files"], strict=True):
        table = open_table(tmp_path / name)
        assert [(made["line"], made.get("document")) for made in file["made"]] == [
            (row.number, row.document) for row in table
        ], name
        assert [english for english, _ in file["notices"]] == notices, name
        in_python = [notice.removeprefix(f"{name}: ") for notice in table.notices]
        assert list(map(digits, in_python)) == list(map(digits, notices)), name


def spread(words: int) -> str:
    return " ".join(f"word{i}" for i in range(words))


JOINED = [
    "id,title,text,year\na,Opening,We open at nine and close at five every day,1999\nb,Where?, ,\nc,,In the hall\n",
    "id,title,text,year\na, Opening\x1c,\x85 We open\xa0,01999\nb,\\N,\ufeffLeft,2\nc, ,,\n",
    'id;title;text;year\na;"One\nline";"Two; lines";1,50\nb;x;y;2,25\n',
    "id,key,text,year\na,Opening,We open at nine,1999\nb,Closing,,2000\n",
]


@pytest.mark.parametrize("columns", [["text"], ["text", "year"], ["year", "text"], ["text", "year", "id"]])
@pytest.mark.parametrize("content", JOINED)
def test_columns_are_joined_to_a_key_as_in_python(tmp_path: Path, content: str, columns: list[str]) -> None:
    path = tmp_path / "t.csv"
    path.write_text(content, "utf-8", newline="")
    keys = ["key" if "key" in content else "title", *columns]
    roles = {"id": "id", keys[0]: "key", "text": "metadata", "year": "metadata"}
    made = read("t.csv", path.read_bytes(), roles=roles, keys=keys)["made"]
    for row, in_python in zip(made, open_table(path, key=",".join(keys)), strict=True):
        if in_python.document and "key" in in_python.document:
            assert row["document"] == in_python.document
        else:  # the page foresees rows without a key, and refuses them
            assert row["flaw"]["name"] in ("flaw.keyless", "flaw.cells")


@pytest.mark.parametrize("value", ["title", "year", "text"])
def test_a_joined_column_is_the_value_only_if_none_is_named(tmp_path: Path, value: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(JOINED[0].rpartition("c,")[0], "utf-8")
    roles = {"id": "id", "title": "metadata", "text": "metadata", "year": "metadata", value: "value"}
    for keys in (["title", "text"], ["text", "title"]):
        made = documents(read("t.csv", path.read_bytes(), roles=roles, keys=keys))
        assert made == [row.document for row in open_table(path, key=",".join(keys), value=value)]


@pytest.mark.parametrize(
    ("title", "text"), [(1, 8), (1, 7), (4, 8), (5, 9), (5, 10), (0, 30), (9, 1), (30, 59), (30, 60), (3, 90)]
)
@pytest.mark.parametrize("short", [0, 49, 150])
def test_a_long_column_is_proposed_as_in_python(tmp_path: Path, title: int, text: int, short: int) -> None:
    """The words of the first hundred rows count."""
    path = tmp_path / "t.csv"
    rows = [["id", "title", "text"], *([f"r{i}", spread(title), spread(1 if i < short else text)] for i in range(150))]
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    read_file, table = read("t.csv", path.read_bytes()), open_table(path, key="title")
    assert read_file["mapping"]["joined"] == (["title", "text"] if table.notices else [])
    said = [english for english, _ in read_file["notices"]]
    assert [notice.split("“")[1].split("”")[0] for notice in said] == [one.split("'")[1] for one in table.notices]


def test_a_long_column_is_proposed_where_texts_are_encoded_and_all_cells_are_texts() -> None:
    content = f"id,title,text\na,Opening,{spread(9)}\n"
    assert read("t.csv", content)["mapping"]["roles"] == {"id": "id", "title": "metadata", "text": "value"}
    assert read("t.csv", content, encodes=False)["mapping"]["joined"] == []
    assert read("t.json", json.dumps([{"title": "a", "text": spread(9)}]))["mapping"]["joined"] == []


@pytest.mark.parametrize(
    "cell", [f"[{', '.join(['0.1'] * 20)}]", f"[{' '.join(['0.1'] * 20)}]", '{"a": "b c d e f g h i j"}']
)
def test_vectors_and_objects_are_not_joined_to_a_key_as_in_python(tmp_path: Path, cell: str) -> None:
    path = tmp_path / "t.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["id", "title", "numbers"], ["a", "Opening", cell], ["b", "Closing", cell]])
    assert read("t.csv", path.read_bytes())["mapping"]["joined"] == []
    assert not any("joins both" in notice for notice in open_table(path, key="title").notices)


def digits(text: str) -> list[str]:
    return re.findall(r"\d+", text)


PLAIN = [case for case in SHARED["cases"] if not {"decimal", "date", "named"} & case.keys()]
"""The cases without an option, which the page does not have."""


def file_of(case: dict[str, Any]) -> dict[str, Any]:
    """The file that has the column of a case, for the page."""
    text = io.StringIO()
    rows = [["id", "key", case["column"]], *([f"r{i}", "k", cell] for i, cell in enumerate(expanded(case["cells"])))]
    csv.writer(text, delimiter=case.get("delimiter", ",")).writerows(rows)
    return {"name": "t.csv", "base64": b64encode(text.getvalue().encode()).decode(), "encodes": False}


def test_a_column_has_the_type_and_the_remark_of_its_case() -> None:
    files = ask(files=[file_of(case) for case in PLAIN])["files"]
    for case, file in zip(PLAIN, files, strict=True):
        why, column = case["why"], case["column"]
        values = [document.get("metadata", {}).get(column) for document in documents(file)]
        assert values == (expanded(case["values"]) if case["kind"] != "json" else case["values"]), why
        type_ = file["mapping"]["types"][column]
        said = (type_["kind"], type_.get("remark"), type_.get("line", 0), type_["formats"])
        assert said == (case["kind"], case.get("says"), case.get("line", 0), case.get("formats", [])), why
        assert type_["example"] == case.get("example", [""])[0], why
        missing = (type_["missing"], type_["mark"]) if type_["kind"] != "text" else (0, "")
        assert missing == (case.get("nulls", 0), case.get("mark", "")), why
        assert len(file["notices"]) == ("says" in case) + ("nulls" in case), why


def test_a_number_of_more_than_four_hundred_characters_is_a_text_as_in_python(tmp_path: Path) -> None:
    path, zeros = tmp_path / "t.csv", "0" * 397
    path.write_text(f"id,key,short,long\na,cats,1.1{zeros},1.1{zeros}0\n")
    expected = {"short": 1.1, "long": f"1.1{zeros}0"}
    assert [row.document["metadata"] for row in open_table(path) if row.document] == [expected]
    assert [document["metadata"] for document in documents(read("t.csv", path.read_bytes()))] == [expected]


@pytest.mark.parametrize("mark", ["sep=;\r\n", "SEP=;\n", '"sep=;"\n', "\ufeffsep=;\n", "sep=\t\n"])
def test_a_line_that_names_the_delimiter_and_empty_cells_of_databases_are_read_as_in_python(
    tmp_path: Path, mark: str
) -> None:
    path, delimiter = tmp_path / "t.csv", mark.strip('\ufeff\r\n"')[-1:] if ";" in mark else "\t"
    path.write_bytes(f'{mark}id;key;year\na;"cats; dogs";1\nb;x;\\N\n'.replace(";", delimiter).encode())
    table = open_table(path)
    expected = [{"id": "a", "key": f"cats{delimiter} dogs", "metadata": {"year": 1}}, {"id": "b", "key": "x"}]
    assert [(row.number, row.document) for row in table] == [(3, expected[0]), (4, expected[1])]
    made = read("t.csv", path.read_bytes())["made"]
    assert [(row["line"], row["document"]) for row in made] == [(3, expected[0]), (4, expected[1])]


TITLED = "Sortiment 2026{0}\n\nNr;Name;Preis;EAN\n0017;Tasse;7,50;4006381333931\n0018;Topf, groß;9,90;x\n"


@pytest.mark.parametrize("padding", ["", ";;;"])
def test_titles_above_a_table_are_left_out_and_named(padding: str) -> None:
    file = read("t.csv", TITLED.format(padding), encodes=False)
    assert [column["name"] for column in file["survey"]["columns"]] == ["Nr", "Name", "Preis", "EAN"]
    assert [(row["line"], row["document"]["metadata"]["Preis"]) for row in file["made"] if "document" in row] == [
        (4, 7.5),
        (5, 9.9),
    ]
    assert file["notices"][0][0] == "The lines above line 3 are titles and are left out."


def test_the_line_of_the_header_may_be_named(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("of the year\nid,key\na,cats\nb,dogs\n")
    file = read("t.csv", path.read_bytes(), reading={"header": 2}, encodes=False)
    assert documents(file) == [row.document for row in open_table(path, header_row=2)]
    assert file["notices"] == []


@pytest.mark.parametrize(
    "text", ["name\nSmith, John\nDoe, Jane\n", ",a\n0,1\n1,2\n", "id,key,x\na,,\nb,cats,1\n", "text\none\ntwo, three\n"]
)
def test_a_table_without_a_title_begins_in_its_first_line(text: str) -> None:
    made = read("t.csv", text, encodes=False)["made"]
    assert made[0]["line"] == 2


def test_codes_and_numbers_that_stay_text_are_not_called_dates() -> None:
    file = read("t.csv", "Nr,EAN,day\n0017,x4006381333931,07.09.2024\n0018,x4006381333932,08.09.2024\n", encodes=False)
    shown = {column["name"]: (column["kind"], column["dated"]) for column in file["survey"]["columns"]}
    assert shown == {"Nr": ("text", False), "EAN": ("text", False), "day": ("text", True)}


@pytest.mark.parametrize("brackets", [10, 200_000])
def test_brackets_around_a_vector_are_looked_at_once(brackets: int) -> None:
    content = f"id,key,vector\na,cats,{'(' * brackets}x\n"
    (made,) = read("t.csv", content, roles={"id": "id", "key": "key", "vector": "key_vector"}, encodes=False)["made"]
    assert made["flaw"]["name"] == "flaw.vector"


def test_no_cell_of_the_refused_rows_is_a_formula() -> None:
    shown = ["=1+1", " =1", "@x", "-1.5", "+5", "-2+3", "＝1", "cats", ""]
    assert ask(shown=shown)["inert"] == ["'=1+1", "' =1", "'@x", "-1.5", "+5", "'-2+3", "'＝1", "cats", ""]


def test_cells_of_ids_and_keys_stay_as_they_are_written() -> None:
    roles = {"nr": "id", "name": "key", "price": "skip"}
    file = read("t.csv", "nr,name,price\n1.10,n/a,1.10\n2.20,2.50,1.20\n", roles=roles)
    assert documents(file) == [{"id": "1.10", "key": "n/a"}, {"id": "2.20", "key": "2.50"}]
    assert file["notices"] == []


@pytest.mark.parametrize(
    ("content", "roles"),
    [
        ("sku,item,price,listed\nT-4471-X,Mug,72.60,2024-03-01\nT-4472-X,Pot,80.00 €,2024-03-02\n", ["id", "key"]),
        ("Nr,Artikel,Preis,Datum\n1,Tasse,72.60,01.03.2024\n2,Topf,80.00 €,02.03.2024\n", ["metadata", "key"]),
        ("编号,名称,价格,上架日期\nA001,杯子,72.60,2024-03-01\nA002,锅,80.00,2024-03-02\n", ["id", "key"]),
        ("sku,item,price,listed\nT-1,Mug,72.60,2024-03-01\nT-1,A big pot,9.99,2024-03-02\n", ["metadata", "key"]),
        ("year,item,price,listed\n1993,Mug,72.60,2024-03-01\n1994,Pot,9.99,2024-03-02\n", ["metadata", "key"]),
        ("item,listed\nA-17,2024-03-01\nB-18,2024-03-02\n", ["key", "metadata"]),
        ("listed,price\n2024-03-01,7\n2024-03-02,9\n", ["key", "metadata"]),
    ],
)
def test_a_column_of_dates_is_never_the_key_and_codes_that_come_first_are_ids(content: str, roles: list[str]) -> None:
    guessed = list(read("t.csv", content)["mapping"]["roles"].values())
    assert guessed == [*roles, *["metadata"] * (len(guessed) - len(roles))]


def test_a_key_of_spaces_counts_as_missing() -> None:
    made = read("t.csv", "id,key\na,cats\nb, \n")["made"]
    assert [made_row.get("flaw", {}).get("name") for made_row in made] == [None, "flaw.empty"]


def test_rows_that_are_documents_are_the_same_as_in_python(tmp_path: Path) -> None:
    path = tmp_path / "t.ndjson"
    path.write_text('{"id": 7, "key": "cats", "expires": "2126-01-01T00:00:00Z"}\n{"id": "b", "key": "x"}\n')
    assert documents(read("t.ndjson", path.read_bytes())) == [row.document for row in open_table(path)]


@pytest.mark.parametrize(
    "cell",
    ["2126-01-01", "2126-01-01T08:30:00", "2126-01-01 08:30:00+02:00", "2126-01-01T08:30:00Z", "4923000000", "x", "30"],
)
def test_a_column_of_instants_is_the_same_as_in_python(tmp_path: Path, cell: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f"id,key,expires,year\na,cats,{cell},1\n")
    assert documents(read("t.csv", path.read_bytes())) == [row.document for row in open_table(path) if row.document]


def test_a_duration_counts_from_now(tmp_path: Path) -> None:
    (document,) = documents(read("t.csv", b"id,key,expires,year\na,cats,30d,1\n"))
    left = datetime.fromisoformat(document["expires"]) - datetime.now(UTC)
    assert timedelta(days=29.9) < left <= timedelta(days=30)


VECTORS = [
    "[0.1, 2]",
    "[0.1 2.  3e-5]",
    "array([1, 2])",
    "[np.float32(0.5), np.float32(1)]",
    "(1; 2)",
    "[1, ..., 2]",
    "x",
]


@pytest.mark.parametrize("cell", VECTORS)
def test_a_vector_in_a_text_is_the_same_as_in_python(tmp_path: Path, cell: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f'id,key_vector,year\na,"{cell}",1\n')
    roles = {"id": "id", "key_vector": "key_vector", "year": "metadata"}
    made = documents(read("t.csv", path.read_bytes(), roles=roles))
    assert made == [row.document for row in open_table(path) if row.document]
