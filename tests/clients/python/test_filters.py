"""Filters as expressions: their wire form, and the operands that they reject."""

from __future__ import annotations

import copy
import datetime
import pickle

import numpy as np
import pandas
import pytest

import softkv
from softkv import F, ago


def compared(field, operator, value, **operands):
    return {"field": field, "operator": operator, "value": value, **operands}


@pytest.mark.parametrize(
    ("expression", "wire"),
    [
        (F.year == 1930, compared("metadata.year", "==", 1930)),
        (F.year >= np.int64(1930), compared("metadata.year", ">=", 1930)),
        (F.date < datetime.date(2026, 1, 2), compared("metadata.date", "<", {"datetime": "2026-01-02"})),
        (F.date == np.datetime64("2026-01-02"), compared("metadata.date", "==", {"datetime": "2026-01-02"})),
        (
            F.date.is_in(np.array(["2026-01-02T03"], "datetime64[ns]")),
            compared("metadata.date", "in", [{"datetime": "2026-01-02T03:00:00"}]),
        ),
        (
            F.date >= datetime.datetime(2026, 1, 2, 3, tzinfo=datetime.UTC),
            compared("metadata.date", ">=", {"datetime": "2026-01-02T03:00:00+00:00"}),
        ),
        (F.date > ago("7d"), compared("metadata.date", ">", {"datetime": "now-7d"})),
        (F.date > ago(datetime.timedelta(hours=1.5)), compared("metadata.date", ">", {"datetime": "now-5400s"})),
        (F.date < ago(datetime.timedelta(days=-1)), compared("metadata.date", "<", {"datetime": "now+86400s"})),
        (
            F.date.is_in([datetime.date(2026, 1, 2), "soon"]),
            compared("metadata.date", "in", [{"datetime": "2026-01-02"}, "soon"]),
        ),
        (F.dates.contains(datetime.date(2026, 1, 2)), compared("metadata.dates", "contains", "2026-01-02")),
        (F.key == datetime.date(2026, 1, 2), compared("key", "==", "2026-01-02")),
        (1930 <= F.year, compared("metadata.year", ">=", 1930)),  # noqa: SIM300
        (F.year.is_missing(), compared("metadata.year", "==", None)),
        (F.topics.contains("a"), compared("metadata.topics", "contains", "a")),
        (F.key.contains("A", ignore_case=True), compared("key", "contains", "A", ignore_case=True)),
        (F["loc.page"] == 7, compared("metadata.loc.page", "==", 7)),
        (F.loc["page"] == 7, compared("metadata.loc.page", "==", 7)),
        (F.id == "a", compared("id", "==", "a")),
        (F["id"] == 3, compared("metadata.id", "==", 3)),
        (F.year.not_in({1930}), compared("metadata.year", "not in", [1930])),
        (F.year.is_in(np.array([1, 2])), compared("metadata.year", "in", [1, 2])),
    ],
    ids=repr,
)
def test_a_comparison_has_the_wire_form_of_the_service(expression, wire):
    assert expression.wire() == wire


@pytest.mark.parametrize("duration", ["7", "7y", "-7d", "now-7d", 7, None])
def test_an_invalid_duration_is_refused(duration):
    with pytest.raises(softkv.Invalid, match="wanted a duration such as 7d"):
        ago(duration)


def test_chains_of_one_operator_do_not_nest():
    many = F.n == 0
    for n in range(1, 100):
        many = many | (F.n == n)
    assert len(many.wire()["conditions"]) == 100
    joined = ((F.a == 1) & (F.b == 2)) & ~((F.c == 3) | (F.d == 4))
    assert joined.wire() == {
        "operator": "AND",
        "conditions": [
            compared("metadata.a", "==", 1),
            compared("metadata.b", "==", 2),
            {
                "operator": "NOT",
                "conditions": [
                    {"operator": "OR", "conditions": [compared("metadata.c", "==", 3), compared("metadata.d", "==", 4)]}
                ],
            },
        ],
    }
    assert repr(~(F.a == 1) & (F.b < 2)) == "(not (metadata.a == 1)) and (metadata.b < 2)"


def test_a_filter_has_no_truth_value():
    for wrong in (
        lambda: bool(F.year == 1),
        lambda: (F.year > 1) and (F.year < 3),
        lambda: 1 < F.year < 3,
        lambda: not F.year,
        lambda: "a" in F.topics,
        lambda: list(F.topics),
    ):
        with pytest.raises(TypeError, match=r"&, \||contains|no items"):
            wrong()
    with pytest.raises(TypeError, match="in parentheses"):
        (F.year == 1) & True


def test_a_field_inside_an_object_is_written_in_brackets():
    with pytest.raises(AttributeError, match=r'F\["loc\.page"\]'):
        F.loc.page  # noqa: B018
    with pytest.raises(AttributeError, match=r'F\["_x"\]'):
        F._x  # noqa: B018
    assert copy.copy(F) is not None


@pytest.mark.parametrize(
    ("make", "wire"),
    [
        (lambda: F.id == 1, compared("id", "==", 1)),
        (lambda: F.key.is_in(["a", 1]), compared("key", "in", ["a", 1])),
        (lambda: F.key == 1, compared("key", "==", 1)),
        (lambda: F.year < None, compared("metadata.year", "<", None)),
        (lambda: F.year == {"a": 1}, compared("metadata.year", "==", {"a": 1})),
        (lambda: F.key == ago("7d"), compared("key", "==", {"datetime": "now-7d"})),
        (lambda: F.dates.contains(ago("7d")), compared("metadata.dates", "contains", {"datetime": "now-7d"})),
        (lambda: F.year.is_in("abc"), compared("metadata.year", "in", "abc")),
        (lambda: F.year.contains([1]), compared("metadata.year", "contains", [1])),
        (lambda: F.year.contains(1, ignore_case=True), compared("metadata.year", "contains", 1, ignore_case=True)),
        (lambda: F.n.is_in(range(5001)), compared("metadata.n", "in", list(range(5001)))),
    ],
)
def test_an_invalid_field_is_refused_in_the_words_of_the_service(make, wire, client, collection):
    with pytest.raises(softkv.Invalid) as refused:
        make()
    path = collection(encoder=None)
    answer = client.post(f"{path}/attend", json={"query": [1], "filter": wire}).json()
    assert refused.value.detail == answer["detail"]
    assert refused.value.code == answer["code"]
    assert f"/filter{refused.value.errors[0].pointer}" == answer["errors"][0]["pointer"]


def test_too_deep_and_too_large_filters_are_refused_in_the_words_of_the_service(client, collection):
    path = collection(encoder=None)

    def answered(wire):
        return client.post(f"{path}/attend", json={"query": [1], "filter": wire}).json()["detail"]

    deep, wire = F.n == 1, compared("metadata.n", "==", 1)
    for _ in range(32):
        deep, wire = ~deep, {"operator": "NOT", "conditions": [wire]}
    with pytest.raises(softkv.Invalid) as refused:
        ~deep  # noqa: B018
    wire = {"operator": "NOT", "conditions": [wire]}
    assert refused.value.detail == answered(wire)
    for part in (F.n.is_in(range(3000)), F.n.contains("text")):
        halves = [part, F.n.is_in(range(4901))]
        with pytest.raises(softkv.Invalid) as refused:
            halves[0] & halves[1]
        assert refused.value.detail == answered({"operator": "AND", "conditions": [half.wire() for half in halves]})


def test_an_object_that_is_not_a_filter_is_refused(silent):
    with pytest.raises(softkv.Invalid, match="wanted a filter such as"):
        silent().collection("a").attend("cats", where="year > 3")


def test_a_filter_of_a_bias_is_pointed_at_where_it_stands(silent):
    with pytest.raises(softkv.Invalid) as refused:
        silent().collection("a").attend("b", bias=[{"filter": 3, "addend": 1}])
    assert refused.value.errors[0].pointer == "/bias/0/filter"


@pytest.mark.parametrize("value", [pandas.NaT, np.datetime64("NaT"), np.timedelta64(1, "D"), pandas.Timedelta(1, "D")])
def test_an_operand_is_a_date_or_refused(value):
    for compare in (F.date.__ge__, F.date.__eq__, F.date.contains, lambda value: F.date.is_in([value])):
        with pytest.raises(softkv.Invalid, match=r"no NaT|no length of time"):
            compare(value)


@pytest.mark.parametrize("field", [F.year, F["loc.page"], F.id], ids=repr)
def test_a_field_is_copied_and_pickled(field):
    for twin in (copy.copy(field), copy.deepcopy(field), pickle.loads(pickle.dumps(field))):
        assert isinstance(twin, softkv.filters.Field)
    assert pickle.loads(pickle.dumps({"by": field}))["by"].name == copy.deepcopy(field).name == field.name
