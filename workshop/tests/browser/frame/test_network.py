"""A presenter opens the service to the network in a room: a phone joins by that address, and may only read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from service import addresses
from tests.browser.conftest import PHONE, PROJECTOR
from tests.browser.reading import SETTLED, sideways, violations, words
from tests.running import RunningService
from tests.waiting import until
from workshop.tests.browser.lesson.test_walk import ROOM, flaws

ELSEWHERE = "127.0.0.2"
NETWORK = "/v1/service/network"


@pytest.fixture
def local_addresses(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses of this machine in its networks; a test may change them."""
    local_addresses = addresses.own_addresses()[:1] or [ELSEWHERE]
    monkeypatch.setattr(addresses, "own_addresses", lambda: list(local_addresses))
    monkeypatch.setattr(addresses, "in_a_container", lambda: False)
    return local_addresses


@pytest.fixture
def running(local_addresses: list[str], tmp_path: Path) -> Iterator[RunningService]:
    with RunningService(data_dir=tmp_path, encoder="none") as running:
        running.wait_until_ready()
        yield running


def reached(running: RunningService) -> bool:
    """Return whether another machine could open the page."""
    return bool(httpx.get(f"{running.url}{NETWORK}").json()["open"])


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_phone_joins_by_the_address_that_the_presenter_opened(
    running: RunningService, local_addresses: list[str], visit: Any, axe: Any, language: str
) -> None:
    texts = words("room/words.json")[language]
    dark = {"color_scheme": "dark"} if language == "zh" else {}
    projector = visit(f"room?lang={language}", PROJECTOR, running.url, **dark).page
    projector.click("#open")
    projector.wait_for_selector("#network-open")
    assert texts["network.what"] in projector.locator("#network").inner_text()
    assert "127.0.0.1" in projector.locator(".address").inner_text()
    assert violations(axe, projector) == []
    projector.focus("#network-open")
    projector.keyboard.press("Enter")

    there = addresses.url(local_addresses[0], running.port)
    projector.wait_for_selector("#network-close:focus")
    assert texts["network.who"] in projector.locator("#network").inner_text()
    assert projector.locator("#network [role=status]").inner_text() == texts["network.opened"]
    projector.get_by_text(texts["network.others"]).click()
    projector.get_by_text(texts["network.help"].format(port=running.port)).wait_for()
    link = f"{there}/room?code={projector.locator('#letters').inner_text()}"
    projector.wait_for_selector(f".qr[aria-label='{link}']")
    assert f"http://{projector.locator('.address').inner_text()}" == f"{there}/room"
    projector.wait_for_function(SETTLED)
    assert violations(axe, projector) == []
    assert not sideways(projector)

    phone = visit(link.removeprefix(f"{there}/") + f"&lang={language}", PHONE, there, **dark).page
    phone.fill("#row-key", "a cat on the Wi-Fi")
    phone.click("#send-row")
    projector.wait_for_function("() => document.querySelector('.memory').textContent.includes('a cat on the Wi-Fi')")
    assert phone.locator("#network").count() == 0
    assert httpx.put(f"{there}/v1/collections/mine", json={}).status_code == 403

    projector.reload()
    projector.wait_for_selector(f"#network-close, .qr[aria-label='{link}']")
    projector.wait_for_selector("#network-close")
    phone.close()
    projector.click("#network-close")
    projector.wait_for_selector("#network-open:focus")
    until(lambda: "127.0.0.1" in projector.locator(".address").inner_text(), 60, lambda: "it shows the closed address")
    assert not reached(running)


def test_the_room_takes_the_network_with_it_and_says_when_that_changes(
    running: RunningService, local_addresses: list[str], visit: Any
) -> None:
    projector = visit("room?lesson&projector=1", (1024, 768), running.url).page
    projector.click("#open")
    projector.wait_for_selector("#network-open")
    assert flaws(projector, ROOM, 22) == []
    projector.click("#network-open")
    projector.wait_for_selector("#network-close")
    assert flaws(projector, ROOM, 22) == []
    local_addresses[:] = [ELSEWHERE if ELSEWHERE not in local_addresses else "127.0.0.3"]
    projector.click("#network-again", timeout=60_000)
    there = addresses.url(local_addresses[0], running.port)
    projector.wait_for_selector(f".qr[aria-label^='{there}/room?code=']")
    assert projector.locator("#network .wrong").count() == 0
    projector.click("#close")
    projector.click("#close")
    projector.wait_for_selector("#open")
    until(lambda: not reached(running), 60, lambda: "it stays open")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_machine_that_cannot_be_opened_says_why(
    running: RunningService, local_addresses: list[str], visit: Any, monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    texts = words("room/words.json")[language]
    local_addresses.clear()
    projector = visit(f"room?lang={language}", PROJECTOR, running.url).page
    projector.click("#open")
    projector.wait_for_selector("#network-look")
    assert texts["network.offline"] in projector.locator("#network").inner_text()
    local_addresses.append(ELSEWHERE)
    projector.click("#network-look")
    projector.wait_for_selector("#network-open")
    monkeypatch.setattr(addresses, "in_a_container", lambda: True)
    projector.reload()
    projector.get_by_text(texts["network.container"]).wait_for()
    assert projector.locator("#network button").count() == 0


def test_a_service_on_the_network_has_no_button(local_addresses: list[str], tmp_path: Path, visit: Any) -> None:
    with RunningService(data_dir=tmp_path, encoder="none", host="0.0.0.0", allow_anonymous="read") as running:
        running.wait_until_ready()
        projector = visit("room", PROJECTOR, running.url).page
        with projector.expect_response(f"**{NETWORK}"):
            projector.click("#open")
        projector.wait_for_selector(f".qr[aria-label^='{addresses.url(local_addresses[0], running.port)}/room']")
        assert projector.locator("#network").is_hidden()
        projector.close()
