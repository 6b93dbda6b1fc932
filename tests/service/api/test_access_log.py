"""The access log: a line for each change and each refusal by a key, before the answer; without it no change."""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from softkv_service.api.access_log import FIELDS, AccessLog, Torn, old_files, read
from softkv_service.api.keyring import CHANGING, line_of
from softkv_service.api.problems.errors import AccessLogUnwritable
from tests.running import RunningService
from tests.service.api.calls import Call
from tests.service.api.middleware.test_access_scopes import ROUTES, as_, call, lines
from tests.service.api.refused import KEEPS, WRITES
from tests.service.api.test_openapi import DESCRIBED

ROW: dict[str, Any] = {"key_vector": [1, 2]}
Logged = tuple[httpx.Client, Path]


@contextmanager
def logging(folder: Path, **settings: Any) -> Iterator[tuple[httpx.Client, Path]]:
    """A service with four keys, and the path of its access log."""
    (folder / "keys").write_text(lines("all", "reader", "docs", "docs-reader"))
    path = folder / "access.jsonl"
    running = RunningService(
        data_dir=folder / "data", encoder="none", keys_file=folder / "keys", access_log=path, **settings
    )
    with running, running.client(headers=as_("all")) as client:
        running.wait_until_ready()
        yield client, path


def entries(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def last(path: Path) -> dict[str, Any]:
    return entries(path)[-1]


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, Path]]:
    with logging(tmp_path_factory.mktemp("logged")) as (client, path):
        client.put("/v1/collections/docs-a", json={})
        client.put("/v1/collections/taken", json={})
        client.put("/v1/collections/taken/documents/qa76", json=ROW)
        yield client, path


def test_a_line_has_the_key_name_and_the_call_but_no_secret(logged: Logged) -> None:
    client, path = logged
    answer = client.put("/v1/collections/docs-a/documents/a/b", json=ROW, headers={"x-request-id": "mine"})
    assert answer.status_code == 201
    line = last(path)
    assert list(line) == ["at", "key", "address", "call", "collection", "ids", "request_id", "outcome"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("at"))
    assert line == {
        "key": "all",
        "address": "127.0.0.1",
        "call": "put_document",
        "collection": "docs-a",
        "ids": ["a/b"],
        "request_id": "mine",
        "outcome": "done",
    }
    assert path.stat().st_mode & 0o077 == 0
    assert "the-key-of" not in path.read_text()


@pytest.mark.parametrize("name", ROUTES)
def test_every_route_is_logged_as_its_level_says(logged: Logged, name: str) -> None:
    client, path = logged
    route, written = ROUTES[name], len(entries(path))
    answer = call(client, route, "docs-a", "all")
    new = entries(path)[written:]
    assert [line["call"] for line in new] == ([name] if route.required_level in CHANGING else []), answer.text
    if new:
        outcome = "done" if answer.status_code < 400 else answer.json()["code"]
        assert [line["outcome"] for line in new] == [outcome]
    client.put("/v1/collections/docs-a", json={})  # it may be deleted now


@pytest.mark.parametrize("name", [name for name, route in ROUTES.items() if route.required_level != "none"])
def test_every_refusal_by_a_key_is_logged(logged: Logged, name: str) -> None:
    client, path = logged
    route, written = ROUTES[name], len(entries(path))
    unknown = call(client, route, "docs-a", "nobody")
    assert unknown.status_code == 401
    refused: list[tuple[str | None, str]] = [(None, "key_refused")]
    if route.reach in ("collection", "everything"):
        assert call(client, route, "taken", "docs").status_code == 403
        refused.append(("docs", "forbidden"))
    if route.required_level == "write":
        assert call(client, route, "docs-a", "reader").status_code == 403
        refused.append(("reader", "forbidden"))
    new = entries(path)[written:]
    assert [(line["key"], line["outcome"]) for line in new] == refused
    assert {line["call"] for line in new} == {name}
    collections = ["docs-a", "taken", "docs-a"] if "{name}" in route.path else [None] * 3
    assert [line["collection"] for line in new] == collections[: len(new)]


def test_a_call_without_a_route_is_named_by_its_path(logged: Logged) -> None:
    client, path = logged
    assert client.post("/v1/no\nsuch".replace("\n", "-"), headers={"x-api-key": "none"}).status_code == 401
    assert (last(path)["call"], last(path)["collection"]) == ("POST /v1/no-such", None)


def test_few_documents_are_named_and_many_counted(logged: Logged) -> None:
    client, path = logged
    documents = "/v1/collections/docs-a/documents"
    for size, shown in ((20, {"ids": [f"m{i}" for i in range(20)], "count": 20}), (21, {"count": 21})):
        client.post(documents, json={"documents": [{"id": f"m{i}"} | ROW for i in range(size)]})
        line = last(path)
        assert {field: line[field] for field in ("ids", "count") if field in line} == shown
    client.post(f"{documents}/update", json={"ids": ["m1", "none"], "patch": {"metadata": {"x": 1}}})
    assert (last(path)["ids"], last(path)["count"]) == (["m1", "none"], 1)
    client.post(f"{documents}/delete", json={"filter": {"field": "metadata.x", "operator": "==", "value": 1}})
    assert "ids" not in last(path)
    assert last(path)["count"] == 1
    refused = client.post(documents, json={"documents": [{"id": "m2"} | ROW], "mode": "create"})
    assert (last(path)["ids"], last(path)["outcome"]) == (["m2"], "documents_exist")
    assert refused.status_code == 409


def test_a_stream_has_a_line_for_each_batch(logged: Logged) -> None:
    client, path = logged
    written = len(entries(path))
    rows = [orjson.dumps({"id": f"s{i}"} | ROW) for i in range(1003)]
    rows[1001] = b"{"
    answer = client.post(
        "/v1/collections/docs-a/documents", content=b"\n".join(rows), headers={"content-type": "application/x-ndjson"}
    )
    assert json.loads(answer.text.splitlines()[-1])["done"]
    first, second = entries(path)[written:]
    assert (first["call"], first["count"], "ids" in first) == ("post_lines", 1000, False)
    assert (second["ids"], second["outcome"]) == (["s1000", "s1002"], "done")


def test_a_repeated_write_is_a_replay(logged: Logged) -> None:
    client, path = logged
    for outcome in ("done", "replayed"):
        answer = client.post(
            "/v1/collections/docs-a/documents",
            json={"documents": [{"id": "once"} | ROW]},
            headers={"idempotency-key": "k"},
        )
        assert answer.status_code == 200
        assert (last(path)["outcome"], last(path)["count"]) == (outcome, 1)


def test_a_calibration_that_is_kept_is_a_change(logged: Logged) -> None:
    client, path = logged
    client.put("/v1/collections/taken/documents/qa76", json=ROW)
    written = len(entries(path))
    kept = KEEPS["calibrate"]
    assert Call("calibrate", {**kept.body, "apply": False}, {"name": "taken"}).send(client, DESCRIBED).is_success
    assert len(entries(path)) == written
    assert Call("calibrate", kept.body, {"name": "taken"}).send(client, DESCRIBED).is_success
    assert (last(path)["call"], last(path)["collection"], last(path)["outcome"]) == ("calibrate", "taken", "done")
    Call("calibrate", kept.body, {"name": "taken"}, headers=as_("reader")).send(client, DESCRIBED)
    assert (last(path)["key"], last(path)["outcome"]) == ("reader", "forbidden")


@pytest.mark.parametrize("kind", ["missing directory", "directory"])
def test_without_a_log_that_can_be_written_nothing_changes_and_reads_go_on(tmp_path: Path, kind: str) -> None:
    with logging(tmp_path) as (client, path):
        client.put("/v1/collections/taken", json={})
        client.put("/v1/collections/taken/documents/qa76", json=ROW)
        before = client.get("/v1/collections/taken").json()
        path.unlink()
        if kind == "directory":
            path.mkdir()
        else:
            tmp_path.rename(tmp_path.with_name("moved"))
        for change in (*WRITES.values(), *KEEPS.values()):
            body = change.body
            answer = Call(change.operation, body, {"name": "taken", **change.values}).send(client, DESCRIBED)
            assert (answer.status_code, answer.json()["code"]) == (507, "access_log_unwritable"), change
        stream = client.post(
            "/v1/collections/taken/documents",
            content=b'{"id":"x","key_vector":[1,2]}',
            headers={"content-type": "application/x-ndjson"},
        )
        assert stream.status_code == 507
        refused = client.put("/v1/collections/other", json={}, headers=as_("docs"))
        assert refused.status_code == 403
        assert client.get("/v1/collections/taken").json() == before
        assert client.post("/v1/collections/taken/attend", json={"query": [1, 2]}).status_code == 200
        if kind == "directory":
            path.rmdir()
        else:
            tmp_path.with_name("moved").rename(tmp_path)
        assert client.put("/v1/collections/taken/documents/new", json=ROW).status_code == 201
        assert last(path)["ids"] == ["new"]


def test_a_change_whose_line_cannot_be_written_is_not_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with logging(tmp_path) as (client, path):
        assert client.put("/v1/collections/c", json={}).status_code == 201
        full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        def fail(*_: object) -> None:
            raise full

        with monkeypatch.context() as broken:
            broken.setattr(AccessLog, "_append", fail)
            answer = client.put("/v1/collections/c/documents/a", json=ROW)
            assert (answer.status_code, answer.json()["code"]) == (507, "access_log_unwritable")
            assert "the change was made" in answer.json()["detail"]
            refused = client.put("/v1/collections/c/documents/b", json=ROW)
            assert (refused.status_code, "was made" in refused.json()["detail"]) == (507, False)
            assert client.get("/v1/collections/c/documents/a").status_code == 200
            assert client.get("/v1/collections/c/documents/b").status_code == 404
        assert client.put("/v1/collections/c/documents/c", json=ROW).status_code == 201
        assert [line["ids"] for line in entries(path)[1:]] == [["a"], ["c"]]  # the line left over comes first


def test_limits_of_a_key_are_logged_under_its_name(tmp_path: Path) -> None:
    team = {"field": "metadata.team", "operator": "==", "value": "a"}
    keys: dict[str, tuple[str, dict[str, Any]]] = {
        "part": ("write", {"filter": team}),
        "slow": ("read", {"requests_per_minute": 1}),
        "small": ("write", {"documents": 1}),
        "old": ("read", {"expires": "2020-01-01T00:00:00Z"}),
        "all": ("write", {}),
    }
    (tmp_path / "keys").write_text(
        "".join(
            line_of(name, scope, "", f"the-key-of-{name}", **limits) + "\n" for name, (scope, limits) in keys.items()
        )
    )
    path = tmp_path / "log"
    settings: dict[str, Any] = {"encoder": "none", "keys_file": tmp_path / "keys", "access_log": path}
    with RunningService(data_dir=tmp_path / "data", **settings) as running, running.client() as client:
        documents = "/v1/collections/c/documents"
        client.put("/v1/collections/c", json={}, headers=as_("all"))
        client.put(f"{documents}/x", json=ROW, headers=as_("part"))
        rows = [{"id": "in", "metadata": {"team": "a"}} | ROW, {"id": "out"} | ROW]
        client.post(
            documents,
            content=b"\n".join(map(orjson.dumps, rows)),
            headers=as_("part") | {"content-type": "application/x-ndjson"},
        )
        for _ in range(2):
            client.get("/v1", headers=as_("slow"))
        client.post(documents, json={"documents": [{"id": i} | ROW for i in "pq"]}, headers=as_("small"))
        client.get("/v1", headers=as_("old"))
    assert [(line["key"], line["call"], line.get("ids"), line["outcome"]) for line in entries(path)[1:]] == [
        ("part", "put_document", ["x"], "outside_filter"),
        ("part", "post_lines", ["in"], "done"),
        ("part", "post_lines", ["out"], "outside_filter"),
        ("slow", "get_service", None, "quota_exceeded"),
        ("small", "post_documents", ["p", "q"], "quota_exceeded"),
        ("old", "get_service", None, "key_refused"),
    ]


def read_entries(path: Path) -> list[dict[str, Any]]:
    """The lines of all files, of which none is torn."""
    return [line for line in read(path) if not isinstance(line, Torn)]


def entry(number: int) -> dict[str, Any]:
    return dict.fromkeys(FIELDS, "x") | {"at": f"{number:08}"}


def test_the_log_is_rotated_by_size_and_keeps_a_number_of_files(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = AccessLog(path, max_bytes=1000, old_files=2)
    futures = [log.submit(entry(number), durable=True) for number in range(60)]
    log.close()
    assert all(future.result() is None for future in futures)
    assert [old.name for old, _ in old_files(path)] == ["log.2", "log.1"]
    assert all(file.stat().st_size <= 1000 for file in tmp_path.iterdir())
    numbers = [int(line["at"]) for line in read_entries(path)]
    assert numbers == list(range(numbers[0], 60))
    assert 20 <= len(numbers) < 60


def test_another_process_or_program_may_rotate_it(tmp_path: Path) -> None:
    path = tmp_path / "log"
    first, second = (AccessLog(path, max_bytes=1000, old_files=9) for _ in range(2))
    for number in range(40):
        (first, second)[number % 2].submit(entry(number), durable=False).result()
    path.rename(tmp_path / "moved")  # as logrotate does
    first.check()
    first.submit(entry(40), durable=True).result()
    assert read_entries(path)[-1]["at"] == "00000040"
    first.close()
    second.close()
    (tmp_path / "moved").rename(tmp_path / "log.0")
    assert sorted(int(line["at"]) for line in read_entries(path)) == list(range(41))


def test_a_torn_line_is_passed_over_and_the_next_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(orjson.dumps(entry(1)) + b"\n" + orjson.dumps(entry(2))[:20])
    assert list(read(path)) == [entry(1), Torn(path, 2)]
    log = AccessLog(path, max_bytes=1000, old_files=1)
    log.submit(entry(3), durable=True).result()
    log.close()
    assert list(read(path)) == [entry(1), Torn(path, 2), entry(3)]


def test_a_disk_without_space_is_seen_before_the_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = AccessLog(tmp_path / "log", max_bytes=1000, old_files=1)
    log.check()
    with monkeypatch.context() as full:
        full.setattr("softkv_service.api.access_log.FREE_BYTES", 1 << 62)
        with pytest.raises(AccessLogUnwritable, match="No space left"):
            log.check()
    log.check()
    log.close()
