"""The cases of `tests/clients/fixtures`: the Python client's answers equal those over plain HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from softkv import Client
from tests.clients.cases import FILES, bare, cases, unlike
from tests.clients.over_http import OverHttp
from tests.clients.python.asked import ask


def test_they_are_many_and_of_all_calls():
    all_cases = [case for file in FILES for case in cases(file)]
    assert len(all_cases) >= 100
    assert sum("error" in case for case in all_cases) >= 40


@pytest.mark.parametrize("file", FILES)
def test_the_python_client_returns_the_answers_of_the_service(service, client, file):
    story, http = cases(file), OverHttp(client)
    http.clear(story)
    expected = [http.ask(case) for case in story]
    http.clear(story)
    with Client(service.url) as asking:
        came = [ask(asking, case) for case in story]
    http.clear(story)
    assert unlike(story, map(bare, came), map(bare, expected)) == []
    assert unlike(story, map(told, expected), (case.get("error") for case in story)) == []


def told(outcome: dict[str, Any]) -> dict[str, str] | None:
    """Return the code of a refusal, and the pointer of its first flaw; None for an answer."""
    if "answer" in outcome:
        return None
    error = outcome["error"]
    flaws = error["errors"]
    return {"code": error["code"]} | ({"pointer": flaws[0]["pointer"]} if flaws else {})
