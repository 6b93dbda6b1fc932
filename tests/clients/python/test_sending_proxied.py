"""The proxy of the environment: which hosts it is asked for, and how a refusal names it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

import softkv
from softkv import AsyncClient, Client
from softkv.cli import program
from softkv.settings import proxy_of
from tests.clients.python.scripted import Said, Scripted
from tests.clients.python.ways import Awaited

INFO = Said(200, {"version": "1", "encoder": None, "keys_required": False, "limits": {}})
HERE = ["localhost", "localhost.", "127.0.0.1", "127.0.0.2", "127.1", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]"]
AWAY = "http://service.invalid:8000"


@pytest.fixture(params=["blocking", "awaited"])
def calling(request: pytest.FixtureRequest) -> Iterator[Any]:
    with asyncio.Runner() as runner:
        yield (
            lambda url: (
                Client(url, retries=0) if request.param == "blocking" else Awaited(AsyncClient(url, retries=0), runner)
            )
        )


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_calls_of_a_service_elsewhere_go_through_the_proxy(calling, environment, name):
    with Scripted(INFO).running() as proxy:
        environment.setenv(name, proxy.url.replace("://", "://me:secret@"))
        assert calling(AWAY).info().version == "1"
    assert [heard.path for heard in proxy.heard] == [f"{AWAY}/v1"]


@pytest.mark.parametrize("host", HERE)
def test_calls_of_a_service_on_this_machine_go_directly_by_every_spelling(calling, environment, host):
    """Nothing listens at port 9 of this machine; a proxy would answer."""
    with Scripted(INFO).running() as proxy:
        for name in ("HTTP_PROXY", "ALL_PROXY"):
            environment.setenv(name, proxy.url)
        with pytest.raises(softkv.Unreachable):
            calling(f"http://{host}:9").info()
    assert proxy.heard == []


@pytest.mark.parametrize(
    ("url", "no_proxy", "is_asked"),
    [
        (AWAY, "service.invalid", False),
        (AWAY, "other.invalid, .invalid", False),
        (AWAY, "*", False),
        (AWAY, "vice.invalid", True),
        ("http://10.1.2.3:8000", "10.1.2.3", False),
        ("http://10.1.2.3:8000", "10.0.0.0/8", False),
        ("http://10.1.2.3:8000", "11.0.0.0/8, 10.1.2.*", True),
        ("http://[fd00::1]:8000", "fd00::/8", False),
    ],
)
def test_no_proxy_names_hosts_and_networks(environment, url, no_proxy, is_asked):
    environment.setenv("HTTP_PROXY", "http://proxy.invalid:3128")
    environment.setenv("NO_PROXY", no_proxy)
    with Client(url) as client:
        assert client._sender.connections.proxy == ("http://proxy.invalid:3128" if is_asked else "")


def test_a_refusal_that_a_proxy_answered_names_it(calling, environment):
    with Scripted(Said(404)).running() as proxy:
        environment.setenv("HTTP_PROXY", proxy.url.replace("://", "://me:secret@"))
        with pytest.raises(softkv.Refused, match="not softkv's") as refused:
            calling(AWAY).info()
        assert f"the environment's proxy {proxy.url}: add service.invalid to NO_PROXY" in refused.value.detail
        environment.setenv("HTTPS_PROXY", proxy.url.replace("://", "://me:secret@"))
        with pytest.raises(softkv.Unreachable, match="CONNECT") as unreachable:
            calling("https://service.invalid").info()
        assert f"the environment's proxy {proxy.url}: add service.invalid" in unreachable.value.detail
        assert "secret" not in refused.value.detail + unreachable.value.detail
    assert proxy_of("https", "service.invalid").endswith(proxy.url.removeprefix("http://"))


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1080", "socks4://127.0.0.1:1080", "ftp://127.0.0.1"])
def test_a_proxy_that_is_not_one_of_http_is_refused_in_one_sentence(calling, environment, proxy):
    environment.setenv("ALL_PROXY", proxy)
    with pytest.raises(softkv.Error, match=f"^wanted a proxy with http:// or https://, got .*{proxy}: add 10.1.2.3"):
        calling("http://10.1.2.3:8000")
    environment.setenv("NO_PROXY", "10.1.2.3")
    for url in ("http://10.1.2.3:8000", "https://10.1.2.3", "http://localhost:8000"):
        calling(url)
        assert Client(url)._sender.connections.http.is_closed is False


def test_a_command_says_it_in_one_line(environment, tmp_path):
    from typer.testing import CliRunner

    environment.setenv("ALL_PROXY", "socks5://127.0.0.1:1080")
    (tmp_path / "a.csv").write_text("id,key\na,b\n", encoding="utf-8")
    command = ["load", str(tmp_path / "a.csv"), "--collection", "a", "--url", "http://10.1.2.3:8000"]
    result = CliRunner().invoke(program(), command)
    assert result.exit_code != 0
    assert isinstance(result.exception, SystemExit)
    assert "wanted a proxy with http" in result.output.replace("\n", " ")


def test_a_redirect_is_refused_with_the_address_to_give(calling):
    for status in (301, 302, 303, 307, 308):
        moved = Said(status, b"", {"Location": "https://softkv.invalid/below/v1"})
        with Scripted(moved).running() as server, pytest.raises(softkv.Refused) as refused:
            calling(server.url).info()
        assert len(server.heard) == 1
        expected = "/v1 redirects to https://softkv.invalid/below/v1: give https://softkv.invalid/below as url"
        assert refused.value.detail.endswith(expected)
    with (
        Scripted(Said(302, b"", {"Location": "/login"})).running() as server,
        pytest.raises(softkv.Refused, match="/login: give the address of the service itself as url"),
    ):
        calling(server.url).collection("a").delete(["x"])


def test_another_program_s_answer_is_not_a_deletion(calling):
    with Scripted(Said(200, {"ok": True})).running() as server:
        collection = calling(server.url).collection("a")
        for remove in (lambda: collection.remove("x"), collection.drop):
            with pytest.raises(softkv.Refused, match="not softkv's"):
                remove()


def test_a_user_in_the_url_does_not_take_the_place_of_the_key(environment):
    environment.delenv("SOFTKV_KEY", raising=False)
    with pytest.raises(softkv.Invalid, match=r"the URL of a\.invalid has a user") as refused:
        Client("http://me:secret@a.invalid", key="k")
    assert "secret" not in str(refused.value)
    with pytest.raises(softkv.Unreachable) as unreachable:
        Client("http://me:secret@127.0.0.1:9", retries=0).info()
    assert "secret" not in str(unreachable.value)
