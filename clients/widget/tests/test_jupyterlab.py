"""The widgets under JupyterLab: what they draw, what reaches Python, and that nothing is loaded from elsewhere."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator

from tests.integrations.notebooks import Visit, drag, until

IMPORTS = f"""
import json, math
from pathlib import Path
import numpy as np
from softkv import Client
from softkv.widget import Heads, Lookup
library = Client({os.environ["SOFTKV_URL"]!r}).collection("library")

def told(widget, *names):
    widget.observe(lambda change: Path(change.name).write_text(json.dumps(change.new)), names)
    return widget
"""
COLOURS = """
keys = [[1, 0, 0], [0.9, 0.5, 0], [0.7, 0.7, 0], [0, 1, 0.1], [0, 0.1, 1]]
names, colours = ["red", "orange", "yellow", "green", "blue"], ["#d8392b", "#e08a2b", "#e0d02b", "#3f7d3a", "#2b4ad8"]
widget = told(Lookup.of_arrays([0.8, 0.6, 0], keys, colours, labels=names, temperature=0.1), "temperature")
widget
"""
BOOKS = """
books = told(Lookup.of_collection(library, "pets that purr"), "query", "null")
books
"""
HEADS = """
weights = np.random.default_rng(0).dirichlet(np.full(6, 0.3), size=(3, 4, 6))
heads = told(Heads(weights, "The dog chased the cat .".split()), "layer", "head", "word")
heads
"""
CHARTED = ".softkv-widget .threads .thread"
WEIGHTS = "threads => threads.map(thread => Number(thread.dataset.weight))"


def run_all(visit: Visit, url: str) -> None:
    """Open a notebook in JupyterLab, and run its cells."""
    page = visit.page
    page.goto(url)
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()


def run_cell(visit: Visit, source: str) -> None:
    """Run the last cell of the notebook with another content."""
    editor = visit.page.locator(".jp-Notebook .jp-CodeCell .cm-content").last
    editor.click()
    editor.press("ControlOrMeta+a")
    visit.page.keyboard.insert_text(source)
    editor.press("ControlOrMeta+Enter")


def written(folder: Path, name: str) -> Any:
    """Return what Python was told of a traitlet; None before that."""
    try:
        return json.loads((folder / name).read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None


@pytest.mark.end_to_end
def test_a_dragged_temperature_is_the_value_in_python(
    lab: Callable[..., str], lab_folder: Path, visit: Callable[..., Visit]
) -> None:
    opened = visit()
    run_all(opened, lab("dragged", IMPORTS, COLOURS))
    opened.page.locator(CHARTED).first.wait_for(state="attached")
    cold = opened.page.locator(CHARTED).evaluate_all(WEIGHTS)
    drag(opened, opened.page.locator(".softkv-widget .knob .handle").first, 0, -40)
    label = opened.page.locator(".softkv-widget .knob .told")
    until(lambda: f"T = {written(lab_folder, 'temperature')}" == label.text_content(), "the temperature in Python")
    assert written(lab_folder, "temperature") > 0.1
    warm = opened.page.locator(CHARTED).evaluate_all(WEIGHTS)
    assert max(warm) < max(cold)
    assert (opened.strangers, opened.errors) == ([], [])


@pytest.fixture(scope="module")
def notebook(lab: Callable[..., str], chromium: Any) -> Any:
    """Yield a notebook with several widgets, and a cell to write into."""
    context = chromium.new_context(viewport={"width": 1280, "height": 1000})
    opened = Visit(context.new_page())
    run_all(opened, lab("several", IMPORTS, COLOURS, BOOKS, HEADS, COLOURS, ""))
    opened.page.locator(".softkv-widget").nth(3).locator(".thread").first.wait_for(state="attached")
    yield opened
    context.close()


def widget(notebook: Visit, number: int) -> Locator:
    """Return a widget of the notebook, by its place."""
    return notebook.page.locator(".softkv-widget").nth(number)


def test_weights_at_any_temperature_are_those_of_python(notebook: Visit, lab_folder: Path) -> None:
    label = widget(notebook, 1).locator(".knob .told")
    for temperature in (0.0, 0.0002, 0.05, 0.05617, 7.77):
        numbers = "[books.temperature, *books.answer.weights, books.answer.null_weight]"
        run_cell(notebook, f"books.temperature = {temperature}; Path('weights').write_text(json.dumps({numbers}))")
        until(lambda wanted=temperature: (written(lab_folder, "weights") or [None])[0] == wanted, "the weights")
        _, *expected, null = written(lab_folder, "weights")
        until(lambda wanted=temperature: label.text_content() == f"T = {wanted:g}", "the temperature")
        threads = widget(notebook, 1).locator(".thread").evaluate_all(WEIGHTS)
        assert threads[: len(expected)] == pytest.approx(expected, abs=1e-4)
        assert threads[-1] == pytest.approx(null, abs=1e-4)


def test_python_draws_another_temperature_and_null_key(notebook: Visit) -> None:
    run_cell(notebook, "books.temperature, books.null = math.inf, None")
    until(lambda: widget(notebook, 1).locator(".row.none").count() == 0, "a picture without a null key")
    alike = widget(notebook, 1).locator(".share").all_text_contents()
    assert {share for share in alike[:8] if share} == {"0.9%"}
    run_cell(notebook, "books.temperature, books.null = 0.05, 'auto'")
    until(lambda: "s₀ = 0.43" in widget(notebook, 1).locator(".level .told").all_text_contents(), "the null key")


def test_a_typed_question_and_a_dragged_null_key_reach_python(notebook: Visit, lab_folder: Path) -> None:
    field = widget(notebook, 1).locator("textarea")
    field.fill("quarterly tax return")
    field.press("Enter")
    assert until(lambda: written(lab_folder, "query"), "the question") == "quarterly tax return"
    until(lambda: "none of these" in widget(notebook, 1).locator(".doing .told").inner_text(), "its answer")
    before = widget(notebook, 1).locator(".thread").last.get_attribute("data-weight")
    drag(notebook, widget(notebook, 1).locator(".level .handle"), -60, 0)
    assert -0.1 <= until(lambda: written(lab_folder, "null"), "the null key") < 0.43
    after = widget(notebook, 1).locator(".thread").last.get_attribute("data-weight")
    assert float(after or 1) < float(before or 0)
    assert notebook.page.locator(".jp-CodeCell").count() == 6  # letters are no shortcuts


def test_a_question_without_words_is_refused_in_the_picture(notebook: Visit) -> None:
    run_cell(notebook, "odd = Lookup.of_arrays('a', keys, encode={'a': [1, 0, 0]}.__getitem__); odd.query")
    run_cell(
        notebook, "odd = Lookup.of_arrays('a', keys, encode=lambda text: [len(text), 0, 0, 0][:2 + len(text)]); odd"
    )
    field = widget(notebook, 4).locator("textarea")
    field.fill("abcd")
    field.press("Enter")
    notice = widget(notebook, 4).locator(".notice")
    until(notice.inner_text, "the reason")
    assert "query has width 4, the keys have width 3" in notice.inner_text()


def test_a_pressed_head_and_word_reach_python(notebook: Visit, lab_folder: Path) -> None:
    heads = widget(notebook, 2)
    heads.locator("[data-place='2,3']").click()
    until(lambda: [written(lab_folder, name) for name in ("layer", "head")] == [2, 3], "the head")
    assert heads.locator(".map-place .told").inner_text().startswith("Layer 3, head 4")
    heads.locator("[role=radio]").nth(4).click()
    assert until(lambda: written(lab_folder, "word"), "the word") == 4
    run_cell(notebook, "heads.layer, heads.word = 0, 1")
    until(lambda: heads.locator("[role=radio]").nth(1).get_attribute("aria-checked") == "true", "the word")
    assert heads.locator("[data-place='0,3']").get_attribute("aria-pressed") == "true"


def test_the_sweep_moves_through_all_temperatures_and_back(notebook: Visit) -> None:
    label = widget(notebook, 0).locator(".knob .told")
    assert label.text_content() == "T = 0.1"
    widget(notebook, 0).get_by_role("button").click()
    for temperature in ("0", "∞", "0.1"):
        until(lambda wanted=temperature: label.text_content() == f"T = {wanted}", f"T = {temperature}")


def test_styles_stay_in_the_widget_and_out_of_it(notebook: Visit) -> None:
    style = "element => ['fontSize', 'color', 'fontFamily'].map(name => getComputedStyle(element)[name])"
    inside = [widget(notebook, 0).locator(name).first for name in (".key-text", "button", ".told")]
    before = [element.evaluate(style) for element in inside]
    hostile = "<style>body * { font-size: 40px !important; color: red !important; fill: red !important }</style>"
    run_cell(notebook, f"from IPython.display import HTML; HTML('''{hostile}''')")
    cell = notebook.page.locator(".jp-CodeCell").first
    until(lambda: cell.evaluate(style)[0] == "40px", "the notebook's style")
    assert [element.evaluate(style) for element in inside] == before
    run_cell(notebook, "None")
    until(lambda: cell.evaluate(style)[0] != "40px", "the end of that style")
    sheets = "() => [...document.styleSheets].flatMap(sheet => [...sheet.cssRules].map(rule => rule.cssText)).join()"
    assert ".threads" not in notebook.page.evaluate(sheets)


def test_a_widget_is_dark_in_a_dark_notebook(notebook: Visit) -> None:
    assert widget(notebook, 0).get_attribute("data-theme") == "light"
    for name in ("JupyterLab Dark", "JupyterLab Light"):
        notebook.page.get_by_role("menuitem", name="Settings", exact=True).click()
        notebook.page.locator(".lm-Menu-item", has_text="Theme").first.hover()
        notebook.page.get_by_role("menuitem", name=name, exact=True).click()
        theme = name.split()[-1].lower()
        until(lambda wanted=theme: widget(notebook, 2).get_attribute("data-theme") == wanted, name)


def test_a_narrow_notebook_has_the_whole_picture(notebook: Visit) -> None:
    notebook.page.set_viewport_size({"width": 700, "height": 900})
    until(lambda: widget(notebook, 0).evaluate("host => host.clientWidth") < 500, "a narrow notebook")
    outside = """host => [...host.shadowRoot.querySelectorAll("text, button, textarea")].filter(element => {
      const [box, all] = [element.getBoundingClientRect(), host.getBoundingClientRect()];
      return box.width && (box.left < all.left - 1 || box.right > all.right + 1);
    }).map(element => element.textContent)"""
    assert [widget(notebook, number).evaluate(outside) for number in range(4)] == [[], [], [], []]
    notebook.page.set_viewport_size({"width": 1280, "height": 1000})


@pytest.mark.parametrize("width", [600, 850, 1200])
def test_texts_are_inside_the_picture_and_names_are_whole(notebook: Visit, width: int) -> None:
    keys = "np.random.default_rng(0).normal(size=(1000, 3))"
    picture = widget(notebook, 4).locator(".threads")
    outside = """svg => [...svg.querySelectorAll("text")].filter(text => {
      const [box, all] = [text.getBoundingClientRect(), svg.getBoundingClientRect()];
      const sides = [box.left - all.left, box.top - all.top, all.right - box.right, all.bottom - box.bottom];
      return box.width && Math.min(...sides) < 0;
    }).map(text => text.textContent)"""
    for temperature, rows in ((0, 8), (0.2, 8), (1000, 8), (1000, 3)):
        run_cell(notebook, f"Lookup.of_arrays([1, 0, 0], {keys}, temperature={temperature}, null=0.9, rows={rows})")
        until(lambda wanted=f"T = {temperature}": wanted in picture.locator(".told").all_text_contents(), "the widget")
        widget(notebook, 4).evaluate("(host, width) => { host.parentElement.style.width = `${width}px`; }", width)
        until(lambda: width - 40 < picture.evaluate("svg => svg.clientWidth") <= width, f"a picture of {width} pixels")
        until(lambda count=rows: picture.locator(".thread").count() == count + 2, "the rows")
        assert picture.evaluate(outside) == []
        names = picture.locator(".row.others .key-text, .row.none .key-text").all_text_contents()
        assert names == [f"{1000 - rows} other rows", "none of these"]


def test_nothing_was_loaded_from_elsewhere(notebook: Visit) -> None:
    assert (notebook.strangers, notebook.errors) == ([], [])
