"""docs/start/comparison.md: what softkv has is in its API, and what it lacks is not. Figures beside other stores are
those of the results.

A feature that softkv gets fails here until the page has it. So do sentences of other pages that deny a name of the API.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.examples import ROOT, Page

PAGE = Page("docs/start/comparison.md")


def names(description: Any) -> Iterator[str]:
    """Yield the name of every operation, parameter and field."""
    if isinstance(description, dict):
        yield from description.get("properties", {})
        if "operationId" in description:
            yield description["operationId"]
        if "in" in description and isinstance(description.get("name"), str):
            yield description["name"]
        for item in description.values():
            yield from names(item)
    elif isinstance(description, list):
        for item in description:
            yield from names(item)


API = set(names(json.loads((ROOT / "service" / "softkv_service" / "api" / "openapi.json").read_text(encoding="utf-8"))))


def rows(heading: str) -> list[tuple[str, list[str]]]:
    """Return (feature, names in the API) of each row of the table whose first heading this is."""
    table = PAGE.sections["features"].partition(f"| {heading} |")[2].partition("\n\n")[0]
    cells = [line.split("|")[1:3] for line in table.splitlines()[2:]]
    return [(feature.strip(), re.findall(r"`(\w+)`", quoted)) for feature, quoted in cells]


def similar(name: str) -> list[str]:
    """Return the names of the API that have all words of this one."""
    return [other for other in API if set(name.split("_")) <= set(other.split("_"))]


@pytest.mark.parametrize(("feature", "quoted"), rows("softkv has"))
def test_features_that_softkv_has_are_in_its_api(feature, quoted):
    assert quoted
    assert set(quoted) - API == set()


@pytest.mark.parametrize(("feature", "quoted"), rows("softkv lacks"))
def test_features_that_softkv_lacks_are_not_in_its_api(feature, quoted):
    assert quoted
    assert [name for lack in quoted for name in similar(lack)] == []


def test_both_tables_are_read():
    assert len(rows("softkv has")) > 10
    assert len(rows("softkv lacks")) > 5
    assert similar("text_full") == ["full_text"]


def test_every_figure_beside_other_stores_is_in_the_results() -> None:
    results = set(re.findall(r"[\d.,]*\d", Page("benchmarks/RESULTS.md").text))
    tables = Page("docs/reference/speed.md").sections["beside-vector-databases"]
    cells = [cell for line in tables.splitlines() if line.startswith("| ") for cell in line.split("|")[2:-1]]
    figures = [figure for cell in cells for figure in re.findall(r"\d[\d.,]*\d|\d", cell.replace(", ", " "))]
    assert len(figures) > 50
    assert [figure for figure in figures if figure not in results] == []
