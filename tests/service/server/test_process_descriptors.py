"""File descriptors: raised at the start, and when they are short a clear 503 and a short log."""

from __future__ import annotations

import asyncio
import errno
import resource
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, suppress

import httpx
import pytest

from softkv_service.server.process import LoopErrorHandler, limit_connections
from tests.running import RunningService
from tests.service.commands.conftest import COMMAND, serving

RAISED = """import resource; {}
from softkv_service.server.process import raise_descriptor_limit
print(raise_descriptor_limit(), resource.getrlimit(resource.RLIMIT_NOFILE)[0])"""


@pytest.mark.parametrize(("soft", "hard", "limit"), [(64, 512, 512), (512, 512, 512), (64, 100_000, 65_536)])
def test_the_limit_is_raised_as_far_as_it_may(soft, hard, limit):
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < hard:
        pytest.skip("this process may not have so many")
    code = RAISED.format(f"resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}));")
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.split() == [str(limit)] * 2


def test_half_of_the_descriptors_are_for_files():
    assert [limit_connections(1000, available) for available in (65_536, 1000, 64, 1)] == [1000, 500, 32, 1]


def test_a_lack_of_descriptors_is_logged_once_without_a_traceback(capfd):
    loop, handler = asyncio.new_event_loop(), LoopErrorHandler()
    try:
        for _ in range(100):
            handler(loop, {"message": "accept", "exception": OSError(errno.EMFILE, "Too many open files")})
    finally:
        loop.close()
    output = "".join(capfd.readouterr())
    assert output.count("Too many open files") == 1
    assert "Traceback" not in output


def test_a_request_that_finds_no_descriptor_is_a_503(tmp_path):
    running = RunningService(data_dir=tmp_path, encoder="none")

    @running.app.get("/opens")
    async def opens() -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    running.app.router.routes.insert(0, running.app.router.routes.pop())
    with running, running.client() as client:
        answer = client.get("/opens")
        assert (answer.status_code, answer.json()["code"]) == (503, "out_of_descriptors")
        assert answer.headers["retry-after"] == "2"


@pytest.mark.thorough
def test_a_service_of_64_descriptors_stays_up_under_idle_connections(tmp_path):
    limited = ["sh", "-c", 'ulimit -n 64; exec "$@"', "sh", *COMMAND]
    with serving(tmp_path, command=limited) as running:
        address = ("127.0.0.1", int(running.url.rpartition(":")[2]))
        with ExitStack() as stack:
            for _ in range(200):
                with suppress(OSError):
                    stack.enter_context(socket.create_connection(address, timeout=5))
            for number in range(20):
                with httpx.Client(base_url=running.url, timeout=60) as client:
                    assert client.get("/livez").status_code == 200
                    made = client.put(f"/v1/collections/c{number}", json={"encoder": None, "dimension": 2})
                    assert made.status_code == 201, made.text
        code, log = running.stop(signal.SIGTERM)
    assert (code, "Traceback" in log) == (0, False)
    assert len(log) < 100_000
