"""clients/widget/docs/teach/widget.md: what its examples print, and that it has every argument."""

from __future__ import annotations

import inspect
import os
import re

import pytest

from softkv_widget import Lookup
from tests.examples import Page, run_python

PAGE = Page("clients/widget/docs/teach/widget.md")


def test_examples_in_python_print_their_comments() -> None:
    assert run_python(Page("clients/widget/docs/teach/widget.md"), os.environ["SOFTKV_URL"]) == 4


@pytest.mark.parametrize("call", [Lookup.of_collection, Lookup.of_answer, Lookup.of_arrays])
def test_every_argument_stands_there(call) -> None:
    assert set(inspect.signature(call).parameters) - set(re.findall(r"\w+", PAGE.text)) - {"options"} == set()
