"""The documents of the notebook that runs in a browser; tests/browser/frame/test_in_browser.py runs it."""

from __future__ import annotations

import html
import json
import re

import pytest

from tools.documentation import in_browser
from tools.documentation.pages import DOCS, page_of
from tools.notebook import Notebook


@pytest.mark.parametrize("language", in_browser.FILES)
def test_a_document_has_every_cell_and_links_that_lead_to_pages_of_the_site(language):
    document = in_browser.page(language)
    notebook = Notebook(DOCS / f"{in_browser.NOTEBOOKS[language]}.ipynb")
    areas = [html.unescape(area) for area in re.findall(r"<textarea[^>]*>\n(.*?)</textarea>", document, re.DOTALL)]
    assert areas == ["".join(cell["source"]) for cell in notebook.cells]
    assert document.count("<details>") == 1
    assert not re.search(r"<script>|<style>| style=| on\w+=", document)  # the content policy refuses them
    pages = {page for path in DOCS.rglob("*") if (page := page_of(f"docs/{path.relative_to(DOCS).as_posix()}"))}
    links = re.findall(r'href="\.\./([^"#]+)\.html', document)
    assert len(links) > 3
    assert {f"{link}.md" for link in links} <= pages


def test_the_words_have_the_same_names_in_both_languages():
    words = json.loads((in_browser.SOURCES / "words.json").read_text(encoding="utf-8"))
    assert list(words["en"]) == list(words["zh"])
    for english, chinese in zip(words["en"].values(), words["zh"].values(), strict=True):
        assert re.findall(r"\{\w+\}", english) == re.findall(r"\{\w+\}", chinese)


def test_a_file_with_another_digest_is_refused(tmp_path):
    (tmp_path / f"pyodide-{in_browser.PYODIDE}.tgz").write_bytes(b"something else")
    (tmp_path / "in-browser").mkdir()
    with pytest.raises(SystemExit, match=r"has the digest .* delete it"):
        in_browser.add(tmp_path, tmp_path)
