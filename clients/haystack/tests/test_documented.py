"""clients/haystack/docs/guide/haystack.md: what its examples print, and that it has every argument."""

from __future__ import annotations

import inspect
import os
import re

import pytest

from haystack_integrations.components.retrievers.softkv import SoftkvRetriever
from haystack_integrations.document_stores.softkv import SoftkvDocumentStore
from softkv.calls.queries import ATTEND_OPTIONS
from softkv.integrations import RETRIEVER_OPTIONS
from tests.examples import Page, run_python

PAGE = Page("clients/haystack/docs/guide/haystack.md")


@pytest.mark.end_to_end
def test_examples_in_python_print_their_comments(client):
    assert run_python(Page("clients/haystack/docs/guide/haystack.md"), os.environ["SOFTKV_URL"]) == 3
    for item in client.collections("haystack-"):
        client.collection(item.name).drop()


@pytest.mark.parametrize("kind", [SoftkvDocumentStore, SoftkvRetriever])
def test_every_argument_stands_there(kind):
    words = set(re.findall(r"\w+", PAGE.text))
    arguments = set(inspect.signature(kind.__init__).parameters) - {"self", "args", "kwargs", "fields"}
    if "options" in arguments:
        arguments = arguments - {"options"} | (RETRIEVER_OPTIONS.keys() - ATTEND_OPTIONS)
    assert arguments - words == set()
