"""An answer as a notebook shows it: a bar for each weight, that of "none of these" in grey."""

from __future__ import annotations

from collections.abc import Iterable

# Middle tones, and the text's own colour for all else: legible on white and on black.
COLOURS = {"match": "#2a9d8f", "rest": "#7aa9a3", "null": "#8c8c8c"}
_CELL = "padding:2px 8px;text-align:left;border:0;background:none;color:inherit;"
_TEXT = f"{_CELL}max-width:24em;overflow-wrap:anywhere;"


def bars(rows: Iterable[tuple[str, str, float, str]], title: str | None, verdict: str) -> str:
    """A table of rows (name, what it says, weight, kind), as HTML that takes the page's own text colour."""
    from html import escape  # its tables take long to load

    head = "" if title is None else f'<caption style="{_CELL}">{escape(title)}</caption>'
    return (
        f'<table style="border-collapse:collapse;color:inherit;background:none">{head}<tbody>'
        + "".join(_row(escape(name), escape(told), weight, kind) for name, told, weight, kind in rows)
        + f'<tr style="background:none"><td style="{_CELL}opacity:0.75" colspan="4">{escape(verdict)}</td></tr>'
        + "</tbody></table>"
    )


def _row(name: str, told: str, weight: float, kind: str) -> str:
    share = min(max(weight, 0.0), 1.0)
    bar = (
        '<div style="width:12em;background:rgba(128,128,128,0.18)">'
        f'<div style="width:{100 * share:.2f}%;height:0.8em;background:{COLOURS[kind]}"></div></div>'
    )
    faint = "" if kind == "match" else "opacity:0.75;"
    return (
        f'<tr style="background:none"><td style="{_CELL}">{bar}</td>'
        f'<td style="{_CELL}font-variant-numeric:tabular-nums">{weight:.4f}</td>'
        f'<td style="{_TEXT}{faint}">{name}</td><td style="{_TEXT}opacity:0.75">{told}</td></tr>'
    )
