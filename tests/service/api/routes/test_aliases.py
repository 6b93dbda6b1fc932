"""Aliases over HTTP: they are managed, stand for their collection in every path, and move at one instant."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from softkv_service.api.keyring import line_of
from tests.running import RunningService
from tests.service.api.middleware.test_access_scopes import ROUTES, as_

KEYS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "all": ("write", "", {}),
    "docs": ("write", "docs-", {}),
    "docs-reader": ("read", "docs-", {}),
    "part": ("write", "", {"filter": {"field": "metadata.x", "operator": "==", "value": 1}}),
    "few": ("write", "docs-", {"documents": 3}),
}
QUESTIONS = [{"query": [i + 1, 2 - i % 2 * 9], "id": None if i % 2 else "a"} for i in range(60)]
OWN_NAME = {"put_collection", "delete_collection"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    folder = tmp_path_factory.mktemp("aliases")
    lines = [line_of(name, level, of, f"the-key-of-{name}", **more) for name, (level, of, more) in KEYS.items()]
    (folder / "keys").write_text("\n".join(lines))
    with RunningService(
        data_dir=folder / "data", encoder="none", keys_file=folder / "keys", access_log=folder / "log"
    ) as running:
        running.wait_until_ready()
        yield running


def fill(client: httpx.Client, name: str) -> None:
    """Make a collection that holds one document, with the collection's name as its value."""
    client.delete(f"/v1/collections/{name}/documents/b")
    client.delete(f"/v1/collections/{name}/documents/c")
    client.put(f"/v1/collections/{name}", json={})
    client.patch(f"/v1/collections/{name}", json={"temperature": 1, "calibration": None})
    document = {"key_vector": [1, 2], "value": name, "metadata": {"x": 1, "name": name}}
    assert client.put(f"/v1/collections/{name}/documents/a", json=document).is_success


@pytest.fixture
def client(service: RunningService) -> Iterator[httpx.Client]:
    """A client that may do all, with two collections that each hold one document of their name."""
    with service.client(headers=as_("all")) as opened:
        for name in ("docs-1", "docs-2", "other"):
            fill(opened, name)
        yield opened
        for record in opened.get("/v1/collections").json()["collections"]:
            opened.delete(f"/v1/collections/{record['name']}")
        assert opened.get("/v1/aliases").json() == {"aliases": [], "next_cursor": None}


def put(client: httpx.Client, alias: str, collection: str, **options: Any) -> httpx.Response:
    return client.put(f"/v1/aliases/{alias}", json={"collection": collection}, **options)


def aliases(client: httpx.Client, **options: Any) -> dict[str, str]:
    records = client.get("/v1/aliases", **options).json()["aliases"]
    return {record["alias"]: record["collection"] for record in records}


def test_an_alias_is_created_moved_read_and_deleted(client: httpx.Client) -> None:
    for collection, status in (("docs-1", 201), ("docs-2", 200), ("docs-2", 200)):
        answer = put(client, "current", collection)
        expected = {"alias": "current", "collection": collection}
        assert (answer.status_code, answer.json()) == (status, expected)
        assert client.get("/v1/aliases/current").json() == expected
        assert client.get("/v1/collections/current").json()["name"] == collection
    put(client, "before", "docs-1")
    assert aliases(client) == {"before": "docs-1", "current": "docs-2"}
    assert client.delete("/v1/aliases/current").status_code == 204
    for method in ("GET", "DELETE"):
        missing = client.request(method, "/v1/aliases/current")
        assert (missing.status_code, missing.json()["code"]) == (404, "alias_not_found")
    assert client.get("/v1/collections/current").json()["code"] == "collection_not_found"
    assert client.get("/v1/collections/docs-2").status_code == 200


def test_aliases_are_listed_in_pages(client: httpx.Client) -> None:
    names = ["A", "a", "b1", "b2", "b3"]
    for name in reversed(names):
        put(client, name, "docs-1")
    listed, cursor = [], None
    while True:
        page = client.get("/v1/aliases", params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        listed += [record["alias"] for record in page["aliases"]]
        assert len(page["aliases"]) <= 2
        if (cursor := page["next_cursor"]) is None:
            break
    assert listed == names
    assert list(aliases(client, params={"prefix": "b"})) == ["b1", "b2", "b3"]
    assert client.get("/v1/aliases", params={"limit": 0}).json() == {"aliases": [], "next_cursor": None}
    assert client.get("/v1/aliases", params={"cursor": "!"}).status_code == 422


def test_a_name_has_one_meaning(client: httpx.Client) -> None:
    put(client, "current", "docs-1")
    for refused in (
        client.put("/v1/collections/current", json={}),
        put(client, "docs-2", "docs-1"),
        put(client, "docs-1", "docs-1"),
        client.delete("/v1/collections/current"),
    ):
        assert (refused.status_code, refused.json()["code"]) == (409, "alias_conflict")
    assert "the alias with DELETE /v1/aliases/current" in refused.json()["detail"]
    assert client.get("/v1/collections/docs-1").json()["documents"] == 1
    nested = put(client, "second", "current")
    assert (nested.status_code, nested.json()["errors"]) == (
        422,
        [{"pointer": "/collection", "detail": "'current' is an alias itself, of 'docs-1': name that collection"}],
    )
    for name in ("-x", "a/b", "a b", "x" * 129, "é"):
        assert put(client, name, "docs-1").status_code in (404, 422), name
        assert put(client, "second", name).status_code == 422
    assert client.put("/v1/aliases/second", json={}).status_code == 422
    assert aliases(client) == {"current": "docs-1"}


def test_the_aliases_of_a_deleted_collection_go_with_it(client: httpx.Client) -> None:
    for alias, collection in (("a", "docs-1"), ("b", "docs-1"), ("c", "docs-2")):
        put(client, alias, collection)
    assert client.delete("/v1/collections/docs-1").status_code == 204
    assert aliases(client) == {"c": "docs-2"}
    assert client.put("/v1/collections/docs-1", json={}).status_code == 201
    assert client.get("/v1/collections/a").status_code == 404


def test_a_repeated_write_is_answered_as_it_was(client: httpx.Client) -> None:
    def repeated(method: str, key: str, **body: Any) -> httpx.Response:
        headers = {"Idempotency-Key": f"aliases-{key}"}
        return client.request(method, "/v1/aliases/current", headers=headers, **body)

    one, two = {"collection": "docs-1"}, {"collection": "docs-2"}
    assert repeated("PUT", "1", json=one).status_code == 201
    assert repeated("PUT", "2", json=two).status_code == 200
    again = repeated("PUT", "1", json=one)
    assert (again.status_code, again.headers["Idempotency-Replayed"]) == (201, "true")
    assert aliases(client) == {"current": "docs-2"}
    assert repeated("DELETE", "3").status_code == 204
    put(client, "current", "docs-1")
    assert repeated("DELETE", "3").status_code == 204
    assert aliases(client) == {"current": "docs-1"}


NAMED = {name: route for name, route in ROUTES.items() if route.reach == "collection"}
MEANINGFUL: dict[str, Any] = {
    "attend": {"query": [1, 2]},
    "sweep": {"query": [1, 2], "temperatures": [1]},
    "compare": {"query": "word"},
    "calibrate": {"questions": QUESTIONS},
    "patch_collection": {"temperature": 3},
    "put_document": {"key_vector": [1, 2], "value": "docs-1"},
    "patch_document": {"value": "changed"},
    "post_documents": {"documents": [{"id": "b", "key_vector": [1, 2]}]},
    "update_documents": {"ids": ["a"], "patch": {"value": "changed"}},
    "delete_documents": {"ids": ["a"]},
    "query_documents": {},
    "describe_fields": {},
}
TIMES = re.compile(
    r'"(took_ms|[a-z_0-9]*ms|asked|memory_bytes|disk_bytes)":[0-9.e-]+|"at":"[^"]*"|,"collection":"docs-1"'
)


def test_only_calls_that_create_or_delete_a_collection_need_its_own_name() -> None:
    assert {name for name, route in NAMED.items() if not route.takes_alias} == OWN_NAME


@pytest.mark.parametrize("name", sorted(NAMED.keys() - OWN_NAME))
def test_an_alias_stands_for_the_collection_in_every_path(client: httpx.Client, name: str) -> None:
    put(client, "current", "docs-1")
    route, answers = NAMED[name], []
    (method,) = (route.methods or set()) - {"HEAD"}
    for collection in ("docs-1", "current"):
        path = re.sub(r"\{id(:path)?\}", "a", route.path).replace("{name}", collection)
        body = MEANINGFUL.get(name)
        content, kind = json.dumps(body or {}), "application/json"
        if name == "post_lines":
            content, kind = '{"id": "c", "key_vector": [3, 4]}\n', "application/x-ndjson"
        if method in ("GET", "DELETE"):
            answer = client.request(method, path)
        else:
            answer = client.request(method, path, content=content, headers={"content-type": kind})
        assert '"collection_not_found"' not in answer.text
        if name in MEANINGFUL and name != "compare":  # without an encoder it refuses a text
            assert answer.status_code in (200, 201), answer.text
        answers.append((answer.status_code, TIMES.sub("", answer.text)))
        fill(client, "docs-1")
    assert answers[0] == answers[1]


def test_answers_name_the_collection_behind_the_alias(client: httpx.Client) -> None:
    put(client, "current", "docs-1")
    for call, body in (
        ("attend", {"query": [1, 2]}),
        ("attend", {"queries": [[1, 2], [2, 1]]}),
        ("sweep", {"query": [1, 2], "temperatures": [1]}),
        ("calibrate", {"questions": QUESTIONS}),
    ):
        assert client.post(f"/v1/collections/current/{call}", json=body).json()["collection"] == "docs-1"
        assert "collection" not in client.post(f"/v1/collections/docs-1/{call}", json=body).json()


def test_an_upload_goes_to_one_collection_where_the_alias_moves_meanwhile(client: httpx.Client) -> None:
    put(client, "current", "docs-1")
    begun, moved = threading.Event(), threading.Event()

    def lines() -> Iterator[bytes]:
        for number in range(1500):
            yield json.dumps({"id": f"{number}", "key_vector": [1, 2]}).encode() + b"\n"
        begun.set()
        assert moved.wait(60)
        for number in range(1500, 3000):
            yield json.dumps({"id": f"{number}", "key_vector": [1, 2]}).encode() + b"\n"

    def move() -> None:
        assert begun.wait(60)
        put(client, "current", "docs-2")
        moved.set()

    mover = threading.Thread(target=move)
    mover.start()
    answer = client.post(
        "/v1/collections/current/documents", content=lines(), headers={"content-type": "application/x-ndjson"}
    )
    mover.join()
    assert json.loads(answer.text.splitlines()[-1]) == {"done": True, "upserted": 3000, "refused": 0}
    counts = [client.get(f"/v1/collections/docs-{number}").json()["documents"] for number in (1, 2)]
    assert counts == [3001, 1]


def test_answers_while_an_alias_moves_are_of_one_collection(service: RunningService, client: httpx.Client) -> None:
    put(client, "current", "docs-1")
    stop, answers, failures = threading.Event(), [0], list[str]()

    def ask() -> None:
        with service.client(headers=as_("all")) as asker:
            while not stop.is_set():
                answer = asker.post("/v1/collections/current/attend", json={"queries": [[1, 2]] * 3, "temperature": 0})
                body = answer.json()
                values = {match["value"] for result in body.get("results", ()) for match in result["matches"]}
                if answer.status_code != 200 or values != {body["collection"]}:
                    failures.append(answer.text)
                answers[0] += 1

    askers = [threading.Thread(target=ask) for _ in range(2)]
    for asker in askers:
        asker.start()
    for move in range(20):
        name = f"docs-{move % 2 + 1}"
        assert put(client, "current", name).status_code == 200
        # A question that begins after the answer is answered by that collection.
        answer = client.post("/v1/collections/current/attend", json={"query": [1, 2]}).json()
        assert (answer["collection"], answer["matches"][0]["value"]) == (name, name)
    stop.set()
    for asker in askers:
        asker.join()
    assert failures == []
    assert answers[0] > 20


def test_a_name_that_many_callers_want_goes_to_one(service: RunningService, client: httpx.Client) -> None:
    barrier = threading.Barrier(6)

    def take(kind: str) -> tuple[str, int]:
        with service.client(headers=as_("all")) as other:
            barrier.wait()
            body = {"collection": "docs-1"} if kind == "aliases" else {}
            return kind, other.put(f"/v1/{kind}/wanted", json=body).status_code

    with ThreadPoolExecutor(6) as pool:
        statuses = list(pool.map(take, ("aliases", "collections") * 3))
    (won,) = (kind for kind, status in statuses if status == 201)
    lost = "aliases" if won == "collections" else "collections"
    assert sorted(statuses) == sorted([(won, 201), (won, 200), (won, 200), *[(lost, 409)] * 3])


def test_a_key_for_some_collections_reaches_them_by_any_alias(client: httpx.Client) -> None:
    put(client, "current", "docs-1")
    put(client, "docs-hidden", "other")
    for key in ("docs", "docs-reader"):
        headers = as_(key)
        assert client.get("/v1/collections/current", headers=headers).json()["name"] == "docs-1"
        assert client.post("/v1/collections/current/attend", json={"query": [1, 2]}, headers=headers).is_success
        assert aliases(client, headers=headers) == {"current": "docs-1"}
        assert client.get("/v1/aliases/current", headers=headers).json()["collection"] == "docs-1"
        # An alias of another collection is like one that is not there.
        for hidden, missing in (
            ("/v1/aliases/docs-hidden", "/v1/aliases/docs-nothing"),
            ("/v1/collections/docs-hidden", "/v1/collections/docs-nothing"),
            ("/v1/collections/docs-hidden/documents/a", "/v1/collections/docs-nothing/documents/a"),
        ):
            answers = [client.get(path, headers=headers) for path in (hidden, missing)]
            assert [answer.status_code for answer in answers] == [404, 404]
            assert answers[0].json()["detail"].replace("docs-hidden", "docs-nothing") == answers[1].json()["detail"]
    put(client, "current", "other")
    answers = [client.get(f"/v1/collections/{name}", headers=as_("docs")) for name in ("current", "nothing")]
    assert [answer.status_code for answer in answers] == [403, 403]
    assert answers[0].json()["detail"].replace("current", "nothing") == answers[1].json()["detail"]


def test_a_key_for_some_collections_makes_aliases_of_them_within_its_names(client: httpx.Client) -> None:
    headers = as_("docs")
    assert put(client, "docs-current", "docs-1", headers=headers).status_code == 201
    assert put(client, "docs-current", "docs-2", headers=headers).status_code == 200
    for alias, collection in (("current", "docs-1"), ("docs-more", "other"), ("docs-more", "none")):
        refused = put(client, alias, collection, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    put(client, "docs-hidden", "other")
    refused = put(client, "docs-hidden", "docs-1", headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (409, "alias_conflict")
    assert "other" not in refused.json()["detail"].replace("another", "")
    nested = put(client, "docs-more", "docs-hidden", headers=headers)
    assert (nested.status_code, nested.json()["code"]) == (404, "collection_not_found")
    assert client.delete("/v1/aliases/docs-hidden", headers=headers).status_code == 404
    put(client, "current", "docs-1")
    assert client.delete("/v1/aliases/current", headers=headers).status_code == 403
    assert client.delete("/v1/collections/docs-hidden", headers=headers).status_code == 404
    refused = client.put("/v1/collections/docs-hidden", json={}, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (409, "alias_conflict")
    assert aliases(client) == {"current": "docs-1", "docs-current": "docs-2", "docs-hidden": "other"}
    assert client.delete("/v1/aliases/docs-current", headers=headers).status_code == 204
    for method in ("PUT", "DELETE"):
        content = b'{"collection": "docs-1"}' if method == "PUT" else None
        refused = client.request(method, "/v1/aliases/docs-x", headers=as_("docs-reader"), content=content)
        assert refused.status_code == 403


def test_a_key_with_a_filter_manages_no_aliases_and_reads_its_part_through_them(client: httpx.Client) -> None:
    put(client, "current", "docs-1")
    client.put("/v1/collections/docs-1/documents/b", json={"key_vector": [1, 2], "metadata": {"x": 2}})
    headers = as_("part")
    for method, path in (("GET", ""), ("GET", "/current"), ("PUT", "/current"), ("DELETE", "/current")):
        content = b'{"collection": "docs-2"}' if method == "PUT" else None
        refused = client.request(method, f"/v1/aliases{path}", headers=headers, content=content)
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert client.get("/v1/collections/current", headers=headers).json()["documents"] == 1
    answer = client.post("/v1/collections/current/attend", json={"query": [1, 2]}, headers=headers).json()
    assert [match["id"] for match in answer["matches"]] == ["a"]
    assert client.get("/v1/collections/current/documents/b", headers=headers).status_code == 404
    outside = client.put("/v1/collections/current/documents/b", json={"key_vector": [1, 2]}, headers=headers)
    assert (outside.status_code, outside.json()["code"]) == (403, "outside_filter")


def test_a_quota_is_of_the_collections_behind_the_aliases(client: httpx.Client) -> None:
    put(client, "current", "docs-1")
    body = {"documents": [{"id": f"{i}", "key_vector": [1, 2]} for i in range(2)]}
    refused = client.post("/v1/collections/current/documents", json=body, headers=as_("few"))
    assert (refused.status_code, refused.json()["code"]) == (429, "quota_exceeded")
    assert put(client, "docs-current", "docs-1", headers=as_("few")).status_code == 201


def test_the_access_log_names_the_collection_behind_the_alias(
    service: RunningService, client: httpx.Client, tmp_path: Path
) -> None:
    put(client, "current", "docs-1")
    client.put("/v1/collections/current/documents/z", json={"key_vector": [1, 2]})
    put(client, "current", "docs-2")
    client.delete("/v1/aliases/current")
    lines = [json.loads(line) for line in Path(str(service.settings.access_log)).read_text().splitlines()]
    entries = [(entry["call"], entry.get("alias"), entry["collection"], entry["outcome"]) for entry in lines[-4:]]
    assert entries == [
        ("put_alias", "current", "docs-1", "done"),
        ("put_document", None, "docs-1", "done"),
        ("put_alias", "current", "docs-2", "done"),
        ("delete_alias", "current", "docs-2", "done"),
    ]


def test_aliases_outlast_a_restart(tmp_path: Path) -> None:
    for restart in range(2):
        with RunningService(data_dir=tmp_path, encoder="none") as running, running.client() as client:
            running.wait_until_ready()
            if not restart:
                client.put("/v1/collections/docs-1", json={})
                put(client, "current", "docs-1")
            assert aliases(client) == {"current": "docs-1"}
            assert client.get("/v1/collections/current").json()["name"] == "docs-1"
