"""Route classes: what a route declares about its callers, and how its function is called."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import cached_property
from inspect import signature
from typing import Any, TypeVar, get_type_hints

from fastapi import APIRouter, Depends, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from service.api.admission import Admission, Kind, cancel_on_disconnect
from service.api.body import JSONRequest, require_json, require_json_type
from service.api.json import NDJSON
from service.api.keyring import LEVELS, Level
from service.api.middleware.access import Reach, admit, caller_of
from service.api.middleware.body_limit import body_limit, wait_if_heavy
from service.api.problems.table import ANY_CALL, Responses
from service.api.state import parts_of
from service.scheduling import CALLER


@dataclass(frozen=True)
class DirectCall:
    """The function of a route that takes no more than names in its path, its body, the service's parts, the request.

    What is sent is validated by the same fields as by FastAPI, and refused with the same errors.

    Attributes:
        endpoint: returns a Response.
        path: fields of the path.
        body: the field of the body; None where it has none.
        parts, request: by which names it takes these; None where it does not.
    """

    endpoint: Callable[..., Coroutine[Any, Any, Response]]
    path: tuple[Any, ...]
    body: Any
    parts: str | None
    request: str | None

    @classmethod
    def of(cls, route: APIRoute, settled: Callable[[Any], bool]) -> DirectCall | None:
        """How to call a route; None where its function takes or returns anything else.

        Args:
            settled: whether a dependency has nothing left to do when a route is called.
        """
        taken = route.dependant
        parts = None
        for each in taken.dependencies:
            if each.call is parts_of:
                parts = each.name
            elif not settled(each.call):
                return None
        bodies = taken.body_params
        known = {field.name for field in (*taken.path_params, *bodies)} | {parts, taken.request_param_name}
        returned = get_type_hints(route.endpoint).get("return")
        if len(bodies) > 1 or not signature(route.endpoint).parameters.keys() <= known or not _is_response(returned):
            return None
        body = bodies[0] if bodies else None
        return cls(route.endpoint, tuple(taken.path_params), body, parts, taken.request_param_name)

    async def __call__(self, request: Request) -> Response:
        """What the function answers.

        Raises:
            RequestValidationError: what was sent is not what it takes.
        """
        values, errors, body = dict[str, Any](), list[Any](), None
        for field in self.path:
            values[field.name], flaws = field.validate(
                request.path_params[field.alias], values, loc=("path", field.alias)
            )
            errors += flaws or ()
        if self.body is not None:
            body = await request.json()
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


HEAVY_BODY = 4 << 20
T = TypeVar("T")
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


@dataclass(frozen=True)
class RequiredLevel:
    """A route's declaration, as one of its dependencies; of several, as its router's and its own, the highest holds."""

    level: Level

    async def __call__(self, request: Request) -> None:
        """Refuse who may not."""
        admit(request.scope, self.level)


@dataclass(frozen=True)
class AdmissionKind:
    """The kind of place that a route takes, as one of its dependencies; a route's own goes before its router's."""

    kind: Kind

    async def __call__(self) -> None:
        """Nothing: the route itself takes it."""


@dataclass(frozen=True)
class DeclaredReach:
    """What of the store a route is about, as one of its dependencies; a route's own goes before its router's."""

    reach: Reach

    async def __call__(self) -> None:
        """Nothing: the route itself asks whose key it is."""


def reaches(reach: Reach) -> Any:
    """What of the store the calls of a router or a route are about, for its `dependencies`."""
    return Depends(DeclaredReach(reach))


def reached(route: Any) -> Reach | None:
    """What a route declares to be about, None where it declares nothing."""
    about = _declared(route, DeclaredReach)
    return about[-1].reach if about else None


def takes(kind: Kind) -> Any:
    """Of which kind the calls of a router or a route are, for its `dependencies`."""
    return Depends(AdmissionKind(kind))


def taken(route: Any) -> Kind | None:
    """The kind that a route declares, None where it declares none."""
    kinds = _declared(route, AdmissionKind)
    return kinds[-1].kind if kinds else None


def requires(level: Level) -> Any:
    """What a router or a route asks of its callers, for its `dependencies`."""
    return Depends(RequiredLevel(level))


def required(route: Any) -> Level | None:
    """The level that a route declares, None where it declares nothing."""
    levels = [each.level for each in _declared(route, RequiredLevel)]
    return max(levels, key=LEVELS.index, default=None)


def _declared(route: Any, what: type[T]) -> list[T]:
    """What a route declares of that sort, its router's first."""
    dependencies = (each.dependency for each in getattr(route, "dependencies", ()))
    return [each for each in dependencies if isinstance(each, what)]


async def require_write_by_default(request: Request) -> None:
    """A dependency of every route: one that declares nothing is for those who may write, to all collections."""
    if required(request.scope.get("route")) is None:
        admit(request.scope, "write", "everything")


class GuardedRoute(APIRoute):
    """Checks what it declares with `requires`, the length of the body, and whether there is a place of its kind.

    What is about one collection is refused while that is a demo collection which is being loaded.

    One that declares nothing is for writers, and takes a place as they do; one that is for anybody takes none. Whose
    key is for some collections only is let in where a route declares with `reaches` that it is not about the others.
    """

    reads_any_length = False
    outlives_its_caller = False  # as a write does, whatever the kind of its place

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As any route, to those who may call it; a method it does not take is refused as such."""
        if scope["method"] not in (self.methods or ()):
            await super().handle(scope, receive, send)
            return
        admit(scope, self.needed, self.reach)
        if self.reach == "collection":
            scope["app"].state.parts.demo.check(scope["path_params"]["name"])
        limit = body_limit(scope)
        if self.reads_any_length:
            limit.lift()
        limit.check()
        kind = self.kind_of(scope)
        if kind is None:
            await self.answer(scope, receive, send)
            return
        admission: Admission = scope["state"]["admission"]
        caller = caller_of(scope)
        CALLER.set(caller)
        if kind in ("stream", "listen"):
            scope["app"].state.shutdown.check_streams()
        if not self.reads_any_length and limit.has_body:
            admission.check(kind, caller)  # before anything is read
            self.check_declared(Headers(scope=scope))
            await limit.read(caller)  # a body that is still on its way holds no place
        with limit.hold(), admission.admit(kind, caller):
            if self.reach in ("collection", "collections"):
                await scope["app"].state.parts.catalogue.refresh()
            if kind == "write" or self.outlives_its_caller:  # which is not stopped half-way
                await self.answer(scope, receive, send)
                return
            with cancel_on_disconnect(scope):
                await self.answer(scope, receive, send)

    def check_declared(self, headers: Headers) -> None:
        """Refuse a body by what is said of it, before it is read."""

    @cached_property
    def needed(self) -> Level:
        """What its caller must be allowed."""
        return required(self) or "write"

    @cached_property
    def reach(self) -> Reach:
        """What of the store it is about."""
        return "nothing" if self.needed == "none" else reached(self) or "everything"

    @cached_property
    def kind(self) -> Kind | None:
        """Of which kind the place is that it takes."""
        return None if self.needed == "none" else taken(self) or "write"

    def kind_of(self, scope: Scope) -> Kind | None:
        """The same of one call: where texts are asked for line by line, that is a stream."""
        streams = self.kind == "encode" and NDJSON in Headers(scope=scope).get("accept", "")
        return "stream" if streams else self.kind

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What is left to do for who may call it, with a method that it takes."""
        await super().handle(scope, receive, send)


class JSONRoute(GuardedRoute):
    """A route that takes JSON and nothing else, and says so with 400 or 415 instead of 422."""

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Without FastAPI's own way, where the function takes nothing that needs it."""
        if self.direct_call is None:
            await super().answer(scope, receive, send)
            return
        response = await self._strictly(self.direct_call, JSONRequest(scope, receive, send))
        await response(scope, receive, send)

    def check_declared(self, headers: Headers) -> None:
        """It has to be JSON."""
        if self.body_field is not None:
            require_json_type(headers)

    @cached_property
    def direct_call(self) -> DirectCall | None:
        """How its function is called directly; None where that cannot be."""
        return DirectCall.of(self, _settled)

    def get_route_handler(self) -> Handler:
        """FastAPI's handler, behind the strict reading of the body."""
        handle = super().get_route_handler()

        async def read_then_handle(request: Request) -> Response:
            return await self._strictly(handle, JSONRequest(request.scope, request.receive))

        return read_then_handle

    async def _strictly(self, handle: Handler, request: JSONRequest) -> Response:
        if self.body_field is not None:
            await wait_if_heavy(request.scope, len(await request.body()), HEAVY_BODY)
            await require_json(request)
            await request.validate_large(self.body_field)
        return await handle(request)


def _settled(dependency: Any) -> bool:
    """Whether a route does by itself what a dependency would: `GuardedRoute` admits callers and takes places."""
    return (
        isinstance(dependency, RequiredLevel | AdmissionKind | DeclaredReach) or dependency is require_write_by_default
    )


def json_router(prefix: str, tag: str, kind: Kind, reach: Reach, responses: Responses = ANY_CALL) -> APIRouter:
    """A router of calls of a kind that take JSON, for whoever may read; those that write say so themselves."""
    return APIRouter(
        prefix=prefix,
        tags=[tag],
        route_class=JSONRoute,
        dependencies=[requires("read"), takes(kind), reaches(reach)],
        responses=responses,
    )
