"""The comparison of two reports, question by question."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from softkv.integrations import invalid_value
from softkv_referee.index_check.asking import FORMAT
from softkv_referee.index_check.summary import Report, mean_and_error, recall_of, summarise


def compare(before: Any, after: Report) -> dict[str, Any]:
    """Return how the questions of two reports differ: each pair, and the figures of all pairs.

    Args:
        before: a report that was read from a file.
        after: a later one.

    Raises:
        Invalid: `before` is not a report, or the two asked for another number of rows, or no question is in both.
    """
    if not isinstance(before, dict) or before.get("softkv_check_index") != FORMAT:
        raise invalid_value("", "--before is not a report of softkv check-index: expected the file of its --report")
    if before["k"] != after["k"]:
        raise invalid_value("", f"--before asked for {before['k']} rows and this run for {after['k']}: ask for as many")
    earlier = dict(_by_name(before))
    same_weights = (before["temperature"], before["similarity"]) == (after["temperature"], after["similarity"])
    pairs = [_pair(earlier[name], record, same_weights) for name, record in _by_name(after) if name in earlier]
    if not pairs:
        raise invalid_value("", "--before has none of these questions: compare reports of the same questions")
    with_recall = [pair for pair in pairs if pair["recall"] is not None]
    old, new = _faults(before), _faults(after)
    return {
        "pairs": pairs,
        "questions": len(pairs),
        "recall": mean_and_error([pair["recall"] for pair in with_recall]),
        "missed_weight": mean_and_error([p["missed_weight"] for p in pairs if p["missed_weight"] is not None]),
        "better": sum(pair["recall"] > 0 for pair in with_recall),
        "worse": sum(pair["recall"] < 0 for pair in with_recall),
        "faults_gone": [text for name, text in old.items() if name not in new],
        "faults_new": [text for name, text in new.items() if name not in old],
    }


def _by_name(report: Report) -> Iterator[tuple[tuple[str, str, int], Mapping[str, Any]]]:
    """Yield each question by its name, its filter, and how many of this name came before it."""
    seen: Counter[tuple[str, str]] = Counter()
    for record in report["questions"]:
        name = record["question"], json.dumps(record["filter"], sort_keys=True)
        yield (*name, seen[name]), record
        seen[name] += 1


def _pair(before: Mapping[str, Any], after: Mapping[str, Any], same_weights: bool) -> dict[str, Any]:
    """Return the differences of a question, after minus before."""
    recalls = recall_of(before), recall_of(after)
    return {
        "question": after["question"],
        "filter": after["filter"],
        "recall": None if recalls[0] is None or recalls[1] is None else recalls[1] - recalls[0],
        "missed_weight": after["missed_weight"] - before["missed_weight"] if same_weights else None,
    }


def _faults(report: Report) -> dict[tuple[str, str], str]:
    return {
        (fault["code"], json.dumps(fault["filter"], sort_keys=True)): fault["text"]
        for fault in summarise(report)["faults"]
    }
