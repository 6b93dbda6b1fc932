"""If servers hold the keys, the foot of the page says so in its language; otherwise it says nothing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

import service.cluster
from tests.browser.reading import checked
from tests.postgres import PostgresServer
from tests.running import RunningService
from tests.service.cluster.local_servers import LocalServers


@pytest.mark.postgres
def test_the_foot_says_how_many_servers_hold_the_keys(
    chromium: Any, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = postgres.database()
    servers = LocalServers(address, 3, 2)
    monkeypatch.setattr(service.cluster, "join_cluster", lambda *_: SimpleNamespace(servers=list, close=lambda: None))
    monkeypatch.setattr(service.cluster, "open_transport", lambda: servers)
    with RunningService(store=address, shards="auto", demo=("library",)) as running:
        running.wait_until_ready()
        context = chromium.new_context(locale="en-GB")
        page = context.new_page()
        page.goto(f"{running.url}/scenes#revealed=1")
        checked(page)
        page.wait_for_selector("#shards")
        text = "Keys are on 3 servers, on 3 machines. Each range has 2 copies."
        assert page.locator("#shards").inner_text() == text
        page.click("#toggle-lang")
        page.wait_for_selector("#shards:has-text('3 台机器')")
        assert page.locator("#shards").count() == 1
        context.close()
    servers.close()


def test_a_service_with_its_own_keys_says_nothing_of_servers(visit: Any) -> None:
    opened = visit("")
    page = opened.page
    page.wait_for_selector("#fonts", state="attached")
    with page.expect_response("**/v1") as answered:
        page.reload()
    assert answered.value.json()["shards"] is None
    checked(page)
    assert page.locator("#shards").count() == 0
    page.wait_for_selector("#key")
