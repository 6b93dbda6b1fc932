"""A function that is called directly gets and refuses what FastAPI would give it and refuse; nothing is skipped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException, Request, Response
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.routing import Match

from softkv.questions import Question
from softkv_service.api.json import JSONAnswer
from softkv_service.api.paths import route_path
from softkv_service.api.routes.attend import QuestionBody
from softkv_service.api.routes.idempotency import Idempotent
from softkv_service.api.routing import (
    AdmissionKind,
    DeclaredFiltering,
    DeclaredReach,
    DirectRoutes,
    GuardedRoute,
    JSONRoute,
    MisplacedDeclaration,
    RequiredLevel,
    direct_calls,
    reaches,
    require_write_by_default,
    requires,
    takes,
)
from softkv_service.api.state import IdInPath, NameInPath, Running, parts_of
from softkv_service.app import create_app
from softkv_service.settings import Settings
from tests.running import RunningService

ASKING = {"attend", "sweep", "compare", "query_documents", "describe_fields", "encode", "embeddings", "attend_arrays"}


class SolvedRoute(JSONRoute):
    """A route as FastAPI calls it."""

    answer = GuardedRoute.answer


async def echo(name: NameInPath, id: IdInPath, body: QuestionBody, running: Running) -> Response:  # noqa: A002
    """Return the arguments of the call."""
    query = body.query if body.query is None or isinstance(body.query, str) else body.query.tolist()
    defaults = vars(Question(query=query, ignore_defaults=body.ignore_defaults))
    fields = {name: value for name, value in vars(body).items() if name != "query" and value != defaults[name]}
    return JSONAnswer({"name": name, "id": id, "query": query, "said": fields, "most": running.max_queue})


async def whole(request: Request, body: QuestionBody) -> Response:
    """Return the remaining facts of the request."""
    return JSONAnswer({"method": request.method, "top_k": body.top_k, "again": (await request.json())["top_k"]})


async def nothing(running: Running) -> Response:
    """Answer without a path and a body."""
    return Response(str(running.max_queue), 299)


async def with_query(name: NameInPath, running: Running, limit: int = 3) -> Response:
    """Answer with a part of the query string."""
    return JSONAnswer([name, limit])


async def with_header(body: QuestionBody, agent: Annotated[str, Header(alias="user-agent")]) -> Response:
    """Answer with a header."""
    return JSONAnswer([agent])


async def with_key(body: QuestionBody, repeatable: Idempotent) -> Response:
    """Answer with another dependency."""
    return JSONAnswer([])


async def plain(running: Running) -> dict[str, int]:
    """Return an answer that FastAPI writes."""
    return {"most": running.max_queue}


async def two(body: QuestionBody, other: QuestionBody) -> Response:
    """Answer with two bodies in one."""
    return JSONAnswer([])


async def forbidding() -> None:
    """A dependency that refuses every call."""
    raise HTTPException(418)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    running = RunningService(data_dir=tmp_path_factory.mktemp("echo"), encoder="none")
    for prefix, kind in (("/v1/direct", JSONRoute), ("/v1/solved", SolvedRoute)):
        router = APIRouter(prefix=prefix, route_class=kind, dependencies=[requires("read")])
        router.post("/echo/{name}/{id:path}")(echo)
        router.post("/whole")(whole)
        router.get("/nothing")(nothing)
        running.app.include_router(router)
        running.app.router.routes.insert(0, running.app.router.routes.pop())
    with running, running.client() as client:
        yield client


BODIES: list[Any] = [
    {"query": [1, 2.5]}, {"query": "text", "top_k": 3.0, "include": ["key"], "null": False, "temperature": "auto"},
    {}, {"query": [1, "2"], "top_k": -1, "unknown": {"a": [1]}},
    {"query": [], "temperature": -1, "include": ["key", "no", 3], "filter": {"field": 1}},
    {"queries": [[1], "a", {"base64": "AAA"}], "max_error": 0}, {"query": None, "normaliser": "hardmax"}, [], None,
    "text", 3,
]  # fmt: skip


@pytest.mark.parametrize("path", ["a/b", "a/b%2Fc/d", "-/b", "a/%2E%2E", "%20/%2E"])
@pytest.mark.parametrize("body", BODIES, ids=str)
def test_a_direct_call_accepts_and_refuses_the_same_arguments(client, path, body):
    direct, solved = (client.post(f"/v1/{way}/echo/{path}", json=body) for way in ("direct", "solved"))
    assert (direct.status_code, direct.content) == (solved.status_code, solved.content)
    assert direct.headers["content-type"] == solved.headers["content-type"]


@pytest.mark.parametrize("content", [b"", b"{", b"null", b"\xff", b"[" * 2000])
@pytest.mark.parametrize("kind", ["application/json", "application/x+json; charset=utf-8", "text/plain", None])
def test_a_direct_call_refuses_invalid_json_in_the_same_way(client, content, kind):
    headers = {} if kind is None else {"content-type": kind}
    direct, solved = (
        client.post(f"/v1/{way}/echo/a/b", content=content, headers=headers) for way in ("direct", "solved")
    )
    assert (direct.status_code, direct.content) == (solved.status_code, solved.content)
    assert direct.status_code in (400, 415, 422)


def test_a_direct_call_may_take_the_request_or_no_argument(client):
    for way in ("direct", "solved"):
        assert client.post(f"/v1/{way}/whole", json={"top_k": 3}).json() == {"method": "POST", "top_k": 3, "again": 3}
        answer = client.get(f"/v1/{way}/nothing")
        assert (answer.status_code, answer.text) == (299, "256")
        assert client.head(f"/v1/{way}/nothing").headers["content-length"] == "3"
        assert client.put(f"/v1/{way}/whole", json={}).status_code == 405


def is_direct(endpoint: Any, **options: Any) -> bool:
    router = APIRouter(route_class=JSONRoute, dependencies=[requires("read")])
    router.post("/{name}" if endpoint is with_query else "/", **options)(endpoint)
    return bool(direct_calls(router.routes))


@pytest.mark.parametrize("endpoint", [with_query, with_header, with_key, plain, two])
def test_whatever_takes_or_answers_more_goes_fastapis_way(endpoint):
    assert not is_direct(endpoint)


def test_an_unknown_dependency_prevents_a_direct_call():
    assert is_direct(nothing)
    assert is_direct(nothing, dependencies=[requires("write")])
    assert not is_direct(nothing, dependencies=[Depends(forbidding)])


def refusing(tmp_path: Path, **options: Any) -> RunningService:
    """Return a service, not yet started, with a router that was included with these options."""
    running = RunningService(data_dir=tmp_path, encoder="none", api_keys=("w",), read_keys=("r",))
    router = APIRouter(prefix="/v1/included", route_class=JSONRoute, dependencies=[requires("read")])
    router.get("/nothing")(nothing)
    outer = APIRouter()
    outer.include_router(router, **options)
    running.app.include_router(outer)
    running.app.router.routes.insert(0, running.app.router.routes.pop())
    return running


@pytest.mark.parametrize(
    ("options", "status"),
    [({}, 299), ({"dependencies": [Depends(forbidding)]}, 418), ({"dependencies": [requires("write")]}, 403)],
    ids=["none", "refusing", "level"],
)
def test_a_dependency_of_include_router_is_called(tmp_path, options, status):
    with refusing(tmp_path, **options) as running, running.client(headers={"X-API-Key": "r"}) as client:
        assert client.get("/v1/included/nothing").status_code == status


def test_a_route_that_is_included_twice_is_not_direct():
    router = APIRouter(prefix="/v1/included", route_class=JSONRoute, dependencies=[requires("read")])
    router.get("/nothing")(nothing)
    outer = APIRouter()
    outer.include_router(router)
    assert len(direct_calls(outer.routes)) == 1
    outer.include_router(router, prefix="/again", dependencies=[Depends(forbidding)])
    assert direct_calls(outer.routes) == {}


@pytest.mark.parametrize("declaration", [takes("lookup"), reaches("everything")])
def test_a_declaration_that_no_route_would_see_is_refused(declaration):
    router = APIRouter(route_class=JSONRoute, dependencies=[requires("read")])
    router.get("/nothing")(nothing)
    outer = APIRouter()
    outer.include_router(router, dependencies=[declaration])
    with pytest.raises(MisplacedDeclaration, match="/nothing"):
        direct_calls(outer.routes)


def test_while_dependencies_are_overridden_fastapi_calls_every_route(tmp_path):
    with refusing(tmp_path) as running, running.client(headers={"X-API-Key": "r"}) as client:
        overrides = running.app.dependency_overrides
        for dependency in (parts_of, require_write_by_default):
            overrides[dependency] = forbidding
            assert client.get("/v1/included/nothing").status_code == 418
            # A route of the service guards itself: it needs no default.
            assert client.get("/v1").status_code == (418 if dependency is parts_of else 200)
            overrides.clear()
            assert client.get("/v1/included/nothing").status_code == 299
            assert client.get("/v1").status_code == 200


def test_the_calls_that_ask_are_direct_and_have_no_dependency_that_is_skipped():
    app = create_app(Settings(encoder="none"))
    calls, direct = direct_calls(app.routes), set()
    for context in iter_route_contexts(app.routes):
        if id(context.original_route) in calls:
            direct.add(context.name)
            for dependency in context.dependant.dependencies:  # those of the application and its routers, too
                assert dependency.call in (parts_of, require_write_by_default) or isinstance(
                    dependency.call, RequiredLevel | AdmissionKind | DeclaredReach | DeclaredFiltering
                )
    assert direct >= ASKING


def match_in_turn(app: FastAPI, scope: dict[str, Any]) -> tuple[Any, dict[str, str]] | None:
    """Return the first route that matches, with the parameters of the path, as FastAPI compares them."""
    for context in iter_route_contexts(app.routes):
        if isinstance(context.original_route, APIRoute):
            match, child = context.original_route.matches(scope)
            if match is Match.FULL:
                return context.original_route, child["path_params"]
    return None


def test_a_direct_route_is_the_one_that_fastapi_would_choose():
    app = create_app(Settings(encoder="none"))
    routes, direct = DirectRoutes(app, direct_calls(app.routes)), 0
    paths = {context.path for context in iter_route_contexts(app.routes) if context.path}
    literals = {word for path in paths for word in path.split("/") if word.isalpha()}
    words = ["x", "a b", "{name}", "{}", "{routes}", *sorted(literals)]
    requests = {
        (method, "/".join(word if segment.startswith("{") else segment for segment in path.split("/")) + end)
        for path in paths
        for word in words
        for end in ("", "/", "/x")
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "TRACE")
    }
    for method, path in sorted(requests):
        scope = {"type": "http", "method": method, "path": path, "root_path": "", "headers": [], "app": app}
        route = routes.find(scope, route_path(scope))
        if route is not None:
            direct += 1
            assert (route, scope["path_params"]) == match_in_turn(app, scope), (method, path)
    assert direct > 400


def test_a_direct_route_heeds_the_root_path():
    app = create_app(Settings(encoder="none"))
    routes = DirectRoutes(app, direct_calls(app.routes))
    scope = {"type": "http", "method": "GET", "path": "/below/v1", "root_path": "/below", "headers": []}
    route = routes.find(scope, route_path(scope))
    assert route is not None
    assert route.path == "/v1"
    assert routes.find(scope, route_path({**scope, "root_path": ""})) is None
