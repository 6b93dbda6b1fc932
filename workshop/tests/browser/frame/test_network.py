"""The way in for phones: a room shows the address of the network, or the command that opens the service to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from softkv_service import addresses
from tests.browser.conftest import PROJECTOR
from tests.browser.reading import violations, words
from tests.running import RunningService
from workshop.tests.browser.lesson.test_walk import ROOM, flaws

ELSEWHERE = "192.168.1.20"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_room_that_only_its_machine_can_open_says_how_phones_come_in(
    service: RunningService, visit: Any, axe: Any, language: str
) -> None:
    texts = words("room/words.json")[language]
    dark = {"color_scheme": "dark"} if language == "zh" else {}
    projector = visit(f"room?lang={language}", PROJECTOR, service.url, **dark).page
    projector.click("#open")
    summary = projector.locator("#alone summary")
    assert summary.inner_text() == texts["present.alone"]
    assert "127.0.0.1" in projector.locator(".address").inner_text()
    assert not projector.locator("#alone code").is_visible()
    summary.focus()
    projector.keyboard.press("Enter")
    assert texts["present.alone.how"] in projector.locator("#alone").inner_text()
    assert projector.locator("#alone code").inner_text() == "softkv serve --host 0.0.0.0 --allow-anonymous read"
    assert violations(axe, projector) == []


def test_the_way_in_fits_the_projector_of_a_lesson(service: RunningService, visit: Any) -> None:
    projector = visit("room?lesson&projector=1", (1024, 768), service.url).page
    projector.click("#open")
    projector.wait_for_selector("#alone")
    assert flaws(projector, ROOM, 22) == []


def test_a_room_of_a_service_on_the_network_shows_its_address(
    tmp_path: Path, visit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addresses, "_own_addresses", lambda version: [ELSEWHERE] if version == 4 else [])
    monkeypatch.setattr(addresses, "in_a_container", lambda: False)
    with RunningService(data_dir=tmp_path, encoder="none", host="0.0.0.0", allow_anonymous="read") as running:
        running.wait_until_ready()
        projector = visit("room", PROJECTOR, running.url).page
        projector.click("#open")
        projector.wait_for_selector(f".qr[aria-label^='{addresses.url(ELSEWHERE, running.port)}/room']")
        assert projector.locator("#alone").count() == 0
        projector.close()
