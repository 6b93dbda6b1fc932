"""The tables of settings in docs/reference/settings.md and docker/README.md, from the descriptions of the fields of
`Configuration`; `make openapi` writes them.
"""

from __future__ import annotations

import re

from softkv_service.configuration import Configuration, default_text, setting_group
from tools import ROOT
from tools.reference_tables import with_table

PAGE = ROOT / "docs" / "reference" / "settings.md"
CONTAINER = ROOT / "docker" / "README.md"
LINK = re.compile(r"(\]\()(#|[^):]+\))")


def row(name: str) -> str:
    """Return the row of a setting in the reference."""
    field = Configuration.model_fields[name]
    return f"| `{name.upper()}` | {default_text(field)} | {field.description} |".replace("|  |", "| |")


def container_row(name: str) -> str:
    """Return the row of a setting in the page on containers; its links begin in another folder."""
    description = Configuration.model_fields[name].description or ""
    page = PAGE.relative_to(ROOT).as_posix()
    moved = LINK.sub(lambda match: match[1] + (f"../{page}#" if match[2] == "#" else as_link(match[2])), description)
    named = re.sub(r"`([A-Z_]+)`", lambda match: f"`SOFTKV_{match[1]}`" if is_setting(match[1]) else match[0], moved)
    return f"| `SOFTKV_{name.upper()}` | {named} |"


def as_link(target: str) -> str:
    """Return a link from docs/reference as a link from docker."""
    return f"../docs/{target.removeprefix('../')}" if target.startswith("../") else f"../docs/reference/{target}"


def is_setting(name: str) -> bool:
    """Return whether a setting has this name in capitals."""
    return name.lower() in Configuration.model_fields


def with_tables(text: str) -> str:
    """Return the reference with a table for each group below its heading."""
    groups: dict[str, list[str]] = {}
    for name, field in Configuration.model_fields.items():
        groups.setdefault(setting_group(field).name, []).append(row(name))
    for group, rows in groups.items():
        text = with_table(text, group, rows)
    return text


def with_container_rows(text: str) -> str:
    """Return the page on containers with the descriptions of the settings that its table lists."""
    return re.sub(
        r"^\| `SOFTKV_([A-Z_]+)` \| .*\|$", lambda match: container_row(match[1].lower()), text, flags=re.MULTILINE
    )


def write() -> None:
    """Write both pages."""
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    CONTAINER.write_text(with_container_rows(CONTAINER.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    write()
