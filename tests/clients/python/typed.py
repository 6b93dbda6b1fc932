"""Uses of the client for mypy in `test_softkv_types.py`; this file is never run."""

from __future__ import annotations

import asyncio
from typing import assert_type

import numpy as np
from numpy.typing import NDArray

from softkv import Answer, AsyncClient, Client, Document, F, Match, Report, ServiceInfo, Verdict
from softkv.answers.encoded import Encoded

client = Client()
library = client.collection("library")
vector: NDArray[np.float32] = np.zeros(3, np.float32)

assert_type(library.attend("pets", top_k=3, where=(F.year > 3) & ~F.topics.contains("a")), Answer)
assert_type(library.attend(vector), Answer)
assert_type(library.attend([1.0, 2.0]), Answer)
assert_type(library.attend(["pets", "war"]), list[Answer])
assert_type(library.attend([vector, vector]), list[Answer])
assert_type(library.attend(client.encode(["pets"])), list[Answer])
assert_type(library.attend("pets")[0], Match)
assert_type(library.attend("pets").best, Match | None)
assert_type(library.attend("pets").verdict, Verdict)
assert_type(library.sweep("pets", [1, 2]).verdicts, list[Verdict])
assert_type(library.attend("pets")[0:2], list[Match])
assert_type(library.get("a", include=["key"]), Document)
assert_type(library.find(where=F.id == "a").first(), Document | None)
assert_type([document.id for document in library.find()], list[str])
assert_type(library.sweep("pets", [1, 2]).weights, NDArray[np.float64])
assert_type(library.upsert([{"id": "a"}]), Report)
assert_type(library.delete(["a"]), int)
assert_type(client.encode(["pets"]), Encoded)
library.put("a", "key", "value", {"n": 1}, key_vector=vector)

library.attend("pets", tok_k=3)  # wrong: call-overload
_ = library.attend("pets").answered  # wrong: attr-defined
library.get(3)  # wrong: arg-type
library.put("a", colour="red")  # wrong: call-arg
client.attend(vector, vector, vector, similarity="none")  # wrong: arg-type


async def ask() -> None:
    async with AsyncClient() as client, asyncio.TaskGroup() as group:
        library = client.collection("library")
        assert_type(await library.attend("pets"), Answer)
        assert_type(await library.attend(["pets"]), list[Answer])
        assert_type(await client.info(), ServiceInfo)
        assert_type(group.create_task(library.attend("pets")).result(), Answer)
        assert_type([document.id async for document in library.find()], list[str])
