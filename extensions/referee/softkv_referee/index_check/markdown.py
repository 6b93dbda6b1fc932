"""A report as markdown. Every figure comes from the report's JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from softkv_referee.index_check.summary import Report, recall_of, show_filter, summarise, worst_questions


def to_markdown(report: Report) -> str:
    """Return a report, with its comparison if it has one, as markdown."""
    summary = summarise(report)
    lines = [*_head(report), *_faults(summary["faults"]), *_figures(report, summary), *_worst(report)]
    if report.get("compared"):
        lines += _comparison(report["compared"])
    return "\n".join([*lines, *_times(report["seconds"])]) + "\n"


def _head(report: Report) -> Iterator[str]:
    store, rows = report.get("store", {}), report["rows"]
    name = " ".join(filter(None, (store.get("kind"), store.get("name") or store.get("address"))))
    yield f"# The index of {_cell(name)}" if name else "# An index"
    yield ""
    yield (
        f"{rows['compared']:,} rows of width {rows['width']}, compared by {report['similarity']}. Each question asked "
        f"for {report['k']}. {report['computed_by']} computed the exact answers, and the weights at temperature "
        f"{report['temperature']:g}."
    )
    yield ""
    for search in report["searches"]:
        suffix = "" if search["filter"] is None else f" with the filter `{_cell(show_filter(search['filter']))}`"
        note = f" ({search['note']})" if search["note"] else ""
        yield f"- Search{suffix}: {_cell(search['index'] or 'no approximate index')}{_cell(note)}"
    yield ""


def _faults(faults: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield "## Faults"
    yield ""
    if not faults:
        yield "None found."
    for fault in faults:
        yield f"- **{fault['code']}**: {_cell(fault['text'])}."
    yield ""


def _figures(report: Report, summary: Mapping[str, Any]) -> Iterator[str]:
    k = report["k"]
    yield "## Figures"
    yield ""
    yield f"| filter | questions | rows that pass | recall@{k} | no true hit | too few rows | weight missed | most |"
    yield "|---|---|---|---|---|---|---|---|"
    for group in summary["groups"]:
        name = "none" if group["filter"] is None else f"`{_cell(show_filter(group['filter']))}`"
        low, high = group["passing"]
        passing = f"{low:,}" if low == high else f"{low:,}–{high:,}"
        missed = group["missed_weight"]
        yield (
            f"| {name} | {group['questions']:,} | {passing} | {_with_error(group['recall'], 4)} | "
            f"{group['no_true_hit']:,} | {group['too_few']:,} | {_with_error(missed, 5)} | "
            f"{_number(missed['most'], 5)} |"
        )
    bounds = [g["missed_weight"]["bound"] for g in summary["groups"] if g["missed_weight"]["bound"] is not None]
    yield ""
    yield (
        "± is the standard error of the mean. The weight missed is that of the exact rows less that of the returned "
        f"rows, and is proven to {max(bounds, default=0.0):.1g} for each question."
    )
    yield ""
    for group in summary["groups"]:
        if group["widest"]["questions"]:
            yield _widest_line(group)
            yield ""
    yield _reach_line(summary["reach"])
    yield ""


def _widest_line(group: Mapping[str, Any]) -> str:
    widest = group["widest"]
    suffix = "" if group["filter"] is None else f" with the filter `{_cell(show_filter(group['filter']))}`"
    return (
        f"Of the questions{suffix} that missed a row, {widest['questions']:,} were asked again with the widest search: "
        f"their recall went from {widest['recall']:.3f} to {widest['recall_of_widest']:.3f}."
    )


def _reach_line(reach: Mapping[str, Any]) -> str:
    if not reach["rows"]:
        return "No row was searched by its own vector."
    low, high = reach["interval"]
    return (
        f"Of {reach['rows']:,} random rows, {reach['not_found']:,} were not found by their own vectors, and "
        f"{reach['unreachable']:,} not by the widest search either: {reach['unreachable'] / reach['rows']:.2%} of the "
        f"rows (95 % interval {low:.2%} to {high:.2%})."
    )


def _worst(report: Report) -> Iterator[str]:
    worst = worst_questions(report)
    if not worst:
        return
    yield "## Worst questions"
    yield ""
    yield "| question | filter | recall | returned | weight missed | missing |"
    yield "|---|---|---|---|---|---|"
    for record in worst:
        name = "none" if record["filter"] is None else f"`{_cell(show_filter(record['filter']))}`"
        missing = [id_ for id_ in record["exact"] if id_ not in record["returned"]]
        more = ", …" if len(missing) > 3 else ""
        yield (
            f"| {_cell(record['question'])} | {name} | {recall_of(record):.3f} | {len(set(record['returned']))} | "
            f"{record['missed_weight']:.5f} | {_cell(', '.join(missing[:3]))}{more} |"
        )
    yield ""


def _comparison(compared: Mapping[str, Any]) -> Iterator[str]:
    yield "## Beside the run before"
    yield ""
    yield (
        f"{compared['questions']:,} questions are in both. Recall changed by "
        f"{_with_error(compared['recall'], 4, sign=True)}: "
        f"{compared['better']:,} questions became better, and {compared['worse']:,} worse."
    )
    if compared["missed_weight"]["mean"] is not None:
        yield f"The weight missed changed by {_with_error(compared['missed_weight'], 5, sign=True)}."
    yield ""
    worse = sorted((pair for pair in compared["pairs"] if (pair["recall"] or 0) < 0), key=lambda pair: pair["recall"])
    for pair in worse[:10]:
        suffix = "" if pair["filter"] is None else f", filter `{_cell(show_filter(pair['filter']))}`"
        yield f"- worse: {_cell(pair['question'])}{suffix}, recall {pair['recall']:+.3f}"
    for title, faults in (("fault gone", compared["faults_gone"]), ("new fault", compared["faults_new"])):
        for text in faults:
            yield f"- {title}: {_cell(text)}"
    yield ""


def _times(seconds: Mapping[str, float]) -> Iterator[str]:
    yield "## Seconds"
    yield ""
    parts = ", ".join(f"{name} {value:.1f}" for name, value in seconds.items() if value >= 0.05)
    yield f"{parts or 'each step less than 0.1'}; {sum(seconds.values()):.1f} in all."


def _with_error(figure: Mapping[str, float | None], digits: int, *, sign: bool = False) -> str:
    mean, error = figure["mean"], figure["error"]
    if mean is None:
        return "–"
    shown = f"{mean:+.{digits}f}" if sign else f"{mean:.{digits}f}"
    return shown if error is None else f"{shown} ± {error:.{digits}f}"


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _cell(text: str) -> str:
    """Return a text as one line that ends no cell of a table."""
    line = " ".join(text.split()).replace("|", "\\|")
    return line if len(line) <= 400 else f"{line[:399]}…"
