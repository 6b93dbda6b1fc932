"""From options to the core's question; what a query may be."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from attention.lookup import Auto
from service.retrieval import InvalidContent
from service.retrieval.queries import Options
from service.retrieval.queries.question import build_mask, check_queries, question
from service.schemas.attend import AttendRequest
from service.storage import CollectionRecord, CollectionSettings

QUERY = np.array([3, 4], np.float32)


def record(similarity: str = "dot", encoder: str | None = None) -> CollectionRecord:
    return CollectionRecord(1, "c", CollectionSettings(similarity, 0.25, dimension=2, encoder=encoder), documents=3)


@pytest.mark.parametrize(
    ("options", "temperature"),
    [
        (Options(), 0.25),
        (Options(temperature=0), 0),
        (Options(temperature="auto"), Auto(8)),
        (Options(temperature="auto", effective_documents=2), Auto(2)),
    ],
)
def test_the_temperature_comes_from_the_options_or_the_collection(options, temperature):
    assert question(record(), QUERY, options, None).temperature == temperature


def test_options_reach_the_core_under_their_names():
    options = Options(top_k=3, top_p=0.5, normaliser="softmax", max_error=0.1, output=True)
    made = question(record(), QUERY, options, 0.5)
    for name in ("top_k", "top_p", "normaliser", "max_error", "output"):
        assert getattr(made, name) == getattr(options, name)
    assert made.null == 0.5


def test_the_wire_has_every_option_under_its_name():
    """The route copies them by name; its clock, and what it includes, decide on the others."""
    assert {field.name for field in fields(Options)} - AttendRequest.model_fields.keys() == {
        "now",
        "defaults",
        "output",
        "reads",
        "explained",
        "highlight",
        "searched",
    }


@pytest.mark.parametrize(("similarity", "query"), [("dot", [1, 2, 3]), ("cosine", [0, 0])])
def test_a_query_that_fits_no_key_is_pointed_at(similarity, query):
    with pytest.raises(InvalidContent) as refused:
        check_queries(record(similarity), [QUERY, np.array(query, np.float32)], ["/0", "/1"])
    assert [flaw.pointer for flaw in refused.value.flaws] == ["/1"]


def test_a_filter_that_says_nothing_of_sense_is_pointed_into(collection):
    with collection.snapshot() as snapshot:
        assert build_mask(snapshot, Options()) is None
        assert build_mask(snapshot, Options(filter={"field": "metadata.odd", "operator": "==", "value": True})).n == 30
        unknown = {"field": "id", "operator": "??", "value": "a"}
        with pytest.raises(InvalidContent) as refused:
            build_mask(snapshot, Options(filter={"operator": "NOT", "conditions": [unknown]}))
    assert [flaw.pointer for flaw in refused.value.flaws] == ["/filter/conditions/0/operator"]
