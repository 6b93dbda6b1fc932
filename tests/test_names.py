"""docs/reference/names.md is what `make openapi` writes, and each name on it is explained where its row leads."""

from __future__ import annotations

import json
import re
from collections import Counter

import pytest

from tests import description
from tests.examples import Page
from tests.names import EXPLAINED, FILE, Description, page

ROWS = [
    (path, anchor, word)
    for path, sections in EXPLAINED.items()
    for anchor, words in sections.items()
    for word in words.split()
]


@pytest.fixture(scope="module")
def openapi():
    return json.loads(description.described())


@pytest.fixture(scope="module")
def described(openapi):
    return Description(openapi)


def test_the_page_matches_the_description(openapi):
    assert FILE.read_text(encoding="utf-8") == page(openapi), f"docs/{FILE.name} is out of date: run make openapi"


def test_every_name_has_one_row():
    assert [name for name, count in Counter(word for *_, word in ROWS).items() if count > 1] == []


def test_every_name_of_the_description_is_explained_and_no_other(described):
    assert len(described.fields) > 150
    assert described.every_property() <= described.fields.keys()
    names = described.fields.keys() | described.headers.keys()
    rows = {word for *_, word in ROWS}
    assert not names - rows, "tests/names.py wants the section that explains each of these"
    assert not rows - names, "tests/names.py names these, which no request and no answer has"


def test_every_row_names_its_uses_and_its_meaning(described):
    for name, row in (described.fields | described.headers).items():
        assert row.sent or row.answered, name
        assert row.means(), name


def test_a_name_with_several_meanings_has_one_for_each_tag():
    schema = {"properties": {"n": {"description": "Left out: 1. The number. More of it."}, "m": {"$ref": "#/a/b/M"}}}
    file = {
        "components": {"securitySchemes": {}, "schemas": {}, "b": {"M": {"description": "A mode.", "enum": [1, 2]}}},
        "paths": {
            "/a": {"post": {"tags": ["one"], "requestBody": {"content": {"": {"schema": schema}}}, "responses": {}}},
            "/b": {
                "get": {
                    "tags": ["two"],
                    "parameters": [{"name": "n", "in": "query", "description": "The page."}],
                    "responses": {"200": {"content": {"": {"schema": {"properties": {"k": {"enum": [3, 4]}}}}}}},
                }
            },
        },
    }
    fields = Description(file).fields
    assert fields["n"].means() == "*one*: The number.<br>*two*: The page."
    assert fields["m"].means() == "A mode."
    assert (fields["k"].means(), fields["k"].sent, fields["k"].answered) == ("One of `3`, `4`.", [], ["two"])


@pytest.mark.parametrize("path", EXPLAINED)
def test_the_section_that_a_row_leads_to_tells_of_the_name(path):
    sections = Page(f"docs/{path}").sections
    silent = [
        f"{word}: {path}#{anchor}"
        for where, anchor, word in ROWS
        if where == path and not re.search(rf"[`\"*]{re.escape(word)}\b", sections[anchor])
    ]
    assert silent == []
