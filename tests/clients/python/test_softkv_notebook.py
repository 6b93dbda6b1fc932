"""The notebook of the client's page: its cells run unchanged and print the stored outputs."""

from __future__ import annotations

import base64
import io
import re

import matplotlib.image
import numpy as np
import pytest

from tests.notebook import FILE, Notebook

NUMBER = re.compile(r"(?<![\w#.])-?\d+(?:\.\d*)?(?:e[-+]?\d+)?")


@pytest.fixture(scope="module")
def notebook():
    return Notebook()


@pytest.fixture(scope="module")
def outputs(notebook, logged_as_before):
    return notebook.run()


def test_every_cell_prints_its_stored_output(notebook, outputs):
    for cell, shown in zip(notebook.cells, outputs, strict=True):
        source = "".join(cell["source"])
        assert [parts(item).keys() for item in shown] == [parts(output).keys() for output in cell["outputs"]], source
        for came, stored in zip(map(parts, shown), map(parts, cell["outputs"]), strict=True):
            for kind in stored:
                alike(kind, came[kind], stored[kind], source)


def parts(output):
    return output.get("data", {}) | {name: output[name] for name in ("output_type", "name", "text") if name in output}


def alike(kind, came, stored, source):
    if kind == "image/png":
        one, other = (matplotlib.image.imread(io.BytesIO(base64.b64decode(item))) for item in (came, stored))
        assert one.shape == other.shape, source
        assert np.abs(one - other).mean() < 0.01, source
        return
    came, stored = "".join(came), "".join(stored)
    assert NUMBER.sub("N", came).split() == NUMBER.sub("N", stored).split(), source
    numbers = ([float(item) for item in NUMBER.findall(text)] for text in (came, stored))
    assert next(numbers) == pytest.approx(next(numbers), rel=2e-3, abs=1.5e-3), source


def test_the_notebook_shows_answers_a_table_and_plots(notebook):
    kinds = [kind for cell in notebook.cells for output in cell["outputs"] for kind in output.get("data", ())]
    assert kinds.count("image/png") == 3
    assert kinds.count("text/html") == 4
    assert "#8c8c8c" in FILE.read_text(encoding="utf-8")
    assert [cell["execution_count"] for cell in notebook.cells] == list(range(1, len(notebook.cells) + 1))


def test_the_notebook_is_valid_for_jupyter(notebook):
    content = notebook.content
    assert (content["nbformat"], content["nbformat_minor"]) == (4, 5)
    ids = [cell["id"] for cell in content["cells"]]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[\w-]{1,64}", document_id) for document_id in ids)
    expected = {"code": {"execution_count", "outputs"}, "markdown": set()}
    for cell in content["cells"]:
        assert cell.keys() == {"cell_type", "id", "metadata", "source"} | expected[cell["cell_type"]]
