"""The OpenAPI description: the parts of /openapi.json beyond the routes and models that FastAPI knows."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from pydantic import TypeAdapter

from softkv_service.api.paths import is_call
from softkv_service.api.problems.table import EXAMPLES, OF_STATUS, TABLE
from softkv_service.api.routing import GuardedRoute
from softkv_service.schemas.answers import PLACE, read_examples, refer
from softkv_service.schemas.answers import describe as describe_answers
from softkv_service.schemas.stream import LINES
from softkv_service.schemas.vector import NestedAnswer, VectorAnswer
from softkv_service.schemas.wire import JSONObject, Problem, without_null

Schemas = dict[str, Any]

MADE_BY_FASTAPI = ("HTTPValidationError", "ValidationError")


def complete_schemas(derived: Schemas, answers: Collection[Any]) -> Schemas:
    """Return all schemas by name.

    To the `derived` schemas of FastAPI it adds those of answers, of problems, and of lines in streams.

    Args:
        derived: the schemas of requests.
        answers: the client's records that routes answer.
    """
    schemas = derived | _beside_the_routes()
    schemas |= describe_answers((*answers, *LINES), schemas.keys())
    for name in MADE_BY_FASTAPI:
        schemas.pop(name, None)
    for name, examples in read_examples().items():
        if name in schemas:
            schemas[name]["examples"] = examples
    for model in _below(JSONObject):
        if model.__name__ in schemas:
            _restore_examples(model, schemas[model.__name__])
    return {name: schemas[name] for name in sorted(schemas)}


def _below(kind: type[JSONObject]) -> Iterator[type[JSONObject]]:
    for model in kind.__subclasses__():
        yield model
        yield from _below(model)


def _beside_the_routes() -> Schemas:
    """Return the schemas that no route declares: those of problems, and of vectors and arrays in answers."""
    schemas: Schemas = {}
    kinds: tuple[Any, ...] = (Problem, VectorAnswer, NestedAnswer)
    for kind in kinds:
        adapter: TypeAdapter[Any] = TypeAdapter(kind)
        schema = adapter.json_schema(mode="serialization", ref_template=f"{PLACE}{{model}}")
        schemas |= schema.pop("$defs") | {kind.__name__: schema}
    schemas["ProblemCode"] = {
        "type": "string",
        "enum": [*TABLE, *OF_STATUS.values()],
        "description": (
            "The kind of problem in one stable word, for programs. docs/reference/errors.md has each remedy."
        ),
        "examples": ["collection_not_found"],
    }
    schemas["Problem"]["properties"]["code"] = {"$ref": f"{PLACE}ProblemCode"}
    return schemas


def _restore_examples(model: type[JSONObject], schema: dict[str, Any]) -> None:
    """Restore the examples of a model: FastAPI drops their nulls, even in `"encoder": null`, which has a meaning."""
    extra = model.model_config.get("json_schema_extra")
    if isinstance(extra, dict):
        schema |= extra


INTRODUCTION = """A document collection as the memory of an attention layer. A document is a key and a value. A query
does not fetch the k nearest documents: it attends over **every** key. The result is weights that sum to one over the
whole collection, the blended value, and the evidence: how well the collection covers the query.

**First steps.** `PUT /v1/collections/library` with `{}`, then
`PUT /v1/collections/library/documents/qa76` with `{"key": "relational databases", "value": "A first course"}`, then
`POST /v1/collections/library/attend` with `{"query": "how do databases work?"}`.

**Vectors** are lists of numbers, or `{"base64": "…"}` of little-endian float32 (standard alphabet, padded). With
`"vector_format": "base64"`, answers have this form too. Numbers are strict: no `true`, no `"3"`, and only numbers that
are finite as float32. A result that is not finite is `null`.

**Weights.** logit = similarity / temperature; the normaliser turns logits into weights. A low temperature is a lookup,
a high one an average. The null key is an additional key that means "none of these". With the names `"auto"`,
`"lenient"` and `"strict"`, it weighs as much as n unrelated documents together. So `null_similarity` differs by
question, and depends on the temperature and on the number of documents that pass. Unrelated similarities are estimated
from the encoder (`lenient`), the keys of the collection (`strict`), or both (`auto`): see `background`. The weights of
the matches + `rest_weight` + `null_weight` = 1.

**Verdict.** `none`: the null key has at least half of all weight. Otherwise `one`: the heaviest document has more than
half. Otherwise `several`: they share it. `one` says that a document stands out, not that it answers.

**Filters** compare the `id`, the `key` text or a field of the metadata:
`{"field": "metadata.year", "operator": ">=", "value": 2000}`, with `== != > >= < <= in "not in" contains`. Or they join
conditions: `{"operator": "AND" | "OR" | "NOT", "conditions": [...]}`. A missing field counts as null: `==`, `!=`, `in`
and `not in` compare it, and an order with it is false. With `"ignore_case": true`, `contains` ignores case. The value
`{"datetime": "2026-11-01T00:00:00Z"}` or `{"datetime": "now-7d"}` compares with texts in ISO 8601 as instants.

**Errors** are `application/problem+json` (RFC 9457): `code` for programs, `detail` for people. A 422 has `errors`, each
with a JSON pointer into the body. OpenAI's calls answer errors in OpenAI's format.

**Keys.** If the service needs a key, send `Authorization: Bearer <key>` or `X-API-Key: <key>`. A read-only key allows
every question and no change. Without keys, the service answers only callers on this machine, unless it is configured to
be open. A request without a valid key is answered only under an address or a name of the service. So a foreign web page
cannot reach it under a name of its own. `SOFTKV_ALLOWED_HOSTS` adds names. With a valid key, any `Host` is accepted.

**Null** is sent only in fields whose type includes it, where it has a meaning. Leave a field out to use its default. In
an answer, a field that was not requested is absent.

**Limits**, unless configured otherwise: 32 MiB in a body, or in a line of an NDJSON stream; 10,000 documents and 64
queries in a request. `GET /v1` lists all limits. Every answer has an `X-Request-ID`: that of the request, or a new
one."""

TAGS = [
    {"name": "service", "description": "The service itself and its limits."},
    {"name": "collections", "description": "Collections of documents that share a similarity and a width."},
    {"name": "documents", "description": "Documents: each has an id, a key, a value and metadata."},
    {"name": "attend", "description": "The soft lookup: every document gets a weight."},
    {"name": "compare", "description": "SQL's `=`, SQL's full text, top-k and attention, on the same rows."},
    {"name": "encode", "description": "Encoding of texts: vectors, tokens, attention weights."},
    {
        "name": "rooms",
        "description": "The shared memory of a class: rows, questions, guesses; live, and in memory only.",
    },
    {"name": "lab", "description": "Small models that are trained live, and can then be examined."},
    {"name": "openai", "description": "OpenAI's clients work unchanged with `/v1` of this service as their base URL."},
    {"name": "probes", "description": "Probes and metrics for operators; open to all callers."},
]
SECURITY_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "`Authorization: Bearer <key>`"},
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "`X-API-Key: <key>`"},
}
# Either form of a key, or none for a service that needs no key.
SECURITY: list[dict[str, list[str]]] = [{"bearer": []}, {"key": []}, {}]
OPEN = "No key is needed."
HEADERS = {
    "X-Request-ID": {
        "description": "The id of the request, as in the log of the service: the id in the request, or a new one.",
        "schema": {"type": "string"},
    }
}
# On the successful answers of calls with an Idempotency-Key.
ON_A_REPEAT = {
    "Idempotency-Replayed": {
        "description": "`true`: the write was done before, and this is its first answer again.",
        "required": False,
        "schema": {"type": "string", "const": "true"},
    }
}
ON_EVERY_ANSWER = {name: {"$ref": f"#/components/headers/{name}"} for name in HEADERS}

Link = dict[str, Any]

CREATED = {"name": "$response.body#/name"}
HERE = {"name": "$request.path.name"}
THIS = HERE | {"id": "$request.path.id"}
LINKED_OPERATIONS = (
    "get_collection",
    "patch_collection",
    "delete_collection",
    "put_document",
    "post_documents",
    "query_documents",
)


def _to(operation: str, parameters: dict[str, str], body: dict[str, Any] | None = None) -> Link:
    link: Link = {"operationId": operation, "parameters": parameters}
    return link if body is None else link | {"requestBody": body}


def _asking(query: str, parameters: dict[str, str]) -> dict[str, Link]:
    """Return OpenAPI links from the answer about a document to calls that query with its content.

    The best match of such a query is that document.

    Args:
        query: the expression for the query.
        parameters: the expressions for the parameters of the calls.
    """
    return {
        "attend": _to("attend", parameters, {"query": query}),
        "sweep": _to("sweep", parameters, {"query": query, "temperatures": [0, 0.05, 1]}),
    }


# operation → name of the link → link, for every successful answer
LINKS: dict[str, dict[str, Link]] = {
    "put_collection": {operation: _to(operation, CREATED) for operation in LINKED_OPERATIONS},
    "list_collections": {"get_collection": _to("get_collection", {"name": "$response.body#/collections/0/name"})},
    "get_collection": {"query_documents": _to("query_documents", CREATED)},
    "put_document": {
        "get_document": _to("get_document", THIS),
        "patch_document": _to("patch_document", THIS),
        "delete_document": _to("delete_document", THIS),
        "compare": _to("compare", HERE, {"query": "$request.body#/key"}),
        **_asking("$request.body#/key_vector", HERE),
    },
    "post_documents": {
        "get_document": _to("get_document", HERE | {"id": "$request.body#/documents/0/id"}),
        "delete_documents": _to("delete_documents", HERE, {"ids": ["$request.body#/documents/0/id"]}),
        "compare": _to("compare", HERE, {"query": "$request.body#/documents/0/key"}),
        **_asking("$request.body#/documents/0/key_vector", HERE),
    },
    "query_documents": {
        "next_page": _to("query_documents", HERE, {"cursor": "$response.body#/next_cursor"}),
        "get_document": _to("get_document", HERE | {"id": "$response.body#/documents/0/id"}),
    },
    "attend": {"get_document": _to("get_document", HERE | {"id": "$response.body#/matches/0/id"})},
    "sweep": {"attend": _to("attend", HERE, {"query": "$request.body#/query"})},
}


def describe(app: FastAPI) -> None:
    """Complete the description that FastAPI derives from the routes, on the first call of `app.openapi()`."""
    app.description, app.openapi_tags = INTRODUCTION, TAGS
    derive = app.openapi

    def openapi() -> dict[str, Any]:
        complete = app.openapi_schema is not None
        description = derive()
        if not complete:
            routes = {route.name: route for route in _find_guarded_routes(app)}
            _complete(description, routes)
            _describe_scopes(description, routes)
        return description

    app.openapi = openapi  # type: ignore[method-assign]


def _find_guarded_routes(app: FastAPI) -> Iterator[GuardedRoute]:
    for context in iter_route_contexts(app.routes):
        if isinstance(context.original_route, GuardedRoute):
            yield context.original_route


def _complete(description: dict[str, Any], routes: Mapping[str, GuardedRoute]) -> None:
    answers = [kind for route in routes.values() for kind in route.answers]
    schemas = complete_schemas(description["components"]["schemas"], answers)
    description["components"] |= {
        "schemas": schemas,
        "securitySchemes": SECURITY_SCHEMES,
        "headers": HEADERS,
        "examples": EXAMPLES,
    }
    description["security"] = SECURITY
    for path, operation in _operations(description):
        if not is_call(path):
            operation["security"] = []
        for parameter in operation.get("parameters", ()):
            parameter["schema"] = without_null(parameter["schema"])  # paths and query strings cannot express null
            _show(parameter, schemas)
        operation["responses"] = {
            status: _answer(answer, operation, status, routes)
            for status, answer in sorted(operation["responses"].items())
            if "HTTPValidationError" not in str(answer)
        }
    _untitle(description["paths"])
    _untitle(description["components"])


def _describe_scopes(description: dict[str, Any], routes: Mapping[str, GuardedRoute]) -> None:
    """Add the scope of the key that each call needs to its description."""
    for _, operation in _operations(description):
        route = routes.get(operation["operationId"])
        if route is None:  # a route that another program has added
            continue
        scope = OPEN if route.required_level == "none" else f"**Scope** of the key: `{route.required_level}`."
        if route.reach == "everything":
            scope += " A key for some collections is refused."
        operation["description"] = f"{operation.get('description', '')}\n\n{scope}".lstrip()


def _operations(description: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, calls in description["paths"].items():
        for operation in calls.values():
            yield path, operation


def _answer(
    answer: dict[str, Any], operation: dict[str, Any], status: str, routes: Mapping[str, GuardedRoute]
) -> dict[str, Any]:
    successful = status < "300"
    content = answer.get("content", {}).get("application/json", {})
    if successful and content.get("schema") == {}:  # a record, which FastAPI does not know
        content["schema"] = refer(routes[operation["operationId"]].answers[0])
    links = LINKS.get(operation["operationId"]) if successful else None
    repeatable = any(parameter["name"] == "Idempotency-Key" for parameter in operation.get("parameters", ()))
    headers = answer.get("headers", {}) | ON_EVERY_ANSWER | (ON_A_REPEAT if successful and repeatable else {})
    return answer | {"headers": headers} | ({"links": links} if links else {})


def _show(parameter: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Copy the first example of a parameter's schema to the parameter, so that Swagger UI fills it in."""
    schema = parameter["schema"]
    schema = schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    if "examples" in schema:
        parameter["example"] = schema["examples"][0]


def _untitle(node: Any) -> None:
    """Remove the titles that pydantic derives from the names of fields, since they only repeat the names."""
    if isinstance(node, dict):
        if isinstance(node.get("title"), str):
            del node["title"]
        for name, inner in node.items():
            if name not in ("example", "examples"):
                _untitle(inner)
    elif isinstance(node, list):
        for inner in node:
            _untitle(inner)
