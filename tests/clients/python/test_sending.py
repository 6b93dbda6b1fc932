"""Retries over real sockets, by both clients."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import pytest

import softkv
from softkv import AsyncClient, Client
from softkv.calls.call import new_request_id
from softkv.sending import Connections, http_options
from tests.clients.python.scripted import Said, Scripted, problem
from tests.clients.python.ways import Awaited
from tests.waiting import until

INFO = Said(200, {"version": "1", "encoder": None, "keys_required": False, "limits": {}}, {"X-Request-ID": "named"})
WRITTEN = Said(200, {"upserted": 1, "truncated": []})
LOST = Said(None)


@pytest.fixture(params=["blocking", "awaited"])
def calling(request):
    """Makes clients of an address."""
    with asyncio.Runner() as runner:

        def make(url: str, **options: Any) -> Any:
            if request.param == "blocking":
                return Client(url, **options)
            return Awaited(AsyncClient(url, **options), runner)

        yield make


@pytest.mark.parametrize(("status", "code"), [(429, "queue_full"), (503, "encoder_unavailable")])
def test_a_service_that_asks_for_time_gets_it(calling, status, code):
    with Scripted(problem(status, code, **{"Retry-After": "1"}), INFO).running() as server:
        assert calling(server.url).info().version == "1"
    first, second = server.heard
    assert second.at - first.at >= 1.0
    assert first.headers["X-Request-ID"] == second.headers["X-Request-ID"]


def test_a_wait_that_is_too_long_is_the_caller_s(calling):
    stopping = problem(503, "stopping", **{"Retry-After": "3600"})
    with Scripted(stopping).running() as server, pytest.raises(softkv.Unavailable) as refused:
        calling(server.url).info()
    assert len(server.heard) == 1
    assert (refused.value.retry_after, refused.value.code) == (3600.0, "stopping")


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (problem(503, "storage_failed", **{"Retry-After": "2"}), softkv.Unavailable),
        (problem(422, "invalid_content"), softkv.Invalid),
        (problem(401, "key_refused"), softkv.KeyRefused),
        (problem(403, "forbidden"), softkv.Forbidden),
        (problem(404, "not_found"), softkv.NotFound),
        (problem(409, "collection_conflict"), softkv.Conflict),
        (problem(413, "too_much"), softkv.TooLarge),
        (problem(500, "internal_error"), softkv.ServiceFailed),
        (problem(501, "library_missing"), softkv.Unsupported),
        (problem(507, "disk_full"), softkv.StorageFull),
        (problem(405, "method_not_allowed"), softkv.Refused),
        (Said(200, b"<html>"), softkv.Refused),
        (Said(200, {"another": "program"}), softkv.Refused),
        (Said(404, b"<html>"), softkv.Refused),
        (Said(404, {"detail": "Not Found"}), softkv.Refused),
        (Said(404, {"error": {"message": "no such page"}}), softkv.Refused),
        (Said(409, b"<html>"), softkv.Refused),
        (Said(413, b"<html>"), softkv.TooLarge),
    ],
)
def test_a_permanent_refusal_is_not_retried(calling, message, kind):
    with Scripted(message).running() as server, pytest.raises(softkv.Refused) as refused:
        calling(server.url).info()
    assert type(refused.value) is kind
    assert len(server.heard) == 1
    assert refused.value.status == message.status


def test_a_page_of_a_proxy_is_not_taken_for_a_missing_document(calling):
    with Scripted(Said(404, b"<html>", {"Content-Type": "text/html"})).running() as server:
        collection = calling(server.url).collection("a")
        for ask in (collection.exists, collection.get, collection.remove):
            with pytest.raises(softkv.Refused, match=r"not softkv's: .*, and that a proxy passes on %2F") as refused:
                ask("b/c")
            assert type(refused.value) is softkv.Refused


def test_a_lost_answer_is_retried_with_the_same_idempotency_key(calling):
    with Scripted(LOST, WRITTEN).running() as server:
        calling(server.url).collection("a").put("b", "text")
    first, second = server.heard
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]
    assert first.body == second.body
    with Scripted(WRITTEN).running() as server:
        collection = calling(server.url).collection("a")
        collection.put("b", "text")
        collection.put("b", "text")
    assert len({event.headers["Idempotency-Key"] for event in server.heard}) == 2


def test_a_calibration_that_is_applied_is_not_sent_twice(calling):
    with Scripted(LOST, problem(422, "invalid_content")).running() as server:
        collection = calling(server.url).collection("a")
        with pytest.raises(softkv.Unreachable):
            collection.calibrate([{"query": "a", "id": None}], apply=True)
        assert len(server.heard) == 1
    with Scripted(LOST, problem(422, "invalid_content")).running() as server, pytest.raises(softkv.Invalid):
        calling(server.url).collection("a").calibrate([{"query": "a", "id": None}])
    assert len(server.heard) == 2


def test_retries_end_after_the_configured_number(calling):
    with Scripted(LOST).running() as server, pytest.raises(softkv.Unreachable) as failed:
        calling(server.url, retries=1).info()
    assert len(server.heard) == 2
    assert failed.value.request_id == server.heard[0].headers["X-Request-ID"]
    with Scripted(LOST).running() as server, pytest.raises(softkv.Unreachable):
        calling(server.url).with_options(retries=0).info()
    assert len(server.heard) == 1


@pytest.mark.parametrize(
    "cached", [{"X-Request-ID": "another", "Age": "3"}, {"X-Request-ID": new_request_id(), "Age": "0"}]
)
def test_an_answer_of_a_cache_is_retried_once_past_the_cache(calling, cached):
    stale = Said(200, {"version": "0", "encoder": None, "keys_required": False, "limits": {}}, cached)
    with Scripted(stale, INFO).running() as server:
        assert calling(server.url).info().version == "1"
    assert [heard.headers.get("Cache-Control") for heard in server.heard] == [None, "no-cache"]
    with Scripted(stale).running() as server, pytest.raises(softkv.Error, match="a cache answered") as failed:
        calling(server.url).info()
    assert len(server.heard) == 2
    assert failed.value.request_id == server.heard[0].headers["X-Request-ID"]
    with Scripted(stale).running() as server, pytest.raises(softkv.Unreachable, match="a cache answered"):
        calling(server.url, retries=0).info()
    with (
        Scripted(Said(200, {}, cached)).running() as server,
        pytest.raises(softkv.Unreachable, match="a cache answered"),
    ):
        calling(server.url).collection("a").calibrate([{"query": "a", "id": None}], apply=True)
    assert len(server.heard) == 1


def test_time_that_ran_out_is_not_spent_again(calling):
    with Scripted(Said(200, {}, after=10.0)).running() as server:
        with pytest.raises(softkv.TimedOut, match="timeout="):
            calling(server.url, timeout=1.0).info()
        until(lambda: server.heard)  # which a busy machine may do later than the caller gives up
    assert len(server.heard) == 1


def test_an_unreachable_service_is_reported_with_advice(calling):
    with pytest.raises(softkv.Unreachable, match="softkv serve"):
        calling("http://127.0.0.1:9", retries=0).info()


def test_a_closed_client_reports_that_it_is_closed(calling):
    client = calling("http://127.0.0.1:9")
    client.close()
    with pytest.raises(softkv.Unreachable, match="closed"):
        client.info()


def test_key_and_address_come_from_the_environment_unless_passed(calling, monkeypatch):
    with Scripted(INFO).running() as server:
        monkeypatch.setenv("SOFTKV_URL", server.url)
        monkeypatch.setenv("SOFTKV_KEY", "secret")
        calling(None).info()
        calling(server.url, key="other").info()
        calling(server.url, key="").info()
    keys = [event.headers.get("Authorization") for event in server.heard]
    assert keys == ["Bearer secret", "Bearer other", None]
    with pytest.raises(softkv.Invalid, match="'' is not an http address"):
        calling("")


def test_a_stream_that_a_service_had_to_stop_is_sent_again(calling):
    stopped = b'{"done": false, "upserted": 0, "refused": 0, "problem": %s}\n'
    ended = b'{"upserted": 1, "truncated": [], "refused": []}\n{"done": true, "upserted": 1, "refused": 0}\n'
    problem = json.dumps({"status": 503, "code": "stopping", "detail": "it stops"}).encode()
    with Scripted(Said(200, stopped % problem), Said(200, ended)).running() as server:
        assert calling(server.url).collection("a").upsert([{"id": "a"}]).upserted == 1
    assert len(server.heard) == 2
    problem = json.dumps({"status": 507, "code": "disk_full", "detail": "no room"}).encode()
    with Scripted(Said(200, stopped % problem)).running() as server, pytest.raises(softkv.StorageFull, match="no room"):
        calling(server.url).collection("a").upsert([{"id": "a"}])


def test_no_option_for_connections_is_passed_in_a_browser_which_opens_them(monkeypatch):
    """The transport of Pyodide warns of each."""
    passed: dict[str, Any] = {}
    monkeypatch.setattr(sys, "platform", "emscripten")
    client = Connections(lambda **options: passed.update(options), http_options("http://a", "key", 3), None)
    assert client.http is None
    assert not passed.keys() & {"limits", "proxy", "verify"}
    assert passed["headers"]["Authorization"] == "Bearer key"
