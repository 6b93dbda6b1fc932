"""Files as people make them: nothing in them changes or goes without a word."""

from __future__ import annotations

from pathlib import Path

import pytest

import softkv
from softkv import tables as outside
from tests.clients.python.tables.files import CASES, Case, save_workbook
from tests.clients.python.tables.here import open_table
from tests.clients.python.tables.test_opening import documents, flaws, text_file

pytest.importorskip("h5py")
pytest.importorskip("python_calamine")
pytest.importorskip("openpyxl")


@pytest.mark.parametrize("open_", [outside.open_table, open_table], ids=["process", "here"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_file_is_its_documents(tmp_path: Path, case: Case, open_) -> None:
    case.save(tmp_path / case.name)
    table = open_(tmp_path / case.name, **case.options)
    assert table.notices == [f"{case.name}: {notice}" for notice in case.notices]
    rows = {row.id: row for row in table}
    assert [rows[document["id"]].document for document in case.documents] == case.documents
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
    with pytest.raises(softkv.Invalid, match=r"are Report of the year, 2, 3, 4, 5 \(if the header is a later"):
        open_table(tmp_path / "book.xlsx")
    assert len(documents(tmp_path / "book.xlsx", sheet="Data", header_row=3)) == 4


@pytest.mark.parametrize("options", [{"quoting": "all"}, {"header_row": 9}])
def test_a_layout_that_cannot_be_is_refused(tmp_path: Path, options: dict[str, object]) -> None:
    with pytest.raises(softkv.Invalid, match=r"wanted quoting csv or none, got 'all'|has no line 9"):
        open_table(text_file(tmp_path / "t.csv", "id,key\na,b\n"), **options)
