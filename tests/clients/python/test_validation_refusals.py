"""The client refuses invalid requests before sending, with the service's own messages."""

from __future__ import annotations

import pytest

import softkv

SENT = "attend", {"query": [1.0, 0.0]}


def at(collection, call, arguments):
    return getattr(collection, call)(**arguments)


# the client's call · where the same goes by plain HTTP · its body there
WRONG = [
    ("attend", {"query": [1, 0], "temperature": -1}, "/attend", {"query": [1, 0], "temperature": -1}),
    ("attend", {"query": [1, 0], "temperature": 1e-31}, "/attend", {"query": [1, 0], "temperature": 1e-31}),
    ("attend", {"query": [1, 0], "temperature": "hot"}, "/attend", {"query": [1, 0], "temperature": "hot"}),
    ("attend", {"query": [1, 0], "top_k": 10_001}, "/attend", {"query": [1, 0], "top_k": 10_001}),
    (
        "attend",
        {"query": [1, 0], "temperature": True, "top_k": -3, "top_p": 2},
        "/attend",
        {"query": [1, 0], "temperature": True, "top_k": -3, "top_p": 2},
    ),
    ("attend", {"query": [1, 0], "top_p": 0}, "/attend", {"query": [1, 0], "top_p": 0}),
    ("attend", {"query": [1, 0], "effective_documents": 0.5}, "/attend", {"query": [1, 0], "effective_documents": 0.5}),
    ("attend", {"query": [1, 0], "max_error": 0}, "/attend", {"query": [1, 0], "max_error": 0}),
    ("sweep", {"query": [1, 0], "temperatures": []}, "/sweep", {"query": [1, 0], "temperatures": []}),
    ("sweep", {"query": [1, 0], "temperatures": [1, -1]}, "/sweep", {"query": [1, 0], "temperatures": [1, -1]}),
    ("compare", {"query": "a", "top_k": -1}, "/compare", {"query": "a", "top_k": -1}),
    ("get_many", {"ids": ["a", ""]}, "/documents/query", {"ids": ["a", ""]}),
    ("delete", {"ids": ["."]}, "/documents/delete", {"ids": ["."]}),
    ("delete", {"ids": ["a\n"]}, "/documents/delete", {"ids": ["a\n"]}),
    ("delete", {}, "/documents/delete", {}),
    ("update", {"ids": ["x" * 257]}, "/documents/update", {"ids": ["x" * 257], "patch": {}}),
    ("write", {"documents": [{"id": ""}]}, "/documents", {"documents": [{"id": ""}]}),
    ("write", {"documents": [{"id": 3}]}, "/documents", {"documents": [{"id": 3}]}),
    ("get_many", {"ids": ["a", 2**40]}, "/documents/query", {"ids": ["a", 2**40]}),
    ("delete", {"ids": [True]}, "/documents/delete", {"ids": [True]}),
    ("write", {"documents": [3]}, "/documents", {"documents": [3]}),
    ("write", {"documents": {}}, "/documents", {"documents": {}}),
    ("get_many", {"ids": 3}, "/documents/query", {"ids": 3}),
    ("fields", {"limit": 0}, "/documents/fields", {"limit": 0}),
    ("fields", {"fields": "metadata.a"}, "/documents/fields", {"fields": "metadata.a"}),
    ("attend", {"query": [1, 0], "bias": "x"}, "/attend", {"query": [1, 0], "bias": "x"}),
    ("attend", {"query": [1, 0], "bias": [3]}, "/attend", {"query": [1, 0], "bias": [3]}),
    ("sweep", {"query": [1, 0], "temperatures": "x"}, "/sweep", {"query": [1, 0], "temperatures": "x"}),
    ("sweep", {"query": [1, 0], "temperatures": ["x"]}, "/sweep", {"query": [1, 0], "temperatures": ["x"]}),
    ("sweep", {"query": [1, 0], "temperatures": [1, None]}, "/sweep", {"query": [1, 0], "temperatures": [1, None]}),
    (
        "write",
        {"documents": [{"id": "a"}, {"id": "b", "metadata": {"a/b": [1, -(2**63) - 1]}}]},
        "/documents",
        {"documents": [{"id": "a"}, {"id": "b", "metadata": {"a/b": [1, -(2**63) - 1]}}]},
    ),
    (
        "attend",
        {"query": [1, 0], "full_text": {"weight": -1, "query": "a"}},
        "/attend",
        {"query": [1, 0], "full_text": {"weight": -1, "query": "a"}},
    ),
    ("calibrate", {"questions": 3}, "/calibrate", {"questions": 3}),
    ("calibrate", {"questions": "all"}, "/calibrate", {"questions": "all"}),
]


@pytest.mark.parametrize(("call", "arguments", "path", "body"), WRONG)
def test_the_words_are_the_service_s(silent, client, collection, call, arguments, path, body):
    with pytest.raises(softkv.Invalid) as refused:
        at(silent().collection("a"), call, arguments)
    answer = client.post(collection(encoder=None, dimension=2) + path, json=body)
    assert answer.status_code == refused.value.status == 422
    problem = answer.json()
    assert refused.value.detail == problem["detail"]
    assert refused.value.code == problem["code"]
    assert [(flaw.pointer, flaw.detail) for flaw in refused.value.errors] == [
        (error["pointer"], error["detail"]) for error in problem["errors"]
    ]


@pytest.mark.parametrize("call", ["get", "put", "patch", "remove", "exists"])
@pytest.mark.parametrize("wrong", ["", "x" * 257])
def test_an_id_that_none_can_have(silent, client, collection, call, wrong):
    with pytest.raises(softkv.Invalid) as refused:
        getattr(silent().collection("a"), call)(wrong)
    answer = client.put(f"{collection(encoder=None)}/documents/{wrong}", json={})
    assert refused.value.detail == answer.json()["detail"]


@pytest.mark.parametrize(("settings"), [{"temperature": -1}, {"dimension": 0, "temperature": -1}])
def test_settings_that_none_can_have(silent, client, settings):
    with pytest.raises(softkv.Invalid) as refused:
        silent().collection("a").create(**settings)
    assert refused.value.detail == client.put("/v1/collections/never", json=settings).json()["detail"]


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
        (float("inf"), "no NaN and no Infinity"),
        (object(), "got object"),
        ("\ud800", "lone surrogate"),
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


def test_filters_and_options_that_are_right_are_sent(shelf):
    assert len(at(shelf, *SENT)) == 3
