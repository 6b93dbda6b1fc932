"""Tables in the manner of public data: filters on their documents count as SQLite counts their cells."""

from __future__ import annotations

import csv
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from softkv import Client, F
from softkv.filters import Filter
from softkv.tables import open_table


def comma(cell: str) -> float:
    return float(cell.replace(",", "."))


def day_first(cell: str) -> str:
    return datetime.strptime(cell, "%d/%m/%Y").date().isoformat()


@dataclass(frozen=True)
class Sheet:
    """A file, the types that its columns have by the documented rules, and filters in both languages.

    A filter of the service is true or false. In SQL, `IS`, `IS NOT` and `IS NOT TRUE` are so too.

    Attributes:
        name: the name of the file.
        lines: its lines.
        types: what a filled cell of a column is in SQLite; the other columns are texts.
        filters: each with its condition in SQL.
        missing: cells that are null, as empty ones are.
        options: the options of `open_table`.
    """

    name: str
    lines: Sequence[str]
    types: Mapping[str, Callable[[str], Any]]
    filters: Sequence[tuple[Filter, str]]
    missing: frozenset[str] = frozenset()
    options: Mapping[str, Any] = field(default_factory=dict)

    def save(self, folder: Path) -> Path:
        path = folder / self.name
        path.write_text("".join(f"{line}\n" for line in self.lines), encoding="utf-8")
        return path

    def counts(self, path: Path) -> list[int]:
        """Return what SQLite counts."""
        with path.open(encoding="utf-8", newline="") as file:
            heading, *rows = csv.reader(file, delimiter=self.options.get("delimiter", ","))
        cells = [
            [
                None if cell == "" or cell in self.missing else self.types.get(column, str)(cell)
                for column, cell in zip(heading, row, strict=True)
            ]
            for row in rows
        ]
        with closing(sqlite3.connect(":memory:")) as database:
            # Columns without a declared type keep what they get: a text is never equal to a number.
            database.execute(f"CREATE TABLE cells ({', '.join(heading)})")
            database.executemany(f"INSERT INTO cells VALUES ({', '.join('?' * len(heading))})", cells)
            query = "SELECT count(*) FROM cells WHERE {}"
            return [database.execute(query.format(condition)).fetchone()[0] for _, condition in self.filters]


def prices() -> Iterator[str]:
    """Yield a shop's articles; one has no discount, which it says in letters."""
    yield "sku,name,price,stock,discount"
    for number in range(1, 151):
        cents = 7260 if number % 10 == 0 else 137 * number % 9000
        stock = "" if number % 7 == 0 else number % 5
        discount = "n/a" if number == 42 else f"{number % 4 * 5}"
        yield f'{number:05},"Lamp, no. {number}",{cents // 100}.{cents % 100:02},{stock},{discount}'


SHEETS = [
    Sheet(
        "prices.csv",
        [*prices()],
        {"price": float, "stock": int, "discount": int},
        [
            (F.price == 72.6, "price = 72.6"),
            (F.price != 72.60, "price IS NOT 72.6"),
            (F.price < 10, "price < 10"),
            ((F.price >= 20) & (F.price <= 72.6), "price >= 20 AND price <= 72.6"),
            (F.stock.is_in([0, 3]), "stock IN (0, 3)"),
            (F.stock.not_in([0, 3]), "(stock IN (0, 3)) IS NOT TRUE"),
            (F.stock.is_missing() | (F.discount == None), "stock IS NULL OR discount IS NULL"),  # noqa: E711
            (~(F.discount >= 10), "(discount >= 10) IS NOT TRUE"),
        ],
        frozenset({"n/a"}),
        {"id": "sku", "key": "name"},
    ),
    Sheet(
        "rates.csv",
        [
            "id,key,rate_2024,turnout,share,certain",
            "AT,Austria,7.5,77.7,12.5%,true",
            "BE,Belgium,8.10,87.4,9.9%,false",
            "CH,Switzerland,2.00,46.6,7.0%,true",
            "DE,Germany,12.0,82.5,12.5%,true",
            "EE,Estonia,-0.50,63.5,1.3%,false",
            "FI,Finland,,71.9,,true",
            "FR,France,7.50,66.7,18.0%,",
            "IE,Ireland,10,59.7,5.1%,false",
        ],
        {"rate_2024": float, "turnout": float, "certain": lambda cell: int(cell == "true")},
        [
            (F.rate_2024 == 7.5, "rate_2024 = 7.5"),
            (F.rate_2024 != 7.5, "rate_2024 IS NOT 7.5"),
            (F.rate_2024 >= 8.1, "rate_2024 >= 8.1"),
            (F.rate_2024.is_in([2, 12, 10]), "rate_2024 IN (2, 12, 10)"),
            (F.share == "12.5%", "share = '12.5%'"),
            (F.share >= "5", "share >= '5'"),
            ((F.certain == True) & ~(F.turnout < 70), "certain = 1 AND (turnout < 70) IS NOT TRUE"),  # noqa: E712
            (F.certain.is_missing() | (F.rate_2024 < 0), "certain IS NULL OR rate_2024 < 0"),
        ],
    ),
    Sheet(
        "inspections.csv",
        [
            "id,key,opened,inspected,grade",
            "1,Corner Café,1998-05-01,07/09/2024,A",
            "2,Noodle Bar,2021-12-31,31/01/2024,B",
            "3,The Oven,2022-01-01,,A",
            "4,Juice & Co,2022-01-01,01/02/2024,C",
            "5,Old Mill,,29/02/2024,",
            "6,Harbour,2023-07-15,12/11/2023,B",
            "7,Station,2023-07-16,07/09/2024,A",
        ],
        {"inspected": day_first},
        [
            (F.opened == "2022-01-01", "opened = '2022-01-01'"),
            (F.opened >= date(2022, 1, 1), "opened >= '2022-01-01'"),
            (F.inspected == date(2024, 9, 7), "inspected = '2024-09-07'"),
            (F.inspected != date(2024, 9, 7), "inspected IS NOT '2024-09-07'"),
            (F.inspected < date(2024, 2, 29), "inspected < '2024-02-29'"),
            (F.inspected < "2024-02-29", "inspected < '2024-02-29'"),
            (~(F.inspected >= date(2024, 2, 1)), "(inspected >= '2024-02-01') IS NOT TRUE"),
            (F.grade.is_in(["A", None]) & (F.opened > "2000"), "(grade = 'A' OR grade IS NULL) AND opened > '2000'"),
        ],
        options={"date": "%d/%m/%Y"},
    ),
    Sheet(
        "addresses.csv",
        [
            "id,key,zip,zip4,house,version",
            "a,Allston,02134,02134-1001,1,1.1",
            "b,Beverly Hills,90210,90210-4817,1600,1.10",
            "c,Newark,07102,07102,22,2.0",
            "d,Anchorage,99501,99501-2101,,1.9",
            "e,Holtsville,00501,,7,1.1",
            "f,Nowhere,,12345-0001,350,",
        ],
        {"house": int},
        [
            (F.zip == "02134", "zip = '02134'"),
            (F.zip.is_in(["02134", "00501", "501"]), "zip IN ('02134', '00501', '501')"),
            ((F.zip == 90210) | (F.zip != "90210"), "zip = 90210 OR zip IS NOT '90210'"),
            (F.zip < "1", "zip < '1'"),
            (F.zip4 >= "07102", "zip4 >= '07102'"),
            (F.zip.is_missing() | (F.zip4 == None), "zip IS NULL OR zip4 IS NULL"),  # noqa: E711
            (F.version == "1.10", "version = '1.10'"),
            (~(F.house > 20) & (F.version != "2.0"), "(house > 20) IS NOT TRUE AND version IS NOT '2.0'"),
        ],
    ),
    Sheet(
        "gemeinden.csv",
        [
            "id;key;preis;hoehe;einwohner;umsatz",
            "1;Aurich;72,60;-1,5;12000;1.234,50",
            "2;Bützow;9,99;4,25;8100;980,00",
            "3;Coburg;10,00;292;41000;12.000,00",
            "4;Dahme;;75,5;;",
            "5;Emden;72,6;1;50000;7,10",
            "6;Fulda;0,50;-0,5;8100;",
        ],
        {"preis": comma, "hoehe": comma, "einwohner": int},
        [
            (F.preis == 72.6, "preis = 72.6"),
            (F.preis != 72.6, "preis IS NOT 72.6"),
            (F.preis < 10, "preis < 10"),
            (F.hoehe >= 1, "hoehe >= 1"),
            (F.hoehe.is_in([292, -0.5]), "hoehe IN (292, -0.5)"),
            (F.umsatz == "1.234,50", "umsatz = '1.234,50'"),
            (F.umsatz.is_missing() & (F.einwohner > 1), "umsatz IS NULL AND einwohner > 1"),
            (~((F.einwohner == 8100) | (F.preis >= 10)), "(einwohner = 8100 OR preis >= 10) IS NOT TRUE"),
        ],
        options={"delimiter": ";"},
    ),
]


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with Client.local(encoder=None) as local:
        yield local


@pytest.mark.parametrize("sheet", SHEETS, ids=lambda sheet: sheet.name)
def test_filters_count_as_sqlite_does(client: Client, tmp_path: Path, sheet: Sheet) -> None:
    path = sheet.save(tmp_path)
    collection = client.collection(path.stem)
    collection.create(dimension=1)
    rows = [{**row.document, "key_vector": [1.0]} for row in open_table(path, **sheet.options) if row.document]
    collection.upsert(rows).raise_for_refused()
    assert len(rows) == len(sheet.lines) - 1
    conditions = [condition for _, condition in sheet.filters]
    counts = [collection.count(where=filter_) for filter_, _ in sheet.filters]
    assert dict(zip(conditions, counts, strict=True)) == dict(zip(conditions, sheet.counts(path), strict=True))
    assert [condition for condition, count in zip(conditions, counts, strict=True) if not 0 < count < len(rows)] == []
