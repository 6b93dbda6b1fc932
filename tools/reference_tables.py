"""The tables of docs/reference that are in the code: codes of problems, limits by name, commands and their options.

`make openapi` writes them into their pages, below the headings that `TABLES` names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from inspect import cleandoc
from types import SimpleNamespace
from typing import Any

import typer

from softkv import cli
from softkv.answers.service import Limits
from softkv_service.api.parts import find_parts
from softkv_service.api.problems.table import OF_STATUS, OF_STATUS_ADVICE, TABLE, add_refusals
from softkv_service.api.routes.service import limits_of
from softkv_service.settings import Settings
from tools import ROOT

FOLDER = ROOT / "docs" / "reference"
LIMIT = re.compile(r"^    (\w+): (.+(?:\n        .+)*)$", re.MULTILINE)
SETTINGS_OF_LIMITS = {"body_bytes": "max_body_bytes", "requests_at_once": "max_queue"}
GUIDES = {
    "access-log": "../operate/access.md#read-the-access-log",
    "alias": "../guide/collections.md#aliases",
    "attend": "../guide/asking.md",
    "backup": "../operate/backups.md",
    "bench": "speed.md",
    "calibrate": "../guide/calibration.md",
    "cluster": "../../extensions/cluster/docs/operate/cluster.md",
    "copy": "#copy-between-stores",
    "demo": "../operate/operating.md#demo-collections",
    "doctor": "../guide/symptoms.md",
    "encode": "../guide/encoding.md",
    "export": "#export-a-collection",
    "key": "../operate/access.md",
    "label": "../guide/feedback.md#labels-in-five-minutes",
    "load": "#load-a-file",
    "mcp": "../guide/mcp.md",
    "page": "../../workshop/docs/teach/page.md",
    "re-encode": "../guide/encoders.md#move-a-collection-to-another-encoder",
    "restore": "../operate/backups.md",
    "serve": "settings.md",
    "train": "../guide/training.md",
}
"""The page about each command."""


def with_table(text: str, heading: str, rows: Iterable[str]) -> str:
    """Return a page with these rows in the first table below a heading."""
    table = re.compile(
        rf"(^##+ {re.escape(heading)}$(?:(?!^##).)*?^\|(?:---\|)+\n)(?:^\|[^\n]*\n)*", re.MULTILINE | re.DOTALL
    )
    lines = "".join(f"{row}\n" for row in rows)
    text, count = table.subn(lambda match: match[1] + lines, text)
    assert count == 1, f"the page has no table below the heading {heading}"
    return text


def sentence(text: str) -> str:
    """Return a text with a capital at its beginning, in one line of a table."""
    return f"{text[0].upper()}{text[1:]}".replace("\n", " ").replace("|", "\\|")


def codes() -> Iterator[str]:
    """Yield the row of each code of a problem, by its status."""
    for part in find_parts():
        add_refusals(part.refusals, part.errors)
    refusals = [
        (refusal.status, code, refusal.repeat, (refusal.reason, refusal.advice)) for code, refusal in TABLE.items()
    ]
    refusals += [(status, code, False, (None, OF_STATUS_ADVICE[code])) for status, code in OF_STATUS.items()]
    for status, code, repeat, texts in sorted(refusals, key=lambda refusal: refusal[:2]):
        meaning = ". ".join(sentence(text) for text in texts if text)
        yield f"| `{code}` | {status} | {'yes' if repeat else 'no'} | {meaning} |"


def limits() -> Iterator[str]:
    """Yield the row of each limit that `GET /v1` names, with its default."""
    defaults = {name: Settings.model_fields[name].default for name in SETTINGS_OF_LIMITS.values()}
    values = limits_of(SimpleNamespace(**defaults, added={part.name: part.start() for part in find_parts()}))
    meanings = dict(LIMIT.findall(cleandoc(Limits.__doc__ or "").partition("Attributes:\n")[2]))
    for name in Limits.__annotations__:
        meaning = re.sub(r"\n\s+", " ", meanings[name]).removesuffix(".")
        setting = f", `SOFTKV_{SETTINGS_OF_LIMITS[name].upper()}`" if name in SETTINGS_OF_LIMITS else ""
        yield f"| `{name}` | {values[name]:,}{setting} | {sentence(meaning)} |"


def commands() -> Iterator[str]:
    """Yield the row of each command: what it does, and the package that has it."""
    group: Any = typer.main.get_command(cli.program())
    packages = {name: package for package, texts in cli.NOT_INSTALLED.values() for name in texts}
    packages["mcp"] = "softkv-client[mcp]"
    for name in group.list_commands(None):
        command = group.commands[name]
        text = command.get_short_help_str(1000).removesuffix(".")
        yield f"| [`{name}`]({GUIDES[name]}) | {sentence(text)} | `{packages.get(name, 'softkv-client[cli]')}` |"


def options(name: str, panel: str) -> Iterator[str]:
    """Yield the row of each option of a command in one panel of its help."""
    group: Any = typer.main.get_command(cli.program())
    for option in group.commands[name].params:
        if getattr(option, "rich_help_panel", None) == panel:
            texts = [text for text in (option.show_default, option.default) if isinstance(text, str)]
            names = ", ".join(f"`{text}`" for text in (*option.opts, *([option.envvar] if option.envvar else ())))
            default = f" {texts[0]} " if texts else " "
            yield f"| {names} |{default}| {sentence(option.help.removesuffix('.'))} |"


TABLES: dict[str, list[tuple[str, Callable[[], Iterable[str]]]]] = {
    "errors.md": [("Codes", codes)],
    "limits.md": [("Limits by name", limits)],
    "commands.md": [
        ("Commands by group", commands),
        ("How commands find a service", lambda: options("load", "Service")),
        ("Options for columns", lambda: options("load", "Columns and ids")),
    ],
}
"""The tables of each page, by the headings above them."""


def with_tables(page: str, text: str) -> str:
    """Return the text of a page with its tables as the code has them."""
    for heading, rows in TABLES[page]:
        text = with_table(text, heading, rows())
    return text


def write() -> None:
    """Write the tables into their pages."""
    for page in TABLES:
        path = FOLDER / page
        path.write_text(with_tables(page, path.read_text(encoding="utf-8")), encoding="utf-8")
