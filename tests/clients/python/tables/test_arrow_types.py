"""The JSON of a cell of Parquet, for each type of Arrow."""

from __future__ import annotations

import math
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from softkv.tables import open_table

pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
parquet = pytest.importorskip("pyarrow.parquet")


def seconds(*counts: int) -> list[timedelta]:
    return [timedelta(microseconds=count) for count in counts]


ZONE = "Europe/Berlin"
MOMENTS = [datetime(2026, 7, 1, 8, 30), datetime(1969, 12, 31, 23, 59, 59, 999_999), datetime(1, 1, 1)]
REFUSED: Any = object()
# type of Arrow, the values of a column, and the JSON that each becomes
CASES: dict[str, tuple[str, list[Any], list[Any]]] = {
    "int64": ("int64", [2**53 + 1, -(2**63), 7], [2**53 + 1, -(2**63), 7]),
    "uint64": ("uint64", [2**64 - 1, 2**53, 0], [2**64 - 1, 2**53, 0]),
    "uint32": ("uint32", [2**32 - 1, 0], [2**32 - 1, 0]),
    "int8": ("int8", [-128, 127], [-128, 127]),
    "bool": ("bool", [True, False], [True, False]),
    "float16": ("float16", [0.5, -2.0], [0.5, -2.0]),
    "float32": ("float32", [0.1, math.inf], [0.10000000149011612, REFUSED]),
    "float64": ("float64", [math.nan, -math.inf, 5e-324], [REFUSED, REFUSED, 5e-324]),
    "decimal": (
        "decimal128(38, 2)",
        [Decimal("1.10"), Decimal("-7.00"), Decimal(2**62), Decimal("123456789012345678901234567890.12")],
        [1.1, -7, 2**62, REFUSED],
    ),
    "decimal small": ("decimal128(9, 4)", [Decimal("0.0001"), Decimal("-12345.6789")], [0.0001, -12345.6789]),
    "decimal large": ("decimal256(60, 0)", [Decimal(10**30), Decimal(10**30 + 1)], [1e30, REFUSED]),
    "date32": (
        "date32",
        [date(2026, 2, 28), date(1, 1, 1), date(1969, 12, 31)],
        ["2026-02-28", "0001-01-01", "1969-12-31"],
    ),
    "time32": ("time32('s')", [time(1, 2, 3)], ["01:02:03"]),
    "time64": ("time64('us')", [time(1, 2, 3, 40), time(23)], ["01:02:03.000040", "23:00:00"]),
    "timestamp": (
        "timestamp('us')",
        MOMENTS,
        ["2026-07-01T08:30:00", "1969-12-31T23:59:59.999999", "0001-01-01T00:00:00"],
    ),
    "timestamp ms": ("timestamp('ms')", [datetime(2026, 7, 1, 8, 30, 0, 5000)], ["2026-07-01T08:30:00.005000"]),
    "timestamp utc": ("timestamp('us', 'UTC')", MOMENTS[:1], ["2026-07-01T08:30:00+00:00"]),
    "timestamp zone": (f"timestamp('us', '{ZONE}')", MOMENTS[:1], ["2026-07-01T10:30:00+02:00"]),
    "timestamp offset": ("timestamp('us', '-03:30')", MOMENTS[:1], ["2026-07-01T05:00:00-03:30"]),
    "timestamp ns": (
        "timestamp('ns')",
        [1_782_895_800_000_000_001, 1_782_895_800_000_001_000],
        ["2026-07-01T08:50:00.000000001", "2026-07-01T08:50:00.000001"],
    ),
    "duration": ("duration('us')", seconds(1_500_000, -1, 0), [1.5, -1e-6, 0]),
    "duration s": ("duration('s')", [timedelta(days=30)], [2_592_000]),
    "dictionary": ("dictionary(pyarrow.int8(), pyarrow.string())", ["a", "b", "a"], ["a", "b", "a"]),
    "lists": ("list_(pyarrow.list_(pyarrow.int64()))", [[[1], [], None, [2**60]], []], [[[1], [], None, [2**60]], []]),
    "lists of dates": ("list_(pyarrow.date32())", [[date(2026, 1, 1), None]], [["2026-01-01", None]]),
    "lists of infinity": ("list_(pyarrow.float64())", [[1.0, math.inf], [1.0, 2.0]], [REFUSED, [1, 2]]),
    "struct": (
        "struct([('at', pyarrow.timestamp('us')), ('n', pyarrow.decimal128(9, 1)), "
        "('x', pyarrow.list_(pyarrow.int64()))])",
        [{"at": MOMENTS[0], "n": Decimal("0.5"), "x": [1]}, {"at": None, "n": None, "x": None}],
        [{"at": "2026-07-01T08:30:00", "n": 0.5, "x": [1]}, {"at": None, "n": None, "x": None}],
    ),
    "map": ("map_(pyarrow.string(), pyarrow.int64())", [[("b", 1), ("a", 2**60)], []], [{"b": 1, "a": 2**60}, {}]),
    "map of numbers": (
        "map_(pyarrow.int64(), pyarrow.string())",
        [[(7, "x"), (2**60, None)]],
        [{"7": "x", str(2**60): None}],
    ),
    "map with a key twice": ("map_(pyarrow.string(), pyarrow.int64())", [[("b", 1), ("b", 2)], []], [REFUSED, {}]),
    "string": ("string", ["é 日 😀", "NaN", "01"], ["é 日 😀", "NaN", "01"]),
    "large string": ("large_string", ["a"], ["a"]),
}


@pytest.mark.parametrize("name", CASES)
def test_a_cell_has_its_json_or_is_refused(tmp_path: Path, name: str) -> None:
    written, values, expected = CASES[name]
    call = written if "(" in written else f"{written}{'_' if written == 'bool' else ''}()"
    kind = eval(f"pyarrow.{call}", {"pyarrow": pyarrow})
    path = tmp_path / "t.parquet"
    ids = [str(i) for i in range(len(values))]
    parquet.write_table(pyarrow.table({"id": ids, "key": ids, "cell": pyarrow.array(values, kind)}), path)
    readable = {id_: value for id_, value in zip(ids, expected, strict=True) if value is not REFUSED}
    assert {row.id: row.document["metadata"]["cell"] for row in open_table(path) if row.document} == readable
