"""Bodies read and written in parts equal those read and written at once."""

from __future__ import annotations

import asyncio
import json
import random
import tracemalloc
from typing import Any

import numpy as np
import orjson
import pytest

from softkv_service.api import body
from softkv_service.api import json as large
from softkv_service.api.body import parse
from softkv_service.api.json import BLOCK, ArraysAnswer, parse_large, release, serialise_parts
from softkv_service.api.problems.errors import BodyTooLarge, MalformedBody

TEXTS = ['"', "\\", '\\"', "a,b", "[{", "}]", "é", "\n", "\\u0022", "\\\\", '","', "plain"]


def made(chance: random.Random, depth: int) -> Any:
    kind = chance.randrange(7 if depth else 4)
    if kind < 4:
        return [chance.choice(TEXTS) * chance.randrange(4), chance.random(), None, chance.randrange(99)][kind]
    if kind < 6:
        return [made(chance, depth - 1) for _ in range(chance.randrange(5))]
    return {chance.choice(TEXTS) + str(i): made(chance, depth - 1) for i in range(chance.randrange(5))}


def some(fast: int, of: int) -> list[Any]:
    """Return seeds: the first ones for every run, the others for a thorough one."""
    return [*range(fast), *(pytest.param(seed, marks=pytest.mark.thorough) for seed in range(fast, of))]


@pytest.mark.parametrize("seed", some(7, of=40))
def test_a_body_in_parts_is_the_body(monkeypatch, seed):
    monkeypatch.setattr(large, "PART_BYTES", 40)
    monkeypatch.setattr(large, "BLOCK", 1 + seed % 7 * 10)
    chance = random.Random(seed)
    for _ in range(60):
        content = made(chance, 5)
        if chance.random() < 0.7:
            content = {chance.choice(TEXTS): [made(chance, 3) for _ in range(chance.randrange(30))] for _ in range(3)}
        spaces = {"indent": chance.choice([None, 1]), "ensure_ascii": chance.random() < 0.5}
        assert parse_large(json.dumps(content, **spaces).encode()) == content


@pytest.mark.parametrize("seed", some(5, of=20))
def test_invalid_json_is_refused_in_parts_as_in_one_piece(monkeypatch, seed):
    monkeypatch.setattr(large, "PART_BYTES", 8)
    chance = random.Random(seed)
    for _ in range(200):
        raw = bytearray(json.dumps({"a": [made(chance, 2) for _ in range(20)], "b": [1, 2, 3]}).encode())
        position = chance.randrange(len(raw))
        raw[position : position + chance.randrange(3)] = chance.choice([b"", b",", b"]", b"[", b"}", b'"', b"\\", b":"])
        try:
            expected = orjson.loads(bytes(raw))
        except orjson.JSONDecodeError:
            with pytest.raises(orjson.JSONDecodeError):
                parse_large(bytes(raw))
        else:
            assert parse_large(bytes(raw)) == expected


def test_a_large_body_is_read_in_parts(monkeypatch):
    content = {"documents": [{"id": str(i), "key_vector": [0.5] * 40, "value": 'a "b", [c'} for i in range(9000)]}
    text, taken = orjson.dumps(content), list[int]()
    loads_one = orjson.loads
    monkeypatch.setattr(orjson, "loads", lambda part: taken.append(len(part)) or loads_one(part))
    assert len(text) > BLOCK
    assert parse(text) == content
    assert max(taken) < 2 * large.PART_BYTES
    with pytest.raises(MalformedBody):
        parse(text[:-3] + b",]}")


@pytest.mark.parametrize("element", [b"{}", b"[]", b"1"])
def test_more_values_than_can_be_held_are_refused(monkeypatch, element):
    monkeypatch.setattr(large, "MAX_LISTS", 1000)
    monkeypatch.setattr(large, "MAX_VALUES", 1000)
    monkeypatch.setattr(body, "LARGE_BODY", 100)
    parse(b'{"texts":[' + b",".join([element] * 900) + b"]}")
    with pytest.raises(BodyTooLarge, match="in parts"):
        parse(b'{"texts":[' + b",".join([element] * 1100) + b"]}")
    parse(b'{"texts":["' + b",".join([element] * 9000) + b'"]}')


def test_released_content_is_empty():
    content = {"a": list(range(100_000)), "b": 1}
    release(content)
    assert content == {"a": [], "b": 1}
    content = {"results": [{"matches": list(range(100_000))} for _ in range(3)]}
    inner = [result["matches"] for result in content["results"]]
    release(content)
    assert (content, inner) == ({"results": []}, [[], [], []])


@pytest.mark.parametrize(
    "content",
    [
        {
            "a": np.arange(100_000.0),
            "b": np.arange(60_000).reshape(3, 200, 100),
            "c": [],
            "d": {},
            "e": np.zeros((0, 3)),
        },
        {"list": [{"id": str(i), "vector": np.full(300, i / 3)} for i in range(500)], "null": None},
        [{"rows": [[i, "x"] for i in range(3000)]} for _ in range(20)],
        {
            "wide": [np.zeros(40_000), np.array([np.nan, 1, np.inf])],
            "text": "é" * 1000,
            "fragment": orjson.Fragment(b"7"),
        },
        [],
    ],
)
def test_an_answer_in_parts_is_the_answer(content):
    parts = list(serialise_parts(content))
    assert b"".join(parts) == orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)
    assert max(map(len, parts)) < 1_000_000


def test_an_answer_of_arrays_is_serialised_while_it_is_sent():
    content, sent, memory = {"weights": np.random.default_rng(0).random((1000, 1000)), "null": None}, [], []

    async def send(message):
        sent.append(message)
        memory.append(tracemalloc.get_traced_memory()[0])
        message["size"] = len(message.pop("body", b""))

    answer = ArraysAnswer(content)
    tracemalloc.start()
    try:
        asyncio.run(answer({"type": "http"}, None, send))
    finally:
        tracemalloc.stop()
    assert "content-length" not in dict(sent[0]["headers"])
    assert sum(message["size"] for message in sent) == len(orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY))
    assert sum(message["size"] for message in sent) > 10 * max(memory)
    assert [message.get("more_body", False) for message in sent[1:]] == [True] * (len(sent) - 2) + [False]
