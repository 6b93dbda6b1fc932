"""Each scene opens covered by one question: the page gives nothing away, and the right answer is the service's."""

from __future__ import annotations

import math
import re
from typing import Any

import httpx
import pytest

from tests.browser.conftest import PHONE
from tests.browser.reading import module, sideways, slide, topics, words
from tests.thorough import thorough

LOOKUPS = ["library", "videos", "nothing", "share", "filter", "guess", "rows"]
OTHERS = ["sure", "steps", "scores", "encoder", "hopfield", "regression", "lowrank"]
SCENES = [*LOOKUPS, *OTHERS]
ASKED = {
    "library": "books about felines",
    "videos": "my plants look sad",
    "nothing": "quarterly tax return",
    "share": "machine learning",
    "filter": "books about felines",
    "guess": "animals that talk",
    "rows": "I would like a hot drink",
}
FICTION = {"filter": {"field": "metadata.shelf", "operator": "==", "value": "fiction"}}
# All that is read or heard of the scene but its question: texts, what was typed, and what a screen reader says.
TOLD = """() => {
  const told = [document.title];
  for (const element of document.querySelectorAll('#stage *, #bar *, #foot *')) {
    if (element.closest('#prediction, svg, option:not(:checked)')) continue;
    for (const node of element.childNodes) if (node.nodeType === 3) told.push(node.data);
    for (const {name, value} of element.attributes) {
      if (/^(aria-|title|alt|data-)/.test(name) && name !== 'data-difference') told.push(value);
    }
    if (element.matches('output, p.summary, [role=status]')) told.push(element.textContent);
  }
  return told.join('\\n');
}"""


def compared(origin: str, scene: str) -> dict[str, Any]:
    """Return the service's answer to a lookup scene in its initial state."""
    sent: dict[str, Any] = {"query": ASKED[scene], "temperature": 0.05, "top_k": 1000}
    path = "/v1/collections/videos/compare" if scene == "videos" else "/v1/collections/library/compare"
    if scene == "filter":
        sent |= FICTION
    if scene in ("library", "videos"):  # the null key enters later
        sent["null"] = False
    answer = httpx.post(f"{origin}{path}", json=sent, timeout=60)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def texts(language: str = "en") -> dict[str, str]:
    """Return all texts of the scenes in a language."""
    return {name: text for topic in topics() for name, text in words(language, topic).items()}


def percents(share: float) -> set[str]:
    return {f"{share:.0%}", f"{share:.1%}"}


@pytest.mark.parametrize("language", ["en", thorough("zh")])
@pytest.mark.parametrize("scene", LOOKUPS)
def test_a_covered_lookup_gives_nothing_away(visit: Any, scene: str, language: str) -> None:
    opened = visit(f"#scene={scene}&lang={language}", covered=True)
    page = opened.page
    page.wait_for_selector(".choice")
    page.wait_for_timeout(500)  # the service has compared as well
    facts = page.evaluate(TOLD)
    assert "%" not in facts
    assert "−∞" not in facts
    assert set(re.findall(r"\d+\.\d+", facts)) <= {"0.05", "0.01", "0.2", "0.1"}
    assert [text for name, text in texts(language).items() if name.startswith("verdict.") and text in facts] == []
    assert page.locator(".story .lede").inner_text() == ""
    assert page.locator("path.wire").count() == 0
    assert page.locator(".found li, .row.masked, .all tr.masked, .arithmetic:not([hidden])").count() == 0
    assert not page.locator(".limits").is_visible()
    assert set(page.locator(".answer .headline").all_inner_texts()) == {"?"}
    for rows in (".rows .key-text", ".all tbody .key-text"):
        keys = [field.input_value() for field in page.locator(rows).all()]
        assert scene == "rows" or keys == sorted(keys, key=str.casefold), rows


@pytest.mark.parametrize("scene", OTHERS)
def test_a_covered_view_is_its_question_alone(visit: Any, scene: str) -> None:
    page = visit(f"#scene={scene}", covered=True).page
    page.wait_for_selector(".choice")
    page.wait_for_timeout(500)
    assert page.locator(".left > *").count() == 1
    assert page.locator(".right > *").count() == 0
    facts = page.evaluate(TOLD)
    assert "%" not in facts
    assert re.findall(r"\d+[.,]\d+", facts) == []


def expected(origin: str, scene: str) -> str:
    """Return the right choice by the service's answer: a choice's name, or a key."""
    if scene in ("videos", "guess"):
        return str(compared(origin, scene)["top_k"]["matches"][0]["key"])
    if scene in ("library", "nothing", "share", "filter"):
        answer = compared(origin, scene)
        attention = answer["attention"]
        null_weight = attention["evidence"]["null_weight"]
        if scene == "library":
            return {0: "none", 1: "one"}[len(answer["sql"]["rows"])]
        if scene == "nothing":
            return "little" if null_weight < 0.1 else "part" if null_weight < 0.5 else "most"
        first, second = (match["weight"] for match in attention["matches"][:2])
        if scene == "share":
            assert first + second > 0.9
            return "both" if first < 9 * second else "one"
        assert "cats" not in {match["key"] for match in attention["matches"]}
        return "zero"
    if scene == "lowrank":
        assert 2 * 12288 * 128 * 48 == 12288**2
        return "half"
    if scene == "hopfield":
        return "one"
    if scene == "scores":
        return "several"  # tests/browser/scenes/test_scores.py compares each with the service
    return {"rows": "output", "sure": "checked", "steps": "softmax", "encoder": "sentence", "regression": "flat"}[scene]


@pytest.mark.parametrize("scene", SCENES)
def test_the_right_choice_is_the_services(visit: Any, scene: str) -> None:
    opened = visit(f"#scene={scene}", covered=True)
    page = opened.page
    page.wait_for_selector(".choice")
    assert page.locator(".choice").count() == 4
    right = expected(opened.origin, scene)
    page.locator("#reveal").click()
    page.wait_for_selector("#reply:not(:empty)")
    text = page.locator("#reply").inner_text()
    label = texts().get(f"predict.{scene}.{right}", right)
    assert text.startswith(f"“{label.replace('{half}', '48')}”, because"), text
    assert "{" not in text
    if scene in ("library", "nothing", "share", "videos", "guess"):
        attention = compared(opened.origin, scene)["attention"]
        weight = {"nothing": attention["evidence"]["null_weight"]}.get(scene, attention["matches"][0]["weight"])
        assert percents(weight) & set(re.findall(r"[\d.]+%", text)), text
    if scene == "hopfield":
        assert repaired_in_one(opened)


def repaired_in_one(opened: Any) -> bool:
    """Return whether the service's first step repairs every cell, and the query has wrong cells."""
    use = "({PATTERNS, damaged}) => ({stored: PATTERNS, noisy: damaged(PATTERNS[0], 20, 3)})"
    patterns = module(opened.page, "/js/patterns.js", use)
    keys = {"query": [patterns["noisy"]], "key": patterns["stored"], "value": patterns["stored"]}
    body = {**keys, "similarity": "dot", "temperature": 8, "hopfield_steps": 1}
    output = httpx.post(f"{opened.origin}/v1/attend", json=body, timeout=60).json()["output"][0]
    signs = [math.copysign(1, cell) for cell in output]
    return bool(signs == patterns["stored"][0] != patterns["noisy"])


def test_a_right_and_a_wrong_choice_are_told_apart(visit: Any) -> None:
    opened = visit("#scene=library", covered=True)
    page = opened.page
    page.locator(".choice[value=none]").click()
    assert page.locator("#reply").inner_text().startswith("Yes: ")
    assert page.evaluate("document.activeElement.id") == "reply"
    page.wait_for_function("() => location.hash.includes('revealed=1') && location.hash.includes('guess=none')")
    page.reload()
    page.wait_for_selector("#reply:not(:empty)")
    assert page.locator("#reply").inner_text().startswith("Yes: ")
    opened.page.goto("about:blank")
    opened.go("#scene=library", covered=True)
    page.locator(".choice[value=word]").click()
    text = page.locator("#reply").inner_text()
    assert text.startswith("You said “Every card with one of these words”; it is “None”, because")
    page.focus("#temperature")
    page.keyboard.press("End")
    page.wait_for_selector("#reply", state="hidden")
    page.click("#cover")
    assert page.locator(".choice").count() == 4
    assert page.locator("#temperature").input_value() == "400"


def test_two_of_the_nearest_are_offered_and_two_others(visit: Any) -> None:
    opened = visit("#scene=guess", covered=True)
    matches = compared(opened.origin, "guess")["top_k"]["matches"]
    near = [match["key"] for match in matches[:4]]
    opened.page.wait_for_selector(".choice")
    offered = opened.page.locator(".choice").all_inner_texts()
    assert near[0] in offered
    assert len(set(near) & set(offered)) == 2
    opened.page.reload()
    opened.page.wait_for_selector(".choice")
    assert opened.page.locator(".choice").all_inner_texts() == offered


@pytest.mark.parametrize("change", ["query", "source", "temperature"])
def test_another_question_is_covered_again_where_one_guesses(visit: Any, change: str) -> None:
    opened = visit("#scene=guess", covered=True)
    page = opened.page
    page.locator(".choice").first.click()
    assert "%" in page.locator("#reply").inner_text()
    if change == "query":
        page.fill("#question", "hunting a whale")
    elif change == "source":
        page.select_option("#source", "videos")
    else:
        slide(page, 200)
    assert "%" not in page.locator(".rows").inner_text()
    page.wait_for_timeout(500)
    opened.settle()
    assert page.locator(".choice").count() == 4
    assert "%" not in page.evaluate(TOLD)
    if change == "query":
        assert "hunting a white whale" in page.locator(".choice").all_inner_texts()
        assert "revealed=0" in page.url
        page.reload()
        page.wait_for_selector(".choice")
        assert page.locator("#question").input_value() == "hunting a whale"
        assert "%" not in page.evaluate(TOLD)


def test_elsewhere_another_question_stays_revealed(visit: Any) -> None:
    opened = visit("#scene=library", covered=True)
    page = opened.page
    page.click("#reveal")
    page.fill("#question", "cats")
    page.wait_for_timeout(500)
    opened.settle()
    assert page.locator("#answer-sql .headline").inner_text() == "1 row"
    assert "your own question" in page.locator(".story .lede").inner_text()
    page.click("#undo")
    page.wait_for_timeout(500)
    opened.settle()
    assert page.locator("#question").input_value() == "books about felines"
    assert "books about felines" in page.locator(".story .lede").inner_text()


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("scene", ["library", "guess", "encoder"])
def test_a_covered_scene_fits_a_phone(visit: Any, scene: str, language: str) -> None:
    page = visit(f"#scene={scene}&lang={language}", PHONE, covered=True).page
    page.wait_for_selector(".choice")
    assert page.locator("h1").count() == 1
    assert sideways(page) <= 0
    box = page.locator(".choice").last.bounding_box()
    assert box is not None
    assert box["y"] + box["height"] < PHONE[1]
