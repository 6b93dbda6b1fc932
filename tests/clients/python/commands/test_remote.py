"""The way to the service: what is said of a failure, and what is waited for."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

import softkv
from softkv.commands.command_line import Refused, Unreachable
from softkv.commands.remote import connect
from tests.running import RunningService


def test_a_busy_service_is_called_again(tmp_path: Path) -> None:
    """All places are taken, until a moment after the client asked first."""
    with RunningService(data_dir=tmp_path, encoder="none", max_queue=1) as full, connect(full.url) as client:
        with ExitStack() as stack:
            stack.enter_context(full.full())
            with pytest.raises(softkv.Busy):
                client.with_options(retries=0).collection("two").create(exist_ok=True)
            ends = threading.Timer(0.2, stack.pop_all().close)
            ends.start()
        client.collection("two").create(exist_ok=True)
        ends.join()


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
