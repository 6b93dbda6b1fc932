"""The HTTP reference: a page for each tag of the API's description, and a page of its types."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator
from typing import Any

FOLDER = "reference/http"
METHODS = ("get", "put", "post", "patch", "delete")
TITLES = {"openai": "OpenAI's calls"}
Schema = dict[str, Any]


def cell(text: str) -> str:
    """Return a text as a cell of a table."""
    return re.sub(r"\s*\n\s*", " ", text.strip()).replace("|", "\\|")


def anchor(heading: str) -> str:
    """Return the id that the site gives to a heading."""
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower())


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    """Return the lines of a table, with an empty line around it; no line for no row."""
    if not rows:
        return []
    lines = [head, tuple("---" for _ in head), *rows]
    return ["", *(f"| {' | '.join(cell(text) for text in line)} |" for line in lines), ""]


class HttpReference:
    """The pages of an API's description.

    Args:
        description: the content of service/api/openapi.json.
        trial: the path in the site of a page on which calls can be tried; empty for none.
    """

    def __init__(self, description: dict[str, Any], trial: str = "") -> None:
        self._trial = trial
        self._description = description
        self._schemas: dict[str, Schema] = description["components"]["schemas"]
        self.tags: dict[str, str] = {tag["name"]: tag["description"] for tag in description["tags"]}

    def pages(self) -> dict[str, str]:
        """Return the text of each page by its path in the site."""
        tags = {f"{FOLDER}/{tag}.md": self._tag(tag) for tag in self.tags}
        return {f"{FOLDER}/index.md": self._index(), **tags, f"{FOLDER}/types.md": self._types()}

    def titles(self) -> dict[str, str]:
        """Return the titles of the pages by their paths in the site, in the order of the navigation."""
        tags = {f"{FOLDER}/{tag}.md": self._title(tag) for tag in self.tags}
        return {f"{FOLDER}/index.md": "All calls", **tags, f"{FOLDER}/types.md": "Types"}

    def _title(self, tag: str) -> str:
        return TITLES.get(tag, tag.capitalize())

    def _calls(self, tag: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
        for path, calls in self._description["paths"].items():
            for method in METHODS:
                if method in calls and calls[method]["tags"][0] == tag:
                    yield method.upper(), path, calls[method]

    def _index(self) -> str:
        lines = ["# HTTP", "", "Every call of the service, from its description `openapi.json`.", ""]
        if self._trial:
            lines += [
                f"You can try each call [on a page of this service]({posixpath.relpath(self._trial, FOLDER)}).",
                "",
            ]
        lines += [self._description["info"]["description"], ""]
        for tag, description in self.tags.items():
            lines += [f"## [{self._title(tag)}]({tag}.md)", "", description]
            lines += table(
                ("call", "what it does"),
                [
                    (f"[`{method} {path}`]({tag}.md#{anchor(call['summary'])})", call["summary"])
                    for method, path, call in self._calls(tag)
                ],
            )
        return "\n".join(lines) + "\n"

    def _tag(self, tag: str) -> str:
        lines = [f"# {self._title(tag)}", "", self.tags[tag], ""]
        for method, path, call in self._calls(tag):
            lines += [f"## {call['summary']}", "", f"`{method} {path}`", ""]
            lines += [call.get("description", ""), ""]
            parameters = [self._resolve(parameter) for parameter in call.get("parameters", [])]
            lines += table(
                ("parameter", "in", "type", "means"),
                [
                    (f"`{each['name']}`", each["in"], self._type(each["schema"]), each.get("description", ""))
                    for each in parameters
                ],
            )
            for media_type, content in call.get("requestBody", {}).get("content", {}).items():
                lines += ["", f"**Body** (`{media_type}`): {self._type(content.get('schema', {}))}", ""]
                lines += self._example(content)
            lines += table(("status", "answer"), list(self._answers(call["responses"])))
        return "\n".join(lines) + "\n"

    def _answers(self, responses: dict[str, Any]) -> Iterator[tuple[str, str]]:
        for status, response in responses.items():
            response = self._resolve(response)
            types = [
                f"{self._type(content.get('schema', {}))} as `{media_type}`"
                for media_type, content in response.get("content", {}).items()
                if media_type != "application/problem+json"
            ]
            yield status, "<br>".join([response["description"], *types])

    def _example(self, content: dict[str, Any]) -> list[str]:
        schema = content.get("schema", {})
        named = self._schemas.get(schema.get("$ref", "").rpartition("/")[2], schema)
        examples = [*named.get("examples", []), *([content["example"]] if "example" in content else [])]
        if not examples or not isinstance(examples[0], dict | list):
            return []
        return ["```json", json.dumps(examples[0], indent=2, ensure_ascii=False), "```", ""]

    def _resolve(self, part: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in part:
            content: Any = self._description
            for name in part["$ref"].removeprefix("#/").split("/"):
                content = content[name]
            part = content
        return part

    def _types(self) -> str:
        lines = ["# Types", "", "The types of requests and answers, by name.", ""]
        for name, schema in sorted(self._schemas.items()):
            lines += [f"## {name}", "", schema.get("description", "")]
            required = schema.get("required", [])
            rows = [
                (f"`{key}`", self._type(field), self._meaning(field, key in required))
                for key, field in schema.get("properties", {}).items()
                if "not" not in field  # else it is refused
            ]
            if rows:
                lines += table(("field", "type", "means"), rows)
            else:
                lines += ["", self._type({key: part for key, part in schema.items() if key != "title"}), ""]
        return "\n".join(lines) + "\n"

    def _meaning(self, field: Schema, required: bool) -> str:
        parts = [field.get("description", "")]
        if "default" in field:
            parts.append(f"Default: `{json.dumps(field['default'], ensure_ascii=False)}`.")
        elif required:
            parts.append("Required.")
        return " ".join(part for part in parts if part)

    def _type(self, schema: Schema | bool) -> str:
        """Return a type as Markdown, with links to named types; JSON Schema also has the types true and false."""
        if isinstance(schema, bool) or not schema:
            return "any JSON"
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            return f"[`{name}`](types.md#{name.lower()})"
        for joining in ("anyOf", "oneOf", "allOf"):
            if joining in schema:
                types = dict.fromkeys(self._type(part) for part in schema[joining])
                return (" and " if joining == "allOf" else " or ").join(types)
        if "const" in schema:
            return f"`{json.dumps(schema['const'])}`"
        if "enum" in schema:
            return " or ".join(f"`{json.dumps(choice)}`" for choice in schema["enum"])
        kind = schema.get("type", "any JSON")
        if isinstance(kind, list):
            return " or ".join(kind)
        if kind == "array":
            return f"list of {self._type(schema.get('items', {}))}"
        if kind == "object" and isinstance(values := schema.get("additionalProperties"), dict) and values:
            return f"object of {self._type(values)}"
        return kind + self._range(schema)

    def _range(self, schema: Schema) -> str:
        limits = [
            *(f"≥ {schema[name]}" for name in ("minimum",) if name in schema),
            *(f"> {schema[name]}" for name in ("exclusiveMinimum",) if name in schema),
            *(f"≤ {schema[name]}" for name in ("maximum",) if name in schema),
            *(f"< {schema[name]}" for name in ("exclusiveMaximum",) if name in schema),
        ]
        return f" {', '.join(limits)}" if limits else ""
