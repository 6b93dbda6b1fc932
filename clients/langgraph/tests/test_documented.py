"""clients/langgraph/docs/guide/langgraph.md: what its example prints, and that it has every argument."""

from __future__ import annotations

import inspect
import os
import re

import pytest

from langgraph_store_softkv import SoftkvSearchItem, SoftkvStore
from tests.examples import Page, run_python

PAGE = Page("clients/langgraph/docs/guide/langgraph.md")


@pytest.mark.end_to_end
def test_examples_in_python_print_their_comments(client):
    assert run_python(Page("clients/langgraph/docs/guide/langgraph.md"), os.environ["SOFTKV_URL"]) == 1
    client.collection("langgraph-guide").drop()


def test_every_argument_and_number_stands_there():
    names = {*inspect.signature(SoftkvStore).parameters, *SoftkvSearchItem.__slots__}
    assert names - set(re.findall(r"\w+", PAGE.text)) == set()
