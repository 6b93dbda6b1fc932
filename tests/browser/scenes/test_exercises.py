"""The exercises of each scene: each can be completed, and is ticked exactly then."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from tests.browser.reading import module, sideways, words

NAMES = """({practice}, {scene, words}) => import('/js/words.js').then(({take}) => {
  take(words, 'en');
  return practice(scene).element.querySelectorAll('li').length;
})"""
COCOA = [
    {"id": "tea", "key": "how to brew green tea", "value": "x"},
    {"id": "row-6", "key": "cocoa", "value": "with milk"},
]
LOWERED = [[0.4, 1.1], [3.5, 1.0], [4.0, 1.0], [4.7, 1.0], [9.7, 3.3]]
ONE_KEY = [[1.6, 0.8], *[[-3, -3]] * 4, [1.2, 1.6], [-3, -3]]
# The scene, which of its exercises, and an address that fulfils it.
FULFILLED = [
    ("library", "equal", "query=cats&t=0&none=0.9999"),
    ("library", "forgotten", "t=inf"),
    ("videos", "wordless", "query=my bike has no air"),
    ("nothing", "unknown", "query=how to fix a washing machine"),
    ("nothing", "known", "query=talk about bees"),
    ("share", "ninety", "t=0.004"),
    ("share", "apart", "query=a house for a cat"),
    ("filter", "emptied", 'masked=["i-am-a-cat","fahrenheit-451"]'),
    ("filter", "horse", 'masked=["i-am-a-cat","fahrenheit-451","watership-down","animal-farm"]'),
    ("guess", "own", "query=the law&guess=elements&revealed=1"),
    ("guess", "misled", "query=the law&revealed=1"),
    ("rows", "drink", f"rows={json.dumps(COCOA)}"),
    ("rows", "value", f"rows={json.dumps(COCOA)}"),
    ("sure", "calibrated", "labels=rwrwrwrwrw&t=0.0668"),
    ("sure", "own", 'labels=rwrwrwrwrwr&own=["a book about ghosts"]'),
    ("steps", "sharp", "t=0"),
    ("steps", "alone", "causal=1"),
    ("scores", "agree", f"spots={json.dumps(ONE_KEY)}"),
    ("scores", "onehot", "t=0"),
    ("encoder", "previous", "layer=0&head=2"),
    ("encoder", "found", "layer=1&head=8&word=2"),
    ("encoder", "refuted", "text=The teacher praised the student in the hall"),
    ("hopfield", "once", "t=4"),
    ("hopfield", "mixed", "t=30"),
    ("regression", "through", "t=0.01"),
    ("regression", "moved", f"points={json.dumps(LOWERED)}"),
    ("space", "inside", "query=love story"),
    ("space", "agreed", "flat=1&query=animals take over the farm"),
    ("photo", "better", "noise=0.15&t=0.2"),
    ("photo", "copied", "t=0"),
    ("lowrank", "thousand", "rank=1"),
    ("lowrank", "none", "width=384&rank=256"),
]


def ticked(page: Any, scene: str) -> dict[str, bool]:
    """Return which exercises of the scene are ticked, by name."""
    page.wait_for_selector("#exercises summary:not(:empty)")
    prefix = f"exercise.{scene}."
    names = {
        text: name.removeprefix(prefix) for name, text in words("en", "practice").items() if name.startswith(prefix)
    }
    page.evaluate("document.querySelector('#exercises').open = true")
    page.wait_for_timeout(150)
    lines = page.locator("#exercises li").all()
    return {
        names[line.locator("span").nth(1).inner_text()]: line.get_attribute("data-done") == "true" for line in lines
    }


@pytest.mark.parametrize(("scene", "name", "address"), FULFILLED)
def test_an_exercise_ticks_itself(visit: Any, scene: str, name: str, address: str) -> None:
    opened = visit(
        f"#scene={scene}&{address}" if "rows=" not in address else f"#scene={scene}&{quote(address, safe='=')}"
    )
    page = opened.page
    page.wait_for_selector("#exercises")
    page.wait_for_timeout(300)
    assert ticked(page, scene)[name]
    assert page.locator("#exercises summary").inner_text().endswith(f"/{len(ticked(page, scene))})")


@pytest.mark.thorough
def test_nothing_is_ticked_where_a_scene_begins(visit: Any) -> None:
    opened = visit("#scene=library")
    for scene in sorted({scene for scene, _, _ in FULFILLED}):
        opened.page.goto("about:blank")
        opened.go(f"#scene={scene}")
        opened.page.wait_for_selector("#exercises")
        opened.page.wait_for_timeout(300)
        assert not any(ticked(opened.page, scene).values()), scene
        assert sideways(opened.page) <= 0


def test_every_exercise_is_fulfilled_here_but_those_of_large_collections(visit: Any) -> None:
    page = visit("lesson.html").page
    scenes = module(page, "/js/scenes.js", "({SCENES}) => SCENES.map((scene) => scene.name)")
    counted = {
        scene: module(page, "/js/practice.js", NAMES, {"scene": scene, "words": words("en", "practice")})
        for scene in scenes
        if scene not in ("python", "unicode")
    }
    tried = [scene for scene, _, _ in FULFILLED]
    assert counted == {scene: tried.count(scene) for scene in counted}


@pytest.mark.parametrize(
    ("scene", "weights", "effective", "ticks"),
    [
        ("python", [0.92, 0.02], 1.5, 1),
        ("python", [0.5, 0.4], 2.2, 0),
        ("unicode", [0.998], 1.01, 1),
        ("unicode", [0.6, 0.2], 4.2, 0),
    ],
)
def test_the_exercises_of_large_collections(
    visit: Any, scene: str, weights: list[float], effective: float, ticks: int
) -> None:
    page = visit("lesson.html").page
    state = module(page, "/js/state.js", "({beginning}, scene) => beginning(scene)", scene)
    rows = [{"id": str(i), "key": f"key {i}", "value": "value", "masked": False} for i in range(len(weights))]
    model = {
        "state": {**state, "query": "square root", "revealed": True},
        "result": {"asked": True, "unread": 0, "rows": rows},
        "answer": {"weights": weights, "effective": effective, "verdict": "one", "nullWeight": 0.01},
    }
    use = """({practice}, {model, words}) => import('/js/words.js').then(({take}) => {
      take(words, 'en');
      const one = practice(model.state.scene);
      one.show(model);
      return one.element.querySelectorAll('li[data-done=true]').length;
    })"""
    assert module(page, "/js/practice.js", use, {"model": model, "words": words("en", "practice")}) == ticks


def test_each_question_that_learners_ask_has_its_answer() -> None:
    english = words("en", "practice")
    questions = {name.split(".")[1] for name in english if name.startswith("why.")}
    assert all(f"why.{name}.ask" in english and f"why.{name}.say" in english for name in questions)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_questions_of_learners_are_answered_in_the_scene(visit: Any, language: str) -> None:
    page = visit(f"#scene=library&lang={language}").page
    page.wait_for_selector("#whys")
    assert not page.locator("#whys dl").is_visible()
    page.click("#whys summary")
    assert "0.05" in page.locator("#whys").inner_text()
    assert "77%" in page.locator("#whys").inner_text()
