"""Every field and header of the API is explained: by the description of the API, or by a page of docs/."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from tests.examples import ROOT
from tools.description import FILE

DESCRIPTION = json.loads(FILE.read_text(encoding="utf-8"))


def names(node: Any, root: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield every field, parameter and header of an OpenAPI description with what it says of it, without examples."""
    if isinstance(node, list):
        for inner in node:
            yield from names(inner, root)
    if not isinstance(node, dict):
        return
    if "in" in node and isinstance(node.get("name"), str):  # a parameter, or the header of a key
        yield node["name"], node.get("description", "")
    for key, inner in node.items():
        if key in ("properties", "headers"):
            for name, schema in inner.items():
                yield name, schema.get("description") or resolve(schema, root).get("description", "")
                yield from names(schema, root)
        elif key not in ("example", "examples", "default"):
            yield from names(inner, root)


def resolve(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    """Return the schema that a reference names."""
    while "$ref" in schema:
        target: Any = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        schema = target
    return schema


def test_every_name_of_the_description_is_explained():
    described = [("Authorization", ""), *names(DESCRIPTION, DESCRIPTION)]  # a scheme of bearers names no header
    explained = {name for name, text in described if text}
    pages = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").rglob("*.md")))
    explained |= set(re.findall(r"[`\"]([\w-]+)", pages))
    assert len({name for name, _ in described}) > 150
    assert {name for name, _ in described} - explained == set(), (
        "describe these in softkv_service/schemas, or on a page"
    )


def test_names_are_those_of_fields_parameters_and_headers_without_examples():
    schema = {"properties": {"headers": {"items": {"properties": {"n": {}}}}}, "example": {"properties": {"no": 1}}}
    description = {
        "paths": {"/": {"get": {"parameters": [{"in": "query", "name": "page"}], "requestBody": schema}}},
        "components": {"securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-API-Key"}}},
        "responses": [{"headers": {"Retry-After": {"$ref": "#/text"}}, "examples": {"properties": {"no": 1}}}],
        "text": {"description": "seconds"},
    }
    assert dict(names(description, description)) == {
        **dict.fromkeys(("headers", "n", "page", "X-API-Key"), ""),
        "Retry-After": "seconds",
    }
