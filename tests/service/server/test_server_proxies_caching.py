"""Behind a proxy that caches: no caller gets an answer to another, and none that is out of date."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from softkv import Client
from tests.running import RunningService, reserved_port
from tests.service.api.routes.test_page import linked
from tests.service.server.proxies import program

pytestmark = pytest.mark.thorough

WRITER, CEDAR, BIRCH = "alpha-writer", "cedar-reader", "birch-reader"
DOCUMENTS = "/v1/collections/staff/documents"
PRIVATE = [
    f"{DOCUMENTS}/salary",
    f"{DOCUMENTS}/missing",
    "/v1/collections",
    "/v1/collections/staff",
    "/v1/backup",
    "/v1",
    "/v1/collections/staff/feedback?limit=1",
    "/v1/aliases",
    "/v1/models",
    "/v1/service/slow",
]
NGINX = """
proxy_cache_path {folder}/cache keys_zone=softkv:1m;
server {{
    listen 127.0.0.1:{port};
    location / {{
        proxy_pass http://127.0.0.1:{service_port};
        proxy_set_header Host $http_host;
        proxy_cache softkv;
        proxy_cache_valid any 1h;
        proxy_cache_lock on;
        add_header X-Cache $upstream_cache_status always;
    }}
}}
"""
SQUID = """
http_port 127.0.0.1:{port} accel defaultsite=127.0.0.1 no-vhost
cache_peer 127.0.0.1 parent {service_port} 0 no-query originserver login=PASSTHRU
http_access allow all
cache_mem 16 MB
collapsed_forwarding on
access_log none
cache_log /dev/null
pid_filename none
shutdown_lifetime 0 seconds
"""
CONFIGURATIONS = {"nginx": NGINX, "squid": SQUID}


def keys() -> str:
    """Return the lines of a file of keys: a writer, and two readers that each see the documents of their tenant."""

    def line(key: str, **more: Any) -> str:
        digest = sha256(key.encode()).hexdigest()
        return json.dumps({"name": key, "scope": "read", "collections": "", "sha256": digest} | more)

    def tenant(name: str) -> dict[str, Any]:
        return {"filter": {"field": "metadata.tenant", "operator": "==", "value": name}}

    lines = [line(WRITER, scope="write"), line(CEDAR, **tenant("cedar")), line(BIRCH, **tenant("birch"))]
    return "\n".join(lines)


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """Yield a service with these keys and a document of each tenant."""
    folder = tmp_path_factory.mktemp("keyed")
    (folder / "keys").write_text(keys())
    with RunningService(data_dir=folder / "data", encoder="none", keys_file=folder / "keys") as running:
        with Client(running.url, key=WRITER) as client:
            staff = client.collection("staff")
            staff.create(encoder=None)
            staff.put("salary", key_vector=[1, 0], value="42000 a month", metadata={"tenant": "cedar"})
            staff.put("wage", key_vector=[0, 1], value="20 an hour", metadata={"tenant": "birch"})
            staff.attend([1.0, 0.0])
        yield running


@pytest.fixture(scope="module")
def plain(service_of: Callable[..., RunningService]) -> RunningService:
    """A service without keys."""
    return service_of()


@contextmanager
def caching(name: str, folder: Path, service: RunningService) -> Iterator[httpx.Client]:
    """Yield a client of a caching proxy in front of a service."""
    with reserved_port() as port:
        configuration = CONFIGURATIONS[name].format(folder=folder, port=port, service_port=service.port)
        with program(name, configuration, folder, port) as url, httpx.Client(base_url=url, timeout=60) as client:
            yield client


@pytest.fixture(scope="module", params=CONFIGURATIONS)
def before_keyed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, keyed: RunningService
) -> Iterator[httpx.Client]:
    """Yield a client of each proxy, in front of the service with keys."""
    with caching(request.param, tmp_path_factory.mktemp(request.param), keyed) as client:
        yield client


@pytest.fixture(params=CONFIGURATIONS)
def before_plain(request: pytest.FixtureRequest, tmp_path: Path, plain: RunningService) -> Iterator[httpx.Client]:
    """Yield a client of each proxy, in front of the service without keys."""
    with caching(request.param, tmp_path, plain) as client:
        yield client


def get(client: httpx.Client, path: str, **headers: str) -> httpx.Response:
    return client.get(path, headers={"X-Request-ID": uuid4().hex} | headers)


def own(answer: httpx.Response) -> bool:
    """Return whether the service made this answer for its request."""
    return answer.headers["x-request-id"] == answer.request.headers["x-request-id"]


@pytest.mark.parametrize("key", [{"X-API-Key": WRITER}, {"Authorization": f"Bearer {WRITER}"}], ids="".join)
@pytest.mark.parametrize("path", PRIVATE)
def test_an_answer_to_a_key_reaches_no_other_caller(before_keyed, key, path):
    for _ in range(2):
        answers = [get(before_keyed, path, **headers) for headers in ({}, key, {"X-API-Key": "unknown"})]
        assert all(map(own, answers))
        assert [answer.status_code for answer in answers] == [401, 404 if path.endswith("missing") else 200, 401]


def test_each_key_gets_its_own_part(before_keyed):
    def part(key: str) -> tuple[int, list[int]]:
        def read(path: str) -> httpx.Response:
            return get(before_keyed, path, **{"X-API-Key": key})

        statuses = [read(f"{DOCUMENTS}/{name}").status_code for name in ("salary", "wage")]
        return read("/v1/collections/staff").json()["documents"], statuses

    parts = {WRITER: (2, [200, 200]), CEDAR: (1, [200, 404]), BIRCH: (1, [404, 200])}
    order = [*parts] * 20
    assert [part(key) for key in order] == [parts[key] for key in order]
    with ThreadPoolExecutor(8) as threads:  # a proxy may send one request for several that came at once
        assert list(threads.map(part, order)) == [parts[key] for key in order]


def test_a_probe_and_metrics_are_of_this_instant_and_of_their_caller(before_keyed):
    with_names = get(before_keyed, "/metrics", **{"X-API-Key": WRITER}).text
    without = get(before_keyed, "/metrics")
    assert own(without)
    assert 'collection="staff"' in with_names
    assert 'collection="staff"' not in without.text
    for path in ("/livez", "/readyz", "/openapi.json", "/nothing"):
        assert all(own(get(before_keyed, path)) for _ in range(3)), path


def test_a_client_reads_its_last_write(before_plain):
    with Client(str(before_plain.base_url)) as client:
        notes = client.collection("notes")
        notes.create(encoder=None, exist_ok=True)
        for k in range(20):
            notes.put("w", key_vector=[1, k], value=k)
            assert notes.get("w").value == k
        for k in range(5):
            assert not notes.exists(f"new-{k}")
            notes.put(f"new-{k}", key_vector=[1, k])
            assert notes.exists(f"new-{k}")
            assert notes.count() == 2
            notes.remove(f"new-{k}")
        assert notes.attend([1.0, 0.0]).ids == ["w"]


def test_a_cache_keeps_the_files_of_the_page_and_not_its_documents(before_plain):
    page = before_plain.get("/")
    assert page.status_code == 200
    (file, *_) = linked(page)
    first, second = get(before_plain, file), get(before_plain, file)
    assert own(first)
    assert not own(second)  # so this proxy does cache
    assert second.content == first.content
    for language, document in {"en": "en", "zh-CN": "zh"}.items():
        for _ in range(2):
            text = get(before_plain, "/", **{"Accept-Language": language}).text
            assert f'lang="{document}' in text
