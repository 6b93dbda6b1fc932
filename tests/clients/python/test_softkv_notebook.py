"""The notebook of the client's page: its cells run unchanged and print the stored outputs."""

from __future__ import annotations

import pytest

from tests.examples import ROOT
from tests.notebook import Notebook, assert_shows

FILE = ROOT / "docs" / "start" / "notebook.ipynb"


@pytest.fixture(scope="module")
def notebook():
    return Notebook(FILE)


@pytest.fixture(scope="module")
def outputs(notebook, logged_as_before):
    return notebook.run()


def test_every_cell_prints_its_stored_output(notebook, outputs):
    assert_shows(notebook, outputs)


def test_the_notebook_shows_answers_a_table_and_plots(notebook):
    kinds = [kind for cell in notebook.cells for output in cell["outputs"] for kind in output.get("data", ())]
    assert kinds.count("image/png") == 3
    assert kinds.count("text/html") == 4
    assert "#8c8c8c" in FILE.read_text(encoding="utf-8")
