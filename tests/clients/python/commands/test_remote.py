"""The way to the service: what is said of a failure, and what is waited for."""

from __future__ import annotations

import time

import pytest

from softkv.commands.command_line import Refused, Unreachable
from softkv.commands.remote import connect
from tests.running import RunningService


def test_a_service_that_is_not_there_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", pytest.fail)
    with (
        pytest.raises(Unreachable, match=r"no service answers at http://127\.0\.0\.1:9"),
        connect("http://127.0.0.1:9"),
    ):
        pytest.fail("it was taken for a service")


def test_an_error_of_the_client_ends_the_command(service: RunningService) -> None:
    with pytest.raises(Refused, match="there is no collection 'atlantis'"), connect(service.url) as client:
        client.collection("atlantis").info()
    with pytest.raises(ZeroDivisionError), connect(service.url):
        1 / 0  # noqa: B018
