"""The cases of `tests/clients/fixtures`: TypeScript's answers equal Python's."""

from __future__ import annotations

import json
from typing import Any

import pytest

from softkv import Client
from tests.clients.cases import FILES, Case, bare, cases, unlike
from tests.clients.python import asked
from tests.clients.typescript.conftest import HERE
from tools.node import ROOT, checked, node


def ask(checkout, url: str, story: list[Case]) -> list[dict[str, Any]]:
    """Run cases with the TypeScript client."""
    script = checkout / HERE.relative_to(ROOT) / "asked.mts"
    return json.loads(checked(node(checkout, script, given=json.dumps({"url": url, "cases": story}))))


@pytest.mark.end_to_end
@pytest.mark.parametrize("file", FILES)
def test_the_typescript_client_returns_the_answers_of_python(checkout, service, file):
    story = cases(file)
    with Client(service.url) as asking:
        replies = asked.ask_all(asking, story)
        came = ask(checkout, service.url, story)
        asked.clear(asking, story)
    assert unlike(story, map(bare, came), map(bare, replies)) == []
