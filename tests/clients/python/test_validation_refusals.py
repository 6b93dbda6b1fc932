"""Invalid requests: the client refuses what cannot be sent, and the service the others, in the same words."""

from __future__ import annotations

import numpy as np
import pytest

import softkv

PATHS = {
    "attend": "/attend",
    "sweep": "/sweep",
    "compare": "/compare",
    "calibrate": "/calibrate",
    "get_many": "/documents/query",
    "find": "/documents/query",
    "delete": "/documents/delete",
    "update": "/documents/update",
    "write": "/documents",
    "fields": "/documents/fields",
}
Q = [1, 0]

# The client's call with its arguments, which are the body of the same call over HTTP.
NOT_SENT = [
    ("get_many", {"ids": ["a", ""]}),
    ("get_many", {"ids": ["a", 2**40]}),
    ("get_many", {"ids": 3}),
    ("delete", {}),
    ("write", {"documents": [3]}),
    ("write", {"documents": {}}),
    ("write", {"documents": [{"id": "a"}, {"id": "b", "metadata": {"a/b": [1, -(2**63) - 1]}}]}),
    ("fields", {"fields": "metadata.a"}),
    ("attend", {"query": Q, "bias": "x"}),
    ("attend", {"query": Q, "bias": [3]}),
    ("sweep", {"query": Q, "temperatures": "x"}),
    ("calibrate", {"questions": 3}),
    ("calibrate", {"questions": "all"}),
]
SENT = [
    ("attend", {"query": Q, "temperature": True, "top_k": -3, "top_p": 2}),
    ("sweep", {"query": Q, "temperatures": [1, None]}),
    ("find", {"ids": ["a", ""]}),
    ("update", {"ids": ["x" * 257]}),
    ("write", {"documents": [{"id": 3}]}),
]


def refuse(collection, call, arguments):
    with pytest.raises(softkv.Invalid) as refused:
        list(getattr(collection, call)(**arguments))  # of `find`, pages
    return refused.value


def assert_words_of_the_service(refused, answer):
    problem = answer.json()
    assert answer.status_code == refused.status == 422
    assert (refused.detail, refused.code) == (problem["detail"], problem["code"])
    assert [{"pointer": flaw.pointer, "detail": flaw.detail} for flaw in refused.errors] == problem["errors"]


@pytest.mark.parametrize(("call", "arguments"), NOT_SENT)
def test_a_refusal_of_the_client_has_the_words_of_the_service(silent, client, collection, call, arguments):
    refused = refuse(silent().collection("a"), call, arguments)
    assert_words_of_the_service(refused, client.post(collection(encoder=None) + PATHS[call], json=arguments))


@pytest.mark.parametrize(("call", "arguments"), SENT)
def test_a_range_is_refused_by_the_service(shelf, client, collection, call, arguments):
    path = collection(encoder=None, dimension=2) + PATHS[call]
    body = arguments | ({"patch": {}} if call == "update" else {})
    refused = refuse(shelf, call, arguments)
    assert refused.request_id
    assert_words_of_the_service(refused, client.post(path, json=body))


def test_a_vector_that_does_not_fit_is_pointed_at_in_its_list(shelf):
    for wrong, words in (([1.0, 0.0, 0.0], "query has width 3"), ([], "wanted at least one number, got none")):
        refused = refuse(shelf, "attend", {"query": [[1.0, 0.0], wrong]})
        assert refused.errors[0].pointer.startswith("/queries/1")
        assert words in refused.detail


@pytest.mark.parametrize("call", ["find", "feedback"])
def test_a_page_of_none_is_refused(silent, call):
    assert refuse(silent().collection("a"), call, {"page": 0}).detail == "/limit: wanted a number from 1 on, got 0"


def test_a_number_that_json_lacks_is_pointed_at(silent):
    refused = refuse(silent().collection("a"), "attend", {"query": Q, "temperature": float("nan")})
    words = "wanted JSON, which has no NaN and no Infinity, got nan: send null or a text"
    assert refused.detail == f"/temperature: {words}"
    refused = refuse(silent().collection("a"), "sweep", {"query": Q, "temperatures": [1.0, float("inf")]})
    assert refused.errors == (softkv.Flaw("/temperatures/1", words.replace("nan", "inf")),)


@pytest.mark.parametrize("call", ["get", "put", "patch", "remove", "exists"])
@pytest.mark.parametrize("wrong", ["", "x" * 257])
def test_an_id_that_none_can_have(silent, client, collection, call, wrong):
    with pytest.raises(softkv.Invalid) as refused:
        getattr(silent().collection("a"), call)(wrong)
    answer = client.put(f"{collection(encoder=None)}/documents/{wrong}", json={})
    assert refused.value.detail == answer.json()["detail"]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ([float("nan"), 1.0], "number 0 is not finite as float32: keep magnitudes below 3.4e38"),
        ([1.0, 1e39], "number 1 is not finite as float32: keep magnitudes below 3.4e38"),
        ([True, False], "wanted numbers, got booleans"),
        (3, "wanted a text, a vector or a list of these, got int"),
        ({"a": 1}, "wanted a text, a vector, a list of these, or a matrix with a row a query"),
    ],
)
def test_an_invalid_query_is_refused(silent, query, words):
    with pytest.raises(softkv.Invalid) as refused:
        silent().collection("a").attend(query)
    assert refused.value.detail.endswith(words)


def test_an_invalid_json_value_is_refused(silent):
    for value, words in (
        (float("inf"), "^/value: .*no NaN and no Infinity"),
        ({"a": [np.array([1.0, np.nan])]}, "^/value/a/0/1: .*no NaN and no Infinity"),
        (object(), "^/value: .*got object"),
        ("\ud800", "^/value: .*lone surrogate"),
        ({"a": ["\ud800"]}, "^/value/a/0: .*lone surrogate"),
        ({"a": {"\ud800": 1}}, "^/value/a: .*lone surrogate"),
    ):
        with pytest.raises(softkv.Invalid, match=words):
            silent().collection("a").put("b", value=value)


def test_one_text_instead_of_a_list_is_refused(silent):
    with pytest.raises(softkv.Invalid, match=r"encode\(\[text\]\)\[0\]"):
        silent().encode("a text")


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://host", "http://", "http://[::1"])
def test_an_invalid_address_is_refused(url):
    with pytest.raises(softkv.Invalid, match=r"give one such as http://127\.0\.0\.1:8000"):
        softkv.Client(url)
