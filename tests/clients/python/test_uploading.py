"""Uploads: rows refused before sending, early ends, and resuming."""

from __future__ import annotations

import asyncio
import json
import pickle
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import numpy as np
import pytest
import torch

import softkv
from softkv import AsyncClient, Client, Report
from tests.clients.python.scripted import Said, Scripted
from tests.running import RunningService

WIDE = "key_vector has width 3, collection {!r} holds width 2: use the model that its other documents were made with"


def rows(many: int, first: int = 0) -> Iterator[dict[str, Any]]:
    for number in range(first, many):
        yield {"id": f"row-{number:05}", "key_vector": [number, 1.0], "value": number}


def words(report: Report) -> dict[int, str]:
    return {refusal.row: refusal.detail for refusal in report.refused}


class BrokenRowsError(Exception):
    """The error that a caller's generator raises."""


def breaking(many: int) -> Iterator[dict[str, Any]]:
    yield from rows(many)
    raise BrokenRowsError


class Losing(httpx2.HTTPTransport):
    """Sends writes for real, and loses the first answer to one that brings this document."""

    def __init__(self, lost: str) -> None:
        super().__init__()
        self.sent: list[bytes] = []
        self.lost = f'"{lost}"'.encode()
        self.lost_bodies: list[bytes] = []

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        response = super().handle_request(request)
        if request.method == "POST" and request.url.path.endswith("/documents"):
            body = request.read()
            self.sent.append(body)
            if self.lost in body and not self.lost_bodies:
                self.lost_bodies.append(body)
                response.read()
                raise httpx2.ReadError("the answer was lost")
        return response


@pytest.fixture
def losing(service: RunningService) -> Iterator[Callable[[str], tuple[Client, Losing]]]:
    """Yield a function that makes a client whose answers are lost, and its transport."""
    with ExitStack() as stack:

        def make(lost: str) -> tuple[Client, Losing]:
            transport = Losing(lost)
            return stack.enter_context(Client(service.url, retries=0, transport=transport)), transport

        yield make


@pytest.fixture
def name(service: RunningService) -> Iterator[str]:
    """A collection of keys of width 2."""
    with Client(service.url) as client:
        client.collection("uploaded").create(encoder=None, dimension=2)
        yield "uploaded"
        client.collection("uploaded").drop()


@pytest.mark.parametrize("on_conflict", ["replace", "skip"])
@pytest.mark.parametrize("dimension", [2, None])
def test_a_width_that_is_not_the_keys_is_refused_wherever_it_comes(made, on_conflict, dimension):
    collection = made(encoder=None, dimension=dimension)
    documents = list(rows(1200))
    for position in (700, 1100, 1199):
        documents[position]["key_vector"] = [1, 2, 3]
    report = collection.upsert(documents, on_conflict=on_conflict)
    assert words(report) == dict.fromkeys((700, 1100, 1199), WIDE.format(collection.name))
    assert all(refusal.errors[0].pointer == "/key_vector" for refusal in report.refused)
    assert (report.upserted, collection.count()) == (1197, 1197)


def test_a_width_that_is_known_is_not_sent(losing, name):
    client, transport = losing("nobody")
    collection = client.collection(name)
    assert words(collection.upsert([{"id": "a", "key_vector": [1, 2, 3]}])) == {0: WIDE.format(name)}
    assert len(transport.sent) == 1  # where nothing was known of it
    report = collection.upsert([{"id": "a", "key_vector": [1, 2, 3]}, {"id": "b", "key_vector": [1, 2]}])
    assert words(report) == {0: WIDE.format(name)}
    assert len(transport.sent) == 2
    assert b'"a"' not in transport.sent[1]
    assert collection.upsert([{"id": "a", "key_vector": [1, 2, 3]}]).refused[0].row == 0
    assert len(transport.sent) == 2


def test_a_recreated_collection_accepts_another_width(service):
    with Client(service.url) as client, Client(service.url) as other:
        collection = client.collection("anew")
        collection.create(encoder=None, dimension=2)
        other.collection("anew").drop()
        other.collection("anew").create(encoder=None, dimension=3)
        assert collection.upsert([{"id": "a", "key_vector": [1, 2, 3]}]).raise_for_refused().upserted == 1
        collection.drop()


def test_an_id_twice_in_a_batch_is_refused_in_the_service_s_words_and_in_two_the_last_stays(made, client, collection):
    twice = [{"id": "a", "key_vector": [1, 1], "value": 1}, {"id": "a", "key_vector": [2, 2], "value": 2}]
    shelf = made(encoder=None, dimension=2)
    report = shelf.upsert(twice)
    answer = client.post(
        f"{collection(encoder=None, dimension=2)}/documents",
        content=b"\n".join(json.dumps(item).encode() for item in twice),
        headers={"Content-Type": "application/x-ndjson"},
    )
    (refused,) = json.loads(answer.text.splitlines()[0])["refused"]
    assert words(report) == {refused["line"] - 1: refused["detail"]}
    assert [flaw._asdict() for flaw in report.refused[0].errors] == refused["errors"]
    assert shelf.get("a").value == 1
    assert shelf.upsert([twice[0], *rows(999), twice[1], *rows(1500, 1000)]).refused == []
    assert shelf.get("a").value == 2


@pytest.mark.parametrize("on_conflict", ["replace", "skip", "fail"])
def test_an_answer_that_was_lost_leaves_a_report_to_go_on_from(losing, name, on_conflict):
    client, transport = losing("row-02000")
    collection = client.collection(name)
    with pytest.raises(softkv.Unreachable) as broken:
        collection.upsert(rows(3500), on_conflict=on_conflict)
    report = pickle.loads(pickle.dumps(broken.value.report))
    assert (report.acknowledged, report.upserted) == (2000, 2000)
    assert collection.count() >= 3000
    before = len(transport.sent)
    with pytest.raises(softkv.Invalid, match="1,500 rows came and 2,000 are acknowledged"):
        collection.upsert(rows(1500), on_conflict=on_conflict, resume=report)
    assert len(transport.sent) == before
    done = collection.upsert(rows(3500), on_conflict=on_conflict, resume=report)
    assert (done.rows, done.acknowledged, done.upserted) == (3500, 3500, 3500)
    assert (done.skipped, done.refused) == ([], [])
    assert transport.sent.count(transport.lost_bodies[0]) == 2
    assert [document.value for document in collection.find(include=["value"])] == list(range(3500))


@pytest.mark.parametrize("on_conflict", ["replace", "skip"])
def test_refused_rows_are_reported_once_after_a_resume(losing, name, on_conflict):
    client, _ = losing("row-03005")
    collection = client.collection(name)
    documents = list(rows(3500))
    for position in (5, 1005, 2005, 3005):
        documents[position]["colour"] = "red"
    with pytest.raises(softkv.Unreachable) as broken:
        collection.upsert(documents, on_conflict=on_conflict)
    done = collection.upsert(documents, on_conflict=on_conflict, resume=broken.value.report)
    assert list(words(done)) == [5, 1005, 2005, 3005]
    assert (done.upserted, done.skipped, collection.count()) == (3496, [], 3496)


def test_an_id_that_is_taken_ends_all_that_comes_after_it(made):
    collection = made(encoder=None, dimension=2)
    collection.put("row-01500", key_vector=[1, 1])
    with pytest.raises(softkv.Conflict) as refused:
        collection.upsert(rows(3500), on_conflict="fail")
    report = refused.value.report
    assert (report.acknowledged, report.upserted, collection.count()) == (1000, 1000, 1001)
    done = collection.upsert(rows(3500), on_conflict="skip", resume=report)
    assert (done.upserted, done.skipped) == (3499, ["row-01500"])


def test_rows_that_break_off_leave_a_report_that_can_be_resumed(made):
    collection = made(encoder=None, dimension=2)
    report = Report()
    with pytest.raises(BrokenRowsError) as broken:
        collection.upsert(breaking(3500), resume=report)
    assert "3,000 of 3,500 rows written" in broken.value.__notes__[0]
    assert (report.rows, report.acknowledged, report.upserted) == (3500, 3000, 3000)
    assert collection.count() == 3000
    assert collection.upsert(rows(4000), resume=report).upserted == 4000
    assert collection.count() == 4000


def test_a_collection_that_is_not_there_gets_one_batch_only(losing):
    client, transport = losing("nobody")
    with pytest.raises(softkv.NotFound) as refused:
        client.collection("nowhere").upsert(rows(5000))
    assert (refused.value.report.acknowledged, len(transport.sent)) == (0, 1)


@pytest.mark.parametrize("on_conflict", ["replace", "skip"])
def test_a_row_that_the_service_does_not_take_keeps_no_other_back(tmp_path, on_conflict):
    with (
        RunningService(data_dir=tmp_path, encoder="none", max_body_bytes=65_536) as running,
        Client(running.url) as client,
    ):
        collection = client.collection("a")
        collection.create(encoder=None)
        documents = [{"id": f"{number:04}", "key": "word " * 20} for number in range(1500)]
        documents[700]["key"] = "word " * 20_000
        report = collection.upsert(documents, on_conflict=on_conflict)
        assert [refusal.row for refusal in report.refused] == [700]
        assert "shorten it" in report.refused[0].detail
        assert (report.upserted, collection.count()) == (1499, 1499)


def test_others_have_their_turn_while_rows_are_sent(service, name):
    async def ask() -> tuple[Report, int]:
        async with AsyncClient(service.url) as client:
            upload = asyncio.create_task(client.collection(name).upsert(rows(3200)))
            turns = 0
            while not upload.done():
                await asyncio.sleep(0)
                turns += 1
            return upload.result(), turns

    report, turns = asyncio.run(ask())
    assert report.upserted == 3200
    assert turns >= 100


def test_documents_that_end_a_stream_are_refused_and_the_others_are_sent_again() -> None:
    flaw = {"pointer": "/documents/1/key", "detail": "the provider refused the text"}
    ended = {"status": 422, "code": "invalid_content", "detail": flaw["detail"], "errors": [flaw]}
    first = {"upserted": 2, "truncated": [], "refused": []}
    lines = [first, {"done": False, "upserted": 2, "refused": 0, "problem": ended}]
    rest = [{"upserted": 2, "truncated": [], "refused": []}, {"done": True, "upserted": 2, "refused": 0}]
    answers = [Said(200, b"\n".join(json.dumps(line).encode() for line in part)) for part in (lines, rest)]
    with Scripted(*answers).running() as server, softkv.Client(server.url) as client:
        report = client.collection("c").upsert({"id": f"r{n}", "key": f"text {n}"} for n in range(5))
    assert [json.loads(line)["id"] for line in server.heard[1].body.split(b"\n")] == ["r2", "r4"]
    assert (report.upserted, report.acknowledged) == (4, 5)
    assert [(refused.row, refused.id, refused.detail) for refused in report.refused] == [
        (3, "r3", "/key: the provider refused the text")
    ]


@pytest.mark.parametrize("ids", [[1, 2], np.array([1, 2])])
def test_whole_numbers_as_ids_are_written_in_decimal(made, ids):
    collection = made(encoder=None, dimension=2)
    assert collection.upsert(ids=ids, key_vectors=np.eye(2)).upserted == 2
    assert collection.upsert([{"id": 3, "key_vector": [1, 0]}]).upserted == 1
    assert [document.id for document in collection.find()] == ["1", "2", "3"]
    assert not collection.upsert([{"id": True, "key_vector": [1, 0]}])


@pytest.mark.parametrize(
    "vectors",
    [
        torch.eye(2, dtype=torch.bfloat16, requires_grad=True),
        [torch.tensor([1.0, 0.0], requires_grad=True), torch.tensor([0.0, 1.0]).half()],
        np.ma.array([[1.0, 9.0], [0.0, 1.0]], mask=[[False, True], [False, False]]),
        [np.ma.array([1.0, 9.0], mask=[False, True]), np.array([0.0, 1.0])],
    ],
    ids=["tensor", "tensors", "masked", "masked rows"],
)
def test_columns_of_tensors_arrive_and_hidden_numbers_do_not(made, vectors):
    hides = not isinstance(vectors, torch.Tensor) and any(map(np.ma.is_masked, vectors))
    collection = made(encoder=None, dimension=2)
    with pytest.warns(UserWarning, match="got an array that masks some") if hides else nullcontext():
        assert collection.upsert(ids=["a", "b"], key_vectors=vectors).upserted == 2 - hides
    arrived = {document.id: document.key_vector.tolist() for document in collection.find(include=["key_vector"])}
    assert arrived == {"b": [0.0, 1.0]} | ({} if hides else {"a": [1.0, 0.0]})


@pytest.mark.parametrize("on_conflict", ["replace", "skip"])
def test_rows_that_had_expired_before_they_were_sent_are_counted(made, on_conflict):
    shelf = made(encoder=None)
    shelf.put("there", value="kept")
    now = datetime.now(UTC)
    instants = {
        "microseconds-read-as-nanoseconds": 1_767_225_600_000_000 // 10**9,
        "text": "2026-01-01T00:00:00Z",
        "datetime": now - timedelta(days=1),
        "ahead": now + timedelta(days=1),
        "duration": "30d",
        "never": None,
        "no-instant": "soon",
        "there": 0,
    }
    rows = [{"id": name, "value": name, "expires": instant} for name, instant in instants.items()]
    with pytest.warns(UserWarning, match="had expired before they were sent"):
        report = shelf.upsert(rows, on_conflict=on_conflict)
    expected = 3 if on_conflict == "skip" else 4
    assert report.expired == expected
    assert f"7 of 8 rows written, {expected} expired" in repr(report) or report.skipped == ["there"]
    assert [refusal.id for refusal in report.refused] == ["no-instant"]
    assert shelf.count() == report.upserted - expected + len(report.skipped)


def test_rows_are_sent_one_batch_after_the_other_where_no_thread_starts(service, monkeypatch):
    """As in Pyodide."""

    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with Client(service.url) as blocking:
        collection = blocking.collection("uploading-without-threads")
        collection.create(encoder=None, dimension=2)
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", start)
            report = collection.upsert(rows(2500))
        assert (report.upserted, report.acknowledged) == (2500, 2500)
        collection.drop()
