"""The reading of a body: one interpretation of its media type everywhere, and strict JSON."""

from __future__ import annotations

import random
import time
from email.message import Message

import pytest
from starlette.datastructures import Headers

from service.api.body import media_type

JSON = {"content-type": "application/json"}


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
        "", "json", "application", "application/", "/json", "application/json/x", "application /json",
        "application/ json", "application/json charset=utf-8", "application/json, application/json",
        "application/json; charset", "application/json; charset=", "application/json; =utf-8",
        "application/json; a = b", 'application/json; a="b', 'application/json; a="b"c', "application/jsön",
        "application/json\x00", "application/json\nx", "*/ *", "application/json; a=(b)",
    ],
)  # fmt: skip
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
    pieces = [
        "application",
        "/",
        "json",
        "x-ndjson",
        "+json",
        ";",
        " ",
        "\t",
        "charset",
        "=",
        "utf-8",
        '"',
        "\\",
        "JSON",
    ]
    made, well_formed = random.Random(5), 0
    for _ in range(20_000):
        declared = "application/json" * made.randint(0, 1) + "".join(made.choices(pieces, k=made.randint(1, 9)))
        if kind := read(declared):
            message = Message()
            message["content-type"] = declared
            assert message.get_content_type() == kind, declared
            well_formed += 1
    assert well_formed > 500


@pytest.mark.parametrize(
    "body", [b"", b"{", b"NaN", b'{"temperature": NaN}', b'{"a": Infinity}', b"\xff", b"[" * 100_000]
)
def test_a_body_that_is_not_json_is_a_400(client, body):
    answer = client.put("/v1/collections/refused", content=body, headers=JSON)
    assert answer.status_code == 400
    assert answer.json()["code"] == "malformed_json"


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_another_media_type_is_a_415(client, kind):
    answer = client.put("/v1/collections/refused", content=b"{}", headers={"content-type": kind})
    assert answer.status_code == 415
