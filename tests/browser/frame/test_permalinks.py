"""The state in the URL: reload, back and forward, the keyboard, a presenter's keys, and copy as curl."""

from __future__ import annotations

import json
import shlex
from typing import Any

import httpx

from tests.browser.reading import checked, module, weights


def test_a_reload_brings_the_same_picture(visit: Any) -> None:
    opened = visit("#scene=rows")
    page = opened.page
    page.locator(".rows .key-text").first.fill("how to boil an egg")
    page.focus("#temperature")
    page.keyboard.press("ArrowRight")
    page.locator("#question").fill("breakfast")
    page.wait_for_timeout(600)
    opened.settle()
    before = (weights(page), page.url, page.locator("#temperature").input_value())
    page.reload()
    opened.settle()
    assert (weights(page), page.url, page.locator("#temperature").input_value()) == before
    assert "breakfast" in page.locator("#question").input_value()


def test_what_the_url_says_survives_the_round_trip(visit: Any) -> None:
    page = visit("lesson.html").page
    use = "({toHash, fromHash}, hash) => toHash(fromHash(hash))"
    for hash_ in (
        "#scene=library",
        "#scene=library&t=inf",
        "#scene=videos&t=0&none=0.9999",
        "#scene=library&none=strict",
        "#scene=library&none=lenient&t=0.2",
        "#scene=nothing&none=-0.25",
        "#scene=nothing&none=false&lang=zh&theme=dark&projector=1",
        "#scene=steps&step=3&causal=1&heads=2",
        "#scene=scores&similarity=cosine&spots=%5B%5B0%2C1%5D%5D",
        "#scene=encoder&to=4&second=5.3&pair=cats",
    ):
        once = module(page, "/js/state.js", use, hash_)
        assert module(page, "/js/state.js", use, once) == once
        assert set(once[1:].split("&")) == set(hash_[1:].split("&"))


def test_nonsense_in_the_url_is_left_out(visit: Any) -> None:
    opened = visit("#scene=nowhere&t=-3&rows={&lang=xx&none=much&step=many&masked=7")
    assert opened.page.locator("#scene").input_value() == "library"
    assert checked(opened.page) < 1e-9


def test_back_and_forward_walk_the_scenes(visit: Any) -> None:
    opened = visit("")
    page = opened.page
    page.select_option("#scene", "share")
    opened.settle()
    page.get_by_label("Next scene").click()
    opened.settle()
    assert page.locator("#scene").input_value() == "values"
    page.go_back()
    page.wait_for_function("document.querySelector('#scene').value === 'share'")
    page.go_back()
    page.wait_for_function("document.querySelector('#scene').value === 'library'")
    page.go_forward()
    page.wait_for_function("document.querySelector('#scene').value === 'share'")
    opened.settle()


def test_the_keyboard_alone_is_enough(visit: Any) -> None:
    opened = visit("#scene=library")
    page = opened.page
    seen: list[str] = []
    for _ in range(120):
        page.keyboard.press("Tab")
        seen.append(
            page.evaluate(
                "document.activeElement.id || document.activeElement.className || document.activeElement.tagName"
            )
        )
        if seen[-1] == "add-row":
            break
    for text in (
        "skip",
        "scene",
        "toggle-lang",
        "question",
        "temperature",
        "source",
        "limit-nearest",
        "field key-text",
        "field value-text",
        "add-row",
    ):
        assert text in seen, text
    page.focus("#limit-average")
    page.keyboard.press("Enter")
    assert page.locator(".temperature output").inner_text() == "∞"
    page.focus(".rows .mask")
    page.keyboard.press("Enter")
    page.wait_for_timeout(100)
    opened.settle()
    assert page.locator(".rows .row.masked").count() == 1


def test_copied_curl_repeats_what_is_seen(visit: Any) -> None:
    opened = visit("#scene=rows", permissions=["clipboard-read", "clipboard-write"])
    page = opened.page
    checked(page)
    page.click(".curl")
    page.wait_for_selector(".curl[data-command]")
    words = shlex.split(page.get_attribute(".curl", "data-command") or "")
    assert words[:3] == ["curl", "-s", f"{opened.origin}/v1/compare"]
    answer = httpx.post(words[2], json=json.loads(words[words.index("-d") + 1]), timeout=60).json()
    shown = weights(page)
    for match in answer["attention"]["matches"]:
        assert abs(match["weight"] - float(shown[match["key"]].strip("<>%")) / 100) < 0.006


def test_what_an_address_says_decides_whether_it_opens_covered(visit: Any) -> None:
    page = visit("lesson.html").page
    use = "({toHash, fromHash}, hash) => ({revealed: fromHash(hash).revealed, again: toHash(fromHash(hash))})"
    for address, revealed in {
        "": False,
        "#scene=share": False,
        "#scene=share&lang=zh&theme=dark&projector=1": False,
        "#scene=share&guess=both": False,
        "#scene=share&guess=both&revealed=1": True,
        "#scene=share&t=0.01": True,
        "#scene=guess&query=war": True,
        "#scene=guess&query=war&revealed=0": False,
        "#scene=steps&step=3": True,
    }.items():
        result = module(page, "/js/state.js", use, address)
        assert result["revealed"] is revealed, address
        assert module(page, "/js/state.js", use, result["again"])["revealed"] is revealed, address


def test_the_clicker_walks_all_scenes_to_and_fro(visit: Any) -> None:
    opened = visit("#scene=nothing", covered=True)
    page = opened.page
    names = module(page, "/js/scenes.js", "({SCENES}) => SCENES.map((scene) => scene.name)")
    names = names[names.index("nothing") :]

    def where() -> tuple[str, bool]:
        return page.locator("#scene").input_value(), not page.locator("#prediction").is_visible()

    walked = [where()]
    for _ in range(2 * len(names) - 1):
        page.keyboard.press("PageDown")
        opened.settle()
        walked.append(where())
    assert walked == [(name, shown) for name in names for shown in (False, True)]
    page.keyboard.press("PageDown")
    assert where() == (names[-1], True)
    back = []
    for _ in range(2 * len(names) - 1):
        page.keyboard.press("PageUp")
        opened.settle()
        back.append(where())
    assert back == walked[-2::-1]


def test_home_and_end_go_to_the_first_scene_and_the_last(visit: Any) -> None:
    opened = visit("#scene=share", covered=True)
    page = opened.page
    page.wait_for_selector(".choice")
    assert "Page Down" in page.locator("#prediction .presenting").inner_text()
    page.keyboard.press("Home")
    opened.settle()
    assert page.locator("#scene").input_value() == "library"
    page.keyboard.press("End")
    opened.settle()
    assert page.locator("#scene").input_value() == page.locator("#scene option").last.get_attribute("value")
    assert page.evaluate("document.activeElement.tagName") == "H1"
    assert page.locator("h1").evaluate("(title) => getComputedStyle(title).outlineStyle") == "none"


def test_a_field_keeps_its_page_keys_and_so_does_a_modifier(visit: Any) -> None:
    page = visit("#scene=share", covered=True).page
    for part in ("#question", "#temperature", "#source"):
        page.focus(part)
        page.keyboard.press("PageDown")
        assert page.locator("#prediction").is_visible(), part
    page.focus("h1 >> xpath=ancestor::main")
    page.keyboard.press("Control+PageDown")
    page.keyboard.press("Shift+PageDown")
    assert page.locator("#prediction").is_visible()
    page.keyboard.press("PageDown")
    assert not page.locator("#prediction").is_visible()
    assert "the answer" in page.locator("#presenter").inner_text()
    page.keyboard.press("PageDown")
    assert page.locator("#scene").input_value() == "values"
    assert "7 of" in page.locator("#presenter").inner_text()
