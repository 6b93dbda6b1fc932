"""The types of columns of texts, by the cases with which the explorer is tested too."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import softkv
from softkv.tables.kinds import AMOUNTS, DATES, MISSING, ColumnOfTexts, ColumnType, _without_zeros
from tests.clients.python.tables.here import open_table

SHARED = json.loads(Path(__file__).with_name("columns.json").read_text(encoding="utf-8"))
TYPED = [case for case in SHARED["cases"] if case.get("named") != "text_column"]


def expanded(cells: list[Any]) -> list[Any]:
    """The cells of a case, of which one may stand for many."""
    many = [
        cell if isinstance(cell, list) and len(cell) == 2 and isinstance(cell[1], int) else [cell, 1] for cell in cells
    ]
    return [cell for cell, times in many for _ in range(times)]


def decided(case: dict[str, Any]) -> ColumnType:
    decimals = case.get("decimal") or (".," if case.get("delimiter") == ";" else ".")
    is_forced = case.get("named") == "number"
    column = ColumnOfTexts(case["column"], decimals=decimals, date=case.get("date"), is_forced=is_forced)
    for line, cell in enumerate(expanded(case["cells"]), start=2):
        column.note(cell, line)
    return column.decide()


def test_the_words_and_formats_are_those_of_the_cases() -> None:
    assert set(SHARED["missing"]) == MISSING
    assert set(SHARED["amounts"]) == AMOUNTS
    assert tuple(SHARED["formats"]) == DATES


@pytest.mark.parametrize("case", TYPED, ids=lambda case: case["why"])
def test_a_column_has_the_type_of_its_case(case: dict[str, Any]) -> None:
    type_ = decided(case)
    values = [type_.read(cell) for cell in expanded(case["cells"])]
    expected = expanded(case["values"]) if case["kind"] != "json" else case["values"]
    assert (type_.kind, json.dumps(values)) == (case["kind"], json.dumps(expected))
    assert (type_.remark, type_.line) == (case.get("says"), case.get("line", 0))
    example = [type_.example, *([json.dumps(type_.read(type_.example))] if type_.remark == "numbers" else [])]
    assert example == case.get("example", [""])
    assert list(type_.formats) == case.get(
        "formats", [case["date"]] if "date" in case and case["kind"] == "date" else []
    )
    missing = (type_.missing, type_.mark) if type_.kind != "text" else (0, "")
    assert missing == (case.get("nulls", 0), case.get("mark", ""))


@pytest.mark.parametrize("case", SHARED["cases"], ids=lambda case: case["why"])
def test_a_file_with_the_column_of_a_case_has_its_values(tmp_path: Path, case: dict[str, Any]) -> None:
    cells, path = expanded(case["cells"]), tmp_path / "t.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = [["id", "key", case["column"]], *([number, "k", cell] for number, cell in enumerate(cells))]
        csv.writer(file, delimiter=case.get("delimiter", ",")).writerows(rows)
    options = {name: case[name] for name in ("decimal", "date") if name in case}
    options |= {case["named"]: [case["column"]]} if "named" in case else {}
    table = open_table(path, **options)
    fields = [row.document.get("metadata", {}) for row in table if row.document is not None]
    expected = expanded(case["values"]) if case["kind"] != "json" else case["values"]
    assert [field.get(case["column"]) for field in fields] == expected
    assert len(table.notices) == ("says" in case) + ("nulls" in case)


@pytest.mark.parametrize(
    ("case", "notices"),
    [
        (
            "commas where the delimiter is another",
            ["stays text, since '1,5' has another decimal point; decimal=',' reads it"],
        ),
        (
            "one mark in ninety-nine cells",
            ["stays text, since 1 of its cells, such as 'n/a', has no number; number='x' leaves it empty"],
        ),
        (
            "a unit in one price of a hundred",
            [
                "stays text, since '80.00 €' in line 101 cannot be read as a number along with the others; mend it, "
                "or number='x' refuses such rows, and with odd='empty' leaves such cells empty"
            ],
        ),
        (
            "names of months",
            ["has 4 dates, and '28 January 1813' is stored as 1813-01-28; text_column='x' keeps texts"],
        ),
        ("two kinds of marks in two hundred", ["has 2 cells without a value, such as '-', and they stay empty"]),
        (
            "slashes that may be either",
            [
                "has dates such as '07/09/2024', which filters compare as texts; date='%d/%m/%Y' or date='%m/%d/%Y' "
                "reads them"
            ],
        ),
    ],
)
def test_a_notice_names_the_cell_and_the_way_out(case: str, notices: list[str]) -> None:
    (one,) = (one for one in SHARED["cases"] if one["why"] == case)
    assert decided(one).notices(one["column"], softkv.tables.Reading().say) == notices


@pytest.mark.parametrize("format_", ["dd.mm.yyyy", "%d.%m", "%Y-%q", "%H:%M", "%"])
def test_a_format_without_a_date_is_refused(tmp_path: Path, format_: str) -> None:
    (tmp_path / "t.csv").write_text("id,key\na,k\n", encoding="utf-8")
    with pytest.raises(softkv.Invalid, match=r"wanted the format of a date, such as %d\.%m\.%Y or"):
        open_table(tmp_path / "t.csv", date=format_)


def test_a_decimal_point_is_a_point_or_a_comma(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,key\na,k\n", encoding="utf-8")
    with pytest.raises(softkv.Invalid, match=r"wanted a decimal point, \. or a comma, got 'x'"):
        open_table(tmp_path / "t.csv", decimal="x")


def test_a_number_has_at_most_four_hundred_characters(tmp_path: Path) -> None:
    path, zeros = tmp_path / "t.csv", "0" * 397
    path.write_text(f"id,key,short,long,price\na,cats,1.1{zeros},1.1{zeros}0,1.1{zeros}0\n")
    table = open_table(path)
    (row,) = table
    assert row.document == {
        "id": "a",
        "key": "cats",
        "metadata": {"short": 1.1, "long": f"1.1{zeros}0", "price": f"1.1{zeros}0"},
    }
    (row,) = open_table(path, number="price")
    assert "column 'price': wanted a number, got '1.100" in row.flaw


PRICES = ["€ 1.299,00", "€ 118,00", "€ 7,50", "on request", "n/a"]


@pytest.mark.parametrize(
    ("cells", "options", "values", "refused"),
    [
        (PRICES, {}, [1299, 118, 7.5, None, None], {"on request"}),
        (PRICES, {"odd": "empty"}, [1299, 118, 7.5, None, None], set()),
        (["1,234.50", "9", "1,000"], {"delimiter": "|"}, [1234.5, 9, 1000], set()),
        (["5 %", "7.5%", "8"], {"delimiter": "|"}, [5, 7.5, None], {"8"}),
        (["8", "80.00 €", "9"], {"delimiter": "|"}, [8, None, 9], {"80.00 €"}),
        (["01234", "+5", "1e5", "1.10"], {"delimiter": "|"}, [1234, 5, 100_000.0, 1.1], set()),
        (["1.234", "1.234.567"], {"delimiter": "|"}, [1.234, None], {"1.234.567"}),
    ],
)
def test_a_column_that_is_named_as_numbers_is_read_as_the_automatic_rule_reads_it(
    tmp_path: Path, cells: list[str], options: dict[str, Any], values: list[Any], refused: set[str]
) -> None:
    path, delimiter = tmp_path / "t.csv", options.get("delimiter", ";")
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = [["id", "key", "Preis"], *([number, "k", cell] for number, cell in enumerate(cells))]
        csv.writer(file, delimiter=delimiter).writerows(rows)
    table = open_table(path, number="Preis", **options)
    came = list(table)
    assert [(row.document or {}).get("metadata", {}).get("Preis") for row in came] == values
    flaws = [row.flaw for row in came if row.flaw]
    assert len(flaws) == len(refused)
    assert all(any(f"got {cell!r}" in flaw for cell in refused) for flaw in flaws)
    left = [notice for notice in table.notices if "left empty" in notice]
    expected = ["t.csv: column 'Preis': 1 odd cell is left empty, such as 'on request' in line 5"]
    assert left == (expected if options.get("odd") == "empty" else [])


@pytest.mark.parametrize("digits", [1000, 100_000])
def test_zeros_at_the_end_are_looked_at_once(digits: int) -> None:
    assert _without_zeros(f"1.1{'0' * digits}") == "1.1"
    assert _without_zeros(f"1.{'0' * digits}1") == f"1.{'0' * digits}1"


@given(st.from_regex(r"[+-]?\d{0,3}(\.\d{0,6})?(e[+-]?\d{1,3})?", fullmatch=True))
def test_zeros_go_as_a_pattern_would_take_them(number: str) -> None:
    assert _without_zeros(number) == re.sub(r"(\.\d+?)0+$", r"\1", number)
