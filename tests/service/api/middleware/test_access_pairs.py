"""Two services that differ in documents which a key's filter hides: the key is answered alike, to the byte."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from softkv.mcp.tools import TOOLS
from softkv_attention.lookup import Limits
from softkv_service.api.keyring import line_of
from tests.running import RunningService
from tests.service.api.calls import BIAS, EVERY_FIELD, MATCH_FIELDS, MINILM, Call, examples
from tests.service.api.conftest import add_reranker, stock
from tests.service.api.contract import Contract, checked_in
from tests.service.api.middleware.test_access_forced_filter import FILTERS
from tests.service.api.refused import WRITES
from tests.service.api.test_routing import WHOLE
from tests.thorough import thorough

CONTRACT = Contract(checked_in())
PAGE = Path(__file__).parents[4] / "docs" / "operate" / "access.md"
FILTER = {"field": "metadata.tenant", "operator": "!=", "value": "b"}
VISIBLE = 30
JSON = "application/json"
KEYS: dict[str, dict[str, Any]] = {
    "whole": {},
    "part": {"filter": FILTER},
    "counted": {"filter": FILTER, "documents": VISIBLE + 9},
}
TAKE_FILTERS = {
    operation.id
    for operation in CONTRACT.operations.values()
    if any(
        field.split(".")[1:] == ["filter"]
        for field in CONTRACT.fields(operation.contents.get(JSON, {"schema": {}})["schema"])
    )
} - WHOLE
EVERYTHING = {"query": [1, 0], "temperature": 5, "bias": BIAS, "include": MATCH_FIELDS}
SMALL = Limits(block_rows=64, exact_max_components=-1)
REVISION = {"accept": "application/json, text/event-stream", "mcp-protocol-version": "2025-06-18"}
PAST = "2026-01-01T00:00:00Z"


class Listed(NamedTuple):
    """What may differ: fields of the answers to some calls, and the words of the page that say so."""

    words: str
    concerns: Callable[[Call], bool]
    fields: frozenset[str]


def sends(*texts: str) -> Callable[[Call], bool]:
    """Return whether the body of a call has one of these texts."""
    return lambda call: not isinstance(call.body, bytes) and any(text in json.dumps(call.body) for text in texts)


def is_one_of(*names: str) -> Callable[[Call], bool]:
    return lambda call: call.operation in names


WEIGHED = frozenset(
    {
        "weight",
        "weights",
        "rest_weight",
        "log_weight",
        "log_partition",
        "null_weight",
        "entropy",
        "effective_documents",
        "total_variation",
        "reason",
    }
)
LISTED = [
    Listed("times.", lambda call: True, frozenset({"took_ms"})),
    Listed("times.", sends('"now"'), WEIGHED | {"logit", "addend"}),
    Listed("they have totals of the service", is_one_of("metrics", "readyz"), frozenset({"*"})),
]
OF_EACH_ANSWER = ("x-request-id", "content-length", "date")
OF_THE_REQUEST = {
    "embeddings": {"id"},
    "rerank": {"id"},
    "rerank_as_cohere": {"id"},
    "score": {"id", "created"},
    "read_table": {"expires"},
}
"""Fields that have the id of the request, its instant, or one that is counted from it."""


def hidden(number: int, **fields: Any) -> dict[str, Any]:
    """Return a document that the key does not see, whose id lies before, between or behind those that it sees."""
    chosen = random.Random(number)
    metadata = {"tenant": "b", "year": 1900 + number % 120, "shelf": f"s{number}", "hidden": number}
    document = {"id": f"{'!aqz~'[number % 5]}{number}", "key": f"hidden {number} of cats"}
    if "key_vectors" not in fields:
        document["key_vector"] = [chosen.gauss(0, 1), chosen.gauss(0, 1)]
    return {**document, **fields, "metadata": metadata | fields.get("metadata", {})}


def some(name: str, *values: Any) -> list[dict[str, Any]]:
    """Return a hidden document with each of these values in a field."""
    return [hidden(i, **{name: value}) for i, value in enumerate(values)]


HIDDEN: dict[str, list[dict[str, Any]]] = {
    "none": [],
    "one": [hidden(1)],
    "many": [hidden(i) for i in range(5000)],  # more values of a field than are summed in chunks
    **{f"a value of length {length:g}": some("value_vector", [length, 0]) for length in (0, 20, 2e6, 2e30)},
    "near keys": some("key_vector", [1, 0], [0, 1], [1, 1e-7], [2, 0]),
    "far keys": some("key_vector", [1e18, 1], [-1e18, 1e18], [1e-30, 0]),
    "several keys": some("key_vectors", [[1, 0], [0, 1]], [[5, 5], [1, 1], [1e9, 0]]),
    "no keys": [hidden(i, key=None, key_vector=None) for i in range(3)],
    "other types": some(
        "metadata",
        *(
            dict.fromkeys(("year", "shelf", "at"), value)
            for value in ("1993", True, [1993, "x"], {"a": {"b": 1}}, 1e308, -1e308, 2**53, PAST)
        ),
    ),
    # The key writes some of these ids.
    "expired": [
        hidden(i, id=name, expires=PAST, metadata={"tenant": "ab"[i % 2]})
        for i, name in enumerate(("c", "d", "f", "g"))
    ],
}
HIDDEN["all of these"] = [
    document if "expires" in document else document | {"id": f"{document['id']}-{i}"}
    for i, document in enumerate(document for documents in HIDDEN.values() for document in documents)
]
SEEN = [
    {
        "id": f"m{i:02}",
        "key": f"cats {i}",
        "key_vector": [i - 9, 5 - i % 7],
        "value_vector": [i, 1],
        "metadata": {"tenant": "a", "year": 1990 + i % 9, "shelf": f"s{i % 4}", "at": f"20{10 + i}-01-01T00:00:00Z"},
    }
    for i in range(VISIBLE)
]


def texts_of(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return documents without vectors."""
    return [{name: part for name, part in document.items() if "vector" not in name} for document in documents]


def calls(names: list[str], n_filters: int) -> Iterator[Call]:
    """Yield every call with every field, reads first, then calls about ids of documents, hidden ones among them.

    A call that takes a filter also comes with other filters, and with the fields of another such call.
    """
    chosen, about = random.Random(5), {"name": "vectors"}
    every = [call for operation in CONTRACT.operations.values() for call in examples(CONTRACT, operation)]
    every += [*EVERY_FIELD, Call("attend", EVERYTHING, about)]
    for call in sorted(every, key=lambda call: call.operation in WRITES):
        yield call
        if call.operation in TAKE_FILTERS and "ids" not in call.body:
            bodies = [same.body for same in every if (same.operation, same.values) == (call.operation, call.values)]
            for condition in chosen.sample(FILTERS[1:], n_filters):
                yield Call(call.operation, chosen.choice(bodies) | call.body | {"filter": condition}, call.values)
    library = {"name": "library"}
    for searched in (0.3, {"weight": 0.2, "query": '"hidden 7" of* cats'}):
        body = {"query": "hidden cats 7", "include": ["explanation"], "full_text": searched, "top_k": 40}
        yield Call("attend", body, library)
        yield Call("attend", body | {"rerank": {"model": "late"}, "top_k": 10}, library)
    yield Call("sweep", {"query": "hidden cats 7", "temperatures": [0, 1], "full_text": 0.1}, library)
    yield Call("compare", {"query": "hidden cats 7", "top_k": 20}, library)
    for name in names:
        yield Call("query_documents", {"ids": [name, "a"], "count": True}, about)
        yield Call("attend", {"query": [{"id": name}, [1, 0]]}, about)
        yield Call("give_feedback", {"feedback": [{"query": [1, 0], "id": name, "right": True}]}, about)
        yield Call("update_documents", {"ids": [name], "patch": {"metadata": {"tenant": "a"}}}, about)
        yield Call("delete_documents", {"ids": [name]}, about)
        for operation, body in (("get_document", None), ("patch_document", {"value": 1}), ("delete_document", None)):
            yield Call(operation, body, about | {"id": name})
    for i in range(20):
        yield Call("put_document", {"key_vector": [1, i]}, about | {"id": f"n{i}"}, headers={"x-api-key": "counted"})


BY_TOOLS: dict[str, dict[str, Any]] = {
    "ask": {"question": "pets", "top_k": 9},
    "list_collections": {},
    "find": {"limit": 1},
    "get": {"ids": ["qa76", "!0"]},
    "compare": {"question": "pets"},
    "trace": {"text": "pets"},
    "remember": {"id": "t", "text": "pets that purr"},
    "forget": {"ids": ["t", "!0"]},
}


def requests(client: httpx.Client, names: list[str], n_filters: int) -> Iterator[tuple[Call, httpx.Request]]:
    """Yield all of these, and a call of each tool for models."""
    yield from ((call, call.request(client, CONTRACT)) for call in calls(names, n_filters))
    assert BY_TOOLS.keys() == TOOLS.keys()
    for name, arguments in BY_TOOLS.items():
        about = {"collection": "library"} if "collection" in TOOLS[name].input["properties"] else {}
        params = {"name": name, "arguments": arguments | about}
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        yield Call("mcp", message), client.build_request("POST", "/mcp", json=message, headers=REVISION)


class Service:
    """A service with what the key sees, and with documents that are hidden from it."""

    def __init__(self, running: RunningService, documents: list[dict[str, Any]]) -> None:
        running.wait_until_ready()
        self.whole, self.part = (running.client(headers={"x-api-key": name}) for name in ("whole", "part"))
        stock(running, self.whole, CONTRACT)
        half = len(documents) // 2
        for batch in filter(None, (documents[:half], SEEN, documents[half:])):
            for name, sent in (("vectors", batch), ("library", texts_of(batch[:300]))):
                self.ask("POST", f"collections/{name}/documents", {"documents": sent})
        if ids := [document["id"] for document in documents if "expires" not in document][:100]:
            judgements = [{"query": [1, 1], "id": identity, "right": True} for identity in ids]
            self.ask("POST", "collections/vectors/feedback", {"feedback": judgements})
            self.ask("PUT", "aliases/before", {"collection": "vectors"})

    def ask(self, method: str, path: str, body: dict[str, Any]) -> Any:
        """Return the answer to the key without a filter."""
        answer = self.whole.request(method, f"/v1/{path}", json=body)
        assert answer.status_code < 300, answer.text
        return answer.json()

    def hidden(self) -> list[Any]:
        """Return the documents that the key must not change."""
        body = {"filter": FILTER | {"operator": "=="}, "include": [*MATCH_FIELDS[:3], *MATCH_FIELDS[4:6]]}
        answers = [self.ask("POST", f"collections/{name}/documents/query", body) for name in ("vectors", "library")]
        return [answer["documents"] for answer in answers]


def said(answer: httpx.Response, call: Call) -> list[Any]:
    """Return the status, headers and body of an answer, without what may vary; numbers as they are written."""
    items = [item for item in LISTED if item.concerns(call)]
    varying = frozenset[str]().union(OF_THE_REQUEST.get(call.operation, ()), *(item.fields for item in items))

    def read(line: str) -> Any:
        return json.loads(
            line,
            object_pairs_hook=lambda pairs: [pair for pair in pairs if pair[0] not in varying],
            parse_float=str,
        )

    headers = [header for header in answer.headers.multi_items() if header[0] not in OF_EACH_ANSWER]
    lines = [] if "*" in varying else [line.removeprefix("data: ") for line in answer.text.splitlines()]
    return [answer.status_code, headers, [read(line) if line[:1] in ("{", "[") else line for line in lines]]


CASES = [
    ("all of these", "sqlite", "none", None),
    ("all of these", "sqlite", "none", SMALL),
    *(thorough(name, "sqlite", MINILM, None) for name in HIDDEN),
    thorough("all of these", "sqlite", MINILM, SMALL),
    pytest.param("all of these", "postgres", MINILM, None, marks=[pytest.mark.postgres, pytest.mark.thorough]),
]


@pytest.mark.parametrize(("name", "store", "encoder", "limits"), CASES)
def test_a_key_is_answered_as_if_hidden_documents_did_not_exist(
    tmp_path: Path, request: pytest.FixtureRequest, name: str, store: str, encoder: str, limits: Limits | None
) -> None:
    (tmp_path / "keys").write_text("".join(line_of(key, "write", "", key, **KEYS[key]) + "\n" for key in KEYS))
    statuses = defaultdict[str, set[int]](set)
    with ExitStack() as stack:
        pair = []
        for folder, documents in (("shared", HIDDEN[name]), ("alone", [])):
            settings = {"store": request.getfixturevalue("postgres").database()} if store == "postgres" else {}
            settings |= {"data_dir": tmp_path / folder, "keys_file": tmp_path / "keys", "encoder": encoder}
            running = stack.enter_context(RunningService(limits=limits, **settings))
            pair.append(Service(running, documents))
            if encoder != "none":
                add_reranker(running, request.getfixturevalue("cross_encoder"))
        shared, alone = pair
        before = shared.hidden()
        names = [*(document["id"] for document in HIDDEN[name][-5:]), "none"]
        n_filters = 1 if encoder == "none" else 3  # at night
        pairs = zip(*(requests(service.part, names, n_filters) for service in pair), strict=True)
        for (call, request_), (_, other) in pairs:
            answer = shared.part.send(request_)
            statuses[call.operation].add(answer.status_code)
            assert said(answer, call) == said(alone.part.send(other), call), call
        assert shared.hidden() == before
    for operation, answered in statuses.items():
        assert answered == {403} if operation in WHOLE else min(answered) < 300 or encoder == "none", operation


def test_the_page_about_keys_lists_each_difference() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for item in LISTED:
        assert item.words in text
