"""Permissions: keys, and the Host rule. Without a key, an address or a name of this service; with one, any name."""

from __future__ import annotations

import socket
from contextlib import closing
from http.client import HTTPConnection
from typing import Any

import httpx
import pytest
from pydantic import ValidationError
from starlette.datastructures import Headers

from softkv_service.api.middleware.access import Hosts, machine_names
from softkv_service.api.problems.errors import HostRefused, MalformedHost
from softkv_service.settings import Settings
from tests.running import RunningService

OURS = [
    "localhost",
    "LOCALHOST",
    "localhost.",
    "localhost:8000",
    "LocalHost.:1",
    "127.0.0.1",
    "127.0.0.1:80",
    "127.0.0.1.",
    "127.99.0.1",
    "192.168.1.5:8000",
    "10.0.0.1",
    "8.8.8.8",
    "0.0.0.0",
    "[::1]",
    "[::1]:8000",
    "[fe80::1]",
    "[::ffff:127.0.0.1]:80",
    "[2001:DB8::1]",
    "softkv.internal",
    "Softkv.Internal.:65535",
    "search.example",
    "box.corp.example",
    "box",
    "BOX.local",
    "box.local:8000",
]
OTHERS = [
    "",
    ":8000",
    "evil.example",
    "localhost.evil.example",
    "evil.example:80",
    "127.0.0.1.evil.example",
    "localhost..",
    ".localhost",
    "127.0.0.1..",
    "127.1",
    "127.0.0.1.1",
    "127.0.0.01",
    "0x7f.0.0.1",
    "2130706433",
    "256.0.0.1",
    "1.2.3",
    "a.search.example",
    "search.example.evil",
    "box.local.evil",
    "xn--localhost",
    "*",
    "evil",
    "%6cocalhost",
    "127.0.0.1%00",
    "localhost,evil",
    "local_host",
]
MALFORMED = [
    "127.0.0.1:80@evil",
    "localhost:80@evil.example",
    "evil@localhost",
    "localhost:",
    "localhost:8000x",
    "localhost:-1",
    "localhost:123456",
    "localhost:80:80",
    "::1",
    "[::1",
    "::1]",
    "[::1]x",
    "[localhost]",
    "[127.0.0.1]",
    "[::g]",
    "[]",
    "[fe80::1%eth0]",
    "[v1.a]",
    "localhost/evil",
    "local host",
    "localhost\t",
    "löcalhost",
    "localhost\\",
    "http://localhost",
    "localhost#",
    "localhost?",
    '"localhost"',
    "localhost:８０".encode().decode("latin-1"),
]
FOREIGN = {"host": "evil.example"}
HOSTS = Hosts(names=("softkv.internal", *machine_names("box.corp.example")), allowed=("search.example",))


@pytest.fixture(scope="module")
def keyed(service_of):
    return service_of(api_keys=("w1", "w2"), read_keys=("r1",))


@pytest.mark.parametrize(
    "headers", [{"authorization": "Bearer w2"}, {"x-api-key": "w1"}, {"authorization": "bearer w1"}]
)
def test_a_writing_key_reads_and_writes(keyed, headers):
    with keyed.client(headers=headers) as client:
        assert client.put("/v1/collections/a", json={}).status_code in (200, 201)
        assert client.get("/v1/collections").json()["access"] == "write"


@pytest.mark.parametrize(("name", "value"), [("X-API-Key", "w1 \t"), ("Authorization", "Bearer  w1 ")])
def test_white_space_around_a_key_is_ignored(keyed, name, value):
    with closing(HTTPConnection("127.0.0.1", httpx.URL(keyed.url).port)) as connection:
        connection.request("GET", "/v1/collections", headers={name: value})
        assert connection.getresponse().status == 200


@pytest.mark.parametrize(
    "headers", [{}, {"x-api-key": "w"}, {"authorization": "Bearer w11"}, {"authorization": "Basic w1"}]
)
def test_without_a_known_key_only_the_open_places_answer(keyed, headers):
    with keyed.client(headers=headers) as client:
        refused = client.get("/v1/collections")
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
        assert client.get("/livez").status_code == 200
        assert client.get("/openapi.json").status_code == 200


def test_a_refusal_comes_before_the_body_is_read(keyed):
    with keyed.client() as client:
        assert client.put("/v1/collections/a", content=b"not json").status_code == 401


@pytest.mark.parametrize(("level", "status"), [("read", 403), ("write", 201)])
def test_anonymous_callers_have_the_configured_permission(tmp_path, level, status):
    with RunningService(data_dir=tmp_path, encoder="none", allow_anonymous=level) as running:
        answer = httpx.put(f"{running.url}/v1/collections/a", json={}, timeout=60)
        assert answer.status_code == status


def test_an_open_address_without_keys_needs_a_decision():
    with pytest.raises(ValidationError, match="SOFTKV_ALLOW_ANONYMOUS"):
        Settings(host="0.0.0.0")
    assert Settings(host="0.0.0.0", allow_anonymous="read").host == "0.0.0.0"
    assert Settings(host="0.0.0.0", api_keys="a, b").api_keys == ("a", "b")


def header(*hosts: str) -> Headers:
    return Headers(raw=[(b"host", host.encode("latin-1")) for host in hosts])


@pytest.mark.parametrize("host", OURS)
def test_addresses_and_our_names_are_ours(host):
    HOSTS.check(header(host))


@pytest.mark.parametrize("host", OTHERS)
def test_other_names_are_not(host):
    with pytest.raises(HostRefused, match="SOFTKV_ALLOWED_HOSTS"):
        HOSTS.check(header(host))


@pytest.mark.parametrize("host", MALFORMED)
def test_a_malformed_host_is_refused_under_any_setting(host):
    for hosts in (HOSTS, Hosts(names=(), allowed=("*",))):
        with pytest.raises(MalformedHost):
            hosts.check(header(host))


def test_several_hosts_are_malformed_and_a_missing_one_is_refused():
    for pair in (("localhost", "localhost"), ("localhost", "evil.example"), ("evil.example", "localhost")):
        with pytest.raises(MalformedHost):
            HOSTS.check(header(*pair))
    with pytest.raises(HostRefused):
        HOSTS.check(header())


def test_a_star_is_any_name():
    for host in (*OURS, *OTHERS):
        Hosts(names=(), allowed=("*",)).check(header(host))
    with pytest.raises(HostRefused):
        Hosts(names=("*",), allowed=()).check(header("evil.example"))


@pytest.mark.parametrize(
    ("hostname", "names"),
    [
        ("box", {"box", "box.local"}),
        ("Box.corp.example", {"Box.corp.example", "box", "box.local"}),
        ("box.local", {"box.local", "box"}),
        ("localhost", set()),
        ("localhost.localdomain", set()),
        ("", set()),
    ],
)
def test_a_machine_has_its_names(hostname, names):
    assert machine_names(hostname) == names


PLACES = [
    "/",
    "/docs",
    "/docs/",
    "/openapi.json",
    "/livez",
    "/readyz",
    "/metrics",
    "/v1/collections",
    "/v1/nothing",
    "/nothing",
]


@pytest.mark.parametrize("settings", [{}, {"allow_anonymous": "read"}, {"allow_anonymous": "write"}], ids=str)
def test_every_place_keeps_the_rule_where_no_key_is_needed(tmp_path, settings: dict[str, Any]):
    with RunningService(data_dir=tmp_path, encoder="none", **settings) as running, running.client() as client:
        running.wait_until_ready()
        for route in PLACES:
            status = client.get(route).status_code
            for method in ("GET", "HEAD", "OPTIONS", "POST", "PUT"):
                refused = client.request(method, route, headers=FOREIGN)
                assert refused.status_code == 403, (method, route)
            for host in ("localhost:80", "192.168.1.5", "[::1]:1", socket.gethostname().upper()):
                assert client.get(route, headers={"host": host}).status_code == status, (host, route)
        problem = client.put("/v1/collections/a", json={}, headers=FOREIGN).json()
        assert problem["code"] == "host_refused"
        assert client.get("/v1/collections", headers={"host": "127.0.0.1:80@evil"}).status_code == 400
        assert client.get("/v1/collections").json()["collections"] == []


def test_a_valid_key_is_never_refused_for_its_host(tmp_path):
    keys = {"api_keys": ("w",), "read_keys": ("r",)}
    with RunningService(data_dir=tmp_path, encoder="none", **keys) as running, running.client() as client:
        running.wait_until_ready()
        for host in ("evil.example", "", "127.0.0.1:80@evil", *MALFORMED[:12]):
            for key in "wr":
                for text in ("/", "/docs/", "/livez", "/readyz", "/metrics", "/v1/collections"):
                    answer = client.get(text, headers={"host": host, "x-api-key": key})
                    assert answer.status_code == 200, (host, text)
            write = client.put("/v1/collections/a", json={}, headers={"host": host, "authorization": "Bearer w"})
            assert write.status_code in (200, 201)


@pytest.mark.parametrize("key", [{}, {"x-api-key": "x"}], ids=["none", "unknown"])
def test_with_keys_other_routes_check_the_host_name(tmp_path, key):
    """A caller of /v1 without a key hears that first, under any host name."""
    names = {"allowed_hosts": "kb.example"}
    with (
        RunningService(data_dir=tmp_path, encoder="none", api_keys=("w",), **names) as running,
        running.client(headers=key) as client,
    ):
        running.wait_until_ready()
        for text in ("/", "/docs/", "/livez", "/metrics"):
            assert client.get(text, headers=FOREIGN).status_code == 403
            assert client.get(text, headers={"host": "KB.example:443"}).status_code == 200
        for host in ("evil.example", "kb.example", "localhost"):
            assert client.get("/v1/collections", headers={"host": host}).status_code == 401


def test_callers_with_and_without_a_key_side_by_side(tmp_path):
    settings = {"api_keys": ("w",), "allow_anonymous": "read"}
    with RunningService(data_dir=tmp_path, encoder="none", **settings) as running:
        url = f"{running.url}/v1/collections"
        assert httpx.get(url, timeout=60).json()["access"] == "read"
        assert httpx.get(url, headers=FOREIGN, timeout=60).status_code == 403
        assert httpx.get(url, headers=FOREIGN | {"x-api-key": "w"}, timeout=60).json()["access"] == "write"
        assert httpx.get(url, headers=FOREIGN | {"x-api-key": "x"}, timeout=60).status_code == 401


def test_allowed_hosts_are_names(monkeypatch):
    monkeypatch.setenv("SOFTKV_ALLOWED_HOSTS", " softkv, Search.example. ,192.168.1.5,[::1],my_service")
    assert Settings().allowed_hosts == ("softkv", "Search.example.", "192.168.1.5", "[::1]", "my_service")
    assert Settings(allowed_hosts="").allowed_hosts == ()
    assert Settings(allowed_hosts="*").allowed_hosts == ("*",)
    for wrong in ("http://softkv", "softkv:8000", "*.example", ".example", "soft kv", "bücher.example", "a..b", "a/b"):
        with pytest.raises(ValidationError, match="without scheme and port"):
            Settings(allowed_hosts=f"ok.example,{wrong}")
