"""Tasks of somebody with their own data, each from a service without collections, in a real browser."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from softkv_service.api.routes.page import WEB
from tests.browser.conftest import PHONE, PROJECTOR
from tests.browser.explore.conftest import LATE, Explore, tab_to
from tests.running import RunningService

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROOT = Path(__file__).parents[3]
BOOKS = {
    "b0": ("relational databases", "A first course", {"year": 1993, "loc": {"page": 7, "room": "north"}}),
    "b1": ("keeping cats", "Feline care", {"year": 2004, "loc": {"page": 12, "room": "south"}}),
    "b2": ("how lions hunt", "Lions of the savannah", {"year": 2011, "loc": {"page": 3, "room": "south"}}),
    "b3": ("training dogs", "A patient dog", {"year": 2001, "loc": {"page": 40, "room": "north"}}),
    "b4": ("growing tomatoes", "The kitchen garden", {"year": 1988, "loc": {"page": 9, "room": "north"}}),
}
QUESTION = "what does a cat need?"
ASKED = f"#collection=books&q={QUESTION}"
WITH_KEYS: dict[str, Any] = {"api_keys": ("a-writing-key",), "read_keys": ("a-reading-key",)}


@pytest.fixture
def books(writer: httpx.Client) -> httpx.Client:
    """A client of a service that has a collection of five books."""
    fill(writer)
    return writer


def fill(client: httpx.Client) -> None:
    """Make the collection of books."""
    client.put("/v1/collections/books", json={}).raise_for_status()
    rows = [{"id": name, "key": key, "value": value, "metadata": given} for name, (key, value, given) in BOOKS.items()]
    client.post("/v1/collections/books/documents", json={"documents": rows}).raise_for_status()


def named(text: str) -> str:
    """Return a text without the marks that keep the direction of names."""
    return text.translate({0x2068: None, 0x2069: None})


def shown(page: Page) -> dict[str, float]:
    """Return the weight of each result that the page shows, by its id, in their order."""
    found: dict[str, float] = page.evaluate(
        "() => Object.fromEntries([...document.querySelectorAll('#results .match[data-id]')].map("
        "(item) => [item.dataset.id, Number(item.dataset.weight)]))"
    )
    return found


def first_is(page: Page, identifier: str) -> None:
    """Wait until a document is the first result."""
    page.wait_for_function("(id) => document.querySelector('#results .match')?.dataset.id === id", arg=identifier)


def ask(page: Page, question: str) -> None:
    """Type a question and send it."""
    page.fill("#question", question)
    page.click("#ask")


def test_find_a_document_and_see_why_it_won(explore: Explore, books: httpx.Client) -> None:
    page = explore("#collection=books").page
    ask(page, QUESTION)
    first_is(page, "b1")
    asked = {"query": QUESTION, "include": ["key", "value", "metadata", "explanation"], **LATE}
    answer = books.post("/v1/collections/books/attend", json=asked).json()
    assert shown(page) == pytest.approx({match["id"]: match["weight"] for match in answer["matches"]}, abs=1e-9)
    strip = page.locator("#strip").inner_text()
    assert strip.startswith("One stands out · none ")
    best = answer["matches"][0]
    assert f"“{best['key']}” ({best['id']})" in named(strip), "the verdict names the key, and the id behind it"
    books.put("/v1/collections/books/documents/copy", json={"key": "keeping cats"}).raise_for_status()
    page.reload()
    page.wait_for_function("() => document.querySelector('#strip')?.textContent.startsWith('Several that say nearly')")
    assert "as if 2.0 shared it evenly" in page.inner_text("#strip")
    books.delete("/v1/collections/books/documents/copy").raise_for_status()
    page.reload()
    first_is(page, "b1")
    page.click("#raw")
    came = json.loads(page.locator(".raw code").inner_text())
    assert came["certificate"] == answer["certificate"]
    assert came["matches"] == answer["matches"]
    assert page.inner_text("#ordering") == "Choose a row: why this weight"
    page.click("#results .match:first-child button")
    page.wait_for_selector("#sum")
    (match,) = books.post(
        "/v1/collections/books/attend", json={"query": QUESTION, "include": ["explanation"], "top_k": 1, **LATE}
    ).json()["matches"]
    lines = dict(row.inner_text().split("\t") for row in page.locator("#sum tr").all())
    assert float(lines["logit"]) == pytest.approx(match["explanation"]["logit"], abs=6e-4)
    assert lines["similarity"] == f"{match['similarity']:.4f}"
    # Without "cat" the book about cats is no longer the answer: the page says that this word counts most.
    assert "Without “cat”" in page.locator("#left-out").inner_text()
    # Nearest to it is the other book about cats, never the book itself.
    near = page.locator("#near .key").all_inner_texts()
    assert near[0] == "training dogs" or near[0] == "how lions hunt"
    assert "keeping cats" not in near


def test_the_verdict_none_has_its_reason_and_three_ways_on(explore: Explore, books: httpx.Client) -> None:
    page = explore(f"{ASKED}&null=0.95").page
    page.wait_for_selector("#way-lenient")
    where = page.url
    answer = books.post("/v1/collections/books/attend", json={"query": QUESTION, "null": 0.95, **LATE}).json()
    keys = {f"“{match['id']}”": f"“{match['key']}” ({match['id']})" for match in answer["matches"]}
    expected = re.sub("“[^”]*”", lambda found: keys.get(found[0], found[0]), answer["reason"])
    assert named(page.inner_text("#strip .reason")) == expected
    similarities = [line.inner_text().split()[-1] for line in page.locator("#results [data-id] .likeness").all()]
    assert similarities == [f"{match['similarity']:.3f}" for match in answer["matches"]]
    assert page.inner_text("#results .other .likeness").split()[-1] == "0.950"
    page.click("#way-lenient")
    page.wait_for_selector("#ways", state="hidden")
    assert "&null=lenient" in page.url
    assert page.evaluate("document.activeElement.id") == "null"
    page.goto(where)
    page.click("#way-off")
    page.wait_for_function("() => document.querySelector('#strip').dataset.verdict !== 'none'")
    assert page.locator("#results .other").count() == 0
    page.goto(where)
    page.click("#way-calibrate")
    page.wait_for_selector("#labels")


@pytest.mark.parametrize("size", [PROJECTOR, PHONE])
@pytest.mark.parametrize("temperature", ["inf", "1.07"])
def test_a_hot_answer_shows_no_similarity_that_no_key_can_have(
    explore: Explore, books: httpx.Client, temperature: str, size: tuple[int, int]
) -> None:
    page = explore(f"{ASKED}&t={temperature}&null=lenient&twice=off", size).page
    page.wait_for_selector("[data-weight]")
    body = {"query": QUESTION, "null": "lenient", "temperature": 1.07}
    assert books.post("/v1/collections/books/attend", json=body).json()["evidence"]["null_similarity"] > 1
    assert page.locator(".match.other .likeness").last.inner_text() == "–"
    reason = page.locator("#strip .reason").first.inner_text()
    assert "where “none of these” lies" not in reason
    assert "max_error" not in reason
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]


def test_an_answer_is_saved_with_its_weights(explore: Explore, books: httpx.Client) -> None:
    given = {"＝a": "+1", "n": -2}
    formula = {"id": "f1", "key": "=HYPERLINK(1) cats and dogs", "value": "＝1+2", "metadata": given}
    books.post("/v1/collections/books/documents", json={"documents": [formula]}).raise_for_status()
    page = explore("#collection=books&q=cats and dogs&k=20").page
    page.wait_for_selector("#results .match[data-id=f1]")
    with page.expect_download() as saved:
        page.click("#save-answer")
    text = Path(saved.value.path()).read_text(encoding="utf-8-sig")
    rows = {row["id"]: row for row in csv.DictReader(io.StringIO(text, newline=""))}
    assert (rows["f1"]["key"], rows["f1"]["value"]) == ("'=HYPERLINK(1) cats and dogs", "'＝1+2")
    assert (rows["f1"]["metadata.＝a"], rows["f1"]["metadata.n"]) == ("'+1", "-2")
    asked = {"query": "cats and dogs", "top_k": 20, **LATE}
    matches = books.post("/v1/collections/books/attend", json=asked).json()["matches"]
    assert {one["id"]: float(rows[one["id"]]["weight"]) for one in matches} == {
        one["id"]: pytest.approx(one["weight"], abs=1e-9) for one in matches
    }
    assert "3 texts begin with an apostrophe" in page.inner_text("#save-answer + span")


def test_an_empty_collection_offers_an_upload(explore: Explore, writer: httpx.Client) -> None:
    writer.put("/v1/collections/nothing", json={}).raise_for_status()
    page = explore("#collection=nothing&q=cats").page
    page.click("#fill")
    page.wait_for_selector("#choose")


def test_a_question_of_another_script_gets_a_warning(explore: Explore, books: httpx.Client) -> None:
    page = explore("#collection=books&q=tea 怎么泡绿茶").page
    page.wait_for_selector("#strip >> text=This encoder does not read", timeout=30_000)
    page.evaluate("window.location.hash = '#collection=books&q=tea'")
    page.wait_for_selector("text=This encoder does not read this script.", state="detached")


def test_filter_by_a_nested_field(explore: Explore, books: httpx.Client) -> None:
    page = explore(ASKED).page
    first_is(page, "b1")
    page.click("#filter-add")
    page.wait_for_selector("#filter-field-0 option[value='metadata.loc.room']", state="attached")
    page.select_option("#filter-field-0", "metadata.loc.room")
    page.select_option("#filter-operator-0", "==")
    page.fill("#filter-value-0", "north")
    page.keyboard.press("Tab")
    page.wait_for_function("() => document.querySelectorAll('#results .match[data-id]').length === 3")
    assert shown(page).keys() == {"b0", "b3", "b4"}
    assert page.inner_text("#judging") == "Does one answer? Mark results with ✓ or ✗."
    # A second condition, of a number: both hold, or either does.
    page.click("#filter-add")
    page.select_option("#filter-field-1", "metadata.loc.page")
    page.select_option("#filter-operator-1", "<")
    page.fill("#filter-value-1", "8")
    page.keyboard.press("Tab")
    page.wait_for_function("() => document.querySelectorAll('#results .match[data-id]').length === 1")
    page.select_option("#filter-join", "OR")
    page.wait_for_function("() => document.querySelectorAll('#results .match[data-id]').length === 4")
    # A value of a document becomes one more condition.
    page.click("#results .match:first-child button")
    page.click("#document dl div:has-text('year') .only")
    page.wait_for_function("() => document.querySelectorAll('#results .match[data-id]').length === 1")
    page.click("#filter-json")
    assert json.loads(page.input_value("#filter-text"))["operator"] == "AND"
    page.go_back()
    page.wait_for_function("() => document.querySelectorAll('#results .match[data-id]').length === 4")
    # The link has the filter, and so has the tab of the documents.
    again = explore(page.url[page.url.index("#") :]).page
    again.click("#tab-documents")
    again.wait_for_selector("tr[data-id]")
    assert [row.get_attribute("data-id") for row in again.locator("#stage tbody tr").all()] == ["b0", "b2", "b3", "b4"]


def test_edit_a_value_and_ask_again(explore: Explore, books: httpx.Client) -> None:
    opened = explore(f"{ASKED}&doc=b1")
    page = opened.page
    first_is(page, "b1")
    page.click("#edit")
    page.fill("#edit-metadata", "{year: 2004}")
    page.click("#save")
    assert "no JSON" in page.locator("#edit-metadata-problem").inner_text()
    assert books.get("/v1/collections/books/documents/b1").json()["metadata"]["year"] == 2004
    page.fill("#edit-value", "Care of a feline")
    page.fill("#edit-metadata", json.dumps({"year": 2005, "loc": {"page": 12}}))
    page.click("#save")
    page.wait_for_function("() => document.querySelector('#results .value')?.textContent === 'Care of a feline'")
    page.wait_for_function("() => document.querySelector('#saved').textContent === 'Saved.'")
    document = books.get("/v1/collections/books/documents/b1").json()
    assert document["value"] == "Care of a feline"
    assert document["metadata"] == {"year": 2005, "loc": {"page": 12}}
    # Another key makes it another answer.
    page.click("#edit")
    page.fill("#edit-key", "sailing alone")
    page.click("#save")
    page.wait_for_function("() => document.querySelector('#results .match')?.dataset.id !== 'b1'")


def test_a_conflicting_edit_shows_both_versions(explore: Explore, books: httpx.Client) -> None:
    page = explore("#collection=books&doc=b1").page
    page.click("#edit")
    page.fill("#edit-value", "mine")
    books.patch("/v1/collections/books/documents/b1", json={"value": "theirs"}).raise_for_status()
    page.click("#save")
    page.wait_for_selector("#conflict-mine")
    assert "theirs" in page.locator("#edit-told").inner_text()
    assert books.get("/v1/collections/books/documents/b1").json()["value"] == "theirs"
    page.click("#conflict-mine")
    page.wait_for_function("() => document.querySelector('#document p.value')?.textContent === 'mine'")
    assert books.get("/v1/collections/books/documents/b1").json()["value"] == "mine"


def test_an_edit_of_a_lost_service_is_kept(explore: Explore, books: httpx.Client) -> None:
    opened = explore("#collection=books&doc=b1")
    page = opened.page
    page.click("#edit")
    page.fill("#edit-value", "typed in the tunnel")
    page.keyboard.press("Escape")
    page.context.set_offline(True)
    page.click("#save")
    page.wait_for_selector("#edit-told .problem")
    assert "does not answer" in page.locator("#edit-told").inner_text()
    page.context.set_offline(False)
    page.click("#save")
    page.wait_for_function("() => document.querySelector('#document p.value')?.textContent === 'typed in the tunnel'")
    assert books.get("/v1/collections/books/documents/b1").json()["value"] == "typed in the tunnel"
    opened.errors[:] = [error for error in opened.errors if "INTERNET_DISCONNECTED" not in error]


def test_delete_names_the_document_and_asks_first(explore: Explore, books: httpx.Client) -> None:
    opened = explore(f"{ASKED}&doc=b1")
    page = opened.page
    page.click("#delete")
    question = page.locator("#delete-question").inner_text()
    assert "b1" in question
    assert "books" in question
    page.click("#delete-keep")
    assert books.get("/v1/collections/books/documents/b1").status_code == 200
    page.click("#delete")
    page.click("#delete-sure")
    page.wait_for_selector("#document", state="hidden")
    page.wait_for_function("() => !document.querySelector('#results .match[data-id=b1]')")
    assert books.get("/v1/collections/books/documents/b1").status_code == 404
    page.wait_for_function("() => document.querySelector('#collections [aria-current] .size').textContent === '4'")


@pytest.mark.parametrize("language", ["python", "curl", "typescript"])
def test_copy_the_call_and_run_it(explore: Explore, books: httpx.Client, tmp_path: Path, language: str) -> None:
    condition = {"field": "metadata.loc.room", "operator": "==", "value": "south"}
    bias = [{"field": "metadata.year", "half_life": 20}]
    where = f"{ASKED} It's “true”&t=0.2&words=0.1&k=2&null=0.3&filter={json.dumps(condition)}&bias={json.dumps(bias)}"
    page = explore(where, permissions=["clipboard-read", "clipboard-write"]).page
    page.wait_for_function("() => document.querySelectorAll('#results .match[data-id]').length === 2")
    page.click(f"#code-{language}")
    page.click("#copy")
    page.wait_for_function("() => document.querySelector('.call .told').textContent === 'Copied'")
    code = page.evaluate("navigator.clipboard.readText()")
    assert code == page.locator("#code").inner_text()
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "clients" / "python")}
    if language == "typescript":
        if not (node := shutil.which("node")):
            pytest.skip("no Node.js")
        shutil.copytree(WEB / "vendor" / "softkv", module := tmp_path / "node_modules" / "softkv")
        (module / "package.json").write_text('{"name": "softkv", "type": "module", "exports": "./softkv.js"}')
        (tmp_path / "ask.mjs").write_text(code)
        command = [node, "ask.mjs"]
    else:
        command = [sys.executable, "-c", code] if language == "python" else ["sh", "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    if language == "curl":
        found = {match["id"]: match["weight"] for match in json.loads(done.stdout)["matches"]}
    else:
        found = {line.split()[0]: float(line.split()[1]) for line in done.stdout.splitlines()}
    assert list(found) == list(shown(page))
    assert found == pytest.approx(shown(page), abs=1e-9)


def test_every_option_reaches_the_call(explore: Explore, books: httpx.Client) -> None:
    page = explore(ASKED).page
    first_is(page, "b1")
    page.click("#code-json")
    page.evaluate(
        "() => { const knob = document.querySelector('#temperature'); knob.value = '0';"
        " knob.dispatchEvent(new Event('input')); }"
    )
    page.select_option("#null", "off")
    page.fill("#top-k", "3")
    page.click(".more summary")
    page.fill("#words", "0.2")
    page.keyboard.press("Tab")
    page.wait_for_function("() => document.querySelector('#code').textContent.includes('full_text')")
    body = json.loads(page.locator("#code").inner_text())
    expected = {"query": QUESTION, "temperature": 0, "null": False, "top_k": 3, "full_text": 0.2}
    assert body == expected | {"rerank": None}
    page.wait_for_function("() => document.querySelectorAll('#results .match[data-id]').length === 3")
    assert next(iter(shown(page).values())) == 1
    assert "none" not in page.locator("#strip").inner_text()
    page.click("#bias-add")
    page.select_option("#bias-field-0", "metadata.year")
    page.select_option("#bias-kind-0", "linear")
    page.fill("#bias-number-0", "0.5")
    page.keyboard.press("Tab")
    page.wait_for_function("() => document.querySelector('#code').textContent.includes('factor')")
    assert json.loads(page.locator("#code").inner_text())["bias"] == [{"field": "metadata.year", "factor": 0.5}]


def test_a_refusal_is_shown_in_place_and_back_leads_to_the_previous_answer(
    explore: Explore, books: httpx.Client
) -> None:
    opened = explore(f"{ASKED}&t=0.2")
    page = opened.page
    first_is(page, "b1")
    condition = json.dumps({"field": "metadata.year", "operator": "~", "value": 1})
    page.evaluate("(hash) => { window.location.hash = hash; }", f"{ASKED}&filter={condition}")
    page.wait_for_function("() => document.querySelector('#strip').textContent.startsWith('The service refused')")
    assert "operator" in page.locator("#strip").inner_text()
    page.click("#tab-documents")
    page.wait_for_function("() => document.querySelector('#page')?.textContent.startsWith('The service refused')")
    page.go_back()
    page.go_back()
    first_is(page, "b1")
    assert page.input_value("#question") == QUESTION
    opened.errors[:] = [error for error in opened.errors if "422" not in error]


def test_ask_a_collection_of_vectors_with_numbers(explore: Explore, writer: httpx.Client) -> None:
    writer.put("/v1/collections/vectors", json={"encoder": None, "dimension": 2}).raise_for_status()
    rows = [{"id": "east", "key_vector": [1, 0]}, {"id": "north", "key_vector": [0, 1]}]
    writer.post("/v1/collections/vectors/documents", json={"documents": rows}).raise_for_status()
    page = explore("#collection=vectors").page
    ask(page, "somewhere")
    assert "list of numbers" in page.locator("#strip").inner_text()
    ask(page, "0.1, 2")
    first_is(page, "north")
    page.click("#results .match:first-child button")
    page.wait_for_selector("#sum")


def test_a_read_key_sees_a_read_only_explorer(explore: Explore, tmp_path: Path) -> None:
    with RunningService(data_dir=tmp_path, **WITH_KEYS) as keyed:
        keyed.wait_until_ready()
        with keyed.client(headers={"Authorization": "Bearer a-writing-key"}) as client:
            fill(client)
        opened = explore(f"{ASKED}&doc=b1", origin=keyed.url, ready="() => document.querySelector('#api-key')")
        page = opened.page
        page.fill("#api-key", "a-key-of-no-one")
        page.keyboard.press("Enter")
        page.wait_for_function("() => document.querySelector('.keybox label')?.textContent.includes('does not know')")
        page.fill("#api-key", "a-reading-key")
        page.keyboard.press("Enter")
        first_is(page, "b1")
        page.wait_for_selector("#sum")
        assert page.locator("#access").inner_text() == "This key only reads: nothing can be changed here."
        assert not page.locator("#edit, #save, #delete").count()
        assert page.locator(".center > .tabs [role=tab]").all_inner_texts() == ["Ask", "Documents"]
        # The program reads the key from its environment, as the client does: it is in no code.
        for language in ("json", "curl", "python", "typescript"):
            page.click(f"#code-{language}")
            assert "a-reading-key" not in page.locator("#code").inner_text()
        page.click("#key")
        page.fill("#api-key", "a-writing-key")
        page.keyboard.press("Enter")
        page.wait_for_selector("#delete")
        assert not page.locator("#access").count()
        opened.errors[:] = [error for error in opened.errors if "401" not in error]


def test_recover_from_a_lost_service(explore: Explore, tmp_path: Path) -> None:
    first = RunningService(data_dir=tmp_path)
    with first:
        first.wait_until_ready()
        with first.client() as client:
            fill(client)
        opened = explore("#collection=books", origin=first.url)
        page = opened.page
        page.wait_for_selector("#question")
    ask(page, QUESTION)
    page.wait_for_selector("#away")
    page.fill("#question", "how do lions hunt?")
    with RunningService(port=first.port, data_dir=tmp_path) as second:
        second.wait_until_ready()
        # What was asked meanwhile is answered, and what was typed since is still there.
        first_is(page, "b1")
        page.wait_for_selector("#away", state="detached")
        assert page.input_value("#question") == "how do lions hunt?"
        page.click("#ask")
        first_is(page, "b2")
        opened.errors[:] = [error for error in opened.errors if "CONNECTION" not in error and "503" not in error]


def test_a_whole_task_with_the_keyboard_alone(explore: Explore, books: httpx.Client) -> None:
    books.put("/v1/collections/vectors", json={"encoder": None, "dimension": 2}).raise_for_status()
    page = explore("#collection=books").page
    press, active = page.keyboard.press, "document.activeElement.id"

    tab_to(page, "#collections a[href*=vectors]")
    press("Enter")
    page.wait_for_function("() => document.activeElement.matches('#collections a[href*=vectors][aria-current]')")
    press("Shift+Tab")
    press("Enter")
    page.wait_for_function("() => document.activeElement.matches('#collections a[href*=books][aria-current]')")
    tab_to(page, "#tab-ask")
    press("ArrowRight")
    page.wait_for_selector("tr[data-id=b0]")
    press("ArrowLeft")
    page.wait_for_selector("#question")
    tab_to(page, "#question")
    page.keyboard.type(QUESTION)
    press("Enter")
    first_is(page, "b1")
    tab_to(page, "#temperature")
    for _ in range(60):
        press("ArrowRight")
    page.wait_for_function("() => Number(document.querySelector('#results .match').dataset.weight) < 0.9")
    tab_to(page, "#results button")
    press("Enter")
    page.wait_for_selector("#sum")
    tab_to(page, "#edit")
    press("Enter")
    tab_to(page, "#edit-value")
    press("Control+A")
    page.keyboard.type("With the keyboard alone")
    tab_to(page, "#save")
    press("Enter")
    page.wait_for_function("() => document.querySelector('#results .value')?.textContent === 'With the keyboard alone'")
    page.wait_for_selector("#delete")
    tab_to(page, "#delete")
    press("Enter")
    assert page.evaluate(active) == "delete-keep"
    press("Enter")
    assert page.evaluate(active) == "delete"
    press("Escape")
    page.wait_for_selector("#document", state="hidden")
    assert page.evaluate("document.activeElement.closest('#stage') !== null")


def test_groups_of_a_field_stand_beside_the_results_and_limit_the_question(
    books: httpx.Client, explore: Explore
) -> None:
    """The weights of groups are those of the API; a click limits the question to one, the next takes that back."""
    page = explore(f"{ASKED}&null=off&t=0.5").page
    page.locator("#group").focus()
    page.wait_for_selector("#group option[value='metadata.loc.room']", state="attached")
    page.locator("#group").select_option("metadata.loc.room")
    page.wait_for_selector("#groups .group")
    fields = {"query": QUESTION, "null": False, "temperature": 0.5, "group_by": {"field": "metadata.loc.room"}, **LATE}
    answer = books.post("/v1/collections/books/attend", json=fields).json()
    expected = [group["value"] for group in answer["group_by"]["groups"]]
    assert page.locator("#groups .group .name").all_inner_texts() == expected
    page.locator("#groups .group", has_text="south").click()
    page.wait_for_function("() => document.querySelectorAll('#results .match[data-id]').length === 2")
    assert set(shown(page)) == {"b1", "b2"}
    page.locator("#groups .group[aria-pressed='true']").click()
    page.wait_for_function("() => document.querySelectorAll('#results .match[data-id]').length === 5")
