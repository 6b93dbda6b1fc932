"""The source of generated clients: an up-to-date file, whose types match what the service accepts and answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import TypeAdapter

from softkv_service.api.routing import declared_level
from softkv_service.schemas.calibration import CalibrateRequest
from tests.running import RunningService
from tests.service.api.calls import EVERY_FIELD, NDJSON, Call, examples, pointed, with_new_integers
from tests.service.api.contract import PREFIX
from tests.service.api.middleware.test_access_scopes import ROUTES
from tests.service.api.test_openapi import DESCRIBED, EXAMPLES, OPERATIONS, prepare_collection, told
from tools.description import FILE, described

CALLS = [call for call in (*EXAMPLES, *EVERY_FIELD) if isinstance(call.body, dict)]


def test_the_openapi_file_equals_the_derived_one():
    assert FILE.read_text(encoding="utf-8") == described(), (
        f"{FILE.name} is out of date: run make openapi, make typescript and make page"
    )


def test_the_service_sends_the_file_and_derives_nothing(tmp_path):
    with RunningService(data_dir=tmp_path, encoder="none") as running, running.client() as client:
        for encoding in ("gzip", "identity"):
            answer = client.get("/openapi.json", headers={"accept-encoding": encoding})
            assert answer.headers["content-type"] == "application/json"
            assert answer.headers.get("content-encoding", "identity") == encoding
            assert answer.content == FILE.read_bytes()
        assert client.post("/openapi.json").status_code == 405
        assert running.app.openapi_schema is None


def test_every_description_says_the_scope_that_the_service_requires():
    """A key of a lower scope is refused: tests/service/api/problems/test_table_refusals.py."""
    levels = {name: declared_level(route) for name, route in ROUTES.items()}
    scopes = {
        "none": "No key is needed.",
        "read": "**Scope** of the key: `read`.",
        "feedback": "**Scope** of the key: `feedback`.",
        None: "`write`.",
        "write": "`write`.",
    }
    for operation in OPERATIONS:
        assert scopes[levels[operation.id] or "write"] in operation.described["description"].splitlines()[-1], (
            operation.id
        )


def test_models_stay_as_they_are_however_often_they_are_looked_at():
    """Each app that is made looks at all of them."""
    before = str(CalibrateRequest.__pydantic_core_schema__)
    TypeAdapter(list[CalibrateRequest])
    assert str(CalibrateRequest.__pydantic_core_schema__) == before


def schemas(node: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema in a schema, with its place."""
    if not isinstance(node, dict):
        return
    yield path, node
    for name, inner in node.get("properties", {}).items():
        yield from schemas(inner, f"{path}.{name}")
    for word in ("items", "additionalProperties"):
        yield from schemas(node.get(word), path)
    for word in ("anyOf", "oneOf"):
        for inner in node.get(word, ()):
            yield from schemas(inner, path)


EVERY_SCHEMA = [found for name, schema in DESCRIBED.schemas.items() for found in schemas(schema, name)]


def test_no_schema_is_a_boolean_or_an_array_of_undescribed_items():
    """Valid, but openapi-python-client makes no client of the first, and leaves out calls with the second."""
    for path, schema in EVERY_SCHEMA:
        assert all(isinstance(inner, dict) for inner in schema.get("properties", {}).values()), path
        assert ("items" in schema) == (schema.get("type") == "array"), path


@pytest.mark.parametrize("levels", range(2, 9))
def test_arrays_of_all_levels_are_of_their_schema(client, levels):
    array: list[Any] = [[1.0]]
    for _ in range(levels - 2):
        array = [array]
    body = {"query": array, "key": array, "value": array}
    operation = DESCRIBED.operations["attend_arrays"]
    assert not DESCRIBED.flaws(operation.contents["application/json"]["schema"], body)
    answer = client.post("/v1/attend", json=body)
    assert answer.json()["output"] == array
    DESCRIBED.keeps(answer)
    ragged = body | {"query": [1.0, array]}
    assert DESCRIBED.flaws(operation.contents["application/json"]["schema"], ragged)
    assert client.post("/v1/attend", json=ragged).status_code == 422


def test_null_for_a_field_left_out_is_still_taken(stocked):
    for call in (
        Call("attend", {"query": "cats", "queries": None, "top_k": None, "filter": None, "null": None}),
        Call("put_collection", {"similarity": None, "dimension": None, "null": None}),
        Call("delete_documents", {"ids": ["none"], "filter": None}),
        Call("query_documents", {"ids": None, "cursor": None}),
    ):
        answer = call.send(stocked, DESCRIBED)
        assert answer.status_code == 200, answer.text


def forms() -> Iterator[tuple[str, list[str]]]:
    for operation in OPERATIONS:
        reference = operation.contents.get("application/json", {}).get("schema", {}).get("$ref", "")
        _, schema = DESCRIBED.resolved({"$ref": reference}) if reference else (None, {})
        if "if" in schema:
            yield operation.id, [*schema["if"]["required"], *schema["else"]["required"]]


def test_requests_that_have_forms():
    assert dict(forms()) == {
        "attend": ["query", "queries"],
        "decode_source": ["source", "picture"],
        "delete_documents": ["ids", "filter"],
        "update_documents": ["ids", "filter"],
    }


@pytest.mark.parametrize(("operation", "fields"), list(forms()))
def test_a_request_has_one_form(stocked, operation, fields):
    shown = [call.body for call in examples(DESCRIBED, DESCRIBED.operations[operation])]
    schema = DESCRIBED.operations[operation].contents["application/json"]["schema"]
    both = {name: message for body in shown for name, message in body.items()}
    neither = {name: message for name, message in both.items() if name not in fields}
    assert set(fields) <= both.keys()
    for body in (both, neither):
        assert DESCRIBED.flaws(schema, body)
        answer = Call(operation, body).send(stocked, DESCRIBED)
        assert answer.status_code == 422
        expected = f"send exactly one of {' and '.join(fields)}"
        assert answer.json()["errors"] == [{"pointer": "", "detail": expected}]


WITH_INTEGERS = [
    call
    for call in CALLS
    if json.dumps(pointed(call.body)) != json.dumps(call.body)
    and not (call.operation == "calibrate" and "rerank" in call.body)  # whose one integer takes seconds
]


@pytest.mark.parametrize("call", with_new_integers(WITH_INTEGERS), ids=told)
def test_an_integer_may_be_written_with_a_point(stocked, call):
    prepare_collection(stocked, call)
    if call.operation == "put_collection":
        stocked.delete("/v1/collections/library")
    if call.operation == "leave_words_out" or "shown_temperature" in str(call.body):
        stocked.patch("/v1/rooms/MATH", json={"question": {"number": 1, "revealed": True}})
    answer = Call(call.operation, pointed(call.body), call.values, call.query, call.headers).send(stocked, DESCRIBED)
    assert 200 <= answer.status_code < 300, answer.text


STREAMS = [
    Call(
        "post_documents", b'{"id": "c", "key_vector": [1, 1]}\n\n{"id": "c"\n{"id": "d", "x": 1}\n', {"name": "vectors"}
    ),
    Call("post_documents", b'{"id": "a", "key": "%s"}\n' % (b"cats and " * 2000)),
    Call("encode", {"texts": ["a", "b"], "tokens": True}, headers={"accept": NDJSON}),
    Call("encode", {"texts": ["a"], "vector_format": "base64"}, headers={"accept": NDJSON}),
]


@pytest.mark.parametrize("call", STREAMS, ids=told)
def test_every_line_of_a_stream_is_of_its_schema(stocked, call):
    content = DESCRIBED.operations[call.operation].described["responses"]["200"]["content"][NDJSON]
    answer = call.send(stocked, DESCRIBED)
    assert answer.headers["content-type"].partition(";")[0] == NDJSON
    *lines, last = map(json.loads, answer.text.splitlines())
    assert last["done"] is True
    for line in (*lines, last, *map(json.loads, content["example"].splitlines())):
        assert not DESCRIBED.flaws(content["x-itemSchema"], line), line
    assert DESCRIBED.flaws(content["x-itemSchema"], {**last, "more": 1})


def test_a_stream_that_breaks_off_ends_in_its_schema(stocked):
    sent = b'{"id": "c", "key_vector": [1, 1]}\n' + b" " * (33 * 2**20)
    answer = stocked.post("/v1/collections/vectors/documents", content=sent, headers={"content-type": NDJSON})
    last = json.loads(answer.text.splitlines()[-1])
    assert last["problem"]["code"] == "body_too_large"
    assert not DESCRIBED.flaws({"$ref": f"{PREFIX}UploadEnd"}, last)


def test_a_line_that_is_sent_is_a_document():
    content = DESCRIBED.operations["post_documents"].contents[NDJSON]
    for line in content["example"].splitlines():
        assert not DESCRIBED.flaws(content["x-itemSchema"], json.loads(line))


@pytest.mark.parametrize("path", DESCRIBED.description["paths"])
def test_a_method_that_a_path_does_not_take_is_a_documented_problem(client, path):
    url = path.replace("{name}", "library").replace("{id}", "qa76")
    taken = {method.upper() for method in DESCRIBED.description["paths"][path]}
    openai = path.startswith(("/v1/embeddings", "/v1/models"))
    for method in ("OPTIONS", "PROPFIND"):
        answer = client.request(method, url)
        assert answer.status_code == 405
        allowed = set(answer.headers["allow"].split(", "))
        assert allowed - {"HEAD"} >= taken
        assert ("HEAD" in allowed) == ("GET" in allowed)
        kind, schema = ("json", "ErrorAnswer") if openai else ("problem+json", "Problem")
        assert answer.headers["content-type"] == f"application/{kind}"
        assert not DESCRIBED.flaws({"$ref": PREFIX + schema}, answer.json())
