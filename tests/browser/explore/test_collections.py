"""Collections in the explorer: made, filled from a file at once, settled, and deleted by their names."""

from __future__ import annotations

import httpx

from tests.browser.explore.conftest import Explore, tab_to

CREATED = "() => document.querySelector('#collections [aria-current] .name')?.textContent === 'books'"
CSV = b"id,title\na,keeping cats\nb,keeping dogs\n"


def test_an_empty_service_begins_with_a_collection_and_its_file(explore: Explore, writer: httpx.Client) -> None:
    page = explore("#tab=upload", ready="() => document.querySelector('#create')").page
    page.set_input_files("#file", {"name": "my books.csv", "mimeType": "text/csv", "buffer": CSV})
    assert page.input_value("#new-name") == "my-books"
    page.fill("#new-name", "books")
    page.click("#create")
    page.wait_for_function(CREATED)
    page.click("#send")
    page.wait_for_selector("#ask-it")
    assert writer.get("/v1/collections/books").json()["documents"] == 2
    page.click("#ask-it")
    page.wait_for_selector("#question")


def test_refusals_appear_beside_their_fields(explore: Explore, writer: httpx.Client) -> None:
    writer.put("/v1/collections/films", json={}).raise_for_status()
    opened = explore("#tab=new", ready="() => document.querySelector('#create')")
    page = opened.page
    for name, words in (("-films", "does not follow this rule"), ("films", "There is a collection films already")):
        page.fill("#new-name", name)
        page.click("#create")
        page.wait_for_function(f"() => document.querySelector('#new-name-problem').textContent.includes('{words}')")
        assert page.evaluate("document.activeElement.id") == "new-name"
    page.fill("#new-name", "books")
    page.select_option("#encoder", "none")
    page.fill("#dimension", "0")
    page.click("#stage summary")
    page.fill("#temperature", "-1")
    page.click("#create")
    page.wait_for_selector("#temperature[aria-invalid]")
    assert page.inner_text("#dimension-problem")
    assert page.inner_text("#temperature-problem")
    page.fill("#dimension", "3")
    page.fill("#temperature", "0.2")
    page.select_option("#similarity", "dot")
    page.select_option("#null", "number")
    page.fill("#null-level", "0.5")
    page.click("#create")
    page.wait_for_function(CREATED)
    made = writer.get("/v1/collections/books").json()
    wanted = {"encoder": None, "dimension": 3, "temperature": 0.2, "similarity": "dot", "null": 0.5}
    assert {name: made[name] for name in wanted} == wanted
    opened.errors[:] = [error for error in opened.errors if "422" not in error]


def test_settings_are_kept_and_a_refused_one_is_not(explore: Explore, writer: httpx.Client) -> None:
    writer.put("/v1/collections/books", json={}).raise_for_status()
    opened = explore("#collection=books&tab=settings")
    page = opened.page
    page.fill("#temperature", "-3")
    page.click("#keep")
    page.wait_for_selector("#temperature[aria-invalid]")
    page.fill("#temperature", "0.25")
    page.select_option("#null", "off")
    page.click("#keep")
    page.wait_for_function("() => document.querySelector('#kept').textContent.startsWith('Kept')")
    kept = writer.get("/v1/collections/books").json()
    assert (kept["temperature"], kept["null"]) == (0.25, False)
    opened.errors[:] = [error for error in opened.errors if "422" not in error]


def test_a_collection_is_deleted_by_its_name_with_the_keyboard(explore: Explore, writer: httpx.Client) -> None:
    writer.put("/v1/collections/books", json={}).raise_for_status()
    writer.put("/v1/collections/films", json={}).raise_for_status()
    page = explore("#collection=books&tab=settings").page
    tab_to(page, "#delete-name")
    page.keyboard.type("book")
    page.keyboard.press("Enter")
    assert page.is_disabled("#delete-collection")
    page.keyboard.type("s")
    tab_to(page, "#delete-collection")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.querySelectorAll('#collections .name').length === 1")
    assert [one["name"] for one in writer.get("/v1/collections").json()["collections"]] == ["films"]
    assert page.evaluate("document.activeElement.id") == "stage"
    assert "books" not in page.url


def test_an_address_names_a_collection_by_its_alias(explore: Explore, writer: httpx.Client) -> None:
    for name in ("books-1", "books-2"):
        writer.put(f"/v1/collections/{name}", json={"encoder": None}).raise_for_status()
        document = {"key_vector": [1, 0], "value": name}
        writer.put(f"/v1/collections/{name}/documents/a", json=document).raise_for_status()
    for alias in ("books", "reading"):
        writer.put(f"/v1/aliases/{alias}", json={"collection": "books-2"}).raise_for_status()
    page = explore("#collection=books").page
    page.wait_for_function(
        "() => document.querySelector('#collections [aria-current] .name')?.textContent === 'books-2'"
    )
    assert "collection=books-2" in page.url
    assert "books, reading" in page.inner_text("#collections .facts")
