"""The contract in /openapi.json, and checks of answers against it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import quote, unquote

import httpx
from jsonschema_rs import Draft202012Validator

from softkv_service.api.routes.page import DESCRIPTION

PREFIX = "#/components/schemas/"
STORABLE = {"age", "content-location", "etag", "expires", "last-modified", "set-cookie", "accept-ranges"}
"""Headers that only an answer has which a cache may keep, or may keep in parts (RFC 9110, RFC 9111)."""


def checked_in() -> dict[str, Any]:
    """Return the description that is checked in, which test_openapi_description.py holds against the service's own."""
    description: dict[str, Any] = json.loads(DESCRIPTION.read_text(encoding="utf-8"))
    return description


@dataclass(frozen=True)
class Operation:
    """One call of the API."""

    id: str
    method: str
    path: str
    described: dict[str, Any]

    @property
    def statuses(self) -> set[int]:
        return {int(status) for status in self.described["responses"]}

    @property
    def contents(self) -> dict[str, Any]:
        """The media types that its body may have."""
        content: dict[str, Any] = self.described.get("requestBody", {}).get("content", {})
        return content

    @property
    def parameters(self) -> list[dict[str, Any]]:
        parameters: list[dict[str, Any]] = self.described.get("parameters", [])
        return parameters

    def to(self, **values: str) -> str:
        """Return its path, with values for the parameters in it."""
        return re.sub(r"\{(\w+)\}", lambda found: quote(values[found[1]], safe="/"), self.path)

    def takes(self, path: str) -> bool:
        # An id may hold a slash, a name may not.
        pattern = re.sub(r"\\\{(\w+)\\\}", lambda found: ".+" if found[1] == "id" else "[^/]+", re.escape(self.path))
        return re.fullmatch(pattern, path) is not None


class Contract:
    """The description of a service, as something that answers are held against."""

    def __init__(self, description: dict[str, Any]) -> None:
        self.description = description
        self.schemas: dict[str, Any] = description["components"]["schemas"]
        self._validators: dict[str, Draft202012Validator] = {}

    @cached_property
    def operations(self) -> dict[str, Operation]:
        return {
            call["operationId"]: Operation(call["operationId"], method.upper(), path, call)
            for path, calls in self.description["paths"].items()
            for method, call in calls.items()
        }

    def find(self, method: str, path: str) -> Operation | None:
        """The operation that a request was for; the most literal path first."""
        fitting = [
            operation for operation in self.operations.values() if operation.method == method and operation.takes(path)
        ]
        return min(fitting, key=lambda operation: operation.path.count("{"), default=None)

    def keeps(self, answer: httpx.Response) -> None:
        """Fail if a cache may keep an answer, or if it is not documented: by status, media type, headers or content."""
        operation = self.find(answer.request.method, unquote(answer.request.url.path))
        if operation is None:
            return
        assert answer.headers.get_list("cache-control") == ["no-store"]
        assert not STORABLE & answer.headers.keys()
        kind = answer.headers.get("content-type", "").partition(";")[0]
        is_stream = kind in ("application/x-ndjson", "text/event-stream")
        message = f"{operation.id} → {answer.status_code}"
        if not is_stream:
            answer.read()
            message += f": {answer.text[:500]}"
        assert answer.status_code in operation.statuses, f"undocumented status, {message}"
        documented = operation.described["responses"][str(answer.status_code)]
        for name, header in documented["headers"].items():
            assert not header.get("required", True) or name.lower() in answer.headers, f"no {name}, {message}"
        if "content" not in documented:
            assert not answer.content, message
            return
        assert kind in documented["content"], f"undocumented {kind}, {message}"
        if kind.endswith("json") and not is_stream:
            content = answer.json()
            flaws = self.flaws(documented["content"][kind]["schema"], content)
            assert not flaws, f"{flaws} in {message}"
            if kind == "application/problem+json":
                assert content["code"] in documented["content"][kind]["examples"], f"undocumented code, {message}"

    def flaws(self, schema: dict[str, Any], instance: Any) -> list[str]:
        """Return the flaws of an instance of a schema."""
        key = json.dumps(schema)
        if key not in self._validators:
            whole = {"allOf": [schema], "components": {"schemas": self.schemas}}
            self._validators[key] = Draft202012Validator(whole)
        return [f"{error.instance_path}: {error.message}" for error in self._validators[key].iter_errors(instance)]

    def resolved(self, schema: dict[str, Any]) -> tuple[str | None, dict[str, Any]]:
        """Return a schema, and its name if it is a component."""
        if "$ref" not in schema:
            return None, schema
        name = schema["$ref"].removeprefix(PREFIX)
        return name, self.schemas[name]

    def fields(self, schema: dict[str, Any], path: str = "", seen: frozenset[str] = frozenset()) -> set[str]:
        """Return every field that an instance may have, and every choice of each, as `Component.field = choice`."""
        name, schema = self.resolved(schema)
        if name is not None and name in seen:
            return set()
        path, seen = name or path, seen | ({name} if name else set())
        names = {f"{path} = {choice}" for choice in schema.get("enum", ())}
        for field, inner in self.properties(schema):
            names |= {f"{path}.{field}"} | self.fields(inner, f"{path}.{field}", seen)
        for inner in self._inner(schema):
            names |= self.fields(inner, path, seen)
        return names

    def used(self, schema: dict[str, Any], instance: Any, path: str = "") -> set[str]:
        """Return which of these fields an instance has."""
        name, schema = self.resolved(schema)
        path = name or path
        names = {f"{path} = {choice}" for choice in schema.get("enum", ()) if choice == instance}
        if isinstance(instance, dict):
            for field, inner in self.properties(schema):
                if field in instance:
                    names |= {f"{path}.{field}"} | self.used(inner, instance[field], f"{path}.{field}")
        for branch in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
            if not self.flaws(branch, instance):
                names |= self.used(branch, instance, path)
        if isinstance(instance, list) and isinstance(schema.get("items"), dict):
            for item in instance:
                names |= self.used(schema["items"], item, path)
        return names

    @staticmethod
    def properties(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the fields that an instance may have."""
        yield from schema.get("properties", {}).items()

    @staticmethod
    def _inner(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield from schema.get("anyOf", ())
        yield from schema.get("oneOf", ())
        if isinstance(schema.get("items"), dict):
            yield schema["items"]
