"""Which tokens ask and which are read: each use draws the weights that the service gives for its queries and keys."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.browser.conftest import PHONE, PROJECTOR
from tests.browser.reading import share
from tests.running import RunningService
from tests.thorough import thorough
from tools.page import WORKSHOP
from workshop.tests.browser.story.conftest import Read
from workshop.tests.browser.story.test_type import FONTS
from workshop.tools.recorded import read as recorded
from workshop.tools.recorded import unpack_weights
from workshop.tools.recorded.kinds import TEXT_HEAD, unpack
from workshop.tools.recorded.trace import TEXTS

if TYPE_CHECKING:
    from playwright.sync_api import Page

SCREEN = "#inside-a-model .screen:last-child"
USES = {"self": "text", "masked": "text", "cross": "translation", "patches": "caption"}
NAMES = {
    "self": "Self-attention",
    "masked": "Masked (causal) self-attention",
    "cross": "Cross-attention",
    "patches": "Cross-attention",
}
WORDS = json.loads((WORKSHOP / "story" / "parts" / "kinds.json").read_text(encoding="utf-8"))
WRITTEN = 0.01  # the least weight that is written as a number


def opened(read: Read, address: str = "", **options: Any) -> Page:
    page = read(f"#inside-a-model{address}", **options)
    page.wait_for_selector(f"{SCREEN} .of.shown .thread[d]", state="attached")
    return page


def drawn(page: Page) -> list[float]:
    """Return the weights of the threads of the token that asks."""
    threads = page.locator(f"{SCREEN} .of.shown .thread")
    weights: list[float] = threads.evaluate_all("(all) => all.map((one) => Number(one.getAttribute('data-weight')))")
    return weights


def attended(site: RunningService, use: str) -> NDArray[np.float64]:
    """Return the weights [asking, read] that the service computes from the recorded queries and keys."""
    head = recorded("kinds")[USES[use]]
    query, key = (unpack(head[name], len(head[of])) for name, of in (("query", "asking"), ("key", "read")))
    mask = np.tri(*(len(head[of]) for of in ("asking", "read")), dtype=bool)
    body = {
        "query": query.tolist(),
        "key": key.tolist(),
        "value": [[0.0]] * len(key),
        "similarity": "dot",
        "temperature": float(np.sqrt(query.shape[1])),
        "mask": mask.tolist() if use == "masked" else None,
        "include": ["weights"],
    }
    with site.client() as client:
        answer = client.post("/v1/attend", json=body)
        assert answer.status_code == 200, answer.text
        return np.array(answer.json()["weights"])


@pytest.mark.parametrize("use", USES)
def test_a_use_draws_the_weights_of_the_service(read: Read, site: RunningService, use: str) -> None:
    page = opened(read, f"&use={use}")
    head, weights = recorded("kinds")[USES[use]], attended(site, use)
    words = page.locator(f"{SCREEN} .from .word")
    assert words.locator("text").all_text_contents() == head["asking"]
    assert page.locator(f"{SCREEN} .to .word").count() == len(head["read"])
    for asker, row in enumerate(weights):
        words.nth(asker).click()
        assert drawn(page) == pytest.approx(row.tolist(), abs=1e-9)
        shown = page.locator(f"{SCREEN} .to .share").all_text_contents()
        assert [bool(text) for text in shown] == (row >= WRITTEN).tolist()
        assert [share(text) for text in shown if text] == pytest.approx(row[row >= WRITTEN].tolist(), abs=0.0051)
        is_cut = page.locator(f"{SCREEN} .to .word").evaluate_all(
            "(all) => all.map((one) => one.classList.contains('cut'))"
        )
        assert is_cut == [use == "masked" and token > asker for token in range(len(row))]
    told = page.locator(f"{SCREEN} .doing .told")
    assert told.locator("b").inner_text() == NAMES[use]
    for question in ("query", "key", "value"):
        assert page.get_by_text(WORDS["en"][f"use.{question}"]).is_visible()


def test_a_text_and_its_mask_are_the_services_trace(read: Read, site: RunningService) -> None:
    body = {"text": TEXTS[0][0], "layers": [0], "heads": [TEXT_HEAD], "vector_format": "numbers"}
    rows = {}
    for use in ("self", "masked"):
        with site.client() as client:
            traced = client.post("/v1/trace", json=body | {"causal": use == "masked"}).json()
        rows[use] = np.array(traced["attention"]).reshape(2 * [len(traced["tokens"])])
        page = opened(read, f"&use={use}")
        page.locator(f"{SCREEN} .from .word").nth(3).click()
        assert drawn(page) == pytest.approx(rows[use][3].tolist(), abs=1e-6)
    factor = rows["masked"][3][:4] / rows["self"][3][:4]
    assert np.ptp(factor) < 1e-4
    assert f"×\xa0{factor[0]:.2f}" in page.locator(f"{SCREEN} .doing .told").inner_text()
    page.locator(f"{SCREEN} .from .word").last.click()
    assert "the mask cuts nothing" in page.locator(f"{SCREEN} .doing .told").inner_text()


def test_a_link_keeps_the_use_and_the_token_that_asks(read: Read) -> None:
    page = opened(read)
    page.get_by_role("button", name="English → French").click()
    page.locator(f"{SCREEN} .from [aria-checked=true]").focus()
    for _ in range(4):
        page.keyboard.press("ArrowUp")
    page.wait_for_url("**use=cross&asker=4*")
    page.reload()
    page.wait_for_selector(f"{SCREEN} [aria-label=pas][aria-checked=true]", state="attached")
    assert recorded("kinds")["translation"]["read"][int(np.argmax(drawn(page)))] == "does"
    assert "no translation" in page.locator(f"{SCREEN} .doing .told").inner_text()
    page.locator(f"{SCREEN} [aria-label=ne]").click()
    assert recorded("kinds")["translation"]["read"][int(np.argmax(drawn(page)))] == "not"
    assert opened(read, "&use=none&asker=99").locator(f"{SCREEN} [aria-label='[SEP]'][aria-checked=true]").count() == 1


def test_patches_are_those_of_the_picture(read: Read) -> None:
    page = opened(read, "&use=patches")
    picture = unpack_weights(recorded("kinds")["caption"]["picture"], 16, 16)
    pixels = page.locator(f"{SCREEN} .patch-read [fill-opacity]")
    ink = pixels.evaluate_all("(all) => all.map((one) => Number(one.getAttribute('fill-opacity')))")
    patches = picture.reshape(4, 4, 4, 4).swapaxes(1, 2).reshape(16, 16)
    np.testing.assert_allclose(ink, patches.ravel(), atol=1e-9)
    assert set(WORDS["en"]) == set(WORDS["zh"])


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize(
    ("size", "look"), [thorough(PROJECTOR, ""), thorough(PHONE, "&lang=zh"), (PHONE, ""), ((1024, 768), "&large=1")]
)
def test_no_text_lies_over_another_and_all_tokens_are_seen(
    read: Read, use: str, size: tuple[int, int], look: str
) -> None:
    page = opened(read, f"&use={use}{look}", size=size)
    page.wait_for_function(FONTS)
    place = page.locator(f"{SCREEN} .lines-place")
    assert place.evaluate("(one) => one.scrollHeight <= one.clientHeight + 1")
    boxes = page.evaluate(
        """(screen) => [...document.querySelectorAll(`${screen} :is(.to text, .questions p, .from text, .patch-read)`)]
          .filter((one) => one.textContent || one.matches('svg'))
          .map((one) => one.getBoundingClientRect()).map((box) => [box.left, box.right, box.top, box.bottom])""",
        SCREEN,
    )
    for i, (left, right, top, bottom) in enumerate(boxes):
        assert not any(left < r - 1 and le < right - 1 and top < b - 4 and t < bottom - 4 for le, r, t, b in boxes[:i])
        assert left >= 0
        assert right <= size[0]
