"""A question that the encoder cannot read, and the language that it can."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

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
    field.fill("季度纳税申报")
    field.press("Enter")
    expect(notice).to_contain_text("MODEL=multilingual")
    field.fill("a hot summer day")
    field.press("Enter")
    expect(page.locator(".notice")).to_be_hidden()
    context.close()


@pytest.mark.parametrize(
    ("language", "told"),
    [
        ("en", "The encoder reads English only. Ask in English, or start softkv with make run MODEL=multilingual."),
        ("zh", "编码器只懂英文，请用英文提问，或用 make run MODEL=multilingual 启动 softkv。"),
    ],
)
def test_a_question_that_the_encoder_does_not_read_gets_a_warning(read: Read, language: str, told: str) -> None:
    page = read(f"#hard-and-soft&lang={language}")
    field = page.locator("#hard-and-soft .asking textarea")
    field.fill("平静的海是什么颜色")
    field.press("Enter")
    expect(page.locator("#hard-and-soft .notice")).to_have_text(told)
    page.locator("#hard-and-soft [role=slider]").first.press("ArrowUp")
    expect(page.locator("#hard-and-soft .notice")).to_have_text(told)
    field.fill("a ripe fruit")
    field.press("Enter")
    expect(page.locator("#hard-and-soft .notice")).to_be_hidden()
    for chapter, question in (("nothing-fits", "平静的海是什么颜色"), ("inside-a-model", "猫追狗")):
        page.goto(page.url.partition("#")[0] + f"#{chapter}&lang={language}&q={quote(question)}")
        expect(page.locator(f"#{chapter} .notice")).to_have_text(told)


def test_a_pasted_link_without_a_state_begins_anew(read: Read) -> None:
    page = read("#in-numbers&step=3")
    assert page.locator("#in-numbers input[type=range]").first.input_value() == "3"
    page.evaluate("window.location.hash = '#in-numbers'")
    expect(page.locator("#in-numbers input[type=range]").first).to_have_value("0")
