"""The workshop's pages: calls are answered as they show and leave no collection, and the lesson is that of the page."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path

from tests.examples import ROOT, Page, run_commands
from tests.running import RunningService


def test_commands_are_answered_as_the_pages_show(tmp_path: Path) -> None:
    with RunningService(data_dir=tmp_path, demo=("library",)) as running, running.client() as client:
        running.wait_until_ready()
        assert run_commands(Page("workshop/docs/teach/lab.md"), running.url) == 1
        assert run_commands(Page("workshop/docs/teach/rooms.md"), running.url) == 1
        assert [each["name"] for each in client.get("/v1/collections").json()["collections"]] == ["library"]


def test_the_lesson_of_an_hour_is_the_plan_of_the_page() -> None:
    plan = json.loads((ROOT / "workshop/softkv_workshop/web/lesson/plan.json").read_text(encoding="utf-8"))
    begins = [part["from"] for part in plan["parts"]] + [plan["minutes"]]
    rows = re.findall(r"^\| (\d+–\d+) \| .+? \|(.*)\|$", Page("workshop/docs/teach/workshop.md").text, re.MULTILINE)
    assert [minutes for minutes, _ in rows] == [f"{begin}–{end}" for begin, end in pairwise(begins)]
    for (_, where), part in zip(rows, plan["parts"], strict=True):
        for place in re.findall(r"`([#/][\w-]+)`", where):
            assert place in {f"#{step.get('chapter')}" for step in part["steps"]} | {
                "/room" for step in part["steps"] if step.get("room")
            }
