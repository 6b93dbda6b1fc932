"""The cases of `tests/clients/fixtures`: each client's answers equal those over plain HTTP."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any

import httpx
import pytest

from softkv import Error
from tests.clients.cases import FILES, bare, cases, unlike
from tests.clients.over_http import OverHttp
from tests.clients.python.asked import ask


def test_they_are_many_and_of_all_calls():
    all_cases = [case for file in FILES for case in cases(file)]
    assert len(all_cases) >= 100
    assert sum("error" in case for case in all_cases) >= 40


@pytest.fixture(scope="module")
def expected(client: httpx.Client) -> Callable[[str], list[dict[str, Any]]]:
    """Return a function of a file that returns the answers to its cases over plain HTTP."""
    http = OverHttp(client)

    @cache
    def ask_once(file: str) -> list[dict[str, Any]]:
        story = cases(file)
        http.clear(story)
        answers = [http.ask(case) for case in story]
        http.clear(story)
        return answers

    return ask_once


@pytest.mark.parametrize("file", FILES)
def test_each_client_returns_the_answers_of_the_service(softkv_client, expected, file):
    story = cases(file)
    answers = expected(file)
    came = [ask(softkv_client, case) for case in story]
    for name in {case["collection"] for case in story if "collection" in case}:
        with suppress(Error):
            softkv_client.collection(name).drop()
    assert unlike(story, map(alone, came), map(alone, answers)) == []
    assert unlike(story, map(told, answers), (case.get("error") for case in story)) == []


def alone(outcome: dict[str, Any]) -> Any:
    """Return an outcome without the names of other collections, which a service of several tests has."""
    outcome = bare(outcome)
    error = outcome.get("error") if isinstance(outcome, dict) else None
    if not error or error["code"] != "collection_not_found":
        return outcome
    return outcome | {"error": error | {"detail": error["detail"].partition(": use one of")[0]}}


def told(outcome: dict[str, Any]) -> dict[str, str] | None:
    """Return the code of a refusal, and the pointer of its first flaw; None for an answer."""
    if "answer" in outcome:
        return None
    error = outcome["error"]
    flaws = error["errors"]
    return {"code": error["code"]} | ({"pointer": flaws[0]["pointer"]} if flaws else {})
