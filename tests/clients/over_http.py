"""The calls of the cases over plain HTTP, with responses converted to the form of the clients' answers."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import httpx
import numpy as np

from tests.clients.cases import Case, jsonable

FORMAT = {"vector_format": "base64"}
QUERIES = 64
FEWER_QUERIES = 20  # whose answers look at more documents
WROTE: dict[str, Any] = {"skipped": []}
WRITTEN = WROTE | {"deleted": 0}
# The classes in docs/guide/python.md.
CLASSES = {
    401: "KeyRefused", 403: "Forbidden", 404: "NotFound", 409: "Conflict", 413: "TooLarge", 422: "Invalid",
    429: "Busy", 500: "ServiceFailed", 503: "Unavailable", 507: "StorageFull",
}  # fmt: skip


class RefusedError(Exception):
    """The service's problem, in the form of a client's error, which names a call of the client's."""

    def __init__(self, problem: dict[str, Any]) -> None:
        super().__init__(problem["detail"])
        self.told = {
            "class": CLASSES[problem["status"]],
            "code": problem["code"],
            "status": problem["status"],
            "detail": re.sub(r"PUT /v1/collections/\S+$", "collection.create()", problem["detail"]),
            "errors": problem.get("errors", []),
        }


class OverHttp:
    """Asks a service what cases ask, in as few words as HTTP takes."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def clear(self, cases: Sequence[Case]) -> None:
        """Delete the collections that they are of."""
        for name in {case["collection"] for case in cases if "collection" in case}:
            self._client.delete(f"/v1/collections/{quote(name, safe='')}")

    def ask(self, case: Case) -> dict[str, Any]:
        """Send a call; return its `answer` or its `error`."""
        call, arguments = case["call"], dict(case["arguments"])
        path = f"/v1/collections/{quote(case['collection'], safe='')}" if "collection" in case else "/v1"
        try:
            return {"answer": decoded(getattr(self, f"_{call}")(path, arguments))}
        except RefusedError as refusal:
            return {"error": refusal.told}

    def _send(self, method: str, path: str, content: Any = None, **query: Any) -> Any:
        body = {} if content is None else {"json": content}
        answer = self._client.request(method, path, params=query, **body)
        if answer.is_error:
            raise RefusedError(answer.json())
        return answer.json() if answer.content else None

    def _create(self, path: str, settings: dict[str, Any]) -> Any:
        exist_ok = settings.pop("exist_ok", False)
        try:
            return self._send("PUT", path, settings)
        except RefusedError as refusal:
            if not exist_ok or refusal.told["code"] != "alias_conflict":
                raise
        info = self._send("GET", path)
        differing = [name for name, setting in settings.items() if info[name] != setting]
        if not differing:
            return info
        detail = (
            f"{path.rpartition('/')[2]!r} is an alias of {info['name']!r}, which has another "
            f"{' and another '.join(differing)}: leave these settings out, or choose another name"
        )
        raise RefusedError({"status": 409, "code": "collection_conflict", "detail": detail})

    def _change(self, path: str, settings: dict[str, Any]) -> Any:
        return self._send("PATCH", path, settings)

    def _info(self, path: str, _: dict[str, Any]) -> Any:
        return self._send("GET", path)

    def _drop(self, path: str, _: dict[str, Any]) -> Any:
        return self._send("DELETE", path)

    def _collections(self, path: str, prefix: dict[str, Any]) -> Any:
        return self._send("GET", f"{path}/collections", **prefix)["collections"]

    def _aliases(self, path: str, prefix: dict[str, Any]) -> Any:
        return self._send("GET", f"{path}/aliases", **prefix)["aliases"]

    def _alias(self, path: str, which: dict[str, Any]) -> Any:
        return self._send("GET", f"{path}/aliases/{quote(which['alias'], safe='')}")

    def _put_alias(self, path: str, which: dict[str, Any]) -> Any:
        return self._send("PUT", f"{path}/aliases/{quote(which.pop('alias'), safe='')}", which)

    def _remove_alias(self, path: str, which: dict[str, Any]) -> Any:
        return self._send("DELETE", f"{path}/aliases/{quote(which['alias'], safe='')}")

    def _attend(self, path: str, question: dict[str, Any]) -> Any:
        if "queries" not in question:
            return self._send("POST", f"{path}/attend", question | FORMAT)
        queries = question.pop("queries")
        size = FEWER_QUERIES if "diversity" in question else QUERIES
        parts = ({"queries": queries[position : position + size]} for position in range(0, len(queries), size))
        bodies = (self._send("POST", f"{path}/attend", question | part | FORMAT) for part in parts)
        return [
            result | {name: answer[name] for name in answer.keys() - {"results"}}
            for answer in bodies
            for result in answer["results"]
        ]

    def _attend_stream(self, path: str, question: dict[str, Any]) -> Any:
        answer = self._client.post(f"{path}/attend", json=question | FORMAT | {"stream": True})
        if answer.is_error:
            raise RefusedError(answer.json())
        events = [
            dict(line.split(": ", 1) for line in item.split("\n")) for item in answer.text.strip("\n").split("\n\n")
        ]
        return [json.loads(event["data"]) | {"final": event["event"] == "answer"} for event in events]

    def _sweep(self, path: str, question: dict[str, Any]) -> Any:
        return self._send("POST", f"{path}/sweep", question | FORMAT)

    def _compare(self, path: str, question: dict[str, Any]) -> Any:
        return self._send("POST", f"{path}/compare", question)

    def _calibrate(self, path: str, labelled: dict[str, Any]) -> Any:
        return self._send("POST", f"{path}/calibrate", labelled)

    def _encode(self, path: str, texts: dict[str, Any]) -> Any:
        return self._send("POST", f"{path}/encode", texts | FORMAT)

    def _trace(self, path: str, text: dict[str, Any]) -> Any:
        return self._send("POST", f"{path}/trace", text | FORMAT)

    def _models(self, path: str, _: dict[str, Any]) -> Any:
        return self._send("GET", f"{path}/models")["data"]

    def _put(self, path: str, document: dict[str, Any]) -> Any:
        return WRITTEN | self._send("PUT", f"{path}/documents/{quote(document.pop('id'), safe='')}", document)

    def _patch(self, path: str, changes: dict[str, Any]) -> Any:
        return WRITTEN | self._send("PATCH", f"{path}/documents/{quote(changes.pop('id'), safe='')}", changes)

    def _get(self, path: str, which: dict[str, Any]) -> Any:
        return self._send("GET", f"{path}/documents/{quote(which.pop('id'), safe='')}", **which, **FORMAT)

    def _remove(self, path: str, which: dict[str, Any]) -> Any:
        return self._send("DELETE", f"{path}/documents/{quote(which['id'], safe='')}")

    def _exists(self, path: str, which: dict[str, Any]) -> Any:
        try:
            return bool(self._get(path, which))
        except RefusedError as refusal:
            if refusal.told["code"] != "document_not_found":
                raise
            return False

    def _get_many(self, path: str, which: dict[str, Any]) -> Any:
        documents_by_id = {item["id"]: item for item in self._find(path, which)}
        return [documents_by_id.get(name) for name in which["ids"]]

    def _find(self, path: str, which: dict[str, Any]) -> Any:
        documents: list[Any] = []
        cursor: dict[str, str] = {}
        while cursor is not None:
            page = self._send("POST", f"{path}/documents/query", which | cursor | FORMAT)
            documents += page["documents"]
            cursor = {"cursor": page["next_cursor"]} if page["next_cursor"] else None
        return documents

    def _count(self, path: str, which: dict[str, Any]) -> Any:
        return self._send("POST", f"{path}/documents/query", which | {"limit": 0, "count": True})["count"]

    def _delete(self, path: str, which: dict[str, Any]) -> Any:
        return self._send("POST", f"{path}/documents/delete", which)["deleted"]

    def _update(self, path: str, change: dict[str, Any]) -> Any:
        return self._send("POST", f"{path}/documents/update", change)["updated"]

    def _write(self, path: str, documents: dict[str, Any]) -> Any:
        return WRITTEN | self._send("POST", f"{path}/documents", documents)

    def _upsert(self, path: str, documents: dict[str, Any]) -> Any:
        rows = documents["documents"]
        read = {"rows": len(rows), "acknowledged": len(rows)}
        if "mode" in documents:
            return WROTE | self._send("POST", f"{path}/documents", documents) | read | {"refused": []}
        lines = "\n".join(json.dumps(item) for item in rows)
        headers = {"content-type": "application/x-ndjson"}
        came = self._client.post(f"{path}/documents", content=lines, headers=headers)
        if came.is_error:
            raise RefusedError(came.json())
        *parts, last = map(json.loads, came.text.splitlines())
        assert last["done"]
        refused = [
            refusal(refused_row["line"] - 1, rows, refused_row["errors"])
            for part in parts
            for refused_row in part["refused"]
        ]
        truncated = [name for part in parts for name in part["truncated"]]
        return WROTE | read | {"upserted": last["upserted"], "truncated": truncated, "refused": refused}

    def _fields(self, path: str, which: dict[str, Any]) -> Any:
        return self._send("POST", f"{path}/documents/fields", which)["fields"]

    def _values(self, path: str, which: dict[str, Any]) -> Any:
        field = which.pop("field")
        facts = self._send("POST", f"{path}/documents/fields", which | {"fields": [field], "values": True})
        return facts["fields"][field]["values"]


def refusal(row: int, documents: Sequence[dict[str, Any]], errors: Sequence[dict[str, str]]) -> dict[str, Any]:
    """Return a refused row in the form of a report: its detail names the field."""
    pointer, detail = errors[0]["pointer"], errors[0]["detail"]
    named = detail if pointer.lstrip("/") in detail else f"{pointer}: {detail}"
    return {"row": row, "id": documents[row]["id"], "detail": named, "errors": errors}


def decoded(answer: Any) -> Any:
    """Return an answer with its vectors as float32 numbers."""
    if isinstance(answer, dict):
        if isinstance(answer.get("base64"), str):
            numbers = np.frombuffer(base64.b64decode(answer["base64"]), "<f4")
            return jsonable(numbers.reshape(answer.get("shape", -1)).tolist())
        rounded = {"output": np.float32(answer["output"]).tolist()} if isinstance(answer.get("output"), list) else {}
        return {name: decoded(match) for name, match in answer.items()} | rounded
    return [decoded(match) for match in answer] if isinstance(answer, list) else answer
