"""Answers as text, HTML, plots and tables. Optional libraries are imported when they are needed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    from numpy.typing import NDArray

    from softkv.answers.documents import Match


NONE_OF_THESE = "none of these"
VERDICT_TEXTS = {
    "one": "One document stands out",
    "several": "Several share it: here they are",
    "none": "Nothing here about that",
}
"""The verdicts as shown to people."""
ALIKE_TEXT = "Several that say nearly the same share it: here they are"
"""The verdict "several" of documents that are alike, as shown to people."""


class _AnswerLike(Protocol):
    """The attributes of an answer that the functions here render."""

    @property
    def matches(self) -> list[Match]: ...
    @property
    def documents(self) -> int: ...
    @property
    def verdict(self) -> str: ...
    @property
    def unknown_tokens(self) -> int | None: ...
    @property
    def rest_weight(self) -> float: ...
    @property
    def null_weight(self) -> float: ...
    @property
    def evidence(self) -> Any: ...
    @property
    def full_text(self) -> Any: ...


def list_weights(answer: _AnswerLike) -> str:
    """Return the weights of an answer as text: a line per weight, below a document the terms that were added to its
    logit, and last their sum with the verdict.
    """
    rows = [
        (
            match.weight or 0.0,
            match.id,
            _confidence_text(match),
            match_text(match),
            _terms_text(match),
        )
        for match in answer.matches
    ]
    other_count = answer.documents - len(rows)
    if other_count > 0:
        rows.append((answer.rest_weight, f"{other_count:,} other document{'s' if other_count > 1 else ''}", "", "", ""))
    rows.append((answer.null_weight, NONE_OF_THESE, "", "", ""))
    name_width, certainty_width = max(len(row[1]) for row in rows), max(len(row[2]) for row in rows)
    gap = "  " if certainty_width else ""
    lines = []
    for weight, name, certainty, text, terms in rows:
        line = f"{weight:8.4f}  {name:<{name_width}}  {certainty:<{certainty_width}}{gap}{text}"
        lines += [part.rstrip() for part in (line, terms) if part]
    lines.append(f"{sum(row[0] for row in rows):8.4f}  {_state_verdict(answer)}")
    return "\n".join([*lines, *_full_text_lines(answer)])


def _state_verdict(answer: _AnswerLike) -> str:
    """Return the verdict as a sentence; a second one says if it is uncertain."""
    certain = "" if answer.evidence.verdict_certain else " That is within its error; a smaller max_error settles it."
    return f"{_verdict_text(answer)}.{certain}"


def summarise_verdict(answer: _AnswerLike) -> str:
    """Return the verdict in a few words."""
    text = _verdict_text(answer).partition(":")[0].lower()
    return text if answer.evidence.verdict_certain else f"{text} (within its error: a smaller max_error settles it)"


def _verdict_text(answer: _AnswerLike) -> str:
    return ALIKE_TEXT if answer.evidence.alike else VERDICT_TEXTS[answer.verdict]


def match_text(match: Match) -> str:
    """Return a match's value, or its key, in one line of at most 60 characters."""
    content = match.value if match.value is not None else match.key
    text = content if isinstance(content, str) else "" if content is None else json.dumps(content, ensure_ascii=False)
    line = " ".join(text.split())
    return line if len(line) <= 60 else f"{line[:59]}…"


def _confidence_text(match: Match) -> str:
    return "" if match.confidence is None else f"confidence {match.confidence:.4f}"


def _terms_text(match: Match) -> str:
    addends = match.explanation.addends if match.explanation else None
    return f"{'':10}added {', '.join(map(_term_text, addends))}" if addends else ""


def _term_text(line: Mapping[str, Any]) -> str:
    if "rank" in line:
        source = f"of full_text, rank {line['rank']:.4f}"
    elif "pairs" in line:
        best = max(line["pairs"], key=lambda pair: pair["cosine"] * pair["share"], default=None)
        source = "of words" if best is None else f"of words, {best['word']} found {best['found']}"
    elif "logit" in line:
        source = "of a reranker" if line["logit"] is None else f"of a reranker, logit {line['logit']:.4f}"
    elif "passes" in line:
        source = f"of a filter, {'passes' if line['passes'] else 'passes not'}"
    else:
        source = f"of {line['field']}, {json.dumps(line['value'], ensure_ascii=False)}"
    return f"{line['addend']:+.4f} ({source})"


def _full_text_lines(answer: _AnswerLike) -> list[str]:
    full_text = answer.full_text
    if full_text is None:
        return []
    ranked = f"full_text {full_text.weight:g}, ranked by {full_text.ranking}"
    return [f"{'':10}{ranked}: {full_text.documents:,} document{'s' * (full_text.documents != 1)} with a word of it"]


# Medium tones are legible on white and on black. Everything else uses the text's colour.
COLOURS = {"match": "#2a9d8f", "rest": "#7aa9a3", "null": "#8c8c8c"}
_TABLE_STYLE = "border-collapse:collapse;color:inherit;background:none"
_CELL_STYLE = "padding:2px 8px;text-align:left;border:0;background:none;color:inherit;"
_TEXT_STYLE = f"{_CELL_STYLE}max-width:24em;overflow-wrap:anywhere;"


def bars_html(rows: Iterable[tuple[str, str, float, str]], title: str | None, verdict: str) -> str:
    """Return an HTML table with a bar per row (name, text, weight, kind). It uses the page's text colour."""
    from html import escape  # its tables take long to load

    head = "" if title is None else f'<caption style="{_CELL_STYLE}">{escape(title)}</caption>'
    return (
        f'<table style="{_TABLE_STYLE}">{head}<tbody>'
        + "".join(_bar_row(escape(name), escape(label), weight, kind) for name, label, weight, kind in rows)
        + f'<tr style="background:none"><td style="{_CELL_STYLE}opacity:0.75" colspan="4">{escape(verdict)}</td></tr>'
        + "</tbody></table>"
    )


def _bar_row(name: str, label: str, weight: float, kind: str) -> str:
    share = min(max(weight, 0.0), 1.0)
    bar = (
        '<div style="width:12em;background:rgba(128,128,128,0.18)">'
        f'<div style="width:{100 * share:.2f}%;height:0.8em;background:{COLOURS[kind]}"></div></div>'
    )
    faint = "" if kind == "match" else "opacity:0.75;"
    return (
        f'<tr style="background:none"><td style="{_CELL_STYLE}">{bar}</td>'
        f'<td style="{_CELL_STYLE}font-variant-numeric:tabular-nums">{weight:.4f}</td>'
        f'<td style="{_TEXT_STYLE}{faint}">{name}</td><td style="{_TEXT_STYLE}opacity:0.75">{label}</td></tr>'
    )


def table_html(head: Sequence[str], rows: Iterable[Sequence[str]], title: str | None) -> str:
    """Return texts as an HTML table, of which only the last two columns are broken into lines."""
    from html import escape

    caption = "" if title is None else f'<caption style="{_CELL_STYLE}">{escape(title)}</caption>'
    styles = [f"{_CELL_STYLE}white-space:nowrap"] * (len(head) - 2) + [_TEXT_STYLE] * 2
    lines = "".join(
        '<tr style="background:none">'
        + "".join(f'<td style="{style}">{escape(cell)}</td>' for style, cell in zip(styles, row, strict=True))
        + "</tr>"
        for row in (head, *rows)
    )
    return f'<table style="{_TABLE_STYLE}">{caption}<tbody>{lines}</tbody></table>'


_MAX_LABEL = 40
_FIGURE_WIDTH, _ROW_HEIGHT, _MARGIN = 6.4, 0.3, 1.1  # inches


def plot_bars(rows: Sequence[tuple[str, float, str]], title: str | None, axes: Any) -> Any:
    """Draw a bar per (name, weight, kind), the first on top; return the axes.

    Raises:
        ImportError: matplotlib is not installed.
    """
    if axes is None:
        axes = _new_axes(_FIGURE_WIDTH, _ROW_HEIGHT * len(rows) + _MARGIN)
    names, weights, kinds = zip(*rows, strict=True)
    bars = axes.barh(range(len(rows)), weights, color=[COLOURS[kind] for kind in kinds])
    axes.bar_label(bars, fmt="%.3f", padding=3)
    axes.set_yticks(range(len(rows)), [_label(name) for name in names])
    axes.invert_yaxis()
    axes.set(xlabel="weight", title=_label(title or ""), xlim=(0, 1.2 * max(*weights, 1e-9)))
    return axes


def plot_lines(
    temperatures: NDArray[np.float64],
    weights: Sequence[tuple[str, NDArray[np.float64], str]],
    title: str | None,
    axes: Any,
) -> Any:
    """Draw a line per (name, weights, kind) over the temperature; return the axes.

    Raises:
        ImportError: matplotlib is not installed.
    """
    is_new = axes is None
    if is_new:
        axes = _new_axes(8.0, 4.2)
    colours = _line_colours()
    matches = 0
    for name, values, kind in weights:
        style: dict[str, Any] = {"color": COLOURS.get(kind), "linestyle": "--" if kind == "rest" else "-"}
        if kind == "match":
            style["color"] = colours[matches % len(colours)]
            matches += 1
        axes.plot(temperatures, values, label=_label(name), linewidth=2.5 if kind == "null" else 1.5, **style)
    if (temperatures > 0).all():
        axes.set_xscale("log")
    axes.set(xlabel="temperature", ylabel="weight", title=_label(title or ""), ylim=(-0.02, 1.02))
    axes.legend(**({"loc": "center left", "bbox_to_anchor": (1, 0.5), "frameon": False} if is_new else {}))
    return axes


def _new_axes(width: float, height: float) -> Any:
    pyplot = require_module("matplotlib.pyplot", "matplotlib")
    return pyplot.subplots(figsize=(width, height), layout="constrained")[1]


def _line_colours() -> list[Any]:
    """Return the style's line colours without greys, as grey is reserved for "none of these"."""
    matplotlib, colors = require_module("matplotlib", "matplotlib"), require_module("matplotlib.colors", "matplotlib")
    cycle = matplotlib.rcParams["axes.prop_cycle"].by_key().get("color", ["C0"])
    coloured = [colour for colour in cycle if max(rgb := colors.to_rgb(colour)) - min(rgb) > 0.1]
    return coloured or list(cycle)


def _label(text: str) -> str:
    """Return a text in one line of at most 40 characters, with $ escaped from matplotlib's formulas."""
    line = " ".join(text.split()).replace("$", r"\$")
    return line if len(line) <= _MAX_LABEL else f"{line[: _MAX_LABEL - 1]}…"


def require_module(module: str, distribution: str) -> Any:
    """Import and return a module of an optional library.

    Raises:
        ImportError: it is not installed; the message names the distribution.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(f"this needs {distribution}, which is not here: pip install {distribution}") from error


_COLUMN_TYPES = {
    "id": "string",
    "weight": "float64",
    "confidence": "float64",
    "similarity": "float64",
    "logit": "float64",
    "key": "string",
    "value": "string",
    "metadata": "string",
}


def _columns(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return the names of the columns of rows; without rows, those of an answer that is not calibrated."""
    if not rows:
        return [name for name in _COLUMN_TYPES if name != "confidence"]
    return [name for name in _COLUMN_TYPES if any(name in row for row in rows)]


def to_data_frame(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Return rows as a pandas DataFrame; it has columns even without rows."""
    return require_module("pandas", "pandas").DataFrame(list(rows), columns=_columns(rows))


def to_arrow_table(rows: Sequence[dict[str, Any]]) -> pa.Table:
    """Return rows as an Arrow table. Columns with values of any type are encoded as JSON.

    The types of the columns are the same for every answer, so that tables can be joined.
    """
    plain = [
        {name: _cell_text(cell) if name in ("value", "metadata") else cell for name, cell in row.items()}
        for row in rows
    ]
    arrow = require_module("pyarrow", "pyarrow")
    types = {"string": arrow.string(), "float64": arrow.float64()}
    schema = arrow.schema([(name, types[_COLUMN_TYPES[name]]) for name in _columns(rows)])
    return arrow.Table.from_pylist(plain, schema=schema)


def _cell_text(cell: Any) -> str | None:
    return cell if cell is None or isinstance(cell, str) else json.dumps(cell, ensure_ascii=False)
