"""The calibrate tab: questions as pasted, the report of the service, and a calibration that is kept and removed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.browser.explore.conftest import Explore

if TYPE_CHECKING:
    from playwright.sync_api import Page

SUBJECTS = [
    "cats",
    "dogs",
    "bees",
    "trains",
    "ships",
    "bread",
    "tea",
    "gardens",
    "stars",
    "rivers",
    "maps",
    "clocks",
    "violins",
    "horses",
    "paper",
]
VERBS = ("how to care for", "a short history of", "buying")
ABSENT = ("a licence for", "the taxation of", "songs without")
OTHERS = ["motorways", "aeroplanes", "parliaments", "satellites", "dentists"]
CALIBRATE = "#collection=books&tab=calibrate"


@pytest.fixture
def books(writer: httpx.Client) -> httpx.Client:
    """A client of a service that has a collection of a book on each subject."""
    writer.put("/v1/collections/books", json={}).raise_for_status()
    rows = [{"id": subject, "key": f"a book about {subject}"} for subject in SUBJECTS]
    writer.post("/v1/collections/books/documents", json={"documents": rows}).raise_for_status()
    return writer


def labelled() -> list[dict[str, Any]]:
    """Return questions that a book answers, and others."""
    answered = [{"query": f"{verb} {subject}", "id": subject} for subject in SUBJECTS for verb in VERBS]
    return answered + [{"query": f"{verb} {other}", "id": None} for other in OTHERS for verb in ABSENT]


def pasted(questions: list[dict[str, Any]]) -> str:
    return "\n".join(f"{one['query']},{one['id'] or ''}" for one in questions)


def fit(page: Page) -> None:
    page.click("#fit")
    page.wait_for_selector("#report .dumbbells")


def test_a_calibration_is_measured_kept_and_removed(explore: Explore, books: httpx.Client) -> None:
    questions = labelled()
    page = explore(CALIBRATE).page
    page.fill("#labels", f"question,id\n{pasted(questions)}")
    assert page.inner_text("#counted") == "60 questions: 45 with an answer, 15 without."
    fit(page)
    answer = books.post("/v1/collections/books/calibrate", json={"questions": questions}).json()
    for name in ("ece", "recall"):
        told = page.inner_text(f"#figure-{name} .number")
        shares = [percent(answer[when][name]["value"]) for when in ("before", "after")]
        assert told == " → ".join(shares)
    assert page.inner_text("#summary") == f"What the labels buy: {answer['summary']}."
    assert books.get("/v1/collections/books").json()["calibration"] is None
    assert answer["reason"] is None, "these questions are to be worth a calibration"
    page.click("#apply")
    page.wait_for_selector("#remove-calibration")
    assert books.get("/v1/collections/books").json()["calibration"]["labels"] == {"present": 45, "absent": 15}
    page.click("#remove-calibration")
    page.wait_for_selector("#remove-calibration", state="detached")
    assert books.get("/v1/collections/books").json()["calibration"] is None


def percent(share: float) -> str:
    """Return a share as the page writes it."""
    if share in (0, 1):
        return f"{share:.0%}"
    if share < 0.001:
        return "<0.1%"
    if share > 0.999:
        return ">99.9%"
    decimals = 1 if share < 0.1 or share > 0.99 else 0
    return f"{100 * share:.{decimals}f}%"


def test_lines_that_are_wrong_are_named(explore: Explore, books: httpx.Client) -> None:
    opened = explore(CALIBRATE)
    page = opened.page
    page.fill("#labels", "cats,cats\n,dogs\na, b, c\n")
    assert page.locator("#flaws li").all_inner_texts() == [
        "Line 2, skipped: There is no question.",
        "Line 3, skipped: Expected a question and an id. Put a question with a comma in quotation marks.",
    ]
    assert page.is_disabled("#fit")
    keyless = {"id": "dragons", "value": "without a key"}
    books.post("/v1/collections/books/documents", json={"documents": [keyless]}).raise_for_status()
    unknown = [{"query": f"buying {name}", "id": name} for name in ("unicorns", "dragons")]
    page.fill("#labels", f"{pasted([*labelled(), *unknown])}\na,b,c")
    fit(page)
    assert page.locator("#flaws li").all_inner_texts() == [
        "Line 61, skipped: No document with a key has the id “unicorns”. Correct the id, or delete the line.",
        "Line 62, skipped: No document with a key has the id “dragons”. Correct the id, or delete the line.",
        "Line 63, skipped: Expected a question and an id. Put a question with a comma in quotation marks.",
    ]
    page.fill("#labels", pasted([*labelled()[:19], *labelled()[-10:], *unknown]))
    page.click("#fit")
    page.wait_for_selector("#too-few")
    assert page.inner_text("#too-few").startswith("29 questions are left")
    opened.errors[:] = [error for error in opened.errors if "422" not in error]


def test_marks_beside_results_are_labels(explore: Explore, books: httpx.Client) -> None:
    page = explore("#collection=books&q=keeping cats").page
    page.click("#results [data-id=cats] .mark-of >> nth=0")
    page.wait_for_function("() => document.querySelector('#judged').textContent.startsWith('Kept')")
    assert page.get_attribute("#results [data-id=cats] .mark-of >> nth=0", "aria-pressed") == "true"
    ending = "with and 10 without an answer."
    page.wait_for_function("(text) => document.querySelector('#judged').textContent.endsWith(text)", arg=ending)
    assert "1 question has a label: 1 with an answer, 0 without. A calibration takes" in page.inner_text("#judged")
    for question, mark in (
        ("a law on taxes", "#nothing-fits"),
        ("old songs", "#results .match:first-child .mark-of >> nth=1"),
        ("iron", "#results .match:nth-child(2) .mark-of >> nth=1"),
    ):
        page.fill("#question", question)
        page.click("#ask")
        page.wait_for_function("(q) => document.querySelector('.call code').textContent.includes(q)", arg=question)
        page.wait_for_selector("#stage .tab:not([aria-busy])")
        page.click(mark)
        page.wait_for_selector(f"{mark.split(' >>')[0]}[aria-pressed=true]")
    records = books.get("/v1/collections/books/feedback").json()["feedback"]
    assert [(one["query"], one["right"]) for one in records] == [
        ("keeping cats", True),
        ("a law on taxes", True),
        ("old songs", False),
        ("iron", False),
    ]
    assert [one["id"] for one in records[:2]] == ["cats", None]
    page.click("#tab-calibrate")
    page.wait_for_selector("#marks:not([hidden])")
    # A first match that is wrong makes a question without an answer; from another wrong one nothing follows.
    assert page.inner_text("#marks").startswith("3 questions come from ✓, ✗ and “nothing fits”: 1 with an answer, 2 w")
    assert "From 1 more nothing follows yet" in page.inner_text("#marks")
    page.fill("#labels", "keeping cats,dogs\nbees,bees")
    assert page.inner_text("#counted").startswith("4 questions: 2 with an answer, 2 without.")


def test_many_marks_show_the_gain_of_a_calibration(explore: Explore, books: httpx.Client) -> None:
    feedback = [{**question, "right": True} for question in [*labelled()[:18], *labelled()[-11:]]]
    books.post("/v1/collections/books/feedback", json={"feedback": feedback}).raise_for_status()
    page = explore("#collection=books&q=keeping cats").page
    page.click("#results [data-id=cats] .mark-of >> nth=0")
    told = "30 questions have a label: 19 with an answer, 11 without. "
    page.wait_for_function("(told) => document.querySelector('#judged').textContent.includes(told)", arg=told)
    answer = books.post("/v1/collections/books/calibrate", json={"from": "feedback"}).json()
    told += f"What they would buy: {answer['summary']}."
    page.wait_for_function("(told) => document.querySelector('#judged').textContent.endsWith(told)", arg=told)


def test_a_file_of_lines_of_json_is_taken(explore: Explore, books: httpx.Client) -> None:
    page = explore(CALIBRATE).page
    lines = '{"query": "cats or dogs", "ids": ["cats", "dogs"]}\n\n{"query": "moons", "id": null}\n{"query": 3}\n'
    page.set_input_files("#labels-file", {"name": "labels.jsonl", "mimeType": "text/plain", "buffer": lines.encode()})
    page.wait_for_function("() => document.querySelector('#counted').textContent.startsWith('2 questions: 1 with')")
    assert page.inner_text("#flaws li").startswith("Line 4, skipped:")
