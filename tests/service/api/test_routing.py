"""Each route declares its permissions; one without a declaration would be for writers."""

from __future__ import annotations

import httpx
import pytest
from fastapi import APIRouter

from softkv_service.api.routing import GuardedRoute, declared_filtering, declared_kind, declared_level, requires, takes
from tests.running import RunningService
from tests.service.api.middleware.test_access_scopes import ROUTES
from tests.service.api.refused import GUARDED, RE_ENCODING, WRITES
from tests.service.api.test_openapi import DESCRIBED, OPERATIONS

READ, WRITE = {"x-api-key": "r"}, {"x-api-key": "w"}
OPEN = {"livez", "readyz", "metrics"}
JSON = {"content-type": "application/json"}
NDJSON = {"content-type": "application/x-ndjson"}


@pytest.fixture(scope="module")
def keyed(service_of):
    return service_of(api_keys=("w",), read_keys=("r",))


def test_every_route_declares_its_required_permission():
    levels = {name: declared_level(route) for name, route in ROUTES.items()}
    undeclared = [name for name, level in levels.items() if level is None]
    assert undeclared == [], f"{undeclared} declare nothing: give them a requires()"
    writes = (GUARDED.keys() - {"give_feedback"}) | {"post_lines"}
    assert levels == {
        **dict.fromkeys(levels, "read"),
        **dict.fromkeys(OPEN, "none"),
        **dict.fromkeys(writes, "write"),
        "give_feedback": "feedback",
    }
    assert levels.keys() == DESCRIBED.operations.keys() | {"post_lines", "post_mcp_message"}


IN_ROOMS = {
    "open_room",
    "get_room",
    "close_room",
    "put_room_row",
    "delete_room_row",
    "delete_room_rows",
    "ask_room",
    "put_guess",
    "patch_room",
    "leave_words_out",
}
KINDS = {
    "lookup": {"attend", "sweep", "compare", "calibrate"},
    "encode": {"encode", "embeddings", "trace", "rerank", "rerank_as_cohere", "score"},
    "write": (WRITES | RE_ENCODING).keys(),
    "stateless": {"attend_arrays", "compare_rows", "get_lab", "decode_source", "post_mcp_message"} | IN_ROOMS,
    "listen": {"hear_room"},
    "stream": {"get_backup", "post_lines", "train_model", "read_table"},
}


GUARDING = {name: route for name, route in ROUTES.items() if route.required_level != "none"}
FILTERING = {name: declared_filtering(route) for name, route in GUARDING.items()}
WHOLE = {
    "put_collection",
    "patch_collection",
    "delete_collection",
    "calibrate",
    "get_backup",
    "list_slow_requests",
    "unload_encoder",
    "start_re_encoding",
    "cancel_re_encoding",
    "store_projection",
    "get_projection",
    "get_lab",
    "train_model",
    "decode_source",
    "hear_room",
    *IN_ROOMS,
    "list_aliases",
    "put_alias",
    "get_alias",
    "delete_alias",
    "list_feedback",
    "delete_feedback",
}
NO_DOCUMENTS = {
    "get_service",
    "list_encoders",
    "list_models",
    "get_model",
    "encode",
    "embeddings",
    "trace",
    "attend_arrays",
    "compare_rows",
    "read_table",
    "rerank",
    "rerank_as_cohere",
    "score",
}
OF_THE_PART = {
    "attend",
    "sweep",
    "compare",
    "list_collections",
    "get_collection",
    "get_document",
    "query_documents",
    "describe_fields",
    "put_document",
    "patch_document",
    "delete_document",
    "post_documents",
    "post_lines",
    "update_documents",
    "delete_documents",
    "post_mcp_message",
    "give_feedback",
}


def test_every_call_declares_how_it_treats_a_key_with_a_filter():
    undecided = [name for name, treatment in FILTERING.items() if treatment is None]
    assert undecided == [], f"{undecided} declare nothing: give them a filters()"
    listed = {
        **dict.fromkeys(WHOLE, "whole"),
        **dict.fromkeys(NO_DOCUMENTS, "nothing"),
        **dict.fromkeys(OF_THE_PART, "filtered"),
    }
    assert listed == FILTERING, "list each call once, in WHOLE, NO_DOCUMENTS or OF_THE_PART, as it declares"


def test_every_call_declares_the_kind_of_its_place():
    kinds: dict[str, set[str]] = {}
    for name, route in GUARDING.items():
        assert declared_kind(route) is not None, f"{name} declares no kind: give it a takes()"
        assert route.kind == declared_kind(route)
        kinds.setdefault(route.kind, set()).add(name)
    reads = kinds.pop("read")
    assert kinds == KINDS
    assert reads == DESCRIBED.operations.keys() - OPEN - set().union(*KINDS.values())


def test_a_route_without_a_kind_takes_a_slot_for_writes_and_a_probe_none():
    router = APIRouter(dependencies=[requires("read"), takes("read")], route_class=GuardedRoute)
    bare = APIRouter(route_class=GuardedRoute)

    @router.get("/a", dependencies=[takes("lookup")])
    @router.get("/b")
    @bare.get("/c")
    @bare.get("/d", dependencies=[requires("none")])
    async def route() -> None: ...

    kinds = {declared.path: declared.kind for declared in (*router.routes, *bare.routes)}
    assert kinds == {"/a": "lookup", "/b": "read", "/c": "write", "/d": None}


def test_the_description_says_of_calls_that_write_or_are_about_a_collection_that_they_may_be_forbidden():
    forbidden = {
        operation.id
        for operation in OPERATIONS
        if "forbidden"
        in operation.described["responses"]["403"]["content"].get("application/problem+json", {}).get("examples", {})
    }
    of_wholes = {name for name, treatment in FILTERING.items() if treatment == "whole"}
    about = {operation.id for operation in OPERATIONS if "{name}" in operation.path}
    assert forbidden == GUARDED.keys() | about | of_wholes


def test_the_highest_declaration_holds():
    router = APIRouter(dependencies=[requires("read")], route_class=GuardedRoute)

    @router.get("/a", dependencies=[requires("write")])
    @router.get("/b", dependencies=[requires("none")])
    @router.get("/c")
    async def route() -> None: ...

    assert {declared.path: declared_level(declared) for declared in router.routes} == {
        "/a": "write",
        "/b": "read",
        "/c": "read",
    }


@pytest.mark.parametrize("route_class", [None, GuardedRoute])
def test_a_route_that_declares_nothing_is_for_writers(tmp_path, route_class):
    forgotten = APIRouter(**({"route_class": route_class} if route_class else {}))
    done = []

    @forgotten.api_route("/v1/forgotten", methods=["GET", "POST"])
    async def forget() -> str:
        done.append(1)
        return "done"

    running = RunningService(data_dir=tmp_path, encoder="none", api_keys=("w",), read_keys=("r",))
    running.app.include_router(forgotten)
    running.app.router.routes.insert(0, running.app.router.routes.pop())  # before the page
    with running, running.client() as client:
        for method in ("GET", "POST", "HEAD"):
            assert client.request(method, "/v1/forgotten").status_code == 401
            assert client.request(method, "/v1/forgotten", headers=READ).status_code == 403
        assert not done
        assert client.post("/v1/forgotten", headers=WRITE).json() == "done"


def test_outside_v1_a_route_that_asks_for_something_asks_for_a_key(tmp_path):
    elsewhere = APIRouter(route_class=GuardedRoute)

    @elsewhere.get("/elsewhere", dependencies=[requires("read")])
    async def look() -> str:
        return "seen"

    running = RunningService(data_dir=tmp_path, encoder="none", api_keys=("w",), read_keys=("r",))
    running.app.include_router(elsewhere)
    running.app.router.routes.insert(0, running.app.router.routes.pop())
    with running, running.client() as client:
        assert client.get("/elsewhere").status_code == 401
        assert client.get("/elsewhere", headers={"x-api-key": "x"}).status_code == 401
        assert client.get("/elsewhere", headers=READ).json() == "seen"


def test_a_caller_without_write_permission_is_refused_before_the_body_is_read(keyed):
    with keyed.client(headers=READ) as client:
        client.put("/v1/collections/c", json={}, headers=WRITE)
        for headers in (JSON, NDJSON):
            answer = client.post("/v1/collections/c/documents", content=b"no document", headers=headers)
            assert answer.status_code == 403
            assert answer.json()["code"] == "forbidden"


@pytest.mark.parametrize("path", ["nothing", "collections/a/b", "collections/a/documents/b", ""])
def test_without_a_key_an_unknown_place_is_a_401(keyed, path):
    for method in ("GET", "POST", "PUT", "DELETE", "HEAD", "TRACE", "PROPFIND"):
        assert httpx.request(method, f"{keyed.url}/v1/{path}", timeout=60).status_code == 401
    assert httpx.options(f"{keyed.url}/v1/{path}").status_code in (404, 405)
