"""NDJSON: a stream of documents, written in batches, each answered by a line."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import sys
import time

import numpy as np
import pytest

from softkv_service.api.routes import upload as upload_route
from softkv_service.api.routes.upload import _lines
from tests.running import RunningService
from tests.waiting import until

NDJSON = {"content-type": "application/x-ndjson"}


def upload(client, path, lines):
    body = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    answer = client.post(f"{path}/documents", content=body.encode(), headers=NDJSON)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    return [json.loads(line) for line in answer.text.splitlines()]


def test_batches_of_a_thousand_lines_are_answered_one_by_one(client, collection):
    path = collection(encoder=None)
    lines = [{"id": f"{i:04}", "key_vector": [1, i]} for i in range(2500)]
    *batches, last = upload(client, path, lines)
    assert [batch["upserted"] for batch in batches] == [1000, 1000, 500]
    assert last == {"done": True, "upserted": 2500, "refused": 0}
    assert client.get(path).json()["documents"] == 2500


def test_flawed_lines_are_refused_with_their_pointers_wherever_they_are_in_a_batch(client, collection):
    path = collection(encoder=None)
    packed = base64.b64encode(np.array([1, 2], "<f4").tobytes()).decode()
    lines = [
        {"id": "numbers", "key_vector": [1, 2], "metadata": {"n": 2**64 - 1, "f": 1e300}},
        "",
        {"id": "base64", "key_vector": {"base64": packed}, "metadata": {"n": -(2**63)}},
        {"id": "huge", "key_vector": [1, 2], "metadata": {"deep": {"n": 2**64}}},
        '{"id": "overflow", "key_vector": [1, 1e39]}',
        {"id": "numbers", "key_vector": [3, 4]},
        {"id": "nul", "key_vector": [1, 2], "metadata": {"a": ["\0"]}},
        {"id": "padding", "key_vector": {"base64": packed[:-2]}},
        '{"id": "half", "key": "\\ud800", "key_vector": [1, 2]}',
        '{"id": "a"}, {"id": "b"}',
        "",
        {"id": "a\tb", "key_vector": [1, 2]},
        {"id": "\u200d", "key_vector": [1, 2], "value": {"n": [1, {"x": None}]}},
        {"id": "long integer", "key_vector": [10**30, 1], "metadata": {"n": 1}},
        {"id": "wide", "key_vector": [1, 2, 3]},
    ]
    batch, last = upload(client, path, lines)
    assert {flaw["line"]: flaw["errors"][0]["pointer"] for flaw in batch["refused"]} == {
        4: "/metadata/deep/n",
        5: "/key_vector",
        6: "/id",
        7: "/metadata",
        8: "/key_vector",
        9: "/key",
        10: "",
        12: "/id",
        15: "/key_vector",
    }
    assert last == {"done": True, "upserted": 4, "refused": 9}
    answer = client.post(f"{path}/documents/query", json={"include": ["key_vector", "metadata"]}).json()["documents"]
    stored = {document["id"]: document for document in answer}
    assert stored["numbers"]["metadata"] == {"n": 2**64 - 1, "f": 1e300}
    assert stored["base64"]["metadata"] == {"n": -(2**63)}
    assert [stored[name]["key_vector"] for name in ("numbers", "base64", "\u200d")] == [[1, 2]] * 3
    assert stored["long integer"]["key_vector"] == pytest.approx([1e30, 1])


def test_an_upload_describes_its_first_thousand_bad_lines_and_counts_the_others(client, collection, monkeypatch):
    described = []
    flaws_of = upload_route.flaws_of
    monkeypatch.setattr(
        upload_route, "flaws_of", lambda *args, **named: described.append(0) or flaws_of(*args, **named)
    )
    path = collection(encoder=None)
    good = [{"id": f"{i}", "key_vector": [1, i]} for i in range(3)]
    *batches, last = upload(client, path, [{}] * 999 + good + [{}] * 1500 + [{"id": "w", "key_vector": [1]}])
    assert last == {"done": True, "upserted": 3, "refused": 2500}
    assert [(len(batch["refused"]), batch.get("more_refused")) for batch in batches] == [
        (999, None),
        (1, 997),
        (0, 503),
    ]
    assert [line["line"] for line in batches[1]["refused"]] == [1003]
    assert len(described) == 1000
    (batch, _) = upload(client, path, [{f"field {i}": 1 for i in range(1000)}])
    assert len(batch["refused"][0]["errors"]) == 10


def test_lines_that_are_long_together_are_a_batch_before_they_are_a_thousand(tmp_path):
    with RunningService(data_dir=tmp_path, encoder="none", max_body_bytes=4096) as running, running.client() as client:
        client.put("/v1/collections/c", json={})
        lines = [{"id": f"{i:02}", "key_vector": [1, i], "value": "x" * 450} for i in range(30)]
        *batches, last = upload(client, "/v1/collections/c", lines)
        assert [batch["upserted"] for batch in batches] == [9, 9, 9, 3]
        assert last == {"done": True, "upserted": 30, "refused": 0}


def test_a_line_over_the_limit_ends_the_stream_and_keeps_earlier_lines(tmp_path):
    with RunningService(data_dir=tmp_path, encoder="none", max_body_bytes=2048) as running, running.client() as client:
        client.put("/v1/collections/a", json={})
        lines = [json.dumps({"id": str(i), "key_vector": [1, i]}) for i in range(5)]
        lines.append(json.dumps({"id": "big", "key_vector": [1, 2], "value": "x" * 4096}))
        answer = client.post("/v1/collections/a/documents", content="\n".join(lines).encode(), headers=NDJSON)
        first, last = map(json.loads, answer.text.splitlines())
        assert first["upserted"] == 5
        assert (last["done"], last["upserted"], last["problem"]["status"]) == (False, 5, 413)
        assert "line 6" in last["problem"]["detail"]


def test_a_client_that_leaves_in_the_middle_leaves_the_service_answering(service, client, collection):
    path = collection(encoder=None)
    for kind in ("application/x-ndjson", "application/json"):
        head = (
            f"POST {path}/documents HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: 9999\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", service.port)) as raw:
            raw.sendall(head.encode() + b'{"id": "a", "key_vector": [1, 2]}\n{"id')
        assert client.get("/livez", timeout=30).status_code == 200


def test_an_answer_begins_with_the_first_batch_and_not_before(service, client, collection):
    """Proxies as nginx pass on no more of a body whose answer has begun. Values wait until the upload has ended."""
    path, uploads = collection(encoder=None), service.app.state.parts.catalogue.encoders.uploads
    lines = [json.dumps({"id": str(i), "key_vector": [1, i]}).encode() + b"\n" for i in range(1001)]
    head = f"POST {path}/documents HTTP/1.1\r\nHost: localhost\r\nContent-Type: {NDJSON['content-type']}\r\n"
    head += f"Content-Length: {sum(map(len, lines))}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", service.port), timeout=30) as raw:
        raw.sendall(head.encode() + b"".join(lines[:999]))
        raw.settimeout(0.3)
        with pytest.raises(TimeoutError):
            raw.recv(1)
        raw.settimeout(30)
        raw.sendall(lines[999])
        assert raw.recv(15) == b"HTTP/1.1 200 OK"
        time.sleep(2 * uploads.gap_seconds)
        assert uploads.expected
        raw.sendall(lines[1000])
        answer = b""
        while b'"done":true' not in answer:
            answer += (part := raw.recv(65536))
            assert part, answer
    assert client.get(path).json()["documents"] == 1001
    until(lambda: not uploads.expected)


@pytest.mark.timeout(60)
async def test_a_long_line_is_looked_through_once():
    """Were it from its beginning at each part that comes, twenty gigabytes would be copied here a second time."""

    async def parts():
        for _ in range(20_000):
            yield b"x" * 1024
        yield b"\n{}"

    assert [(number, len(line)) async for number, line in _lines(parts(), 1 << 30)] == [(1, 20_000 * 1024), (2, 2)]


async def read_of(*chunks):
    async def stream():
        for chunk in chunks:
            yield chunk

    return [line async for line in _lines(stream(), 1 << 20)]


def test_lines_keep_their_numbers_wherever_the_body_is_cut():
    body = b"\n\na\n \r\n\nbc\n\t\nd\r\n\n\ne"
    expected = [(3, b"a"), (6, b"bc"), (8, b"d\r"), (11, b"e")]
    for first in range(len(body)):
        for second in range(first, len(body)):
            assert asyncio.run(read_of(body[:first], body[first:second], body[second:])) == expected


def test_empty_lines_cost_no_step_each():
    steps = 0

    def count(frame, event, argument):
        nonlocal steps
        steps += frame.f_globals.get("__name__") == _lines.__module__

    async def read():
        sys.setprofile(count)
        try:
            return await read_of(b"\n" * 50_000, b" \r\n" * 50_000, b"\t\n" * 100_000 + b"a")
        finally:
            sys.setprofile(None)

    assert asyncio.run(read()) == [(200_001, b"a")]
    assert steps < 100
