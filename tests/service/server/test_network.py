"""A service on a loopback address that is opened to the network: who may do that, and what arrives there may do."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.routing import iter_route_contexts

from service import addresses
from service.api.middleware.access import OPEN_TO_READ
from service.api.network import IDLE_SECONDS, NetworkListener
from service.api.problems.errors import NetworkUnavailable
from service.api.routing import GuardedRoute
from service.app import create_app
from service.settings import Settings
from tests.running import TLS_CONTEXT, RunningService, reserved_port
from tests.service.commands.conftest import COMMAND, serving
from tests.waiting import until

NETWORK = "/v1/service/network"
SECOND = "127.0.0.2"
"""An address for machines without a network; Linux lets any program listen there."""
OPENED = {"open": True}
CHANGES = sorted(
    (route.name, next(iter(route.methods - {"HEAD"})), route.path)
    for route in (
        context.original_route for context in iter_route_contexts(create_app(Settings(encoder="none")).routes)
    )
    if isinstance(route, GuardedRoute) and route.required_level in ("feedback", "write")
)


@pytest.fixture
def local_addresses(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses of this machine in its networks; a test may change them."""
    local_addresses = addresses.own_addresses() or [SECOND]
    monkeypatch.setattr(addresses, "own_addresses", lambda: list(local_addresses))
    monkeypatch.setattr(addresses, "in_a_container", lambda: False)
    return local_addresses


@contextmanager
def started(folder: Path, **settings: Any) -> Iterator[tuple[RunningService, httpx.Client]]:
    """Start a service at a port that no connection of this machine uses at any of its addresses."""
    with (
        reserved_port() as port,
        RunningService(port=port, data_dir=folder, encoder="none", **settings) as running,
        running.client() as client,
    ):
        yield running, client


@pytest.fixture
def here(tmp_path: Path, local_addresses: list[str]) -> Iterator[httpx.Client]:
    """Yield a client on the machine of the service, which has a collection."""
    with started(tmp_path) as (_, client):
        client.put("/v1/collections/books", json={}).raise_for_status()
        client.put("/v1/collections/books/documents/a", json={"key_vector": [1, 2]}).raise_for_status()
        yield client


@contextmanager
def from_network(here: httpx.Client, **options: Any) -> Iterator[httpx.Client]:
    """Open the service, and yield a client of another machine: one that calls the address of the network."""
    url = here.put(NETWORK, json=OPENED).raise_for_status().json()["url"]
    with httpx.Client(base_url=url, timeout=60, verify=TLS_CONTEXT, **options) as client:
        yield client


def connects(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=60).close()
    except ConnectionRefusedError:
        return False
    return True


def test_a_service_is_closed_until_it_is_opened_and_again_after_it_was_closed(here, local_addresses):
    port = here.base_url.port
    assert here.get(NETWORK).json() == {
        "open": False, "url": None, "public": False, "moved": False, "addresses": local_addresses, "obstacle": None
    }  # fmt: skip
    assert not connects(local_addresses[0], port)
    opened = here.put(NETWORK, json=OPENED).json()
    assert opened["url"] == addresses.url(local_addresses[0], port)
    assert (opened["open"], opened["addresses"]) == (True, local_addresses)
    assert here.put(NETWORK, json=OPENED).json() == opened == here.get(NETWORK).json()
    with httpx.Client(base_url=opened["url"], timeout=60, verify=TLS_CONTEXT) as there:
        assert there.get("/room").status_code == 200
        code = here.post("/v1/rooms", json={}).json()["code"]
        with there.stream("GET", f"/v1/rooms/{code}/events") as events:
            lines = events.iter_lines()
            assert next(lines) == "event: room"
            assert here.put(NETWORK, json={"open": False}).json()["url"] is None
            with pytest.raises(httpx.RemoteProtocolError):
                list(lines)
        with pytest.raises(httpx.ConnectError):
            there.get("/livez")
    assert here.put(NETWORK, json={"open": False}).json() == here.get(NETWORK).json()
    assert not connects(local_addresses[0], port)


def test_callers_from_the_network_read_and_take_part_in_rooms(here, local_addresses):
    opened = here.post("/v1/rooms", json={"code": "MATH"}).json()
    secret = {"x-room-secret": opened["secret"]}
    assert opened["joining"]["address"].startswith("http://127.0.0.1:")
    with from_network(here) as there:
        assert there.get("/v1/collections").json()["access"] == "read"
        answer = there.post("/v1/collections/books/attend", json={"query": [1, 2]})
        assert [match["id"] for match in answer.json()["matches"]] == ["a"]
        assert there.put("/v1/rooms/MATH/rows/1", json={"key": "cats"}).status_code == 200
        assert there.delete("/v1/rooms/MATH").json()["code"] == "not_presenter"
        assert (
            there.put("/v1/rooms/MATH/guesses/me", json={"question": 1, "row": None}).json()["code"] == "question_over"
        )
        joining = here.get("/v1/rooms/MATH", headers=secret).json()["joining"]
        assert joining["address"] == f"{addresses.url(local_addresses[0], here.base_url.port)}/room?code=MATH"
        assert (
            here.post("/v1/rooms", json={"code": "ARTS"}).json()["joining"]["address"].startswith(str(there.base_url))
        )
        assert "joining" not in here.get("/v1/rooms/MATH").json()


def test_no_change_comes_from_the_network(here):
    with from_network(here) as there:
        for name, method, path in CHANGES:
            path = re.sub(r"\{(?!name)\w+(:path)?\}", "a", path).replace("{name}", "books")
            kind = "application/x-ndjson" if name == "post_lines" else "application/json"
            refused = there.request(method, path, content=b"{}", headers={"content-type": kind})
            assert (refused.status_code, refused.json()["code"]) == (403, "forbidden"), (name, refused.text)
            assert refused.json()["detail"] == OPEN_TO_READ
        assert here.get("/v1/collections/books/documents/a").status_code == 200
        assert here.get(NETWORK).json()["open"]


@pytest.mark.parametrize("opens", [True, False])
def test_only_a_caller_on_the_machine_opens_or_closes_it(tmp_path, local_addresses, opens):
    with started(tmp_path, cors_origins="*", allowed_hosts="*") as (_, here):
        here.put(NETWORK, json={"open": not opens}).raise_for_status()
        for headers, words in (
            ({"x-forwarded-for": "127.0.0.1"}, "x-forwarded-for"),
            ({"forwarded": "for=127.0.0.1"}, "forwarded"),
            ({"via": "1.1 proxy"}, "via"),
            ({"x-real-ip": "127.0.0.1"}, "x-real-ip"),
            ({"host": "192.168.1.20:8000"}, "192.168.1.20"),
            ({"host": f"{socket.gethostname()}:8000"}, "localhost"),
            ({"host": "127.0.0.1.evil.example"}, "127.0.0.1.evil.example"),
            ({"origin": "https://evil.example"}, "https://evil.example"),
            ({"origin": "http://localhost:3000"}, "http://localhost:3000"),
            ({"origin": "null"}, "null"),
        ):
            refused = here.put(NETWORK, json={"open": opens}, headers=headers)
            assert (refused.status_code, refused.json()["code"]) == (403, "forbidden"), refused.text
            assert words in refused.json()["detail"]
            assert here.get(NETWORK).json()["open"] is not opens
            if "origin" not in headers:
                seen = here.get(NETWORK, headers=headers).json()
                assert (seen["obstacle"], seen["addresses"]) == ("caller", [])


FORWARDING = (
    "x-real-ip", "true-client-ip", "cf-connecting-ip", "cf-ray", "fastly-client-ip", "fly-client-ip", "client-ip",
    "x-client-ip", "x-original-host", "x-envoy-external-address", "x-amzn-trace-id", "x-azure-clientip", "x-arr-ssl",
    "x-cluster-client-ip", "x-cloud-trace-context", "x-varnish", "tailscale-user-login", "proxy-connection",
    "max-forwards", "cdn-loop", "surrogate-capability", "remote-addr", "forwarded-for-ip",
)  # fmt: skip
OF_BROWSERS = {
    "accept-language": "en", "dnt": "1", "priority": "u=1, i", "sec-ch-ua-platform": "Linux", "sec-fetch-site": "none",
    "referer": "http://localhost/", "x-request-id": "one", "x-room-secret": "two", "x-api-key": "three",
}  # fmt: skip


def test_any_header_of_a_proxy_counts_and_none_of_a_browser(here, local_addresses):
    for name in FORWARDING:
        refused = here.put(NETWORK, json=OPENED, headers={name: "127.0.0.1"})
        assert (refused.status_code, f"as {name} shows" in refused.text) == (403, True), name
    with socket.create_connection((here.base_url.host, here.base_url.port)) as raw:
        raw.sendall(f"GET {NETWORK} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        assert b'"obstacle":"caller"' in b"".join(iter(lambda: raw.recv(65_536), b""))
    here.put(NETWORK, json=OPENED, headers=OF_BROWSERS).raise_for_status()


def test_a_form_of_a_web_page_cannot_open_it(here, local_addresses):
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        assert here.put(NETWORK, content=b'{"open": true}', headers={"content-type": kind}).status_code == 415
        assert here.post(NETWORK, content=b'{"open": true}', headers={"content-type": kind}).status_code == 405
    preflight = {"origin": "https://evil.example", "access-control-request-method": "PUT"}
    assert "access-control-allow-origin" not in here.options(NETWORK, headers=preflight).headers
    assert not here.get(NETWORK).json()["open"]
    own_page = {"origin": str(here.base_url)}
    assert here.put(NETWORK, json=OPENED, headers=own_page).json()["open"]


def test_a_page_of_another_name_does_not_reach_it_by_the_network(here):
    with from_network(here, headers={"host": "evil.example"}) as there:
        assert there.get("/v1/collections").json()["code"] == "host_refused"
    with from_network(here) as there:
        seen = there.get(NETWORK).json()
        assert (seen["open"], seen["obstacle"], seen["addresses"]) == (True, "caller", [])


def test_keys_apply_as_before_and_permit_no_change_from_the_network(tmp_path, local_addresses):
    as_writer, as_reader = {"x-api-key": "w"}, {"x-api-key": "r"}
    with started(tmp_path, api_keys=("w",), read_keys=("r",)) as (_, here):
        for headers, status in (({}, 401), (as_reader, 403)):
            assert here.put(NETWORK, json=OPENED, headers=headers).status_code == status
        assert here.get(NETWORK, headers=as_reader).json()["obstacle"] == "caller"
        here.headers.update(as_writer)
        with from_network(here) as there:
            assert there.get("/v1/collections").status_code == 401
            for headers in (as_reader, as_writer):
                assert there.get("/v1/collections", headers=headers).json()["access"] == "read"
                refused = there.put("/v1/collections/books", json={}, headers=headers)
                assert refused.json()["detail"] == OPEN_TO_READ
        assert here.put("/v1/collections/books", json={}).status_code == 201


def test_callers_that_may_read_here_do_not_open_it(tmp_path, local_addresses):
    with started(tmp_path, allow_anonymous="read") as (_, here):
        assert here.get(NETWORK).json()["obstacle"] == "caller"
        assert here.put(NETWORK, json=OPENED).status_code == 403


def test_a_port_that_is_taken_at_that_address_is_reported(here, local_addresses):
    family = socket.AF_INET6 if ":" in local_addresses[0] else socket.AF_INET
    with socket.create_server((local_addresses[0], here.base_url.port), family=family):
        refused = here.put(NETWORK, json=OPENED)
        assert (refused.status_code, refused.json()["code"]) == (409, "network_unavailable")
        assert f"cannot listen at {local_addresses[0]} port {here.base_url.port}" in refused.json()["detail"]
        assert not here.get(NETWORK).json()["open"]
    assert here.put(NETWORK, json=OPENED).json()["open"]


def test_an_address_can_be_chosen_and_another_one_replaces_it(here, local_addresses):
    if SECOND not in local_addresses:
        local_addresses.append(SECOND)
    else:
        local_addresses[:] = ["127.0.0.3", SECOND]
    port, (first, *_) = here.base_url.port, local_addresses
    refused = here.put(NETWORK, json=OPENED | {"address": "0.0.0.0"})
    assert refused.json()["code"] == "network_unavailable"
    assert first in refused.json()["detail"]
    assert here.put(NETWORK, json=OPENED).json()["url"] == addresses.url(first, port)
    moved = here.put(NETWORK, json=OPENED | {"address": SECOND}).json()
    assert (moved["url"], moved["addresses"]) == (f"http://{SECOND}:{port}", local_addresses)
    assert connects(SECOND, port)
    assert not connects(first, port)


def test_a_machine_in_another_network_says_that_the_address_is_old(here, local_addresses):
    before = local_addresses[0]
    assert not here.put(NETWORK, json=OPENED).json()["moved"]
    local_addresses[:] = ["127.0.0.4"]
    seen = here.get(NETWORK).json()
    assert (seen["moved"], seen["url"]) == (True, addresses.url(before, here.base_url.port))
    again = here.put(NETWORK, json=OPENED).json()
    assert (again["moved"], again["url"]) == (False, f"http://127.0.0.4:{here.base_url.port}")


def test_a_service_without_connections_closes_by_itself(tmp_path, local_addresses):
    now = [0.0]
    with ExitStack() as stack:
        port = stack.enter_context(reserved_port())
        running = RunningService(port=port, data_dir=tmp_path, encoder="none")
        network = NetworkListener(look_seconds=0.02, clock=lambda: now[0])
        network.attach(running.listener)
        running.app.state.network = network
        here = stack.enter_context(stack.enter_context(running).client())
        with from_network(here) as there:
            assert there.get("/livez").status_code == 200
            for _ in range(5):
                now[0] += IDLE_SECONDS - 1
                assert there.get("/livez").status_code == 200
                until(lambda: network.used == now[0], 60, lambda: "it does not see the connection")
        until(lambda: not running.listener.connections, 60, lambda: "the connection stays")
        assert here.get(NETWORK).json()["open"]
        now[0] += IDLE_SECONDS + 1
        until(lambda: not here.get(NETWORK).json()["open"], 60, lambda: "it stays open")


@pytest.mark.parametrize("address", ["8.8.8.8", "2600::1"])
def test_an_address_of_the_internet_is_called_public(tmp_path, local_addresses, address):
    local_addresses[:] = [address, "192.168.1.20"]
    with started(tmp_path) as (_, here):
        assert here.get(NETWORK).json()["public"]
        local_addresses.reverse()
        assert not here.get(NETWORK).json()["public"]


@pytest.mark.parametrize(
    ("settings", "obstacle"),
    [
        ({"host": "0.0.0.0", "allow_anonymous": "write"}, "listening"),
        ({"root_path": "/softkv"}, "proxy"),
        ({"trusted_proxies": "10.0.0.7", "allow_anonymous": "write"}, "proxy"),
    ],
)
def test_a_service_that_others_reach_already_is_not_opened(tmp_path, local_addresses, settings, obstacle):
    with started(tmp_path, **settings) as (_, here):
        assert here.get(NETWORK).json()["obstacle"] == obstacle
        refused = here.put(NETWORK, json=OPENED)
        assert (refused.status_code, refused.json()["code"]) == (409, "network_unavailable")


def test_a_machine_without_a_network_and_a_container_say_why(here, local_addresses, monkeypatch):
    local_addresses.clear()
    assert here.get(NETWORK).json()["obstacle"] == "offline"
    assert "no address in a network" in here.put(NETWORK, json=OPENED).json()["detail"]
    monkeypatch.setattr(addresses, "in_a_container", lambda: True)
    assert here.get(NETWORK).json()["obstacle"] == "container"
    assert "publish its port" in here.put(NETWORK, json=OPENED).json()["detail"]


def test_an_application_under_another_server_is_not_opened(local_addresses):
    assert NetworkListener().find_obstacle() == "server"
    with pytest.raises(NetworkUnavailable, match="softkv serve"):
        asyncio.run(NetworkListener().open(None))


@pytest.mark.process
def test_the_process_closes_it_when_it_stops_and_starts_closed(tmp_path):
    outside = "from service import addresses; addresses.CONTAINER_MARKERS = (); "
    if not addresses.own_addresses():
        outside += f"addresses.own_addresses = lambda: ['{SECOND}']; "
    command = [*COMMAND[:2], outside + COMMAND[2]]
    with (
        reserved_port() as port,
        serving(tmp_path, "--port", str(port), command=command) as running,
        httpx.Client(base_url=running.url, timeout=60) as here,
    ):
        until(lambda: here.get("/readyz").status_code == 200, 120, lambda: "it does not get ready")
        url = here.put(NETWORK, json=OPENED).raise_for_status().json()["url"]
        with httpx.Client(base_url=url, timeout=60) as there, there.stream("GET", "/livez") as answer:
            assert answer.read()
            running.process.send_signal(signal.SIGTERM)
            assert running.process.wait(60) == 0
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{url}/livez", timeout=60)
    with serving(tmp_path, command=command) as running:
        assert not httpx.get(f"{running.url}{NETWORK}", timeout=60).json()["open"]
