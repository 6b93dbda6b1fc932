"""The page's claims are true: limits, settling, a model's longest text, and the rows that were left out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.browser.reading import module, slide, topics, weights, words
from tests.running import RunningService
from tests.thorough import thorough

VERB = "The teacher praised the student in the hall"


def settled(opened: Any) -> None:
    opened.page.wait_for_timeout(500)
    opened.settle()


def test_the_proof_of_the_nearest_row_and_the_picture_agree(visit: Any) -> None:
    opened = visit("#scene=nothing")
    page = opened.page
    assert "the single nearest row" in page.locator(".limit").first.inner_text()
    page.click("#limit-nearest")
    settled(opened)
    nearest = page.locator("#limit-nearest + span .proof").inner_text()
    assert nearest.endswith("100%")
    assert not page.locator(".row.none").is_visible()
    assert [key for key, share in weights(page).items() if share == "100%"] == [nearest.split("”")[0].strip("“")]


SHOWN = """() => [document.querySelector('.temperature output').textContent,
  document.querySelector('.row.none').hidden, document.querySelector('#verdict').textContent,
  document.querySelector('#summary').textContent]"""


@pytest.mark.parametrize("scene", [thorough("library"), "nothing"])
def test_each_limit_sets_all_that_it_shows_and_a_fourth_button_goes_back(visit: Any, scene: str) -> None:
    opened = visit(f"#scene={scene}")
    page = opened.page
    assert not page.locator("#limit-back").is_visible()
    begun = page.evaluate(SHOWN)
    alone = {}
    for name in ("nearest", "exact", "average"):
        page.click(f"#limit-{name}")
        settled(opened)
        alone[name] = page.evaluate(SHOWN)
        page.click("#limit-back")
        settled(opened)
        assert page.evaluate(SHOWN) == begun
        assert not page.locator("#limit-back").is_visible()
    assert alone["average"][3].startswith("All 110 rows weigh the same, 0.9% each")
    assert alone["exact"][1] is False
    for name in ("exact", "nearest", "average", "exact", "average", "nearest"):
        page.click(f"#limit-{name}")
        settled(opened)
        assert page.evaluate(SHOWN) == alone[name], name
    slide(page, 200)
    page.click("#limit-back")
    settled(opened)
    assert page.evaluate(SHOWN) == begun


def test_numbers_have_one_format_and_words_their_plural(visit: Any) -> None:
    page = visit("lesson.html").page
    use = """({take, say}, given) => {
      take({"rows": "{count} {count:row|rows} of {total}"}, "en");
      return given.map((count) => say("rows", {count, total: 9627}));
    }"""
    told = module(page, "/js/words.js", use, [1, 0, 2, 1792, "9,627"])
    assert told == [f"{count} of 9,627" for count in ("1 row", "0 rows", "2 rows", "1,792 rows", "9,627 rows")]


def test_a_character_without_a_font_is_named(visit: Any) -> None:
    page = visit("lesson.html").page
    texts = ["\U0010fffe", "a", "é", "two words", "", "\U0001f63a"]
    shown = module(page, "/js/views/glyphs.js", "({legible}, texts) => texts.map(legible)", texts)
    assert shown[:-1] == ["U+10FFFE", "a", "é", "two words", ""]
    assert shown[-1] in ("\U0001f63a", "U+1F63A")  # as the fonts of this machine are


def test_a_step_at_zero_says_the_limit_and_masks_only_where_the_mask_is(visit: Any) -> None:
    opened = visit("#scene=steps&step=5&t=0&causal=1")
    page = opened.page
    page.wait_for_selector(".written")
    assert "limit" in page.locator(".written").inner_text()
    assert "–" not in page.locator(".written").inner_text()
    assert "−∞" not in page.locator("#derivation").inner_text()
    assert "/ 0" not in page.locator("#derivation").inner_text()
    page.click("#next")
    assert page.locator("#derivation").inner_text().count("−∞") == 3
    page.locator(".matrix").last.locator("td button").nth(1).click()
    assert "may not see" in page.locator(".written").inner_text()
    page.click("#next")
    page.locator(".matrix.weight td button").nth(4).click()
    assert "takes it all" in page.locator(".written").inner_text()


def test_subscripts_are_subscripts(visit: Any) -> None:
    page = visit("#scene=steps&step=5").page
    page.wait_for_selector(".matrix")
    assert "_" not in page.locator("#stage").inner_text()
    assert "k" in page.locator(".formula sub").all_inner_texts()


@pytest.mark.parametrize(
    ("temperature", "words"),
    [("8", "settles on A"), ("12", "still moves"), ("30", "settles on no picture"), ("inf", "settles on no picture")],
)
def test_a_memory_settles_only_where_it_does(visit: Any, temperature: str, words: str) -> None:
    page = visit(f"#scene=hopfield&t={temperature}").page
    page.wait_for_selector("#hopfield-words:not(:empty)")
    assert words in page.locator("#hopfield-words").inner_text()


def test_as_many_parameters(visit: Any) -> None:
    page = visit("#scene=lowrank&width=1024&rank=512").page
    assert page.locator("#ratio").inner_text() == "As many parameters: nothing is saved."


def test_what_is_said_of_a_head_goes_with_its_sentence(visit: Any) -> None:
    opened = visit("#scene=encoder")
    page = opened.page
    page.wait_for_selector(".shares li")
    assert "who chases" in page.locator("#claim").inner_text()
    assert "not an explanation" in page.locator("#caution").inner_text()
    page.fill("#sentence", VERB)
    settled(opened)
    assert page.locator("#claim").inner_text() == ""
    assert "chase" not in page.locator(".story").inner_text()
    assert page.locator("#caution").is_visible()


@pytest.mark.parametrize(
    "text", [thorough("مرحبا كيف حالك"), thorough("как приготовить чай"), "猫和狗", thorough("γάτα")]
)
def test_a_script_the_model_has_no_words_of_gets_no_match(visit: Any, text: str) -> None:
    page = visit(f"#scene=library&query={quote(text)}").page
    assert "English" in page.locator(".unread").inner_text()
    assert page.locator("#answer-attention .found li").count() == 0
    assert set(page.locator(".rows .share").all_inner_texts()) == {"?"}


@pytest.mark.parametrize(("language", "words"), [("en", "The model can read none"), ("zh", "模型完全读不懂")])
def test_a_question_of_which_the_model_reads_nothing_is_refused_in_words(visit: Any, language: str, words: str) -> None:
    opened = visit(f"#scene=library&lang={language}")
    page = opened.page
    page.fill("#question", "🦜🦜")
    page.wait_for_selector("#notice .notice")
    assert page.locator("#notice").inner_text().startswith(words)
    page.fill("#question", "cats")
    page.wait_for_selector("#notice:empty", state="attached")
    opened.errors[:] = [error for error in opened.errors if "422" not in error]  # a browser logs what is refused


@pytest.mark.parametrize(
    "text", [*map(thorough, ("Ein Buch über Katzen", "café crème", "C₆H₁₂O₆", "x = 3")), "cats and dogs 猫"]
)
def test_what_it_can_read_stays_asked(visit: Any, text: str) -> None:
    page = visit(f"#scene=library&query={quote(text)}").page
    assert page.locator("#answer-attention .found li").count() > 0


@pytest.fixture(scope="module")
def large(site: RunningService) -> Iterator[int]:
    """Yield the size of a collection of which the page loads only the nearest rows."""
    keys = [
        f"a {one} {other}, number {i}"
        for i in range(30)
        for one in ("red", "blue", "old", "new", "wet")
        for other in ("cat", "ship", "tax", "river", "song", "stone", "wheel")
    ]
    with site.client() as client:
        client.put("/v1/collections/many", json={}).raise_for_status()
        documents = [{"id": str(i), "key": key, "value": key} for i, key in enumerate(keys)]
        client.post("/v1/collections/many/documents", json={"documents": documents}).raise_for_status()
        yield len(keys)
        client.delete("/v1/collections/many")


def test_a_copy_says_how_many_it_left_and_can_be_undone_and_shared(visit: Any, large: int) -> None:
    opened = visit("#scene=library&source=many&query=cats")
    page = opened.page
    assert "your own question" in page.locator(".story .lede").inner_text()
    assert f"Rows: {large:,}" in page.locator(".all h2").inner_text()
    page.locator(".rows .key-text").first.fill("a very red cat indeed")
    settled(opened)
    title = page.locator(".all h2").inner_text()
    assert "Rows: 100" in title
    assert f"{large - 100} others" in title
    page.wait_for_function("location.hash.includes('packed=')")
    address = page.url
    assert len(address) < 4000
    before = weights(page)
    opened.page.goto("about:blank")
    page.goto(address)
    page.wait_for_selector("#checking[data-state=agreed]")
    assert page.locator(".all h2").inner_text() == title
    assert weights(page) == before


def test_undo_takes_one_edit_and_start_again_all(visit: Any) -> None:
    opened = visit("#scene=rows")
    page = opened.page
    assert not page.locator("#undo").is_visible()
    keys = [field.input_value() for field in page.locator(".rows .key-text").all()]
    page.locator(".rows .key-text").first.fill("cocoa")
    settled(opened)
    page.wait_for_timeout(900)
    slide(page, 200)
    settled(opened)
    page.click("#undo")
    settled(opened)
    assert page.locator("#temperature").get_attribute("aria-valuetext").startswith("0.05")
    assert page.locator(".rows .key-text").first.input_value() == "cocoa"
    page.click("#restart")
    settled(opened)
    assert [field.input_value() for field in page.locator(".rows .key-text").all()] == keys
    page.focus("#stage")
    page.keyboard.press("Control+z")
    settled(opened)
    assert page.locator(".rows .key-text").first.input_value() == "cocoa"


def test_an_address_that_is_packed_says_the_same(visit: Any) -> None:
    page = visit("lesson.html").page
    rows = json.dumps([{"id": f"row-{i}", "key": f"猫 {i} \u202e & =", "value": "x" * 40} for i in range(100)])
    use = """({packed, unpacked}, hash) => packed(hash, 'rows').then(async (short) =>
      ({short, same: (await unpacked(short)) === hash, plain: await unpacked('#scene=rows'),
        bad: await unpacked('#scene=rows&packed=!')}))"""
    result = module(page, "/js/packing.js", use, f"#scene=rows&rows={quote(rows)}")
    assert result["same"]
    assert len(result["short"]) < 2000
    assert result["plain"] == "#scene=rows"
    assert result["bad"] == "#scene=rows&packed=!"


def test_the_words_of_the_field() -> None:
    chinese = json.dumps([words("zh", topic) for topic in (*topics(), "lesson", "room")], ensure_ascii=False)
    for homely in ("遮罩", "依靠", "温了", "不许注意", "可注意", "心里话"):
        assert homely not in chinese, homely
    for word in ("因果掩码", "关注", "相当于由"):
        assert word in chinese, word


def test_a_title_does_not_break_inside_a_term(visit: Any) -> None:
    opened = visit("#scene=regression&lang=zh")
    assert "核回归" in opened.page.locator("h1 .whole").all_inner_texts()
    styles = opened.page.evaluate("getComputedStyle(document.querySelector('h1 .whole')).whiteSpace")
    assert styles == "nowrap"
    assert httpx.get(f"{opened.origin}/worksheet.html", timeout=60).status_code == 200
