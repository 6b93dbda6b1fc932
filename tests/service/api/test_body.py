"""The reading of a body: one interpretation of its media type everywhere, and strict JSON."""

from __future__ import annotations

import json
import random
import time
from email.message import Message

import pytest
from starlette.datastructures import Headers

from softkv_service.api.body import LARGE_BODY, media_type, parse


def read(*declared: str) -> str:
    return media_type(Headers(raw=[(b"content-type", length.encode("latin-1")) for length in declared]))


@pytest.mark.parametrize(
    ("declared", "kind"),
    [
        ("application/json", "application/json"),
        ("APPLICATION/Json", "application/json"),
        ("application/json;charset=utf-8", "application/json"),
        ("application/json ; charset=utf-8 ; a=b", "application/json"),
        ('application/json; a="b; \\" c"; d=e', "application/json"),
        ("application/json;", "application/json"),
        ("application/json;;\t; a=b", "application/json"),
        (" application/x-ndjson ", "application/x-ndjson"),
        ("application/x-ndjson+json", "application/x-ndjson+json"),
    ],
)
def test_a_valid_media_type_is_read_without_parameters_and_case(declared, kind):
    assert read(declared) == kind


@pytest.mark.parametrize(
    "declared",
    [
        "",
        "json",
        "application",
        "application/",
        "/json",
        "application/json/x",
        "application /json",
        "application/ json",
        "application/json charset=utf-8",
        "application/json, application/json",
        "application/json; charset",
        "application/json; charset=",
        "application/json; =utf-8",
        "application/json; a = b",
        'application/json; a="b',
        'application/json; a="b"c',
        "application/jsön",
        "application/json\x00",
        "application/json\nx",
        "*/ *",
        "application/json; a=(b)",
    ],
)
def test_a_malformed_media_type_is_empty(declared):
    assert read(declared) == ""


def test_several_media_types_are_empty():
    assert read("application/json", "application/json") == read("application/json", "application/x-ndjson") == ""
    assert read() == ""


def test_a_long_header_is_read_in_linear_time():
    started = time.thread_time()  # of this thread alone, however busy the machine is
    assert read("application/json" + ";   " * 20_000 + "@") == ""
    assert read("application/json" + "; a=b" * 20_000 + "@") == ""
    assert time.thread_time() - started < 1


def test_the_framework_reads_the_same_media_type():
    """FastAPI asks the standard library whether a body is JSON, after we did."""
    words = ["application", "json", "x-ndjson", "+json", "charset", "utf-8", "JSON"]
    pieces = [*words, *'/; \t="\\']
    made, well_formed = random.Random(5), 0
    for _ in range(20_000):
        declared = "application/json" * made.randint(0, 1) + "".join(made.choices(pieces, k=made.randint(1, 9)))
        if kind := read(declared):
            message = Message()
            message["content-type"] = declared
            assert message.get_content_type() == kind, declared
            well_formed += 1
    assert well_formed > 500


@pytest.mark.parametrize("integer", [2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**30, 10**400])
@pytest.mark.parametrize("text", ["[{}]", '{{"a":{}}}', '{{"a" :\n{} }}', "[1,\r\n{}]", "[-1,\t{},1e3]", '["a, {}"]'])
def test_an_integer_keeps_its_digits_wherever_it_stands(integer, text):
    body = text.format(integer)
    assert parse(body.encode()) == json.loads(body)


LARGER = 2**64 + 1
FILTER = {"field": "metadata.n", "operator": "in", "value": [1, LARGER]}


@pytest.mark.parametrize(
    ("method", "path", "body", "pointer"),
    [
        ("PUT", "/documents/a", {"metadata": {"x/y": [LARGER]}}, "/metadata/x~1y/0"),
        ("PUT", "/documents/a", {"value": -(2**63) - 1}, "/value"),
        ("PATCH", "/documents/a", {"metadata": {"n": LARGER}}, "/metadata/n"),
        ("POST", "/documents", {"documents": [{"id": "a"}, {"id": "b", "value": LARGER}]}, "/documents/1/value"),
        ("POST", "/documents/update", {"ids": ["a"], "patch": {"value": LARGER}}, "/patch/value"),
        ("POST", "/documents/query", {"filter": FILTER}, "/filter/value/1"),
        ("POST", "/attend", {"query": "q", "filter": FILTER}, "/filter/value/1"),
        ("POST", "/attend", {"query": "q", "bias": [{"filter": FILTER, "addend": 1}]}, "/bias/0/filter/value/1"),
        ("PATCH", "", {"defaults": {"bias": [{"filter": FILTER, "addend": 1}]}}, "/defaults/bias/0/filter/value/1"),
    ],
)
def test_an_integer_of_more_than_64_bits_is_refused_where_it_stands(client, collection, method, path, body, pointer):
    answer = client.request(method, collection() + path, json=body)
    flaw = {"pointer": pointer, "detail": "wanted integers of at most 64 bits, got a larger one: send it as text"}
    assert (answer.status_code, answer.json()["errors"]) == (422, [flaw])


def test_an_integer_of_more_than_64_bits_is_refused_in_a_large_body_and_in_a_line(client, collection):
    path = f"{collection()}/documents"
    documents = [{"id": str(i), "metadata": {"text": 1000 * "x"}} for i in range(LARGE_BODY // 1000)]
    answer = client.post(path, json={"documents": [*documents, {"id": "a", "metadata": {"n": LARGER}}]})
    assert answer.json()["errors"][0]["pointer"] == f"/documents/{len(documents)}/metadata/n"
    lines = "".join(f'{{"id": "{n}", "metadata": {{"n": {n}}}}}\n' for n in (LARGER, 2**64 - 1, -(2**63)))
    answer = client.post(path, content=lines, headers={"content-type": "application/x-ndjson"})
    assert '"refused":[{"line":1,"detail":"wanted integers of at most 64 bits' in answer.text
    assert client.get(f"{path}/{2**64 - 1}").json()["metadata"] == {"n": 2**64 - 1}
    assert client.get(f"{path}/{-(2**63)}").json()["metadata"] == {"n": -(2**63)}


def test_a_number_that_is_read_as_a_float_may_be_written_as_any_integer(client, collection):
    path = collection(encoder=None)
    client.put(f"{path}/documents/a", json={"key_vector": [10**20, 0]}).raise_for_status()
    body = {"query": [0, 10**20], "temperature": 10**20}
    assert client.post(f"{path}/attend", json=body).json()["matches"][0]["similarity"] == 0
