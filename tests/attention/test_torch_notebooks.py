"""The notebooks that train with `softkv_attention.torch` run unchanged and print the stored outputs."""

from __future__ import annotations

import pytest

from tests.test_notebooks import TRAINING, name
from tools.notebook import Notebook, assert_shows


@pytest.mark.parametrize("path", TRAINING, ids=name)
def test_every_cell_prints_its_stored_output(path):
    notebook = Notebook(path)
    assert_shows(notebook, notebook.run())
