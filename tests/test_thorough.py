"""By day, a product of parameters shrinks to combinations in which each two values still meet."""

from __future__ import annotations

from itertools import combinations, product

from tests.thorough import crossed

AXES = {"rows, width": [(1, 2), (3, 4), (5, 6)], "fine": [True, False], "count": [0, 1, 7], "mask": ["a", "b"]}


def test_each_two_values_meet_by_day_and_all_combinations_at_night():
    names, cases = crossed(AXES).args
    assert names == ["rows", "width", "fine", "count", "mask"]
    values = [(case.values[:2], *case.values[2:]) for case in cases]
    assert sorted(values) == sorted(product(*AXES.values()))
    by_day = [value for value, case in zip(values, cases, strict=True) if not case.marks]
    assert len(by_day) <= 12
    for first, second in combinations(range(len(AXES)), 2):
        met = {(value[first], value[second]) for value in by_day}
        axes = list(AXES.values())
        assert met == set(product(axes[first], axes[second]))


def test_each_value_occurs_by_day_where_one_is_to_be_met():
    _, cases = crossed({"kind": "abcde", "size": [1, 2, 3]}, meeting=1).args
    by_day = [case.values for case in cases if not case.marks]
    assert len(cases) == 15
    assert len(by_day) == 5
    assert [set(values) for values in zip(*by_day, strict=True)] == [set("abcde"), {1, 2, 3}]
