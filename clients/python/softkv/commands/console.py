"""Output of the commands: answers, tables and progress bars for people, JSON for programs."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any

import orjson
import typer
from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from softkv.settings import width_is_set

_EIGHTHS = " ▏▎▍▌▋▊▉"
# Overrides of the writing direction: they would reorder the rest of the line.
_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_BAR, _GAP = 8, 2
VERDICT_STYLES = {"one": "bold green", "several": "bold cyan", "none": "bold yellow"}


def output() -> Console:
    """Return the console for results, on standard output."""
    return _console(stderr=False)


def messages() -> Console:
    """Return the console for progress bars and remarks, on standard error, so that results can be piped."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    console = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    # A log or a pipe has no width, unless COLUMNS says it: lines stay whole there. Tables keep the console's width.
    console.soft_wrap = not console.is_terminal and not width_is_set()
    if console.options.ascii_only:
        # A terminal that cannot show a character shows "?"; the command goes on.
        stream = sys.stderr if stderr else sys.stdout
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    return console


def write_json(answer: Any) -> None:
    """Write a JSON value to standard output, in UTF-8 whatever the locale."""
    typer.echo(orjson.dumps(answer, option=orjson.OPT_INDENT_2))


def progress(console: Console) -> Progress:
    """Return a progress bar with a count and the remaining time; it is silent if the console is not a terminal."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )


def weight_bar(weight: float, width: int, *, ascii_only: bool) -> str:
    """Return a weight in [0, 1] as a bar of `width` characters, to an eighth of a character if not `ascii_only`."""
    weight = min(max(weight, 0.0), 1.0)
    if ascii_only:
        return ("#" * round(weight * width)).ljust(width)
    full, eighths = divmod(round(weight * width * 8), 8)
    return ("█" * full + (_EIGHTHS[eighths] if eighths else "")).ljust(width)


def one_line(value: Any) -> str:
    """Return a document's field as one line; control characters, which could control the terminal, become spaces."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    shown = "".join(" " if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") or c in _BIDI else c for c in text)
    return " ".join(shown.split())


def show_answer(answer: dict[str, Any], console: Console) -> None:
    """Print an answer: a row per match, the rest and the null key, then its groups and aggregated fields, then why it
    has its verdict, and the evidence.

    Args:
        answer: the answer as JSON.
        console: where to print.
    """
    console.print(_table(answer, console))
    console.print()
    if (groups := _groups_table(answer, console)) is not None:
        console.print(groups)
        console.print()
    for line in _readings(answer):
        console.print(line)
    console.print(_reason(answer))
    for warning in answer.get("warnings", ()):
        console.print(Text(one_line(warning), "yellow"))
    if (coverage := answer.get("coverage")) is not None and coverage["documents"] < coverage["total"]:
        console.print(_missing(coverage))
    if applied := answer.get("applied"):
        console.print(_defaults(applied))
    console.print(_measures(answer, ascii_only=console.options.ascii_only))


def _defaults(applied: dict[str, Any]) -> Text:
    """Return the line about the defaults of the collection that the answer has."""
    values = (f"{name} {json.dumps(default, ensure_ascii=False)}" for name, default in applied.items())
    return Text(f"Defaults of the collection: {', '.join(values)}.", "dim")


def _table(answer: dict[str, Any], console: Console) -> Table:
    """Return a table of the matches, the rest and the null key, so that the weights shown sum to one."""
    table = _weights_table()
    table.add_column("similarity", no_wrap=True, justify="right", width=10)
    sure = any("confidence" in match for match in answer["matches"])
    reranked = "reranked" in answer.get("certificate", {})
    reader = "words" if _compares_words(answer) else "reranker"
    if sure:
        table.add_column("sure", no_wrap=True, justify="right", width=6)
    if reranked:
        table.add_column(reader, no_wrap=True, justify="right", width=8)
    more = [width for width, is_shown in ((6, sure), (8, reranked)) if is_shown]
    table.add_column("id", no_wrap=True, overflow="ellipsis", max_width=_id_width(answer, console.width, more))
    table.add_column("key, value", no_wrap=True, overflow="ellipsis", ratio=1)
    for match in answer["matches"]:
        table.add_row(
            _weight_cell(match["weight"], console),
            f"{match['similarity']:.4f}",
            *([f"{match['confidence']:.1%}"] if sure else []),
            *([_reranker_cell(match)] if reranked else []),
            Text(one_line(match["id"]), "bold"),
            describe_match(match),
        )
    blank = [""] * (1 + len(more))
    rest = answer["documents"] - len(answer["matches"])
    if rest:
        remaining = Text(f"the other {rest:,} documents", "dim italic")
        table.add_row(_weight_cell(answer["rest_weight"], console), "", *blank, remaining)
    evidence = answer["evidence"]
    if evidence["null_similarity"] is not None:
        similarity = f"{evidence['null_similarity']:.4f}"
        null = Text("none of these", "dim italic")
        table.add_row(_weight_cell(evidence["null_weight"], console), similarity, *blank, null)
    return table


def _weights_table() -> Table:
    """Return a table whose first column has weights with their bars."""
    table = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, expand=True, header_style="dim")
    table.add_column("weight", no_wrap=True, width=_BAR + 7)
    return table


def _weight_cell(weight: float, console: Console) -> Text:
    bar = weight_bar(weight, _BAR, ascii_only=console.options.ascii_only)
    return Text.assemble((bar, "cyan"), f" {weight:.4f}")


def _compares_words(answer: dict[str, Any]) -> bool:
    """Return whether late interaction has read the best documents, and not a reranker."""
    addends = (match.get("explanation", {}).get("addends") or () for match in answer["matches"])
    return any(line["of"] == "late" for lines in addends for line in lines)


def _reranker_cell(match: dict[str, Any]) -> str:
    """Return the number that was added to the logit of a match; empty if its document was not read."""
    addends = match.get("explanation", {}).get("addends") or ()
    read = {"rerank": "logit", "late": "words"}
    lines = [line for line in addends if line["of"] in read and line[read[line["of"]]] is not None]
    return f"{lines[0]['addend']:+.3f}" if lines else ""


def _groups_table(answer: dict[str, Any], console: Console) -> Table | None:
    """Return a table of the groups of an answer and of the documents in none of them; None without groups."""
    grouped = answer.get("group_by")
    if grouped is None:
        return None
    table = _weights_table()
    table.add_column("documents", no_wrap=True, justify="right", width=9)
    table.add_column(one_line(grouped["field"]), no_wrap=True, overflow="ellipsis", max_width=40)
    table.add_column("best documents", no_wrap=True, overflow="ellipsis", ratio=1)
    for group in grouped["groups"]:
        best = ", ".join(one_line(match["id"]) for match in group["matches"])
        weight, documents = _weight_cell(group["weight"], console), f"{group['documents']:,}"
        table.add_row(weight, documents, _group_name(group["value"]), Text(best, "dim"))
    if grouped["rest_weight"] > grouped["error"]:
        table.add_row(_weight_cell(grouped["rest_weight"], console), "", Text("all other values", "dim italic"))
    return table


def _group_name(value: Any) -> Text:
    """Return the value of a group, or its range; null is the group of the documents without the field."""
    if value is None:
        return Text("without this field", "dim italic")
    if not isinstance(value, list):
        return Text(one_line(value), "bold")
    low, high = value
    if high is None:
        return Text("any" if low is None else f"from {one_line(low)}", "bold")
    return Text(f"below {one_line(high)}" if low is None else f"{one_line(low)} to below {one_line(high)}", "bold")


def _readings(answer: dict[str, Any]) -> Iterator[Text]:
    """Yield a line for each metadata field that the answer aggregates."""
    content = answer.get("read")
    for reading in content if isinstance(content, list) else [content] if content else []:
        value = "nothing" if reading["value"] is None else _value(reading["value"])
        if reading.get("deviation") is not None:
            value = f"{value} ± {reading['deviation']:.4g}"
        shares = [f"{_value(vote['value'])} {vote['weight']:.1%}" for vote in reading.get("votes", ())]
        quantiles = [f"{_value(part['value'])} at {part['quantile']:g}" for part in reading.get("quantiles", ())]
        text = Text.assemble((f"{reading['as']} of {one_line(reading['field'])}: ", "dim"), (value, "bold"))
        yield text.append(f" ({', '.join(shares or quantiles)})" if shares or quantiles else "")


def _value(value: Any) -> str:
    """Return a value of a metadata field in one line, a fraction with six digits."""
    return f"{value:.6g}" if isinstance(value, float) else one_line(value)


def _id_width(answer: dict[str, Any], width: int, more: Sequence[int]) -> int:
    """Return the width of the column of ids: half of the space of ids and texts, or more if the texts leave space.

    Args:
        answer: the answer as JSON.
        width: of the terminal.
        more: the widths of the columns beside weight, similarity, id and text.
    """
    texts = [one_line(text) for match in answer["matches"] for text in (_matching_part(match), match["value"])]
    columns = _BAR + 7 + 10 + sum(more) + (3 + len(more)) * _GAP
    shared = width - columns
    free = shared - max((cell_len(text) for text in texts), default=0)
    return max(min(shared // 2, 40), free)


def describe_match(match: dict[str, Any], length: int | None = None) -> Text:
    """Return the key of a match and, if it differs, its value below; each in a line of at most `length` characters."""
    texts = (one_line(field) for field in (_matching_part(match), match["value"]))
    key, value = (text if length is None or len(text) <= length else f"{text[:length]}…" for text in texts)
    description = Text(key)
    if value != key:
        description.append("\n" if key else "").append(value, style="dim")
    return description


def _matching_part(match: dict[str, Any]) -> str:
    """Return the key text, or its most similar part if the document was split."""
    part = match.get("part", {})
    return (match["key"] or "")[part.get("start") : part.get("end")]


def _reason(answer: dict[str, Any]) -> Text:
    """Return why the answer has its verdict, with the verdict in its colour."""
    reason = one_line(answer.get("reason", ""))
    text = Text(reason)
    text.stylize(VERDICT_STYLES[answer["evidence"]["verdict"]], 0, reason.find(": "))
    return text


def _missing(coverage: dict[str, Any]) -> Text:
    """Return a text about how many documents are missing, and how much weight they may have at most."""
    missing, bound = coverage["total"] - coverage["documents"], coverage["max_missing_weight"]
    return Text.assemble(
        (f"{missing:,} of {coverage['total']:,} documents missing", "bold yellow"),
        f": they have {bound:.1%} of all weight at most.",
    )


def _measures(answer: dict[str, Any], *, ascii_only: bool) -> Text:
    """Return the measures of an answer in one line: documents, log-partition, temperature and time."""
    evidence = answer["evidence"]
    effective, log_partition = evidence["effective_documents"], evidence["log_partition"]
    effective_text = "" if effective is None else f"rests on {effective:,.1f} of "
    measures = [f"{effective_text}{answer['documents']:,} documents"]
    if log_partition is not None:
        measures.append(f"log-partition {log_partition:.2f}")
    if (depth := answer.get("certificate", {}).get("reranked")) is not None:
        reading = "compared word by word" if _compares_words(answer) else "reranked"
        measures.append(f"the best {depth:,} {reading}")
    measures += [f"T {answer['temperature']:.4g}", f"{answer['took_ms']:.1f} ms"]
    return Text((" | " if ascii_only else " · ").join(measures), "dim")
