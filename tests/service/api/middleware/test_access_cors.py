"""Pages of other origins: which may call the API, and what a browser needs to hear for it."""

from __future__ import annotations

import httpx
import pytest
from pydantic import ValidationError

from softkv_service.settings import Settings
from tests.running import RunningService
from tests.thorough import crossed

LISTED, OTHER = "https://app.example", "https://evil.example"
METHODS = ("GET", "HEAD", "PUT", "POST", "PATCH", "DELETE")
C = "/v1/collections/c"
ALLOW = "access-control-allow-origin"


def service(tmp_path, **settings):
    return RunningService(data_dir=tmp_path, encoder="none", **settings)


def preflight(client: httpx.Client, origin: str, method: str = "POST", path: str = C, **headers: str) -> httpx.Response:
    expected = {"origin": origin, "access-control-request-method": method}
    return client.options(path, headers=expected | {name.replace("_", "-"): text for name, text in headers.items()})


def granted(answer: httpx.Response) -> set[str]:
    return {name for name in answer.headers if name.startswith("access-control-")}


@pytest.fixture(scope="module")
def keyed(tmp_path_factory):
    """A client of a service with keys that two origins may call."""
    origins = f"{LISTED},http://localhost:3000"
    with (
        service(tmp_path_factory.mktemp("keyed"), api_keys=("w",), read_keys=("r",), cors_origins=origins) as running,
        running.client() as client,
    ):
        yield client


@crossed({"method": METHODS, "origin": [LISTED, "http://localhost:3000"], "host": ["localhost", "kb.example"]})
def test_a_preflight_of_a_listed_origin_needs_no_key(keyed, origin, method, host):
    """Nor a name of the service: the call that follows has a key, and with one any Host will do."""
    headers = "authorization,content-type,idempotency-key,x-api-key,x-stainless-lang"
    answer = preflight(keyed, origin, method, access_control_request_headers=headers, host=host)
    assert answer.status_code == 200
    assert answer.headers[ALLOW] == origin
    assert answer.headers["access-control-allow-methods"].split(", ") == list(METHODS)
    assert answer.headers["access-control-allow-headers"] == headers
    assert "Origin" in answer.headers["vary"]
    assert "access-control-allow-credentials" not in answer.headers
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize(
    "origin", [OTHER, "https://app.example.evil", "http://app.example", "https://app.example:8443", "null", ""]
)
def test_other_origins_are_allowed_nothing(keyed, origin):
    assert preflight(keyed, origin).status_code == 400
    assert ALLOW not in preflight(keyed, origin).headers
    answer = keyed.get("/v1/collections", headers={"origin": origin, "x-api-key": "w"})
    assert answer.status_code == 200
    assert ALLOW not in answer.headers


def test_answers_and_refusals_say_that_the_page_may_read_them(keyed):
    page = {"origin": LISTED}
    write, read = page | {"x-api-key": "w"}, page | {"authorization": "Bearer r"}
    answers = {
        201: keyed.put(C, json={"dimension": 2}, headers=write),
        200: keyed.get("/v1", headers=read),
        400: keyed.put(C, content=b"{", headers=write | {"content-type": "application/json"}),
        401: keyed.get("/v1/collections", headers=page),
        403: keyed.put(C, json={}, headers=read),
        404: keyed.get("/v1/nothing", headers=read),
        405: keyed.put("/v1/collections", json={}, headers=write),
        422: keyed.put(C, json={"no such field": 1}, headers=write),
    }
    for status, answer in answers.items():
        assert answer.status_code == status
        assert answer.headers[ALLOW] == LISTED
        exposed = "X-Request-ID, Retry-After, Idempotency-Replayed, Age"
        assert answer.headers["access-control-expose-headers"] == exposed
        assert "Origin" in answer.headers["vary"]


def test_an_unexpected_error_has_cors_headers_too(tmp_path):
    running = service(tmp_path, cors_origins=LISTED)

    @running.app.get("/v1/broken")
    async def broken() -> None:
        raise LookupError

    running.app.router.routes.insert(0, running.app.router.routes.pop())
    with running, running.client() as client:
        failed = client.get("/v1/broken", headers={"origin": LISTED})
        assert (failed.status_code, failed.headers[ALLOW]) == (500, LISTED)
        assert failed.json()["code"] == "internal_error"


def test_a_star_is_any_origin(tmp_path):
    with service(tmp_path, cors_origins="*") as running, running.client() as client:
        for origin in (LISTED, OTHER, "null"):
            assert preflight(client, origin, "PUT").headers[ALLOW] == "*"
            assert client.get("/v1", headers={"origin": origin}).headers[ALLOW] == "*"
        assert ALLOW not in client.get("/v1").headers
        refused = client.get("/v1", headers={"origin": LISTED, "host": "evil.example"})
        assert (refused.status_code, refused.json()["code"]) == (403, "host_refused")
        assert preflight(client, OTHER, access_control_request_private_network="true").status_code == 400


def test_a_listed_origin_may_call_a_service_on_a_private_address(keyed):
    answer = preflight(keyed, LISTED, access_control_request_private_network="true")
    assert answer.headers["access-control-allow-private-network"] == "true"


@pytest.mark.parametrize("settings", [{}, {"api_keys": ("w",)}], ids=str)
def test_none_is_allowed_unless_it_is_configured(tmp_path, settings):
    with service(tmp_path, **settings) as running, running.client() as client:
        for method in METHODS:
            answer = preflight(client, LISTED, method)
            assert answer.status_code == 405
            assert not granted(answer)
        for path in ("/", "/livez", "/v1/collections"):
            assert not granted(client.get(path, headers={"origin": LISTED, "x-api-key": "w"}))


def test_origins_are_as_a_browser_sends_them(monkeypatch):
    origins = " https://App.example:443, http://localhost:3000,http://[::1]:80,chrome-extension://abc,http://a:443 "
    monkeypatch.setenv("SOFTKV_CORS_ORIGINS", origins)
    sent = ("https://app.example", "http://localhost:3000", "http://[::1]", "chrome-extension://abc", "http://a:443")
    assert Settings().cors_origins == sent
    assert Settings(cors_origins="").cors_origins == ()
    assert Settings(cors_origins="*").cors_origins == ("*",)
    for wrong in ("app.example", "https://app.example/", "https://*.example", "null", "https://", "https://a b", "//a"):
        with pytest.raises(ValidationError, match="expected origins"):
            Settings(cors_origins=f"https://ok.example,{wrong}")
