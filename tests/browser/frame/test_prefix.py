"""The page below a path of a proxy: everything that it loads, calls and copies begins with that path."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.frame.test_client import ASK, UPLOAD
from tests.running import RunningService
from tests.service.server.proxies import small_proxy


@pytest.fixture(scope="module")
def address(browser_path: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the address of a service below /softkv, behind a proxy that removes that path."""
    folder: Path = tmp_path_factory.mktemp("prefix")
    with RunningService(data_dir=folder, demo=("library",), root_path="/softkv") as running:
        running.wait_until_ready()
        with small_proxy(running.port, prefix="/softkv") as url:
            yield f"{url}/softkv"


def test_the_explorer_asks_and_writes_programs_with_the_path(chromium: Any, address: str) -> None:
    page = chromium.new_page()
    strangers: list[str] = []
    page.on("request", lambda request: None if request.url.startswith(address) else strangers.append(request.url))
    page.goto(f"{address}/explore#collection=library&q=pets that purr")
    page.wait_for_selector("#results .match[data-id]")
    for language in ("curl", "python", "typescript"):
        page.click(f"#code-{language}")
        assert address in page.locator("#code").inner_text()
    page.close()
    assert strangers == []


def test_the_typescript_client_works_below_the_path(chromium: Any, address: str) -> None:
    page = chromium.new_context(bypass_csp=True).new_page()
    page.goto(f"{address}/explore")
    folder = page.evaluate("new URL(document.documentElement.dataset.assets, document.baseURI).pathname")
    module = f"{folder}vendor/softkv/softkv.js"
    assert module.startswith("/softkv/assets/")
    assert page.evaluate(ASK, [module, address])["verdicts"] == ["one", "none"]
    assert page.evaluate(UPLOAD, [module, address])["found"] == 2500
    page.context.close()
