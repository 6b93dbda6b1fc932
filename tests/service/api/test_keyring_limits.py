"""Keys of a file with limits, over HTTP: a filter, quotas, rates and an expiry."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.datastructures import Headers

from softkv_service.api.keyring import KeyFile, Keyring, line_of
from softkv_service.api.middleware.access import AccessCheck, Hosts
from softkv_service.api.problems.errors import APIError
from softkv_service.api.problems.handlers import problem_response
from tests.running import RunningService

TENANT: dict[str, Any] = {"field": "metadata.tenant", "operator": "==", "value": "a"}
OTHERS = {**TENANT, "value": "b"}
KEYS: dict[str, dict[str, Any]] = {
    "all": {"collections": ""},
    "a": {"collections": "", "filter": TENANT},
    "b": {"collections": "", "filter": OTHERS},
    "small": {"collections": "small-,tiny-", "documents": 3},
    "short": {"collections": "short-", "bytes": 400},
    "part": {"collections": "shared", "filter": TENANT, "documents": 2},
    "rated": {"collections": "", "requests_per_minute": 3},
    "expired": {"collections": "", "expires": "2020-01-01T01:00:00+01:00"},
    "lasting": {"collections": "", "expires": "9999-12-31T23:59:59Z"},
}


def as_(name: str) -> dict[str, str]:
    return {"x-api-key": f"the-key-of-{name}"}


def line(name: str, collections: str, **limits: Any) -> str:
    return line_of(name, "write", collections, f"the-key-of-{name}", **limits) + "\n"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("limits")
    (folder / "keys").write_text("".join(line(name, **limits) for name, limits in KEYS.items()))
    with (
        RunningService(data_dir=folder / "data", encoder="none", keys_file=folder / "keys") as running,
        running.client() as client,
    ):
        running.wait_until_ready()
        for name in ("shared", "small-a", "tiny-b", "short-c"):
            client.put(f"/v1/collections/{name}", json={}, headers=as_("all"))
        yield client


@pytest.fixture(autouse=True)
def _empty(client: httpx.Client) -> Iterator[None]:
    yield
    for name in ("shared", "small-a", "tiny-b", "short-c"):
        everything = {"filter": {"field": "id", "operator": "!=", "value": ""}}
        client.post(f"/v1/collections/{name}/documents/delete", json=everything, headers=as_("all"))


def documents(*ids: str, tenant: str = "a") -> list[dict[str, Any]]:
    return [{"id": name, "key_vector": [1, 2], "metadata": {"tenant": tenant}} for name in ids]


def write(client: httpx.Client, key: str, collection: str, *ids: str, **options: Any) -> httpx.Response:
    tenant, headers = options.pop("tenant", "a"), as_(key) | options.pop("headers", {})
    body = {"documents": documents(*ids, tenant=tenant), **options}
    return client.post(f"/v1/collections/{collection}/documents", json=body, headers=headers)


def ids(client: httpx.Client, collection: str, key: str = "all") -> list[str]:
    page = client.post(f"/v1/collections/{collection}/documents/query", json={}, headers=as_(key)).json()
    return [document["id"] for document in page["documents"]]


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json().get("code", "")


@pytest.mark.parametrize("change", ["removed", "expired", "filtered", "added"])
def test_an_upload_ends_when_its_key_loses_its_rights(tmp_path: Path, change: str) -> None:
    path = tmp_path / "keys"
    path.write_text(line("all", "") + line("other", ""))
    limits = {"expired": {"expires": "2020-01-01T00:00:00Z"}, "filtered": {"filter": TENANT}}
    lines = {"removed": "", "added": line("all", "") + line("new", "")}
    with (
        RunningService(data_dir=tmp_path / "data", encoder="none", keys_file=path) as running,
        running.client() as client,
    ):
        running.wait_until_ready()
        client.put("/v1/collections/c", json={}, headers=as_("other"))
        keyring = running.app.state.keyring

        def body() -> Iterator[bytes]:
            for i in range(3000):
                if i == 1500:
                    changed = lines[change] if change in lines else line("all", "", **limits[change])
                    path.write_text(changed + line("other", ""))
                    keyring.file.reload()
                    keyring.file.reload()  # two equal reads
                yield json.dumps({"id": f"{i}", "key_vector": [1, 2]}).encode() + b"\n"

        headers = as_("all") | {"content-type": "application/x-ndjson"}
        answer = client.post("/v1/collections/c/documents", content=body(), headers=headers)
        *_, last = map(json.loads, answer.text.splitlines())
        written = client.get("/v1/collections/c", headers=as_("other")).json()["documents"]
    if change == "added":
        assert (last["done"], written) == (True, 3000)
    else:
        assert (last["done"], last["problem"]["code"], last["upserted"]) == (False, "key_refused", written)
        assert written < 2000


def test_feedback_counts_for_the_quota_of_bytes(client: httpx.Client) -> None:
    path = "/v1/collections/short-c"
    assert write(client, "short", "short-c", "a").status_code == 200
    judgement = {"query": [1, 2], "id": "a", "right": True}
    before = client.get(path, headers=as_("all")).json()["costs"]["disk_bytes"]
    assert client.post(f"{path}/feedback", json={"feedback": [judgement]}, headers=as_("short")).status_code == 200
    assert client.get(path, headers=as_("all")).json()["costs"]["disk_bytes"] > before
    refused = client.post(f"{path}/feedback", json={"feedback": [judgement] * 30}, headers=as_("short"))
    assert code(refused) == (429, "quota_exceeded")
    assert client.get(f"{path}/feedback", headers=as_("all")).json()["count"] == 1
    client.post(f"{path}/feedback/delete", json={"all": True}, headers=as_("all"))


def test_a_key_supersedes_only_documents_of_its_own(client: httpx.Client) -> None:
    write(client, "b", "shared", "theirs", tenant="b")
    write(client, "a", "shared", "mine")
    assert write(client, "a", "shared", "new", delete=["mine", "theirs"]).json()["deleted"] == 1
    assert ids(client, "shared") == ["new", "theirs"]


def test_lines_of_an_upload_outside_the_filter_are_refused(client: httpx.Client) -> None:
    write(client, "b", "shared", "theirs", tenant="b")
    lines = documents("1", "theirs") + documents("2", tenant="b") + documents("3")
    answer = client.post(
        "/v1/collections/shared/documents",
        content="\n".join(map(json.dumps, lines)),
        headers=as_("a") | {"content-type": "application/x-ndjson"},
    )
    batch, end = map(json.loads, answer.text.split("\n")[:2])
    assert [refused["line"] for refused in batch["refused"]] == [2, 3]
    assert end == {"done": True, "upserted": 2, "refused": 2}
    assert ids(client, "shared", "a") == ["1", "3"]
    assert ids(client, "shared", "b") == ["theirs"]


def test_a_patch_does_not_move_a_document_out_of_sight(client: httpx.Client) -> None:
    write(client, "a", "shared", "1", "2")
    for tenant in ("b", None, ["a"], {"a": "a"}):
        patch = {"metadata": {"tenant": tenant, "new": 1}}
        one = client.patch("/v1/collections/shared/documents/1", json=patch, headers=as_("a"))
        many = client.post(
            "/v1/collections/shared/documents/update", json={"ids": ["1", "2"], "patch": patch}, headers=as_("a")
        )
        assert code(one) == code(many) == (403, "outside_filter")
    page = client.post("/v1/collections/shared/documents/query", json={}, headers=as_("a")).json()
    assert [document["metadata"] for document in page["documents"]] == [{"tenant": "a"}] * 2


def test_a_quota_of_documents_counts_all_collections_of_the_key(client: httpx.Client) -> None:
    assert write(client, "small", "small-a", "1", "2").status_code == 200
    refused = write(client, "small", "tiny-b", "3", "4")
    assert code(refused) == (429, "quota_exceeded")
    assert "may have 3 documents" in refused.json()["detail"]
    assert "retry-after" not in refused.headers
    assert ids(client, "tiny-b") == []
    assert write(client, "small", "tiny-b", "3").status_code == 200
    assert write(client, "small", "small-a", "1", "2").status_code == 200  # replaced: no more than before
    assert write(client, "all", "small-a", "4").status_code == 200  # another key has no quota
    assert code(write(client, "small", "small-a", "1")) == (429, "quota_exceeded")
    deleted = client.post("/v1/collections/small-a/documents/delete", json={"ids": ["4"]}, headers=as_("small"))
    assert deleted.json() == {"deleted": 1}
    assert write(client, "small", "small-a", "1").status_code == 200


def test_a_quota_counts_the_documents_that_pass_the_filter(client: httpx.Client) -> None:
    write(client, "b", "shared", "1", "2", "3", tenant="b")
    assert write(client, "part", "shared", "4", "5").status_code == 200
    assert code(write(client, "part", "shared", "6")) == (429, "quota_exceeded")


def test_a_quota_of_bytes_holds_for_a_new_value_and_a_patch(client: httpx.Client) -> None:
    path = "/v1/collections/short-c/documents/a"
    body = {"key_vector": [1, 2], "value": "x" * 350}
    assert client.put(path, json=body, headers=as_("short")).status_code == 201
    for method in ("PUT", "PATCH"):
        refused = client.request(method, path, json=body | {"value": "x" * 400}, headers=as_("short"))
        assert code(refused) == (429, "quota_exceeded")


def test_an_upload_ends_before_the_batch_that_exceeds_a_quota(client: httpx.Client) -> None:
    lines = "".join(json.dumps(document) + "\n" for document in documents("1", "2", "3", "4"))
    answer = client.post(
        "/v1/collections/small-a/documents",
        content=lines,
        headers=as_("small") | {"content-type": "application/x-ndjson"},
    )
    end = json.loads(answer.text.splitlines()[-1])
    assert (end["done"], end["upserted"], end["problem"]["code"]) == (False, 0, "quota_exceeded")
    assert ids(client, "small-a") == []


def test_an_expired_key_is_refused_with_the_time(client: httpx.Client) -> None:
    refused = client.get("/v1", headers=as_("expired"))
    assert code(refused) == (401, "key_refused")
    assert "this key expired at 2020-01-01T00:00:00Z" in refused.json()["detail"]
    assert client.get("/v1", headers=as_("lasting")).status_code == 200


def test_more_requests_than_a_minute_has_are_refused_until_the_first_is_over(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(line("rated", "", requests_per_minute=2, expires="2001-09-09T01:50:00Z"))
    now = [1_000_000_000.0]  # 2001-09-09T01:46:40Z

    access = AccessCheck(
        keyring=Keyring(write_keys=(), read_keys=(), file=KeyFile.open(tmp_path / "keys")),
        anonymous=None,
        hosts=Hosts(names=(), allowed=()),
        clock=lambda: now[0],
    )
    headers = [(b"x-api-key", b"the-key-of-rated")]
    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/v1", "root_path": "", "headers": headers}

    def ask() -> tuple[int, str | None, str]:
        request = {**scope, "state": {}}
        try:
            access.check(request, Headers(scope=request), needs_key=True)
        except APIError as error:
            answer = problem_response(error)
            return answer.status_code, answer.headers.get("retry-after"), answer.problem["detail"]
        return 200, None, ""

    assert ask()[0] == 200
    now[0] += 20
    assert ask()[0] == 200
    now[0] += 20.5
    status, after, detail = ask()
    assert (status, after) == (429, "20")
    assert "2 requests a minute" in detail
    assert detail.endswith("after 2001-09-09T01:47:40Z")
    now[0] += 19.5
    assert ask()[0] == 200  # the first is a minute ago, and the refused one did not count
    assert ask()[0] == 429
    now[0] += 140
    assert ask()[0] == 401  # expired


def test_a_rate_is_kept_over_http(client: httpx.Client) -> None:
    answers = [client.get("/v1/models", headers=as_("rated")) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[-1].json()["error"]["code"] == "rate_limit_exceeded"
    assert 0 < int(answers[-1].headers["retry-after"]) <= 60
    refused = client.get("/v1", headers=as_("rated"))
    assert code(refused) == (429, "quota_exceeded")
    assert client.get("/livez", headers=as_("rated")).status_code == 200
