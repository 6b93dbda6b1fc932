"""A question that the encoder cannot read, and the language that it can."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import PHONE, PROJECTOR
from tests.running import RunningService
from tests.thorough import thorough
from workshop.tests.browser.story.conftest import ANSWERED, Read

if TYPE_CHECKING:
    from playwright.sync_api import Browser

WORDS = {"en": "Type a few words", "zh": "请输入几个英文词"}
# The controls that overlap a notice.
COVERED = """() => {
  const notice = document.querySelector('.notice').getBoundingClientRect();
  return [...document.querySelectorAll('button, textarea, a, summary, input, [role=slider]')].filter((one) => {
    const box = one.getBoundingClientRect();
    const isBeside = box.left >= notice.right || box.right <= notice.left;
    const isAbove = box.top >= notice.bottom || box.bottom <= notice.top;
    return one.checkVisibility() && box.width > 0 && !isBeside && !isAbove;
  }).map((one) => one.outerHTML);
}"""


@pytest.mark.parametrize("size", [PROJECTOR, thorough(PHONE)])
@pytest.mark.parametrize("language", [thorough("en"), "zh"])
@pytest.mark.parametrize("chapter", ["hard-and-soft", "nothing-fits"])
def test_a_text_without_words_is_refused_in_the_pages_words(
    chromium: Browser, site: RunningService, chapter: str, language: str, size: tuple[int, int]
) -> None:
    context = chromium.new_context(viewport={"width": size[0], "height": size[1]}, reduced_motion="reduce")
    page = context.new_page()
    page.goto(f"{site.url}/#{chapter}&lang={language}")
    page.wait_for_function(ANSWERED)
    field = page.locator(f"#{chapter} textarea").first
    field.fill("\N{SLIGHTLY SMILING FACE}")
    field.press("Enter")
    notice = page.locator(f"#{chapter} .notice")
    expect(notice).to_contain_text(WORDS[language])
    expect(notice).to_be_in_viewport(ratio=1)
    assert "MiniLM" not in notice.inner_text()
    assert page.evaluate(COVERED) == []
    field.fill("a hot summer day")
    field.press("Enter")
    expect(page.locator(".notice")).to_be_hidden()
    context.close()


def test_a_chinese_reader_sees_once_the_note_to_write_english(read: Read) -> None:
    page = read("#hard-and-soft&lang=zh")
    page.locator("#hard-and-soft .asking textarea").focus()
    expect(page.locator("#hard-and-soft .asking .note")).to_have_text(
        "编码器只懂英文，请用英文提问，或用 make run MULTILINGUAL=1 启动 softkv。"
    )
    page.locator(".rail a").nth(2).click()
    page.wait_for_selector("#who-shares .asking")
    assert page.locator(".note").count() == 1
    page = read("#hard-and-soft")
    calls: list[str] = []
    page.on("request", lambda request: calls.append(request.url))
    field = page.locator("#hard-and-soft .asking textarea")
    field.fill("a ripe fruit")
    with page.expect_response("**/v1/**"):
        field.press("Enter")
    assert page.locator(".note").count() == 0
    assert len([url for url in calls if "/v1/" in url]) == 1
