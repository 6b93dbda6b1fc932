"""The temperature slider against the service's numbers, at its two ends and between."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.browser.reading import checked, module, share, weights


def served(origin: str, temperature: float, **more: Any) -> dict[str, Any]:
    answer = httpx.post(
        f"{origin}/v1/collections/library/attend",
        json={"query": "books about felines", "temperature": temperature, "top_k": 200, **more},
    )
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


@pytest.mark.parametrize(("key", "temperature"), [("Home", 0), ("End", 1e300), (None, 0.05)])
def test_the_ends_and_the_middle_are_the_services(visit: Any, key: str | None, temperature: float) -> None:
    opened = visit("#scene=library")
    page = opened.page
    if key:
        page.focus("#temperature")
        page.keyboard.press(key)
        page.wait_for_timeout(100)
    assert checked(page) < 1e-9
    answer = served(opened.origin, temperature)
    expected = {match["key"]: match["weight"] for match in answer["matches"]}
    shown = weights(page)
    assert len(shown) == 40
    for name, text in shown.items():
        assert share(text) == pytest.approx(expected[name], abs=0.006), name
    assert share(page.locator(".row.none .share").inner_text()) == pytest.approx(
        answer["evidence"]["null_weight"], abs=0.006
    )


def test_it_moves_without_the_network(visit: Any) -> None:
    opened = visit("#scene=library")
    page = opened.page
    checked(page)
    page.focus("#temperature")
    before = len(opened.requests)
    first = page.locator(".rows .share").first.inner_text()
    page.keyboard.press("End")
    page.wait_for_function(
        "(was) => document.querySelector('.rows .share').textContent !== was", arg=first, timeout=300
    )
    assert len(opened.requests) == before


def test_it_has_words_for_a_screen_reader(visit: Any) -> None:
    page = visit("#scene=library").page
    words = page.locator("#temperature").get_attribute("aria-valuetext") or ""
    assert words.startswith("0.05.")
    assert "cats" in words
    assert "cats: 76%" in page.locator("#picture-words").inner_text()


@pytest.mark.parametrize("temperature", [0, 1e-3, 0.05, 1, 1e300])
@pytest.mark.parametrize("null", [False, 0.4, 0.9999])
def test_the_formula_is_the_services(visit: Any, temperature: float, null: float | bool) -> None:
    opened = visit("lesson.html")
    answer = served(opened.origin, temperature, null=null)
    given = {
        "similarities": [match["similarity"] for match in answer["matches"]],
        "temperature": temperature if temperature < 1e299 else None,
        "nullSimilarity": None if null is False else null,
    }
    use = """({weigh}, g) => {
        const weighed = weigh(g.similarities, {...g, temperature: g.temperature ?? Infinity});
        return {...weighed, weights: [...weighed.weights]};
    }"""
    found = module(opened.page, "/js/formula.js", use, given)
    assert found["weights"] == pytest.approx([match["weight"] for match in answer["matches"]], abs=1e-12)
    assert found["nullWeight"] == pytest.approx(answer["evidence"]["null_weight"], abs=1e-12)
    assert found["effective"] == pytest.approx(answer["evidence"]["effective_documents"] or 0, rel=1e-6, abs=1e-9)


def test_a_large_collections_tail_is_read_from_a_sweep(visit: Any) -> None:
    opened = visit("lesson.html")
    body = {"query": "books about felines", "top_k": 20}
    rungs = module(opened.page, "/js/scale.js", "({ladder}) => ladder(8)")
    sweep = httpx.post(f"{opened.origin}/v1/collections/library/sweep", json={**body, "temperatures": rungs}).json()
    for temperature in (0.03, 0.05, 0.123, 0.7, 30):
        answer = served(opened.origin, temperature, top_k=20)
        use = """({weigh}, g) => import('/js/tail.js').then(({Tail}) => weigh(g.sweep.matches.map((m) => m.similarity),
            {temperature: g.t, nullSimilarity: g.none, tail: new Tail(g.sweep)}))"""
        given = {"sweep": sweep, "t": temperature, "none": answer["evidence"]["null_similarity"]}
        found = module(opened.page, "/js/formula.js", use, given)
        assert found["restWeight"] == pytest.approx(answer["rest_weight"], abs=1e-3), temperature
