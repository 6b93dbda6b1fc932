"""The learner's own rows: what an edit moves and what it leaves, hostile text, and whose rows they are."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import httpx

from tests.browser.reading import checked, level, logits, module, output, weights

HOSTILE = [
    "<script>window.hurt = 1</script><img src=x onerror='window.hurt=1'>",
    "x" * 10_000,
    "مرحبا ‮txet",
    "👩‍👩‍👧‍👦 family",
]


def opened_rows(visit: Any) -> Any:
    opened = visit("#scene=rows")
    checked(opened.page)
    opened.page.wait_for_selector(".arithmetic tr.sum")
    return opened


def after(opened: Any) -> None:
    """Wait until the page has sent and compared the typed text."""
    opened.page.wait_for_timeout(450)
    opened.settle()
    checked(opened.page)
    opened.page.wait_for_timeout(100)


def test_editing_a_key_moves_the_weights_and_leaves_the_values(visit: Any) -> None:
    opened = opened_rows(visit)
    page = opened.page
    before = weights(page)
    values = [row.input_value() for row in page.locator(".rows .value-text").all()]
    page.locator(".rows .key-text").nth(4).fill("a hot drink made of cocoa")
    after(opened)
    moved = weights(page)
    assert moved["a hot drink made of cocoa"] != before["how to find the north star"]
    assert moved["how to brew green tea"] != before["how to brew green tea"]
    assert [row.input_value() for row in page.locator(".rows .value-text").all()] == values


def test_editing_a_value_moves_the_output_and_leaves_the_weights(visit: Any) -> None:
    opened = opened_rows(visit)
    page = opened.page
    before, blended = weights(page), output(page)
    assert blended
    page.locator(".rows .value-text").first.fill("Boil it for an hour.")
    after(opened)
    page.wait_for_timeout(300)
    assert weights(page) == before
    assert output(page) != blended


def test_the_output_is_the_services(visit: Any) -> None:
    opened = opened_rows(visit)
    page = opened.page
    pairs = [[field.input_value() for field in page.locator(f".rows .{name}-text").all()] for name in ("key", "value")]
    ids = module(page, "/js/scenes.js", "({sceneNamed}) => sceneNamed('rows').state.rows.map((row) => row.id)")
    body = {"query": page.locator("#question").input_value(), "temperature": 0.05}
    body |= {"rows": [{"id": name, "key": key, "value": value} for name, key, value in zip(ids, *pairs, strict=True)]}
    expected = httpx.post(f"{opened.origin}/v1/compare", json=body, timeout=60).json()["attention"]["output"]
    shown = [float(text.replace("−", "-")) for text in output(page) if text]
    assert shown == [round(component, 4) for component in expected[:3]]


def test_add_delete_and_mask(visit: Any) -> None:
    opened = opened_rows(visit)
    page = opened.page
    page.click("#add-row")
    opened.settle()
    page.locator(".rows .key-text").last.fill("how to make hot chocolate")
    after(opened)
    assert "how to make hot chocolate" in weights(page)
    page.locator(".rows .row").nth(2).hover()
    page.locator(".rows .row").nth(2).locator(".remove").click()
    after(opened)
    assert "how to patch a bicycle tube" not in weights(page)
    page.locator(".all tbody input[type=checkbox]").first.uncheck()
    after(opened)
    assert weights(page)["how to brew green tea"] == "0%"
    assert logits(page)["how to brew green tea"] == "−∞"
    assert checked(page) < 1e-9
    assert page.locator(".drawn .total").inner_text() == "Σ = 1.000"


def test_a_masked_row_moves_the_level_as_a_deleted_one_does(visit: Any) -> None:
    opened = opened_rows(visit)
    page = opened.page
    before = level(page)
    page.locator(".all tbody input[type=checkbox]").first.uncheck()
    after(opened)
    masked = level(page)
    assert masked != before
    page.locator(".rows .row").first.hover()
    page.locator(".rows .row").first.locator(".remove").click()
    after(opened)
    assert "how to brew green tea" not in weights(page)
    assert level(page) == masked
    assert checked(page) < 1e-9


def test_editing_a_collection_makes_a_copy_and_stores_nothing(visit: Any) -> None:
    opened = visit("#scene=library")
    page = opened.page
    stored = httpx.post(
        f"{opened.origin}/v1/collections/library/documents/query", json={"limit": 200}, timeout=60
    ).json()["documents"]
    page.locator(".rows .key-text").nth(1).fill("felines, and books about them")
    after(opened)
    assert page.locator("#source").input_value() == ""
    assert weights(page)["felines, and books about them"] not in ("?", "<0.1%")
    again = httpx.post(
        f"{opened.origin}/v1/collections/library/documents/query", json={"limit": 200}, timeout=60
    ).json()["documents"]
    assert again == stored


def test_rows_can_be_pasted(visit: Any) -> None:
    opened = visit("#scene=rows")
    page = opened.page
    page.click(".all summary")
    page.fill("#paste", "sunny weather | bring a hat\nheavy rain\tbring an umbrella\nsnow")
    page.click("#use-paste")
    after(opened)
    assert list(weights(page)) == ["sunny weather", "heavy rain", "snow"]


def test_a_hostile_row_is_shown_as_text(visit: Any) -> None:
    opened = visit("#scene=rows")
    page = opened.page
    page.click(".all summary")
    page.fill("#paste", "\n".join(f"{text} | {text}" for text in HOSTILE))
    page.click("#use-paste")
    page.wait_for_timeout(500)
    opened.settle()
    assert [field.input_value() for field in page.locator(".rows .key-text").all()] == HOSTILE
    assert page.evaluate("window.hurt") is None
    assert page.locator(".rows script, .rows img, .found script, .found img").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0


def learner(i: int) -> list[dict[str, str]]:
    """The rows that only learner i has."""
    return [
        {"id": "own", "key": f"secret of learner {i}", "value": f"value {i}"},
        {"id": "b", "key": "tea", "value": "hot"},
    ]


def ask_as(origin: str, i: int) -> list[str]:
    """Send the requests of learner i's page without a browser; return the keys of the answer."""
    body = {"query": "secret", "rows": learner(i), "temperature": 0.1, "top_k": 1000, "null": "auto"}
    answer = httpx.post(f"{origin}/v1/compare", json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    decoded = answer.json()
    parts = (
        decoded["sql"]["rows"],
        decoded["full_text"]["rows"],
        decoded["top_k"]["matches"],
        decoded["attention"]["matches"],
    )
    return sorted({row["key"] for part in parts for row in part})


def test_thirty_learners_at_once_each_with_their_own_rows(visit: Any, site: Any) -> None:
    """Three of them in browsers, while the others ask what a page asks, again and again."""
    with ThreadPoolExecutor(27) as learners:
        futures = [(i, learners.submit(ask_as, site.url, i)) for _ in range(3) for i in range(3, 30)]
        pages = [visit(f"#scene=rows&query=secret&rows={quote(json.dumps(learner(i)))}").page for i in range(3)]
        for i, page in enumerate(pages):
            checked(page)
            keys = [field.input_value() for field in page.locator(".rows .key-text").all()]
            assert keys == [f"secret of learner {i}", "tea"]
            assert f"secret of learner {i}”" in page.locator("#summary").inner_text()
        for i, answer in futures:
            assert answer.result() == [f"secret of learner {i}", "tea"]
    names = {one["name"] for one in httpx.get(f"{site.url}/v1/collections", timeout=60).json()["collections"]}
    assert names == {"library", "videos"}
