"""The texts that are dates, and durations, as Python's own dates count them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softkv_service.storage.instants import Instant, format_instant, parse_duration, parse_instant

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
zones = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=st.none() | zones)


@given(moments, st.sampled_from("Tt "), st.booleans())
def test_every_date_of_python_is_read_and_written(moment: datetime, separator: str, basic: bool) -> None:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    text = moment.isoformat(separator)
    if basic:
        date, _, time = text.partition(separator)
        text = date.replace("-", "") + separator + time.replace(":", "")
    instant = parse_instant(text)
    assert instant == (aware - EPOCH) // timedelta(microseconds=1)
    assert datetime.fromisoformat(format_instant(instant)) == aware
    assert parse_instant(format_instant(instant)) == instant
    assert Instant.parse(text) == Instant(instant)


@pytest.mark.parametrize(
    "text",
    [
        *("", "now", "2026", "2026-11", "202611", "2026-W45", "2026-W45-1", "2026-305", "26-11-01", "1/11/2026"),
        *("2026-02-30", "2026-11-01T", "2026-11-01T24:00", "2026-11-01T10:60", "2026-11-01T10:20:60", "2026-11-01x10"),
        *("2026-11-01Z", "2026-11-01T10:20:30.", "2026-11-01T10:20+24:00", "2026-11-01T10:20 +01:00", " 2026-11-01"),
        *("0000-01-01", "0001-01-01T00:00+00:01", "9999-12-31T23:59-00:01", "٢٠٢٦-11-01", "2026-11-01T10." + "0" * 99),
    ],
)
def test_other_texts_are_not_dates(text: str) -> None:
    assert parse_instant(text) is None


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        *(("0s", 0), ("1s", 10**6), ("1.5m", 90 * 10**6), ("12h", 43_200 * 10**6), ("30d", 2_592_000 * 10**6)),
        *(("2w", 1_209_600 * 10**6), ("0.000001s", 1), ("365250d", 365_250 * 86_400 * 10**6)),
        *((text, None) for text in ("", "30", "d", "-1d", "1 d", "1.d", "1D", "1y", "1e3s", "365251d", "9" * 99 + "s")),
    ],
)
def test_a_duration_has_a_unit(text: str, duration: int | None) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize(
    ("text", "offset"),
    [("now", 0), ("now-7d", -604_800), ("now+1h", 3600), ("now-0.25s", -0.25), ("now+2w", 1_209_600)],
)
def test_a_relative_instant_is_read_as_it_is_written(text: str, offset: float) -> None:
    instant = Instant.parse(text)
    assert instant == Instant(int(offset * 10**6), relative=True)
    assert len(instant.tree["datetime"]) <= 14
    assert Instant.parse(instant.tree["datetime"]) == instant
    assert instant.at(10**15) == Instant(10**15 + int(offset * 10**6))
