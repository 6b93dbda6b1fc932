"""Headers of every answer: its request's id, and the permissions of a browser."""

from __future__ import annotations

import pytest
from fastapi import APIRouter
from pydantic import ValidationError

from softkv_service.settings import Settings
from tests.running import RunningService
from tests.service.api.contract import STORABLE

POLICY = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
JSON = {"content-type": "application/json"}
# method, path, headers, status
REQUESTS = [
    ("GET", "/", {}, 200),
    ("GET", "/docs/api", {}, 200),
    ("GET", "/room.html", {}, 308),
    ("GET", "/nothing", {"accept": "text/html"}, 404),
    ("GET", "/assets/0/built/story.js", {}, 404),
    ("GET", "/openapi.json", {"if-none-match": "*"}, 200),
    ("GET", "/openapi.json", {"range": "bytes=0-9"}, 200),
    ("POST", "/openapi.json", {}, 405),
    ("GET", "/readyz", {}, 200),
    ("GET", "/metrics", {}, 200),
    ("GET", "/mcp", {"x-api-key": "w"}, 405),
    ("GET", "/v1/backup", {"x-api-key": "w", "range": "bytes=0-9"}, 200),
    ("POST", "/v2/rerank", {"x-api-key": "w"} | JSON, 400),
    ("GET", "/lesson.html", {}, 200),
    ("GET", "/livez", {}, 200),
    ("GET", "/nothing", {}, 404),
    ("POST", "/", {}, 405),
    ("OPTIONS", "/v1/collections", {}, 405),
    ("GET", "/v1/collections", {"x-api-key": "w"}, 200),
    ("HEAD", "/v1/collections", {"x-api-key": "w"}, 200),
    ("GET", "/v1/nothing", {"x-api-key": "w"}, 404),
    ("GET", "/v1/models/none", {"x-api-key": "w"}, 404),
    ("GET", "/v1/collections%0A", {}, 400),
    ("GET", "/v1/collections", {}, 401),
    ("GET", "/v1/collections", {"x-api-key": "x"}, 401),
    ("PUT", "/v1/collections/a", {"x-api-key": "r"}, 403),
    ("GET", "/", {"host": "evil.example"}, 403),
    ("PUT", "/v1/collections/a", {"x-api-key": "w", "content-length": "4000"} | JSON, 413),
    ("PUT", "/v1/collections/a", {"x-api-key": "w", "content-length": "2"}, 415),
    ("GET", "/v1/collections/-", {"x-api-key": "w"}, 422),
    ("GET", "/v1/broken", {"x-api-key": "w"}, 500),
]

# A picture to share is drawn from an image that the page has made.
PAGE_POLICY = f"{POLICY}; img-src 'self' blob:"
PAGES = {("/", 200), ("/lesson.html", 200)}


@pytest.fixture(scope="module")
def keyed(tmp_path_factory):
    """A service with keys, and with a route that fails."""
    data = tmp_path_factory.mktemp("keyed")
    broken = APIRouter()  # declares nothing, so it is for writers

    @broken.get("/v1/broken")
    async def fail() -> None:
        raise RuntimeError("on purpose")

    running = RunningService(data_dir=data, encoder="none", api_keys=("w",), read_keys=("r",), max_body_bytes=2048)
    running.app.include_router(broken)
    with running:
        yield running


@pytest.mark.parametrize(("method", "path", "headers", "status"), REQUESTS, ids=lambda each: str(each))
def test_every_answer_carries_them(keyed, method, path, headers, status):
    content = b"{" + b" " * (int(headers["content-length"]) - 2) + b"}" if "content-length" in headers else None
    with keyed.client(headers={"x-request-id": "mine-1"}) as client:
        answer = client.request(method, path, headers=headers, content=content)
    assert answer.status_code == status
    assert answer.headers["x-request-id"] == "mine-1"
    expected = PAGE_POLICY if (path, status) in PAGES else POLICY
    assert answer.headers.get_list("content-security-policy") == [expected]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    is_page = answer.headers.get("content-type", "").startswith("text/html")
    assert answer.headers.get_list("cache-control") == ["no-cache" if is_page else "no-store"]
    assert is_page or not STORABLE & answer.headers.keys()


def test_an_id_that_cannot_be_is_replaced(keyed):
    with keyed.client() as client:
        made = client.get("/livez", headers={"x-request-id": "not acceptable"}).headers["x-request-id"]
        assert made not in ("", "not acceptable")
        failed = client.get("/v1/broken", headers={"x-api-key": "w"})
    assert failed.headers["x-request-id"] in failed.json()["detail"]


def test_allowed_frame_ancestors_are_a_setting(tmp_path):
    sources = "'self' https://lms.example"
    with (
        RunningService(data_dir=tmp_path, encoder="none", frame_ancestors=sources) as running,
        running.client() as client,
    ):
        for path, policy in (("/", PAGE_POLICY), ("/nothing", POLICY)):
            sent = client.get(path).headers["content-security-policy"]
            assert sent == policy.replace("frame-ancestors 'self'", f"frame-ancestors {sources}")


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        ("", "'self'"),
        ("  ", "'self'"),
        ("'none'", "'none'"),
        ("*", "*"),
        ("https:", "https:"),
        ("'self'  https://lms.example/ ", "'self' https://lms.example/"),
        ("https://*.school.example:8443 lms:* localhost:3000", "https://*.school.example:8443 lms:* localhost:3000"),
    ],
)
def test_sources_are_kept(sources, expected):
    assert Settings(frame_ancestors=sources).frame_ancestors == expected


@pytest.mark.parametrize(
    "wrong",
    [
        "'self'; script-src *",
        "'self';",
        "'self', default-src *",
        "'self'\nSet-Cookie: a=b",
        "'self'\n",
        "\n",
        "a\tb",
        "'self'\x00",
        "self",
        "none",
        "'none' 'self'",
        "'unsafe-inline'",
        "https://lms.example/a;b",
        "https://",
        "lös",
        '"self"',
        "https://user@lms.example",
        "'self'\u2028",
        "https://lms.example/path?q",
    ],
)
def test_an_invalid_frame_source_is_refused_at_the_start(wrong):
    with pytest.raises(ValidationError, match="expected 'none', or sources separated by a space"):
        Settings(frame_ancestors=wrong)
