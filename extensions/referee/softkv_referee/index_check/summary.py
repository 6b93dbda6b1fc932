"""The figures and the faults of a report, computed from its data of every question and row."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

Report: TypeAlias = Mapping[str, Any]
Record: TypeAlias = Mapping[str, Any]

LOW_RECALL = 0.9
"""Below this mean recall is a fault."""

_SHARES = {1 / 2: "half", 1 / 3: "a third", 1 / 4: "a quarter", 1 / 5: "a fifth", 1 / 10: "a tenth"}
_Z = 1.959964  # of 95 % of a normal distribution


def summarise(report: Report) -> dict[str, Any]:
    """Return the figures of a report: `groups`, one for each filter, `reach` of the rows, and the `faults`."""
    groups = [_group(report, search["filter"]) for search in report["searches"]]
    reach = _reach(report["probes"]["rows"])
    faults = [*_row_faults(report, reach), *(f for group in groups for f in _group_faults(report, group))]
    return {"groups": groups, "reach": reach, "faults": faults}


def records_of(report: Report, condition: Any) -> list[Record]:
    """Return the questions that were asked with a filter, None for none."""
    return [record for record in report["questions"] if record["filter"] == condition]


def recall_of(record: Record) -> float | None:
    """Return the share of the exact rows that were returned; None if no row passes the filter."""
    return record["hits"] / len(record["exact"]) if record["exact"] else None


def mean_and_error(values: Sequence[float]) -> dict[str, float | None]:
    """Return the mean of some values and its standard error; None without enough values."""
    mean = float(np.mean(values)) if values else None
    error = float(np.std(values, ddof=1) / math.sqrt(len(values))) if len(values) > 1 else None
    return {"mean": mean, "error": error}


def interval_of(count: int, total: int) -> tuple[float, float]:
    """Return the interval of 95 % of a share, by Wilson's formula."""
    share, spread = count / total, _Z**2 / total
    middle, half = share + spread / 2, _Z * math.sqrt(share * (1 - share) / total + spread / total / 4)
    low, high = (middle - half) / (1 + spread), (middle + half) / (1 + spread)
    return low if count else 0.0, high if count < total else 1.0


def worst_questions(report: Report, number: int = 10) -> list[Record]:
    """Return the questions that missed a row: those of the lowest recall first, then of the largest missed weight."""
    missed = [record for record in report["questions"] if record["exact"] and record["hits"] < len(record["exact"])]
    return sorted(missed, key=lambda record: (recall_of(record), -record["missed_weight"]))[:number]


def show_filter(condition: Any) -> str:
    """Return a filter as one line."""
    return condition if isinstance(condition, str) else json.dumps(condition, ensure_ascii=False)


def _group(report: Report, condition: Any) -> dict[str, Any]:
    records = records_of(report, condition)
    with_rows = [record for record in records if record["exact"]]
    targets = [min(report["k"], record["passing"]) for record in records]
    few = [len(set(record["returned"])) < target for record, target in zip(records, targets, strict=True)]
    again = [record for record in with_rows if record["widest_hits"] is not None]
    return {
        "filter": condition,
        "questions": len(records),
        "passing": [f([record["passing"] for record in records]) for f in (min, max)],
        "recall": mean_and_error([record["hits"] / len(record["exact"]) for record in with_rows]),
        "no_true_hit": sum(record["hits"] == 0 for record in with_rows),
        "missed_weight": {
            **mean_and_error([record["missed_weight"] for record in with_rows]),
            "most": max((record["missed_weight"] for record in with_rows), default=None),
            "bound": max((record["weight_bound"] for record in with_rows), default=None),
        },
        "too_few": sum(few),
        "returned": float(np.mean([len(set(record["returned"])) for record in records])),
        "unknown": sum(len(record["unknown"]) for record in records),
        "outside_filter": sum(len(record["outside_filter"]) for record in records),
        "widest": {
            "questions": len(again),
            "recall": _mean([record["hits"] / len(record["exact"]) for record in again]),
            "recall_of_widest": _mean([record["widest_hits"] / len(record["exact"]) for record in again]),
        },
    }


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _reach(rows: Sequence[Record]) -> dict[str, Any]:
    """Return how many of the searched rows were not found by their own vectors, also by the widest search."""
    missed = [row for row in rows if not row["found"]]
    unreachable = [row for row in missed if not row["found_by_widest"]]
    interval = interval_of(len(unreachable), len(rows)) if rows else None
    return {
        "rows": len(rows),
        "not_found": len(missed),
        "unreachable": len(unreachable),
        "interval": None if interval is None else list(interval),
        "examples": [row["id"] for row in unreachable[:5]],
    }


def _fault(code: str, condition: Any, text: str) -> dict[str, Any]:
    return {"code": code, "filter": condition, "text": text}


def _row_faults(report: Report, reach: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    rows = report["rows"]
    if reach["unreachable"]:
        yield _fault("unreachable_rows", None, _unreachable_text(report, reach))
    if number := rows["without_vector"]:
        ids = ", ".join(rows["without_vector_ids"][:5])
        yield _fault(
            "rows_without_vector",
            None,
            f"{number:,} rows have no vector, so no search finds them: {ids}{_more(number, 5)}",
        )
    if invalid := rows["invalid_vector"]:
        ids = ", ".join(rows["invalid_vector_ids"][:5])
        text = f"{invalid:,} rows have a vector of length 0 or with a number that is not finite"
        yield _fault("invalid_vectors", None, f"{text}, which no search compares: {ids}{_more(invalid, 5)}")
    read = rows["compared"] + rows["without_vector"] + rows["invalid_vector"]
    if rows["counted"] != read:
        text = f"the store counts {rows['counted']:,} rows, and {read:,} could be read"
        yield _fault("count_differs", None, f"{text}: if nothing was written meanwhile, rows are lost")


def _more(total: int, listed: int) -> str:
    return ", …" if total > listed else ""


def _unreachable_text(report: Report, reach: Mapping[str, Any]) -> str:
    share = reach["unreachable"] / reach["rows"]
    low, high = reach["interval"]
    words = next((name for value, name in _SHARES.items() if abs(share / value - 1) < 0.2), "")
    name = f"about {words} of the rows" if words else f"{share:.2%} of the rows"
    search = report["searches"][0]
    widest = "" if search["widest"] is None else f", nor by the widest search ({search['widest']})"
    return (
        f"{name} cannot be reached by search: {reach['unreachable']:,} of {reach['rows']:,} random rows were not found "
        f"by their own vectors{widest}; that is {share:.1%} (95 % interval {low:.1%} to {high:.1%}), such as "
        f"{', '.join(reach['examples'])}. What helps: {search['rebuild']}"
    )


def _group_faults(report: Report, group: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    condition, k = group["filter"], report["k"]
    name = "the search" if condition is None else f"the filter {show_filter(condition)}"
    if group["too_few"]:
        passing = _range(group["passing"])
        code = "search_loses_rows" if condition is None else "filter_loses_rows"
        text = (
            f"{name} loses rows: {group['too_few']:,} of {group['questions']:,} questions got fewer than the {k} rows "
            f"that they asked for, {group['returned']:.1f} on average, although {passing} rows "
            f"{'can be compared' if condition is None else 'pass'}"
        )
        yield _fault(code, condition, text)
    if group["outside_filter"]:
        text = f"{name} lets wrong rows through: {group['outside_filter']:,} results do not pass it"
        yield _fault("filter_lets_through", condition, text)
    if group["unknown"]:
        text = (
            f"{name} returns rows that the store does not list, {group['unknown']:,} results: deleted, or just written"
        )
        yield _fault("unknown_rows", condition, text)
    recall = group["recall"]["mean"]
    if recall is not None and recall < LOW_RECALL:
        yield _fault("low_recall", condition, f"{name} misses rows: recall@{k} is {recall:.3f}{_cause(group)}")


def _cause(group: Mapping[str, Any]) -> str:
    """Return what the widest search says about the cause of a low recall."""
    widest = group["widest"]
    if not widest["questions"]:
        return ""
    before, after = widest["recall"], widest["recall_of_widest"]
    figures = (
        f"of {widest['questions']:,} questions that missed a row, it raises the recall from {before:.3f} to {after:.3f}"
    )
    if after - before > (1 - before) / 2:
        return f". The search is too narrow: the widest search finds most of what is missing ({figures})"
    return f". A wider search does not help ({figures}): the index itself lacks rows, or links to them"


def _range(bounds: Sequence[int]) -> str:
    low, high = bounds
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
