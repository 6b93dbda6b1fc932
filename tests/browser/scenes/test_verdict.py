"""The verdict, and the level of "none of these": the service's at every temperature of the slider."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.browser.reading import checked, level, module, share, slide
from tests.running import RunningService
from tests.thorough import thorough

STOPS = [0, 1, 60, 110, 125, 137, 150, 163, 180, 220, 300, 399]
QUESTIONS = ["books about felines", "quarterly tax return", "flurb zindle quax"]
SAID = {
    "en": {
        "one": ("One document stands out.", "✓ one stands out", "one stands out"),
        "several": ("Several share it: here they are.", "◐ several share it", "several: like "),
        "none": ("Nothing here about that.", "○ nothing about that", "nothing here"),
    },
    "zh": {
        "one": ("一篇文档脱颖而出。", "✓ 一篇突出", "一篇突出"),
        "several": ("几篇文档分享权重，列在这里。", "◐ 几篇分享", "几篇："),
        "none": ("这里没有相关内容。", "○ 没有相关内容", "没有相关内容"),
    },
}
# Above the deviation of unrelated documents the sentence is another one; the marks stay.
HOT = {
    "en": ("Answered, but at this temperature", "Not answered, but at this temperature"),
    "zh": ("有答案，但在这个温度下", "没有答案，但在这个温度下"),
}
PLACES = ("#verdict", "#picture-verdict", "#answer-attention .headline")
COUNTING = """(names) => {
  window.heard = {};
  for (const name of names) {
    window.heard[name] = 0;
    const watcher = new MutationObserver((changes) => (window.heard[name] += changes.length));
    watcher.observe(document.querySelector(name), {childList: true, characterData: true, subtree: true});
  }
}"""


def said(language: str, verdict: str, hot: bool) -> tuple[str, str, str]:
    """Return what each of `PLACES` begins with."""
    sentence, *marks = SAID[language][verdict]
    return (HOT[language][verdict == "none"] if hot else sentence, *marks)


def deviation(origin: str, query: str, collection: str = "library") -> float:
    """Return the deviation of the background that the null key `auto` stands on."""
    path = f"{origin}/v1/collections/{collection}/compare"
    return float(httpx.post(path, json={"query": query}, timeout=60).json()["background"]["deviation"])


def evidence(origin: str, query: str, temperature: float, null: Any, collection: str = "library") -> dict[str, Any]:
    body = {"query": query, "temperature": temperature, "null": null, "top_k": 1}
    answer = httpx.post(f"{origin}/v1/collections/{collection}/attend", json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["evidence"])


@pytest.fixture(scope="module")
def large(site: RunningService) -> Iterator[str]:
    """Yield a collection of which the page loads only the nearest rows."""
    things = ("cat", "ship", "tax", "river", "song", "stone", "wheel", "letter", "tower", "bread", "clock")
    keys = [f"a {one} and a {other}, number {i}" for i in range(10) for one in things for other in things]
    with site.client() as client:
        client.put("/v1/collections/large", json={}).raise_for_status()
        documents = [{"id": str(i), "key": key, "value": key} for i, key in enumerate(keys)]
        client.post("/v1/collections/large/documents", json={"documents": documents}).raise_for_status()
        yield "large"
        client.delete("/v1/collections/large")


@pytest.mark.parametrize("null", ["auto", thorough("lenient"), thorough("strict"), 0.41])
def test_the_level_is_the_services_at_every_temperature(visit: Any, null: Any) -> None:
    opened = visit(f"#scene=library&none={null}")
    page = opened.page
    checked(page)
    page.route("**/v1/**", lambda _: None)  # where the slider rests it is compared, which no level waits for
    shown = {slide(page, stop): level(page) for stop in STOPS}
    for temperature, similarity in shown.items():
        served = evidence(opened.origin, QUESTIONS[0], temperature, null)
        assert similarity == pytest.approx(served["null_similarity"], abs=0.005001), temperature
    assert len(set(shown.values())) == 1 if null == 0.41 else len(set(shown.values())) > 5


def test_the_levels_in_words_and_in_the_picture_are_one(visit: Any) -> None:
    page = visit("#scene=library&none=auto").page
    for stop in (0, 137, 220, 400):
        slide(page, stop)
        shown = page.locator(".row.none .special").first.inner_text().partition("(")[2].rstrip(")")
        assert shown in (page.locator("#level").text_content() or "")


@pytest.mark.parametrize("language", ["en", thorough("zh")])
@pytest.mark.parametrize("query", [QUESTIONS[0], *map(thorough, QUESTIONS[1:])])
def test_the_verdict_is_the_services_and_follows_the_slider(visit: Any, query: str, language: str) -> None:
    opened = visit(f"#scene=library&none=auto&query={query}&lang={language}")
    page = opened.page
    level_between = evidence(opened.origin, query, 0, "auto")["null_similarity"]
    warmest = deviation(opened.origin, query)
    verdicts = set()
    for null in ("auto", round(level_between + 0.15, 2)):
        opened.go(f"#scene=library&query={query}&lang={language}&none={null}")
        for stop in [*STOPS, 400]:
            temperature = slide(page, stop)
            verdict = evidence(opened.origin, query, temperature, null)["verdict"]
            verdicts.add(verdict)
            words_of_each = said(language, verdict, null == "auto" and temperature > warmest)
            for selector, words in zip(PLACES, words_of_each, strict=True):
                assert page.locator(selector).inner_text().startswith(words), (null, temperature, selector)
    assert verdicts == {"several", "none"} | ({"one"} if query == QUESTIONS[0] else set())


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize(
    ("verdict", "query"),
    [("one", "pets that purr"), ("several", "machines that think"), ("none", "flurb zindle quax")],
)
def test_each_verdict_is_said_in_words(visit: Any, verdict: str, query: str, language: str) -> None:
    opened = visit(f"#scene=library&none=auto&query={query}&lang={language}")
    page = opened.page
    assert checked(page) < 1e-9
    served = evidence(opened.origin, query, 0.05, "auto")
    assert (served["verdict"], served["verdict_certain"]) == (verdict, True)
    shown = [page.locator(selector).inner_text() for selector in PLACES]
    for text, words in zip(shown, SAID[language][verdict], strict=True):
        assert text.startswith(words)


@pytest.mark.parametrize(
    ("language", "more"),
    [("en", "It is so near to half that rounding decides."), ("zh", "离一半太近，舍入误差就能改变结论。")],
)
def test_a_verdict_that_rounding_decides_says_so(visit: Any, language: str, more: str) -> None:
    twins = [{"id": name, "key": "a cup of tea", "value": name} for name in ("left", "right")]
    opened = visit(f"#scene=rows&query=tea&none=false&lang={language}&rows={json.dumps(twins)}")
    page = opened.page
    assert checked(page) < 1e-9
    page.wait_for_function("(more) => document.querySelector('#verdict').textContent.endsWith(more)", arg=more)
    assert page.locator("#verdict").inner_text().startswith(SAID[language]["several"][0])


def test_a_large_collection_says_what_the_service_says(visit: Any, large: str) -> None:
    opened = visit(f"#scene=library&none=auto&source={large}&query=cats on a ship")
    page = opened.page
    page.wait_for_selector("#checking[data-state=agreed]")
    warmest = deviation(opened.origin, "cats on a ship", large)
    for stop in STOPS[1:]:
        temperature = slide(page, stop)
        served = evidence(opened.origin, "cats on a ship", temperature, "auto", large)
        assert level(page) == pytest.approx(served["null_similarity"], abs=0.005001), temperature
        sentence = said("en", served["verdict"], temperature > warmest)[0]
        assert page.locator("#verdict").inner_text().startswith(sentence), temperature
        null_share = share(page.locator(".row.none .share").inner_text())
        assert null_share == pytest.approx(served["null_weight"], abs=0.008), temperature


def test_a_large_collection_rests_on_as_many_documents_as_the_service_says(visit: Any, large: str) -> None:
    page = visit(f"#scene=library&none=auto&source={large}&query=cats on a ship").page
    for stop in (*STOPS[3:-1], 131, 144):
        temperature = slide(page, stop)
        page.wait_for_selector("#checking[data-state=agreed]")
        served = evidence(page.url.partition("/scenes")[0], "cats on a ship", temperature, "auto", large)
        rungs = page.locator("#summary").inner_text()
        effective = served["effective_documents"]
        if served["verdict"] != "none":
            assert f" {effective:.1f} equal rows" in rungs or f" {effective:.0f} equal rows" in rungs, (
                temperature,
                effective,
                rungs,
            )


def test_nothing_is_agreed_about_nothing(visit: Any, site: RunningService) -> None:
    with site.client() as client:
        client.put("/v1/collections/empty", json={}).raise_for_status()
        page = visit("#scene=library&none=auto&source=empty").page
        page.wait_for_timeout(600)
        client.delete("/v1/collections/empty")
    assert page.locator("#checking").inner_text() == ""
    assert "✓" not in page.locator(".lookup").inner_text()


def test_it_is_announced_when_it_changes_and_not_at_every_step(visit: Any) -> None:
    page = visit("#scene=library&none=0.52").page
    assert page.locator("#verdict").get_attribute("role") == "status"
    slide(page, 0)
    page.evaluate(COUNTING, ["#verdict", "#picture-words"])
    for stop in range(0, 400, 10):
        slide(page, stop)
    heard = page.evaluate("window.heard")
    # From one nearest key below s₀ to all of them together above it, with other words at T = 0.
    assert 1 <= heard["#verdict"] <= 4
    assert heard["#picture-words"] <= 20


def test_nothing_is_said_before_the_guess(visit: Any) -> None:
    page = visit("#scene=guess", covered=True).page
    assert [page.locator(selector).inner_text() for selector in PLACES] == ["", "", "?"]
    page.locator(".choice").first.click()
    assert page.locator("#verdict").inner_text().startswith(SAID["en"]["several"][0])


def test_the_null_can_be_chosen(visit: Any) -> None:
    opened = visit("#scene=nothing&query=books about felines")
    page = opened.page
    for null in ("lenient", "strict", "auto"):
        page.select_option("#none", f'"{null}"')
        opened.settle()
        body = {"query": QUESTIONS[0], "null": null}
        background = httpx.post(f"{opened.origin}/v1/collections/library/compare", json=body, timeout=60).json()[
            "background"
        ]
        words = f"{background['mean']:.2f} ± {background['deviation']:.2f}"
        assert words in (page.locator("#level").text_content() or ""), null
        assert not page.locator("#named-nulls").evaluate("(one) => one.hidden")
        assert checked(page) < 1e-9
    page.select_option("#none", '"number"')
    opened.settle()
    page.fill("#none-level", "0.46")
    page.wait_for_timeout(400)
    opened.settle()
    assert level(page) == 0.46
    assert "none=0.46" in page.url
    assert checked(page) < 1e-9
    assert page.locator("#named-nulls").evaluate("(one) => one.hidden")


def test_without_a_null_the_rows_always_answer(visit: Any) -> None:
    page = visit("#scene=nothing&none=false").page
    assert "switched off" in page.locator("#verdict").inner_text()
    assert not page.locator(".row.none").is_visible()
    assert page.locator("#none-level").is_hidden()


def test_with_every_row_masked_nothing_answers(visit: Any) -> None:
    opened = visit('#scene=rows&rows=[{"id":"a","key":"tea","value":"hot"}]&masked=["a"]')
    page = opened.page
    assert page.locator("#verdict").inner_text() == "Nothing here about that. There is no row to attend to."
    assert page.locator(".row.none .share").inner_text() == "100%"
    assert checked(page) < 1e-9


@pytest.mark.parametrize("null", ["auto", thorough("lenient"), thorough("strict")])
def test_the_law_is_the_services(visit: Any, null: str) -> None:
    opened = visit("lesson.html")
    rows = [{"id": str(i), "key": f"row {i}, about {word}"} for i, word in enumerate(("tea", "cats", "tax", "rain"))]
    shelf = {"filter": {"field": "metadata.shelf", "operator": "==", "value": "fiction"}}
    for path, sent in (
        ("/v1/collections/library", {}),
        ("/v1/collections/library", shelf),
        ("/v1", {"rows": rows}),
        ("/v1", {"rows": rows[:1]}),
    ):
        body = {"query": "a drink", "null": null, **sent}
        comparison = httpx.post(f"{opened.origin}{path}/compare", json=body, timeout=60).json()
        for temperature in (0, 1e-3, 0.02, 0.05, 0.3, 40):
            served = httpx.post(
                f"{opened.origin}{path}/compare", json={**body, "temperature": temperature}, timeout=60
            ).json()
            use = "({NullKey}, g) => NullKey.of(g[0]).level(g[1])"
            result = module(opened.page, "/js/nullkey.js", use, [comparison, temperature])
            assert result == pytest.approx(served["attention"]["evidence"]["null_similarity"], rel=1e-12)
