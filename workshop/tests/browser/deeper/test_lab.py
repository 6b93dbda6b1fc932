"""The pictures of the lab: a training is drawn as the service reports it, and queried as the service answers."""

from __future__ import annotations

import json
from typing import Any

import httpx
import numpy as np
import pytest

from tests.browser.reading import share, sideways
from workshop.tools.recorded import read as read_recorded
from workshop.tools.recorded import unpack_weights

DRAWN = "() => [...document.querySelectorAll('.alignment td[data-weight]')].map((cell) => Number(cell.dataset.weight))"
# A copy of the events on their way to the page, since the browser keeps none of what is streamed.
HEARD = """() => {
  const fetched = window.fetched ??= window.fetch;
  window.heard = null;
  window.fetch = async (...given) => {
    const answer = await fetched(...given);
    if (String(given[0]).endsWith('/lab/train')) answer.clone().text().then((text) => (window.heard = text));
    return answer;
  };
}"""
POINTS = "(kind) => document.querySelector(`.curves .lines .${kind}`).getAttribute('d').split(/[ML]/).length - 1"


def trained(page: Any, button: str) -> dict[str, list[dict[str, Any]]]:
    """Press the button and wait until the model is trained; return all events by name."""
    page.evaluate(HEARD)
    page.click(button)
    page.wait_for_selector("#stop:disabled")
    page.wait_for_function("() => window.heard !== null")
    events: dict[str, list[dict[str, Any]]] = {}
    for event in page.evaluate("window.heard").split("\n\n"):
        if event.startswith("event: "):
            name, data = event.split("\n")[:2]
            events.setdefault(name[7:], []).append(json.loads(data[6:]))
    return events


def decoded(opened: Any, **options: Any) -> dict[str, Any]:
    answer = httpx.post(f"{opened.origin}/v1/lab/decode", json=options, timeout=60)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


@pytest.mark.thorough
def test_two_networks_learn_and_the_table_shows_the_numbers_of_the_service(visit: Any) -> None:
    opened = visit("deeper#networks&task=reverse&seconds=1&text=abcdefghijab", (390, 844))
    page = opened.page
    page.locator(".prediction button", has_text="The GRU without attention").click()
    assert "Right" in page.locator(".prediction .verdict").inner_text()
    for kind in ("gru", "transformer"):
        events = trained(page, f"#train-{kind}")
        (last,) = events["trained"]
        line = page.locator(f"#outcome tr[data-network={kind}]")
        cells = {column: line.locator(f"[data-column={column}]").inner_text() for column in ("parameters", "loss")}
        assert cells == {
            "parameters": f"{events['begun'][0]['parameters']:,}",
            "loss": f"{events['step'][-1]['loss']:.3f}",
        }
        assert line.locator("[data-column=step_ms]").inner_text() == f"{events['step'][-1]['step_ms']:.1f}"
        assert share(line.locator("[data-column=accuracy]").inner_text()) == pytest.approx(last["accuracy"], abs=0.0051)
        assert page.evaluate(POINTS, kind) == len(events["step"])
        for length in last["lengths"]:
            cell = page.locator(f"#lengths tr[data-network={kind}] [data-length='{length['length']}']")
            assert share(cell.inner_text()) == pytest.approx(length["accuracy"], abs=0.0051)
            assert ("beyond" in (cell.get_attribute("class") or "")) == (length["length"] > 10)
        page.wait_for_function("(id) => document.querySelector('#model').value === id", arg=last["id"])
        opened.settle()
        answer = decoded(opened, model=last["id"], source="abcdefghijab")
        page.wait_for_selector(f"#written[data-text='{answer['text']}']")
        if kind == "gru":
            assert answer["attention"] == []
            assert not page.locator(".alignment").is_visible()
            assert "no attention" in page.locator("#written").inner_text()
    page.wait_for_selector(".alignment td")
    assert page.evaluate(DRAWN) == pytest.approx(np.ravel(answer["attention"][0][0]), abs=1e-7)
    page.focus(".alignment td[tabindex='0']")
    page.keyboard.press("ArrowRight")
    text = page.locator("#alignment-said").inner_text()
    assert f"“{answer['source'][1]}”" in text
    page.locator("#output .examples button").first.click()
    opened.settle()
    assert page.locator("#source-text").input_value() == last["examples"][0]["source"]
    page.get_by_role("button", name="中文").click()
    opened.settle()
    assert page.locator("#outcome tbody tr").count() == 2
    assert page.evaluate(POINTS, "transformer") == len(events["step"])
    assert sideways(page) <= 0


@pytest.mark.parametrize(("task", "model"), [("translation", "transformer"), ("dates", "gru_attention")])
def test_a_recorded_training_is_there_without_any_of_ones_own(visit: Any, task: str, model: str) -> None:
    opened = visit(f"deeper#networks&task={task}&aligned=1&moment=12&model=recorded:{model}", reduced_motion="reduce")
    page, recorded = opened.page, read_recorded(task)
    page.wait_for_selector(".alignment td")
    for at in (12, len(recorded["runs"][model]["moments"]) - 1):
        page.locator("#moment").fill(str(at))
        output, source = recorded["runs"][model]["written"][0][at], recorded["sources"][0]["tokens"]
        page.wait_for_selector(f"#written[data-text='{output['text']}']")
        weights = unpack_weights(output["weights"], len(output["tokens"]), len(source))
        assert page.evaluate(DRAWN) == pytest.approx(weights.ravel(), abs=1e-9)
        step, _, _, accuracy = recorded["runs"]["gru_attention"]["moments"][at]
        cell = page.locator("#outcome tr[data-network=gru] [data-column=accuracy]")
        assert share(cell.inner_text()) == pytest.approx(accuracy, abs=0.0101)
        assert f"step {step}" in page.locator("#moment + output").inner_text()
    texts = page.locator("#output .examples button").all_inner_texts()
    assert texts == [one["text"] for one in recorded["sources"]]
    assert not page.locator("#source-text").is_visible()
    page.locator("#play").click()
    page.wait_for_function("() => Number(document.querySelector('#moment').value) < 30")


@pytest.mark.parametrize(
    ("status", "code", "message"), [(501, "library_missing", "make run LAB=1"), (409, "lab_busy", "one runs at a time")]
)
def test_a_barred_training_names_its_remedy(visit: Any, status: int, code: str, message: str) -> None:
    opened = visit("deeper#networks&task=reverse")
    page = opened.page
    problem = json.dumps({"status": status, "code": code, "detail": "x", "title": "x"})
    page.route("**/v1/lab/train", lambda route: route.fulfill(status=status, body=problem))
    page.click("#train-all")
    page.wait_for_selector("#lab-barred:visible")
    assert message in page.locator("#lab-barred").inner_text()
    assert page.locator("#train-all").is_visible() == (code != "library_missing")
    page.click("#back-to-recorded")
    page.wait_for_selector(".alignment td:visible")
    closed = json.dumps({"open": False, "training": False, "models": []})
    page.route("**/v1/lab", lambda route: route.fulfill(status=200, content_type="application/json", body=closed))
    opened.go("lesson.html")
    opened.go("deeper#networks")
    assert "SOFTKV_LAB=readers" in page.locator("#lab-barred").inner_text()
    assert page.locator("#train-all").is_disabled()
    opened.errors.clear()  # the browser logs what is refused
