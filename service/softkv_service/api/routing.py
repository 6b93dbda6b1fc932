"""Route classes: what a route declares about its callers, and how its function is called."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import closing, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property, partial
from inspect import signature
from typing import Any, TypeVar, get_type_hints

from fastapi import APIRouter, Depends, FastAPI, Request, Response, params
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from starlette.datastructures import Headers
from starlette.routing import BaseRoute
from starlette.types import Receive, Scope, Send

from softkv_service.api.admission import Admission, CancelOnDisconnect, Kind
from softkv_service.api.body import JSONRequest, body_limit, require_json, require_json_type, wait_if_heavy
from softkv_service.api.json import NDJSON
from softkv_service.api.keyring import CHANGING, LEVELS, Holder, Level
from softkv_service.api.middleware.access import NO_HOLDER, Filtering, Reach, admit, caller_of
from softkv_service.api.middleware.access_record import begin_change
from softkv_service.api.problems.table import ANY_CALL, Responses, refusals
from softkv_service.api.state import parts_of
from softkv_service.retrieval import CollectionNotFound
from softkv_service.scheduling import CALLER
from softkv_service.schemas.answers import is_record, refer
from softkv_service.storage.errors import CollectionMissing, StoreUnavailable

LINES_PATH = "/v1/collections/{name}/documents"
"""The path that takes NDJSON, too: by another route, which only NDJSON reaches."""


@dataclass(frozen=True)
class DirectCall:
    """A direct call of a route's function, without FastAPI's dependency injection.

    That injection takes most of a short request's time. The function may take path parameters, the body, the service's
    state and the request. Values are validated by FastAPI's own fields, with the same errors.

    Attributes:
        endpoint: the function; it returns a Response.
        path: the fields of the path parameters.
        body: the field of the body, or None.
        parts, request: the names of the parameters for the state and the request, or None.
    """

    endpoint: Callable[..., Coroutine[Any, Any, Response]]
    path: tuple[Any, ...]
    body: Any
    parts: str | None
    request: str | None

    @classmethod
    def of(cls, route: RouteContext) -> DirectCall | None:
        """Return the direct call of a route's function, or None if FastAPI must call it.

        FastAPI must if the function has other parameters than a direct call gives, or does not return a Response. It
        must also if the route, a router or the application adds a dependency that `GuardedRoute` does not check.

        Args:
            route: the route, with what its routers and the application add to it.
        """
        assert route.endpoint is not None
        dependant, parts, checked = route.dependant, None, _dependencies_of_guard(route)
        for dependency in dependant.dependencies:
            if dependency.call is parts_of:
                parts = dependency.name
            elif id(dependency.call) not in checked:
                return None
        bodies = dependant.body_params
        names = {field.name for field in (*dependant.path_params, *bodies)} | {parts, dependant.request_param_name}
        parameters, returned = signature(route.endpoint).parameters, get_type_hints(route.endpoint).get("return")
        if len(bodies) > 1 or not parameters.keys() <= names or not _is_response(returned):
            return None
        body = bodies[0] if bodies else None
        return cls(route.endpoint, tuple(dependant.path_params), body, parts, dependant.request_param_name)

    async def __call__(self, request: JSONRequest) -> Response:
        """Validate the request, whose body was parsed, call the function and return its response.

        Raises:
            RequestValidationError: a path parameter or the body is invalid.
        """
        values, errors, body = dict[str, Any](), list[Any](), None
        for field in self.path:
            values[field.name], flaws = field.validate(
                request.path_params[field.alias], values, loc=("path", field.alias)
            )
            errors += flaws or ()
        if self.body is not None:
            body = request.content
            values[self.body.name], flaws = self.body.validate(body, values, loc=("body",))
            errors += flaws or ()
        if errors:
            raise RequestValidationError(errors, body=body)
        if self.parts is not None:
            values[self.parts] = await parts_of(request)
        if self.request is not None:
            values[self.request] = request
        return await self.endpoint(**values)


def _is_response(returned: Any) -> bool:
    return isinstance(returned, type) and issubclass(returned, Response)


class MisplacedDeclaration(TypeError):
    """A declaration given to `include_router`, where `GuardedRoute` does not see it."""


def direct_calls(routes: Sequence[BaseRoute]) -> dict[int, DirectCall]:
    """Return the direct calls of an application's routes, by the `id` of the route.

    Call this when all routers are included, since `include_router` may add dependencies. A route that is included
    twice gets no direct call, because the two may have different dependencies.

    Raises:
        MisplacedDeclaration: `include_router` got `takes`, `reaches` or `filters`.
    """
    calls, seen = dict[int, DirectCall | None](), set[int]()
    for context in iter_route_contexts(routes):
        route = context.original_route
        if not isinstance(route, GuardedRoute):
            continue
        checked = _dependencies_of_guard(context)
        for dependency in context.dependant.dependencies:
            kinds = AdmissionKind | DeclaredReach | DeclaredFiltering
            if isinstance(dependency.call, kinds) and id(dependency.call) not in checked:
                raise MisplacedDeclaration(
                    f"include_router got {dependency.call} for {context.path}. Give it to the router or the route."
                )
        if isinstance(route, JSONRoute) and type(route).answer is JSONRoute.answer:
            calls[id(route)] = None if id(route) in seen else DirectCall.of(context)
            seen.add(id(route))
    return {identity: call for identity, call in calls.items() if call is not None}


class DirectRoutes:
    """The routes with a direct call, which are found by method and path without comparing all routes in turn.

    A segment of a path that is written out takes precedence over a parameter. A route with a parameter that may hold a
    slash is not among them.

    Args:
        app: the application, which must have all of its routes.
    """

    def __init__(self, app: FastAPI, calls: Mapping[int, DirectCall]) -> None:
        self._app = app
        self._tree: Any = {}  # of dicts by segment; those at the end of a path have its routes by method
        for context in iter_route_contexts(app.routes):
            route, path = context.original_route, context.path
            if isinstance(route, APIRoute) and path is not None and ":" not in path:
                self._add(path, route, direct=id(route) in calls)

    def _add(self, path: str, route: APIRoute, *, direct: bool) -> None:
        """Add a route, unless an earlier one has its path and method; one without a direct call is only in the way."""
        node, names = self._tree, list[str]()
        for segment in path[1:].split("/"):
            is_parameter = segment.startswith("{")
            if is_parameter:
                names.append(segment[1:-1])
            node = node.setdefault(PARAMETER if is_parameter else segment, {})
        for method in route.methods or ():
            node.setdefault(ROUTES, {}).setdefault(method, (route if direct else None, names))

    def find(self, scope: Scope, path: str) -> APIRoute | None:
        """Return the route of a request, and write it and the parameters of the path into the ASGI scope; or None.

        Args:
            scope: the request's ASGI scope.
            path: its path below the root path of the scope.
        """
        node, values = self._tree, list[str]()
        for segment in path[1:].split("/"):
            child = node.get(segment)
            if child is None:
                child = node.get(PARAMETER) if segment else None
                values.append(segment)
            if child is None:
                return None
            node = child
        route: APIRoute | None
        route, names = node.get(ROUTES, {}).get(scope["method"], (None, ()))
        if route is None or self._app.dependency_overrides:
            return None
        scope["route"], scope["endpoint"] = route, route.endpoint
        scope["path_params"] = dict(zip(names, values, strict=True))
        return route


PARAMETER, ROUTES = object(), object()  # keys of a tree of segments, which no segment of a request equals


def _dependencies_of_guard(context: RouteContext) -> set[int]:
    """Return the `id` of each dependency that needs no call, because `GuardedRoute` does its work.

    These are the declarations of the route and its own router. Those of `include_router` are not among them.
    """
    declared = (dependency.dependency for dependency in getattr(context.original_route, "dependencies", ()))
    declarations = (call for call in declared if isinstance(call, Declaration))
    return {id(require_write_by_default), *map(id, declarations)}


HEAVY_BODY = 4 << 20
T = TypeVar("T")
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


@dataclass(frozen=True)
class RequiredLevel:
    """A dependency that declares the level of access that a caller needs: none, read, feedback or write.

    Of several declarations for a route, the highest level counts.
    """

    level: Level

    async def __call__(self, request: Request) -> None:
        """Raise an APIError if the caller lacks the level."""
        admit_call(request.scope, self.level)


@dataclass(frozen=True)
class AdmissionKind:
    """A dependency that declares of which kind a route's calls are, since each kind has its limit of running calls.

    A route's own declaration overrides that of its router.
    """

    kind: Kind

    async def __call__(self) -> None:
        """Do nothing when FastAPI calls it: GuardedRoute reads the declaration and admits the call."""


@dataclass(frozen=True)
class DeclaredReach:
    """A dependency that declares which data a route reaches, since an API key may cover only some collections.

    A route's own declaration overrides that of its router.
    """

    reach: Reach
    by_alias: bool = True

    async def __call__(self) -> None:
        """Do nothing when FastAPI calls it: GuardedRoute reads the declaration and checks the key's collections."""


def reaches(reach: Reach, *, by_alias: bool = True) -> Any:
    """Return a dependency that declares which data a router or a route reaches, for `dependencies`.

    Args:
        reach: the data.
        by_alias: whether an alias may stand for the name of the collection in the path.
    """
    return Depends(DeclaredReach(reach, by_alias))


def declared_reach(route: Any) -> Reach | None:
    """Return the declaration of which data a route reaches, or None."""
    about = _declarations(route, DeclaredReach)
    return about[-1].reach if about else None


@dataclass(frozen=True)
class DeclaredFiltering:
    """A dependency that declares how a route treats an API key with a filter.

    A route's own declaration overrides that of its router. A route that declares nothing refuses such keys.
    """

    filtering: Filtering

    async def __call__(self) -> None:
        """Do nothing when FastAPI calls it: GuardedRoute reads the declaration and checks the key."""


def filters(filtering: Filtering) -> Any:
    """Return a dependency that declares how a router or a route treats keys with a filter, for `dependencies`."""
    return Depends(DeclaredFiltering(filtering))


def declared_filtering(route: Any) -> Filtering | None:
    """Return the declaration of how a route treats keys with a filter, or None."""
    declarations = _declarations(route, DeclaredFiltering)
    return declarations[-1].filtering if declarations else None


def takes(kind: Kind) -> Any:
    """Return a dependency that declares the kind of calls of a router or a route, for `dependencies`.

    Each kind has its own slots, a limited number of calls that run at once.
    """
    return Depends(AdmissionKind(kind))


def declared_kind(route: Any) -> Kind | None:
    """Return the kind of calls that a route declares, or None. Each kind has its own limit of running calls."""
    kinds = _declarations(route, AdmissionKind)
    return kinds[-1].kind if kinds else None


def requires(level: Level) -> Any:
    """Return a dependency that declares the level that callers of a router or a route need, for `dependencies`."""
    return Depends(RequiredLevel(level))


def declared_level(route: Any) -> Level | None:
    """Return the level that a route declares, or None."""
    levels = [declaration.level for declaration in _declarations(route, RequiredLevel)]
    return max(levels, key=LEVELS.index, default=None)


Declaration = RequiredLevel | AdmissionKind | DeclaredReach | DeclaredFiltering


OVERRIDES: ContextVar[dict[Any, Any]] = ContextVar("dependency overrides")


class CurrentApplication:
    """The application that answers the current call, which FastAPI asks for overrides; applications share routes."""

    @property
    def dependency_overrides(self) -> dict[Any, Any]:
        """Return the application's overrides of dependencies."""
        return OVERRIDES.get()


def operation_id(route: APIRoute) -> str:
    """Return the name of a route's call in generated clients: the name of the route's function."""
    return route.name


def _declarations(route: Any, kind: type[T]) -> list[T]:
    """Return a route's declarations of one type; those of its router come first."""
    dependencies = (dependency.dependency for dependency in getattr(route, "dependencies", ()))
    return [call for call in dependencies if isinstance(call, kind)]


def admit_call(scope: Scope, needed: Level, reach: Reach = "nothing", filtering: Filtering = "nothing") -> None:
    """Check the caller's access as `admit` does. If the call changes something, begin its record in the access log.

    Raises:
        AccessLogUnwritable: the call changes something, and the access log cannot be written.
    """
    admit(scope, needed, reach, filtering)
    if needed in CHANGING:
        begin_change()


def resolve_alias(scope: Scope) -> bool:
    """Replace an alias in the path by the name of its collection; return whether the name has changed.

    The call keeps this collection even if the alias moves later. An alias of a collection that
    the key does not cover stays as it is, like a name that is not there.
    """
    state, path = scope["state"], scope["path_params"]
    named, before = state.setdefault("named", path["name"]), path["name"]
    holder: Holder = state.get("holder", NO_HOLDER)
    target = scope["app"].state.parts.catalogue.aliases.names.get(named)
    path["name"] = target if target is not None and holder.reaches(target) else named
    return bool(path["name"] != before)


async def require_write_by_default(request: Request) -> None:
    """Admit only callers that may write to all collections, if a route declares nothing.

    Every route has this dependency.
    """
    if declared_level(request.scope.get("route")) is None:
        admit_call(request.scope, "write", "everything", "whole")


class GuardedRoute(APIRoute):
    """A route that checks the caller's level, the length of the body and the limit of running calls (slots).

    The level is declared with `requires`, the kind of slot with `takes`, the data with `reaches`. A call about one
    collection is refused while it is a demo collection that is still loading.

    A route without declarations is for callers that may write, and takes a slot for writes. A route that is open to all
    needs no slot. An API key for some collections is accepted only if `reaches` declares that the route touches no
    other collections, and one with a filter only if `filters` declares how.
    """

    reads_in_parts = False  # True: the route reads the body itself, within the limit
    reads_any_length = False  # True: it also lifts the limit
    outlives_its_caller = False  # True: the call goes on when the client disconnects, as a write does

    def __init__(
        self,
        path: str,
        endpoint: Callable[..., Any],
        *,
        dependencies: Sequence[params.Depends] | None = None,
        **options: Any,
    ) -> None:
        """Create the route. FastAPI gets no declarations: it would inspect each of them at every start."""
        self.answers = _describe_answers(options)
        declared = list(dependencies or ())
        called = [dependency for dependency in declared if not isinstance(dependency.dependency, Declaration)]
        options |= {"generate_unique_id_function": operation_id, "dependency_overrides_provider": CurrentApplication()}
        super().__init__(path, endpoint, dependencies=called, **options)
        self.dependencies = declared
        if self.body_field is not None and self.body_field.field_info.alias == self.body_field.name:
            # Pydantic warns of the alias that FastAPI adds, each time when it builds the validator of a deferred model.
            self.body_field.field_info.alias = None
            self.body_field.__post_init__()

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check the caller, the body and admission, then answer. A wrong method is refused by the parent class."""
        if scope["method"] not in (self.methods or ()):
            await super().handle(scope, receive, send)
            return
        if self.takes_alias:
            resolve_alias(scope)
        kind = self.kind_of(scope)
        admit_call(scope, self.required_level, self.reach, self.filtering)
        caller = caller_of(scope)
        if self.reach == "collection":
            demo, name = scope["app"].state.parts.demo, scope["path_params"]["name"]
            if name in demo.progress:
                demo.check(name)
        limit = body_limit(scope)
        if self.reads_any_length:
            limit.lift()
        limit.check()
        if kind is None:
            with closing(limit):
                await self.answer(scope, receive, send)
            return
        admission: Admission = scope["state"]["admission"]
        CALLER.set(caller)
        if kind in ("stream", "listen"):
            scope["app"].state.shutdown.check_streams()
        if not self.reads_any_length and limit.has_body:
            admission.check(kind, caller)  # before the body is read
            if self.check_declared is not None:
                self.check_declared(Headers(scope=scope))
            if not self.reads_in_parts:
                await limit.read(caller)  # a body in transit needs no slot
        is_write = kind == "write" or self.outlives_its_caller  # these must not stop half-way
        leaving = nullcontext() if is_write else CancelOnDisconnect(scope)
        with closing(limit), admission.admit(kind, caller), leaving:
            if self.reach in ("collection", "collections"):
                await scope["app"].state.parts.catalogue.refresh()
                if self.takes_alias and resolve_alias(scope):  # it was moved while this call waited
                    admit(scope, self.required_level, self.reach, self.filtering)
            await self.answer(scope, receive, send)

    @cached_property
    def check_declared(self) -> Callable[[Headers], None] | None:
        """Refuses a body by its headers, before it is read; None for a route that takes any body."""
        return None

    @cached_property
    def required_level(self) -> Level:
        """The level that the caller needs."""
        return declared_level(self) or "write"

    @cached_property
    def reach(self) -> Reach:
        """The data that the route reaches, as declared."""
        return "nothing" if self.required_level == "none" else declared_reach(self) or "everything"

    @cached_property
    def takes_alias(self) -> bool:
        """Whether an alias may stand for the name of the collection in the path, as declared."""
        return self.reach == "collection" and _declarations(self, DeclaredReach)[-1].by_alias

    @cached_property
    def filtering(self) -> Filtering:
        """The treatment of keys with a filter, as declared."""
        return "nothing" if self.required_level == "none" else declared_filtering(self) or "whole"

    @cached_property
    def kind(self) -> Kind | None:
        """The kind of slot that calls of this route hold while they run, or None if they need none."""
        return None if self.required_level == "none" else declared_kind(self) or "write"

    def kind_of(self, scope: Scope) -> Kind | None:
        """Return the kind of slot that one call holds while it runs, or None if it needs none.

        A call that encodes texts needs `stream` if the client accepts NDJSON.
        """
        streams = self.kind == "encode" and NDJSON in Headers(scope=scope).get("accept", "")
        return "stream" if streams else self.kind

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a call that was admitted; an ASGI call."""
        OVERRIDES.set(scope["app"].dependency_overrides)
        await super().handle(scope, receive, send)


class JSONRoute(GuardedRoute):
    """A route that takes JSON only; any other body gets a 400 or a 415, not a 422."""

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the route's function directly if possible, else through FastAPI."""
        app = scope["app"]
        call: DirectCall | None = None if app.dependency_overrides else app.direct_calls.get(id(self))
        if call is None:
            await super().answer(scope, receive, send)
            return
        request = JSONRequest(scope, receive, send)
        try:
            response = await self._strictly(call, request)
        except (CollectionNotFound, CollectionMissing):
            if not await self._has_moved(scope):
                raise
            response = await self._strictly(call, request)
        await response(scope, receive, send)

    async def _has_moved(self, scope: Scope) -> bool:
        """Return whether a call named its collection by an alias that stands for another one now.

        So a question is answered although the collection was deleted as soon as its alias had moved.
        """
        if not self.takes_alias:
            return False
        await scope["app"].state.parts.catalogue.refresh()
        if not resolve_alias(scope):
            return False
        admit(scope, self.required_level, self.reach, self.filtering)
        return True

    @cached_property
    def check_declared(self) -> Callable[[Headers], None] | None:
        """Refuses a body that is not declared as JSON."""
        if self.body_field is None:
            return None
        return partial(require_json_type, takes_lines=self.path == LINES_PATH and self.methods == {"POST"})

    def get_route_handler(self) -> Handler:
        """Return FastAPI's handler, after strict parsing of the body."""
        handle = super().get_route_handler()

        async def read_then_handle(request: Request) -> Response:
            return await self._strictly(handle, JSONRequest(request.scope, request.receive))

        return read_then_handle

    async def _strictly(
        self, handle: Callable[[JSONRequest], Coroutine[Any, Any, Response]], request: JSONRequest
    ) -> Response:
        if self.body_field is not None:
            await wait_if_heavy(request.scope, len(await request.body()), HEAVY_BODY)
            await require_json(request)
            await request.validate_large(self.body_field)
        try:
            return await handle(request)
        except StoreUnavailable as error:
            if not error.connection_lost or self.required_level in CHANGING:
                raise
        return await handle(request)


def _describe_answers(options: dict[str, Any]) -> list[Any]:
    """Keep the client's records that a route answers from FastAPI, and return them, the main one first.

    FastAPI would need models of them at each start. The other responses refer to theirs.
    """
    responses = {status: dict(response) for status, response in (options.get("responses") or {}).items()}
    alternatives = [response for response in responses.values() if is_record(response.get("model"))]
    records = [response.pop("model") for response in alternatives]
    for response, kind in zip(alternatives, records, strict=True):
        response["content"] = {"application/json": {"schema": refer(kind)}}
    options["responses"] = responses
    if is_record(options.get("response_model")):
        records.insert(0, options.pop("response_model"))
        options["response_model"] = None
    return records


def json_router(
    prefix: str, tag: str, kind: Kind, reach: Reach, filtering: Filtering, responses: Responses = ANY_CALL
) -> APIRouter:
    """Return a router for JSON calls, for callers that may read. Routes that write declare a higher level.

    Args:
        prefix: the beginning of the routes' paths.
        tag: the heading of these calls in the OpenAPI description.
        kind: the kind of slot that the calls hold while they run.
        reach: which data the calls reach.
        filtering: how the calls treat API keys with a filter.
        responses: the OpenAPI descriptions of refusals.
    """
    if filtering == "whole":
        responses = responses | refusals("forbidden", "host_refused")
    return APIRouter(
        prefix=prefix,
        tags=[tag],
        route_class=JSONRoute,
        dependencies=[requires("read"), takes(kind), reaches(reach), filters(filtering)],
        responses=responses,
    )
