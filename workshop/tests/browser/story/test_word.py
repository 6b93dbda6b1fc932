"""The last chapter: one zoom from a row of attention to a word that a small language model writes."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import numpy as np
import pytest

from tests.browser.conftest import PHONE, PROJECTOR, Visit
from tests.browser.reading import module
from tests.thorough import thorough
from workshop.tests.browser.story.conftest import ANSWERED, Read
from workshop.tests.browser.written import percent

if TYPE_CHECKING:
    from playwright.sync_api import Page

HERE = "#row-to-word"
LEVELS = ["row", "matrix", "heads", "layer", "layers", "word"]
SENTENCE = "the dogs near the king"
# The frame of the picture, and of each text in it that is seen: what it says, its height and its box.
TEXTS = """() => {
  const picture = document.querySelector('.zoom');
  const boxOf = (one) => (({left, top, right, bottom}) => [left, top, right, bottom])(one.getBoundingClientRect());
  const isSeen = (one) => one.textContent && one.checkVisibility({visibilityProperty: true, opacityProperty: true});
  const height = (one) => parseFloat(getComputedStyle(one).fontSize) * one.getScreenCTM().d;
  const texts = [...picture.querySelectorAll('text')].filter((one) => isSeen(one) && !one.hasAttribute('transform'));
  return [boxOf(picture), texts.map((one) => [one.textContent, height(one), ...boxOf(one)])];
}"""
# What the model computes of a text.
COMPUTED = """async ({LanguageModel}, text) => {
  const model = await LanguageModel.load();
  const {ids, words} = model.tokens(text);
  const {layers, logits} = model.trace(ids);
  const lists = layers.map(({attention, before, attended, fed}) => ({
    attention: attention.map((one) => [...one]), parts: [before, attended, fed].map((one) => [...one])}));
  const lookedUp = layers.map((one, i) => model.lookUp(one, i, 6));
  return {facts: model.facts, beginnings: model.beginnings, lookedUp, layers: lists,
    words: words.map((word) => word.text), logits: [...logits], all: model.words,
    special: model.special, guesses: model.halves(ids).map((half) => model.next(half, 1, 1)[0])};
}"""


def opened(read: Read, address: str = "", size: tuple[int, int] = PROJECTOR, **options: Any) -> Page:
    page = read(f"{HERE}{address}", size, **options)
    page.wait_for_selector(f"{HERE} [data-level=word] text", state="attached")
    return page


def computed(page: Page, text: str = SENTENCE) -> dict[str, Any]:
    result: dict[str, Any] = module(page, "/language/index.js", f"async (it, text) => ({COMPUTED})(it, text)", text)
    return result


def level(page: Page) -> str:
    return page.locator("#zoom").get_attribute("aria-valuetext") or ""


@pytest.mark.parametrize(
    ("size", "look", "least"),
    [
        (PROJECTOR, "", 14),
        ((1024, 768), "&large=1", 22),
        (PHONE, "&theme=dark", 14),
        thorough((1024, 768), "&lang=zh", 14),
        thorough((1920, 1080), "&lang=zh&theme=dark", 14),
    ],
)
@pytest.mark.parametrize("text", [SENTENCE, thorough("her international organisation understandably underestimated")])
def test_no_text_of_a_level_is_small_or_cut(
    read: Read, size: tuple[int, int], look: str, least: int, text: str
) -> None:
    page = opened(read, f"&q={text}{look}", size)
    for button in page.locator(f"{HERE} .levels button").all():
        button.click()
        z = level(page)
        frame, texts = page.evaluate(TEXTS)
        assert len(texts) >= 3, z
        for told, height, left, top, right, bottom in texts:
            assert height >= least - 0.1, (z, told)
            assert frame[0] - 1 <= left, (z, told)
            assert right <= frame[2] + 1, (z, told)
            assert frame[1] - 2 <= top, (z, told)
            assert bottom <= frame[3] + 2, (z, told)


def test_keys_reach_each_level_and_each_has_its_sentence(read: Read) -> None:
    page = opened(read, "&z=2")
    knob = page.locator("#zoom")
    knob.focus()
    sentences = []
    for i, key in enumerate(["Home", *["ArrowRight"] * 4, "PageUp"]):
        page.keyboard.press(key)
        assert level(page) == LEVELS[i]
        assert page.locator(f"{HERE} .levels [aria-pressed=true]").inner_text() == LEVELS[i]
        assert page.locator(f"{HERE} [data-level={LEVELS[i]}]").is_visible()
        sentences.append(page.locator(f"{HERE} .told").inner_text())
    assert len(set(sentences)) == len(LEVELS)
    page.wait_for_url("**&z=5*")
    page.keyboard.press("ArrowLeft")
    assert level(page) == "layers"


def test_each_level_stands_whole_in_the_next(read: Read) -> None:
    page = opened(read)
    for i in range(1, len(LEVELS)):
        page.locator("#zoom").fill(str(i - 0.4))
        inner, outer = page.evaluate(
            """(names) => names.map((name) => {
              const level = document.querySelector(`.zoom [data-level=${name}]`);
              const {left, top, right, bottom} = level.getBoundingClientRect();
              return [left, top, right, bottom];
            })""",
            LEVELS[i - 1 : i + 1],
        )
        frame = page.locator(f"{HERE} .zoom").bounding_box()
        assert frame
        assert inner[2] - inner[0] < frame["width"] < outer[2] - outer[0]
        assert outer[0] <= inner[0] < inner[2] <= outer[2]
        assert outer[1] <= inner[1] < inner[3] <= outer[3]


def test_the_numbers_are_the_models(read: Read) -> None:
    page = opened(read, f"&q={SENTENCE}&layer=2&head=3")
    model = computed(page)
    n = len(model["words"]) + 1
    weights = np.array(model["layers"][1]["attention"][2]).reshape(n, n)
    threads = page.locator(f"{HERE} [data-level=row] .thread").evaluate_all(
        "(all) => all.map((one) => one.dataset.weight)"
    )
    np.testing.assert_allclose([float(weight) for weight in threads], weights[-1], atol=1e-7)
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-6)
    cells = page.locator(f"{HERE} [data-level=matrix] .cell").evaluate_all(
        "(all) => all.map((one) => Number(one.style.getPropertyValue('--share')))"
    )
    np.testing.assert_allclose(np.reshape(cells, (n, n)), weights, atol=6e-4)
    guesses = page.locator(f"{HERE} [data-level=layers] .guess").all_text_contents()
    expected = [f"{guess['word']} {percent(guess['probability'])}" for guess in model["guesses"]]
    assert guesses == [*expected[1:], expected[0]]
    lengths = [np.linalg.norm(np.reshape(part, (n, -1))[-1]) for part in model["layers"][1]["parts"]]
    added = page.locator(f"{HERE} [data-level=layer] .figure").all_text_contents()
    assert added == [f"+ {percent(length / sum(lengths))}" for length in lengths[1:]]


@pytest.mark.parametrize("look", ["", thorough("&lang=zh")])
def test_the_feed_forward_half_opens_as_rows(read: Read, look: str) -> None:
    page = opened(read, f"&z=3{look}")
    found = computed(page)["lookedUp"][1]
    page.locator(f"{HERE} [data-press='half=2']").click()
    page.wait_for_url("**half=2*")
    assert level(page) in ("feed-forward", "前馈")
    threads = page.locator(f"{HERE} [data-level=neurons] .thread").evaluate_all(
        "(all) => all.map((one) => Number(one.dataset.weight))"
    )
    shares = [neuron["share"] for neuron in found["neurons"]]
    np.testing.assert_allclose(threads, [*shares, *filter(None, [found["othersShare"]])], atol=1e-7)
    told = page.locator(f"{HERE} .told").inner_text()
    strongest = found["neurons"][0]
    assert all(part in told for part in (f"…{strongest['key']}", strongest["writes"][0], percent(shares[0])))
    values = page.locator(f"{HERE} [data-level=neurons] .value-text").all_text_contents()
    assert values == [", ".join(neuron["writes"]) for neuron in found["neurons"]]
    page.locator("#zoom").press("Home")
    assert not page.locator(f"{HERE} [data-level=heads]").is_visible()


def test_a_beginning_looks_at_its_word_and_the_hood_repeats_the_record(read: Read) -> None:
    page = opened(read)
    model = computed(page)
    first, *others = model["beginnings"]
    assert (first["text"], first["layer"], first["head"]) == (SENTENCE, 2, 1)
    for beginning in (*others, first):
        words = beginning["text"].split()
        page.locator(f"{HERE} .choices button[title='{beginning['text']}']").click()
        page.wait_for_selector(f"{HERE} [data-text='{beginning['text']}']")
        told = page.locator(f"{HERE} .told").inner_text()
        assert f"“{words[-1]}”, looks most at" in told
        assert f"“{words[beginning['at'] - 1]}”" in told
    page.locator(f"{HERE} .hood summary").click()
    text, facts = page.locator(f"{HERE} .hood").inner_text(), model["facts"]
    numbers = (facts["parameters"], round(124_439_808 / facts["parameters"]), facts["texts"], facts["unseen"])
    assert all(told in text for told in (*(f"{number:,}" for number in numbers), percent(facts["right"])))


@pytest.mark.parametrize("temperature", [0.0, 0.5, 1.0, math.inf])
def test_words_are_weighed_at_each_temperature(read: Read, temperature: float) -> None:
    page = opened(read, f"&z=5&t={'inf' if math.isinf(temperature) else temperature}")
    model = computed(page)
    logits = np.array(model["logits"])[model["special"] :]
    if temperature == 0:
        shares = (logits == logits.max()).astype(float)
    else:
        terms = np.exp((logits - logits.max()) / temperature)
        shares = terms / terms.sum()
    order = np.argsort(-logits, kind="stable")
    rows = page.locator(f"{HERE} [data-level=word] [data-press^=word]").evaluate_all(
        "(all) => all.map((one) => Number(one.dataset.press.split('=')[1]))"
    )
    assert rows == [int(i) + model["special"] for i in order[: len(rows)]]
    told = page.locator(f"{HERE} [data-level=word] .share").all_text_contents()
    assert told[: len(rows)] == [percent(shares[i]) for i in order[: len(rows)]]


def test_a_pressed_word_is_written_and_the_sentence_grows(read: Read) -> None:
    page = opened(read, "&z=5")
    words = []
    for _ in range(2):
        row = page.locator(f"{HERE} [data-level=word] [data-press^=word]").first
        words.append(re.sub(r"Write “(.+)”", r"\1", row.get_attribute("aria-label") or ""))
        row.focus()
        page.keyboard.press("Enter")
    page.get_by_role("button", name="Write a word").click()
    field = page.locator(f"{HERE} .asking textarea")
    text = field.input_value()
    assert text.startswith(f"{SENTENCE} {words[0]}") or words[0] in ".,;:!?"
    assert len(re.findall(r"\w+|[.,;:!?]", text)) >= 7
    page.locator("#zoom").fill("0")
    keys = page.locator(f"{HERE} [data-level=row] .key-text").all_text_contents()
    assert len(keys) == 1 + len(re.findall(r"\w+|[.,;:!?]", text)), "the beginning and all words"
    page.wait_for_url(lambda address: parse_qs(address).get("q") == [text])
    page.reload()
    page.wait_for_selector(f"{HERE} [data-level=word] text", state="attached")
    assert field.input_value() == text


def test_a_head_and_a_layer_are_pressed(read: Read) -> None:
    page = opened(read, "&z=2&layer=2&head=1")
    page.locator(HERE).get_by_role("button", name="layer 2, head 4").click()
    page.wait_for_url("**&head=4*")
    page.locator("#zoom").fill("4")
    page.locator(HERE).get_by_role("button", name="layer 1", exact=True).click()
    page.locator(HERE).get_by_role("button", name="layer 1", exact=True).click()
    assert level(page) == "layer"
    page.wait_for_url("**layer=1*")


def test_other_chapters_lead_to_their_level(read: Read) -> None:
    for chapter, z, name in (("in-numbers", 1, "matrix"), ("inside-a-model", 2, "heads"), ("it-learns", 4, "layers")):
        page = read(f"#{chapter}")
        link = page.locator(f"#{chapter} .hood a[href='{HERE}&z={z}']")
        page.locator(f"#{chapter} .hood summary").first.click()
        link.click()
        page.wait_for_selector(f"{HERE} [data-level={name}] text")
        assert level(page) == name


def test_the_camera_is_dragged_and_jumps_with_less_motion(read: Read) -> None:
    page = opened(read)
    place = page.locator(f"{HERE} .zoom-place")
    box = place.bounding_box()
    assert box
    page.mouse.move(box["x"] + 20, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + 460, box["y"] + 100, steps=4)
    page.mouse.up()
    assert level(page) == "heads"
    page.get_by_role("button", name="word", exact=True).click()
    assert float(page.locator("#zoom").input_value()) == 5
    moving = opened(read, moving=True)
    moving.evaluate("() => { window.seen = []; }")
    moving.get_by_role("button", name="matrix", exact=True).click()
    moving.wait_for_function(
        "() => { window.seen.push(document.querySelector('#zoom').value); return window.seen.at(-1) === '1'; }"
    )
    assert len(set(moving.evaluate("window.seen"))) > 2


def test_the_model_is_loaded_in_its_chapter_and_again_after_a_failure(chromium: Any, site: Any) -> None:
    context = chromium.new_context(viewport={"width": 1280, "height": 720}, reduced_motion="reduce")
    visit = Visit(context.new_page(), site.url)
    page = visit.page
    page.route("**/recorded/writing.js", lambda route: route.abort())
    page.goto(site.url)
    page.wait_for_function(ANSWERED)
    assert [url for url in visit.requests if "writing" in url or "word.js" in url] == []
    page.goto(f"{site.url}/{HERE}")
    again = page.get_by_role("button", name="Try again")
    again.wait_for()
    page.unroute("**/recorded/writing.js")
    again.click()
    page.wait_for_selector(f"{HERE} [data-level=word] text", state="attached")
    context.close()


def test_words_that_the_model_does_not_know_are_named_at_every_level(read: Read) -> None:
    page = opened(read, "&q=the quantum physicist")
    for button in page.locator(f"{HERE} .levels button").all():
        button.click()
        assert page.locator(f"{HERE} .told").inner_text().startswith("It does not know: quantum, physicist. "), level(
            page
        )


def test_a_copied_frame_of_the_zoom_is_high_enough_for_its_controls(read: Read) -> None:
    page = opened(read)
    page.evaluate("navigator.clipboard.writeText = async (text) => void (window.copied = text)")
    page.click(".sharing summary")
    page.click(".sharing [data-kind=frame]")
    page.wait_for_function("() => window.copied")
    found = re.search(r'width="(\d+)" height="(\d+)"', page.evaluate("window.copied"))
    assert found
    framed = read(f"?embed=1{HERE}", (int(found[1]), int(found[2])))
    framed.wait_for_selector(f"{HERE} [data-level=word] text", state="attached")
    assert framed.evaluate("document.documentElement.scrollHeight <= innerHeight")
