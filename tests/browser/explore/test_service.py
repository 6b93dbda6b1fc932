"""The service tab: its numbers are those of /readyz, /v1 and /metrics; and axe finds nothing in the tabs that write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.browser.explore.conftest import Explore
from tools.node import ROOT, checked, node

SCRIPT = Path("tests", "browser", "explore", "read_metrics.mjs")
HOSTILE = 'strange_total{text="a \\"b\\" \\\\ {c},d=\\n"} +Inf\nstrange_sum NaN 1700000000\n'


def fact(page: Any, section: str, name: str) -> str:
    line = page.locator(f"#service-{section} div", has=page.get_by_text(name, exact=True))
    text: str = line.locator("dd").inner_text()
    return text


def test_the_service_tab_shows_health_and_contents(explore: Explore, writer: httpx.Client) -> None:
    writer.put("/v1/collections/books", json={"encoder": None}).raise_for_status()
    writer.put("/v1/collections/books/documents/a", json={"key_vector": [1, 0]}).raise_for_status()
    writer.get("/v1/collections/nothing")
    writer.post("/v1/collections/books/attend", json={"query": [1, 0]}).raise_for_status()
    page = explore("#tab=service", ready="() => document.querySelector('#health')").page
    assert page.inner_text("#health") == "Ready."
    assert fact(page, "about", "version") == writer.get("/v1").json()["version"]
    assert fact(page, "about", "encoder") == writer.get("/v1").json()["encoder"]
    assert fact(page, "holds", "documents") == "1"
    assert fact(page, "holds", "memory").endswith("B")
    assert page.locator("#costs tbody tr").first.inner_text().startswith("books")
    assert "PUT /v1/collections/{name}" in page.locator(".told-of code").all_inner_texts()
    assert "collection_not_found" in page.locator(".told-of code").all_inner_texts()
    writer.put("/v1/collections/books/documents/b", json={"key_vector": [1, 0]}).raise_for_status()
    page.wait_for_function("() => document.querySelector('#service-holds').textContent.includes('documents2')")


@pytest.mark.node
def test_metrics_are_read_as_prometheus_reads_them(writer: httpx.Client) -> None:
    text = writer.get("/metrics").text + HOSTILE
    samples = json.loads(checked(node(ROOT, SCRIPT, given=text)))
    wanted = [
        {"name": sample.name, "labels": dict(sample.labels), "value": str(float(sample.value))}
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    ]
    got = [{**sample, "value": str(float(sample["value"]))} for sample in samples]
    ordered = [sorted(some, key=json.dumps) for some in (got, wanted)]
    assert ordered[0] == ordered[1]
