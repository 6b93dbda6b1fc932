"""The client's page documents every public name; of answers docstrings do, of fields the description of the API."""

from __future__ import annotations

import re

import pytest

import softkv
from softkv.record import Record
from tests.examples import Page

PAGE = set(re.findall(r"\w+", Page("docs/guide/python.md").text))
WIRE = PAGE | set(re.findall(r"\w+", Page("service/softkv_service/api/openapi.json").text))
KINDS = [kind for name in softkv.__all__ if isinstance(kind := getattr(softkv, name), type)]


def test_every_name_stands_there_or_in_the_reference():
    answers = {name for name in softkv.__all__ if is_answer(getattr(softkv, name))}
    assert set(softkv.__all__) - PAGE - answers == set()
    assert all(getattr(softkv, name).__doc__ for name in answers)


def is_answer(item: object) -> bool:
    """Return whether a name is of `softkv.answers`, of whose docstrings the site has a page."""
    return getattr(item, "__module__", "").startswith("softkv.answers")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_public_name_is_documented(kind):
    of_all = set(dir(Record)) | set(dir(Exception)) | set(dir(tuple)) | set(dir(list))
    names = {name for item in kind.__mro__ if item.__module__.startswith("softkv") for name in item.__dict__}
    names |= {name for item in kind.__mro__ for name in getattr(item, "__annotations__", ())}
    page = WIRE if issubclass(kind, Record) or kind is softkv.Document else PAGE
    if is_answer(kind):
        made = {name: getattr(kind, name, None) for name in names}
        names = {
            name
            for name, item in made.items()
            if not (isinstance(item, property) or callable(item)) or not item.__doc__
        }
        page = page | set(re.findall(r"\w+", " ".join(item.__doc__ or "" for item in kind.__mro__)))
    assert {name for name in names if not name.startswith("_")} - of_all - page == set()
