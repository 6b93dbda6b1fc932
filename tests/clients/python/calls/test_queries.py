"""Queries in Python's own words, in each of the three ways; test_client_fixtures.py has all their options."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import softkv
from softkv import F
from softkv.answers.calibration import describe_gain


def test_one_query_in_one_answer_out_and_a_list_in_a_list_out(shelf):
    one = shelf.attend(np.array([1.0, 0.0]), top_k=1)
    assert one.ids == ["codd"]
    for several in ([[1.0, 0.0], [0.0, 1.0]], np.eye(2), [np.array([1.0, 0.0]), [0.0, 1.0]], np.eye(2, dtype=np.int8)):
        assert [answer.ids[0] for answer in shelf.attend(several, top_k=1)] == ["codd", "hopper"]
    assert [answer.ids for answer in shelf.attend([[1, 0]], top_k=1)] == [["codd"]]
    assert shelf.attend([]) == []


def test_a_list_of_any_length_is_answered_in_order(shelf):
    queries = np.array([[1.0, index] for index in range(150)], dtype=np.float32)
    answers = shelf.attend(queries, include=["output"], top_k=0)
    for index in (0, 63, 64, 127, 128, 149):
        assert answers[index].output == pytest.approx(shelf.attend(queries[index], include=["output"]).output, rel=1e-5)
    assert answers[0].output.dtype == np.float32


@pytest.mark.parametrize("options", [{"top_k": 10_000}, {"top_k": 900}, {"top_p": 0.9}])
def test_queries_with_many_matches_go_in_several_requests_whose_answers_hold_them(shelf, options):
    answers = shelf.attend([[1.0, index] for index in range(25)], **options)
    assert [answer.ids[0] for answer in answers] == [shelf.attend([1.0, index]).ids[0] for index in range(25)]


def test_at_temperature_0_documents_without_weight_have_a_logit_of_minus_infinity(shelf):
    answer = shelf.attend([2.0, 1.0], temperature=0)
    assert answer.weights.tolist() == [0.0, 0.0, 1.0][::-1]
    assert answer[-1].logit == -np.inf


def test_numbers_of_numpy_are_options(shelf):
    assert shelf.attend([1, 0], where=F["loc.page"] == 7, temperature=np.float32(0.5)).ids == ["noether"]


def test_texts_are_questions_too(made):
    library = made()
    library.write([softkv.Document("cats", "pets that purr", "Old Possum"), softkv.Document("sql", "databases")])
    assert library.attend("a kitten").question == "a kitten"
    assert [answers.question for answers in library.attend(pd.Series(["cats", "dogs"]))] == ["cats", "dogs"]
    assert [answers.question for answers in library.attend(np.array(["cats", "dogs"]), top_k=1)] == ["cats", "dogs"]
    compared = library.compare("databases", top_k=1, where=F.key == "databases")
    assert (compared.top_k.documents, compared.attention.best.id) == (1, "sql")


def test_a_sweep_is_arrays(shelf):
    temperatures = np.geomspace(0.01, 10, 7)
    swept = shelf.sweep([1.0, 0.0], temperatures, top_k=2, where=F.id != "noether")
    assert swept.weights.shape == (7, 2)
    assert swept.temperatures == pytest.approx(temperatures)
    assert swept.matches[0].weight is None


@pytest.fixture
def labelled(shelf):
    random = np.random.default_rng(0)
    return [
        {"query": np.array([6.0, random.normal()]), "id": "codd"}
        if i % 2
        else {"query": [0.1, 0.5 * random.normal()], "id": None}
        for i in range(60)
    ]


def test_a_calibration_is_shown_as_a_table_with_the_argument_that_applies_it(shelf, labelled):
    result = shelf.calibrate(labelled)
    assert (result.applied, result.would_apply) == (False, True)
    head, *table, fell, bought, last_line = result.explain().splitlines()
    assert head.split() == ["before", "after"]
    assert [line.split()[0] for line in table] == list(result.before)
    loss = result.before["label_loss"]
    (line,) = [line for line in table if line.startswith("label_loss")]
    assert line.split()[1:4] == [f"{loss['value']:.3f}", "±", f"{loss['error']:.3f}"]
    assert fell.startswith(f"label_loss fell by {result.gained['label_loss']['value']:.3f} ± ")
    assert bought == result.summary
    assert last_line == "not applied: apply=True keeps it"
    assert repr(result) == f"<Calibration of 60 questions, {fell}, {last_line}>"
    assert repr(shelf.calibrate(labelled, apply=True)).endswith(", applied>")
    again = shelf.calibrate(labelled)
    assert (again.would_apply, again.explain().endswith(f"not applied: {again.reason}")) == (False, True)
    assert describe_gain("log_loss", {"value": -0.25, "error": 0.5}) == "log_loss rose by 0.250 ± 0.500"
    shelf.change(calibration=None)


def test_a_calibration_is_returned_stored_and_removed(shelf, labelled):
    result = shelf.calibrate([*labelled, {"query": [1, 0], "ids": ["codd", "hopper"]}], apply=True)
    assert result.labels == {"present": 31, "absent": 30}
    assert result.gained["label_loss"]["error"] > 0
    assert result.applied
    calibration = shelf.info().calibration
    assert (calibration.temperature, calibration.documents, calibration.outgrown) == (
        result.temperature,
        result.documents,
        False,
    )
    assert 0 < shelf.attend([1.0, 0.0], min_confidence=0.01)[0].confidence <= 1
    with pytest.raises(softkv.Invalid, match="wanted None, which takes it away"):
        shelf.change(calibration=calibration)
    assert shelf.info().calibration == calibration
    assert shelf.change(calibration=None).calibration is None
    assert shelf.attend([1.0, 0.0])[0].confidence is None


def test_defaults_of_a_collection_apply_unless_they_are_ignored(shelf):
    defaults = {"filter": F.year < 1960, "bias": [{"filter": F.year > 1950, "addend": 1}], "top_k": 1}
    stored = shelf.change(defaults=defaults).defaults
    assert stored == {
        "filter": {"field": "metadata.year", "operator": "<", "value": 1960},
        "bias": [{"filter": {"field": "metadata.year", "operator": ">", "value": 1950}, "addend": 1}],
        "top_k": 1,
    }
    answer, *several = [shelf.attend([1.0, 0.0]), *shelf.attend([[1.0, 0.0], [0.0, 1.0]])]
    assert answer.applied == stored
    assert [one.applied for one in several] == [stored, stored]
    assert answer.documents < 3
    assert shelf.attend([1.0, 0.0], ignore_defaults=True).applied is None
    assert shelf.attend([1.0, 0.0], ignore_defaults=["filter"]).applied == {"bias": stored["bias"], "top_k": 1}
    assert shelf.sweep([1.0, 0.0], [1.0]).applied == stored
    swept = shelf.sweep([1.0, 0.0], [1.0], ignore_defaults=True)
    assert (swept.applied, swept.documents) == (None, 3)
    with pytest.raises(softkv.Invalid, match="holds together with the default filter"):
        shelf.attend([1.0, 0.0], where=F.year > 1900, ignore_defaults=True)
    with pytest.raises(softkv.Invalid, match="wanted True, or names of filter, bias"):
        shelf.attend([1.0, 0.0], ignore_defaults=["temperature"])
    with pytest.raises(softkv.Invalid, match="wanted a term such as") as refused:
        shelf.change(defaults={"bias": [F.year]})
    assert refused.value.errors[0].pointer == "/defaults/bias/0"
    assert shelf.change(defaults=None).defaults is None


def test_a_comparison_ignores_the_defaults_that_it_has(made):
    texts = made(defaults={"top_k": 1, "bias": {"field": "metadata.n", "factor": 1}})
    texts.write([{"id": name, "key": name} for name in ("cats", "dogs")])
    assert texts.compare("cats").applied == {"top_k": 1}
    bare = texts.compare("cats", ignore_defaults=True)
    assert (bare.applied, len(bare.attention)) == (None, 2)


def test_feedback_is_given_listed_and_deleted(shelf, labelled):
    said = [{**question, "right": True} for question in labelled]
    assert shelf.give_feedback(said) == 60
    records = list(shelf.feedback(page=25))
    assert len(records) == shelf.feedback().count() == 60
    assert [record.id for record in records] == [question["id"] for question in labelled]
    assert records[1].query == pytest.approx(list(labelled[1]["query"]))
    assert records[1].first == "codd"
    result = shelf.calibrate(source="feedback")
    assert (result.source, result.labels) == ("feedback", {"present": 30, "absent": 30})
    assert shelf.delete_feedback([records[0].number]) == 1
    assert shelf.delete_feedback(all=True) == 59
    judged = [{"query": [1, 0], "id": identity, "right": True} for identity in ("codd", "gone")]
    with pytest.warns(UserWarning, match="do not count: 1, the first at /feedback/1/id: there is no document 'gone'"):
        assert shelf.give_feedback(judged) == 1
    assert shelf.delete_feedback(all=True) == 1
    with pytest.raises(softkv.Invalid, match=r'/feedback/0: wanted \{"query"'):
        shelf.give_feedback([{"id": "codd", "right": True}])
