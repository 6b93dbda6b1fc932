"""The client's page documents every public name; fields of the wire are in the description of the API."""

from __future__ import annotations

import re

import pytest

import softkv
from softkv.record import Record
from tests.examples import Page

PAGE = set(re.findall(r"\w+", Page("docs/guide/python.md").text))
WIRE = PAGE | set(re.findall(r"\w+", Page("service/api/openapi.json").text))
KINDS = [kind for name in softkv.__all__ if isinstance(kind := getattr(softkv, name), type)]


def test_every_name_stands_there():
    assert set(softkv.__all__) - PAGE == set()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_public_name_is_documented(kind):
    of_all = set(dir(Record)) | set(dir(Exception)) | set(dir(tuple)) | set(dir(list))
    names = {name for item in kind.__mro__ if item.__module__.startswith("softkv") for name in item.__dict__}
    names |= {name for item in kind.__mro__ for name in getattr(item, "__annotations__", ())}
    page = WIRE if issubclass(kind, Record) or kind is softkv.Document else PAGE
    assert {name for name in names if not name.startswith("_")} - of_all - page == set()
