"""The calls in the workshop's pages are answered as these show, and leave no collection."""

from __future__ import annotations

from pathlib import Path

from tests.examples import Page, run_commands
from tests.running import RunningService


def test_commands_are_answered_as_the_pages_show(tmp_path: Path) -> None:
    with RunningService(data_dir=tmp_path, demo=("library",)) as running, running.client() as client:
        running.wait_until_ready()
        assert run_commands(Page("workshop/docs/teach/lab.md"), running.url) == 1
        assert run_commands(Page("workshop/docs/teach/rooms.md"), running.url) == 1
        assert [each["name"] for each in client.get("/v1/collections").json()["collections"]] == ["library"]
