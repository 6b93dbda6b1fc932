"""docs/reference/names.md is what `make openapi` writes, and each name on it is explained where its row leads."""

from __future__ import annotations

import json
import re
from collections import Counter

import pytest

from tests import description
from tests.examples import Page
from tests.names import EXPLAINED, FILE, fields_and_headers, page

ROWS = [
    (path, anchor, word)
    for path, sections in EXPLAINED.items()
    for anchor, words in sections.items()
    for word in words.split()
]


def test_the_page_is_up_to_date():
    assert FILE.read_text(encoding="utf-8") == page(), f"docs/{FILE.name} is out of date: run make openapi"


def test_every_name_is_once_on_the_page():
    assert [name for name, count in Counter(word for *_, word in ROWS).items() if count > 1] == []


def test_every_name_of_the_description_is_explained_and_no_other():
    names = fields_and_headers(json.loads(description.described()))
    assert len(names) > 150
    rows = {word for *_, word in ROWS}
    assert not names - rows, "tests/names.py wants the section that explains each of these"
    assert not rows - names, "tests/names.py names these, which no request and no answer has"


def test_names_are_those_of_fields_parameters_and_headers_without_examples():
    schema = {"properties": {"headers": {"items": {"properties": {"n": {}}}}}, "example": {"properties": {"no": 1}}}
    description = {
        "paths": {"/": {"get": {"parameters": [{"in": "query", "name": "page"}], "requestBody": schema}}},
        "components": {"securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-API-Key"}}},
        "responses": [{"headers": {"Retry-After": {}}, "examples": {"properties": {"no": 1}}}],
    }
    assert fields_and_headers(description) == {"headers", "n", "page", "X-API-Key", "Retry-After", "Authorization"}


@pytest.mark.parametrize("path", EXPLAINED)
def test_the_section_that_a_row_leads_to_tells_of_the_name(path):
    sections = Page(f"docs/{path}").sections
    silent = [
        f"{word}: {path}#{anchor}"
        for where, anchor, word in ROWS
        if where == path and not re.search(rf"[`\"*]{re.escape(word)}\b", sections[anchor])
    ]
    assert silent == []
