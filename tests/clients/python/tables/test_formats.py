"""The table of formats: the page and the documentation know each ending."""

from __future__ import annotations

from pathlib import Path

import pytest

from softkv.tables.formats import BY_ENDING, libraries_of
from softkv.tables.packing import PACKED_ENDINGS
from tools.node import ROOT


def test_the_page_takes_every_ending() -> None:
    script = (ROOT / "service/softkv_service/web/explore/upload.js").read_text()
    (accepted,) = [line.strip(' ",\n') for line in script.splitlines() if ".csv,.tsv" in line]
    assert {*accepted.split(",")} == {*BY_ENDING, *PACKED_ENDINGS} - {".lance"}  # which is a folder


def test_every_ending_is_documented() -> None:
    page = (ROOT / "docs/reference/commands.md").read_text()
    assert [ending for ending in (*BY_ENDING, *PACKED_ENDINGS) if f"`{ending}`" not in page] == []


@pytest.mark.parametrize(
    ("name", "libraries"),
    [
        ("a.csv", []),
        ("a.parquet", ["pyarrow.parquet"]),
        ("a.XLSX", ["python_calamine"]),
        ("a.h5ad", ["h5py"]),
        ("a.vec.zst", ["pyarrow"]),
        ("a.lance", ["lance"]),
        ("a.pdf", []),
    ],
)
def test_the_libraries_of_a_file_are_known_before_it_is_opened(name: str, libraries: list[str]) -> None:
    assert libraries_of(Path(name)) == libraries
