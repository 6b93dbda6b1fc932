"""The cases of `tests/clients/fixtures`: each kind of client gives the same answers and the expected refusals."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import pytest

from softkv import Client
from tests.clients.cases import FILES, bare, cases, unlike
from tests.clients.python.asked import ask_all
from tests.running import RunningService


def test_they_are_many_and_of_all_calls():
    all_cases = [case for file in FILES for case in cases(file)]
    assert len(all_cases) >= 100
    assert sum("error" in case for case in all_cases) >= 40


@cache
def blocking_answers(url: str, file: str) -> list[dict[str, Any]]:
    """Return the answers to the cases of a file by the blocking client; TypeScript's are compared with them, too."""
    with Client(url) as client:
        return ask_all(client, cases(file))


@pytest.mark.parametrize("file", FILES)
def test_the_expected_calls_are_refused(service: RunningService, file: str) -> None:
    story = cases(file)
    answers = blocking_answers(service.url, file)
    assert unlike(story, map(told, answers), (case.get("error") for case in story)) == []


@pytest.mark.parametrize("softkv_client", ["awaited", "local"], indirect=True, scope="package")
@pytest.mark.parametrize("file", FILES)
def test_each_client_returns_the_same_answers(softkv_client: Any, service: RunningService, file: str) -> None:
    story = cases(file)
    answers = blocking_answers(service.url, file)
    assert unlike(story, map(alone, ask_all(softkv_client, story)), map(alone, answers)) == []


def alone(outcome: dict[str, Any]) -> Any:
    """Return an outcome without what a service has and a local one lacks: rooms, and collections of other tests."""
    outcome = bare(outcome)
    answer = outcome.get("answer") if isinstance(outcome, dict) else None
    if isinstance(answer, dict) and "limits" in answer:
        limits = {name: limit for name, limit in answer["limits"].items() if not name.startswith("room")}
        outcome = outcome | {"answer": answer | {"limits": limits}}
    error = outcome.get("error") if isinstance(outcome, dict) else None
    if not error or error["code"] != "collection_not_found":
        return outcome
    return outcome | {"error": error | {"detail": re.split("[:,] ", error["detail"])[0]}}


def told(outcome: dict[str, Any]) -> dict[str, str] | None:
    """Return the code of a refusal, and the pointer of its first flaw; None for an answer."""
    if "answer" in outcome:
        return None
    error = outcome["error"]
    flaws = error["errors"]
    return {"code": error["code"]} | ({"pointer": flaws[0]["pointer"]} if flaws else {})
