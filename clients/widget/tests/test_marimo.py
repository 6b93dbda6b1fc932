"""The widgets under marimo, whose cells follow what a reader drags."""

from __future__ import annotations

import os
from collections.abc import Callable

from tests.integrations.notebooks import Visit, drag, until

NOTEBOOK = f"""
import marimo

app = marimo.App()


@app.cell
def _():
    import marimo as mo
    from softkv import Client
    from softkv.widget import Heads, Lookup

    client = Client({os.environ["SOFTKV_URL"]!r})
    return Heads, Lookup, client, mo


@app.cell
def _(Lookup, client, mo):
    books = mo.ui.anywidget(Lookup.of_collection(client.collection("library"), "pets that purr"))
    books
    return (books,)


@app.cell
def _(books, mo):
    mo.md(f"{{books.query}} at {{books.temperature}}")
    return


@app.cell
def _(Heads, client, mo):
    heads = mo.ui.anywidget(Heads(client.trace("The dog chased the cat", layers=[0, 5])))
    heads
    return (heads,)


@app.cell
def _(heads, mo):
    mo.md(f"head {{heads.layer}}.{{heads.head}}")
    return
"""


def test_cells_follow_a_dragged_widget(marimo: Callable[[str], str], visit: Callable[..., Visit]) -> None:
    opened = visit()
    page = opened.page
    page.goto(marimo(NOTEBOOK))
    page.get_by_text("pets that purr at 0.05").wait_for()
    books, heads = (page.locator(".softkv-widget").nth(number) for number in (0, 1))
    books.locator(".thread").first.wait_for(state="attached")
    drag(opened, books.locator(".knob .handle").first, 0, -300)
    page.get_by_text("pets that purr at inf").wait_for()
    assert books.locator(".knob .told").text_content() == "T = ∞"
    field = books.locator("textarea")
    field.fill("whales")
    field.press("Enter")
    page.get_by_text("whales at inf").wait_for()
    heads.locator("[data-place='1,3']").click()
    page.get_by_text("head 1.3").wait_for()
    until(lambda: heads.locator(".map-place .told").inner_text().startswith("Layer 6, head 4"), "the head's name")
    assert heads.locator("button").last.bounding_box()["x"] < heads.evaluate(  # type: ignore[index]
        "host => host.getBoundingClientRect().right"
    )
    assert (opened.strangers, opened.errors) == ([], [])


def test_a_widget_is_dark_where_the_reader_wants_it(marimo: Callable[[str], str], visit: Callable[..., Visit]) -> None:
    dark = NOTEBOOK.replace(
        "import marimo\n", '# /// script\n# [tool.marimo.display]\n# theme = "dark"\n# ///\nimport marimo\n', 1
    )
    opened = visit()
    opened.page.goto(marimo(dark))
    widget = opened.page.locator(".softkv-widget").first
    until(lambda: widget.get_attribute("data-theme") == "dark", "the dark widget")
    assert opened.errors == []
