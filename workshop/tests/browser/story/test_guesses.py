"""Guesses: each is a letter of the address, so that a link shows it, and its verdict is in sight."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.thorough import thorough
from workshop.tests.browser.story.conftest import Read

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

LARGE = (1024, 768)
STEP = {"in-numbers": "&step=5"}  # where it asks
# A chapter, the screen of its guess, the choice that is made, and what its address then has.
GUESSES = [
    ("hard-and-soft", 1, 0, "a"),
    ("key-is-not-value", 1, 1, "b"),
    ("nothing-fits", 1, 2, "c"),
    ("nothing-fits", 2, 0, "-a"),
    ("in-numbers", 1, 1, "b"),
    ("inside-a-model", 1, 2, "c"),
    ("it-learns", 1, 1, "b"),
]


def guess_of(page: Page, chapter: str, screen: int) -> Locator:
    return page.locator(f"#{chapter} .screen:nth-child({screen}) .prediction")


@pytest.mark.parametrize(
    ("chapter", "screen", "choice", "letters"),
    [GUESSES[0], GUESSES[3], *(thorough(*guess) for guess in (*GUESSES[1:3], *GUESSES[4:]))],
)
def test_a_link_has_the_guess(read: Read, chapter: str, screen: int, choice: int, letters: str) -> None:
    page = read(f"#{chapter}&large=1{STEP.get(chapter, '')}", LARGE)
    if chapter == "it-learns":
        page.wait_for_selector(f"#{chapter} .moment[aria-valuenow]")
    guess = guess_of(page, chapter, screen)
    guess.locator("button").nth(choice).click()
    verdict = guess.locator(".verdict")
    expect(verdict).not_to_be_empty()
    expect(guess.locator("xpath=..")).to_be_in_viewport(ratio=1)
    page.wait_for_url(f"**#{chapter}&*g={letters}*")
    said = verdict.inner_text()
    page = read(page.evaluate("window.location.hash"))
    guess = guess_of(page, chapter, screen)
    expect(guess.locator(".verdict")).to_have_text(said)
    marked = guess.locator("button").nth(choice).get_attribute("class") or ""
    assert marked == ("is-right" if said.startswith("Right") else "is-wrong")
    assert guess.locator("button").first.is_disabled()


def test_a_link_has_the_rows_that_were_guessed(read: Read) -> None:
    page = read("#who-shares&large=1", LARGE)
    picks = page.locator("#who-shares .picks button")
    for row in (0, 4):
        picks.nth(row).click()
    verdict = page.locator("#who-shares .verdict")
    expect(verdict).to_contain_text("Look again")
    expect(verdict).to_be_in_viewport(ratio=1)
    page.wait_for_url("**#who-shares&seen=1&g=ae*")
    page = read(page.evaluate("window.location.hash"))
    expect(page.locator("#who-shares .verdict")).to_contain_text("Look again")
    page.locator("#who-shares input[type=range]").press("End")
    expect(page.locator("#who-shares .verdict")).to_be_empty()


@pytest.mark.parametrize("letters", [thorough("-"), "z", thorough("%20"), thorough("7")])
def test_an_invalid_letter_of_a_guess_is_ignored(read: Read, letters: str) -> None:
    page = read(f"#in-numbers&step=5&g={letters}")
    guess = guess_of(page, "in-numbers", 1)
    expect(guess.locator(".verdict")).to_be_empty()
    assert guess.locator("button").first.is_enabled()
