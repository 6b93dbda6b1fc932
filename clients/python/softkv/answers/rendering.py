"""An answer as lines that add up to one, what was added to each document, its verdict and why."""

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
"""What each verdict is for a person."""


class _AnswerLike(Protocol):
    """What is told of an answer."""

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


def explain_answer(answer: _AnswerLike, min_confidence: float | None = None) -> str:
    """Who has how much of the weight, a line each; below a document stands what was added to its logit."""
    rows = [
        (each.weight or 0.0, each.id, _confidence_text(each), match_text(each), _terms_text(each))
        for each in answer.matches
    ]
    others = answer.documents - len(rows)
    if others > 0:
        rows.append((answer.rest_weight, f"{others:,} other document{'s' if others > 1 else ''}", "", "", ""))
    rows.append((answer.null_weight, NONE_OF_THESE, "", "", ""))
    named, surest = max(len(row[1]) for row in rows), max(len(row[2]) for row in rows)
    lines = []
    for weight, name, sure, text, added in rows:
        line = f"{weight:8.4f}  {name:<{named}}  {sure:<{surest}}{'  ' if surest else ''}{text}"
        lines += [each.rstrip() for each in (line, added) if each]
    lines.append(f"{sum(row[0] for row in rows):8.4f}  {describe_verdict(answer, min_confidence)}")
    return "\n".join([*lines, *_full_text_lines(answer)])


def describe_verdict(answer: _AnswerLike, min_confidence: float | None = None) -> str:
    """Which of the three an answer says, in words, and by what.

    Args:
        min_confidence: how sure the first match had to be, where that was asked.
    """
    has_null = answer.evidence.null_similarity is not None
    null = f"“None of these” has {answer.null_weight:.1%}."
    if not answer.documents:
        why = "No document is there to attend to."
    elif answer.verdict == "none":
        why = null
    elif _has_only_unknown_words(answer, min_confidence):
        why = "The model knows no word of the question."
    elif answer.matches and min_confidence is not None:
        why = f"The first is right with {answer.matches[0].confidence:.1%}, {min_confidence:.1%} was wanted."
    elif answer.matches:
        beside = f", “none of these” {answer.null_weight:.1%}" if has_null else ""
        why = f"The first has {answer.matches[0].weight:.1%}{beside}."
    else:
        why = null if has_null else ""
    certain = "" if answer.evidence.verdict_certain else "That is within its error; a smaller max_error settles it."
    return " ".join(filter(None, [f"{VERDICT_TEXTS[answer.verdict]}.", why, certain]))


def _has_only_unknown_words(answer: _AnswerLike, min_confidence: float | None) -> bool:
    """Whether the first match would stand out if the model knew a word of the question."""
    if answer.verdict != "several" or not answer.unknown_tokens or not answer.matches:
        return False
    first = answer.matches[0]
    if min_confidence is None:
        return (first.weight or 0.0) > 0.5
    return (first.confidence or 0.0) >= min_confidence


def summarise_verdict(answer: _AnswerLike) -> str:
    """The same within a line."""
    said = VERDICT_TEXTS[answer.verdict].partition(":")[0].lower()
    return said if answer.evidence.verdict_certain else f"{said} (within its error: a smaller max_error settles it)"


def match_text(found: Match) -> str:
    """What a match says, in a line."""
    said = found.value if found.value is not None else found.key
    text = said if isinstance(said, str) else "" if said is None else json.dumps(said, ensure_ascii=False)
    line = " ".join(text.split())
    return line if len(line) <= 60 else f"{line[:59]}…"


def _confidence_text(found: Match) -> str:
    return "" if found.confidence is None else f"confidence {found.confidence:.4f}"


def _terms_text(found: Match) -> str:
    addends = found.explanation.addends if found.explanation else None
    return f"{'':10}added {', '.join(map(_term_text, addends))}" if addends else ""


def _term_text(line: Mapping[str, Any]) -> str:
    if "rank" in line:
        why = f"of full_text, rank {line['rank']:.4f}"
    elif "passes" in line:
        why = f"of a filter, {'passes' if line['passes'] else 'passes not'}"
    else:
        why = f"of {line['field']}, {json.dumps(line['value'], ensure_ascii=False)}"
    return f"{line['addend']:+.4f} ({why})"


def _full_text_lines(answer: _AnswerLike) -> list[str]:
    found = answer.full_text
    if found is None:
        return []
    ranked = f"full_text {found.weight:g}, ranked by {found.ranking}"
    return [f"{'':10}{ranked}: {found.documents:,} document{'s' * (found.documents != 1)} with a word of it"]


# Middle tones, and the text's own colour for all else: legible on white and on black.
COLOURS = {"match": "#2a9d8f", "rest": "#7aa9a3", "null": "#8c8c8c"}
_CELL_STYLE = "padding:2px 8px;text-align:left;border:0;background:none;color:inherit;"
_TEXT_STYLE = f"{_CELL_STYLE}max-width:24em;overflow-wrap:anywhere;"


def bars_html(rows: Iterable[tuple[str, str, float, str]], title: str | None, verdict: str) -> str:
    """A table of rows (name, what it says, weight, kind), as HTML that takes the page's own text colour."""
    from html import escape  # its tables take long to load

    head = "" if title is None else f'<caption style="{_CELL_STYLE}">{escape(title)}</caption>'
    return (
        f'<table style="border-collapse:collapse;color:inherit;background:none">{head}<tbody>'
        + "".join(_bar_row(escape(name), escape(told), weight, kind) for name, told, weight, kind in rows)
        + f'<tr style="background:none"><td style="{_CELL_STYLE}opacity:0.75" colspan="4">{escape(verdict)}</td></tr>'
        + "</tbody></table>"
    )


def _bar_row(name: str, told: str, weight: float, kind: str) -> str:
    share = min(max(weight, 0.0), 1.0)
    bar = (
        '<div style="width:12em;background:rgba(128,128,128,0.18)">'
        f'<div style="width:{100 * share:.2f}%;height:0.8em;background:{COLOURS[kind]}"></div></div>'
    )
    faint = "" if kind == "match" else "opacity:0.75;"
    return (
        f'<tr style="background:none"><td style="{_CELL_STYLE}">{bar}</td>'
        f'<td style="{_CELL_STYLE}font-variant-numeric:tabular-nums">{weight:.4f}</td>'
        f'<td style="{_TEXT_STYLE}{faint}">{name}</td><td style="{_TEXT_STYLE}opacity:0.75">{told}</td></tr>'
    )


_MAX_LABEL = 40
_FIGURE_WIDTH, _ROW_HEIGHT, _MARGIN = 6.4, 0.3, 1.1  # inches


def plot_bars(rows: Sequence[tuple[str, float, str]], title: str | None, axes: Any) -> Any:
    """A bar for each (name, weight, kind), the first on top → the axes.

    Raises:
        ImportError: matplotlib is not installed.
    """
    if axes is None:
        axes = _new_axes(_FIGURE_WIDTH, _ROW_HEIGHT * len(rows) + _MARGIN)
    names, weights, kinds = zip(*rows, strict=True)
    drawn = axes.barh(range(len(rows)), weights, color=[COLOURS[kind] for kind in kinds])
    axes.bar_label(drawn, fmt="%.3f", padding=3)
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
    """A line for each (name, weights, kind) over the temperature → the axes.

    Raises:
        ImportError: matplotlib is not installed.
    """
    own = axes is None
    if own:
        axes = _new_axes(8.0, 4.2)
    colours = _line_colours()
    matches = 0
    for name, each, kind in weights:
        how: dict[str, Any] = {"color": COLOURS.get(kind), "linestyle": "--" if kind == "rest" else "-"}
        if kind == "match":
            how["color"] = colours[matches % len(colours)]
            matches += 1
        axes.plot(temperatures, each, label=_label(name), linewidth=2.5 if kind == "null" else 1.5, **how)
    if (temperatures > 0).all():
        axes.set_xscale("log")
    axes.set(xlabel="temperature", ylabel="weight", title=_label(title or ""), ylim=(-0.02, 1.02))
    axes.legend(**({"loc": "center left", "bbox_to_anchor": (1, 0.5), "frameon": False} if own else {}))
    return axes


def _new_axes(width: float, height: float) -> Any:
    pyplot = require_module("matplotlib.pyplot", "matplotlib")
    return pyplot.subplots(figsize=(width, height), layout="constrained")[1]


def _line_colours() -> list[Any]:
    """Those that the style draws lines in; grey is for "none of these" alone."""
    matplotlib, colors = require_module("matplotlib", "matplotlib"), require_module("matplotlib.colors", "matplotlib")
    cycle = matplotlib.rcParams["axes.prop_cycle"].by_key().get("color", ["C0"])
    coloured = [each for each in cycle if max(rgb := colors.to_rgb(each)) - min(rgb) > 0.1]
    return coloured or list(cycle)


def _label(text: str) -> str:
    """A text in one line, not too long, in which $ begins no formula."""
    line = " ".join(text.split()).replace("$", r"\$")
    return line if len(line) <= _MAX_LABEL else f"{line[: _MAX_LABEL - 1]}…"


def require_module(module: str, distribution: str) -> Any:
    """A module, or an ImportError that says what to install."""
    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(f"this needs {distribution}, which is not here: pip install {distribution}") from error


def to_data_frame(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Rows as a DataFrame of pandas'."""
    return require_module("pandas", "pandas").DataFrame(list(rows))


def to_arrow_table(rows: Sequence[dict[str, Any]]) -> pa.Table:
    """Rows as a table of Arrow's: a column of one kind each, of what is anything as JSON."""
    plain = [
        {name: _cell_text(cell) if name in ("value", "metadata") else cell for name, cell in row.items()}
        for row in rows
    ]
    return require_module("pyarrow", "pyarrow").Table.from_pylist(plain)


def _cell_text(cell: Any) -> str | None:
    return cell if cell is None or isinstance(cell, str) else json.dumps(cell, ensure_ascii=False)
