"""Behind a proxy: who the caller is, which scheme it used, and everything below a prefix."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from softkv import Client
from softkv_service.api.middleware.access import caller_of
from softkv_service.api.parts import find_parts
from softkv_service.api.routes.page import folders
from softkv_service.configuration import OWN_SEGMENTS
from tests.examples import ROOT, Page
from tests.running import RunningService, reserved_port
from tests.service.server.proxies import caller, program, small_proxy
from tests.thorough import thorough

CLIENT, LIAR, PROXY = "203.0.113.7", "198.51.100.1", "127.0.0.1"
IDS = ["a", "a/b", "a//b", "/a", "a/", "a/../b", "a/./b", "a%2Fb", "a%b", "ü ?#;&=+", "https://a.example/b?c=1#d"]
LINK = re.compile(r"""(?:href|src)="([^"#]+)""")


async def show_caller(request: Request) -> JSONResponse:
    client = request.client
    return JSONResponse(
        {
            "address": client.host if client else None,
            "scheme": request.scope["scheme"],
            "caller": caller_of(request.scope),
        }
    )


@contextmanager
def serving(folder: Path, **settings: Any) -> Iterator[RunningService]:
    running = RunningService(data_dir=folder, encoder="none", **{"allow_anonymous": "write"} | settings)
    running.app.router.routes.insert(0, Route("/caller", show_caller))
    with running:
        yield running


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    with serving(tmp_path_factory.mktemp("plain")) as running:
        yield running


@pytest.fixture(scope="module")
def trusting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """Yield a service below /softkv that believes proxies at 127.0.0.1 and in 10.1.0.0/16."""
    settings = {"trusted_proxies": "127.0.0.1, 10.1.0.0/16", "root_path": "/softkv", "allowed_hosts": "softkv.example"}
    with serving(tmp_path_factory.mktemp("trusting"), **settings) as running:
        yield running


def test_without_the_setting_no_header_changes_the_caller(plain):
    with plain.client() as client:
        headers = {"X-Forwarded-For": CLIENT, "X-Forwarded-Proto": "https", "X-Real-IP": CLIENT}
        seen = caller(client, **headers | {"Forwarded": f"for={CLIENT}"})
    assert seen == {"address": PROXY, "scheme": "http", "caller": f"anonymous at {PROXY}"}


def test_a_connection_from_elsewhere_changes_nothing(tmp_path):
    with serving(tmp_path, trusted_proxies="10.0.0.0/8,2001:db8::1") as running, running.client() as client:
        seen = caller(client, **{"X-Forwarded-For": CLIENT, "X-Forwarded-Proto": "https"})
    assert seen == {"address": PROXY, "scheme": "http", "caller": f"anonymous at {PROXY}"}


@pytest.mark.parametrize(
    ("sent", "last", "address"),
    [
        (None, CLIENT, CLIENT),
        (LIAR, CLIENT, CLIENT),  # what a client claims is on the left
        (f"{LIAR}, 10.1.2.3", CLIENT, CLIENT),
        (f"{LIAR}, {CLIENT}", "10.1.0.9", CLIENT),
        (f"{LIAR}, {CLIENT}", "10.2.0.9", "10.2.0.9"),  # only trusted proxies are skipped
    ],
    ids=str,
)
def test_a_trusted_proxy_says_the_address_and_the_scheme(trusting, sent, last, address):
    headers = {"X-Test-Address": last} | ({} if sent is None else {"X-Forwarded-For": sent})
    with small_proxy(trusting.port) as url, httpx.Client(base_url=url, timeout=60) as client:
        seen = caller(client, **headers)
    assert seen == {"address": address, "scheme": "https", "caller": f"anonymous at {address}"}


@pytest.fixture(scope="module", params=[True, False], ids=["stripped", "kept"])
def below(request: pytest.FixtureRequest, trusting: RunningService) -> Iterator[httpx.Client]:
    """Yield a client of a proxy that serves the service below /softkv."""
    with (
        small_proxy(trusting.port, prefix="/softkv", strips=request.param) as url,
        httpx.Client(base_url=f"{url}/softkv", timeout=60) as client,
    ):
        yield client


@pytest.mark.parametrize(
    "path", ["/", "/index.html", "/deeper", "/explore", "/lesson.html", "/worksheet.html", "/room", "/docs/api"]
)
def test_every_link_of_a_page_stays_below_the_prefix(below, path):
    page = below.get(path)
    assert page.status_code == 200
    links = [urljoin(str(page.url), link) for link in LINK.findall(page.text)]
    assert len(links) > 1
    for link in links:
        assert link.startswith(f"{below.base_url}")
        assert below.get(link).status_code == 200, link


def test_no_script_of_the_page_names_a_path_from_the_root():
    """Scripts call the API by `fetch(`.${path}`)`; tests/browser/frame/test_prefix.py runs them."""
    for file in (file for web in folders(find_parts()) for file in web.rglob("*.js")):
        if "vendor" not in file.parts:
            text = file.read_text(encoding="utf-8")
            assert not re.search(r"""(?:href: |src: |url: |fetch\(|import\(|from )["'`]/""", text), file.name


def test_the_prefix_alone_leads_to_the_page(trusting, below):
    address = str(below.base_url).rstrip("/")
    assert httpx.get(address, follow_redirects=True, timeout=60).status_code == 200
    with trusting.client() as client:
        answer = client.get("/softkv")
        assert (answer.status_code, answer.headers["location"]) == (307, "/softkv/")
        assert client.get("/softkvx").status_code == 404


def test_the_description_names_the_prefix(below, plain):
    for encoding in ("gzip", "identity"):
        description = below.get("/openapi.json", headers={"accept-encoding": encoding}).json()
        assert description["servers"] == [{"url": "/softkv"}]
    with plain.client() as client:
        assert "servers" not in client.get("/openapi.json").json()


def test_the_client_works_below_a_prefix(below):
    with Client(str(below.base_url).rstrip("/")) as client:
        notes = client.collection(f"notes-{below.base_url.port}")
        notes.create(encoder=None)
        notes.put("a/b c", key_vector=[1, 0])
        assert notes.attend([1.0, 0.0]).ids == ["a/b c"]
        assert notes.get("a/b c").id == "a/b c"
        assert notes.name in [collection.name for collection in client.collections("notes")]


def test_a_write_is_repeated_by_either_path(below):
    headers = {"Idempotency-Key": f"once-{below.base_url.port}"}
    path, body = f"/v1/collections/c{below.base_url.port}", {"similarity": "dot"}
    first = below.put(path, json=body, headers=headers)
    again = below.put(path, json=body, headers=headers)
    assert (first.status_code, again.headers["idempotency-replayed"]) == (201, "true")


def test_an_error_below_a_prefix_is_a_problem(below):
    answer = below.get("/v1/collections/none")
    assert (answer.status_code, answer.json()["code"]) == (404, "collection_not_found")
    assert below.get("/v1/models/none").json()["error"]["code"] == "model_not_found"  # as OpenAI's clients read it
    assert below.get("/v1/nothing").status_code == 404
    assert below.get("/livez").status_code == 200


def test_a_room_is_joined_below_the_prefix(below):
    opened = below.post("/v1/rooms", json={}, headers={"Host": "softkv.example", "X-Test-Address": "203.0.113.99"})
    assert opened.json()["joining"]["address"].startswith("https://softkv.example/softkv/room?code=")


@pytest.mark.parametrize("prefix", ["", "/softkv"])
def test_a_call_needs_a_key_below_the_prefix_too(tmp_path, prefix):
    with (
        serving(tmp_path, root_path="/softkv", api_keys="w", allow_anonymous=None) as running,
        running.client() as client,
    ):
        assert client.get(f"{prefix}/v1/collections").status_code == 401
        assert client.get(f"{prefix}/v1/collections", headers={"X-API-Key": "w"}).status_code == 200
        assert client.get(f"{prefix}/docs/").status_code == 200


def test_no_path_of_the_service_may_be_the_prefix(plain):
    routes = {getattr(route, "path", "") for route in plain.app.routes}
    own = {path.split("/")[1] for path in routes if path.count("/")} | {"assets", "docs", "room", "v1", "mcp"}
    assert own - {"", "caller"} <= OWN_SEGMENTS
    with plain.client() as client:
        # The last two are parts of a built site.
        for segment in OWN_SEGMENTS - {"assets", "mcp", "v1", "v2", "llms.txt", "llms-full.txt"}:
            assert client.get(f"/{segment}").status_code in (200, 307, 308, 503), segment


def without_tls(configuration: str, port: int, service_port: int) -> str:
    """Return a configuration of the page for this port and this service."""
    configuration = configuration.replace("127.0.0.1:8000", f"127.0.0.1:{service_port}")
    configuration = re.sub(r"listen 443 ssl;", f"listen 127.0.0.1:{port};", configuration)
    configuration = re.sub(r"^ *(ssl_certificate|SSL).*\n", "", configuration, flags=re.MULTILINE)
    configuration = configuration.replace("<VirtualHost *:443>", f"<VirtualHost *:{port}>")
    return re.sub(r"^softkv\.example", f"http://:{port}", configuration, flags=re.MULTILINE)


@pytest.mark.parametrize("name", ["nginx", "caddy"])
def test_a_documented_proxy_passes_only_the_api(tmp_path, plain, name):
    page = Page("docs/operate/proxy.md")
    configurations = [text for kind, text in page.blocks if kind == name]
    if name == "caddy":
        (configuration,) = (text for text in configurations if "404" in text)
    else:
        old, new, rest = "location / {", "location /v1 {", "location / { return 404; }"
        assert f"write `{new}` for `{old}`" in page.prose
        assert f"`{rest}`" in page.prose
        configuration = configurations[0].replace(old, f"{rest}\n    {new}")
    with (
        reserved_port() as port,
        program(name, without_tls(configuration, port, plain.port), tmp_path, port) as url,
        httpx.Client(base_url=url, timeout=60) as client,
    ):
        assert client.get("/v1").json()["version"]
        assert client.get("/v1/collections").status_code == 200
        for path in ("/", "/docs/", "/readyz", "/metrics", "/mcp"):
            assert (client.get(path).status_code, client.get(path).headers.get("x-request-id")) == (404, None)


@pytest.mark.parametrize("prefix", ["", "/softkv"])
@pytest.mark.parametrize("name", ["nginx", "caddy", thorough("apache2")])
def test_a_documented_configuration_works(tmp_path, trusting, name, prefix):
    """Each block runs as it is, but without TLS, on a free port, for the service of the test."""
    page = Page("docs/operate/proxy.md")
    if name == "apache2":
        (configuration,) = (text for kind, text in page.blocks if kind == "apache")
        old, new, more = 'ProxyPass "/"', 'ProxyPass "/softkv/"', 'RedirectMatch "^/softkv$" "/softkv/"'
        assert f"write `{new}` for `{old}`, and add `{more}`" in page.prose
        if prefix:
            configuration = configuration.replace(old, f"{more}\n    {new}")
    else:
        (configuration,) = (
            text
            for kind, text in page.blocks
            if kind == name and ("/softkv/" in text) == bool(prefix) and "404" not in text
        )
    elsewhere = httpx.HTTPTransport(local_address="127.0.0.2")  # not a trusted address
    with (
        reserved_port() as port,
        program(name, without_tls(configuration, port, trusting.port), tmp_path, port) as url,
        httpx.Client(base_url=url, transport=elsewhere, timeout=60) as client,
    ):
        seen = caller(client, f"{prefix}/caller", **{"X-Forwarded-For": LIAR})
        assert (seen["address"], seen["scheme"]) == ("127.0.0.2", "http")
        assert client.get(f"{prefix}/").status_code == 200
        assert client.get(f"{prefix}/v1").json()["version"]
        with Client(f"{url}{prefix}", transport=httpx2.HTTPTransport(local_address="127.0.0.2")) as softkv_client:
            notes = softkv_client.collection(f"of-{port}")
            notes.create(encoder=None)
            for number, id_ in enumerate(IDS):
                notes.put(id_, key_vector=[1, 0], value=number)
            assert [notes.get(id_).value for id_ in IDS] == [*range(len(IDS))]
            assert not any(notes.exists(f"{id_}/none") for id_ in IDS)
            assert notes.count() == len(IDS)
        if prefix:
            assert client.get(prefix, follow_redirects=True).status_code == 200
            assert "version" not in client.get("/v1").text


def test_the_shipped_nginx_forwards_the_address(tmp_path, trusting):
    configuration = (ROOT / "docker" / "proxy.conf").read_text()
    configuration = re.sub(r"softkv-[12]:8000", f"127.0.0.1:{trusting.port}", configuration)
    with (
        reserved_port() as port,
        program("nginx", configuration.replace("listen 8000;", f"listen 127.0.0.1:{port};"), tmp_path, port) as url,
        httpx.Client(base_url=url, timeout=60) as client,
    ):
        assert caller(client)["scheme"] == "http"
        # A proxy with TLS before it, here the test, says the address and the scheme of its client.
        seen = caller(client, **{"X-Forwarded-For": CLIENT, "X-Forwarded-Proto": "https"})
        assert seen == {"address": CLIENT, "scheme": "https", "caller": f"anonymous at {CLIENT}"}
