"""docs/names.md against the API's description, the settings and the codes: a row for each name, a name for each row."""

from __future__ import annotations

import re
from typing import Any

import pytest

from service.api.problems.table import TABLE
from service.app import create_app
from service.settings import Settings
from tests.examples import Page
from tests.test_docs import shown

PAGE = Page("docs/names.md")
CELL = re.compile(r" (?:[^|\\]|\\.)*\|| \|")
LINK = re.compile(r"\]\(([\w/.]+\.md)#([\w-]+)\)")


def tables() -> dict[str, list[list[str]]]:
    """kind → rows: the cells of every table whose first column is called so."""
    found: dict[str, list[list[str]]] = {}
    kind = None
    for line in PAGE.text.splitlines():
        cells = [cell.removesuffix("|").strip() for cell in CELL.findall(line)] if line.startswith("| ") else []
        if kind is None and cells:
            kind = cells[0]
        elif cells:
            found.setdefault(kind, []).append(cells)
        elif not line.startswith("|"):
            kind = None
    return found


TABLES = tables()


def names(kind: str) -> list[str]:
    return [row[0].strip("`") for row in TABLES[kind]]


class Description:
    """What the OpenAPI file names: of all requests, of all answers, and of headers."""

    def __init__(self) -> None:
        self._file: dict[str, Any] = create_app(Settings(encoder="none")).openapi()
        self._components = self._file["components"]
        self.sent: set[str] = set()
        self.answered: set[str] = set()
        self.headers: set[str] = {
            scheme["name"] if scheme["type"] == "apiKey" else "Authorization"
            for scheme in self._components["securitySchemes"].values()
        }
        for path in self._file["paths"].values():
            for operation in path.values():
                self._read(operation)

    def every_property(self) -> set[str]:
        """Those of every schema of the components, whether a call uses it or not."""
        return {
            name for schema in self._components["schemas"].values() for name in self._properties(schema, followed=set())
        }

    def _read(self, operation: dict[str, Any]) -> None:
        for parameter in map(self._resolved, operation.get("parameters", ())):
            (self.headers if parameter["in"] == "header" else self.sent).add(parameter["name"])
        self.sent |= self._in_content(self._resolved(operation.get("requestBody", {})))
        for answer in map(self._resolved, operation["responses"].values()):
            self.headers |= answer.get("headers", {}).keys()
            self.answered |= self._in_content(answer)

    def _in_content(self, message: dict[str, Any]) -> set[str]:
        found: set[str] = set()
        for content in message.get("content", {}).values():
            found |= self._properties(content.get("schema", {}), followed=set())
            found |= self._properties(content.get("x-itemSchema", {}), followed=set())  # a line of NDJSON
        return found

    def _properties(self, node: Any, *, followed: set[str]) -> set[str]:
        found: set[str] = set()
        if isinstance(node, list):
            return found.union(*(self._properties(each, followed=followed) for each in node))
        if not isinstance(node, dict):
            return found
        if (reference := node.get("$ref")) is not None and reference not in followed:
            followed.add(reference)
            found |= self._properties(self._resolved(node), followed=followed)
        for key, inner in node.items():
            if key == "properties":
                found |= inner.keys()
                found |= self._properties(list(inner.values()), followed=followed)
            elif key not in ("example", "examples", "default"):
                found |= self._properties(inner, followed=followed)
        return found

    def _resolved(self, node: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in node:
            _, room, name = node["$ref"].removeprefix("#/").split("/")
            node = self._components[room][name]
        return node


@pytest.fixture(scope="module")
def described():
    return Description()


def test_every_name_has_one_row():
    for kind in TABLES:
        assert len(set(names(kind))) == len(names(kind)), kind


def test_every_field_of_the_description_is_told_of_and_no_other(described):
    fields = described.sent | described.answered
    assert len(fields) > 150
    assert described.every_property() <= fields
    told = set(names("field"))
    assert not fields - told, "docs/names.md wants a row for each of these, and a section that tells of it"
    assert not told - fields, "docs/names.md has rows for these, which are in no request and no answer"


def test_whether_it_is_sent_and_answered_is_said(described):
    told = {row[0].strip("`"): (bool(row[1]), bool(row[2])) for row in TABLES["field"]}
    assert told == {name: (name in described.sent, name in described.answered) for name in told}


def test_every_header_is_told_of_and_no_other(described):
    assert set(names("header")) == described.headers


def test_every_setting_is_told_of_with_its_default_and_no_other():
    assert {row[0].strip("`"): row[1] for row in TABLES["setting"]} == {
        f"SOFTKV_{name.upper()}": shown(field.get_default(call_default_factory=True))
        for name, field in Settings.model_fields.items()
    }


def test_every_code_is_told_of_with_its_status_and_no_other():
    assert {row[0].strip("`"): int(row[1]) for row in TABLES["code"]} == {
        code: refusal.status for code, refusal in TABLE.items()
    }


@pytest.mark.parametrize("kind", ["field", "header", "setting", "code"])
def test_every_row_says_what_it_is(kind):
    assert [row for row in TABLES[kind] if not row[-2]] == []


@pytest.mark.parametrize("kind", ["field", "header", "setting"])
def test_the_place_that_a_row_leads_to_tells_of_the_name(kind):
    pages = {path: Page(f"docs/{path}").sections for path, _ in LINK.findall(PAGE.text)}
    silent = []
    for row in TABLES[kind]:
        name = row[0].strip("`")
        ((path, heading),) = LINK.findall(row[-1])
        said = rf"[`\"*]{re.escape(name)}\b|`{re.escape(name.removeprefix('SOFTKV_'))}`"
        if not re.search(said, pages[path][heading]):
            silent.append(name)
    assert silent == []
