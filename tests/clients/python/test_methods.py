"""Both clients and the service's openapi.json agree: every operation has a method, every field an argument."""

from __future__ import annotations

import inspect
import io
import json
from collections.abc import Callable
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest

from softkv import AsyncClient, AsyncCollection, Client, Collection, Document
from softkv.calls import arrays, collections, documents, feedback, queries, service, writing
from softkv.calls.call import Call, CollectionRef, ServiceCache
from softkv.questions import Question
from softkv.record import fields_of
from tools.description import FILE

DESCRIPTION = json.loads(FILE.read_text(encoding="utf-8"))

# operation → the description of the call, and an example of its arguments
BUILT: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "attend": (queries.attend, ("cats",)),
    "sweep": (queries.sweep, ("cats", [0.1])),
    "compare": (queries.compare, ("cats",)),
    "calibrate": (queries.calibrate, ([{"query": "cats", "id": None}],)),
    "give_feedback": (feedback.give_feedback, ([{"query": "cats", "id": None, "right": True}],)),
    "list_feedback": (feedback.feedback, ()),
    "delete_feedback": (feedback.delete_feedback, ([1],)),
    "compare_rows": (queries.compare_rows, ("cats", [{"key": "cats"}])),
    "post_documents": (writing.write, ([{"id": "a"}],)),
    "put_document": (documents.put, ("a/b",)),
    "patch_document": (documents.patch, ("a/b",)),
    "get_document": (documents.get, ("a/b",)),
    "delete_document": (documents.remove, ("a/b",)),
    "query_documents": (documents.find, ()),
    "delete_documents": (documents.delete, ("a",)),
    "update_documents": (documents.update, ("a",)),
    "describe_fields": (collections.fields, ()),
    "put_collection": (collections.create, ()),
    "patch_collection": (collections.change, ()),
    "get_collection": (collections.info, ()),
    "delete_collection": (collections.drop, ()),
    "start_re_encoding": (collections.re_encode, ("nomic",)),
    "cancel_re_encoding": (collections.cancel_re_encoding, ()),
    "store_projection": (collections.put_projection, ([[1.0, 0.0]], [[0.0, 1.0]])),
    "get_projection": (collections.projection, ()),
    "list_collections": (service.collections, ()),
    "list_aliases": (service.aliases, ()),
    "get_alias": (service.alias, ("current",)),
    "put_alias": (service.put_alias, ("current", "library")),
    "delete_alias": (service.remove_alias, ("current",)),
    "get_service": (service.info, ()),
    "livez": (service.alive, ()),
    "readyz": (service.ready, ()),
    "metrics": (service.metrics, ()),
    "list_slow_requests": (service.slow_requests, ()),
    "get_backup": (service.backup, (io.BytesIO(),)),
    "list_encoders": (service.encoders, ()),
    "unload_encoder": (service.unload_encoder, ("a/b",)),
    "list_models": (service.models, ()),
    "get_model": (service.model, ("a/b",)),
    "encode": (arrays.encode, (["cats"],)),
    "rerank": (arrays.rerank, ("cats", ["a cat"])),
    "score": (arrays.score, ("cats", ["a cat"])),
    "trace": (arrays.trace, ("cats",)),
    "embeddings": (arrays.embed, ("cats", "a model")),
    "attend_arrays": (arrays.attend, ([[1]], [[1]], [[1]])),
}
# field of a request → the argument that says it
NAMED = {
    "filter": "where",
    "queries": "query",
    "mode": "on_conflict",
    "patch": "value",
    "limit": "page",
    "Idempotency-Key": None,  # each write has its own, and keeps it as it is sent again
    "vector_format": None,  # always base64, and arrays here
    "encoding_format": None,
    "cursor": None,  # lists are gone through
    "name": None,  # the collection's own
    "count": None,  # a method of lists
}
OWN: dict[str, dict[str, str | None]] = {
    "describe_fields": {"limit": "limit"},
    "get_model": {},
    # names of other providers for fields that have arguments
    "embeddings": dict.fromkeys(
        (
            *("output_dimension", "output_dtype", "embedding_type", "input_type", "normalized"),
            *("task", "late_chunking", "truncation", "truncate"),
        )
    ),
    "calibrate": {"from": "source"},
    "rerank": {"return_documents": None, "rank_fields": None, "top_k": None, "max_tokens_per_doc": None},
}
# Arguments without a field: the client handles them itself.
BESIDES = {
    "get_backup": {"file", "progress"},
    "put_collection": {"exist_ok"},
    "attend": {"ignore_defaults"},
    "sweep": {"ignore_defaults"},
    "compare": {"ignore_defaults"},
    "put_document": {"id"},
    "patch_document": {"id"},
    "list_collections": set(),
}
OF_THE_SERVICE = ("service", "arrays")
COLLECTION = {name for name in BUILT if BUILT[name][0].__module__.split(".")[-1] not in OF_THE_SERVICE} - {
    "compare_rows"
}


def operations() -> dict[str, tuple[str, str, dict[str, Any]]]:
    return {
        operation["operationId"]: (method.upper(), path, operation)
        for path, methods in DESCRIPTION["paths"].items()
        for method, operation in methods.items()
    }


OPERATIONS = operations()


def resolved(node: Any) -> Any:
    while isinstance(node, dict) and "$ref" in node:
        *_, room, name = node["$ref"].split("/")
        node = DESCRIPTION["components"][room][name]
    return node


def request_fields(operation: dict[str, Any]) -> set[str]:
    """Return every field of any form of the body, and every parameter."""
    names = {parameter["name"] for parameter in map(resolved, operation.get("parameters", ()))}
    body = resolved(operation.get("requestBody", {})).get("content", {}).get("application/json")
    waiting = [body["schema"]] if body else []
    while waiting:
        schema = resolved(waiting.pop())
        waiting += schema.get("oneOf", []) + schema.get("anyOf", [])
        names |= schema.get("properties", {}).keys()
    return names


def arguments(build: Callable[..., Any]) -> set[str]:
    return set(list(inspect.signature(build).parameters)[1:])


def test_every_operation_but_those_of_lessons_has_a_method_and_no_method_is_of_none():
    lessons = {name for name, (_, path, _) in OPERATIONS.items() if path.startswith(("/v1/rooms", "/v1/lab"))}
    # `open_table` reads a file here, by the same reader; the second form of rerank is for Cohere's clients.
    assert BUILT.keys() == OPERATIONS.keys() - {"read_table", "rerank_as_cohere"} - lessons


@pytest.mark.parametrize("name", BUILT)
def test_every_field_of_a_request_has_an_argument(name):
    build, _ = BUILT[name]
    named = NAMED | OWN.get(name, {})
    expected = {named.get(field, field) for field in request_fields(OPERATIONS[name][2])} - {None}
    if name == "update_documents":
        expected |= {"value", "metadata", "expires"}
    assert expected - arguments(build) == set()
    assert arguments(build) - expected <= BESIDES.get(name, set())


def attend_schema(name: str) -> list[dict[str, Any]]:
    """Return the schemas of an option of `attend`; several if values of several types are allowed."""
    field = {"where": "filter"}.get(name, name)
    schema = resolved(DESCRIPTION["components"]["schemas"]["AttendRequest"]["properties"][field])
    return [resolved(option) for option in schema.get("anyOf", schema.get("oneOf", [schema]))]


def allowed_words(hint: Any) -> set[Any]:
    """Return the values of all literals in a type."""
    if get_origin(hint) is Literal:
        return set(get_args(hint))
    return {word for part in get_args(hint) for word in allowed_words(part)}


@pytest.mark.parametrize("name", [name for name in queries.ATTEND_OPTIONS if name != "ignore_defaults"])
def test_an_option_of_attend_has_the_words_of_the_description(name):
    schemas = attend_schema(name)
    words = {word for schema in schemas for word in [*schema.get("enum", []), *schema.get("items", {}).get("enum", [])]}
    words |= {schema["const"] for schema in schemas if "const" in schema}
    if name not in ("where", "bias", "read", "group_by"):
        assert allowed_words(get_type_hints(queries.AttendOptions)[name]) == words


def test_help_names_every_option_of_attend():
    shown = " ".join((inspect.getdoc(Collection.attend) or "").split())
    signature = inspect.signature(Collection.attend)
    assert signature.parameters.keys() - {"self", "query"} == queries.ATTEND_OPTIONS
    for field in fields_of(Question):
        name = {"filter": "where"}.get(field.name, field.name)
        if name in queries.ATTEND_OPTIONS:
            assert f"{name}: {field.summary}" in shown
    assert queries.ATTEND_OPTIONS - set(Question._names) == {"where"}
    assert set(Question._names) - queries.ATTEND_OPTIONS == {"filter", "query", "queries", "vector_format"}


def test_help_says_the_range_and_the_default_of_an_option():
    shown = " ".join((inspect.getdoc(Collection.attend) or "").split())
    assert "half of those that pass. At least 1. Left out: 8." in shown
    assert "share of the document weight. Above 0 and at most 1." in shown
    assert "with `top_p` at most 1,000. From 0 to 10,000." in shown
    assert "None:" not in shown  # it is as left out in Python, and null in JSON


def test_a_document_has_every_field():
    fields = resolved(DESCRIPTION["components"]["schemas"]["Document"])["properties"]
    assert set(inspect.signature(Document).parameters) == fields.keys()


@pytest.mark.parametrize("name", BUILT)
def test_a_call_has_the_path_of_the_description_and_a_key_if_it_is_a_write(name):
    build, arguments = BUILT[name]
    method, path, _ = OPERATIONS[name]
    cache = ServiceCache()
    cache.limits = {"encode_texts": 10_000}
    steps = build(CollectionRef("library", cache) if name in COLLECTION else cache, *arguments)
    call: Call[Any] = steps.ask(None, 1) if hasattr(steps, "ask") else next(iter(steps))
    values = {"name": "library", "alias": "current", "id": "a%2Fb", "encoder": "a%2Fb"}
    for parameter, value in values.items():
        path = path.replace(f"{{{parameter}}}", value)
    assert (call.method, call.path) == (method, path)
    assert ("Idempotency-Key" in call.headers) == ("Idempotency-Key" in request_fields(OPERATIONS[name][2]))
    assert call.headers == call.headers  # the same key each time


def public(kind: type) -> dict[str, Any]:
    return {name: member for name, member in vars(kind).items() if not name.startswith("_")}


@pytest.mark.parametrize(("waited", "awaited"), [(Client, AsyncClient), (Collection, AsyncCollection)])
def test_both_clients_have_the_same_methods_with_the_same_arguments(waited, awaited):
    assert public(waited).keys() == public(awaited).keys()
    for name, method in public(waited).items():
        if inspect.isfunction(method):
            other = public(awaited)[name]
            assert (
                list(inspect.signature(method).parameters.values())[1:]
                == (list(inspect.signature(other).parameters.values())[1:])
            ), name
            assert (method.__doc__ or "").split("\n")[0], name


def where_defined(function: Callable[..., Any]) -> str:
    original = inspect.unwrap(function)
    return f"{original.__module__}.{original.__qualname__}, line {original.__code__.co_firstlineno}"


def test_every_described_call_is_a_method_of_both():
    built = {build for build, _ in BUILT.values()} | {
        service.access,
        service.rerankers,
        writing.upsert,
        documents.count,
        documents.exists,
        documents.get_many,
        collections.values,
    }
    for faces in ((Client, Collection), (AsyncClient, AsyncCollection)):
        described = {
            where_defined(method.__wrapped__)
            for face in faces
            for method in public(face).values()
            if inspect.isfunction(method) and hasattr(method, "__wrapped__")
        }
        listed = {where_defined(build) for build in built}
        assert described - listed == set(), "add these functions to BUILT, above"
        assert listed - described == set(), "give both clients a method for these functions"
