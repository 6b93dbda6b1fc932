"""The site's pages: every one has a place in the navigation, links work in both places, and no link is dead."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tools.documentation import models
from tools.documentation.links import problems
from tools.documentation.pages import (
    DOCS,
    GUESTS,
    MADE,
    ROOT,
    as_python_markdown,
    copy_pages,
    navigation,
    page_of,
    repository,
    sources,
)
from tools.documentation.pages import with_site_links as rewritten

HOME = (DOCS / "README.md").read_text(encoding="utf-8")


def test_every_page_has_a_place_in_the_navigation():
    paths = [path.relative_to(ROOT).as_posix() for path in sources() if path.suffix in {".md", ".ipynb"}]
    pages = {page for path in (*paths, *GUESTS) if (page := page_of(path))}
    parts = navigation(HOME)
    listed = [page for part in parts for page in part.pages()]
    assert sorted(listed) == sorted(pages), "docs/README.md lists each page once, in the first cell of a table's row"
    assert [part.title for part in parts] == ["Home", "Start", "Guide", "Teach", "Reference", "Operate and understand"]


def test_the_navigation_follows_the_tables_of_the_home_page():
    home = "\n".join(
        [
            *("# Home", "| [No part](start/no.md) | yet |", "## Start", "| | |", "|---|---|"),
            *("| [One](start/one.md), [Two](start/two.ipynb) | with [a link](start/other.md) |", "### More"),
            *(
                "| [Container](../docker/README.md) | outside |",
                "| [Code](../service/softkv_service/app.py) | no page |",
            ),
        ]
    )
    assert [part.toml() for part in navigation(home)] == [
        '{"Home" = "README.md"}',
        '{"Start" = [{"One" = "start/one.md"}, {"Two" = "start/two.md"}, {"More" = '
        '[{"Container" = "operate/container.md"}]}]}',
    ]


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("../operate/access.md#some-collections", "../operate/access.md#some-collections"),
        ("../../docker/README.md#build", "../operate/container.md#build"),
        ("../start/notebook.ipynb", "../start/notebook.md"),
        ("../../attention/softkv_attention/lookup/bounds/__init__.py", "../reference/python/bounds.md"),
        ("../../extensions/postgres/docs/operate/stores.md", "../operate/stores.md"),
        ("../../CONTRIBUTING.md", f"{repository()}/blob/v1.2.3/CONTRIBUTING.md"),
        ("../../docker", f"{repository()}/tree/v1.2.3/docker"),
        ("https://example.com/a.md", "https://example.com/a.md"),
        ("#here", "#here"),
    ],
)
def test_a_link_leads_to_a_page_of_the_site_or_to_the_repository(link, target):
    page = f"See [`a`\n[b]]({link}).\n```sh\n[a]({link})\n```\n![c]({link})"
    expected = f"See [`a`\n[b]]({target}).\n```sh\n[a]({link})\n```\n![c]({target})"
    assert rewritten(page, "docs/guide/page.md", "guide/page.md", "v1.2.3") == expected


def test_a_page_that_moves_keeps_its_links():
    assert rewritten("[a](docs/guide/asking.md)", "CHANGELOG.md", "operate/changes.md", "main") == (
        "[a](../guide/asking.md)"
    )


def test_lists_and_code_of_github_stay_lists_and_code_on_the_site():
    page = "Text:\n- one\n- two\n\n```\na\n- b\n```\n| `a \\| b` | c \\| d |"
    assert as_python_markdown(page) == "Text:\n\n- one\n- two\n\n```\na\n- b\n```\n| `a | b` | c \\| d |"


def test_the_notebook_is_a_page_with_its_results_and_pictures(tmp_path):
    copy_pages(tmp_path, "main")
    page = (tmp_path / "start" / "notebook.md").read_text(encoding="utf-8")
    assert page.startswith("# ")
    assert "```python\n" in page
    assert "```text\n" in page
    pictures = re.findall(r"!\[[^\]]+\]\((notebook-\d+\.png)\)", page)
    assert pictures
    assert all((tmp_path / "start" / picture).read_bytes().startswith(b"\x89PNG") for picture in pictures)
    lesson = (tmp_path / "notebooks" / "attention-as-a-lookup.md").read_text(encoding="utf-8")
    assert 'check("weights", weights)' in lesson
    assert "def check" not in lesson


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ('<a href="guide/a.html#here">', None),
        ('<a href="guide/a.html#there">', "index.html links to guide/a.html#there, which has no such section"),
        ('<a href="b.html">', "index.html links to b.html, which does not exist"),
        ('<a href="#top">', "index.html links to #top, which has no such section"),
        ('<a href="api">', None),
        ('<a href="https://example.com/">', None),
        ('<script src="https://example.com/a.js"></script>', "index.html loads https://example.com/a.js"),
        ('<img src="a.png">', "index.html links to a.png, which does not exist"),
    ],
)
def test_a_dead_link_and_another_host_are_found(tmp_path, body, problem):
    (tmp_path / "guide").mkdir()
    (tmp_path / "guide" / "a.html").write_text('<h1 id="here">A</h1><a href="../index.html">home</a>')
    (tmp_path / "index.html").write_text(body)
    assert problems(tmp_path, ("api",)) == ([problem] if problem else [])


@pytest.mark.end_to_end
@pytest.mark.integration
def test_the_built_site_has_the_python_reference_and_nothing_of_another_host(documentation_site: Path):
    client = (documentation_site / "reference" / "python" / "client.html").read_text(encoding="utf-8")
    for name in ("Client.attend", "Collection.attend", "Collection.upsert", "Client.local"):
        assert f'id="{name.lower().replace(".", "")}"' in client, name
    assert "Compare one query, or several, with the keys of a collection" in client
    lookup = (documentation_site / "reference" / "python" / "lookup.html").read_text(encoding="utf-8")
    assert 'id="memory"' in lookup
    bounds = (documentation_site / "reference" / "python" / "bounds.html").read_text(encoding="utf-8")
    assert "tanh(ε/2)" in bounds
    assert 'id="bound_tail"' in bounds
    assert json.loads((documentation_site / "search.json").read_text(encoding="utf-8"))["items"]
    [style] = json.loads((documentation_site / "styles.json").read_text(encoding="utf-8"))
    assert style.startswith("'sha256-")
    home = (documentation_site / "index.html").read_text(encoding="utf-8")
    assert '<a href="reference/python/client.html">Python</a>' in home  # in the table
    http = (documentation_site / "reference" / "http.html").read_text(encoding="utf-8")
    assert 'src="http/show.js"' in http
    assert 'href="../api"' in http
    assert json.loads((documentation_site / "reference" / "http" / "openapi.json").read_text())["paths"]
    assert problems(documentation_site, ("api",)) == []


@pytest.fixture(scope="module")
def for_models(tmp_path_factory):
    """Return the folder of a site with the pages for language models."""
    pages, site = tmp_path_factory.mktemp("pages"), tmp_path_factory.mktemp("site")
    copy_pages(pages, "main")
    models.write(pages, site / "docs", navigation(HOME), "docs/")
    for name in (models.INDEX, models.FULL):
        (site / "docs" / name).rename(site / name)
    return site


def test_the_index_for_models_has_each_page_once_in_the_form_of_llmstxt(for_models):
    text = (for_models / "llms.txt").read_text()
    head, *sections = text.split("\n## ")
    assert re.fullmatch(r"# softkv\n\n> .+\n\n.+\n", head)
    assert [section.split("\n")[0] for section in sections] == [
        *("Start", "Guide", "Teach", "Reference", "Operate and understand"),
        "Optional",
    ]
    items = [line for section in sections for line in section.split("\n")[1:] if line]
    links = [re.fullmatch(r"- \[[^\]]+\]\((docs/[^)]+)\)(: .+)?", item) for item in items]
    assert all(links), items
    listed = [page for part in navigation(HOME) for page in part.pages() if page != "README.md"]
    assert sorted(link[1] for link in links) == sorted(f"docs/{page}" for page in listed)
    assert all((for_models / link[1]).is_file() for link in links)
    assert all(link[2] for link in links)


def test_the_text_for_models_has_the_pages_in_order_and_its_links_lead_somewhere(for_models):
    text = (for_models / "llms-full.txt").read_text()
    pages = re.findall(r"^<!-- docs/(\S+) -->$", text, re.MULTILINE)
    listed = [page for part in navigation(HOME) for page in part.pages()]
    assert pages == [page for page in listed if page not in models.OPTIONAL and not page.startswith("zh/")]
    assert as_python_markdown((ROOT / "docs" / "reference" / "settings.md").read_text())[:200] in text
    assert len(text) < 800_000
    prose = re.sub(r"^ *```.*?^ *```", "", text, flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", prose)):
        path = target.partition("#")[0]
        if ":" not in target and path.removeprefix("docs/") not in MADE.values():
            assert (for_models / path).is_file() or path.endswith((".svg", ".png")), target
