"""Everything that /docs describes exists and is true: every call, example, field and status."""

from __future__ import annotations

import re
from dataclasses import replace

import httpx
import pytest

from softkv_service.api.parts import find_parts
from softkv_service.api.problems.table import TABLE, add_refusals
from softkv_service.storage import ReEncoding
from tests.running import RunningService
from tests.service.api.calls import EVERY_FIELD, Call, examples, in_path, trained_once, with_numbers
from tests.service.api.contract import Contract, checked_in
from tests.thorough import thorough

DESCRIBED = Contract(checked_in())
OPERATIONS = list(DESCRIBED.operations.values())
EXAMPLES = [call for operation in OPERATIONS for call in examples(DESCRIBED, operation)]
# Just beyond 64 bits, signed or not, and at the ends of float64, which 10**400 leaves.
BEYOND = [2**63, 2**64, -(2**63) - 1, 10**400, 1.7e308, 5e-324]
WITH_INTEGERS = [call for call in EVERY_FIELD if re.search("'(ranges|trained|numbers)'", str(call.body))]
# Clients are generated from these names: one that was published stays.
NAMES = {
    "livez",
    "readyz",
    "metrics",
    "put_collection",
    "patch_collection",
    "get_collection",
    "list_collections",
    "delete_collection",
    "put_document",
    "patch_document",
    "get_document",
    "delete_document",
    "post_documents",
    "query_documents",
    "delete_documents",
    "update_documents",
    "attend",
    "sweep",
    "compare",
    "compare_rows",
    "attend_arrays",
    "encode",
    "trace",
    "embeddings",
    "list_models",
    "get_model",
    "get_service",
    "describe_fields",
    "get_backup",
    "open_room",
    "get_room",
    "close_room",
    "hear_room",
    "put_room_row",
    "delete_room_row",
    "delete_room_rows",
    "ask_room",
    "list_slow_requests",
    "list_encoders",
    "unload_encoder",
    "put_guess",
    "patch_room",
    "get_lab",
    "train_model",
    "decode_source",
    "start_re_encoding",
    "cancel_re_encoding",
    "store_projection",
    "get_projection",
    "give_feedback",
    "list_feedback",
    "delete_feedback",
    "read_table",
    "rerank",
    "rerank_as_cohere",
    "score",
    "list_aliases",
    "put_alias",
    "get_alias",
    "delete_alias",
    "calibrate",
    "leave_words_out",
}


def told(call: Call) -> str:
    return f"{call.operation} {call.body}"[:60]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.id)
def test_every_call_is_described(operation):
    described = operation.described
    assert re.fullmatch("[a-z_]{1,30}", operation.id)
    assert described["summary"]
    assert described["description"]
    assert set(described["tags"]) <= {tag["name"] for tag in DESCRIBED.description["tags"]}
    assert any(200 <= status < 300 for status in operation.statuses)
    for answer in described["responses"].values():
        assert answer["description"] not in ("", "Successful Response")
    for parameter in operation.parameters:
        assert parameter["description"]
    assert len(in_path(DESCRIBED, operation)) == operation.path.count("{")


def test_the_names_of_calls_stay():
    assert DESCRIBED.operations.keys() == NAMES, "list a new one here; clients in every language use these names"


def test_every_field_of_a_request_is_described():
    requests = {
        name
        for operation in OPERATIONS
        for media in operation.contents.values()
        for field in DESCRIBED.fields(media["schema"])
        if (name := field.split(".")[0]) in DESCRIBED.schemas
    }
    for name in sorted(requests):
        for field, schema in DESCRIBED.properties(DESCRIBED.schemas[name]):
            assert "description" in schema or "$ref" in schema, f"{name}.{field}"


def test_documented_examples_are_of_their_own_schemas():
    shown = [(name, schema, each) for name, schema in DESCRIBED.schemas.items() for each in schema.get("examples", ())]
    refused = DESCRIBED.description["components"]["examples"].values()
    shown += [("Problem", {}, problem["value"]) for problem in refused]
    assert len(shown) > 40
    for name, schema, example in shown:
        assert not DESCRIBED.flaws({"$ref": f"#/components/schemas/{name}"}, example), (name, schema, example)


def test_every_code_that_is_described_is_one_that_a_call_may_answer():
    described = DESCRIBED.description["components"]["examples"].keys()
    answered = {
        code
        for operation in OPERATIONS
        for answer in operation.described["responses"].values()
        for code in answer.get("content", {}).get("application/problem+json", {}).get("examples", {})
    }
    assert answered == described
    for part in find_parts():
        add_refusals(part.refusals, part.errors)
    assert described == {code for code, refusal in TABLE.items() if refusal.reason is not None}


def test_links_lead_to_calls_and_their_parameters():
    links = [
        link
        for operation in OPERATIONS
        for answer in operation.described["responses"].values()
        for link in answer.get("links", {}).values()
    ]
    assert {"put_document", "attend", "sweep", "compare", "patch_document"} <= {link["operationId"] for link in links}
    for link in links:
        assert (
            {"name"}
            <= link["parameters"].keys()
            <= in_path(DESCRIBED, DESCRIBED.operations[link["operationId"]]).keys()
        )


def test_keys_are_described():
    assert {"bearer": []} in DESCRIBED.description["security"]
    assert DESCRIBED.description["components"]["securitySchemes"]["key"]["name"] == "X-API-Key"
    for operation in OPERATIONS:
        assert (operation.described.get("security") == []) == (not operation.path.startswith(("/v1", "/v2")))


def prepare_collection(client: httpx.Client, call: Call) -> None:
    """Make a collection of the width of the documented projection."""
    if call.operation == "store_projection" and not call.values:
        client.delete("/v1/collections/library")
        client.put("/v1/collections/library", json={"encoder": None, "dimension": 3})


def prepare_job(client: httpx.Client, service: RunningService, call: Call) -> None:
    """Make a collection that can move to the encoder, and a job of it that waits."""
    if not call.operation.endswith("_re_encoding"):
        return
    client.delete("/v1/collections/library")
    client.put("/v1/collections/library", json={"encoder": None})
    if call.operation != "start_re_encoding":
        catalogue = service.app.state.parts.catalogue
        record = catalogue.collection("library").record
        job = ReEncoding(record.id, None, "running", None, None, "all-MiniLM-L6-v2", None, None, (), 0.0)
        catalogue.begin_re_encoding(job, record.settings, "library")


@pytest.mark.parametrize("call", EXAMPLES, ids=told)
def test_every_example_succeeds(stocked, service, call):
    prepare_job(stocked, service, call)
    prepare_collection(stocked, call)
    if call.operation == "put_collection":
        stocked.delete("/v1/collections/library")
    if call.operation == "leave_words_out" or "shown_temperature" in str(call.body):
        stocked.patch("/v1/rooms/MATH", json={"question": {"number": 1, "revealed": True}})
    if "released" in str(call.body):
        stocked.patch("/v1/rooms/MATH", json={"hold": True})
        stocked.delete("/v1/rooms/MATH/rows")
        stocked.put("/v1/rooms/MATH/rows/row-1", json={"key": "cats"}, headers={"X-Room-Secret": "mine"})
    answer = call.send(stocked, DESCRIBED)
    assert 200 <= answer.status_code < 300, answer.text


@pytest.mark.parametrize("call", trained_once(EVERY_FIELD), ids=told)
def test_every_field_is_taken(stocked, service, call):
    prepare_job(stocked, service, call)
    answer = call.send(stocked, DESCRIBED)
    assert 200 <= answer.status_code < 300, answer.text


@pytest.mark.parametrize("call", [*WITH_INTEGERS, *(thorough(call) for call in EVERY_FIELD)], ids=told)
def test_a_number_of_any_size_is_taken_or_refused(stocked, service, call):
    for body in with_numbers(call.body, BEYOND) if isinstance(call.body, dict) else ():
        prepare_job(stocked, service, call)
        answer = replace(call, body=body).send(stocked, DESCRIBED)
        assert answer.status_code < 500, body
    for name, sent in call.query.items():
        for number in BEYOND:
            query = {**call.query, name: [number] if isinstance(sent, list) else number}
            assert replace(call, query=query).send(stocked, DESCRIBED).status_code < 500, query


def test_the_calls_above_use_every_field_and_every_choice():
    fields: set[str] = set()
    used: set[str] = set()
    for operation in OPERATIONS:
        calls = [call for call in (*EXAMPLES, *EVERY_FIELD) if call.operation == operation.id]
        for parameter in operation.parameters:
            if parameter["in"] == "query":
                name = f"{operation.id}?{parameter['name']}"
                fields |= {name} | DESCRIBED.fields(parameter["schema"], name)
                for sent in (call.query[parameter["name"]] for call in calls if parameter["name"] in call.query):
                    used |= {name} | DESCRIBED.used(parameter["schema"], sent, name)
        schema = operation.contents.get("application/json", {}).get("schema")
        if schema is not None:
            fields |= DESCRIBED.fields(schema)
            for call in calls:
                if not isinstance(call.body, bytes):
                    used |= DESCRIBED.used(schema, call.body)
    assert used == fields
