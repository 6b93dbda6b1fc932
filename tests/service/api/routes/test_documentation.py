"""The documentation at `/docs/`, with a site and without."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from shutil import copytree
from urllib.parse import urljoin

import httpx
import pytest

from tests.examples import ROOT
from tests.running import RunningService

SCRIPT = 'document.body.dataset.found = "1 < 2"'
STYLE = "text { fill: red }"
PAGE = f"<!doctype html><title>Page</title><script>{SCRIPT}</script><p>{'words ' * 200}</p>"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a small site."""
    folder = tmp_path_factory.mktemp("built")
    (folder / "guide").mkdir()
    (folder / "index.html").write_text(PAGE)
    (folder / "guide" / "index.html").write_text(PAGE.replace("1 < 2", "2 < 3"))
    (folder / "search.json").write_text("{}")
    (folder / "llms.txt").write_text("# softkv\n\n- [Page](docs/page.md)\n")
    (folder / "llms-full.txt").write_text("# softkv\n" + "all of it\n" * 100)
    (folder / "styles.json").write_text("[\"'sha256-abc'\"]")
    (folder / "drawing.svg").write_text(f"<svg><style>{STYLE}</style></svg>")
    (folder / "picture.png").write_bytes(b"\x89PNG" * 1000)
    return folder


@pytest.fixture(scope="module", params=["", "/softkv"], ids=["root", "below"])
def built(
    request: pytest.FixtureRequest, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """Yield a client of a service with that site."""
    settings = {"encoder": "none", "root_path": request.param, "frame_ancestors": "https://school.example"}
    with (
        RunningService(data_dir=tmp_path_factory.mktemp("data"), site=folder, **settings) as running,
        httpx.Client(base_url=f"{running.url}{request.param}") as client,
    ):
        yield client


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Yield a client of a service without a site."""
    data = tmp_path_factory.mktemp("bare")
    with RunningService(data_dir=data, encoder="none", site=data / "nothing") as running, running.client() as client:
        yield client


def test_without_a_site_the_documentation_is_the_api_reference_which_says_how_to_build_more(bare):
    assert bare.get("/docs").headers["location"] == "/docs/"
    page = bare.get("/docs/")
    assert page.text == bare.get("/docs/api").text
    assert page.text.count("make docs") == 1
    assert '<a href="../">softkv</a>' in page.text
    assert bare.get("/docs/index.html").status_code == bare.get("/docs/guide/").status_code == 404


def test_in_a_checkout_the_reference_links_the_pages_as_they_are_written(bare):
    linked = re.findall(r'href="([\w/]+\.md)"', bare.get("/docs/").text)
    assert linked[0] == "README.md"
    for name in linked:
        page = bare.get(f"/docs/{name}")
        assert page.headers["content-type"] == "text/plain; charset=utf-8"
        assert page.text.startswith("# ")
    assert bare.get("/docs/guide/symptoms.md").text == (ROOT / "docs/guide/symptoms.md").read_text(encoding="utf-8")
    # Pages of the packages beside the service are there, and so is every page that the contents and they link.
    for name in ("README.md", "teach/publishing.md", "teach/workshop.md", "operate/stores.md", "guide/langchain.md"):
        at = f"/docs/{name}"
        links = [urljoin(at, target) for target in re.findall(r"\]\(([\w./-]+\.md)", bare.get(at).text)]
        assert not [path for path in links if "/docs/" in path.removeprefix("/docs/")]
        among = [path for path in links if path.startswith("/docs/")]
        assert {path: bare.get(path).status_code for path in among} == dict.fromkeys(among, 200)
    for other in ("start/notebook.ipynb", "site/zensical.toml", "../README.md", "%2e%2e/README.md", "nothing.md"):
        assert bare.get(f"/docs/{other}").status_code == 404, other


def test_with_a_site_it_stands_beside_the_api_reference(built):
    moved = built.get("/docs")
    assert moved.status_code == 307
    assert moved.headers["location"] == f"{built.base_url.path.rstrip('/')}/docs/"
    assert built.get("/docs/").text == built.get("/docs/index.html").text == PAGE
    assert "2 < 3" in built.get("/docs/guide/").text
    reference = built.get("/docs/api").text
    assert '<a href="./">Documentation</a>' in reference
    assert "make docs" not in reference
    for path in ("/docs/nothing", "/docs/guide", "/docs/../settings.py", "/docs/%2e%2e/settings.py", "/docs/api/"):
        assert built.get(path).status_code == 404, path


def test_models_find_the_documentation_at_the_root(built, bare):
    for name, start in (("llms.txt", "# softkv\n\n- [Page](docs/page.md)"), ("llms-full.txt", "# softkv\nall of it")):
        answer = built.get(f"/{name}")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert answer.text.startswith(start)
        unchanged = built.get(f"/{name}", headers={"if-none-match": answer.headers["etag"]})
        assert unchanged.status_code == 304
        assert built.get(f"/docs/{name}").status_code == 404  # its links begin at the root
    assert "`make docs`" in bare.get("/llms.txt").text
    assert bare.get("/llms-full.txt").status_code == 404


def test_a_document_may_run_its_own_inline_scripts_and_no_others(built):
    directives = dict(
        directive.split(" ", 1) for directive in built.get("/docs/").headers["content-security-policy"].split("; ")
    )
    digest = b64encode(sha256(SCRIPT.encode()).digest()).decode()
    assert directives["script-src"] == f"'self' 'sha256-{digest}'"
    assert (directives["style-src"], directives["img-src"]) == ("'self' 'sha256-abc'", "'self' data:")
    assert directives["default-src"] == "'self'"
    assert directives["frame-ancestors"] == "https://school.example"
    assert digest not in built.get("/docs/guide/").headers["content-security-policy"]
    style = b64encode(sha256(STYLE.encode()).digest()).decode()
    assert (
        f"style-src 'self' 'sha256-abc' 'sha256-{style}'"
        in (built.get("/docs/drawing.svg").headers["content-security-policy"])
    )
    for path in ("/docs/api", "/docs/search.json"):
        assert built.get(path).headers["content-security-policy"].startswith("default-src 'self';")


def test_a_file_is_compressed_and_sent_again_only_if_it_changed(built):
    page = built.get("/docs/", headers={"accept-encoding": "gzip"})
    assert page.headers["content-encoding"] == "gzip"
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "content-encoding" not in built.get("/docs/", headers={"accept-encoding": "identity"}).headers
    assert "content-encoding" not in built.get("/docs/picture.png").headers
    for path in ("/docs/", "/docs/api", "/docs/search.json"):
        answer = built.get(path)
        assert answer.headers["cache-control"] == "no-cache"
        again = built.get(path, headers={"if-none-match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


def test_a_site_that_is_built_while_the_service_runs_is_shown(tmp_path, folder):
    site = tmp_path / "site"
    with RunningService(data_dir=tmp_path / "data", encoder="none", site=site) as running, running.client() as client:
        assert "make docs" in client.get("/docs/").text
        assert client.get("/llms-full.txt").status_code == 404
        copytree(folder, site)
        assert client.get("/docs/").text == PAGE
        assert "make docs" not in client.get("/docs/api").text
        assert client.get("/llms-full.txt").text.startswith("# softkv")
