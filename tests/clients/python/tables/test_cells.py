"""Cells whose numbers have many digits, and times."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from time import process_time
from typing import Any

import numpy as np
import pandas as pd
import pytest

from softkv.tables.cells import BadCell, is_empty, to_id, to_instant, to_json
from softkv.tables.kinds import ColumnOfTexts
from tests.clients.python.tables.here import open_table

BEYOND = ["1E+999999", "1E-999999", "NaN", "-Infinity"]


@pytest.mark.parametrize("cell", [Decimal(text) for text in BEYOND], ids=BEYOND)
def test_decimals_beyond_a_number_of_64_bits_are_refused(cell: Decimal) -> None:
    with pytest.raises(BadCell, match=r"wanted a number|more digits"):
        to_json(cell)
    with pytest.raises(BadCell, match="wanted an id"):
        to_id(cell)


@pytest.mark.parametrize("cell", [10**30, Decimal(10**30), 2.0**52], ids=repr)
def test_whole_numbers_of_any_length_are_ids(cell: float | Decimal) -> None:
    assert to_id(cell) == str(int(cell))


TIMES = [
    (np.datetime64("2026-01-01T00:00:00.123456789", "ns"), "2026-01-01T00:00:00.123456"),
    (np.datetime64("2026-01-01T00:00", "s"), "2026-01-01T00:00:00"),
    (np.datetime64("2026-01-01", "D"), "2026-01-01"),
    (np.array(["2026-01-01", "NaT"], "datetime64[ns]"), ["2026-01-01T00:00:00", None]),
    (np.timedelta64(1_500_000_000, "ns"), 1.5),
    (np.timedelta64(1, "D"), 86400.0),
    (pd.Timestamp("2026-01-01", tz="UTC"), "2026-01-01T00:00:00+00:00"),
    (pd.Timedelta(days=1), 86400.0),
    (
        {"at": pd.NaT, "until": [np.datetime64("NaT", "ns"), np.timedelta64("NaT", "ns")]},
        {"at": None, "until": [None] * 2},
    ),
]


@pytest.mark.parametrize(("cell", "value"), TIMES, ids=repr)
def test_times_of_numpy_and_pandas_are_those_of_python(cell: Any, value: Any) -> None:
    assert to_json(cell) == value


@pytest.mark.parametrize("cell", [pd.NaT, np.datetime64("NaT"), np.timedelta64("NaT"), None, ""], ids=repr)
def test_no_time_is_an_empty_cell(cell: Any) -> None:
    assert is_empty(cell)


@pytest.mark.parametrize("cell", [np.datetime64("20000-01-01"), np.timedelta64(1)], ids=repr)
def test_times_that_python_lacks_are_refused(cell: Any) -> None:
    with pytest.raises(BadCell, match="wanted a time of the years 1 to 9999"):
        to_json(cell)


def test_an_instant_of_numpy_is_one_at_which_a_document_expires() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert to_instant(np.datetime64("2026-02-03T04:05:06", "ns"), now) == "2026-02-03T04:05:06Z"
    assert to_instant(np.timedelta64(1, "h"), now) == "2026-01-01T01:00:00Z"


def test_no_time_in_a_frame_is_left_out_at_any_depth() -> None:
    frame = pd.DataFrame({"id": ["a"], "key": ["cats"], "at": [pd.NaT], "facts": [{"at": pd.NaT, "n": 1}]})
    (row,) = open_table(frame)
    assert row.document == {"id": "a", "key": "cats", "metadata": {"facts": {"at": None, "n": 1}}}


def processor_seconds(cell: str) -> float:
    """Return the least processor time in which the type of a column with this cell is found, of five."""
    times = []
    for _ in range(5):
        column, began = ColumnOfTexts("x"), process_time()
        column.note(cell)
        times.append(process_time() - began)
        assert column.decide().kind == "text"
    return min(times)


def test_the_work_for_a_cell_grows_with_its_digits_and_not_with_their_square() -> None:
    assert processor_seconds("1" * 10_000 + "x") < 1000 * processor_seconds("1" * 100 + "x")
