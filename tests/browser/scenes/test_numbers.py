"""Every number that a scene shows is the one that the API gives: all scenes are walked, and asked for once more."""

from __future__ import annotations

from typing import Any

import httpx
import numpy as np
import pytest

from tests.browser.reading import checked, module
from tests.browser.written import MARKS, effective, fixed, level, percent
from tests.thorough import thorough

MATRIX = """() => [...[...document.querySelectorAll('.derivation .matrix')].at(-1).querySelectorAll('tbody tr')]
  .map((row) => [...row.querySelectorAll('td')].map((cell) => cell.innerText.trim()))"""
TABLE = """() => [...document.querySelectorAll('.all tbody tr')].map((row) => ({
  key: row.querySelector('.key-text').value, masked: row.classList.contains('masked'),
  ...Object.fromEntries(['similarity', 'logit', 'weight'].map((name) =>
    [name, [...row.querySelectorAll('td.number')][['similarity', 'logit', 'weight'].indexOf(name)].textContent]))}))"""
PICTURE = """() => Object.fromEntries([...document.querySelectorAll('.rows > .row:not([hidden])')].map((row) =>
  [row.querySelector('.key-text')?.value ?? row.classList[1], row.querySelector('.share').textContent]))"""
# The requests to a collection and the temperatures, as in scenes.js.
FILTER = {"field": "metadata.shelf", "operator": "==", "value": "fiction"}
STORED = {
    "library": ("library", "books about felines", None),
    "videos": ("videos", "my plants look sad", None),
    "nothing": ("library", "quarterly tax return", None),
    "share": ("library", "machine learning", None),
    "filter": ("library", "books about felines", FILTER),
    "guess": ("library", "animals that talk", None),
}
TEMPERATURES = [("0", 0.0), ("0.05", 0.05), thorough("0.3", 0.3), ("inf", 1e300)]


def asked(origin: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = httpx.post(f"{origin}{path}", json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def compare(page: Any, attention: dict[str, Any], temperature: float) -> None:
    """Compare everything on a lookup's page with the API's answer with all of its matches."""
    evidence = attention["evidence"]
    matches = {match["key"]: match for match in attention["matches"]}
    weights = {key: percent(match["weight"]) for key, match in matches.items()}

    shown = page.evaluate(PICTURE)
    has_null = evidence["null_similarity"] is not None
    assert shown.pop("none", None) == (percent(evidence["null_weight"]) if has_null else None)
    rest = 1 - evidence["null_weight"] - sum(matches[key]["weight"] for key in shown if key in matches)
    assert shown.pop("rest", percent(max(rest, 0) if rest > 1e-12 else 0)) == percent(rest if rest > 1e-12 else 0)
    assert shown == {key: weights.get(key, "0%") for key in shown}
    if has_null:
        written = "∞" if temperature == 1e300 else level(evidence["null_similarity"])
        assert f"s₀ = {written})" in page.locator(".row.none .special").first.inner_text()

    table = page.evaluate(TABLE)
    assert len(table) > 3
    for row in table:
        if row["masked"]:
            assert (row["logit"], row["weight"]) == ("−∞", "0%")
            continue
        match = matches[row["key"]]
        assert row["similarity"] == fixed(match["similarity"], 4)
        assert row["weight"] == weights[row["key"]]
        if 0 < temperature < 1e300:
            logit = match["similarity"] / temperature
            assert row["logit"] == fixed(logit, 2 if abs(logit) < 100 else 0)

    summary = page.locator("#summary").inner_text()
    best = max(attention["matches"], key=lambda match: match["similarity"])
    assert percent(best["weight"]) in summary
    if has_null:
        assert percent(evidence["null_weight"]) in summary
    if evidence["verdict"] != "none":
        spread = effective(evidence["effective_documents"])
        assert ("on one row" if spread == "1.0" else f" {spread} ") in summary
    assert page.locator("#picture-verdict").inner_text() == MARKS[evidence["verdict"]]
    heaviest = sorted(attention["matches"], key=lambda match: -match["weight"])[:3]
    lines = [text.strip() for text in page.locator("#answer-attention .found li .number").all_inner_texts()]
    assert lines == [percent(match["weight"]) for match in heaviest if match["weight"]][: len(lines)]


@pytest.mark.parametrize(("message", "temperature"), TEMPERATURES)
@pytest.mark.parametrize("scene", STORED)
def test_a_scene_of_stored_rows(visit: Any, scene: str, message: str, temperature: float) -> None:
    opened = visit(f"#scene={scene}&t={message}")
    checked(opened.page)
    opened.page.wait_for_timeout(200)
    name, query, condition = STORED[scene]
    body: dict[str, Any] = {"query": query, "temperature": temperature, "top_k": 1000, "include": ["key"]}
    if scene in ("library", "videos"):  # the null key has not entered yet
        body["null"] = False
    if condition:
        body["filter"] = condition
    compare(opened.page, asked(opened.origin, f"/v1/collections/{name}/attend", body), temperature)


@pytest.mark.parametrize(("message", "temperature"), TEMPERATURES)
@pytest.mark.parametrize("scene", ["rows", "values"])
def test_a_scene_of_rows_of_one_s_own(visit: Any, scene: str, message: str, temperature: float) -> None:
    opened = visit(f"#scene={scene}&t={message}")
    page = opened.page
    checked(page)
    page.wait_for_timeout(200)
    state = module(page, "/js/state.js", "({ beginning }, scene) => beginning(scene)", scene)
    body = {"query": state["query"], "rows": state["rows"], "temperature": temperature, "top_k": 1000, "null": "auto"}
    attention = asked(opened.origin, "/v1/compare", body)["attention"]
    keys = {row["id"]: row["key"] for row in state["rows"]}
    for match in attention["matches"]:
        match["key"] = keys[match["id"]]
    compare(page, attention, temperature)


def test_step_by_step(visit: Any) -> None:
    opened = visit("#scene=steps&step=0")
    page = opened.page
    example = {
        name: module(page, "/js/example.js", f"(it) => it.{name}")
        for name in ("EMBEDDINGS", "W_Q", "W_K", "W_V", "W_O")
    }
    for temperature, causal in ((1.0, False), (0.1, True)):
        body = {
            **dict.fromkeys(("query", "key", "value"), example["EMBEDDINGS"]),
            "similarity": "scaled_dot",
            "temperature": temperature,
            "projections": {name: example[name] for name in ("W_Q", "W_K", "W_V", "W_O")} | {"n_heads": 1},
            "intermediates": True,
        } | ({"mask": np.tri(3, dtype=bool).tolist()} if causal else {})
        answer = asked(opened.origin, "/v1/attend", body)
        # One head of one.
        actual = {
            name: np.array(intermediate, dtype=float).reshape(3, -1)
            for name, intermediate in answer["intermediates"].items()
        }
        query, key = actual["query"], actual["key"]
        expected = [
            np.array(example["EMBEDDINGS"]), query, key, actual["value"], query @ key.T,
            actual["similarities"] / temperature, actual["logits"], actual["weights"], np.array(answer["output"]),
        ]  # fmt: skip
        for step, numbers in enumerate(expected):
            opened.go(f"#scene=steps&step={step}&t={temperature:g}&causal={int(causal)}")
            page.wait_for_selector(".derivation .matrix td")
            page.wait_for_timeout(150)
            shown = page.evaluate(MATRIX)
            found_there = [[cell.replace("−", "-").replace("∞", "inf") for cell in row] for row in shown]
            as_numbers = np.array([row[-numbers.shape[1] :] for row in found_there], dtype=float)
            masked = np.where(np.isnan(numbers), -np.inf, numbers)  # null in JSON
            np.testing.assert_allclose(as_numbers, masked, rtol=0, atol=0.005 + 1e-9, err_msg=str(step))


@pytest.mark.parametrize(("layer", "head", "word"), [(5, 11, 3), (0, 2, 4), (3, 7, 1)])
def test_inside_the_encoder(visit: Any, layer: int, head: int, word: int) -> None:
    opened = visit(f"#scene=encoder&layer={layer}&head={head}&word={word}")
    page = opened.page
    page.wait_for_selector(".shares li")
    text = page.locator("#sentence").input_value()
    trace = asked(opened.origin, "/v1/trace", {"text": text, "layers": [layer], "causal": False})
    weights = trace["attention"][-1][head][word]
    tokens = [token["text"] for token in trace["tokens"]]
    order = sorted(range(len(weights)), key=lambda place: -weights[place])[:12]
    shown = [tuple(item.inner_text().split()) for item in page.locator(".shares li").all()]
    assert shown == [(percent(weights[token]), tokens[token]) for token in order]


@pytest.mark.parametrize("temperature", [0.1, 8.0, 30.0])
def test_a_memory_that_repairs(visit: Any, temperature: float) -> None:
    opened = visit(f"#scene=hopfield&t={temperature:g}")
    page = opened.page
    page.wait_for_selector("#path .stored")
    patterns = module(page, "/js/patterns.js", "(it) => it.PATTERNS")
    start = module(page, "/js/patterns.js", "(it) => it.damaged(it.PATTERNS[0], 20, 3)")
    body = {
        "query": [start], "key": patterns, "value": patterns, "similarity": "dot", "temperature": temperature,
        "hopfield_steps": 4, "intermediates": True,
    }  # fmt: skip
    inside = asked(opened.origin, "/v1/attend", body)["intermediates"]
    page.wait_for_timeout(300)
    shown = page.locator(".memory .stored .weight").all_inner_texts()
    assert shown == [percent(weight) for weight in inside["weights"][0][0]]
    text = page.locator("#hopfield-words").inner_text()
    assert percent(max(inside["weights"][-1][0])) in text
    assert fixed(np.ravel(inside["energies"])[-1]) in text


@pytest.mark.parametrize(("point", "temperature"), [(4.2, 0.25), (9.9, 0.01), (0.0, 10.0)])
def test_kernel_regression(visit: Any, point: float, temperature: float) -> None:
    opened = visit(f"#scene=regression&at={point:g}&t={temperature:g}")
    page = opened.page
    checked(page)
    points = module(page, "/js/scenes.js", "(it) => it.POINTS")
    body = {
        "query": [[point]], "key": [[x] for x, _ in points], "value": [[y] for _, y in points],
        "similarity": "gaussian", "temperature": temperature,
    }  # fmt: skip
    ((output,),) = asked(opened.origin, "/v1/attend", body)["output"]
    text = page.locator("#regression-words").inner_text()
    assert f"x = {fixed(point)}" in text
    assert fixed(output) in text
    assert fixed(temperature**0.5) in text
