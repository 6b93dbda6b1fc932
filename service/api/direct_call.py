"""A route's function called with what it takes and nothing looked for besides: that is most of what FastAPI does."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from inspect import signature
from typing import Any, get_type_hints

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from service.api.state import parts_of


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
