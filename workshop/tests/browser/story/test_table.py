"""The numbers of a row at its thread, the shares beside the keys, and the factor of all other weights."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import expect

from tests.browser.conftest import PHONE, PROJECTOR
from tests.running import RunningService
from tests.thorough import thorough
from workshop.tests.browser.story.conftest import Read, weights
from workshop.tests.browser.story.test_sentences import close, weighed
from workshop.tools.recorded import read as read_recorded
from workshop.tools.similarities import RECORDED

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

HARD, VALUE, SHARE, NONE = "#hard-and-soft", "#key-is-not-value", "#who-shares", "#nothing-fits"
SEA, PLANTS, SUBJECT, SHELF = (
    "the colour of a calm sea",
    "my plants look sad",
    "machine learning",
    "books about felines",
)
# Whether a percentage of three letters has room beside the whole text of a key.
HAS_ROOM = """(row) => {
  const [box, text] = [row.querySelector('.key'), row.querySelector('.key-text')];
  const em = parseFloat(getComputedStyle(text).fontSize);
  return box.width.baseVal.value - text.getComputedTextLength() > 12 + 16 + 3 * em && box.height.baseVal.value >= em;
}"""
SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")


def screen(page: Page, chapter: str, number: int = 1) -> Locator:
    return page.locator(f"{chapter} .screen").nth(number - 1)


def keys(shown: Locator) -> list[str]:
    return shown.locator(".row:not(.others, .none) .key-text").all_text_contents()


def core(site: RunningService, query: str, texts: list[str]) -> NDArray[np.float64]:
    """Return the similarities that the service computes of these keys, in their order."""
    rows = [{"id": str(i), "key": text, "value": text} for i, text in enumerate(texts)]
    body = {"query": query, "rows": rows, "null": False, "top_k": 30, "temperature": 0.05}
    with site.client() as client:
        matches = client.post("/v1/compare", json=body).json()["attention"]["matches"]
    return np.array([match["similarity"] for match in sorted(matches, key=lambda match: int(match["id"]))])


def recorded(query: str, texts: list[str]) -> NDArray[np.float64]:
    """Return the similarities that the page has of its own questions, which the service computed in float32."""
    if query == SUBJECT:
        library = read_recorded("sharing")["library"]
        known = dict(zip((row["key"] for row in library["rows"]), library["similarities"], strict=True))
    else:
        answer = json.loads(RECORDED.read_text())[query][0]
        known = dict(zip(answer["keys"], answer["similarities"], strict=True))
    return np.array([known[text] for text in texts])


def point(shown: Locator, row: int) -> list[str]:
    """Point at the thread of a row, where it meets its key, and return the numbers that its card has."""
    shown.locator(f".left .thread[data-of='{row}']").dispatch_event("pointermove")
    card = shown.locator(".at-thread")
    expect(card).to_be_visible()
    return card.locator("dd").all_text_contents()


def number(text: str) -> float:
    """Read a number as a card writes it: 2,850 or 1.2·10⁸."""
    mantissa, _, power = text.replace(",", "").replace("−", "-").replace("∞", "inf").partition("·10")
    return float(mantissa) * 10.0 ** int(power.translate(SUPERSCRIPTS) or 0)


def check(card: list[str], similarity: float, weight: float, T: float) -> None:
    """Compare what a card says with float64, to its last digit."""
    assert number(card[0]) == pytest.approx(similarity, abs=5.1e-4)
    assert close(card[3], weight)
    if T == 0:
        assert card[1:3] == ["–", "–"]
        return
    assert number(card[1]) == pytest.approx(similarity / T, abs=5.1e-3)
    assert number(card[2]) == pytest.approx(math.exp(similarity / T), rel=0.051 if "·" in card[2] else 5.1e-3)


@pytest.mark.parametrize(
    ("chapter", "number", "query", "T"),
    [
        (HARD, 1, SEA, 0.05),
        (HARD, 1, "a lake", 0.05),
        thorough(HARD, 1, SEA, 0),
        thorough(HARD, 1, SEA, 0.002),
        thorough(VALUE, 1, PLANTS, math.inf),
        (SHARE, 1, SUBJECT, 0.1),
        (NONE, 2, "animals", 0.1),
    ],
)
def test_a_thread_says_similarity_logit_exp_and_share(
    read: Read, site: RunningService, chapter: str, number: int, query: str, T: float
) -> None:
    t = "inf" if math.isinf(T) else T
    asked = f"&q={query}" if query == "a lake" else ""
    page = read(f"{chapter}&t={t}&mt={t}&seen=1&g=xx{asked}")
    shown = screen(page, chapter, number)
    expect(shown.locator(".query-text").first).to_contain_text(query.split()[0])
    expect(shown.locator(".left .thread[data-weight]").first).to_be_attached()
    texts = keys(shown)
    similarities = core(site, query, texts) if asked else recorded(query, texts)
    drawn = [float(one.get_attribute("data-weight") or 0) for one in shown.locator(".left .thread").all()]
    # Beside the rows that are drawn, one other row has a share.
    np.testing.assert_allclose(drawn[: len(texts)], weighed(similarities, T) * sum(drawn[: len(texts)]), atol=1e-9)
    for row, similarity in enumerate(similarities):
        check(point(shown, row), similarity, drawn[row], T)


def test_the_null_key_and_a_masked_row_have_their_numbers(read: Read) -> None:
    page = read(f'{NONE}&g=bc&q={SHELF}&level=0.4&masked=[["cats"]]')
    *_, none = weights(page, NONE)
    check(point(screen(page, NONE), 8), 0.4, none, 0.05)
    card = point(screen(page, NONE, 2), 0)
    assert card[1:] == ["−∞", "0", "0%"]


def test_a_card_follows_the_focus_a_tap_and_escape(read: Read) -> None:
    page = read(f"{SHARE}&seen=1", PHONE, has_touch=True)
    shown = screen(page, SHARE)
    card = shown.locator(".at-thread")
    shown.locator(".row").nth(1).tap()
    expect(card.locator("dd").last).to_have_text("56%")
    shown.locator(".output .frame").tap(force=True)
    expect(card).to_be_hidden()
    shown.locator(".row").first.focus()
    page.keyboard.press("ArrowDown")
    expect(card.locator("dd").last).to_have_text("56%")
    page.keyboard.press("Escape")
    expect(card).to_be_hidden()
    page = read(HARD)
    page.locator(f"{HARD} .edits button").nth(2).focus()
    expect(page.locator(f"{HARD} .at-thread dd").last).to_have_text("47%")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.locator(f"{HARD} .at-thread")).to_be_hidden()


COVERED = """(chapter) => {
  const [card, ...texts] = ['.at-thread', '.threads .share', '.threads .key-text'].flatMap((part) =>
    [...document.querySelectorAll(`${chapter} .screen:first-child ${part}`)].map((one) => one.getBoundingClientRect()));
  return texts.filter((one) => one.left < card.right && one.right > card.left && one.top < card.bottom
    && one.bottom > card.top).length;
}"""


@pytest.mark.parametrize("chapter", [HARD, VALUE, SHARE])
@pytest.mark.parametrize("size", [PROJECTOR, PHONE])
def test_a_card_covers_no_row(read: Read, chapter: str, size: tuple[int, int]) -> None:
    page = read(f"{chapter}&seen=1", size)
    for row in (0, 2, 7):
        point(screen(page, chapter), row)
        assert page.evaluate(COVERED, chapter) == 0


def test_a_tap_on_a_percentage_shows_the_numbers_of_a_row_that_a_tap_edits(read: Read) -> None:
    page = read(HARD, PHONE, has_touch=True, is_mobile=True)
    share = page.locator(f"{HARD} .row .share").nth(2)
    expect(share).to_have_text("47%")
    expect(page.locator(f"{HARD} .edits button").first).to_be_attached()
    box = share.bounding_box()
    assert box
    page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.locator(f"{HARD} .at-thread dd").last).to_have_text("47%")
    assert page.locator(f"{HARD} .edits .field").count() == 0


@pytest.mark.parametrize("size", [PROJECTOR, PHONE])
def test_each_share_from_one_percent_on_is_printed(read: Read, size: tuple[int, int]) -> None:
    page = read(f"{HARD}&t=0.1", size)
    for chapter, second in ((HARD, False), (VALUE, False), (SHARE, True), (NONE, True)):
        page.evaluate("(state) => { location.hash = state; }", f"{chapter}&t=0.1&u=0.1&mt=0.1&seen=1&g=xx")
        for shown in [screen(page, chapter, i + 1) for i in range(1 + second)]:
            expect(shown.locator(".row").first).to_be_attached()
            expect(shown.locator(".share", has_text="%").first).to_be_attached()
            drawn = [float(one.get_attribute("data-weight") or 0) for one in shown.locator(".left .thread").all()]
            written = shown.locator(".row .share").all_text_contents()
            unsaid = [i for i, weight in enumerate(drawn) if weight >= 0.01 and not written[i]]
            has_room = {i: shown.locator(".row").nth(i).evaluate(HAS_ROOM) for i in unsaid}
            crowded = max((drawn[i] for i in unsaid if not has_room[i]), default=0)
            assert all(drawn[i] <= crowded for i in unsaid if has_room[i]), "only a larger one without room omits them"
            assert all(close(text, weight) for text, weight in zip(written, drawn, strict=True) if text)


def factor(shown: Locator) -> float:
    """Return the factor that stands beside the name of the weights."""
    return number((shown.locator(".term.weight").text_content() or "").rpartition("× ")[2])


def told(shown: Locator) -> str:
    return shown.locator("p.told").inner_text()


def ratios(before: list[float], after: list[float]) -> Any:
    return [b / a for a, b in zip(before, after, strict=True) if a > 0 and b > 0]


def test_a_mask_lets_all_other_weights_grow_by_one_factor(read: Read) -> None:
    page = read(f"{NONE}&g=bc&mt=0.1")
    shown = screen(page, NONE, 2)
    expect(shown.locator(".term.weight")).to_have_text("weight")
    similarities = recorded("animals", keys(shown))
    shown.locator(".row").first.click()
    expect(shown.locator(".term.weight")).to_contain_text("×")
    grown = weighed(similarities[1:], 0.1) / weighed(similarities, 0.1)[1:]
    assert np.ptp(grown) < 1e-9
    assert factor(shown) == pytest.approx(grown[0], rel=5.1e-3)
    assert f"Compared with no mask, all other weights × {factor(shown):g}." in told(shown)
    shown.locator(".row").first.click()
    expect(shown.locator(".term.weight")).to_have_text("weight")


def test_the_null_key_and_new_rows_thin_all_others_by_one_factor(read: Read) -> None:
    page = read(f"{NONE}&g=b&level=0.4&q={SHELF}")
    *rows, none = weights(page, NONE)
    assert factor(screen(page, NONE)) == pytest.approx(1 - none, rel=5.1e-3)
    assert sum(rows) == pytest.approx(1 - none)
    assert "×" not in told(screen(page, NONE)), "the head of the weights has the factor"
    page = read(f"{SHARE}&seen=1&t=0.1")
    before = weights(page, SHARE)[:8]
    page.evaluate("(state) => { location.hash = state; }", f"{SHARE}&seen=1&t=0.1&n=60")
    shown = screen(page, SHARE)
    expect(shown.locator(".term.weight")).to_contain_text("×")
    thinned = ratios(before, weights(page, SHARE)[:8])
    assert np.ptp(thinned) < 1e-9
    assert factor(shown) == pytest.approx(thinned[0], rel=5.1e-3)


@pytest.mark.parametrize("chapter", [HARD, VALUE])
def test_an_edited_row_moves_all_others_by_one_factor(read: Read, chapter: str) -> None:
    page = read(f"{chapter}&t=0.1&q=a lake")
    shown = screen(page, chapter)
    expect(shown.locator(".query-text")).to_have_text("a lake")
    before = weights(page, chapter)
    if chapter == HARD:
        shown.get_by_role("button", name="+ row").click()
        field: Any = shown.locator(".edits form").bounding_box()
        last: Any = shown.locator(".row .key").last.bounding_box()
        assert field["y"] >= last["y"] + last["height"], "it covers no row"
        page.keyboard.type("a swimming pool")
    else:
        shown.locator(".edits button").nth(2).click()
        page.keyboard.type("Water your plants")
    page.keyboard.press("Enter")
    expect(shown.locator(".term.weight")).to_contain_text("×")
    after = weights(page, chapter)[: len(before)]
    others = [i for i in range(len(before)) if chapter == HARD or i != 2]
    moved = ratios([before[i] for i in others], [after[i] for i in others])
    assert len(moved) == len(others)
    assert np.ptp(moved) < 1e-9
    assert factor(shown) == pytest.approx(moved[0], rel=5.1e-3)
    assert "Every earlier weight ×" in told(shown)
