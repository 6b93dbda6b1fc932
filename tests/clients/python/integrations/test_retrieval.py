"""Retrieval: every option of attend, the conversion of answers and texts, and maximal marginal relevance."""

from __future__ import annotations

import json
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import softkv
from softkv import Client, Document
from softkv.integrations import (
    Accept,
    CollectionSource,
    Connection,
    Retrieval,
    document_text,
    evidence_fields,
    key_vector_list,
    output_list,
    select_by_mmr,
)

KNOWN, UNKNOWN = "pets that purr", "flurb zindle quax"

TEXTS = ["cats that purr", "war at sea", "stars and planets", "a garden in spring", "bread from a wood oven"]


@pytest.fixture(scope="module")
def source(service):
    with Client(service.url) as client:
        source = CollectionSource("integrations-asking", lambda: Connection(client=client))
        rows = [Document(f"t{n}", text, metadata={"year": 1900 + n}) for n, text in enumerate(TEXTS)]
        source.run(source.write(rows))
        yield source
        client.collection("integrations-asking").drop()


def asked(source, asking, query=KNOWN, where=None):
    return source.run(asking.ask(source, query, where))


def test_an_ordering_of_another_type_gives_a_warning(source):
    retrieval = Retrieval({"accept": "any"})
    answer = asked(source, retrieval, where={"field": "metadata.year", "operator": ">", "value": "1901"})
    with pytest.warns(UserWarning, match="metadata.year holds numbers in every document that has it"):
        assert retrieval.matches(answer) == []


@pytest.mark.parametrize("name", ["where", "allow_missing", "read", "group_by"])
def test_an_option_that_documents_cannot_show_is_refused(name):
    with pytest.raises(softkv.Invalid, match=f"a question has temperature, .*, not {name}"):
        Retrieval({name: True})


# Five texts are too few for the background to tell, so the null key's similarity is said.
@pytest.mark.parametrize(
    ("query", "how", "verdict", "expected"),
    [
        (KNOWN, {"null": 0.5}, "one", {"one", "several", "any"}),
        (KNOWN, {"null": False, "temperature": 1.0}, "several", {"several", "any"}),
        (UNKNOWN, {"null": 0.5}, "none", {"any"}),
    ],
)
def test_an_answer_is_handed_on_where_its_verdict_is_accepted(source, query, how, verdict, expected):
    answer = asked(source, Retrieval(how), query)
    assert (answer.verdict, len(answer)) == (verdict, 5)
    handed_on = {accept: Retrieval(how).adjust({"accept": accept}).matches(answer) for accept in get_args(Accept)}
    assert handed_on == {accept: answer.matches if accept in expected else [] for accept in get_args(Accept)}
    assert Retrieval().accept == "several"


def test_options_of_a_call_go_before_its_own(source):
    asking = Retrieval({"top_k": 3, "temperature": 0.1}).adjust({"top_k": 2, "temperature": None})
    answer = asked(source, asking)
    assert (len(answer), answer.temperature) == (2, 0.1)
    with pytest.raises(softkv.Invalid, match="not threshold"):
        asking.adjust({"threshold": 0.5})


@pytest.mark.parametrize("wrong", [{"accept": "none"}, {"score": "distance"}, {"include": ["weights"]}])
def test_other_words_are_refused(wrong):
    ((name, _),) = wrong.items()
    with pytest.raises(softkv.Invalid, match=f"{name}: wanted"):
        Retrieval(wrong)


def test_evidence_is_in_the_metadata_on_request(source):
    asking = Retrieval(
        {
            "top_k": 1,
            "temperature": 0,
            "evidence": True,
            "include": ["explanation", "value_vector", "key_vector", "output"],
        }
    )
    answer = asked(source, asking, where={"field": "metadata.year", "operator": "!=", "value": 1904})
    metadata = asking.metadata(answer, answer[0])["softkv"]
    assert json.loads(json.dumps(metadata)) == metadata
    assert metadata["weight"] == asking.score_of(answer[0]) == 1.0
    assert (metadata["verdict"], metadata["verdict_certain"]) == ("one", True)
    assert metadata["documents"] == answer.documents == 4
    assert metadata["certificate"]["method"] == "exact"
    assert {"explanation", "value_vector"} <= metadata.keys()
    assert evidence_fields(answer).items() <= metadata.items()
    assert np.float32(key_vector_list(answer[0])) == pytest.approx(answer[0].key_vector)
    assert output_list(answer) == pytest.approx(list(answer.output))
    plain = Retrieval({"score": "similarity"})
    answer = asked(source, plain)
    assert plain.metadata(answer, answer[0]) == answer[0].metadata
    assert plain.score_of(answer[0]) == answer[0].similarity
    assert (key_vector_list(answer[0]), output_list(answer)) == (None, None)


@pytest.mark.parametrize(
    ("document", "value", "key"),
    [
        (Document("a", "the key", "the value"), "the value", "the key"),
        (Document("a", "the key", {"é": [1, None]}), '{"é": [1, null]}', "the key"),
        (Document("a", "the key", None), "the key", "the key"),
        (Document("a", None, "the value"), "the value", ""),
        (Document("a", "", ""), "", ""),
        (Document("a", None, False), "false", ""),
        (Document("a"), "", ""),
    ],
)
def test_a_text_stays_and_others_are_json(document, value, key):
    assert document_text(document) == value
    assert document_text(document, "key") == key


def cosine(one, other):
    lengths = np.linalg.norm(one) * np.linalg.norm(other)
    return float(np.dot(one, other)) / lengths if lengths else 0.0


def plainly(query, keys, k, relevance):
    """Return the score of each choice, and the best possible score; the choice among ties is arbitrary."""

    def score(index, chosen):
        nearest = max(cosine(keys[index], keys[other]) for other in chosen) if chosen else 0
        weight = relevance if chosen else 1
        return weight * cosine(query, keys[index]) - (1 - relevance) * nearest

    return score


@given(
    st.integers(0, 2**32), st.integers(1, 12), st.integers(0, 15), st.one_of(st.sampled_from([0, 1]), st.floats(0, 1))
)
def test_each_choice_is_the_best_that_the_formula_leaves(seed, n, k, relevance):
    generator = np.random.default_rng(seed)
    query, keys = generator.normal(size=4), generator.normal(size=(n, 4))
    keys[generator.random(n) < 0.2] = 0
    chosen = select_by_mmr(query, list(keys), k, relevance)
    assert len(chosen) == len(set(chosen)) == min(k, n)
    score = plainly(query, keys, k, relevance)
    for many, position in enumerate(chosen):
        left = set(range(n)) - set(chosen[:many])
        assert score(position, chosen[:many]) == pytest.approx(max(score(item, chosen[:many]) for item in left))


@pytest.mark.parametrize("relevance", [-0.1, 1.1, float("nan")])
def test_a_weight_outside_of_0_to_1_is_refused(relevance):
    with pytest.raises(softkv.Invalid, match="a number from 0 to 1"):
        select_by_mmr([1], [[1]], 1, relevance)
