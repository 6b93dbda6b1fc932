"""A description narrowed until most of what is made from it fits together: few names, one width, small arrays."""

from __future__ import annotations

import copy
from typing import Any

NUMBER = {"type": "number", "minimum": -1, "maximum": 1}
TEXT = {"type": "string", "maxLength": 20}
NAMES = ["a", "b"]
IDS = ["x", "y/z", "ü ?#%", "query"]
WIDTH = 3


def _list(item: dict[str, Any], length: int, **more: Any) -> dict[str, Any]:
    return {"type": "array", "items": item, "minItems": length, "maxItems": length, **more}


VECTOR = {
    "anyOf": [
        _list(NUMBER, WIDTH, contains={"type": "number", "minimum": 0.001}),
        {"const": {"base64": "AACAPwAAAEAAAEBA"}},
    ]
}


def without_streams(description: dict[str, Any]) -> dict[str, Any]:
    """Remove NDJSON, which no generator of JSON can make, and events, which do not end."""
    whole = copy.deepcopy(description)
    del whole["paths"]["/v1/rooms/{code}/events"], whole["paths"]["/v1/lab/train"]
    del whole["paths"]["/v1/collections/{name}/documents"]["post"]["requestBody"]["content"]["application/x-ndjson"]
    return whole


def narrowed(description: dict[str, Any], *, encoder: bool) -> dict[str, Any]:
    """Narrow a description to a service with an encoder, where documents and queries are texts, or to one without."""
    narrow = without_streams(description)
    schemas = narrow["components"]["schemas"]
    schemas |= {
        "Vector": VECTOR,
        "Query": TEXT if encoder else VECTOR,
        "DocumentId": {"enum": IDS},
        "Temperature": {"enum": [0, 1e-30, 0.05, 1, 1e300]},
        "Null": {"enum": [False, -1, 0, 0.5, *(["auto"] if encoder else [])]},
        "NestedNumbers": _list(_list(NUMBER, 2), 2),
        "NestedBools": _list(_list({"type": "boolean"}, 2), 2),
    }
    answers = schemas["CollectionAnswer"]["properties"]
    for field, component in {"temperature": "Temperature", "null": "Null"}.items():
        answers[field] = description["components"]["schemas"][component]
    key, vectors = ("key", ()) if encoder else ("key_vector", ("key_vector", "value_vector"))
    for name in ("Document", "DocumentBody", "DocumentPatch"):
        properties = schemas[name]["properties"]
        properties["key"] = TEXT
        for vector in ("key_vector", "value_vector"):
            if vector in vectors:
                properties[vector] = VECTOR
            else:
                del properties[vector]
        if name != "DocumentPatch":
            schemas[name].setdefault("required", []).append(key)
    _without(schemas, "CollectionSettings", "dimension", "value_dimension", "encoder")
    for name, other, needed in (
        ("AttendRequest", "queries", "query"),
        ("DocumentDelete", "filter", "ids"),
        ("DocumentUpdate", "filter", "ids"),
    ):
        _without(schemas, name, other)
        for keyword in ("if", "then", "else"):
            del schemas[name][keyword]
        schemas[name]["required"] = [needed, *schemas[name].get("required", ())]
    _without(schemas, "AttentionRequest", "parameters", "hopfield_steps")
    schemas["AttentionRequest"]["properties"]["similarity"]["enum"] = ["cosine", "dot", "scaled_dot", "gaussian"]
    for calls in narrow["paths"].values():
        for call in calls.values():
            # A write that is answered once more, as it was, makes or deletes nothing; the walk takes it for done.
            call["parameters"] = [entry for entry in call.get("parameters", ()) if entry["name"] != "Idempotency-Key"]
            for parameter in call["parameters"]:
                if parameter["name"] == "name":
                    parameter["schema"] = {"enum": NAMES}
    _begin_with_a_collection(narrow)
    return narrow


def _without(schemas: dict[str, Any], name: str, *fields: str) -> None:
    for field in fields:
        del schemas[name]["properties"][field]


def _begin_with_a_collection(narrow: dict[str, Any]) -> None:
    """Link from a call that always works, because a walk begins with such a call."""
    made = ("put_collection", "put_document", "post_documents")
    links = {
        f"{operation}_{name}": {"operationId": operation, "parameters": {"name": name}}
        for operation in made
        for name in NAMES
    }
    narrow["paths"]["/livez"]["get"]["responses"]["200"]["links"] = links
