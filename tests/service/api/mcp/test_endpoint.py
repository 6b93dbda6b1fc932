"""A tool's call when the service stops, or when its caller hangs up."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from fastapi import APIRouter, Response

from softkv_service.api.routing import GuardedRoute, reaches, requires, takes
from tests.running import RunningService
from tests.speaking import Speaker, Way
from tests.waiting import until

LIST = {"name": "find", "arguments": {"collection": "c"}}
STORE = {"name": "remember", "arguments": {"collection": "c", "text": "a", "id": "a"}}


@dataclass
class Stalled:
    """A service whose calls for documents do not end before they are let go, and what became of each."""

    running: RunningService
    events: list[str] = field(default_factory=list)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def wait(self, name: str) -> Response:
        self.events.append(f"{name} begun")
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.events.append(f"{name} ended")
            raise
        self.events.append(f"{name} done")
        return Response()

    async def find(self, name: str) -> Response:
        return await self.wait("find")

    async def write(self, name: str) -> Response:
        return await self.wait("write")

    def post(self, call: dict[str, object], version: str = "2026-07-28") -> socket.socket:
        """Send a message over a connection that can be closed."""
        meta = {"io.modelcontextprotocol/protocolVersion": version, "io.modelcontextprotocol/clientCapabilities": {}}
        params = call | ({"_meta": meta} if version == "2026-07-28" else {})
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()
        head = [
            "POST /mcp HTTP/1.1",
            "Host: localhost",
            "Content-Type: application/json",
            "Accept: application/json, text/event-stream",
            f"MCP-Protocol-Version: {version}",
            "Mcp-Method: tools/call",
            f"Mcp-Name: {call['name']}",
            f"Content-Length: {len(body)}",
        ]
        made = socket.create_connection(("127.0.0.1", self.running.port), timeout=30)
        made.sendall("\r\n".join([*head, "", ""]).encode() + body)
        return made


@pytest.fixture
def stalled(tmp_path) -> Iterator[Stalled]:
    running = RunningService(data_dir=tmp_path)
    made = Stalled(running)
    router = APIRouter(dependencies=[requires("read"), reaches("collection")], route_class=GuardedRoute)
    path = "/v1/collections/{name}/documents"
    router.add_api_route(f"{path}/query", made.find, methods=["POST"], dependencies=[takes("read")])
    router.add_api_route(path, made.write, methods=["POST"], dependencies=[requires("write"), takes("write")])
    running.app.include_router(router)
    running.app.router.routes.insert(0, running.app.router.routes.pop())
    with running:
        running.wait_until_ready()  # or the first calls that the service makes itself find the collection, and stall
        with running.client() as client:
            client.put("/v1/collections/c", json={}).raise_for_status()
        yield made


@pytest.mark.parametrize("version", ["2026-07-28", "2025-11-25"])
def test_a_client_that_hangs_up_frees_its_slot_but_a_write_goes_on(stalled: Stalled, version: str) -> None:
    admission = stalled.running.app.state.admission
    with stalled.post(LIST, version):
        until(lambda: admission.slots_in_use["read"] == 1)
    until(lambda: stalled.events == ["find begun", "find ended"])
    until(lambda: admission.slots_in_use["read"] == 0)
    with stalled.post(STORE, version):
        until(lambda: admission.slots_in_use["write"] == 1)
    with stalled.running.client() as client:
        client.get("/livez")
        stalled.running.call_soon(stalled.go_on.set)
        until(lambda: stalled.events[2:] == ["write begun", "write done"])
    until(lambda: admission.slots_in_use["write"] == 0)
    until(lambda: stalled.running.app.state.shutdown.calls == 0)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_a_service_that_stops_ends_the_call_of_a_tool_and_the_model_hears_why(stalled: Stalled, mode: str) -> None:
    messages: list[str] = []

    async def talking(speaker: Speaker) -> None:
        messages.append(await speaker.refused("find", collection="c"))
        messages.append(await speaker.refused("remember", collection="c", text="a"))

    speaking = threading.Thread(target=Way(stalled.running.url, mode).speak, args=(talking,), daemon=True)
    speaking.start()
    draining = stalled.running.app.state.shutdown
    for begun in ("find begun", "write begun"):
        until(lambda begun=begun: begun in stalled.events)
        with stalled.running.client() as client:
            client.get("/livez")
            stalled.running.call_soon(lambda: [call.stop() for call in list(draining._calls)])
            until(lambda begun=begun: begun.replace("begun", "ended") in stalled.events)
    speaking.join(30)
    assert "this request took too long" in messages[0]
    assert "It may or may not have been written" in messages[1]
    until(lambda: draining.calls == 0)
