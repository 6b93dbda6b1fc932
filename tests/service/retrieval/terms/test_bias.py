"""The terms of a bias, pointers to invalid ones, and the addends of values at the edges."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from softkv_service.retrieval import InvalidContent
from softkv_service.retrieval.terms import MAX_ADDEND, ValueWeights, format_bias, parse_bias
from softkv_service.storage.conditions import DistinctValues
from softkv_service.storage.fields import EncodedValue, encode_value
from softkv_service.storage.instants import Instant, parse_instant

YEAR = {"field": "metadata.year"}
RECENT = {**YEAR, "half_life": 10}
FILTER = {"field": "metadata.year", "operator": ">", "value": 1}


def distinct(*values: Any) -> DistinctValues:
    """These values, each once."""
    by_kind: dict[Any, list[Any]] = {}
    for kind, value in sorted(encode_value(item) for item in values):
        by_kind.setdefault(kind, []).append(value)
    return DistinctValues(by_kind)


def added(term: dict[str, Any], *values: Any, largest: float = 0.0) -> list[float]:
    """Return the addend of a term for documents with these values, in their order; NaN for none."""
    (parsed,) = parse_bias(term)
    assert not hasattr(parsed, "condition")
    return list(parsed.of(distinct(*values), largest))


@pytest.mark.parametrize(
    ("sent", "pointer"),
    [
        ("recent", "/bias"),
        ([RECENT] * 9, "/bias"),
        ([RECENT, None], "/bias/1"),
        ({}, "/bias"),
        *(({"half_life": 1, **field}, "/bias/field") for field in ({}, {"field": "year"}, {"field": 1})),
        *(({**YEAR, "half_life": life}, "/bias/half_life") for life in (0, "10", True, 10**400, "0d", "1y")),
        *(({**RECENT, "origin": date}, "/bias/origin") for date in ("2026-11-01", {"datetime": "now"})),
        *(
            ({**YEAR, "half_life": "1d", "origin": date}, "/bias/origin")
            for date in (5, "soon", None, {"datetime": "soon"}, {"datetime": 5}, {"datetime": "now", "a": 1})
        ),
        ({**RECENT, "origin": math.inf}, "/bias/origin"),
        ({**RECENT, "decay": ["gaussian"]}, "/bias/decay"),
        ({**RECENT, "factor": 1}, "/bias/factor"),
        ({**RECENT, "a/b~": 1}, "/bias/a~1b~0"),
        ([{**RECENT, "missing": math.nan}], "/bias/0/missing"),
        ({**YEAR, "factor": None}, "/bias/factor"),
        ({**YEAR, "scale": "linear"}, "/bias/scale"),
        ({**YEAR, "weights": {}}, "/bias/weights"),
        ({**YEAR, "weights": {str(i): 1 for i in range(1001)}}, "/bias/weights"),
        ({**YEAR, "weights": {"a/b": "1"}}, "/bias/weights/a~1b"),
        ({**YEAR, "weights": {"2": 1, "2.0": 2}}, "/bias/weights/2.0"),
        ({"filter": FILTER}, "/bias/addend"),
        ([RECENT, {"filter": {**FILTER, "operator": "~"}, "addend": 1}], "/bias/1/filter/operator"),
        ({"filter": None, "addend": 1}, "/bias/filter"),
        ({"filter": FILTER, "addend": 1, "missing": 1}, "/bias/missing"),
    ],
)
def test_an_empty_bias_term_is_refused_with_a_pointer(sent: Any, pointer: str) -> None:
    with pytest.raises(InvalidContent) as refused:
        parse_bias(sent)
    assert [flaw.pointer for flaw in refused.value.flaws] == [pointer]


def test_nothing_and_one_and_a_list() -> None:
    assert parse_bias(None) == parse_bias([]) == ()
    assert parse_bias(RECENT) == parse_bias([{**RECENT, "missing": 0, "decay": "exponential"}])
    soft = {"filter": FILTER, "addend": 1}
    assert parse_bias(soft) == parse_bias({**soft, "filter": {**FILTER, "value": 1.0}})
    assert hash(parse_bias([RECENT, soft])) == hash(parse_bias([RECENT, soft]))
    assert parse_bias(soft) != parse_bias({**soft, "addend": 2})


def test_dates_have_half_lives_too() -> None:
    week = {**YEAR, "half_life": "7d"}
    texts = ["2026-10-25", "2026-11-01", "2026-11-08T00:00+00:00", "soon", 2026]
    latest = parse_instant("2026-11-08")
    expected = [0.25, 0.5, 1]
    for term in (week, {**week, "origin": "2026-11-08"}, {**week, "origin": {"datetime": "20261108T010000+0100"}}):
        addends = added(term, *texts, largest=latest)
        assert np.isnan(addends[0])  # 2026 is not a date
        np.testing.assert_allclose(np.exp(addends[1:4]), expected)
        assert np.isnan(addends[4])
    gaussian = added({**week, "half_life": "1w", "decay": "gaussian"}, *texts, largest=latest)
    np.testing.assert_allclose(np.exp(gaussian[1:4]), [1 / 16, 0.5, 1])
    (term,) = parse_bias({**week, "origin": "now-7d"}, latest)
    assert (term.origin, parse_bias({**week, "origin": "now+0s"}, latest)[0].origin) == (
        Instant(latest - 7 * 86_400_000_000),
        Instant(latest),
    )


def test_a_formatted_bias_has_no_relative_instant() -> None:
    now = parse_instant("2026-11-08")
    soft = {"filter": {**FILTER, "value": {"datetime": "now-7d"}}, "addend": 1}
    sent = [
        soft,
        RECENT,
        {**YEAR, "half_life": "1d"},
        {**YEAR, "half_life": "1d", "origin": "now"},
        {**YEAR, "factor": 1},
    ]
    terms = parse_bias(sent, now)
    formatted = json.loads(format_bias(sent, terms, [None, 3.5, now - 1, None, None]))
    assert formatted[0]["filter"]["value"] == {"datetime": "2026-11-01T00:00:00Z"}
    assert [term.get("origin") for term in formatted[1:]] == [
        3.5,
        {"datetime": "2026-11-07T23:59:59.999999Z"},
        {"datetime": "2026-11-08T00:00:00Z"},
        None,
    ]
    assert parse_bias(formatted)[0] == terms[0]
    assert json.loads(format_bias(soft, parse_bias(soft, now), [None])) == formatted[:1]


def test_no_size_is_too_large() -> None:
    values = [-(10**400), -1e308, 5e-324, 2**53 + 1, 1e308, 10**400]
    for term in (
        {**YEAR, "half_life": 5e-324},
        {**YEAR, "half_life": 5e-324, "decay": "gaussian", "origin": -1e308},
        {**YEAR, "factor": -1e308},
        {**YEAR, "scale": "log", "factor": 1e308},
    ):
        addends = np.array(added(term, *values, "text", largest=1e308))
        assert (np.abs(addends[np.isfinite(addends)]) <= MAX_ADDEND).all()
        assert np.isnan(addends[-1])
        assert not np.isinf(addends).any()
    far = added({**RECENT, "half_life": 1e300}, -1e308, largest=1e308)  # the distance is past float64
    np.testing.assert_allclose(far, [-np.log(2) * 2e8])
    assert added({**YEAR, "factor": 1}, 2**53 + 1, 2**64 + 1) == [float(2**53 + 1), float(2**64 + 1)]
    assert added({**YEAR, "weights": {"a": 1e308}}, "a") == [MAX_ADDEND]
    assert parse_bias({**YEAR, "factor": 1, "missing": -1e300})[0].missing == -MAX_ADDEND  # type: ignore[union-attr]


def test_values_in_weights_are_texts_or_json_of_the_same_spelling() -> None:
    texts = ["1993", "1993.0", "1.5e1", "true", "null", "NaN", "Infinity", " 7", "007", "[1]", "9" * 5000, '"a"', "-0"]
    for text in texts:
        (term,) = parse_bias({**YEAR, "weights": {text: 1}})
        assert isinstance(term, ValueWeights)
        meant: dict[str, EncodedValue] = {
            "1993": encode_value(1993),
            "1993.0": encode_value(1993),
            "1.5e1": encode_value(15),
            "-0": encode_value(0),
        }
        meant["true"] = encode_value(True)
        assert [value for value, _ in term.weights] == [encode_value(text), *([meant[text]] if text in meant else [])]
    addends = added({**YEAR, "weights": {"1993": 2, "true": 3}}, True, 1, 1993.0, "1993", "true", "x")
    np.testing.assert_array_equal(addends, [3, math.nan, 2, 2, 3, math.nan])
