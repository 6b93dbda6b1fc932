"""Refusals over HTTP: a row a request, with the pointer and the words of its flaw; and nothing is changed by one."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import httpx
import pytest

JSON = {"content-type": "application/json"}
Q = [1.0, 0.0]
WIDE = [1.0] * 384
RIGHT = {"query": Q, "id": "a", "right": True}
IDS = {"ids": ["a"]}
BY_I = {"field": "metadata.i", "factor": 1}
SHELF = "/v1/collections/refusals-"


class Row(NamedTuple):
    """A request that is refused with 422.

    Attributes:
        setup: the collection of `SETUPS`, or "" for a path of its own.
        call: the method, and the path below the collection.
        body: the content, or for GET the parameters.
        pointers: of all flaws, in order.
        words: of the first flaw.
    """

    setup: str
    call: str
    body: Any
    pointers: tuple[str, ...]
    words: str


def rows(setup: str, call: str, base: dict[str, Any], cases: Iterable[tuple[Any, ...]]) -> Iterator[Row]:
    """Yield a row for each (body, pointer or pointers, words that may be left out).

    A body has the fields of `base`, but for those that are None in it.
    """
    for body, pointers, *words in cases:
        content = {name: value for name, value in (base | body).items() if value is not None or name not in base}
        pointers = (pointers,) if isinstance(pointers, str) else tuple(pointers)
        yield Row(setup, call, content, pointers, words[0] if words else "")


def of(value: Any) -> str:
    """Return a cursor of any content."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


def when(operator: str, value: Any, field: str = "metadata.at") -> dict[str, Any]:
    """Return a filter by an instant."""
    return {"field": field, "operator": operator, "value": {"datetime": value} if isinstance(value, str) else value}


DOCUMENTS: list[dict[str, Any]] = [
    {"id": "a", "key_vector": [1, 0], "metadata": {"i": 0, "odd": False, "at": {"shelf": "QA"}}},
    {"id": "b", "key_vector": [math.cos(1), math.sin(1)], "metadata": {"i": 1, "odd": True, "year": 1990}},
    {"id": "keyless", "key": "words"},
    {"id": "gone", "key_vector": [1, 1], "expires": "2020-01-01T00:00:00Z"},
]
TEXTS = [{"id": "a", "key": "cats"}, {"id": "b", "key": "planets", "metadata": {"year": 1990}}]
# The settings and the documents of each collection.
SETUPS: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {
    "vectors": ({"encoder": None, "similarity": "cosine", "temperature": 0.5, "null": 0.3}, DOCUMENTS),
    "bare": ({"encoder": None}, []),
    "texts": ({}, TEXTS),
}

ATTEND = [
    ({"query": [1, 0, 0]}, "/query"),
    ({"query": None, "queries": [Q, [0, 0]]}, "/queries/1", "a zero vector has no direction"),
    ({"temperature": 1e-31}, "/temperature"),
    ({"temperature": "auto", "effective_documents": 0.5}, "/effective_documents"),
    ({"temperature": "auto", "normaliser": "sparsemax"}, ""),
    ({"top_p": 0}, "/top_p"),
    ({"max_error": 0}, "/max_error"),
    ({"null": "loose"}, "/null"),
    ({"null": True}, "/null"),
    (
        {"filter": {"operator": "AND", "conditions": [{"field": "id", "operator": "==", "value": 1}]}},
        "/filter/conditions/0/value",
    ),
    ({"query": "a text"}, "/query"),
    ({"query": {"base64": "AAAA!"}}, "/query"),
    ({"include": ["highlight"]}, "/include", "has no encoder: leave highlight out"),
    # Dates.
    ({"filter": when(">", "yesterday")}, "/filter/value/datetime"),
    ({"bias": {"field": "metadata.x", "half_life": "1d", "origin": 5}}, "/bias/origin"),
    ({"bias": [{"filter": when("<", "2026-13-01"), "addend": 1}]}, "/bias/0/filter/value/datetime"),
    # Diversity.
    ({"diversity": 1.1}, "/diversity"),
    ({"diversity": 0.1, "top_p": 0.5}, "/diversity"),
    ({"diversity": 0.1, "top_k": 2000}, "/top_k"),
    # Groups.
    ({"group_by": {"groups": 3}}, "/group_by/field"),
    ({"group_by": {"field": "id"}}, "/group_by/field"),
    ({"group_by": {"field": "metadata.i", "ranges": []}}, "/group_by/ranges"),
    ({"group_by": {"field": "metadata.i", "ranges": [[1]]}}, "/group_by/ranges/0"),
    ({"group_by": {"field": "metadata.i", "ranges": [[0, 1], [2, 1]]}}, "/group_by/ranges/1"),
    ({"group_by": {"field": "metadata.i", "cursor": "MTAwMDE="}}, "/group_by/cursor"),
    ({"group_by": {"field": "metadata.i"}, "allow_missing": True}, "/group_by"),
    (
        {"query": None, "queries": [Q] * 11, "group_by": {"field": "metadata.i", "groups": 100}},
        "/group_by/groups",
        "send fewer queries",
    ),
    (
        {"query": None, "queries": [Q] * 2, "group_by": {"field": "metadata.i", "groups": 100, "documents": 51}},
        "/group_by/documents",
        "send fewer queries",
    ),
    # Fields to read.
    ({"read": {"field": "metadata.odd", "as": "median"}}, "/read/as"),
    ({"read": {"field": "metadata.odd", "how": "mean"}}, ("/read/as", "/read/how")),
    ({"read": {"field": "metadata.odd", "as": "quantile", "quantiles": [0.5, 1]}}, "/read/quantiles/1"),
    ({"read": {"field": "metadata.odd", "as": "vote", "quantiles": [0.5]}}, "/read/quantiles"),
    ({"read": {"field": "metadata.odd", "as": "vote"}, "allow_missing": True}, "/read"),
    ({"read": []}, "/read"),
    ({"read": [{"field": "metadata.odd", "as": "vote"}, {"field": "id", "as": "vote"}]}, "/read/1/field"),
]
PARTS = [
    ([{"id": "a"}, {"id": "x"}], "/1/id", "there is no document 'x'"),
    ([{"id": "a"}, {"vector": [-1, 0]}], "", "the weights cancel"),
    ([{"id": "a", "vector": [1, 0]}], "/0", "exactly one of text, id and vector in each part, got id and"),
    ([{"id": "a", "weight": None}], "/0/weight", "wanted a number"),
    ([{"id": ""}], "/0/id", "wanted an id of 1 to 256 characters"),
    ([{"id": "a"}, "cats"], "/1", "wanted an object"),
]
ADDENDS = [
    ({"full_text": -0.1}, "/full_text"),
    ({"full_text": 0.1, "temperature": "auto"}, "/temperature"),
    ({"full_text": 0.1, "normaliser": "one_hot"}, "/normaliser"),
    ({"bias": {"field": "metadata.year"}}, "/bias"),
    ({"bias": {"field": "year", "half_life": 3}}, "/bias/field", "not 'year': write metadata.year"),
    (
        {"bias": [{"field": "metadata.year", "half_life": 30}, {"field": "metadata.year", "half_life": -1}]},
        "/bias/1/half_life",
    ),
]
WORDS = [
    ({"weight": 1, "query": 'a "b'}, "/query", 'wanted a " that closes the phrase from character 3'),
    ({"weight": 1, "query": "a*b"}, "/query", "got 'a*b' at character 1"),
    ({"weight": 1, "query": "a " * 501}, "/query", "a query of 501 words"),
    ({"weight": -1, "query": "a"}, "/weight", "wanted a number from 0 on"),
    ({"weight": 1}, "/query"),
    ([1], "", "wanted a number from 0 on"),
]
NEEDS_CALIBRATION = [({"full_text": {"weight": "auto", "query": "a"}}, "/full_text", "calibra")]
SWEEP = [
    ({"query": Q, "temperatures": [0.1, -1]}, "/temperatures/1"),
    ({"query": Q, "temperatures": ["auto"]}, "/temperatures/0"),
    ({"query": [1], "temperatures": [1]}, "/query"),
    ({"query": Q, "temperatures": [1], "include": ["highlight"]}, "/include/0"),
]
COMPARE = [
    ({"query": [1, 2], "rows": []}, "/query"),
    ({"query": "a", "rows": [{"value": 1}]}, "/rows/0/key"),
    ({"query": "a", "rows": [{"id": "a", "key": "k"}, {"id": "a", "key": "k"}]}, "/rows/1/id"),
]
SETTINGS = [
    ({"temperature": 1e-31}, "/temperature"),
    ({"temperature": True}, "/temperature"),
    ({"dimension": 383}, "/dimension"),
    ({"encoder": "bert-large"}, "/encoder"),
    ({"encoder": None, "null": "loose"}, "/null"),
    ({"null": True}, "/null"),
]
DEFAULTS = [
    ({"filter": {"field": "metadata.i", "operator": "~", "value": True}}, "/defaults/filter/operator"),
    (
        {"filter": [], "bias": [BY_I, {"field": "metadata.i", "half_life": 0}]},
        ("/defaults/filter", "/defaults/bias/1/half_life"),
    ),
    ({"full_text": -1}, "/defaults/full_text"),
    ({"temperature": 1}, "/defaults/temperature"),
    ([], "/defaults"),
]
PAGES = [{"limit": -1}, {"limit": 1.5}, {"cursor": "?"}]
INSTANTS = ["tomorrow", "2126-11-26", "9999-12-31T23:59:59-01:00", [1], 1e300, "30 days"]
WRONG_INSTANTS = [
    (True, 'or a time from now on, such as "30d", got true'),
    (1893456000000, "in seconds, not milliseconds, since 1970, got 18934"),
]
DURATIONS = [0, "0s", "1y", True, 1e-7, 1e300, "99999w"]
FIELDS = [
    ({"fields": ["metadata.year", "id", "year"]}, ("/fields/1", "/fields/2")),
    ({"filter": {"field": "metadata.x", "operator": "~", "value": 1}}, "/filter/operator"),
    ({"cursor": "????"}, "/cursor"),
    *(({"cursor": of(parts)}, "/cursor") for parts in (1, [], [1], ["a", 1], ["a", 0, 1], ["a", 2**63, 1])),
    *(({"cursor": of(["a", 1, value])}, "/cursor") for value in ([], {}, "\ud800", float("inf"))),
]
QUERIES = [
    ({"filter": when("in", [{"datetime": "now-7"}])}, "/filter/value/0/datetime"),
    ({"filter": when(">", "now", "key")}, "/filter/value"),
    ({"limit": -1}, "/limit", "wanted a number from 0 on, got -1"),
    ({"limit": 0, "cursor": "?"}, "/cursor"),
    ({"order_by": {"field": "metadata.year", "direction": "down"}}, "/order_by/direction"),
    ({"order_by": {"field": "id"}}, "/order_by/field"),
    ({"order_by": {"field": "year"}}, "/order_by/field"),
]
PATCHES = [({"metadata": {"x": {"y" * 70_000: 1}}}, "/metadata"), ({"key_vector": [1.0]}, "/key_vector")]
BAD_DOCUMENTS = [
    ({"key": "no id"}, "/documents/1/id"),
    ({"id": "..", "key": "k"}, "/documents/1/id"),
    ({"id": "a\nb", "key": "k"}, "/documents/1/id"),
    ({"id": "\ud800", "key": "k"}, "/documents/1/id"),
    ({"id": "c", "key_vectors": []}, "/documents/1/key_vectors"),
    ({"id": "c", "key": "\udfff"}, "/documents/1/key"),
    ({"id": "c", "key": "k", "value": {"x": "\ud800"}}, "/documents/1/value"),
    ({"id": "c", "key": "k", "metadata": {"x": {"y" * 70_000: 1}}}, "/documents/1/metadata"),
    ({"id": "c", "key_vector": [0.0] * 384}, "/documents/1/key_vector"),
    ({"id": "c", "key_vector": WIDE[:383]}, "/documents/1/key_vector"),
    ({"id": "c", "key_vector": [1e39, *WIDE[:383]]}, "/documents/1/key_vector"),
    ({"id": "c", "key_vector": [True, *WIDE[:383]]}, "/documents/1/key_vector"),
    ({"id": "c", "key_vector": {"base64": "AAA"}}, "/documents/1/key_vector"),
    ({"id": "first", "key": "again"}, "/documents/1/id"),
]
SPLITS = [
    ({"key": "a text", "split": {"tokens": 2}}, "/documents/0/split/tokens"),
    ({"key": "a text", "split": {"tokens": 20, "overlap": 18}}, "/documents/0/split/overlap"),
    ({"split": {}}, "/documents/0/split"),
    ({"key": "a text", "split": {}, "key_vectors": [[1, 2]]}, "/documents/0/split"),
    ({"key": "x " * 30_000, "split": {"tokens": 3, "overlap": 0}}, "/documents/0/split"),
]
KEYS = [
    ({"key_vectors": []}, "/documents/0/key_vectors"),
    ({"key_vectors": [[1, 2], [1]]}, "/documents/0/key_vectors/1"),
    ({"key_vectors": [[1, 2], [0, 0]]}, "/documents/0/key_vectors/1"),
    ({"key": "ab", "key_vectors": [[1, 2]], "parts": [{"start": 0, "end": 3}]}, "/documents/0/parts/0"),
]
UPDATES = [
    ({**IDS, "patch": {"key": "k"}}, "/patch/key"),
    ({"filter": {"field": "metadata.i", "operator": "~", "value": 1}, "patch": {}}, "/filter/operator"),
]
EMPTY: dict[str, Any] = {"operator": "AND", "conditions": []}
NO_ONE_ELSE = {"field": "metadata.i", "operator": "not in", "value": []}
EMPTY_FILTERS: list[dict[str, Any]] = [
    EMPTY,
    NO_ONE_ELSE,
    {"operator": "AND", "conditions": [EMPTY, NO_ONE_ELSE]},
    {"operator": "OR", "conditions": [when("<", "now"), EMPTY]},
    {"operator": "NOT", "conditions": [{"operator": "OR", "conditions": []}]},
    {"field": "id", "operator": "contains", "value": ""},
]
DELETIONS = [
    ({"filter": when("contains", "now")}, "/filter/value"),
    ({"filter": None}, "", "send exactly one of ids and filter"),
    ({"filter": {}}, "/filter/field"),
    ({"filter": {"$and": []}}, "/filter/$and"),
    *(({"filter": filter_}, "/filter", "one that every document passes") for filter_ in EMPTY_FILTERS),
]
ENCODE = [({"texts": ["a", None]}, "/texts/1")]
TRACE = [
    ({"layers": [0, 99, -99]}, ("/layers/1", "/layers/2"), "the model has the layers 0 to 5"),
    ({"heads": [12]}, "/heads/0", "the model has the heads 0 to 11, or −12 to −1 from the last; got 12"),
]
FEEDBACK = [
    ({"query": [1.0] * 3, "id": "a", "right": True}, "/feedback/1/query", "width 3"),
    ({"query": "a text", "id": "a", "right": True}, "/feedback/1/query", "no encoder"),
    ({"query": Q, "id": "a", "right": "yes"}, "/feedback/1/right", "wanted true or false"),
]
LABELS = [{"query": [1, i / 240], "id": "a" if i % 2 else None} for i in range(240)]
TOO_WIDE = {"query": [1] * 3, "id": None}
CALIBRATE = [({"from": "feedback", "questions": LABELS[:60]}, "", "exactly if"), ({}, "", "exactly if")]
QUESTIONS = [
    (LABELS[:28], "/questions", "14 questions with an answer came and 14 without one: wanted at least 30"),
    (LABELS[:2] * 60, "/questions", "1 questions with an answer came and 1 without one, and 118 that were said before"),
    (
        [*LABELS[:60], LABELS[0] | {"id": "b"}],
        "/questions/60",
        "the same question stands at /questions/0, one with an answer and one without",
    ),
    ([*LABELS[:60], {"query": Q}], "/questions/60", "exactly one of id and ids"),
    ([*LABELS[:60], TOO_WIDE], "/questions/60/query", "width 3"),
    ([*LABELS[:60], {"query": "a text", "id": None}], "/questions/60/query", "no encoder"),
]
DURATION = "at most 1,000 years, got "

REFUSED = [
    *rows("vectors", "POST attend", {"query": Q}, ATTEND),
    *rows("vectors", "POST attend", {}, (({"query": parts}, f"/query{at}", said) for parts, at, said in PARTS)),
    *rows("vectors", "POST attend", {}, (({"queries": [Q, parts]}, f"/queries/1{at}") for parts, at, _ in PARTS)),
    *rows("texts", "POST attend", {"query": "cats"}, ADDENDS),
    *rows(
        "texts", "POST attend", {"query": "cats"}, [({"full_text": w}, f"/full_text{at}", *s) for w, at, *s in WORDS]
    ),
    *rows("texts", "PATCH", {}, [({"defaults": {"full_text": w}}, f"/defaults/full_text{at}") for w, at, *_ in WORDS]),
    *rows("texts", "POST attend", {"query": "cats"}, NEEDS_CALIBRATION),
    *rows("vectors", "POST sweep", {}, SWEEP),
    *rows("", "POST /v1/compare", {}, COMPARE),
    *rows("", f"PUT {SHELF}new", {}, SETTINGS),
    *rows("", f"PUT {SHELF}new", {}, (({"defaults": wrong}, pointers) for wrong, pointers in DEFAULTS)),
    *rows("bare", "PATCH", {}, (({"defaults": wrong}, pointers) for wrong, pointers in DEFAULTS)),
    *rows("bare", "PATCH", {}, [({"similarity": "dot"}, "/similarity")]),
    *rows("", "GET /v1/collections", {}, ((page, "") for page in PAGES)),
    *rows("bare", "PUT documents/x", {"key_vector": [1, 0]}, (({"expires": sent}, "/expires") for sent in INSTANTS)),
    *rows("bare", "PUT documents/x", {}, (({"expires": sent}, "/expires", said) for sent, said in WRONG_INSTANTS)),
    *rows("bare", "PATCH", {}, (({"expire_after": d}, "/expire_after", DURATION + json.dumps(d)) for d in DURATIONS)),
    *rows("vectors", "POST documents/fields", {}, FIELDS),
    *rows("vectors", "POST documents/query", {}, QUERIES),
    *rows("texts", "PATCH documents/a", {}, PATCHES),
    *rows(
        "texts",
        "POST documents",
        {},
        [({"documents": [{"id": "first", "key": "k"}, d]}, at) for d, at in BAD_DOCUMENTS],
    ),
    *rows("texts", "POST documents/update", IDS, [({"patch": {"value": None}}, "/patch/value", "one by one")]),
    *rows("texts", "POST documents", {}, [({"documents": [{"id": "c", **d}]}, at) for d, at in SPLITS]),
    *rows("bare", "POST documents", {}, [({"documents": [{"id": "c", **d}]}, at) for d, at in KEYS]),
    *rows("vectors", "POST documents/update", {}, UPDATES),
    *rows("vectors", "POST documents/delete", {}, DELETIONS),
    *rows("", "POST /v1/encode", {}, ENCODE),
    *rows("", "POST /v1/trace", {}, [({"text": "a\ud800"}, "/text")]),
    *rows("", "POST /v1/trace", {"text": "a dog"}, TRACE),
    *rows("vectors", "POST attend", {"query": Q}, [({"full_text": 0.1}, "/full_text", "a vector has no words")]),
    *rows("vectors", "POST feedback", {}, (({"feedback": [RIGHT, wrong]}, at, said) for wrong, at, said in FEEDBACK)),
    *rows("vectors", "POST feedback", {}, [({"feedback": [RIGHT] * 1001}, "/feedback")]),
    *rows("vectors", "POST feedback/delete", {}, [({}, "", "wanted exactly one of numbers")]),
    *rows("vectors", "POST feedback/delete", {}, [({"numbers": [1], "all": True}, "")]),
    *rows("vectors", "GET feedback", {}, [({"cursor": c}, "", "the cursor is not") for c in ("!", "eA==", "LTE=")]),
    *rows("vectors", "GET feedback", {}, [({"cursor": "MTExMTExMTExMTExMTExMTExMTEx"}, "", "the cursor is not")]),
    *rows("vectors", "POST calibrate", {}, CALIBRATE),
    *rows("vectors", "POST calibrate", {}, (({"questions": q}, at, said) for q, at, said in QUESTIONS)),
    *rows("bare", "POST calibrate", {}, [({"questions": [*LABELS[:60], TOO_WIDE]}, "/questions", "write some first")]),
]


@pytest.fixture(scope="module")
def paths(client: httpx.Client) -> Iterator[dict[str, str]]:
    """Yield the paths of the collections in `SETUPS`; "" has none."""
    paths = {name: SHELF + name for name in SETUPS}
    for name, (settings, documents) in SETUPS.items():
        client.put(paths[name], json=settings)
        if documents:
            assert client.post(f"{paths[name]}/documents", json={"documents": documents}).status_code == 200
    yield paths | {"": SHELF + "new"}
    for path in paths.values():
        client.delete(path)


def state(client: httpx.Client, path: str) -> Any:
    """Return what may not change: the collection, its documents and its feedback."""
    answer = client.get(path)
    if answer.status_code == 404:
        return None
    documents = client.post(f"{path}/documents/query", json={"include": ["key", "metadata", "key_vector"]}).json()
    return answer.json() | {"costs": None, "expired": None}, documents, client.get(f"{path}/feedback").json()["count"]


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: f"{row.setup} {row.call} {row.pointers[0]}")
def test_an_invalid_request_is_refused_with_a_pointer_and_changes_nothing(client, paths, row):
    method, _, below = row.call.partition(" ")
    path = f"{paths[row.setup]}/{below}".rstrip("/") if row.setup else below
    before = state(client, paths[row.setup])
    # Written as ASCII, a lone surrogate gets through.
    sent = {"params": row.body} if method == "GET" else {"content": json.dumps(row.body), "headers": JSON}
    answer = client.request(method, path, **sent)
    assert answer.status_code == 422, answer.text
    problem = answer.json()
    assert (answer.headers["content-type"], problem["code"]) == ("application/problem+json", "invalid_content")
    assert [flaw["pointer"] for flaw in problem["errors"]] == list(row.pointers), problem
    assert row.words in problem["errors"][0]["detail"]
    assert state(client, paths[row.setup]) == before
