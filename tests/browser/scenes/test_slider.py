"""The temperature slider against the service's numbers, at its two ends and between."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.browser.reading import checked, module, share, slide, weights

QUESTION = "books about felines"


def served(origin: str, temperature: float, **more: Any) -> dict[str, Any]:
    answer = httpx.post(
        f"{origin}/v1/collections/library/attend",
        json={"query": QUESTION, "temperature": temperature, "top_k": 200, **more},
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def compared(origin: str, temperature: float, **more: Any) -> dict[str, Any]:
    body = {"query": QUESTION, "temperature": temperature, **more}
    answer = httpx.post(f"{origin}/v1/collections/library/compare", json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


@pytest.mark.parametrize(("key", "temperature"), [("Home", 0), ("End", 1e300), (None, 0.05)])
def test_the_ends_and_the_middle_are_the_services(visit: Any, key: str | None, temperature: float) -> None:
    opened = visit("#scene=library&none=auto")
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
    evidence = answer["evidence"]
    assert share(page.locator(".row.none .share").inner_text()) == pytest.approx(evidence["null_weight"], abs=0.006)
    words = {"one": "one stands out", "several": "several: ", "none": "nothing here"}[evidence["verdict"]]
    assert page.locator("#answer-attention .headline").inner_text().startswith(words)


def test_it_moves_without_the_network(visit: Any) -> None:
    opened = visit("#scene=library")
    page = opened.page
    checked(page)
    page.focus("#temperature")
    before = opened.asked()
    first = page.locator(".rows .share").first.inner_text()
    page.keyboard.press("End")
    page.wait_for_function(
        "(was) => document.querySelector('.rows .share').textContent !== was", arg=first, timeout=10_000
    )
    assert opened.asked() == before


def test_it_has_words_for_a_screen_reader(visit: Any, site: Any) -> None:
    page = visit("#scene=library").page
    words = page.locator("#temperature").get_attribute("aria-valuetext") or ""
    assert words.startswith("0.05.")
    assert "cats" in words
    text = page.locator("#picture-words").inner_text()
    weight = served(site.url, 0.05, null=False)["matches"][0]["weight"]
    assert f"cats: {weight:.0%}" in text


@pytest.mark.parametrize("null", [False, 0.4, 0.9999, "auto", "lenient", "strict"])
def test_the_formula_is_the_services(visit: Any, null: Any) -> None:
    opened = visit("lesson.html")
    for temperature in (0, 1e-3, 0.05, 1, 1e300):
        as_the_service(opened, temperature, null)


def as_the_service(opened: Any, temperature: float, null: Any) -> None:
    """Check that the page's formula gives the service's answer at a temperature that the page did not request."""
    answer = served(opened.origin, temperature, null=null)
    arguments = {
        "similarities": [match["similarity"] for match in answer["matches"]],
        "temperature": temperature if temperature < 1e299 else None,
        "compared": compared(opened.origin, 0.2, null=null),
    }
    use = """({weigh}, g) => import('/js/nullkey.js').then(({NullKey}) => {
        const temperature = g.temperature ?? Infinity;
        const weighed = weigh(g.similarities, {temperature, none: NullKey.of(g.compared)?.at(temperature) ?? null});
        return {...weighed, weights: [...weighed.weights]};
    })"""
    result = module(opened.page, "/js/formula.js", use, arguments)
    assert result["weights"] == pytest.approx([match["weight"] for match in answer["matches"]], abs=1e-12)
    assert result["nullWeight"] == pytest.approx(answer["evidence"]["null_weight"], abs=1e-12)
    assert result["verdict"] == answer["evidence"]["verdict"]
    assert result["effective"] == pytest.approx(answer["evidence"]["effective_documents"] or 0, rel=1e-6, abs=1e-9)


def test_a_large_collections_tail_is_read_from_a_sweep(visit: Any) -> None:
    opened = visit("lesson.html")
    body = {"query": QUESTION, "top_k": 20}
    key = compared(opened.origin, 0.2)
    rungs = [*module(opened.page, "/js/scale.js", "({ladder}) => ladder(8)"), 1e300]
    sweep = httpx.post(
        f"{opened.origin}/v1/collections/library/sweep", json={**body, "temperatures": rungs}, timeout=60
    ).json()
    for temperature in (0.03, 0.05, 0.123, 0.7, 30):
        answer = served(opened.origin, temperature, top_k=20)
        use = """({weigh}, g) => import('/js/tail.js').then(({Tail}) => weigh(g.sweep.matches.map((m) => m.similarity),
            {temperature: g.t, none: g.none, tail: new Tail(g.sweep)}))"""
        null_similarity = module(
            opened.page, "/js/nullkey.js", "({NullKey}, g) => NullKey.of(g[0]).at(g[1])", [key, temperature]
        )
        arguments = {"sweep": sweep, "t": temperature, "none": null_similarity}
        result = module(opened.page, "/js/formula.js", use, arguments)
        assert result["restWeight"] == pytest.approx(answer["rest_weight"], abs=1e-3), temperature
        assert result["nullWeight"] == pytest.approx(answer["evidence"]["null_weight"], abs=1e-3), temperature
        assert result["verdict"] == answer["evidence"]["verdict"], temperature


def test_a_rest_of_rounding_errors_is_nothing_and_never_nan(visit: Any) -> None:
    opened = visit("lesson.html")
    evidence = {"log_partition": 0.0, "effective_documents": 1.0}
    rests = {1e300: 0.99, 0.05: 0.1, 0.01: 1e-12, 0.005: 0.0, 0.004: 1.1e-16, 0.003: 0.0}
    rungs = [{"temperature": t, "rest_weight": rest, "evidence": evidence} for t, rest in rests.items()]
    sweep = {"documents": 100, "keys": 100, "matches": [{}], "temperatures": rungs}
    use = "({Tail}, g) => g.at.map((temperature) => new Tail(g.sweep).logMass(temperature))"
    result = module(opened.page, "/js/tail.js", use, {"sweep": sweep, "at": [0.02, 0.007, 0.0045, 0.0035, 0.001]})
    assert result[0] == pytest.approx(-15, abs=13)
    assert result[1:] == [float("-inf")] * 4


@pytest.mark.parametrize("none", ["false", "auto"])
def test_at_every_temperature_what_is_drawn_is_the_weights_and_no_rest_is_a_rope(visit: Any, none: str) -> None:
    page = visit(f"#scene=library&none={none}").page
    checked(page)
    for stop in (0, 60, 137, 200, 260, 399, 400):
        slide(page, stop)
        wires = page.evaluate(
            """() => [...document.querySelectorAll('path.wire')].map((one) => [one.getAttribute('class'),
              Number(one.getAttribute('stroke-width')), Number(one.dataset.threads), one.getAttribute('d')])"""
        )
        shown = [share(text) for text in page.locator(".rows .row:not(.rest, .none) .share").all_inner_texts()]
        drawn = [width for kind, width, _, _ in wires if kind == "wire row"][::2]
        assert len(drawn) == len(shown)
        scale = 30
        for weight, width in zip(shown, drawn, strict=True):
            assert width == pytest.approx(max(0.75, weight * scale), abs=0.2 + scale * 0.006)
        threads = [(width, count, d.count("M")) for kind, width, count, d in wires if kind.startswith("wire rest")]
        assert threads
        assert all(count == paths >= 12 and width <= 1.01 for width, count, paths in threads)
    assert len(set(shown)) == 1
    rows = 110 if none == "false" else 220
    assert page.locator(".rows .row .share").first.inner_text() == f"{100 / rows:.1f}%"
    summary = page.locator("#summary").inner_text()
    assert summary.startswith(f"All 110 rows weigh the same, {100 / rows:.1f}% each")
    assert page.locator("#verdict").inner_text().endswith("nswered, but at this temperature that means little.")
    assert page.locator(".row.none").is_visible() == (none == "auto")


def test_a_text_of_several_parts_weighs_what_the_service_says_and_shows_what_spoke(visit: Any) -> None:
    opened = visit("lesson.html")
    path = f"{opened.origin}/v1/collections/essays"
    assert httpx.put(path, json={}, timeout=60).status_code in (200, 201)
    cats = "Cats purr when they are content. They sleep most of the day. At night they hunt mice."
    essay = " ".join(f"Chapter {i} is about the price of grain in the year {1800 + i}." for i in range(60)) + " " + cats
    texts = {"essay": essay, "dogs": "Dogs bark at strangers", "tea": "Tea is brewed with hot water", "cats": cats}
    documents = [{"id": name, "key": text, "value": name, "split": {"tokens": 32}} for name, text in texts.items()]
    documents.append({"id": "picture", "metadata": {"kind": "keyless"}})
    assert httpx.post(f"{path}/documents", json={"documents": documents}, timeout=60).status_code == 200
    try:
        page = visit("#scene=library&source=essays&query=what do felines do at night?").page
        for key in (None, "End", "Home"):
            if key:
                page.focus("#temperature")
                page.keyboard.press(key)
                page.wait_for_timeout(100)
            assert checked(page) < 2e-3, key
        answer = page.locator("#answer-top .found li").all_inner_texts()
        assert any("At night they hunt mice." in line for line in answer)
        assert not any("Chapter 1 " in line for line in answer)
        limits = page.locator(".limits").inner_text()
        assert "keys at" in limits
        assert "✗" not in limits
    finally:
        httpx.delete(path, timeout=60)
