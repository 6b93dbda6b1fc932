"""Common mistakes with the client and their messages; none of these requests is sent."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import softkv
from softkv import F


def deep():
    whole = level = {}
    for _ in range(300_000):
        level["in"] = level = {}
    return whole


def endless():
    whole = {}
    whole["in"] = whole
    return whole


def gone():
    rows = ({"id": str(number)} for number in range(3))
    list(rows)
    return rows


ROW = {"id": "a", "key": "a text"}
FRAME = pd.DataFrame({"id": ["a"], "embedding": [[1.0, 2.0]]})
WRONG = {
    "a key with its line break": (lambda _: softkv.Client(key="secret\n"), "the key has a line break"),
    "an address with the version": (
        lambda _: softkv.Client("http://127.0.0.1:8000/v1/"),
        "ends in /v1, which the client adds",
    ),
    "a generator that is gone through": (lambda c: c.upsert(gone()), "gone through already: make it anew"),
    "ids that have no length": (
        lambda c: c.upsert(ids=(str(n) for n in range(3)), key_vectors=np.eye(3)),
        "ids: wanted a list or an array",
    ),
    "resume that is no report": (lambda c: c.upsert([ROW], resume=True), "resume: wanted the report of an upload"),
    "progress that is no function": (lambda c: c.upsert([ROW], progress="yes"), "progress: wanted True, False or"),
    "no such on_conflict": (lambda c: c.upsert([ROW], on_conflict="ignore"), "wanted 'replace', 'skip' or 'fail', got"),
    "a number among the rows": (
        lambda c: c.upsert([ROW, 3]),
        "^wanted a Document or an object with its fields, got int",
    ),
    "a question without its query": (
        lambda c: c.calibrate([{"query": "b", "id": "a"}, {"id": "a"}]),
        "^/questions/1: wanted a question as",
    ),
    "several keys that are none": (
        lambda c: c.put("a", key_vectors=3),
        "^/key_vectors: wanted a list of vectors, got int",
    ),
    "a filter for a bias": (
        lambda c: c.attend("a", bias=F.year > 1900),
        r'^/bias: wanted a term such as {"filter": F.year > 1990, "addend": 1}, or .*, got a comparison alone',
    ),
    "a field among terms": (
        lambda c: c.sweep("a", [0.1], bias=[{"field": "metadata.n", "factor": 1}, F.year]),
        "^/bias/1: wanted a term such as .*, got a field alone",
    ),
    "a filter for ids": (lambda c: c.delete(F.year > 1900), "^/ids: wanted a list, got metadata.year > 1900"),
    "what to include, in one text": (lambda c: c.get("a", include="key"), '^/include: wanted a list, got "key"'),
    "a calibration to change": (
        lambda c: c.change(calibration={"x": 1}),
        r"^/calibration: wanted None, which takes it away, got dict: calibrate\(…, apply=True\) makes one",
    ),
    "JSON that holds itself": (lambda c: c.put("a", metadata=endless()), "got what holds itself"),
    "JSON without an end": (lambda c: c.put("a", metadata=deep()), "within others without end"),
    "one temperature to sweep": (lambda c: c.sweep("a", 0.1), r"wanted a list of temperatures, got 0.1: write \[0.1\]"),
    "two queries to sweep": (lambda c: c.sweep(["a", "b"], [0.1]), "wanted one text or one vector, got list"),
    "a matrix to sweep": (lambda c: c.sweep(np.eye(2), [0.1]), "wanted one text or one vector, got ndarray"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_is_refused_with_the_expected_type_and_advice(silent, name):
    wrong, words = WRONG[name]
    with pytest.raises(softkv.Invalid, match=words):
        wrong(silent().collection("a"))


def test_a_mistake_without_a_collection_is_refused_with_the_expected_type(silent):
    client = silent()
    for wrong, words in (
        (lambda: client.compare("a", rows=3), "^/rows: wanted a list, got 3"),
        (lambda: client.compare("a", rows=[{"key": "b"}, "c"]), '^/rows/1: wanted an object, got "c"'),
        (lambda: client.encode(3), "^/texts: wanted a list, got 3"),
        (
            lambda: client.attend([1.0], [1.0], [1.0], parameters=[1.0]),
            "^/parameters: wanted arrays by their names, got",
        ),
        (lambda: client.model(3), "^path.id: wanted a text, got 3"),
    ):
        with pytest.raises(softkv.Invalid, match=words):
            wrong()


def test_a_key_that_cannot_be_sent_is_not_shown():
    with pytest.raises(softkv.Invalid) as refused:
        softkv.Client(key="secret\n")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "unclosed", [lambda: F.a > 3 & F.b < 4, lambda: F.a & (F.b > 3), lambda: (F.b > 3) | F.a, lambda: ~F.a]
)
def test_a_comparison_without_its_parentheses(unclosed):
    with pytest.raises(TypeError, match="in parentheses"):
        unclosed()


@pytest.mark.parametrize("bare", [lambda: (F.fee < 20) & F.online, lambda: F.online | (F.fee < 20), lambda: ~F.online])
def test_the_message_for_a_field_without_comparison_shows_one(bare):
    with pytest.raises(TypeError, match=r"^F.online is a field and no filter yet: write F.online == True"):
        bare()


NO_FIELD = "a field of your own goes into `metadata`, the text that is searched is `key`, and a vector `key_vector`"


@pytest.mark.parametrize("name", ["topic", "text", "document", "content", "page_content"])
def test_a_field_of_ones_own_belongs_into_the_metadata(shelf, name):
    row = {"id": "a", "key_vector": [1, 2], name: "x"}
    report = shelf.upsert([row, {"id": "b", "key_vector": [1, 2]}])
    assert not report
    flaw = f'a document has no field "{name}": {NO_FIELD}'
    assert repr(report) == f"<Report 1 of 2 rows written, 1 refused; row 0: {flaw}>"
    assert shelf.upsert([{"id": "b", "key_vector": [1, 2]}])


def test_one_id_may_stand_for_a_list(shelf):
    assert [document.id for document in shelf.get_many("codd")] == ["codd"]
    assert [document.id for document in shelf.find(ids="codd")] == ["codd"]


def test_fields_are_named_as_people_guess(shelf):
    shelf.upsert([{"id": f"g{n}", "key_vector": [1.0, n], "metadata": {"guess": n % 2, "turn": n}} for n in range(4)])
    only = F.id.contains("g") & (F.turn >= 0)
    for field in ("guess", "metadata.guess", F.guess, {"field": F.guess}, {"field": "guess"}):
        groups = shelf.attend([1.0, 0.0], where=only, group_by=field).group_by.groups
        assert sorted((group.value, group.documents) for group in groups) == [(0, 2), (1, 2)]
    for order in ("-turn", "-metadata.turn", {"field": "turn", "direction": "descending"}):
        assert [document.id for document in shelf.find(where=only, order_by=order)] == ["g3", "g2", "g1", "g0"]
    assert [document.id for document in shelf.find(where=only, order_by="turn")] == ["g0", "g1", "g2", "g3"]
    many = shelf.attend([[1.0, 0.0], [0.0, 1.0]], where=only, group_by=F.guess, read=[{"field": F.turn, "as": "mean"}])
    assert [len(answer.group_by.groups) for answer in many] == [2, 2]
    assert shelf.attend([1.0, 0.0], where=only, read={"field": "turn", "as": "mean"}).read.field == "metadata.turn"
    assert shelf.fields(["guess"]).keys() == shelf.fields([F.guess]).keys() == {"metadata.guess"}
    assert [item.value for item in shelf.values("guess")] == [0, 1]
    shelf.delete(where=only)


@pytest.mark.parametrize("field", ["id", "key"])
def test_the_id_and_the_key_are_refused_as_metadata(shelf, field):
    for call in (
        lambda: shelf.attend([1.0, 0.0], group_by=field),
        lambda: list(shelf.find(order_by=field)),
        lambda: shelf.fields([field]),
    ):
        with pytest.raises(softkv.Invalid, match=r"metadata\. and"):
            call()


def test_names_of_another_api_are_refused_with_ours(shelf):
    question = [1.0, 0.0]
    for call, *arguments in (
        (shelf.attend, question),
        (shelf.sweep, question, [1.0]),
        (shelf.compare, "cats"),
        (shelf.values, "year"),
        *((call,) for call in (shelf.find, shelf.count, shelf.update, shelf.delete, shelf.fields)),
    ):
        with pytest.raises(TypeError, match=r"unexpected keyword argument 'filter': it is where here"):
            list(call(*arguments, filter={}))
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'limit': it is top_k here"):
        shelf.attend([1.0, 0.0], limit=3)


def test_an_unknown_option_is_a_type_error(shelf):
    with pytest.raises(TypeError, match=r"attend\(\) got an unexpected keyword argument 'topk'"):
        shelf.attend([1.0, 0.0], topk=3)


def test_a_missing_collection_is_answered_with_the_existing_names_and_a_call(shelf, softkv_client):
    with pytest.raises(softkv.NotFound) as missing:
        softkv_client.collection("no-such").attend("a")
    detail = missing.value.detail
    assert detail.startswith("there is no collection 'no-such': use one of these names: ")
    assert shelf.name in detail
    assert detail.endswith("; or create it with collection.create()")


@pytest.mark.parametrize(
    ("where", "written"),
    [
        ({"topic": "billing"}, "F.topic == 'billing'"),
        ({"my topic": 1, "id": "a"}, "(F['my topic'] == 1) & (F['id'] == 'a')"),
        ({"class": 5}, "F['class'] == 5"),
    ],
)
def test_values_by_field_are_no_filter_and_the_expression_is_named(shelf, where, written):
    with pytest.raises(softkv.Invalid) as refused:
        shelf.attend([1.0, 0.0], where=where)
    assert refused.value.errors[0].pointer == "/filter/field"
    assert refused.value.errors[0].detail.endswith(f"it wants field, operator, value; or write {written}")
    assert shelf.attend([1.0, 0.0], where=eval(written, {"F": F})).documents == 0


def test_a_field_that_no_document_has_passes_none(shelf):
    answer = shelf.attend([1.0, 0.0], where=F.nothing == 3)
    assert (bool(answer), answer.documents, len(answer)) == (False, 0, 0)
    (warning,) = answer.warnings
    assert warning.startswith("no document has metadata.nothing; there are metadata.")
    assert answer.explain().endswith(warning)
    assert shelf.sweep([1.0, 0.0], [1.0], where=F.nothing == 3).warnings == [warning]
    assert shelf.attend([1.0, 0.0]).warnings == shelf.attend([1.0, 0.0], where=F.nothing != 3).warnings == []
    for call in (lambda: shelf.count(where=F.nothing == 3), lambda: list(shelf.find(where=F.nothing == 3))):
        with pytest.warns(UserWarning, match="no document has metadata.nothing; there are") as warned:
            assert not call()
        # The suite runs coroutines of the client as tasks of their own, so asyncio makes those calls.
        assert all(
            warning.filename == __file__ or "asyncio" in warning.filename or "ways" in warning.filename
            for warning in warned
            if warning.category is UserWarning
        )


def test_settings_that_a_local_service_does_not_have():
    with pytest.raises(softkv.Invalid) as refused:
        softkv.Client.local(encoder=None, tempreature=3, max_queue="many")
    detail = refused.value.detail.removeprefix("the service does not take these settings: ")
    assert [line.partition(":")[0] for line in detail.split("; ")] == ["max_queue", "tempreature"]
    assert "pydantic" not in detail
