"""`/mcp` of the service: callers that may use it, refusals, and each tool's call as a normal call."""

from __future__ import annotations

import gzip
import json
import logging
import re
import subprocess
import sys
from collections.abc import Callable, Iterator

import httpx
import pytest

from softkv_service.api.keyring import line_of
from tests.running import RunningService
from tests.service.api.test_access_log import ROW, Logged, entries, logged
from tests.speaking import Speaker, Way

__all__ = ["logged"]  # a fixture

ACCEPT = {"accept": "application/json, text/event-stream"}
META = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}
NEW = {**ACCEPT, "mcp-protocol-version": "2026-07-28", "mcp-method": "tools/list"}
LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": META}}
LISTED, OTHER = "https://app.example", "https://evil.example"
WRITING = {"remember", "forget"}


@pytest.fixture(scope="module")
def open_(service_of: Callable[..., RunningService]) -> Iterator[httpx.Client]:
    """A client of a service without keys, whose pages may be at one more origin."""
    with service_of(cors_origins=LISTED, max_body_bytes=4096).client(headers=NEW) as client:
        yield client


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service with keys, one of them for collections that begin with docs-."""
    folder = tmp_path_factory.mktemp("keyed")
    levels = {"all": ("write", ""), "reader": ("read", ""), "docs": ("write", "docs-")}
    lines = [line_of(name, *level, f"the-key-of-{name}") for name, level in levels.items()]
    (folder / "keys").write_text("".join(f"{line}\n" for line in lines))
    with RunningService(data_dir=folder / "data", encoder="none", keys_file=folder / "keys") as running:
        with running.client(headers={"x-api-key": "the-key-of-all"}) as client:
            for name in ("docs-a", "other"):
                client.put(f"/v1/collections/{name}", json={"dimension": 2})
        yield running


def as_(name: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer the-key-of-{name}"),)


def asked(client: httpx.Client, **headers: str) -> httpx.Response:
    return client.post("/mcp", json=LIST, headers=headers)


@pytest.mark.parametrize("headers", [NEW, ACCEPT])
@pytest.mark.parametrize("key", [{}, {"x-api-key": "unknown"}, {"authorization": "Bearer unknown"}])
def test_without_a_known_key_it_is_a_401(keyed: RunningService, headers: dict[str, str], key: dict[str, str]) -> None:
    with keyed.client(headers=headers | key) as client:
        for method in ("POST", "GET", "DELETE"):
            answer = client.request(method, "/mcp", json=LIST)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
            assert answer.json()["code"] == "key_refused"


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_a_key_that_may_read_sees_and_does_nothing_that_writes(keyed: RunningService, mode: str) -> None:
    reader, writer = (Way(keyed.url, mode, as_(name)) for name in ("reader", "all"))
    assert not WRITING & set(reader.tools())
    assert set(writer.tools()) >= WRITING
    message = reader.refused("forget", collection="other", ids=["a"])
    assert "may only read" in message
    assert "tell the user that the key does not allow it" in message


def test_a_key_for_some_collections_sees_these_alone(keyed: RunningService) -> None:
    docs = Way(keyed.url, headers=(("x-api-key", "the-key-of-docs"),))
    names = [collection["name"] for collection in docs.call("list_collections")["collections"]]
    assert names == ["docs-a"]
    assert docs.call("find", collection="docs-a")["count"] == 0
    assert "begin with 'docs-'" in docs.refused("find", collection="other")


def test_names_of_others_are_refused(open_: httpx.Client) -> None:
    assert asked(open_).status_code == 200
    assert asked(open_, host="localhost:1234").status_code == 200
    answer = asked(open_, host="evil.example")
    assert (answer.status_code, answer.json()["code"]) == (403, "host_refused")


def test_pages_of_other_origins_are_refused_with_a_key_and_without(open_: httpx.Client, keyed: RunningService) -> None:
    for origin in (OTHER, "null", "http://127.0.0.1:1"):
        answer = asked(open_, origin=origin)
        assert (answer.status_code, answer.json()["code"]) == (403, "origin_refused")
        assert origin in answer.json()["detail"]
    for origin in (LISTED, str(open_.base_url).rstrip("/")):
        assert asked(open_, origin=origin).status_code == 200
    with keyed.client(headers=NEW | dict(as_("reader"))) as client:
        assert asked(client).status_code == 200
        answer = asked(client, origin=OTHER)
        assert (answer.status_code, answer.json()["code"]) == (403, "origin_refused")


def test_only_messages_of_a_fitting_length_are_taken(open_: httpx.Client) -> None:
    for method in ("GET", "PUT", "DELETE"):
        answer = open_.request(method, "/mcp")
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert open_.post("/mcp/", json=LIST).json() == asked(open_).json()
    request = open_.build_request("POST", "/mcp", json=LIST)
    del request.headers["accept"]
    assert open_.send(request).json() == asked(open_).json()
    assert open_.post("/mcp", content=b"x" * 5000).status_code == 413
    answer = open_.post("/mcp", content=b"{", headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32700)


def test_a_message_is_shorter_than_other_bodies(keyed: RunningService) -> None:
    with keyed.client(headers=NEW | dict(as_("reader"))) as client:
        long_message = LIST | {"params": {"_meta": META, "x": "x" * 256_000}}
        answer = client.post("/mcp", json=long_message)
        assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
        assert "takes 256000 here: send less at a time" in answer.json()["detail"]
        in_parts = (b" " * 1000 for _ in range(257))  # no length is declared
        assert client.post("/mcp", content=in_parts, headers={"content-type": "application/json"}).status_code == 413
        assert client.post("/mcp", json=LIST).status_code == 200


@pytest.mark.parametrize("revision", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])
def test_older_revisions_shake_hands_and_are_answered_without_a_session(open_: httpx.Client, revision: str) -> None:
    hello = {"protocolVersion": revision, "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    headers = {**ACCEPT, "mcp-protocol-version": revision}
    for method, params in (("initialize", hello), ("tools/list", {})):
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        answer = httpx.post(f"{open_.base_url}/mcp", json=message, headers=headers)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        assert "mcp-session-id" not in answer.headers
        result = answer.json()["result"]
        assert result.get("protocolVersion", revision) == revision
    assert {tool["name"] for tool in result["tools"]} >= WRITING


def test_simple_requests_of_a_web_page_are_refused_by_media_type(open_: httpx.Client) -> None:
    """A browser asks beforehand for a JSON body, and sends these at once."""
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        for headers in (NEW, ACCEPT):
            answer = httpx.post(f"{open_.base_url}/mcp", json=LIST, headers={**headers, "content-type": kind})
            assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


def test_a_message_that_is_compressed_is_refused_as_any_body(open_: httpx.Client) -> None:
    packed = {"content-type": "application/json", "content-encoding": "gzip"}
    answer = open_.post("/mcp", content=gzip.compress(json.dumps(LIST).encode()), headers=packed)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    assert asked(open_, **{"content-encoding": "gzip"}).status_code == 415
    assert asked(open_, **{"content-encoding": "identity"}).status_code == 200


def test_the_log_has_the_id_and_key_of_the_request(tmp_path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "keys").write_text(line_of("night", "write", "", "the-key") + "\n")
    call = {**LIST, "method": "tools/call", "params": {"_meta": META, "name": "list_collections", "arguments": {}}}
    headers = NEW | {"x-api-key": "the-key", "x-request-id": "of-the-test", "mcp-method": "tools/call"}
    headers["mcp-name"] = "list_collections"
    logging.getLogger("softkv").setLevel(logging.INFO)
    with (
        RunningService(data_dir=tmp_path / "data", encoder="none", keys_file=tmp_path / "keys") as running,
        running.client(headers=headers) as client,
    ):
        answer = client.post("/mcp", json=call)
        assert answer.json()["result"]["structuredContent"] == {"collections": []}
        assert answer.headers["x-request-id"] == "of-the-test"
    lines = [line for line in capfd.readouterr().err.splitlines() if "request_id=of-the-test" in line]
    assert [re.search(r"path=(\S+)", line)[1] for line in lines] == ["/v1/collections", "/mcp"]
    assert all("key=night" in line for line in lines)


def test_a_tool_of_mcp_is_logged_as_the_call_that_it_makes(logged: Logged) -> None:
    client, path = logged
    written = len(entries(path))
    client.put("/v1/collections/docs-a/documents/by-tool", json=ROW)
    for key in ("docs", "docs-reader"):
        way = Way(str(client.base_url).rstrip("/"), headers=as_(key))
        (way.call if key == "docs" else way.refused)("forget", collection="docs-a", ids=["by-tool"])
    made, *new = entries(path)[written:]
    assert made["call"] == "put_document"
    assert [(line["key"], line["collection"], line["outcome"]) for line in new] == [
        ("docs", "docs-a", "done"),
        ("docs-reader", "docs-a", "forbidden"),
    ]


def test_no_message_takes_a_place_of_its_own(keyed: RunningService) -> None:
    async def talking(speaker: Speaker) -> None:
        assert await speaker.tools()
        assert "are in progress" in await speaker.refused("find", collection="other")

    with keyed.full():
        Way(keyed.url, headers=as_("all")).speak(talking)
    assert set(keyed.app.state.admission.slots_in_use.values()) == {0}


def test_without_its_library_mcp_is_a_501_with_the_install_command(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [module for module in sys.modules if module.startswith(("softkv_service.api.mcp.", "softkv.mcp."))]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("mcp", "mcp_types"):
        monkeypatch.setitem(sys.modules, name, None)
    with RunningService(data_dir=tmp_path, encoder="none") as running, running.client(headers=NEW) as client:
        for _ in range(2):
            answer = asked(client)
            assert (answer.status_code, answer.json()["code"]) == (501, "mcp_missing")
            assert "pip install 'mcp>=2.3'" in answer.json()["detail"]
        assert client.get("/v1/collections").status_code == 200


def test_the_service_starts_without_its_library() -> None:
    heavy = ["mcp", "mcp_types", "jsonschema", "softkv_service.api.mcp.endpoint", "softkv.client"]
    code = f"import sys, softkv_service.app; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
