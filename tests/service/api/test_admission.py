"""Places by kind: a flood of one kind takes no place of another, and a caller that hangs up releases its place."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
import pytest
from fastapi import APIRouter, Response

from softkv_service.api.admission import KINDS, CallerShares
from softkv_service.api.middleware.access import ANONYMOUS, caller_of
from softkv_service.api.routing import GuardedRoute, requires, takes
from tests.running import RunningService
from tests.waiting import until

MOST = 3
CLIENTS = [(1, 5), (1, 6), (2, 5)]
PATHS = {
    "lookup": "POST /v1/collections/c/attend",
    "encode": "POST /v1/encode",
    "write": "PUT /v1/collections/c/documents/a",
    "read": "POST /v1/collections/c/documents/query",
    "stateless": "POST /v1/attend",
    "stream": "POST /v1/collections/c/documents",
    "listen": "GET /v1/rooms/NONE/events",
}
BODIES = {
    "lookup": {"query": [1, 2]},
    "encode": {"texts": ["a"]},
    "write": {"key_vector": [1, 2]},
    "read": {},
    "stateless": {"query": [[1]], "key": [[1]], "value": [[1]]},
    "stream": {"id": "a", "key_vector": [1, 2]},
    "listen": {},
}
MEDIA = dict.fromkeys(PATHS, "application/json") | {"stream": "application/x-ndjson"}


@pytest.fixture(scope="module")
def tight(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """Yield a service with three places of each kind, a collection, and for each kind a call that ends on a hang-up."""
    data = tmp_path_factory.mktemp("tight")
    running = RunningService(data_dir=data, encoder="none", max_queue=MOST, api_keys=("w", "v"), max_body_bytes=100_000)
    router = APIRouter(dependencies=[requires("read")], route_class=GuardedRoute)
    running.held = asyncio.Event()

    async def hold() -> Response:
        await running.held.wait()
        return Response()

    for kind in KINDS:
        router.add_api_route(f"/hold/{kind}", hold, dependencies=[takes(kind)])
    running.app.include_router(router)
    running.app.router.routes.insert(0, running.app.router.routes.pop())
    with running, running.client(headers={"x-api-key": "w"}) as client:
        running.wait_until_ready()
        client.put("/v1/collections/c", json={"encoder": None, "dimension": 2})
        client.put("/v1/collections/c/documents/a", json={"key_vector": [1, 2]})
        yield running


@pytest.fixture
def client(tight: RunningService) -> Iterator[httpx.Client]:
    with tight.client(headers={"x-api-key": "w"}) as client:
        yield client


def head(line: str, *headers: str) -> bytes:
    return "\r\n".join((f"{line} HTTP/1.1", "Host: localhost", *headers, "", "")).encode()


def half(running: RunningService, kind: str, key: str = "w", length: int = 99) -> socket.socket:
    """Send a call whose body does not end."""
    raw = socket.create_connection(("127.0.0.1", running.port), timeout=60)
    media = f"Content-Type: {MEDIA[kind]}"
    raw.sendall(head(PATHS[kind], media, f"Content-Length: {length}", f"X-API-Key: {key}") + b"{" + b" " * (length - 2))
    return raw


def holding(running: RunningService, kind: str, key: str) -> socket.socket:
    """Send a call that holds its place."""
    raw = socket.create_connection(("127.0.0.1", running.port), timeout=60)
    raw.sendall(head(f"GET /hold/{kind}", f"X-API-Key: {key}"))
    return raw


def ask(client: httpx.Client, kind: str) -> httpx.Response:
    method, path = PATHS[kind].split()
    return client.request(method, path, json=BODIES[kind], headers={"content-type": MEDIA[kind]})


def taken(client: httpx.Client) -> dict[str, int]:
    """Return the taken places of each kind, from /metrics."""
    lines = [line for line in client.get("/metrics").text.splitlines() if line.startswith("softkv_places_taken{")]
    return {line.split('"')[1]: int(float(line.split()[-1])) for line in lines}


def until_taken(client: httpx.Client, **expected: int) -> None:
    until(lambda: taken(client) == dict.fromkeys(KINDS, 0) | expected, told=lambda: taken(client))


@contextmanager
def full(running: RunningService, client: httpx.Client, kind: str) -> Iterator[list[socket.socket]]:
    """All places of a kind taken by two callers, for as long as the block runs."""
    with ExitStack() as stack:
        sockets = list[socket.socket]()
        for number, key in enumerate(("w", "w", "v"), start=1):
            sockets.append(stack.enter_context(holding(running, kind, key)))
            until_taken(client, **{kind: number})
        yield sockets
        if kind == "write":  # which hanging up does not end
            running.call_soon(lambda: (running.held.set(), running.held.clear()))
            until_taken(client)
    until_taken(client)


@pytest.mark.parametrize("kind", KINDS)
def test_a_flood_of_one_kind_refuses_that_kind_and_no_other(tight, client, kind):
    with full(tight, client, kind):
        for other in KINDS:
            answer = ask(client, other)
            if other == kind:
                assert (answer.status_code, answer.json()["code"]) == (429, "queue_full")
                assert f"kind {kind} " in answer.json()["detail"]
                assert answer.headers["retry-after"] == "1"
            else:  # there is neither an encoder nor a room
                assert answer.status_code == (404 if other in ("encode", "listen") else 200), answer.text
    assert ask(client, kind).status_code != 429


def test_refused_callers_and_unknown_paths_take_no_slot(tight, client):
    with full(tight, client, "read"):
        assert client.get("/v1/collections", headers={"x-api-key": "x"}).status_code == 401
        assert client.get("/v1/nothing").status_code == 404
        assert client.delete("/v1/collections").status_code == 405
        assert client.get("/livez").status_code == 200
        assert client.get("/v1/collections").status_code == 429
    with ExitStack() as stack:
        for _ in range(2 * MOST):
            stack.enter_context(half(tight, "write", key="x"))
        assert client.put("/v1/collections/c/documents/b", json={"key_vector": [1, 2]}).status_code in (200, 201)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "write"])
def test_places_come_back_when_callers_hang_up(tight, client, kind):
    for _ in range(3):
        with full(tight, client, kind) as sockets:
            for socket_ in sockets:
                socket_.close()
            until_taken(client)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "stream"])
def test_a_body_that_is_not_in_yet_holds_no_place(tight, client, kind):
    with ExitStack() as stack:
        for _ in range(10 * MOST):
            stack.enter_context(half(tight, kind))
        assert ask(client, kind).status_code != 429
        until_taken(client)


def test_bodies_that_are_not_in_yet_have_a_bound_of_which_a_caller_has_a_share(tight, client):
    with ExitStack() as stack, tight.client(headers={"x-api-key": "v"}) as other:
        for _ in range(20):
            stack.enter_context(half(tight, "stateless", length=90_000))
        deadline = time.monotonic() + 60
        while (answer := client.post("/v1/attend", json={"query": " " * 90_000})).status_code != 429:
            assert time.monotonic() < deadline
        assert answer.json()["code"] == "queue_full"
        assert other.post("/v1/attend", json={"query": " " * 90_000}).status_code == 422
    until_taken(client)
    while client.post("/v1/attend", json={"query": " " * 90_000}).status_code != 422:
        assert time.monotonic() < deadline


@pytest.mark.parametrize("kind", KINDS)
def test_one_caller_s_flood_leaves_a_place_to_another(tight, client, kind):
    with ExitStack() as stack, tight.client(headers={"x-api-key": "v"}) as other:
        for number in (1, 2):
            stack.enter_context(holding(tight, kind, "w"))
            until_taken(client, **{kind: number})
        refused = ask(client, kind)
        assert (refused.status_code, refused.json()["code"]) == (429, "queue_full")
        assert "this caller uses its share" in refused.json()["detail"]
        assert refused.headers["retry-after"] == "1"
        assert ask(other, kind).status_code != 429
        tight.call_soon(lambda: (tight.held.set(), tight.held.clear()))
        until_taken(client)
    assert tight.app.state.admission.refused[kind, "share"]


def test_callers_without_a_key_are_distinguished_by_address():
    callers = [
        caller_of({"state": {"caller": ANONYMOUS}, "client": (f"10.0.0.{host}", port)}) for host, port in CLIENTS
    ]
    assert callers[0] == callers[1] != callers[2]
    assert caller_of({"state": {"caller": "digest"}, "client": ("10.0.0.1", 5)}) == "digest"


@pytest.mark.parametrize("limit", [1, 2, 3, 16, 256])
def test_however_many_callers_come_the_next_one_finds_a_place(limit):
    shares, callers = CallerShares(limit), 0
    while not shares.full():
        caller = f"caller {(callers := callers + 1)}"
        assert not shares.over(caller)
        while not (shares.full() or shares.over(caller)):
            shares.take(caller)
        if callers == 1:
            assert shares.taken >= min(limit, max(1, limit * 3 // 4 - 1))
    assert callers >= min(limit, 2)


def test_a_reading_call_ends_when_its_client_hangs_up_but_a_write_does_not(tmp_path):
    running = RunningService(data_dir=tmp_path, encoder="none", max_queue=3 * MOST)
    router, events = APIRouter(dependencies=[requires("read")], route_class=GuardedRoute), list[str]()
    go_on = asyncio.Event()

    async def wait(kind: str) -> Response:
        try:
            await go_on.wait()
        except asyncio.CancelledError:
            events.append(f"{kind} ended")
            raise
        events.append(f"{kind} done")
        return Response()

    async def release() -> Response:
        go_on.set()
        return Response()

    router.add_api_route("/lookup/{kind}", wait, dependencies=[takes("lookup")])
    router.add_api_route("/write/{kind}", wait, dependencies=[takes("write")])
    router.add_api_route("/release", release, dependencies=[takes("read")])
    running.app.include_router(router)
    running.app.router.routes.insert(0, running.app.router.routes.pop())
    with running, running.client() as client:
        for kind in ("lookup", "write"):
            with ExitStack() as stack:
                for _ in range(MOST):
                    raw = stack.enter_context(socket.create_connection(("127.0.0.1", running.port)))
                    raw.sendall(head(f"GET /{kind}/{kind}"))
                until_taken(client, **{kind: MOST})
            if kind == "lookup":
                until_taken(client)
                assert events == ["lookup ended"] * MOST
        assert taken(client)["write"] == MOST
        client.get("/release")
        until_taken(client)
        assert events == ["lookup ended"] * MOST + ["write done"] * MOST
        assert client.get("/lookup/again").status_code == 200
        counted = client.get("/metrics").text
        assert 'status="200"' in counted
        assert 'status="500"' not in counted
