"""The Python reference: the public names of client and core, with their docstrings, read without an import."""

from __future__ import annotations

import logging
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import griffe

from tools.documentation.pages import DOCS, ROOT

FOLDER = "reference/python"
CLIENT = ("client", "methods", "filters", "wire")
# What a caller of the library uses; the other names are for the service.
LOOKUP = ("planner", "answer", "question", "memory", "bounds", "softmax", "limits", "coverage", "exact", "kernels")
# Each page: its title, the package, and the modules of its names; no modules for all names.
PAGES = {
    "client": ("The client", "softkv", CLIENT),
    "answers": ("Answers", "softkv", ("answers",)),
    "errors": ("Errors", "softkv", ("errors",)),
    "attention": ("softkv.attention", "softkv_attention", ()),
    "lookup": ("softkv.attention.lookup", "softkv_attention.lookup", LOOKUP),
}
# A method of a client is made from a function that builds its call, as in `call_method(documents.put)`.
MADE = re.compile(r"\b(?:call|upload|page)_method\((\w+)\.(\w+)\)")
PLANS = re.compile(r"\b(?:Plan|Call|Paging)\[")
MENTION = re.compile(r"(?<![\w/`(])docs/([\w/-]+\.md)")
LONGEST = 100
# The page whose text is the docstrings of a package's modules: the proofs of bounds stand in them.
BOUNDS, BOUNDS_TITLE = "bounds", "Bounds, and their proofs"


class PythonReference:
    """The pages of the packages in a folder."""

    def __init__(self, root: Path = ROOT) -> None:
        logging.getLogger("griffe").setLevel(logging.ERROR)  # it warns of arguments without types
        paths = [root / "attention", root / "clients" / "python"]
        self._packages: dict[str, Any] = {
            name: griffe.load(name, search_paths=paths, docstring_parser="google", resolve_aliases=True)
            for name in ("softkv", "softkv_attention")
        }
        self._packages["softkv_attention.lookup"] = self._packages["softkv_attention"]["lookup"]

    def pages(self) -> dict[str, str]:
        """Return the text of each page by its path in the site."""
        pages = {f"{FOLDER}/{name}.md": self._page(*page) for name, page in PAGES.items()}
        proofs = self._modules(BOUNDS_TITLE, self._packages["softkv_attention.lookup"][BOUNDS])
        return pages | {f"{FOLDER}/{BOUNDS}.md": proofs}

    def titles(self) -> dict[str, str]:
        """Return the titles of the pages by their paths in the site, in the order of the navigation."""
        return {f"{FOLDER}/{name}.md": title for name, (title, *_) in PAGES.items()} | {
            f"{FOLDER}/{BOUNDS}.md": BOUNDS_TITLE
        }

    def _page(self, title: str, package: str, modules: tuple[str, ...]) -> str:
        names = [name.strip("'\"") for name in self._packages[package].exports]
        lines = [f"# {title}", "", f"From `{title if package != 'softkv' else package}`."]
        if package != "softkv":
            lines += ["", *self._docstring(self._packages[package])]
        module = {
            name: member.target_path.removeprefix(f"{package}.").split(".")[0] if member.is_alias else ""
            for name in names
            for member in [self._packages[package][name]]
        }
        if modules:
            names = [name for name in names if module[name] in modules]
            names.sort(key=lambda name: (modules.index(module[name]), name.startswith("Async")))
        for name in names:
            member = self._packages[package][name]
            lines += self._member(name, member.final_target if member.is_alias else member, 2)
        return "\n".join(lines) + "\n"

    def _modules(self, title: str, package: Any) -> str:
        lines = [f"# {title}", "", *self._docstring(package)]
        for name, module in sorted(package.modules.items()):
            lines += ["", f"## {name}", "", *self._docstring(module)]
            for key, member in module.members.items():
                if not key.startswith("_") and not member.is_alias and member.docstring:
                    lines += self._member(key, member, 3)
        return "\n".join(lines) + "\n"

    def _member(self, name: str, target: Any, level: int) -> Iterator[str]:
        yield from ("", f"{'#' * level} {name}", "")
        if target.is_class:
            yield from self._class(name, target, level)
        elif target.is_function:
            yield from (*_signature(name, target), *self._docstring(target))
        else:
            if target.value is not None and len(value := str(target.value)) <= LONGEST:
                yield from ("```python", f"{name} = {value}", "```", "")
            yield from self._docstring(target)

    def _class(self, name: str, target: Any, level: int) -> Iterator[str]:
        made = target.members.get("__init__")
        if made is not None and made.is_function and made.parameters:
            yield from _signature(name, made, drop=1)
        yield from self._docstring(target)
        everything = target.members | target.inherited_members
        members = {key: member for key, member in everything.items() if not key.startswith("_")}
        if name.startswith("Async") and name.removeprefix("Async") in self._packages["softkv"].exports:
            yield from ("", f"It has the methods of [`{name[5:]}`](#{name[5:].lower()}), to be awaited.", "")
            return
        fields = []
        for key, member in members.items():
            if member.is_attribute and not MADE.search(str(member.value or "")):
                text = member.docstring.value if member.docstring else ""
                annotation = f"`{member.annotation}`" if member.annotation else ""
                fields.append((f"`{key}`", annotation, _plain(text.partition("\n\n")[0])))
        yield from _table(("attribute", "type", "means"), fields)
        for key, member in members.items():
            if member.is_function:
                yield from self._member(f"{name}.{key}", member, level + 1)
            elif match := MADE.search(str(getattr(member, "value", "") or "")):
                function = self._packages["softkv"][f"calls.{match[1]}.{match[2]}"]
                yield from ("", f"{'#' * (level + 1)} {name}.{key}", "")
                yield from (*_signature(key, function, drop=1), *self._docstring(function))

    def _docstring(self, target: Any) -> Iterator[str]:
        if target.docstring is None:
            return
        for section in target.docstring.parse("google"):
            kind, value = section.kind.value, section.value
            if kind == "text":
                yield from (_indented_as_code(_plain(value)), "")
            elif kind in {"parameters", "attributes"}:
                rows = [(f"`{each.name}`", _plain(each.description)) for each in value]
                yield from _table(("argument" if kind == "parameters" else "attribute", "means"), rows)
            elif kind in {"returns", "yields"}:
                yield from ("", f"**{kind.capitalize()}**: " + " ".join(_plain(each.description) for each in value), "")
            elif kind == "raises":
                yield from _table(
                    ("raises", "if"), [(f"`{each.annotation}`", _plain(each.description)) for each in value]
                )
            elif kind == "admonition" and value.contents:
                yield from ("", f"**{section.title}**:", "", "```python", _without_prompts(value.contents), "```", "")
            elif kind == "examples":
                code = "\n".join(text for _, text in value)
                yield from ("", "**Example**:", "", "```python", _without_prompts(code), "```", "")


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    """Return the lines of a table, with an empty line around it; no line for no row."""
    if not rows:
        return []
    lines = [head, tuple("---" for _ in head), *rows]
    cells = ([re.sub(r"\s*\n\s*", " ", text.strip()).replace("|", "\\|") for text in line] for line in lines)
    return ["", *(f"| {' | '.join(line)} |" for line in cells), ""]


def _plain(text: str) -> str:
    """Return a text whose mentions of pages are links."""

    def link(match: re.Match[str]) -> str:
        if not (DOCS / match[1]).exists():
            return match[0]
        title = (DOCS / match[1]).read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
        return f"[{title}]({posixpath.relpath(match[1], FOLDER)})"

    return MENTION.sub(link, text)


def _indented_as_code(text: str) -> str:
    """Return a text whose indented paragraphs are fenced, since they are code or tables."""
    paragraphs = text.split("\n\n")
    fenced = [f"```text\n{part}\n```" if part.startswith("    ") else part for part in paragraphs]
    return "\n\n".join(fenced).replace("\n```\n\n```text\n", "\n\n")


def _without_prompts(text: str) -> str:
    lines = [re.sub(r"^(?:>>>|\.\.\.) ?", "", line) for line in text.strip().splitlines()]
    return "\n".join(lines)


def _signature(name: str, function: Any, drop: int = 0) -> list[str]:
    """Return a function's signature as a block of code.

    Args:
        name: the name to show.
        function: the function.
        drop: the number of first parameters that a caller does not pass.
    """
    parameters = list(function.parameters)[drop:] if drop else list(function.parameters)
    if not drop and parameters and parameters[0].name in {"self", "cls"}:
        parameters = parameters[1:]
    shown, keywords = [], False
    for each in parameters:
        kind = each.kind.value
        if kind == "keyword-only" and not keywords:
            keywords = True
            shown.append("*")
        star = {"variadic positional": "*", "variadic keyword": "**"}.get(kind, "")
        keywords = keywords or kind == "variadic positional"
        text = f"{star}{each.name}" + (f": {each.annotation}" if each.annotation else "")
        shown.append(text + (f" = {each.default}" if each.default is not None and not star else ""))
    returned = str(function.returns) if function.returns and function.name != "__init__" else ""
    if PLANS.match(returned):
        returned = returned.partition("[")[2].removesuffix("]")
    arrow = f" -> {returned}" if returned else ""
    line = f"{name}({', '.join(shown)}){arrow}"
    if len(line) > LONGEST:
        line = "\n".join([f"{name}(", *(f"    {text}," if text != "*" else "    *," for text in shown), f"){arrow}"])
    return ["```python", line, "```", ""]
