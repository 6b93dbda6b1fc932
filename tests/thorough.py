"""What only `make test-nightly` tries: parameters, combinations of parameters, and most examples of a property."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import combinations, product
from typing import Any

import hypothesis
import pytest

NIGHT = "night"
"""The profile of hypothesis that `make test-nightly` loads."""


def thorough(*values: Any) -> Any:
    """Return these values with the mark for `pytest.mark.parametrize`."""
    return pytest.param(*values, marks=pytest.mark.thorough)


def examples(count: int) -> int:
    """Return how many examples a property tries: `count` at night, and otherwise a quarter, but at least 10."""
    return count if hypothesis.settings.get_current_profile_name() == NIGHT else min(count, max(10, count // 4))


def crossed(axes: Mapping[str, Collection[Any]], meeting: int = 2) -> Any:
    """Return the decorator that tries a test with every combination of these parameters, most of them at night.

    Args:
        axes: the values by the name of the parameter; for names with commas, each value is a tuple.
        meeting: of how many parameters all values meet by day: with 2, each two values of different parameters.
    """
    lists = {names: list(values) for names, values in axes.items()}
    indices = list(product(*(range(len(values)) for values in axes.values())))
    by_day = _covering(indices, meeting)
    cases = [
        pytest.param(*_flat(lists, combination)) if combination in by_day else thorough(*_flat(lists, combination))
        for combination in indices
    ]
    names = [name.strip() for names in axes for name in names.split(",")]
    return pytest.mark.parametrize(names, cases)


def _flat(axes: Mapping[str, list[Any]], combination: tuple[int, ...]) -> list[Any]:
    """Return the values of one combination, one for each name."""
    values: list[Any] = []
    for (names, choices), index in zip(axes.items(), combination, strict=True):
        values += choices[index] if "," in names else [choices[index]]
    return values


def _covering(indices: list[tuple[int, ...]], meeting: int) -> set[tuple[int, ...]]:
    """Choose combinations in which all such groups of values occur, greedily: the next one has the most new groups."""

    def groups(combination: tuple[int, ...]) -> set[Any]:
        return set(combinations(enumerate(combination), meeting))

    missing = set[Any]().union(*map(groups, indices))
    chosen = set[tuple[int, ...]]()
    while missing:
        best = max(indices, key=lambda combination: len(groups(combination) & missing))
        missing -= groups(best)
        chosen.add(best)
    return chosen
