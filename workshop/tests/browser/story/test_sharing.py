"""A state of the story to take away: its link, a picture, a moving picture."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from workshop.tests.browser.story.conftest import Read, weights


@pytest.mark.parametrize("kind", ["png", "gif"])
def test_the_picture_on_the_screen_is_saved(read: Read, tmp_path: Path, kind: str) -> None:
    page = read("#hard-and-soft&t=0.1")
    page.locator(".sharing summary").click()
    with page.expect_download(timeout=300_000) as download:
        page.locator(f".sharing button[data-kind={kind}]").click()
    path = tmp_path / f"picture.{kind}"
    download.value.save_as(path)
    with Image.open(path) as picture:
        assert picture.width > 600
        assert len(set(picture.convert("RGB").resize((64, 32)).get_flattened_data())) > 50
        assert getattr(picture, "n_frames", 1) == {"png": 1, "gif": 50}[kind]
    assert weights(page, "#hard-and-soft")[2] == pytest.approx(0.29, abs=0.1)  # the state is as it was


def test_the_link_restores_the_shared_state(read: Read) -> None:
    page = read("#hard-and-soft&t=0.1&theme=dark", permissions=["clipboard-read", "clipboard-write"])
    before = weights(page, "#hard-and-soft")
    page.locator(".sharing summary").click()
    page.locator(".sharing button").first.click()
    link = page.evaluate("navigator.clipboard.readText()")
    page.goto("about:blank")
    page.goto(link)
    page.wait_for_selector("#hard-and-soft .thread[data-weight]", state="attached")
    assert weights(page, "#hard-and-soft") == before
    assert page.locator("html").get_attribute("data-theme") == "dark"


def test_the_shared_chapter_stays_on_the_screen(read: Read) -> None:
    page = read("#who-shares")
    page.wait_for_function("() => document.querySelector('.rail a[aria-current]').hash === '#who-shares'")
    before = page.evaluate("scrollY")
    assert before > 0
    page.evaluate("document.querySelector('.sharing summary').focus()")
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert page.evaluate("scrollY") == before
