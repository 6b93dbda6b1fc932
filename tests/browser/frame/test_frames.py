"""The page in a frame of another site: forbidden without the setting, because the site could redirect a click."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.running import RunningService


@contextmanager
def framing(url: str, attributes: str = "") -> Iterator[str]:
    """Serve another site whose page shows `url` in a frame with more attributes; yield its address."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = f'<!doctype html><iframe src="{url}" {attributes}></iframe>'.encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("allowed", [False, True])
def test_another_site_frames_the_page_only_with_permission(chromium: Any, tmp_path, allowed) -> None:
    # The sites are of one address and two ports, and the setting may name every port of it.
    sources = {"frame_ancestors": "'self' http://127.0.0.1:*"} if allowed else {}
    with (
        RunningService(data_dir=tmp_path, encoder="none", **sources) as running,
        framing(f"{running.url}/livez") as site,
    ):
        page = chromium.new_page()
        refused: list[str] = []
        page.on("console", lambda message: refused.append(message.text))
        page.goto(site, wait_until="load")
        page.wait_for_timeout(200)
        shown = page.frames[1].locator("body").inner_text()
        page.close()
    assert ("alive" in shown) == allowed
    assert any("frame-ancestors" in error for error in refused) != allowed


def test_the_page_may_frame_itself(chromium: Any, tmp_path) -> None:
    with RunningService(data_dir=tmp_path, encoder="none") as running:
        page = chromium.new_page()
        page.goto(f"{running.url}/explore")
        page.evaluate("document.body.append(Object.assign(document.createElement('iframe'), {src: '/livez'}))")
        page.frame_locator("iframe").locator("text=alive").wait_for(timeout=240_000)
        page.close()
