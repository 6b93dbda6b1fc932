"""The upload tab: a file becomes documents, what is refused is told, and nothing is lost when a service goes away."""

from __future__ import annotations

import csv
import gzip
import io
import sqlite3
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from softkv_service.retrieval.documents.backfill import MissingValues
from tests.browser.explore.conftest import Explore

if TYPE_CHECKING:
    from playwright.sync_api import Page

UPLOAD = "#collection=books&tab=upload"
SAYS = "words => document.querySelector('#state')?.textContent.startsWith(words)"
HOLDS = """rows => rows.map(({ cells }) =>
    cells[2].querySelector('select')?.selectedOptions[0].textContent ?? cells[2].textContent)"""
DROP = """([name, text]) => {
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([text], name));
  for (const type of ['dragenter', 'dragover', 'drop']) {
    const event = new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true });
    document.querySelector('.drop').dispatchEvent(event);
  }
}"""


def written(rows: Sequence[list[Any]], delimiter: str = ",") -> bytes:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows(rows)
    return text.getvalue().encode()


def choose(page: Page, name: str, content: bytes) -> None:
    """Choose a file, and wait until its columns are shown."""
    page.set_input_files("#file", {"name": name, "mimeType": "application/octet-stream", "buffer": content})
    page.wait_for_selector("#send")


def send(page: Page) -> str:
    """Upload what was chosen, and return what the page says of it."""
    page.click("#send")
    page.wait_for_function(SAYS, arg="Done")
    return page.inner_text("#figures")


def drop(page: Page, name: str, content: bytes) -> None:
    """Drop a file onto the tab, and wait until its columns are shown."""
    page.evaluate(DROP, [name, content.decode()])
    page.wait_for_selector("#send")


def test_a_csv_of_ten_thousand_rows(explore: Explore, writer: httpx.Client) -> None:
    writer.put("/v1/collections/books", json={"encoder": None, "dimension": 2}).raise_for_status()
    books = [[f"b{i}", f'Book "{i}",\nvolume', 1900 + i % 100, f"[{i}, 1]"] for i in range(10_000)]
    rows: list[list[Any]] = [["id", "title", "year", "vector"], *books]
    page = explore(UPLOAD).page
    choose(page, "books.csv", written(rows))
    assert "10,000 rows with 4 columns" in page.inner_text("#counted")
    assert send(page) == "10,000 of 10,000 rows · 10,000 stored"
    page.wait_for_function("() => document.querySelector('#collections .size').textContent === '10,000'")
    document = writer.get("/v1/collections/books/documents/b7777").json()
    assert (document["key"], document["metadata"]) == ('Book "7777",\nvolume', {"year": 1977})


def test_a_dropped_file_is_mapped_and_refused_rows_can_be_saved(explore: Explore, writer: httpx.Client) -> None:
    writer.put("/v1/collections/books", json={}).raise_for_status()
    rows: list[list[Any]] = [
        ["Titel", "Jahr", "Antwort"],
        ["cats", 1993, "yes"],
        ["", 1994, "no"],
        ["dogs", 1995, "no"],
        ["birds", "", "", "?"],
    ]
    page = explore(UPLOAD).page
    drop(page, "buch.csv", written(rows, ";"))
    page.select_option("[aria-label='What the column Antwort becomes']", "value")
    assert page.locator(".made li").first.locator(".value").inner_text() == "yes"
    assert "1 row cannot be read" in page.inner_text("#flawed")
    assert send(page) == "4 of 4 rows · 2 stored · 2 refused"
    told = page.locator("ol.refused li").all_inner_texts()
    assert told == ["Line 3: The column “Titel” is empty.", "Line 5: Expected 3 cells, got 4."]
    with page.expect_download() as saved:
        page.click("#save-refused")
    assert saved.value.suggested_filename == "buch-refused.csv"
    text = Path(saved.value.path()).read_text(encoding="utf-8-sig")
    assert next(iter(csv.DictReader(io.StringIO(text)))) == {
        "line": "3",
        "reason": "The column “Titel” is empty.",
        "Titel": "",
        "Jahr": "1994",
        "Antwort": "no",
    }
    answer = writer.post("/v1/collections/books/documents/query", json={"include": ["value", "metadata"]}).json()
    assert [(one["id"], one["value"], one["metadata"]) for one in answer["documents"]] == [
        ("buch-2", "yes", {"Jahr": 1993}),
        ("buch-4", "no", {"Jahr": 1995}),
    ]


def test_an_upload_says_at_its_end_how_many_values_wait(
    explore: Explore, writer: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MissingValues, "find", lambda *_: {})
    writer.put("/v1/collections/books", json={"late": False}).raise_for_status()
    page = explore(UPLOAD).page
    choose(page, "faq.csv", written([["id", "key", "value"], ["a", "question", "answer"], ["b", "another", "reply"]]))
    assert send(page) == "2 of 2 rows · 2 stored"
    waiting = "2 values are still to be encoded; questions find all documents."
    assert page.inner_text("#state") == f"Done. 2 documents are stored. {waiting}"


def german(number: float) -> str:
    return f"{number:,.2f}".translate(str.maketrans(",.", ".,"))


FORMS: dict[str, tuple[Any, Any]] = {
    ",": ("{:.2f}".format, "{}%".format),
    "|": ("{:,.2f}".format, "{:.1f} %".format),
    "\t": ("${:,.2f}".format, str),
    ";": (german, lambda share: f"{german(share)}%"),
    "; ": (lambda price: f"{german(price)} €", lambda share: f"{german(share)} %"),
}
"""The forms of prices and shares in five files, by their delimiter."""


@pytest.mark.parametrize("delimiter", FORMS)
def test_numbers_in_a_file_are_filtered_as_sqlite_does(explore: Explore, writer: httpx.Client, delimiter: str) -> None:
    writer.put("/v1/collections/books", json={"encoder": None, "dimension": 2}).raise_for_status()
    price_of, share_of = FORMS[delimiter]
    random = Random(delimiter)
    days = [f"2026-{i % 11 + 1:02}-{i % 28 + 1:02}" for i in range(300)]
    goods = [(round(random.uniform(2, 3000), 2), random.randrange(900) / 10, day, f"0{day}") for day in days]
    table = sqlite3.connect(":memory:")
    table.execute("CREATE TABLE goods (price REAL, discount REAL, day TEXT, zip TEXT)")
    table.executemany("INSERT INTO goods VALUES (?, ?, ?, ?)", goods)
    rows = [[f"thing {i}", "[1, 2]", price_of(good[0]), share_of(good[1]), *good[2:]] for i, good in enumerate(goods)]
    page = explore(UPLOAD).page
    heads = ["title", "key_vector", "price", "discount", "day", "zip"]
    choose(page, "goods.csv", written([heads, *rows], delimiter[0]))
    assert send(page) == "300 of 300 rows · 300 stored"
    page.goto(page.url.replace("tab=upload", "tab=documents"))
    page.click("#only-add")
    for field, value, letters in (
        ("price", 1200, 0),
        ("discount", 45.5, 0),
        ("day", "2026-06-15", 0),
        ("zip", "02026-05", 1),
    ):
        page.select_option("#only-field-0", f"metadata.{field}")
        page.select_option("#only-operator-0", ">=")
        page.fill("#only-value-0", str(value))
        page.keyboard.press("Tab")
        (expected,) = table.execute(f"SELECT count(*) FROM goods WHERE {field} >= ?", [value]).fetchone()
        page.wait_for_function(
            "words => document.querySelector('#page').textContent.includes(words)", arg=f" of {expected},"
        )
        assert ("letter by letter" in page.inner_text(".letters")) == bool(letters)


SOLD = [date(1799 + 7 * i, i % 12 + 1, 3 * i % 28 + 1) for i in range(40)]
GOODS: list[tuple[str, Callable[[int], str], Sequence[Any], list[tuple[str, Any, str]]]] = [
    (
        "price",
        lambda i: f"{german(1.7 * 1.6**i)} €",
        [1.7 * 1.6**i for i in range(40)],
        [
            ("1.000", 1000, "1,000"),
            ("99,90", 99.9, "99.9"),
            ("100 €", 100, "100"),
            ("50,000,000", 50_000_000, "50,000,000"),
            ("1.211,99 €", 1211.99, "1,211.99"),
            ("1000", 1000, ""),
        ],
    ),
    (
        "published",
        lambda i: f"{SOLD[i].day} {SOLD[i]:%B %Y}",
        SOLD,
        [
            ("1 January 1890", date(1890, 1, 1), "1890-01-01"),
            ("Jan. 1, 1890", date(1890, 1, 1), "1890-01-01"),
            ("1890年1月1日", date(1890, 1, 1), "1890-01-01"),
            ("15.06.1930", date(1930, 6, 15), "1930-06-15"),
            ("1930-06-15", date(1930, 6, 15), ""),
        ],
    ),
    ("sold", "{:%d.%m.%Y}".format, SOLD, [("15.06.1930", date(1930, 6, 15), "1930-06-15")]),
    ("sent", "{:%m/%d/%Y}".format, SOLD, [("6/15/1930", date(1930, 6, 15), "1930-06-15")]),
]
"""Columns of a file: how a cell is written, what it is, and values of a filter with what they are and are read as."""


def test_values_of_a_filter_are_read_as_the_cells_of_the_file_were(explore: Explore, writer: httpx.Client) -> None:
    writer.put("/v1/collections/books", json={"encoder": None, "dimension": 2}).raise_for_status()
    page = explore(UPLOAD).page
    cells = [
        [cell(i if field == "price" or field == "published" else SOLD[i]) for field, cell, _, _ in GOODS]
        for i in range(40)
    ]
    rows = [[f"thing {i}", "[1, 2]", *row] for i, row in enumerate(cells)]
    choose(page, "goods.csv", written([["title", "key_vector", *(name for name, *_ in GOODS)], *rows], ";"))
    assert f"“published” has 40 dates, and “{cells[0][1]}” is stored as 1799-01-01." in page.inner_text(".tab")
    assert send(page) == "40 of 40 rows · 40 stored"
    page.goto(page.url.replace("tab=upload", "tab=documents"))
    page.click("#only-add")
    for field, _, values, filters in GOODS:
        page.select_option("#only-field-0", f"metadata.{field}")
        page.select_option("#only-operator-0", ">=")
        for text, value, read in filters:
            page.fill("#only-value-0", text)
            page.keyboard.press("Tab")
            expected = sum(round(one, 2) >= value if field == "price" else one >= value for one in values)
            page.wait_for_function(
                "count => document.querySelector('#page').textContent.includes(count)", arg=f" of {expected},"
            )
            assert page.inner_text(".letters") == (f"Read as {read}." if read else ""), text
    page.fill("#only-value-0", "06/07/1930")
    page.keyboard.press("Tab")
    page.wait_for_selector(".letters:has-text('“06/07/1930” cannot be read as one date')")
    page.select_option("#only-field-0", "metadata.price")
    page.select_option("#only-operator-0", "in")
    page.fill("#only-value-0", "1,70; 2,72 €")
    page.keyboard.press("Tab")
    page.wait_for_selector(".letters:has-text('Read as 1.7; 2.72.')")
    page.wait_for_function("() => document.querySelector('#page').textContent.includes(' of 2,')")
    page.fill("#only-value-0", "many")
    page.keyboard.press("Tab")
    page.wait_for_selector(".letters:has-text('“many” cannot be read as a number')")


def test_dates_of_two_readings_are_chosen_and_no_column_holds_a_type_that_it_has_not(
    explore: Explore, writer: httpx.Client
) -> None:
    writer.put("/v1/collections/books", json={}).raise_for_status()
    page = explore(UPLOAD).page
    heads = ["title", "ISBN", "none", "either", "clear"]
    rows = [
        ["cats", "0141439513", "n/a", "06/07/1930", "28 January 1813"],
        ["dogs", "0141439600", "-", "1/2/1931", "1 May 1890"],
    ]
    choose(page, "books.csv", written([heads, *rows]))
    holds = page.eval_on_selector_all("table.columns tbody tr", HOLDS)
    assert holds == ["text", "text", "text", "text", "dates: 1813-01-28"]
    assert "“either” has dates such as “06/07/1930”, which may be read in 2 ways" in page.inner_text(".tab")
    assert page.locator("#dates-3 option").all_inner_texts() == ["text", "dates: 1930-07-06", "dates: 1930-06-07"]
    page.select_option("#dates-3", "dates: 1930-06-07")
    page.select_option("#dates-4", "text")
    assert send(page) == "2 of 2 rows · 2 stored"
    stored = writer.post("/v1/collections/books/documents/query", json={"include": ["metadata"]}).json()["documents"][0]
    assert stored["metadata"] == {
        "ISBN": "0141439513",
        "none": "n/a",
        "either": "1930-06-07",
        "clear": "28 January 1813",
    }


def test_a_column_without_holes_is_the_key(explore: Explore, writer: httpx.Client) -> None:
    writer.put("/v1/collections/books", json={}).raise_for_status()
    page = explore(UPLOAD).page
    rows = [["" if i == 3 else str(i), "" if i == 5 else f"title {i}", f"the text {i}"] for i in range(9)]
    choose(page, "books.csv", written([["id", "title", "text"], *rows]))
    about = " ".join(page.locator(".about").all_inner_texts())
    assert "“title” is empty in some rows, and “text” in none: so “text” is the key." in about
    assert "“id” is empty in some rows: so ids are made of the numbers of the rows." in about
    assert send(page) == "9 of 9 rows · 9 stored"


def test_notices_are_of_the_columns_that_are_typed(explore: Explore, writer: httpx.Client) -> None:
    writer.put("/v1/collections/books", json={}).raise_for_status()
    page = explore(UPLOAD).page
    choose(page, "books.csv", written([["title", "Preis", "zip"], ["cats", "9,50", "01234"], ["dogs", 5, 99999]], ";"))
    notices = page.locator(".about").all_inner_texts()
    assert [notice.partition(". ")[0] for notice in notices] == [
        "The column “Preis” has 2 numbers, and “9,50” is stored as 9.5",
        "The column “zip” stays text, since “01234” would not come back the same as a number",
    ]
    page.select_option("[aria-label='What the column zip becomes']", "skip")
    assert page.locator(".about").all_inner_texts() == notices[:1]
    assert send(page) == "2 of 2 rows · 2 stored"
    answer = writer.post("/v1/collections/books/documents/query", json={"include": ["metadata"]}).json()
    assert [document["metadata"] for document in answer["documents"]] == [{"Preis": 9.5}, {"Preis": 5}]


def test_rows_without_a_key_are_foreseen_and_take_another_column(explore: Explore, writer: httpx.Client) -> None:
    writer.put("/v1/collections/books", json={}).raise_for_status()
    rows: list[list[Any]] = [["title", "article", "since"]]
    rows += [
        ["" if i % 5 == 0 else f"title {i}", "" if i == 5 else f"article {i}", f"2026-09-0{i % 9 + 1}"]
        for i in range(20)
    ]
    page = explore(UPLOAD).page
    choose(page, "shop.csv", written(rows))
    assert page.locator(".columns tbody tr").nth(2).locator("td").nth(1).inner_text() == "dates"
    assert page.inner_text("#no-value") == "No column becomes the value, and an answer shows the key as the value."
    told = "16 rows can be stored. 4 have no key: “title” is empty there."
    assert page.inner_text("#doctor p") == told
    assert page.inner_text("#send") == "Upload 16 rows"
    assert page.locator("#fallback option").all_inner_texts() == ["skip these rows", "use “article”: 3 rows more"]
    page.select_option("#fallback", "article")
    assert page.inner_text("#doctor p").startswith("19 rows can be stored. 1 has no key")
    page.select_option("[aria-label='What the column article becomes']", "value")
    assert page.locator("#no-value").count() == 0
    assert send(page) == "20 of 20 rows · 19 stored · 1 refused"
    document = writer.get("/v1/collections/books/documents/shop-2").json()
    assert (document["key"], document["value"]) == ("article 0", "article 0")


SHOP: list[list[Any]] = [
    ["title", "text", "shelf"],
    ["Opening", "We open at nine and close at five every day of the week", "hall 1"],
    ["Parking", "", "yard"],
    ["", "Dogs wait at the door, and there is water for all of them", "door"],
]


def test_a_long_column_is_joined_to_the_key_or_is_not(explore: Explore, writer: httpx.Client) -> None:
    writer.put("/v1/collections/books", json={}).raise_for_status()
    page = explore(UPLOAD).page
    choose(page, "shop.csv", written(SHOP))
    joins = "The column “text” has longer texts than “title”: the key joins both, so that other words find them, too."
    assert page.locator(".about").all_inner_texts() == [joins]
    assert page.locator("#keys .key").all_inner_texts() == ["title", "text"]
    assert page.locator(".made .key").first.inner_text().startswith("Opening We open at nine")
    page.click("[aria-label='Take “text” out of the key']")
    assert page.locator(".about").inner_text().startswith("The column “text” has longer texts, which are no part")
    assert page.locator(".made .key").all_inner_texts() == ["Opening", "Parking"]
    assert page.input_value("#role-0") == "key"
    page.wait_for_selector("#join:focus")
    page.select_option("#join", "shelf")
    page.select_option("#join", "text")
    assert page.locator("#keys .key").all_inner_texts() == ["title", "shelf", "text"]
    assert [page.input_value(f"#role-{i}") for i in range(3)] == ["metadata", "value", "metadata"]
    assert page.locator(".made .key").all_inner_texts()[1] == "Parking yard"
    assert send(page) == "3 of 3 rows · 3 stored"
    answer = writer.post("/v1/collections/books/documents/query", json={"include": ["key", "value", "metadata"]}).json()
    assert [(one["id"], one["key"], one["value"], one["metadata"]) for one in answer["documents"]] == [
        (
            "shop-2",
            "Opening\nhall 1\nWe open at nine and close at five every day of the week",
            SHOP[1][1],
            {"title": "Opening", "shelf": "hall 1"},
        ),
        ("shop-3", "Parking\nyard", "Parking\nyard", {"title": "Parking", "shelf": "yard"}),
        (
            "shop-4",
            "door\nDogs wait at the door, and there is water for all of them",
            SHOP[3][1],
            {"shelf": "door"},
        ),
    ]


def test_a_long_column_of_a_packed_csv_is_joined_to_the_key(explore: Explore, writer: httpx.Client) -> None:
    writer.put("/v1/collections/books", json={}).raise_for_status()
    page = explore(UPLOAD).page
    choose(page, "shop.csv.gz", gzip.compress(written(SHOP)))
    assert page.locator("#keys .key").all_inner_texts() == ["title", "text"]
    assert page.locator(".made .key").first.inner_text().startswith("Opening We open at nine")


def test_a_parquet_file_is_read_by_the_service(explore: Explore, writer: httpx.Client, tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    parquet = pytest.importorskip("pyarrow.parquet")
    writer.put("/v1/collections/books", json={"encoder": None}).raise_for_status()
    file = tmp_path / "books.parquet"
    table = {
        "id": range(300),
        "text": [f"text {i}" for i in range(300)],
        "embedding": [[float(i), 1.0, 0.5] for i in range(300)],
    }
    parquet.write_table(pyarrow.table({**table, "id": list(range(300))}), file, compression="zstd")
    opened = explore(UPLOAD)
    choose(opened.page, "books.parquet", file.read_bytes())
    assert any("/v1/tables" in url for url in opened.requests)
    assert opened.page.inner_text("#counted") == "Read by the service: 300 rows with 3 columns."
    assert send(opened.page) == "300 of 300 rows · 300 stored"
    stored = writer.get("/v1/collections/books/documents/7", params={"include": ["key", "key_vector"]}).json()
    assert (stored["key"], stored["key_vector"]) == ("text 7", [7, 1, 0.5])


def test_an_upload_is_stopped_and_goes_on(explore: Explore, writer: httpx.Client) -> None:
    writer.put("/v1/collections/books", json={"encoder": None, "dimension": 1}).raise_for_status()
    page = explore(UPLOAD).page
    choose(page, "rows.csv", written([["title", "vector"], *([f"t{i}", "[1.5]"] for i in range(3000))]))
    page.select_option("#role-1", "key_vector")
    held = []
    page.route("**/documents", lambda route: held.append(route))
    with page.expect_request("**/documents"):
        page.click("#send")
    page.wait_for_selector("#stop:focus")
    page.keyboard.press("Enter")
    page.wait_for_function(SAYS, arg="Stopping")
    held[0].continue_()
    page.unroute("**/documents")
    page.wait_for_selector("#continue")
    stored = writer.get("/v1/collections/books").json()["documents"]
    assert 0 < stored < 3000
    assert f"{stored} documents are stored" in page.inner_text("#state")
    page.click("#continue")
    page.wait_for_function(SAYS, arg="Done")
    assert writer.get("/v1/collections/books").json()["documents"] == 3000


def test_a_lost_service_loses_no_row(explore: Explore, writer: httpx.Client) -> None:
    writer.put("/v1/collections/books", json={"encoder": None, "dimension": 1}).raise_for_status()
    opened = explore(UPLOAD)
    page = opened.page
    choose(page, "rows.csv", written([["title", "vector"], *([f"t{i}", "[1.5]"] for i in range(500))]))
    page.select_option("#role-1", "key_vector")
    page.route("**/documents", lambda route: route.abort())
    page.click("#send")
    page.wait_for_function(
        "() => document.querySelector('#state').textContent.startsWith('The service does not answer')"
    )
    page.unroute("**/documents")
    page.wait_for_function(SAYS, arg="Done")
    assert writer.get("/v1/collections/books").json()["documents"] == 500
    opened.errors[:] = [error for error in opened.errors if "ERR_FAILED" not in error]


def test_an_unreadable_file_is_reported(explore: Explore, writer: httpx.Client) -> None:
    writer.put("/v1/collections/books", json={}).raise_for_status()
    opened = explore(UPLOAD)
    page = opened.page
    for name, content, words in (
        ("a.csv", b"", "no rows"),
        ("a.parquet", b"PAR1 and no more", "cannot be read"),
        ("a.json", b"[1, 2", "JSON array"),
    ):
        page.set_input_files("#file", {"name": name, "mimeType": "text/plain", "buffer": content})
        page.wait_for_function(f"() => document.querySelector('#unreadable')?.textContent.includes('{words}')")
    page.set_input_files(
        "#file", {"name": "a.csv", "mimeType": "text/csv", "buffer": "书名,年份\n养猫,1993".encode("gb18030")}
    )
    page.wait_for_selector("#encoding")
    page.select_option("#encoding", "gb18030")
    page.wait_for_selector("#send")
    assert page.locator(".made .key").inner_text() == "养猫"
    opened.errors[:] = [error for error in opened.errors if "422" not in error]


def test_a_packed_text_is_read_by_the_service(explore: Explore, writer: httpx.Client) -> None:
    writer.put("/v1/collections/books", json={"encoder": None, "dimension": 2}).raise_for_status()
    page = explore(UPLOAD).page
    lines = (
        '{"id": "a", "key_vector": [1, 0], "metadata": {"sum": 12345678901234567}}\n\n{"id": "b", "key_vector": [1]}\n'
    )
    choose(page, "books.ndjson.gz", gzip.compress(lines.encode()))
    assert send(page) == "2 of 2 rows · 1 stored · 1 refused"
    assert page.locator("ol.refused li").inner_text().startswith("Line 3:")
    assert writer.get("/v1/collections/books/documents/a").json()["metadata"] == {"sum": 12345678901234567}
