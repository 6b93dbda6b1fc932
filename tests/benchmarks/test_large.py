"""The table of thin codes alone: its answers are thin, its files are gone, and what has no room is left out."""

from __future__ import annotations

import shutil
from collections import namedtuple
from io import StringIO

from rich.console import Console

from attention.lookup import answering
from benchmarks import large


def printed(table):
    console = Console(width=300, record=True, file=StringIO())
    console.print(table)
    return [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in console.export_text().splitlines() if "|" in line
    ]


def test_every_size_has_a_row_and_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(answering, "SMALL_CELLS", 0)
    monkeypatch.setattr(large, "ASKED", 3)
    names, _, *rows = printed(large.thin_table([1_500, 2_000], tmp_path))
    assert [row[0] for row in rows] == ["1,500", "2,000"]
    for row in rows:
        told = dict(zip(names, row, strict=False))
        assert told["T = 0.05"].endswith("×)")
    assert rows[0][names.index("T = 0.05")].endswith("(1.0×)")
    assert not list(tmp_path.iterdir())


def test_a_size_that_the_disk_has_no_room_for_is_left_out(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda directory: usage(0, 0, 49.9e9))
    _, _, row = printed(large.thin_table([30_000_000], tmp_path))
    assert row[:2] == ["30,000,000", "left out: 50 GB of disk are free"]
