"""The report: planted faults are named, and all figures follow from the data of every question."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import numpy as np
import pytest

from extensions.referee.tests.index_check.listed import ListedStore
from softkv import Invalid
from softkv.tables import Asked
from softkv_referee.index_check import check_index, compare, summarise, to_markdown
from softkv_referee.stores import StoreError

N, WIDTH = 600, 8


def vectors(n: int = N) -> Any:
    return np.random.default_rng(3).standard_normal((n, WIDTH)).astype(np.float32)


def asked(number: int = 40) -> list[Asked]:
    queries = np.random.default_rng(4).standard_normal((number, WIDTH))
    return [Asked(f"q{row}", f"line {row + 1}", vector=query) for row, query in enumerate(queries)]


def report(store: ListedStore, questions: list[Asked] | None = None, **options: Any) -> dict[str, Any]:
    """Return a report as it comes back from its file."""
    checked = check_index(store, asked() if questions is None else questions, **{"k": 10, **options})
    back: dict[str, Any] = json.loads(json.dumps(checked))
    return back


def codes(store: ListedStore, **options: Any) -> set[str]:
    return {fault["code"] for fault in summarise(report(store, **options))["faults"]}


def test_an_exact_search_has_no_fault() -> None:
    checked = report(ListedStore(vectors()), conditions=[7])
    summary = summarise(checked)
    assert summary["faults"] == []
    assert [group["recall"]["mean"] for group in summary["groups"]] == [1, 1]
    assert [group["passing"] for group in summary["groups"]] == [[N, N], [86, 86]]
    assert summary["reach"]["unreachable"] == 0
    assert all(record["missed_weight"] <= record["weight_bound"] + 1e-12 for record in checked["questions"])


@pytest.mark.parametrize(
    ("store", "expected"),
    [
        (ListedStore(vectors(), lost=range(0, N, 10)), {"unreachable_rows"}),
        (ListedStore(vectors(), filtered_afterwards=True), {"filter_loses_rows", "low_recall"}),
        (ListedStore(vectors(), ghosts=["gone"]), {"unknown_rows"}),
        (ListedStore(vectors(), ignores_filters=True), {"filter_lets_through", "low_recall"}),
        (ListedStore(vectors(), extra=3), {"count_differs"}),
        (ListedStore(vectors(), narrow=range(0, N, 3)), {"low_recall"}),
    ],
    ids=["lost", "filtered afterwards", "ghosts", "ignored filter", "uncounted", "narrow"],
)
def test_a_planted_fault_is_named(store: ListedStore, expected: set[str]) -> None:
    conditions = [5] if store.filtered_afterwards or store.ignores_filters else []
    found_codes = codes(store, conditions=conditions)
    assert expected <= found_codes
    assert found_codes - expected <= {"low_recall", "unknown_rows"}


def test_a_low_recall_has_its_cause() -> None:
    narrow = summarise(report(ListedStore(vectors(), narrow=range(0, N, 3))))["faults"]
    assert [fault["code"] for fault in narrow] == ["low_recall"]
    assert "The search is too narrow" in narrow[0]["text"]
    lost = summarise(report(ListedStore(vectors(), lost=range(0, N, 3))))["faults"]
    texts = {fault["code"]: fault["text"] for fault in lost}
    assert "A wider search does not help" in texts["low_recall"]
    assert texts["unreachable_rows"].startswith("about a third of the rows cannot be reached by search")


def test_copies_of_a_row_cause_no_fault() -> None:
    keys = vectors()
    keys[:30] = keys[0]  # any ten of them are right
    store = ListedStore(keys, lost=range(15))
    checked = report(store, [Asked("copies", "line 1", vector=keys[0].astype(np.float64))])
    assert summarise(checked)["groups"][0]["recall"]["mean"] == 1
    assert summarise(checked)["faults"] == []


@pytest.mark.parametrize(("n", "core"), [(N, False), (N, True), (40_000, True)])
def test_the_weight_missed_is_that_of_the_rows(n: int, core: bool) -> None:
    keys = vectors(n)
    query = np.random.default_rng(4).standard_normal(WIDTH)
    values = keys @ query / np.linalg.norm(keys.astype(np.float64), axis=1) / np.linalg.norm(query)
    order = np.argsort(-values)
    weights = np.exp(values / 0.05)
    weights /= weights.sum()
    store, question = ListedStore(keys, lost=order[:2]), Asked("q", "line 1", vector=query)
    (record,) = report(store, [question], k=5, probes=0, core=core)["questions"]
    assert record["hits"] == 3
    missed = weights[order[:2]].sum() - weights[order[5:7]].sum()
    assert abs(record["missed_weight"] - missed) <= record["weight_bound"] < 0.05 * missed


def test_every_figure_of_the_markdown_follows_from_the_questions() -> None:
    checked = report(ListedStore(vectors(), lost=range(0, N, 4)), conditions=[6])
    text = to_markdown(checked)
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| ")]
    shown = {row[0]: row[1:] for row in rows if len(row) == 8}
    for condition in (None, 6):
        records = [record for record in checked["questions"] if record["filter"] == condition]
        recalls = [record["hits"] / len(record["exact"]) for record in records]
        missed = [record["missed_weight"] for record in records]
        mean, error = np.mean(recalls), np.std(recalls, ddof=1) / math.sqrt(len(recalls))
        cells = shown["none" if condition is None else f"`{condition}`"]
        assert cells[0] == str(len(records))
        assert cells[2] == f"{mean:.4f} ± {error:.4f}"
        assert cells[3] == str(sum(record["hits"] == 0 for record in records))
        assert cells[4] == str(sum(len(record["returned"]) < 10 for record in records))
        assert cells[5].startswith(f"{np.mean(missed):.5f} ± ")
        assert cells[6] == f"{max(missed):.5f}"
    lost = [row for row in checked["probes"]["rows"] if not row["found"] and not row["found_by_widest"]]
    assert f"{len(lost)} not by the widest search either" in text
    worst = min(
        checked["questions"], key=lambda record: (record["hits"] / len(record["exact"]), -record["missed_weight"])
    )
    first = re.search(r"## Worst questions\n\n.*\n.*\n\| (\w+) \|", text)
    assert first is not None
    assert first[1] == worst["question"]


def test_two_runs_are_compared_question_by_question() -> None:
    before = report(ListedStore(vectors(), lost=range(0, N, 4)))
    after = report(ListedStore(vectors()))
    compared = compare(before, after)
    recalls = [record["hits"] / 10 for record in before["questions"]]
    assert compared["recall"]["mean"] == pytest.approx(1 - np.mean(recalls))
    assert (compared["better"], compared["worse"]) == (sum(recall < 1 for recall in recalls), 0)
    assert any("cannot be reached by search" in text for text in compared["faults_gone"])
    back = compare(after, before)
    assert back["worse"] == compared["better"]
    assert "## Beside the run before" in to_markdown(before | {"compared": back})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"softkv_check_index": 9}, "is not a report"),
        ({"k": 3}, "--before asked for 3 rows and this run for 10"),
        ({"questions": []}, "--before has none of these questions"),
    ],
)
def test_reports_that_cannot_be_compared_are_refused(change: dict[str, Any], says: str) -> None:
    after = report(ListedStore(vectors()), asked(2), probes=0)
    with pytest.raises(Invalid) as raised:
        compare(after | change, after)
    assert says in str(raised.value)


def test_a_store_without_vectors_is_refused() -> None:
    with pytest.raises(StoreError, match=r"the collection has no vectors \(0 rows\)"):
        report(ListedStore(vectors(0)))


def test_more_results_than_rows_cause_no_fault() -> None:
    checked = report(ListedStore(vectors(4)), k=10)
    assert {len(record["exact"]) for record in checked["questions"]} == {4}
    assert summarise(checked)["faults"] == []
