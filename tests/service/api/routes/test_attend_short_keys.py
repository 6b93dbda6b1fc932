"""If keys are words, meaningless queries get no answer, and meaningful ones do."""

from __future__ import annotations

import pytest

THINGS = """
anchor apple axe barn beetle candle canyon carpet cello chimney cloud comet copper crow desert drum eagle
engine ferry flute fog garlic glacier glove harbour hammer heron honey island jacket kettle ladder lantern
lemon magnet maple mirror monsoon needle oak oven owl pepper piano pillow plough quilt raven ribbon river
saddle sail scarf shovel silk sparrow spoon stove tailor temple thunder tractor trumpet tulip turnip velvet
violin walnut whistle willow
"""
WORDS = THINGS.split()
NONSENSE = ["qwertyuiop", "flurb zindle quax", "xyzzy", "aaaaaaaaaa", "zxcvbnm", "hjkl hjkl", "0x7fe3a9", "mmmmm"]
MEANT = {"fiddle": "violin", "jet engine": "engine", "a place where bread is baked": "oven"}


@pytest.fixture(scope="module")
def words(client):
    path = "/v1/collections/words"
    assert client.put(path, json={}).status_code == 201
    documents = [{"id": word, "key": word} for word in WORDS]
    assert client.post(f"{path}/documents", json={"documents": documents}).status_code == 200
    yield path
    client.delete(path)


@pytest.mark.parametrize("null", ["auto", "lenient"])
def test_meaningless_strings_match_nothing(client, words, null):
    answers = client.post(f"{words}/attend", json={"queries": NONSENSE, "null": null}).json()["results"]
    weights = {query: answer["evidence"]["null_weight"] for query, answer in zip(NONSENSE, answers, strict=True)}
    assert [query for query, weight in weights.items() if weight < 0.5] == []


def test_short_and_long_questions_of_short_keys_are_answered(client, words):
    for query, right in MEANT.items():
        answer = client.post(f"{words}/attend", json={"query": query}).json()
        assert answer["evidence"]["null_weight"] < 0.5
        assert answer["matches"][0]["id"] == right
