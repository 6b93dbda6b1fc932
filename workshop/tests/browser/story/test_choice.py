"""A new visitor is asked once: to learn, or to explore. On an empty service there are three doors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from playwright.sync_api import expect

from softkv_service.datasets import DEMOS
from tests.browser.conftest import PHONE, PROJECTOR, Visit
from tests.running import RunningService
from tests.thorough import thorough
from workshop.tests.browser.story.conftest import ANSWERED, Read

if TYPE_CHECKING:
    from playwright.sync_api import Page

STORED = "() => window.localStorage.getItem('softkv-purpose')"
ASKED = ".choice"
EXPLORED = "**/explore#*"
KEY, READ_KEY = "writing", "reading"


def test_a_learner_chooses_once_and_continues_in_the_story(read: Read, site: RunningService) -> None:
    page = read()
    choice = page.locator(ASKED)
    expect(choice).to_contain_text("What are you here for?")
    below = page.locator("#hard-and-soft h1, #hard-and-soft h2").first.bounding_box()
    shown = choice.bounding_box()
    assert shown is not None
    assert below is not None
    assert below["y"] >= shown["y"] + shown["height"]  # the story begins below the question
    choice.get_by_role("button", name="Learn how it works").click()
    expect(choice).to_have_count(0)
    assert page.evaluate("() => document.activeElement.id") == "story"
    page.goto("about:blank")
    page.goto(site.url)
    page.wait_for_function(ANSWERED)
    assert page.locator(ASKED).count() == 0


def test_an_explorer_goes_to_the_explorer_until_learn_is_chosen(read: Read, site: RunningService) -> None:
    page = read()
    page.locator(ASKED).get_by_role("link", name="Explore your data").click()
    page.wait_for_url("**/explore**")
    page.goto("about:blank")
    page.goto(site.url)
    page.wait_for_url("**/explore**")
    page.get_by_role("link", name="Learn", exact=True).click()
    page.wait_for_function(ANSWERED)
    assert page.locator(ASKED).count() == 0
    assert page.evaluate(STORED) == "learn"
    assert "?" not in page.url
    page.get_by_role("link", name="Explore", exact=True).click()
    page.wait_for_url("**/explore**")
    assert page.evaluate(STORED) == "explore"


@pytest.mark.parametrize("where", ["#hard-and-soft", thorough("#none&q=x"), thorough("?lesson"), "?lesson#value"])
def test_a_link_into_the_story_neither_asks_nor_leads_away(read: Read, where: str) -> None:
    page = read(where)
    assert page.locator(ASKED).count() == 0
    assert page.evaluate(STORED) is None
    page.evaluate("() => window.localStorage.setItem('softkv-purpose', 'explore')")
    page.reload()
    page.wait_for_function(ANSWERED)
    assert "/explore" not in page.url


def test_a_page_without_a_service_does_not_ask(read: Read, site: RunningService) -> None:
    page = read("#hard-and-soft")

    def exported(route: Any) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, body=answer.text().replace("<html ", '<html data-exported="" ', 1))

    page.evaluate("() => window.localStorage.setItem('softkv-purpose', 'explore')")
    page.route(f"{site.url}/", exported)
    page.goto("about:blank")
    page.goto(site.url)
    page.wait_for_function(ANSWERED)
    assert page.locator(ASKED).count() == 0
    assert page.get_by_role("link", name="Explore", exact=True).count() == 0


def test_the_keyboard_reaches_each_door_and_escape_learns(read: Read) -> None:
    page = read(locale="zh-CN")
    choice = page.locator(ASKED)
    expect(choice).to_contain_text("你想做什么？")
    names = []
    while "浏览数据" not in names:
        page.keyboard.press("Tab")
        names.append(page.evaluate("() => document.activeElement.textContent"))
        assert len(names) < 20
    assert "学习原理" in names
    page.keyboard.press("Escape")
    expect(choice).to_have_count(0)
    assert page.evaluate(STORED) == "learn"


@pytest.mark.parametrize("size", [PROJECTOR, PHONE])
def test_axe_finds_nothing_and_nothing_is_cut(read: Read, size: tuple[int, int]) -> None:
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed"
    ).Axe()
    for look, large in (("light", False), ("dark", True)):
        page = read(size=size, color_scheme=look, locale="zh-CN" if large else "en-GB")
        expect(page.locator(ASKED)).to_be_visible()
        if large:
            page.locator("header.bar").get_by_text("A+").click()
        found = axe.run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]})
        assert [violation["id"] for violation in found.response["violations"]] == []
        assert page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")
        bar = page.locator("header.bar").bounding_box()
        share = page.locator(".sharing summary").bounding_box()
        assert bar is not None
        assert share is not None
        assert bar["y"] <= share["y"] < share["y"] + share["height"] <= bar["y"] + bar["height"]


@pytest.fixture(scope="module")
def keyed(browser_path: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """Yield a service with keys, with the encoder and without collections."""
    data = tmp_path_factory.mktemp("doors")
    with RunningService(data_dir=data, api_keys=(KEY,), read_keys=(READ_KEY,)) as running:
        running.wait_until_ready()
        yield running


@pytest.fixture
def writer(keyed: RunningService) -> Iterator[httpx.Client]:
    """Yield a client of the service, which has no collection."""
    with keyed.client(headers={"x-api-key": KEY}) as client:
        for collection in client.get("/v1/collections").json()["collections"]:
            client.delete(f"/v1/collections/{collection['name']}").raise_for_status()
        yield client


@pytest.fixture
def enter(chromium: Any, keyed: RunningService, writer: httpx.Client) -> Iterator[Any]:
    """Yield a function that opens the empty service with a key; after the test no page may have logged an error."""
    visits: list[Visit] = []

    def start(key: str | None = KEY) -> Page:
        context = chromium.new_context(reduced_motion="reduce")
        if key is not None:
            context.add_init_script(f"window.sessionStorage.setItem('softkv-key', '{key}')")
        opened = Visit(context.new_page(), keyed.url)
        visits.append(opened)
        opened.page.goto(keyed.url)
        opened.page.wait_for_function(ANSWERED)
        opened.page.wait_for_load_state("networkidle")
        return opened.page

    yield start
    for opened in visits:
        opened.page.context.close()
    # The browser itself logs an answer of 507, which one test causes.
    assert [error for one in visits for error in one.errors if "507" not in error] == []


def test_the_demo_is_loaded_from_the_page(enter: Any, writer: httpx.Client) -> None:
    page = enter()
    choice = page.locator(ASKED)
    expect(choice).to_contain_text("You have no collection yet; the pictures below bring their own rows.")
    told: list[str] = []
    page.expose_function("tell", lambda text: told.append(text))
    page.evaluate(
        """() => new MutationObserver(() => window.tell(document.querySelector('.choice [role=status]').textContent))
            .observe(document.querySelector('.choice'), {subtree: true, childList: true, characterData: true})"""
    )
    choice.get_by_role("button", name="Load the demo").click()
    page.wait_for_url(EXPLORED)
    documents = list(DEMOS["library"].documents())
    assert f"0 of {len(documents)} books" in told
    assert len(set(told)) > 2
    assert "collection=library" in page.url
    listed = writer.post("/v1/collections/library/documents/query", json={"limit": 1000}).json()["documents"]
    assert {row["id"]: row["key"] for row in listed} == {row["id"]: row["key"] for row in documents}
    assert page.evaluate(STORED) == "explore"


def test_a_demo_that_was_begun_is_completed_and_changes_nothing(enter: Any, writer: httpx.Client) -> None:
    page = enter()
    writer.put("/v1/collections/library", json={})
    first = next(DEMOS["library"].documents())
    writer.put(f"/v1/collections/library/documents/{first['id']}", json={"key": "my own"})
    page.get_by_role("button", name="Load the demo").click()
    page.wait_for_url(EXPLORED)
    assert writer.get(f"/v1/collections/library/documents/{first['id']}").json()["key"] == "my own"
    assert writer.get("/v1/collections/library").json()["documents"] == len(list(DEMOS["library"].documents()))


def test_a_refusal_is_shown_and_the_button_works_again(enter: Any, writer: httpx.Client) -> None:
    page = enter()
    writer.put("/v1/collections/library", json={"encoder": None, "dimension": 2})
    problem = {"status": 507, "code": "disk_full", "detail": "the disk is full", "title": "x", "type": "about:blank"}
    page.route("**/v1/collections/library/documents", lambda route: route.fulfill(status=507, json=problem))
    door = page.get_by_role("button", name="Load the demo")
    with page.expect_event("console"):  # the browser's own line about a 507
        door.click()
    expect(page.locator(ASKED)).to_contain_text("The service refused: the disk is full")
    expect(door).to_be_enabled()


def test_the_other_doors_lead_to_the_explorer_and_to_the_idea(enter: Any) -> None:
    page = enter()
    page.get_by_role("button", name="Show me the idea").click()
    expect(page.locator(ASKED)).to_have_count(0)
    page = enter()
    page.get_by_role("link", name="Drop a CSV").click()
    page.wait_for_url(EXPLORED)


def test_a_reader_has_no_door_that_writes(enter: Any) -> None:
    page = enter(READ_KEY)
    expect(page.locator(ASKED)).to_contain_text("What are you here for?")
    assert page.get_by_role("button", name="Load the demo").count() == 0


def test_without_a_key_that_the_service_wants_it_asks_nothing_of_it(enter: Any, keyed: RunningService) -> None:
    asked: list[str] = []
    page = enter(None)
    page.on("request", lambda request: asked.append(request.url))
    page.reload()
    page.wait_for_function(ANSWERED)
    page.wait_for_load_state("networkidle")
    expect(page.locator(ASKED)).to_contain_text("What are you here for?")
    assert [url for url in asked if "/v1" in url] == []


def test_the_question_is_gone_with_the_first_scroll_and_the_story_stays(read: Read) -> None:
    page = read()
    expect(page.locator(ASKED)).to_be_visible()
    page.mouse.move(640, 600)
    page.mouse.wheel(0, 400)
    expect(page.locator(ASKED)).to_have_count(0)
    assert page.evaluate(STORED) is None, "a scroll is no choice"
