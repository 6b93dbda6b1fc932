"""Weights as small tables of HTML, by which answers show themselves in notebooks; without a script or a style sheet."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

# Medium tones are legible on white and on black. All else has the colour of the page's text.
KNOWN, OTHERS = "#2a9d8f", "#8c8c8c"
_CELL = "padding:2px 8px;text-align:left;border:0;background:none;color:inherit"
_TABLE = "border-collapse:collapse;color:inherit;background:none"


def bars_html(rows: Iterable[tuple[str, float, str]], note: str) -> str:
    """Return a table with a bar for each row.

    Args:
        rows: (name, weight, colour of the bar), with a weight from 0 to 1.
        note: a sentence below them.
    """
    lines = "".join(_line(_bar(weight, colour), f"{weight:.4f}", escape(name)) for name, weight, colour in rows)
    return f'<table style="{_TABLE}"><tbody>{lines}{_line("", "", escape(note))}</tbody></table>'


def _bar(weight: float, colour: str) -> str:
    return (
        '<div style="width:12em;background:rgba(128,128,128,0.18)">'
        f'<div style="width:{100 * min(max(weight, 0.0), 1.0):.2f}%;height:0.8em;background:{colour}"></div></div>'
    )


def _line(*cells: str) -> str:
    return '<tr style="background:none">' + "".join(f'<td style="{_CELL}">{cell}</td>' for cell in cells) + "</tr>"
