"""Files, documentation and metrics."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest

from softkv_service.api.parts import find_parts
from softkv_service.api.routes.assets import LEAST_BYTES, Assets
from softkv_service.api.routes.page import folders, render_page


def linked(page: httpx.Response) -> list[str]:
    """Return the paths that a document links to or loads."""
    return [f"/{path}" for path in re.findall(r'(?:href|src)="(?:\.\./)?(assets/[^"]+)"', page.text)]


def test_the_documentation_needs_nothing_from_elsewhere(client):
    page = client.get("/docs/api")
    assert page.status_code == 200
    assert page.headers["content-security-policy"].startswith("default-src 'self';")
    assert "://" not in page.text.replace("<!doctype html>", "")
    for name in ("swagger-ui-bundle.js", "swagger-ui.css", "built/docs.js"):
        (path,) = [path for path in linked(page) if path.endswith(name)][:1]
        assert client.get(path).status_code == 200
    assert client.get("/openapi.json").json()["info"]["title"] == "softkv"


@pytest.mark.parametrize("path", ["/", "/deeper", "/explore", "/lesson.html", "/docs/api"])
def test_everything_a_document_links_to_is_there_for_ever_and_for_any_origin(client, path):
    page = client.get(path)
    assert page.headers["cache-control"] == "no-cache"
    assert linked(page)
    for file in linked(page):
        answer = client.get(file)
        assert answer.status_code == 200, file
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["vary"] == "Accept-Encoding"
        kinds = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
        assert answer.headers["content-type"].startswith(kinds[Path(file).suffix])


NO_PICTURES = [
    "embed=0&embed=1",
    "embed=1&embed=0",
    "embed&embed=1",
    "embed=&embed=1",
    "%65mbed=0&embed=1",
    "%65mbed=1",
    "embed=%31",
    "embed=1&",
    "&embed=1",
    "embed=1&theme=dark",
    "EMBED=1",
    "embed=1;embed=0",
    "",
]


@pytest.mark.parametrize("path", ["/", "/index.html", "/deeper"])
def test_the_service_alone_decides_which_page_is_a_picture_in_a_frame(client, path):
    picture = client.get(f"{path}?embed=1")
    assert "frame-ancestors *;" in picture.headers["content-security-policy"]
    assert '<html data-embed="" ' in picture.text
    for query in NO_PICTURES:
        page = client.get(f"{path}?{query}")
        assert "frame-ancestors 'self';" in page.headers["content-security-policy"], query
        assert "data-embed" not in page.text, query
        assert page.headers["etag"] != picture.headers["etag"], query
    stored = {"if-none-match": picture.headers["etag"]}
    assert client.get(f"{path}?embed=1", headers=stored).status_code == 304
    assert client.get(path, headers=stored).status_code == 200


def test_the_explorer_is_a_picture_in_frames_of_its_own_site_only(client):
    picture = client.get("/explore?embed=1")
    assert "frame-ancestors 'self';" in picture.headers["content-security-policy"]
    assert '<html data-embed="" ' in picture.text


def test_files_have_one_digest_and_no_other_version_is_there(client):
    digests = {file.split("/")[2] for path in ("/", "/lesson.html", "/docs/api") for file in linked(client.get(path))}
    assert len(digests) == 1
    (digest,) = digests
    assert digest == Assets(*folders(find_parts())).digest
    for path in ("/assets/0000000000000000/built/story.js", "/built/story.js", "/assets/built/story.js"):
        assert client.get(path).status_code == 404
    for name in ("deeper.html", "package.json", "", "shared", "../settings.py", "%2e%2e/settings.py"):
        assert client.get(f"/assets/{digest}/{name}").status_code == 404


def test_another_content_or_another_name_is_another_digest(tmp_path):
    def digest(**files: str) -> str:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        for name, text in files.items():
            (folder / name).write_text(text)
        return Assets(folder).digest

    digests = [digest(a="1", b="2"), digest(a="1", b="3"), digest(a="1", c="2"), digest(a="12", b=""), digest(a="1")]
    assert len(set(digests)) == len(digests)
    assert digest(a="1", b="2") == digests[0]


def test_files_are_compressed_if_accepted_without_changes(client):
    for path in ("/", *linked(client.get("/"))):
        plain = client.get(path, headers={"accept-encoding": "identity"})
        assert "content-encoding" not in plain.headers
        packed = client.get(path, headers={"accept-encoding": "gzip"})
        assert packed.content == plain.content
        if len(plain.content) >= LEAST_BYTES:
            assert packed.headers["content-encoding"] == "gzip"
            assert int(packed.headers["content-length"]) < len(plain.content)


def test_a_document_is_sent_again_only_where_it_changed(client):
    tag = client.get("/").headers["etag"]
    again = client.get("/", headers={"if-none-match": tag})
    assert (again.status_code, again.content) == (304, b"")
    other = client.get("/", headers={"if-none-match": tag, "accept-language": "zh-CN"})
    assert other.status_code == 200
    assert other.headers["etag"] != tag


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("ZH-Hant-TW;q=0.7, en-GB;q=0.3", "zh"),
        ("de, *;q=0.1", "en"),
        ("zh;q=0, en;q=0.1", "en"),
        (";;q=x,,zh;q=2", "en"),
    ],
)
def test_the_first_words_are_in_the_browsers_language(client, accepted, language):
    page = client.get("/deeper", headers={"accept-language": accepted})
    assert page.headers["vary"] == "Accept-Language, Accept-Encoding"
    assert f'<html lang="{language}" ' in page.text
    assert "data-words" not in page.text
    assert ":language" not in page.text


def test_a_document_gets_its_words_and_an_unknown_word_is_refused_at_the_start(tmp_path):
    for name, word in (("good", "a.b"), ("bad", "a.c")):
        (tmp_path / f"{name}.html").write_text(f'<head></head><p class="x" data-words="{word}"></p>')
        (tmp_path / f"{name}.json").write_text('{"en": {"a.b": "x < y"}}')
    assets = Assets(tmp_path)
    assert '<p class="x">x &lt; y</p>' in render_page(assets, "good.html", "en").content.decode()
    with pytest.raises(KeyError):
        render_page(assets, "bad.html", "en")


def test_comparisons_are_compressed_if_accepted(client):
    rows = [{"key": f"number {i}", "value": "a large answer, as of a thousand rows" * 200} for i in range(40)]
    body = {"query": "number 7", "rows": rows, "top_k": 40}
    plain, packed = (
        client.post("/v1/compare", json=body, headers={"accept-encoding": coding}) for coding in ("identity", "gzip")
    )
    assert (plain.headers.get("content-encoding"), packed.headers["content-encoding"]) == (None, "gzip")
    weights = [[match["weight"] for match in answer.json()["attention"]["matches"]] for answer in (plain, packed)]
    assert weights[0] == weights[1]
    assert int(packed.headers["content-length"]) < len(plain.content) / 2


@pytest.mark.parametrize(("language", "title"), [("en", "There is no such page"), ("zh-CN", "没有这个页面")])
@pytest.mark.parametrize("path", ["/nonsense", "/ui/dashboard", "/collections", "/assets/"])
def test_a_browser_that_asks_for_a_missing_page_is_led_on(client, path, language, title):
    answer = client.get(path, headers={"accept": "text/html,*/*;q=0.8", "accept-language": language})
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert f"<h1>{title}</h1>" in answer.text
    assert re.findall(r'<li[^>]*><a href="([^"]+)"', answer.text) == ["/?learn", "/explore", "/docs/"]
    links = re.findall(r'(?:href|src)="([^"]+)"', answer.text)
    assert len(links) > 4
    for link in links:
        assert client.get(link, follow_redirects=True).status_code == 200, link


def test_the_file_of_the_room_leads_to_the_room(client):
    answer = client.get("/room.html?code=ABCD", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (308, "/room?code=ABCD")


def test_a_missing_page_is_a_problem(client):
    for path in ("/nothing", "/../settings.py", "/shared/", "/v1/nothing", "/assets/"):
        answer = client.get(path)
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"
    assert client.post("/").status_code == 405


@pytest.mark.parametrize(
    ("source", "sent"),
    [
        ("/** What. */\na {}\n", "\na {}\n"),
        ("a {} /* b */\n", "a {} /* b */\n"),
        ("  /**\n   * What\n   */\na {}\n", "\n\n\na {}\n"),
        ("/* a */ b {}\n/* c */\n", "/* a */ b {}\n\n"),
        ('a { content: "/*"; } x */\n', 'a { content: "/*"; } x */\n'),
    ],
)
def test_only_a_comment_that_has_its_lines_to_itself_is_left_out(tmp_path, source, sent):
    (tmp_path / "a.css").write_text(source)
    (tmp_path / "vendor").mkdir()
    (tmp_path / "vendor" / "a.css").write_text(source)
    assets = Assets(tmp_path)
    assert assets.text("a.css") == sent
    assert assets.text("vendor/a.css") == source
