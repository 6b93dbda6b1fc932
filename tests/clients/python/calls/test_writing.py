"""Many documents at once, in each of the three ways."""

from __future__ import annotations

import asyncio
import datetime
import warnings
from collections.abc import Iterator

import numpy as np
import pytest

import softkv
from softkv import Document, F
from softkv.tables import open_table


def test_a_report_has_the_notices_of_its_table(shelf, tmp_path):
    (tmp_path / "t.csv").write_text("id,key_vector,price\na,1 2,72.60\nb,2 1,9.99\n", encoding="utf-8")
    table = open_table(tmp_path / "t.csv")
    report = shelf.upsert(table)
    assert (report.upserted, report.notices) == (2, table.notices)
    assert report.notices[0].startswith("t.csv: column 'price' has 2 numbers, and '72.60' is stored as 72.6")
    assert repr(report) == f"<Report 2 of 2 rows written; {report.notices[0]}>"
    assert shelf.upsert([{"id": "a"}]).notices == []


def rows(many: int) -> Iterator[dict[str, object]]:
    for number in range(many):
        yield {"id": f"row-{number:05}", "key_vector": np.array([number, 1.0]), "metadata": {"n": np.int64(number)}}


@pytest.mark.parametrize("on_conflict", ["replace", "skip"])
def test_rows_of_any_number_are_written_and_a_wrong_one_keeps_none_back(made, on_conflict):
    collection = made(encoder=None, dimension=2)

    def given() -> Iterator[object]:
        yield {"id": "", "key_vector": [1, 1]}
        yield from rows(2500)
        yield Document("last", value=datetime.date(2026, 1, 2), key_vector=[1, 2])
        yield {"id": "wide", "key_vector": [1, 2, 3]}
        yield {"id": "nan", "value": float("nan")}
        yield {"id": "field", "colour": "red"}
        yield {"value": "without an id"}

    report = collection.upsert(given(), on_conflict=on_conflict)
    assert (report.rows, report.upserted) == (2506, 2501)
    assert sorted((refusal.row, refusal.id) for refusal in report.refused if refusal.id is not None) == [
        (0, ""),
        (2502, "wide"),
        (2503, "nan"),
        (2504, "field"),
    ]
    assert {refusal.row for refusal in report.refused} == {0, 2502, 2503, 2504, 2505}
    details = {refusal.row: refusal.detail for refusal in report.refused}
    assert list(details) == sorted(details)
    assert details[0] == "wanted an id of 1 to 256 characters, got 0"
    assert "width 3" in details[2502]
    assert "no NaN" in details[2503]
    assert collection.count() == 2501
    assert collection.get("last").value == "2026-01-02"
    with pytest.raises(softkv.Invalid, match="and 4 more"):
        report.raise_for_refused()


def test_integers_keep_their_digits_or_are_refused_where_they_stand(shelf):
    most = [2**64 - 1, -(2**63), 9007199254740993]
    shelf.put("most", metadata={"most": most, "as float": 2.0**70}, key_vector=[2**70, 1])
    assert shelf.get("most").metadata == {"most": most, "as float": 2.0**70}
    assert shelf.get("most", include=["key_vector"]).key_vector.tolist() == [2.0**70, 1.0]
    report = shelf.upsert([{"id": "a", "metadata": {"wei": 2**64}}, {"id": "b", "metadata": {"text": str(2**64)}}])
    (refused,) = report.refused
    assert (report.upserted, refused.id, refused.errors[0].pointer) == (1, "a", "/metadata/wei")
    assert refused.errors[0].detail == "wanted integers of at most 64 bits, got a larger one: send it as text"
    with pytest.raises(softkv.Invalid, match=r"^/filter/value: wanted integers of at most 64 bits"):
        shelf.count(where=F.wei == 2**64)
    with pytest.raises(softkv.Invalid, match=r"^/patch/metadata/wei: wanted integers of at most 64 bits"):
        shelf.update(ids=["b"], metadata={"wei": -(2**63) - 1})


def test_refused_rows_are_a_warning_at_the_callers_line_unless_the_caller_follows_the_upload(shelf):
    rows = [{"id": "a"}, {"id": ""}, {"id": "b", "value": float("nan")}]
    with pytest.warns(UserWarning, match="^2 of 3 rows were refused, the first is row 1: wanted an id") as warned:
        report = shelf.upsert(rows)
    # The suite runs coroutines of the client as tasks of their own, so asyncio makes those calls.
    assert all(warning.filename == __file__ or "asyncio" in warning.filename for warning in warned)
    assert len(report.refused) == 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shelf.upsert(rows, progress=lambda _: None)
        shelf.upsert(rows, resume=softkv.Report())
        shelf.upsert(rows[:1])


@pytest.mark.parametrize(
    "expires", [1_767_225, "2001-01-01T00:00:00Z", datetime.datetime(2001, 1, 1, tzinfo=datetime.UTC)], ids=str
)
def test_rows_that_have_expired_before_they_are_sent_are_a_warning(shelf, expires):
    """Such as instants in microseconds that were taken for nanoseconds, which are in January 1970."""
    rows = [{"id": "a", "expires": "2126-01-01T00:00:00Z"}, {"id": "b", "expires": expires}]
    with pytest.warns(
        UserWarning, match=r"^1 of 2 rows had expired before they were sent, so .* a number in `expires` counts"
    ):
        shelf.upsert(rows)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shelf.upsert(rows, progress=lambda _: None)
        shelf.upsert([{"id": "c", "expires": None}, rows[0]])


def test_a_refused_row_of_a_file_is_named_by_its_line(shelf, tmp_path):
    (tmp_path / "t.csv").write_text("id,key_vector\na,1 2\na,2 1\n", encoding="utf-8")
    with pytest.warns(UserWarning, match="^1 of 2 rows was refused, the first is line 3 of the file: the id 'a'"):
        shelf.upsert(open_table(tmp_path / "t.csv"))


def test_a_warning_of_an_awaited_call_is_at_the_line_that_awaits_it(service):
    async def upload() -> None:
        async with softkv.AsyncClient(service.url) as client:
            await client.collection("awaited").upsert([{"id": "a", "value": float("nan")}])

    with pytest.warns(UserWarning, match="^1 of 1 rows was refused") as warned:
        asyncio.run(upload())
    assert [warning.filename for warning in warned] == [__file__]
