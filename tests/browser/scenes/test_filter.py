"""The rows that may be attended to: the filter and its control, masks, and the text of an empty scene."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.browser.reading import checked, logits, slide, weights


def shelves(origin: str) -> dict[str, str]:
    body = {"limit": 200}
    documents = httpx.post(f"{origin}/v1/collections/library/documents/query", json=body, timeout=60).json()[
        "documents"
    ]
    return {document["key"]: document["metadata"]["shelf"] for document in documents}


def test_the_filter_is_chosen_from_what_the_rows_hold(visit: Any) -> None:
    opened = visit("#scene=filter")
    page = opened.page
    of = shelves(opened.origin)
    offered = page.locator("#filter option").all_inner_texts()
    assert {f"shelf = {shelf}" for shelf in of.values()} <= set(offered)
    assert page.locator("#filter option:checked").inner_text() == "shelf = fiction"
    page.select_option("#filter", label="shelf = poetry")
    opened.settle()
    assert checked(page) < 1e-9
    assert "poetry" in page.evaluate(
        "new Promise((done) => setTimeout(() => done(decodeURIComponent(location.hash)), 300))"
    )
    open_rows = {key for key, logit in logits(page).items() if logit != "−∞"}
    assert open_rows == {key for key in weights(page) if of[key] == "poetry"}
    page.select_option("#filter", label="no filter")
    opened.settle()
    assert page.locator(".rows .row.masked").count() == 0
    assert page.locator("#filter").is_visible()
    page.select_option("#filter", label="shelf = fiction")
    opened.settle()
    assert page.locator(".rows .row.masked").count() > 0


def test_a_struck_out_row_says_why(visit: Any) -> None:
    opened = visit("#scene=filter")
    page = opened.page
    of = shelves(opened.origin)
    for row in page.locator(".rows .row:not(.rest, .none)").all():
        shelf = of[row.locator(".key-text").input_value()]
        assert row.locator(".tag-of").inner_text() == shelf
        title = row.locator(".key-text").get_attribute("title") or ""
        assert ("shelf ≠ fiction" in title and shelf in title) == (shelf != "fiction")
    assert page.locator(".all th").all_inner_texts()[-2] == "shelf"


@pytest.mark.parametrize("column", ["#answer-sql", "#answer-text"])
def test_the_statement_names_the_filters_parameters(visit: Any, column: str) -> None:
    page = visit("#scene=filter").page
    parameters = page.locator(f"{column} .parameter").all_inner_texts()
    assert ":filter_1 = 'shelf'" in parameters
    assert ":filter_2 = 'fiction'" in parameters
    assert "value IN (:filter_2)" in page.locator(f"{column} strong").all_inner_texts()
    assert not any("collection" in text or "limit" in text for text in parameters)


def test_masked_rows_come_after_the_answers(visit: Any) -> None:
    page = visit("#scene=filter").page
    for rows in (".rows .row:not(.rest, .none)", ".all tbody tr"):
        masked = page.locator(rows).evaluate_all("(rows) => rows.map((row) => row.classList.contains('masked'))")
        assert masked == sorted(masked)
        assert False in masked
    assert True in page.locator(".rows .row").evaluate_all(
        "(rows) => rows.map((row) => row.classList.contains('masked'))"
    )


def test_similarity_over_temperature_is_the_logit_and_softmax_of_it_the_weight(visit: Any) -> None:
    opened = visit("#scene=library&t=0.1")
    page = opened.page
    path = f"{opened.origin}/v1/collections/library/attend"
    served = httpx.post(
        path, json={"query": "books about felines", "temperature": 0.1, "top_k": 200, "null": False}, timeout=60
    ).json()["matches"]
    expected = {match["key"]: match["logit"] for match in served}
    shown = logits(page)
    assert len(shown) == 40
    for key, text in shown.items():
        assert float(text.replace("−", "-")) == pytest.approx(expected[key], abs=0.00501), key
    slide(page, 400)
    page.wait_for_timeout(200)
    assert set(logits(page).values()) == {"0.00"}
    slide(page, 0)
    page.wait_for_timeout(200)
    assert sorted(set(logits(page).values())) == ["0", "−∞"]


def test_a_weight_is_never_minus_infinity(visit: Any) -> None:
    for scene in ("filter", "rows", "guess"):
        opened = visit(f"#scene={scene}")
        page = opened.page
        if scene == "rows":
            page.click("#add-row")
            page.wait_for_timeout(450)
            opened.settle()
            row = page.locator(".rows .row", has=page.locator(".key-text:focus"))
            assert row.locator(".share").inner_text() == "0%"
            assert row.locator(".logit").inner_text() == "−∞"
            assert "No key yet" in (row.get_attribute("title") or "")
        shares = page.locator(".share, .all td.weight").all_inner_texts()
        assert [text for text in shares if "∞" in text] == []


@pytest.mark.parametrize("scene", ["rows", "library"])
@pytest.mark.parametrize("button", ["#add-row", "#table-add"])
def test_a_new_row_is_where_one_types(visit: Any, button: str, scene: str) -> None:
    opened = visit(f"#scene={scene}")
    page = opened.page
    page.click(button)
    selector = ".rows" if button == "#add-row" else ".all"
    page.wait_for_selector(f"{selector} .key-text:focus")
    assert page.locator(".key-text:focus").input_value() == ""
    page.keyboard.type("cats and dogs")
    page.wait_for_timeout(450)
    opened.settle()
    assert checked(page) < 1e-9
    assert "cats and dogs" in [field.input_value() for field in page.locator(f"{selector} .key-text").all()]


def test_a_scene_without_rows_says_what_to_do_and_proves_nothing(visit: Any) -> None:
    opened = visit("#scene=library")
    page = opened.page
    page.select_option("#source", "")
    page.wait_for_selector("#picture-hint", state="visible")
    assert "No rows yet" in page.locator("#picture-hint").inner_text()
    assert not page.locator(".limits").is_visible()
    page.wait_for_timeout(500)
    assert "✓" not in page.locator("#stage").inner_text()
    assert "always" not in page.locator(".answers").inner_text()
    page.click("#add-row")
    page.wait_for_selector(".rows .key-text:focus")
    assert not page.locator("#picture-hint").is_visible()


def test_a_collection_without_documents_proves_nothing_either(visit: Any) -> None:
    opened = visit("lesson.html")
    path = f"{opened.origin}/v1/collections/hollow"
    assert httpx.put(path, json={}, timeout=60).status_code in (200, 201)
    try:
        opened.page.goto("about:blank")
        opened.go("#scene=library&source=hollow")
        opened.page.wait_for_timeout(500)
        assert "✓" not in opened.page.locator("#stage").inner_text()
        assert not opened.page.locator(".limits").is_visible()
    finally:
        httpx.delete(path, timeout=60)
