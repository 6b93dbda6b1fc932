"""On paper: light, with the question and the address, and every row."""

from __future__ import annotations

from typing import Any

import pytest


def print_of(page: Any) -> Any:
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    page.set_viewport_size({"width": 718, "height": 1000})
    page.emulate_media(media="print")
    page.wait_for_timeout(200)
    return page


@pytest.mark.parametrize(
    "where", ["#scene=library&theme=dark&projector=1", "#scene=regression&theme=dark", "lesson.html?theme=dark"]
)
def test_paper_is_light(visit: Any, where: str) -> None:
    page = print_of(visit(where).page)
    ink, paper = page.evaluate(
        "['color', '--paper'].map((name) => getComputedStyle(document.body).getPropertyValue(name))"
    )
    assert ink == "rgb(23, 25, 30)"
    assert paper.strip() == "#fbfaf6"
    assert page.evaluate("getComputedStyle(document.documentElement).fontSize") == "16px"
    assert not page.locator("#bar").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0


def test_it_says_what_was_asked_and_where(visit: Any) -> None:
    page = visit("#scene=library&query=animals that talk").page
    assert not page.locator(".printed").is_visible()
    print_of(page)
    assert page.locator(".printed").inner_text() == f"animals that talk — {page.url}"
    assert page.locator(".printed").bounding_box()["y"] < page.locator("h1").bounding_box()["y"]


def test_the_table_is_whole(visit: Any) -> None:
    page = visit("#scene=library").page
    assert page.locator(".all tbody tr").count() == 40
    print_of(page)
    assert page.locator(".all tbody tr").count() == 110
    cut = """(fields) => fields.filter((field) =>
      field.scrollHeight > field.clientHeight + 2 || field.scrollWidth > field.clientWidth + 2).length"""
    assert page.locator(".field").evaluate_all(cut) == 0
