"""Keys of a file over HTTP: a route says what of the store it is about, and keeps to it; logs have names."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter
from fastapi.routing import iter_route_contexts

from softkv_service.api.keyring import line_of
from softkv_service.api.routes.page import PageMount
from softkv_service.api.routing import GuardedRoute, declared_reach
from softkv_service.app import create_app
from softkv_service.settings import Settings
from tests.running import RunningService
from tests.waiting import until

KEYS = {"all": ("write", ""), "reader": ("read", ""), "docs": ("write", "docs-"), "docs-reader": ("read", "docs-")}
EVERYTHING = {"get_backup", "list_slow_requests", "unload_encoder"}
SEEN = {"list_collections", "list_aliases", "put_alias", "get_alias", "delete_alias", "post_mcp_message"}
NOTHING = {
    "attend_arrays",
    "compare_rows",
    "embeddings",
    "encode",
    "get_model",
    "get_service",
    "list_encoders",
    "list_models",
    "trace",
    "rerank",
    "rerank_as_cohere",
    "score",
    "open_room",
    "get_room",
    "close_room",
    "hear_room",
    "put_room_row",
    "delete_room_row",
    "delete_room_rows",
    "ask_room",
    "put_guess",
    "read_table",
    "patch_room",
    "leave_words_out",
    "get_lab",
    "train_model",
    "decode_source",
}
OPEN = {"livez", "readyz", "metrics"}


def as_(name: str) -> dict[str, str]:
    return {"x-api-key": f"the-key-of-{name}"}


def lines(*names: str) -> str:
    return "".join(line_of(name, *KEYS[name], f"the-key-of-{name}") + "\n" for name in names)


def service(folder: Path, **settings: Any) -> RunningService:
    (folder / "keys").write_text(lines(*KEYS))
    return RunningService(data_dir=folder / "data", encoder="none", keys_file=folder / "keys", **settings)


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    with service(tmp_path_factory.mktemp("scopes")) as running, running.client() as client:
        running.wait_until_ready()
        for name in ("docs-a", "docs-b", "other", "doc"):
            assert client.put(f"/v1/collections/{name}", json={}, headers=as_("all")).status_code == 201
            client.put(f"/v1/collections/{name}/documents/a", json={"key_vector": [1, 2]}, headers=as_("all"))
        yield client


def routes() -> dict[str, GuardedRoute]:
    by_name = {}
    for context in iter_route_contexts(create_app(Settings(encoder="none")).routes):
        route = context.original_route
        if not isinstance(route, PageMount) and context.path != "/openapi.json":
            assert isinstance(route, GuardedRoute), context.path
            by_name[route.name] = route
    return by_name


ROUTES = routes()


def test_every_route_declares_its_part_of_the_store():
    for name, route in ROUTES.items():
        assert name in OPEN or declared_reach(route) is not None, f"{name} declares nothing: give it a reaches()"
        assert (route.reach == "collection") == ("{name}" in route.path), name
    about = {reach: {n for n, r in ROUTES.items() if r.reach == reach} for reach in ("everything", "collections")}
    assert about == {"everything": EVERYTHING, "collections": SEEN}
    assert {name for name, route in ROUTES.items() if route.reach == "nothing"} == NOTHING | OPEN


def call(client, route: GuardedRoute, collection: str, key: str):
    path = re.sub(r"\{id(:path)?\}", "a", route.path).replace("{name}", collection).replace("{code}", "NONE")
    path = path.replace("{alias}", collection)
    (method,) = route.methods - {"HEAD"}
    body = {} if method == "GET" else {"content": b"{}"}
    kind = "application/x-ndjson" if route.name == "post_lines" else "application/json"
    return client.request(method, path, headers=as_(key) | {"content-type": kind}, **body)


@pytest.mark.parametrize("name", ROUTES)
def test_a_key_for_some_collections_is_kept_to_them(client, name):
    route = ROUTES[name]
    for key in ("docs", "docs-reader"):
        may = route.required_level not in ("feedback", "write") or key == "docs"
        if route.reach == "collection":
            for collection in ("other", "doc", "Docs-a", "none", "xdocs-", "%64oc"):
                refused = call(client, route, collection, key)
                assert (refused.status_code, refused.json()["code"]) == (403, "forbidden"), (key, collection)
                assert not may or "begin with 'docs-'" in refused.json()["detail"]
        own_status = call(client, route, "docs-missing" if route.required_level == "write" else "docs-a", key)
        assert (own_status.status_code == 403) == (name in EVERYTHING or not may), (key, own_status.text)
        assert own_status.status_code not in (401, 500)


def test_collections_of_other_keys_are_refused_whether_they_exist_or_not(client):
    existing, missing = (client.get(f"/v1/collections/{name}", headers=as_("docs")) for name in ("other", "nosuch"))
    assert existing.status_code == missing.status_code == 403
    assert existing.json()["detail"].replace("other", "nosuch") == missing.json()["detail"]


@pytest.mark.parametrize("key", ["docs", "docs-reader"])
@pytest.mark.parametrize(
    ("prefix", "listed"),
    [({}, ["docs-a", "docs-b"]), ({"prefix": "docs-b"}, ["docs-b"]), ({"prefix": "o"}, []), ({"limit": 1}, ["docs-a"])],
)
def test_a_key_lists_only_its_own_collections(client, key, prefix, listed):
    answer = client.get("/v1/collections", params=prefix, headers=as_(key)).json()
    assert [collection["name"] for collection in answer["collections"]] == listed
    assert answer["access"] == ("write" if key == "docs" else "read")
    if prefix == {"limit": 1}:
        after = client.get(
            "/v1/collections", params=prefix | {"cursor": answer["next_cursor"]}, headers=as_(key)
        ).json()
        assert ([collection["name"] for collection in after["collections"]], after["next_cursor"]) == (["docs-b"], None)


def test_a_missing_collection_is_answered_with_those_that_the_key_may_see(client):
    def told(name, key):
        answer = client.get(f"/v1/collections/{name}", headers=as_(key))
        assert answer.status_code == 404
        return answer.json()["detail"]

    create = "or create it with PUT /v1/collections/docs-none"
    listed = "there is no collection 'docs-none': use one of these names:"
    assert told("docs-none", "docs-reader") == f"{listed} docs-a, docs-b; {create}"
    assert told("docs-none", "reader") == f"{listed} doc, docs-a, docs-b, other; {create}"
    for number in range(20):
        client.put(f"/v1/collections/many-{number}", json={}, headers=as_("all"))
    names = ["doc", "docs-a", "docs-b", *sorted(f"many-{number}" for number in range(20))][:20]
    assert told("docs-none", "reader") == f"{listed} {', '.join(names)}, …; {create}"
    for number in range(20):
        client.delete(f"/v1/collections/many-{number}", headers=as_("all"))


def test_a_route_that_declares_nothing_is_for_keys_to_all_collections(tmp_path):
    forgotten = APIRouter(route_class=GuardedRoute)
    plain = APIRouter()

    @forgotten.get("/v1/forgotten")
    @plain.get("/v1/plain")
    async def forget() -> str:
        return "done"

    running = service(tmp_path)
    for router in (forgotten, plain):
        running.app.include_router(router)
        running.app.router.routes.insert(0, running.app.router.routes.pop())  # before the page
    with running, running.client() as client:
        for path in ("/v1/forgotten", "/v1/plain"):
            assert client.get(path, headers=as_("docs")).status_code == 403
            assert client.get(path, headers=as_("all")).json() == "done"


def status(client, name: str) -> int:
    return client.get("/v1/collections", headers=as_(name)).status_code


def wait_for(client, name: str, expected: int) -> None:
    until(lambda: status(client, name) == expected, told=lambda: f"the key of {name} is never answered with {expected}")


def test_keys_are_exchanged_while_it_runs(tmp_path):
    running = service(tmp_path, api_keys=("given",))
    path = tmp_path / "keys"
    path.write_text(lines("docs"))
    with running, running.client() as client:
        wait_for(client, "all", 401)  # it was there when the service was made
        path.write_text(lines("docs", "reader"))
        wait_for(client, "reader", 200)
        path.write_text("broken")
        until(lambda: "softkv_keys_file_usable 0.0" in client.get("/metrics").text)
        assert status(client, "reader") == status(client, "docs") == 200
        path.with_name("new").write_text(lines("reader"))
        path.with_name("new").replace(path)
        wait_for(client, "docs", 401)
        assert status(client, "reader") == 200
        assert client.get("/v1/collections", headers={"x-api-key": "given"}).status_code == 200
        assert "softkv_keys_file_usable 1.0" in client.get("/metrics").text


def test_the_log_names_the_key_of_a_call_and_shows_no_secret(tmp_path, capfd):
    logging.getLogger("softkv").setLevel(logging.INFO)
    with service(tmp_path, api_keys=("given-key",), slow_request_ms=0) as running, running.client() as client:
        client.put("/v1/collections/docs-x", json={}, headers=as_("docs"))
        client.get("/v1/collections", headers={"authorization": "Bearer given-key"})
        client.get("/v1/collections", headers={"x-api-key": "unknown-key"})
        client.get("/v1/backup", headers=as_("docs-reader"))
    log = capfd.readouterr().err
    named = [re.search(r"\bkey=(\S+)", line) for line in log.splitlines() if " request " in line]
    assert [line and line[1] for line in named] == ["docs", "API_KEYS#1", None, "docs-reader"]
    for secret in ("the-key-of", "given-key", "unknown-key"):
        assert secret not in log
