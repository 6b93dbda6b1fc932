"""Cells whose numbers have many digits."""

from __future__ import annotations

from decimal import Decimal
from time import process_time

import pytest

from softkv.tables.cells import BadCell, to_id, to_json
from softkv.tables.kinds import ColumnOfTexts

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
