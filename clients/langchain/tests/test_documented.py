"""clients/langchain/docs/guide/langchain.md: what its examples print, and that it has every argument."""

from __future__ import annotations

import inspect
import os
import re

import pytest

from langchain_softkv import SoftkvCache, SoftkvEmbeddings, SoftkvRetriever, SoftkvVectorStore
from softkv.calls.queries import ATTEND_OPTIONS
from tests.examples import Page, run_python

PAGE = Page("clients/langchain/docs/guide/langchain.md")


@pytest.mark.end_to_end
def test_examples_in_python_print_their_comments(client):
    assert run_python(Page("clients/langchain/docs/guide/langchain.md"), os.environ["SOFTKV_URL"]) > 4
    assert client.collections("langchain-").count() == 0


@pytest.mark.parametrize("kind", [SoftkvCache, SoftkvEmbeddings, SoftkvRetriever, SoftkvVectorStore])
def test_every_argument_stands_there(kind):
    words = set(re.findall(r"\w+", PAGE.text))
    arguments = kind.model_fields if kind is SoftkvRetriever else inspect.signature(kind).parameters
    theirs = {"name", "tags", "metadata", "args", "kwargs"}
    assert set(arguments) - theirs - ATTEND_OPTIONS - words == set()
