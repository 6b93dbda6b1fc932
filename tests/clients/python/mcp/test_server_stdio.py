"""`softkv mcp` as its clients start and end it: nothing but the protocol on standard output, and no traceback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from tests.running import RunningService
from tests.speaking import COMMAND, Speaker, Way

PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
HELLO = {
    "jsonrpc": "2.0",
    "id": 0,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
}


def started(*options: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONWARNINGS": "always"}
    return subprocess.Popen(
        [sys.executable, *COMMAND, *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def test_nothing_but_the_protocol_is_written_and_the_end_of_input_ends_it() -> None:
    call = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "list_collections", "arguments": {}}}
    process = started("--url", "http://softkv.invalid:8000")
    assert process.stdin is not None
    assert process.stdout is not None
    answers = []
    for message in (HELLO, PING, call):
        process.stdin.write(f"{json.dumps(message)}\n")
        process.stdin.flush()
        answers.append(json.loads(process.stdout.readline()))
    process.stdin.write("no protocol at all\n")
    rest, errors = process.communicate(timeout=60)
    assert [answer["id"] for answer in answers] == [0, 1, 2]
    assert answers[2]["result"]["isError"]
    assert all(json.loads(line)["jsonrpc"] == "2.0" for line in rest.splitlines())
    assert process.returncode == 0
    assert "Traceback" not in errors


def test_a_request_right_before_the_end_of_input_is_answered_also_behind_a_byte_order_mark(
    service: RunningService,
) -> None:
    call = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "list_collections", "arguments": {}}}
    process = started("--url", service.url)
    sent = "".join(f"{json.dumps(message)}\n" for message in (HELLO, PING, call))
    answered, errors = process.communicate(f"\ufeff{sent}", timeout=60)
    answers = {answer["id"]: answer for answer in map(json.loads, answered.splitlines())}
    assert answers.keys() == {0, 1, 2}
    assert "collections" in answers[2]["result"]["structuredContent"]
    assert process.returncode == 0
    assert "Traceback" not in errors


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.thorough)])
def test_a_signal_ends_it_at_once(number: signal.Signals) -> None:
    process = started("--url", "http://127.0.0.1:9")
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{json.dumps(HELLO)}\n")
    process.stdin.flush()
    process.stdout.readline()
    process.send_signal(number)
    before = time.monotonic()
    assert process.wait(30) == 0
    assert time.monotonic() - before < 10
    _, errors = process.communicate()
    assert "Traceback" not in errors


@pytest.mark.thorough
def test_a_client_that_closes_its_output_causes_no_traceback() -> None:
    process = started("--url", "http://127.0.0.1:9")
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdout.close()
    process.stdin.write(f"{json.dumps(HELLO)}\n")
    process.stdin.close()
    assert process.wait(30) == 0
    assert process.stderr is not None
    assert "Traceback" not in process.stderr.read()


def test_options_leave_only_some_collections_and_nothing_that_writes(service: RunningService, library: str) -> None:
    async def talking(speaker: Speaker) -> None:
        assert not {"remember", "forget"} & (await speaker.tools()).keys()
        listed = await speaker.call("list_collections")
        assert [collection["name"] for collection in listed["collections"]] == [library]
        assert [resource.name for resource in (await speaker.client.list_resources()).resources] == [library]
        assert (await speaker.call("ask", collection=library, question="pets that purr"))["verdict"] == "one"
        message = await speaker.refused("ask", collection="mcp-other", question="cats")
        assert message == f"there is no collection 'mcp-other': use one of these names: {library}, mcp-gone"
        for name, arguments in (("remember", {"text": "a"}), ("forget", {"ids": ["dune"]})):
            assert "--read-only" in await speaker.refused(name, collection=library, **arguments)
        assert (await speaker.call("get", collection=library, ids=["dune"]))["missing"] == []

    with service.client() as client:
        client.put("/v1/collections/mcp-other", json={})
        Way(service.url, options=("--read-only", "--collection", f"{library}, mcp-gone")).speak(talking)
        client.delete("/v1/collections/mcp-other")


def test_an_alias_stands_for_its_collection(service: RunningService, library: str) -> None:
    async def talking(speaker: Speaker) -> None:
        listed = await speaker.call("list_collections")
        assert [collection["name"] for collection in listed["collections"]] == ["mcp-alias"]
        assert (await speaker.call("ask", collection="mcp-alias", question="pets that purr"))["verdict"] == "one"
        assert "mcp-alias" in await speaker.refused("ask", collection=library, question="cats")

    with service.client() as client:
        client.put("/v1/aliases/mcp-alias", json={"collection": library})
        Way(service.url, options=("--collection", "mcp-alias")).speak(talking)
        client.delete("/v1/aliases/mcp-alias")
