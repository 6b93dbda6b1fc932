"""A million rows: what the page says of an answer's error is the certificate's, and what it was is measured anew."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests.browser.conftest import PHONE
from tests.browser.reading import same_names_in_both, sideways, words
from tests.running import RunningService

ROWS = 4_000
RESULTS = Path(__file__).parents[3] / "benchmarks" / "RESULTS.md"


@pytest.fixture(scope="module")
def large(site: RunningService) -> Iterator[str]:
    """Yield the largest collection, which has too many rows for the exact path."""
    vectors = np.random.default_rng(4).normal(size=(ROWS, 384)).round(3)
    with site.client() as client:
        client.put("/v1/collections/largest", json={"value_from": "key"}).raise_for_status()
        for begin in range(0, ROWS, 1000):
            rows = [
                {"id": f"row-{i}", "key": f"number {i}", "value": i, "key_vector": vectors[i].tolist()}
                for i in range(begin, begin + 1000)
            ]
            client.post("/v1/collections/largest/documents", json={"documents": rows}).raise_for_status()
        yield "/v1/collections/largest/attend"
        client.delete("/v1/collections/largest")


def test_the_bar_is_the_certificate_and_the_mark_the_difference(visit: Any, large: str) -> None:
    opened = visit("#scene=million", covered=True)
    page = opened.page
    page.locator("#reveal").click()
    page.wait_for_selector(".certified tbody tr")
    opened.settle()
    body = {"query": "smiling cat", "temperature": 0.05, "top_k": 16}
    exact, codes = (
        httpx.post(opened.origin + large, json=body | more, timeout=60).json() for more in ({"max_error": 1e-12}, {})
    )
    assert (exact["certificate"]["method"], codes["certificate"]["method"]) == ("exact", "quantised")
    assert "8-bit" in page.locator("#million-words").inner_text()
    truth = {match["id"]: match["weight"] for match in exact["matches"]}
    bound = codes["certificate"]["total_variation"]
    shown = page.locator(".certified tbody tr").all()
    assert len(shown) == 8
    for row, match in zip(shown, codes["matches"], strict=False):
        weight, error = row.locator(".weight").inner_text().split(" ± ")
        assert float(weight) == pytest.approx(match["weight"], rel=5.1e-3)
        digit, exponent = re.fullmatch(r"(\d)·10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)", error).groups()
        value = int(digit) * 10.0 ** int(exponent.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")))
        assert bound <= value * (1 + 1e-6) <= 2.1 * bound
        assert abs(match["weight"] - truth[match["id"]]) <= bound
    page.locator("#codes").focus()
    page.keyboard.press("Home")
    page.wait_for_function("() => /exactly/.test(document.querySelector('#million-words').textContent)")
    opened.settle()
    assert set(page.locator(".certified td:nth-child(3)").all_inner_texts()) == {"0"}
    same_names_in_both("million")
    page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    assert sideways(page) <= 0


def test_the_figures_of_a_million_are_those_of_the_benchmark() -> None:
    for language in ("en", "zh"):
        figures = words(language, "million")["million.figures"]
        tables = RESULTS.read_text().split("\n## lookup\n")[1].split("1,000,000 rows, T = 0.05")[1:]
        rows = [re.search(r"^\| +1 \| +weights \|([^|]*)\|([^|]*)\|", table, re.MULTILINE) for table in tables]
        assert any(row and all(cell.strip() in figures for cell in row.groups()) for row in rows)
