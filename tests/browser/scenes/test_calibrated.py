"""A collection with a calibration: the page offers, requests and names its calibrated null key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest

from tests.browser.reading import checked
from tests.browser.written import VERDICTS, fixed

N = 60
ASKED = "where is invoice qz3928x"


def numbered(i: int) -> str:
    """Return a text that an encoder hardly distinguishes from its neighbours, and one word does."""
    return f"invoice qz{i * 7919 % 9973}x of the red folder"


@pytest.fixture
def fitted(site: Any) -> Iterator[dict[str, Any]]:
    """Yield the calibration of the collection `invoices`."""
    path = "/v1/collections/invoices"
    documents = [{"id": f"{i}", "key": numbered(i)} for i in range(N)]
    questions = [
        {"query": f"where is {numbered(i)[:16]}", "id": f"{i}"} if i < N else {"query": numbered(i), "id": None}
        for i in range(2 * N)
    ]
    with site.client() as client:
        assert client.put(path, json={}).status_code == 201
        try:
            assert client.post(f"{path}/documents", json={"documents": documents}).status_code == 200
            body = client.post(f"{path}/calibrate", json={"questions": questions, "apply": True}).json()
            assert body["applied"], body
            yield body
        finally:
            client.delete(path)


def test_a_calibrated_null_key_is_one_of_the_choices(visit: Any, fitted: dict[str, Any]) -> None:
    opened = visit(f"#scene=nothing&source=invoices&query={ASKED}")
    page = opened.page
    checked(page)
    # The page asks as it says, whatever the collection would take by itself.
    assert page.locator("#none").input_value() == '"auto"'
    requests: list[Any] = []
    page.on("request", lambda one: requests.append(one.post_data_json) if one.url.endswith("/compare") else None)
    page.select_option("#none", '"calibrated"')
    page.wait_for_function("() => document.querySelector('#level').textContent.includes('Labelled')")
    opened.settle()
    assert checked(page) < 1e-9
    assert [body["null"] for body in requests] == ["calibrated"]
    level = fitted["level"] + 0.05 * np.log(N)
    text = page.locator("#level").text_content() or ""
    assert f"{N} documents of similarity {fixed(fitted['level'])}" in text
    assert f"s₀ = {fixed(level)}" in text
    body = {"query": ASKED, "temperature": 0.05, "null": "calibrated", "top_k": 1}
    answer = httpx.post(f"{opened.origin}/v1/collections/invoices/attend", json=body, timeout=60).json()
    assert answer["evidence"]["null_similarity"] == pytest.approx(level, rel=1e-9)
    outcome = page.locator("#verdict").inner_text()
    assert outcome.startswith(VERDICTS[answer["evidence"]["verdict"]])
    assert "temperature" not in outcome
    assert page.locator("#named-nulls").evaluate("(one) => one.hidden")
    # Beside words the fitted null key is another one: the page does not mix the two.
    assert not page.locator(".addends").is_visible()

    page.wait_for_timeout(300)
    assert "none=calibrated" in page.url
    page.reload()
    assert checked(page) < 1e-9
    assert page.locator("#none").input_value() == '"calibrated"'
    # Other rows have no labels.
    page.select_option("#source", "library")
    opened.settle()
    assert checked(page) < 1e-9
    assert page.locator("#none").input_value() == '"auto"'
    assert page.locator("#none option[value='\"calibrated\"']").count() == 0
