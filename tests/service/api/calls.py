"""Requests: any call of the API by its name, the documented examples, and calls that use every field there is."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.service.api.contract import Contract, Operation
from tests.thorough import thorough

MINILM = "all-MiniLM-L6-v2"

NDJSON = "application/x-ndjson"
FILE = "application/octet-stream"
EVENTS = "text/event-stream"
TWO = "AACAPwAAAEA="  # [1, 2]
WIDE = base64.b64encode(struct.pack("<384f", *[0.1] * 384)).decode()
TRAINED = {"pairs": 280, "held_out": 120, "mrr_before": 0.31, "mrr_after": 0.84, "error": 0.04}
ROWS = [{"id": "a", "key": "cat", "value": "meows"}, {"key": "dog", "value": ["barks"]}]
ARRAYS = {"query": [[1, 0]], "key": [[1, 0], [0, 1]], "value": [[1, 0], [0, 1]]}
EYE = [[1, 0], [0, 1]]
FUTURE = "2126-11-26T12:00:00Z"


@dataclass(frozen=True)
class Call:
    """One request; path parameters that are not given take their documented examples."""

    operation: str
    body: Any = None
    values: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def request(self, client: httpx.Client, contract: Contract) -> httpx.Request:
        operation = contract.operations[self.operation]
        content = self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()
        kinds = [kind for kind in (NDJSON, FILE) if isinstance(self.body, bytes) and kind in operation.contents]
        kind = kinds[0] if kinds else "application/json"
        return client.build_request(
            operation.method,
            operation.to(**{**in_path(contract, operation), **self.values}),
            content=None if self.body is None else content,
            params=self.query or None,
            headers=({} if self.body is None else {"content-type": kind}) | dict(self.headers),
        )

    def send(self, client: httpx.Client, contract: Contract) -> httpx.Response:
        answer = client.send(self.request(client, contract), stream=True)
        if answer.headers.get("content-type", "").startswith(EVENTS):  # which go on for as long as somebody listens
            next(answer.iter_raw())
            answer.close()
        else:
            answer.read()
        return answer


def in_path(contract: Contract, operation: Operation) -> dict[str, str]:
    """The documented examples of its path parameters."""
    parameters = [parameter for parameter in operation.parameters if parameter["in"] == "path"]
    return {parameter["name"]: contract.resolved(parameter["schema"])[1]["examples"][0] for parameter in parameters}


def examples(contract: Contract, operation: Operation) -> Iterator[Call]:
    """Yield the examples of the documentation; a call without a body is one example."""
    if not operation.contents:
        yield Call(operation.id)
    for media, content in operation.contents.items():
        if media in (NDJSON, FILE):
            query = {
                parameter["name"]: parameter["example"]
                for parameter in operation.parameters
                if parameter.get("required") and parameter["in"] == "query"
            }
            yield Call(operation.id, content["example"].encode(), query=query)
        else:
            _, schema = contract.resolved(content["schema"])
            yield from (Call(operation.id, body) for body in schema["examples"])


def trained_once(calls: Sequence[Call]) -> list[Any]:
    """Return these calls as parameters; of those that train a network, all but the first are for the night."""
    first = next(call for call in calls if call.operation == "train_model")
    return [thorough(call) if call.operation == "train_model" and call is not first else call for call in calls]


def pointed(arguments: Any) -> Any:
    """Return the same JSON with a decimal point in every integer that equals a float."""
    if isinstance(arguments, dict):
        return {name: pointed(inner) for name, inner in arguments.items()}
    if isinstance(arguments, list):
        return [pointed(inner) for inner in arguments]
    return float(arguments) if type(arguments) is int and abs(arguments) < 2**53 else arguments


def integer_fields(arguments: Any, field: str) -> set[str]:
    """Return the fields below a field that hold an integer."""
    if isinstance(arguments, dict):
        return {name for key, inner in arguments.items() for name in integer_fields(inner, f"{field}.{key}")}
    if isinstance(arguments, list):
        return {name for inner in arguments for name in integer_fields(inner, f"{field}[]")}
    return {field} if type(arguments) is int else set()


def with_new_integers(calls: Sequence[Call]) -> list[Any]:
    """Return these calls as parameters; those whose integers are all in fields of earlier calls are for the night."""
    earlier, parameters = set[str](), list[Any]()
    for call in calls:
        fields = integer_fields(call.body, call.operation)
        parameters.append(call if fields - earlier else thorough(call))
        earlier |= fields
    return parameters


def with_numbers(arguments: Any, numbers: Sequence[Any]) -> Iterator[Any]:
    """Yield the same JSON with each of the numbers in the place of each field, and of each list's first element."""
    if isinstance(arguments, dict):
        for name, inner in arguments.items():
            yield from ({**arguments, name: changed} for changed in with_numbers(inner, numbers))
    elif isinstance(arguments, list) and arguments:
        yield from ([changed, *arguments[1:]] for changed in with_numbers(arguments[0], numbers))
    elif not isinstance(arguments, list):
        yield from numbers


def first(contract: Contract, operation: Operation) -> Call:
    """The first example."""
    return next(examples(contract, operation))


def _new(**settings: Any) -> Call:
    return Call("put_collection", settings, {"name": "new"})


def _ask(**arguments: Any) -> Call:
    return Call("attend", arguments, {"name": "vectors"})


SEVERAL: dict[str, Any] = {
    "key": "ab",
    "key_vectors": [[1, 0], {"base64": TWO}],
    "parts": [{"start": 0, "end": 1}, {"start": 1, "end": 2}],
}

BY_RECENCY = {"field": "metadata.year", "half_life": 10, "origin": 2000, "missing": -1}
BIAS: list[dict[str, Any]] = [
    *({**BY_RECENCY, "decay": each} for each in ("exponential", "gaussian")),
    {"field": "metadata.at", "half_life": "30d", "origin": {"datetime": "now"}},
    {"field": "metadata.year", "factor": 0.001, "missing": 0.5},
    {"field": "metadata.year", "scale": "log", "factor": 2, "missing": 0},
    {"field": "metadata.shelf", "weights": {"QA76": 1.5, "1993": 1, "true": 2}, "missing": -1},
    {"filter": {"field": "metadata.year", "operator": ">=", "value": 1990}, "addend": 1},
]
MATCH_FIELDS = ["value", "key", "metadata", "output", "key_vector", "value_vector", "explanation", "highlight"]
LABELLED: list[dict[str, Any]] = [
    {"query": f"question {i} of a library", "id": "qa76" if i % 2 else None} for i in range(60)
]

# With the examples: every field of every request, and every choice of each.
EVERY_FIELD = [
    Call("attend", {"query": "a", "rerank": {"model": "marco", "depth": 2, "weight": "auto"}}),
    Call("attend", {"query": "a", "rerank": {"weight": 0.5}}),
    Call("rerank", {"query": "a", "documents": ["b"], "return_documents": True, "top_k": 1, "max_tokens_per_doc": 9}),
    Call("rerank", {"query": "a", "documents": [{"title": "b"}], "rank_fields": ["title"]}),
    Call("rerank_as_cohere", {"query": "a", "documents": [{"text": "b"}], "return_documents": False}),
    Call("score", {"text_1": ["a", "b"], "text_2": ["c", "d"]}),
    _new(similarity="cosine", encoder="all-MiniLM-L6-v2", value_from="key", null="auto"),
    _new(similarity="scaled_dot", dimension=4, encoder=None, value_dimension=3, temperature=0.2, value_from="value"),
    _new(similarity="gaussian", encoder=None, null=-0.5),
    _new(defaults={"filter": BIAS[-1]["filter"], "bias": BIAS, "full_text": 0.5, "top_k": 5, "include": MATCH_FIELDS}),
    Call("patch_collection", {"defaults": {"full_text": "auto", "rerank": {"depth": 5}}}),
    *(_new(encoder=None, expire_after=after) for after in ("30d", 3600, None)),
    _new(late=True),
    Call("list_collections", query={"prefix": "v", "limit": 1, "cursor": "bGlicmFyeQ=="}),
    Call("list_aliases", query={"prefix": "c", "limit": 1, "cursor": "YmVmb3Jl"}),
    Call("put_document", {"key_vector": [3, 4], "value_vector": {"base64": TWO}}, {"name": "vectors"}),
    Call("patch_document", {"key": "k", "value": {"a": 1}, "key_vector": [1, 1]}, {"name": "vectors", "id": "a"}),
    Call("patch_document", {"value_vector": {"base64": TWO}}, {"name": "vectors", "id": "a"}),
    Call("put_document", SEVERAL, {"name": "vectors"}),
    Call("put_document", {"key_vector": [3, 4], "expires": FUTURE}, {"name": "vectors"}),
    Call("put_document", {"key_vector": [3, 4], "expires": None}, {"name": "vectors"}),
    *(
        Call("patch_document", {"expires": expires}, {"name": "vectors", "id": "a"})
        for expires in (FUTURE, 4951636800, None)
    ),
    Call("patch_document", {"key": "ab", "key_vectors": [[1, 0], [0, 1]]}, {"name": "vectors", "id": "a"}),
    Call("patch_document", SEVERAL, {"name": "vectors", "id": "a"}),
    Call("put_document", {"key": "a long text", "split": {"tokens": 4, "overlap": 1}}),
    Call("patch_document", {"key": "another", "split": {"tokens": 4}}, {"name": "library", "id": "qa76"}),
    Call("get_document", None, {"name": "vectors", "id": "a"}, {"include": ["key_vector"]}),
    Call(
        "post_documents",
        {"documents": [{"id": "d", **SEVERAL, "expires": 4951636800}, {"id": "e", "metadata": {"no": "key"}}]},
        {"name": "vectors"},
    ),
    Call("post_documents", {"documents": [{"id": "f", "key": "a long text", "split": {}}]}),
    Call("post_documents", {"documents": [{"id": "g", "expires": FUTURE}, {"id": "h", "expires": None}]}),
    Call("get_document", query={"include": ["key", "value"], "vector_format": "numbers"}),
    Call(
        "get_document",
        query={"include": ["metadata", "key_vector", "value_vector", "sent_value"], "vector_format": "base64"},
    ),
    Call(
        "post_documents",
        {"mode": "create", "documents": [{"id": "c", "key_vector": [1, 0], "value_vector": [0, 1]}]},
        {"name": "vectors"},
    ),
    Call("post_documents", {"documents": [{"id": "g", "key_vector": [1, 0]}], "delete": ["f"]}, {"name": "vectors"}),
    *(
        Call("post_documents", {"mode": mode, "documents": [{"id": "qa76", "key": "databases"}]})
        for mode in ("upsert", "skip")
    ),
    Call("update_documents", {"ids": ["qa76"], "patch": {"value": {"a": 1}, "metadata": None, "expires": FUTURE}}),
    *(Call("update_documents", {"ids": ["qa76"], "patch": {"expires": expires}}) for expires in (4951636800, None)),
    Call("query_documents", {"ids": ["qa76", "none"], "cursor": "cWE3NQ==", "vector_format": "base64"}),
    Call("query_documents", {"include": ["key", "value", "metadata", "key_vector", "value_vector", "sent_value"]}),
    Call("query_documents", {"vector_format": "numbers", "limit": 0, "count": True}),
    *(
        Call("query_documents", {"order_by": {"field": "metadata.year", "direction": direction}})
        for direction in ("ascending", "descending")
    ),
    *(
        Call("query_documents", {"filter": {"field": "metadata.year", "operator": operator, "value": value}})
        for operator, value in {"==": 1993, "!=": 1993, ">": 1, "<=": 1, "in": [1993], "not in": [1]}.items()
    ),
    Call(
        "query_documents",
        {"filter": {"field": "metadata.shelf", "operator": "contains", "value": "qa", "ignore_case": True}},
    ),
    Call("query_documents", {"filter": {"field": "key", "operator": "in", "value": ["cats", None]}}),
    Call("query_documents", {"filter": {"field": "metadata.at", "operator": ">", "value": {"datetime": "now-7d"}}}),
    *(
        Call("query_documents", {"filter": {"operator": operator, "conditions": []}, "count": True})
        for operator in ("AND", "OR", "NOT")
    ),
    Call("describe_fields", {"fields": ["metadata.year"], "values": True, "cursor": "WyJ5ZWFyIiwgMSwgMTk5M10="}),
    *(_ask(query=[1, 0], normaliser=each, null=0.3) for each in ("softmax", "sparsemax", "entmax15", "one_hot")),
    _ask(query={"base64": TWO}, temperature="auto", effective_documents=1.5, vector_format="base64"),
    _ask(query=[1, 0], temperature=0, top_k=1, include=["output", "key_vector", "value_vector"], null=False),
    _ask(query=[1, 0], top_p=0.5, max_error=1e-6, vector_format="numbers"),
    *(_ask(query=[1, 0], allow_missing=each) for each in (True, False)),
    _ask(query=[1, 0], read={"field": "metadata.year", "as": "quantile", "quantiles": [0.1, 0.5]}),
    *(_ask(query=[1, 0], read={"field": "metadata.year", "as": each}) for each in ("mean", "vote")),
    _ask(query=[1, 0], read=[{"field": "metadata.year", "as": each} for each in ("mean", "vote")]),
    _ask(query=[1, 0], group_by={"field": "metadata.shelf", "groups": 2, "documents": 1}),
    _ask(query=[1, 0], group_by={"field": "metadata.year", "ranges": [[None, 1950], [1950, 2000]]}),
    _ask(query=[1, 0], group_by={"field": "metadata.year", "cursor": "Mg=="}),
    _ask(query=[{"id": "a", "weight": 2}, {"vector": {"base64": TWO}, "weight": -0.5}]),
    _ask(query=[1, 0], diversity=0.5),
    _ask(query=[1, 0], filter={"field": "id", "operator": "==", "value": "none"}, include=["value", "metadata"]),
    *(Call("attend", {"queries": ["cats", "dogs"], "null": name}) for name in ("auto", "lenient", "strict")),
    Call("calibrate", {"questions": [*LABELLED, {"query": "pets", "ids": ["qa76"]}], "apply": True, "from": "labels"}),
    Call("calibrate", {"from": "feedback"}),
    Call("calibrate", {"from": "feedback", "rerank": {"model": "marco", "depth": 2}}),
    Call("give_feedback", {"feedback": [{"query": "pets", "id": "qa76", "right": True}]}),
    Call("list_feedback", query={"limit": 1, "cursor": "MQ=="}),
    Call("delete_feedback", {"numbers": [1]}),
    Call("delete_feedback", {"all": True}),
    Call("patch_collection", {"calibration": None}),
    Call("patch_collection", {"projection": None}),
    Call("store_projection", {"down": [[1, 0]], "up": [{"base64": TWO}]}, {"name": "vectors"}),
    Call(
        "store_projection",
        {"down": [{"base64": WIDE}], "up": [[0.5] * 384], "encoder": MINILM, "trained": TRAINED},
        {"name": "library"},
    ),
    *(Call("get_projection", query={"vector_format": each}) for each in ("numbers", "base64")),
    *(Call("patch_collection", {"expire_after": after}) for after in ("30d", 3600, None)),
    *(Call("patch_collection", {"late": late}, {"name": "library"}) for late in (True, False)),
    Call("start_re_encoding", {"encoder": MINILM, "temperature": 0.1, "null": "lenient", "vectors": "keep"}),
    _ask(query=[1, 0], min_confidence=0.5),
    _ask(query=[1, 0], null="calibrated"),
    Call(
        "sweep",
        {
            "query": [1, 0],
            "temperatures": [0, 1e-30, 1, 1e300],
            "top_k": 1,
            "null": 0.5,
            "filter": {"field": "id", "operator": "contains", "value": "a"},
            "include": ["key", "value", "metadata", "key_vector", "value_vector"],
            "vector_format": "base64",
        },
        {"name": "vectors"},
    ),
    Call("sweep", {"query": "cats", "temperatures": [1], "vector_format": "numbers"}),
    Call("attend", {"query": "databases", "full_text": 0.1, "bias": BIAS, "include": ["explanation"]}),
    _ask(query=[1, 0], full_text="auto"),
    _ask(query=[1, 0], full_text={"weight": 0.1, "query": '"difference engine" comput*'}),
    Call("attend", {"query": "databases", "bias": BIAS[0], "include": ["explanation"]}),
    Call("attend", {"query": "databases", "include": ["highlight"]}),
    *(
        Call("sweep", {"query": "databases", "temperatures": [1], "full_text": 0.1, "bias": each})
        for each in (BIAS, *BIAS)
    ),
    Call("compare", {"query": "C++", "temperature": 0, "top_k": 1, "null": False}),
    Call("compare_rows", {"query": "kitten", "rows": ROWS, "temperature": 1, "top_k": 1, "null": 0.2}),
    *(Call("attend_arrays", ARRAYS | {"similarity": each}) for each in ("cosine", "scaled_dot", "gaussian")),
    *(
        Call("attend_arrays", ARRAYS | {"normaliser": each, "vector_format": "base64"})
        for each in ("softmax", "sparsemax", "entmax15", "one_hot")
    ),
    Call(
        "attend_arrays",
        ARRAYS
        | {"temperature": 0, "mask": [[False, False]], "bias": [[0, 1]], "null": 0.1, "vector_format": "numbers"},
    ),
    Call("attend_arrays", ARRAYS | {"include": ["weights", "logits"]}),
    Call("attend_arrays", ARRAYS | {"similarity": "bilinear", "parameters": {"W": EYE}}),
    Call("attend_arrays", ARRAYS | {"similarity": "additive", "parameters": {"W_q": EYE, "W_k": EYE, "v": [1, 1]}}),
    Call(
        "attend_arrays",
        ARRAYS | {"projections": {"W_Q": EYE, "W_K": EYE, "W_V": EYE, "W_O": EYE, "n_heads": 2}, "intermediates": True},
    ),
    Call(
        "open_room",
        {"code": "ZOOM", "rows": [{"id": "a", "key": "cats", "value": "They purr.", "by": "Anna"}], "hold": True},
    ),
    Call("put_room_row", {"key": "cats", "value": "They purr.", "by": "Anna"}),
    Call("ask_room", {"query": "pets that purr", "temperature": 0.1}),
    Call("put_guess", {"question": 1, "row": None}),
    Call("train_model", {"task": "copy", "model": "gru", "seconds": 30, "steps": 1, "seed": 1}),
    *(
        Call("train_model", {"task": "copy", "model": model, "seconds": 30, "steps": 1})
        for model in ("transformer", "lstm", "gru_attention", "lstm_attention")
    ),
    *(Call("train_model", {"task": task, "steps": 1}) for task in ("numbers", "translation", "pictures")),
    Call("decode_source", {"model": "m-0123abcd", "source": "3 March 2014"}),
    Call("decode_source", {"model": "m-4567cdef", "picture": [[0.5] * 16] * 16}),
    Call("encode", {"texts": ["a"], "model": "all-MiniLM-L6-v2", "purpose": "document", "vector_format": "numbers"}),
    Call("encode", {"texts": ["a", "b"], "tokens": True}, headers={"accept": NDJSON}),
    Call(
        "read_table",
        b"nr;title;answer;embedding;until;note;price\n1;cats;yes;[1, 2];30d;x;1.10\n",
        query={
            "file": "books.csv",
            "id": "nr",
            "key": "title",
            "value": "answer",
            "vector": "embedding",
            "expires": "until",
            "skip": ["note"],
            "number": ["price"],
            "odd": "empty",
            "text": True,
            "text_column": ["title"],
            "decimal": ".",
            "date": "%d.%m.%Y",
            "delimiter": ";",
            "charset": "utf-8",
            "quoting": "csv",
            "header_row": 1,
        },
    ),
    Call(
        "read_table",
        b"id,key\n1,cats\n",
        query={"file": "a.csv", "decimal": ",", "quoting": "none", "sheet": "Data", "odd": "refuse"},
    ),
    Call(
        "read_table",
        b"1,cats\n",
        query={"file": "a.csv", "no_header": True, "columns": ["id,key"], "join": " ", "member": "a.csv"},
    ),
    Call("trace", {"text": "a", "causal": True, "include": ["query", "key", "value"], "vector_format": "base64"}),
    Call("trace", {"text": "a", "model": "all-MiniLM-L6-v2", "purpose": "document", "vector_format": "numbers"}),
    Call(
        "trace",
        {
            "text": "a",
            "purpose": "query",
            "heads": [0],
            "include": ["written", "hidden_states", "neurons", "vector", "without_head"],
        },
    ),
    Call("embeddings", {"model": "all-MiniLM-L6-v2", "input": "a", "encoding_format": "base64", "dimensions": 8}),
    Call("embeddings", {"model": "all-MiniLM-L6-v2", "input": [[101, 102]], "purpose": "query"}),
    *(
        Call("embeddings", {"model": "all-MiniLM-L6-v2", "input": "a", "output_dimension": 8, "input_type": kind})
        for kind in ("document", "passage", "query", "search_document", "search_query")
    ),
    Call(
        "embeddings",
        {
            "model": "all-MiniLM-L6-v2",
            "input": "a",
            "output_dtype": "float",
            "embedding_type": "float",
            "normalized": True,
            "late_chunking": False,
            "truncation": False,
            "truncate": "NONE",
        },
    ),
    *(
        Call("embeddings", {"model": "all-MiniLM-L6-v2", "input": "a", "task": task, "truncate": truncate})
        for task, truncate in (
            ("retrieval.query", "END"),
            ("retrieval.passage", True),
            ("code.query", None),
            ("code.passage", None),
            ("text-matching", None),
        )
    ),
    Call(
        "embeddings",
        {"model": "all-MiniLM-L6-v2", "input": [101, 102], "purpose": "document", "encoding_format": "float"},
    ),
]
