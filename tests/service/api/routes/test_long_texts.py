"""A document of several keys weighs what they weigh together, and a match says which of them spoke."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest

RNG = np.random.default_rng(3)
D = 5
SIZES = [1, 4, 2, 1, 9, 3]
KEYS = [RNG.normal(size=(count, D)).astype(np.float32) for count in SIZES]
QUERY = RNG.normal(size=D).tolist()
TOPICS = {
    "glaciers": "The glacier carves a valley as it slides, and leaves moraines of gravel where it melts.",
    "bread": "A baker feeds the sourdough every morning, and folds the dough before the loaf is proved.",
    "orchestra": "The oboe gives the tone, and the whole orchestra tunes its strings to that note.",
    "tax": "The auditor asked for invoices, because the company had not declared its profit.",
    "beetle": "The dung beetle rolls its ball by the light of the Milky Way.",
}


def write(client: httpx.Client, path: str, documents: list[dict[str, Any]]) -> dict[str, Any]:
    answer = client.post(f"{path}/documents", json={"documents": documents})
    assert answer.status_code == 200, answer.text
    return answer.json()


def ask(client: httpx.Client, path: str, call: str = "attend", **asked: Any) -> dict[str, Any]:
    answer = client.post(f"{path}/{call}", json={"query": QUERY, "top_k": 100} | asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


def together() -> list[dict[str, Any]]:
    """Documents of several keys, and of one."""
    return [
        {
            "id": f"d{i}",
            "value": i,
            "metadata": {"i": i},
            **({"key_vector": keys[0].tolist()} if len(keys) == 1 else {"key_vectors": keys.tolist()}),
        }
        for i, keys in enumerate(KEYS)
    ]


def apart() -> list[dict[str, Any]]:
    """Each key a document by itself."""
    return [
        {"id": f"d{i}-{j}", "value": i, "metadata": {"i": i}, "key_vector": key.tolist()}
        for i, keys in enumerate(KEYS)
        for j, key in enumerate(keys)
    ]


def close(evidence: dict[str, Any], relative: float = 1e-12) -> dict[str, Any]:
    """The same numbers but for rounding; what is none stays none."""
    return {
        name: found if found is None or isinstance(found, bool) else pytest.approx(found, rel=relative, abs=1e-15)
        for name, found in evidence.items()
    }


@pytest.fixture
def both(client: httpx.Client, collection: Callable[..., str]) -> Callable[..., tuple[str, str]]:
    def make(**settings: Any) -> tuple[str, str]:
        one, other = collection(encoder=None, **settings), collection(encoder=None, **settings)
        write(client, one, together())
        write(client, other, apart())
        return one, other

    return make


@pytest.mark.parametrize("similarity", ["cosine", "dot", "scaled_dot", "gaussian"])
@pytest.mark.parametrize("temperature", [0, 1e-30, 0.01, 0.3, 1, 1e6])
@pytest.mark.parametrize("normaliser", ["softmax", "sparsemax", "entmax15", "one_hot"])
def test_its_weight_is_the_sum_of_what_its_parts_would_weigh(
    client: httpx.Client, both: Callable[..., tuple[str, str]], similarity: str, temperature: float, normaliser: str
) -> None:
    one, other = both(similarity=similarity)
    for null in (False, 0.1):
        for more in ({}, {"filter": {"field": "metadata.i", "operator": "in", "value": [0, 1, 4]}}):
            asked = {"temperature": temperature, "normaliser": normaliser, "null": null, **more}
            asked["include"] = ["output", "value"]
            whole, parts = ask(client, one, **asked), ask(client, other, **asked)
            assert whole["evidence"] == close(parts["evidence"])
            assert whole["keys"] == parts["keys"] == parts["documents"]
            np.testing.assert_allclose(whole["output"], parts["output"], rtol=1e-12, atol=1e-14)
            for match in whole["matches"]:
                mine = [part for part in parts["matches"] if part["value"] == match["value"]]
                assert match["weight"] == pytest.approx(math.fsum(part["weight"] for part in mine), abs=1e-12)
                best = max(mine, key=lambda part: part["similarity"])
                assert (match["similarity"], match["logit"]) == (best["similarity"], best["logit"])
                if SIZES[match["value"]] > 1:
                    assert match["part"] == {"index": int(best["id"].partition("-")[2])}
                else:
                    assert "part" not in match
            order = [(-match["weight"], -match["similarity"], match["id"]) for match in whole["matches"]]
            assert order == sorted(order)
            assert whole["documents"] == len(whole["matches"]) == (len(SIZES) if not more else 3)


def test_the_explanation_adds_up(client: httpx.Client, both: Callable[..., tuple[str, str]]) -> None:
    one, _ = both()
    for temperature in (0, 0.05, 1):
        found = ask(client, one, temperature=temperature, null=0.1, include=["explanation"])
        for match in found["matches"]:
            why = match["explanation"]
            assert ("log_parts" in why) == ("part" in match)
            if why["logit"] is None:
                assert (match["weight"], why["log_weight"]) == (0, None)
                continue
            total = why["logit"] + why.get("log_parts", 0.0) - why["log_partition"]
            assert why["log_weight"] == pytest.approx(total, abs=1e-12)
            assert match["weight"] == pytest.approx(math.exp(total), rel=1e-9)


def test_many_small_parts_outweigh_one_that_is_nearer(client: httpx.Client, collection: Callable[..., str]) -> None:
    path = collection(encoder=None)
    crowd = [[0.8, 0.6]] * 50
    write(client, path, [{"id": "near", "key_vector": [1, 0]}, {"id": "crowd", "key_vectors": crowd}])
    asked = {"query": [1, 0], "null": False, "temperature": 0.1, "top_k": 1}
    assert [match["id"] for match in ask(client, path, **asked)["matches"]] == ["crowd"]
    assert [match["id"] for match in ask(client, path, **asked | {"temperature": 0})["matches"]] == ["near"]
    swept = ask(client, path, "sweep", query=[1, 0], temperatures=[0, 0.1], null=False, top_k=1)
    assert [match["id"] for match in swept["matches"]] == ["near"]
    assert swept["temperatures"][1]["rest_weight"] > 0.5


def test_a_sweep_agrees_with_attend_at_each_temperature(
    client: httpx.Client, both: Callable[..., tuple[str, str]]
) -> None:
    one, _ = both()
    temperatures = [0, 0.01, 0.2, 1, 1e30]
    swept = ask(client, one, "sweep", temperatures=temperatures, null=0.2)
    assert (swept["documents"], swept["keys"]) == (len(SIZES), sum(SIZES))
    for place, temperature in enumerate(temperatures):
        answer = ask(client, one, temperature=temperature, null=0.2)
        weights = {match["id"]: match["weight"] for match in answer["matches"]}
        at = swept["temperatures"][place]
        assert at["evidence"] == close(answer["evidence"], 1e-9)
        for match, weight in zip(swept["matches"], at["weights"], strict=True):
            assert weight == pytest.approx(weights[match["id"]], abs=1e-12)
    parts = {match["id"]: match.get("part") for match in swept["matches"]}
    assert parts == {match["id"]: match.get("part") for match in ask(client, one)["matches"]}


def test_it_is_read_replaced_patched_and_deleted_as_one(client: httpx.Client, collection: Callable[..., str]) -> None:
    path = collection(encoder=None)
    keys = [[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]]
    parts = [{"start": 0, "end": 3}, {"start": 4, "end": 7}, {"start": 8, "end": 11}]
    document = {"id": "a", "key": "one two six", "value": 1, "key_vectors": keys, "parts": parts, "metadata": {"n": 1}}
    write(client, path, [document, {"id": "b", "key_vector": [1, 1]}])
    counts = lambda: [client.get(path).json()[field] for field in ("documents", "keyless", "keys")]  # noqa: E731
    assert counts() == [2, 0, 4]
    include = {"include": ["key", "value", "metadata", "key_vector"]}
    np.testing.assert_equal(client.get(f"{path}/documents/a", params=include).json(), document)
    found = ask(client, path, query=[0, 1], temperature=0)
    assert found["matches"][0]["part"] == {"index": 1, "start": 4, "end": 7}

    assert client.patch(f"{path}/documents/a", json={"metadata": {"n": 2}, "value": 5}).status_code == 200
    changed = document | {"metadata": {"n": 2}, "value": 5}
    np.testing.assert_equal(client.get(f"{path}/documents/a", params=include).json(), changed)
    update = {"ids": ["a"], "patch": {"metadata": {"n": 3}}}
    assert client.post(f"{path}/documents/update", json=update).json() == {"updated": 1}
    np.testing.assert_equal(client.get(f"{path}/documents/a", params=include).json(), changed | {"metadata": {"n": 3}})
    assert counts() == [2, 0, 4]
    assert client.patch(f"{path}/documents/a", json={"key_vectors": keys[:2]}).status_code == 200
    assert counts() == [2, 0, 3]
    assert client.put(f"{path}/documents/a", json={"key_vector": [1, 2]}).status_code == 200
    assert counts() == [2, 0, 2]
    write(client, path, [document])
    assert client.post(f"{path}/documents/delete", json={"ids": ["a"]}).json() == {"deleted": 1}
    assert counts() == [1, 0, 1]
    assert [match["id"] for match in ask(client, path, query=[0, 1])["matches"]] == ["b"]


def essay(words: int) -> tuple[str, str]:
    """A text of so many words on four subjects, and its last sentence, which is on a fifth."""
    choose = random.Random(5)
    sentences, count = [], 0
    subjects = [TOPICS[name] for name in ("glaciers", "bread", "orchestra", "tax")]
    while count < words:
        sentence = choose.choice(subjects)
        sentences.append(sentence)
        count += len(sentence.split())
    return " ".join([*sentences, TOPICS["beetle"]]), TOPICS["beetle"]


def test_a_text_of_5000_words_answers_on_its_last_sentence_and_says_where(
    client: httpx.Client, collection: Callable[..., str]
) -> None:
    path = collection()
    text, last = essay(5000)
    assert write(client, path, [{"id": "cut", "key": text, "value": 0}])["truncated"] == ["cut"]
    client.delete(f"{path}/documents/cut")
    written = write(client, path, [{"id": "essay", "key": text, "split": {"tokens": 128, "overlap": 16}}])
    assert written == {"upserted": 1, "truncated": []}
    write(client, path, [{"id": f"other {i}", "key": f"{TOPICS['tax']} {i}"} for i in range(20)])
    shown = client.get(path).json()
    assert shown["documents"] == 21
    assert shown["keys"] > 60
    found = ask(client, path, query="which insect finds its way by the stars?", top_k=1)
    (match,) = found["matches"]
    assert match["id"] == "essay"
    part = match["part"]
    assert last in text[part["start"] : part["end"]]
    assert part["end"] == len(text)
    compared = client.post(f"{path}/compare", json={"query": "which insect finds its way by the stars?"}).json()
    assert compared["top_k"]["matches"][0]["part"] == part
    assert compared["attention"]["matches"][0]["id"] == "essay"


def test_what_leaves_the_text_leaves_what_the_output_blends(
    client: httpx.Client, collection: Callable[..., str]
) -> None:
    path = collection()
    text, _ = essay(300)
    asked = {"query": "an insect", "include": ["output"], "null": False, "temperature": 0.05}
    document = {"id": "essay", "key": text, "split": {"tokens": 64}}
    write(client, path, [document])
    blended = ask(client, path, **asked)["output"]
    include = {"include": ["key", "value", "key_vector"]}
    read_back = client.get(f"{path}/documents/essay", params=include).json()
    for patch in ({"metadata": {"n": 1}}, {"value": text}, {"value": None}, {"value_vector": None}, {"key": text}):
        assert client.patch(f"{path}/documents/essay", json=patch).json() == {"upserted": 1, "truncated": []}
        assert ask(client, path, **asked)["output"] == blended, patch
    assert write(client, path, [read_back]) == {"upserted": 1, "truncated": []}
    assert ask(client, path, **asked)["output"] == blended

    update = {"ids": ["essay"], "patch": {"value": "of its own"}}
    assert client.post(f"{path}/documents/update", json=update).json() == {"updated": 1}
    assert ask(client, path, **asked)["output"] != blended
    update = {"ids": ["essay"], "patch": {"value": text}}
    assert client.post(f"{path}/documents/update", json=update).json() == {"updated": 1}
    assert ask(client, path, **asked)["output"] == blended


def test_parts_alone_are_those_of_the_stored_keys(client: httpx.Client, collection: Callable[..., str]) -> None:
    path = collection(encoder=None)
    keys, parts = [[1.0, 0.0], [0.0, 1.0]], [{"start": 0, "end": 3}, {"start": 4, "end": 7}]
    write(client, path, [{"id": "a", "key": "one two", "key_vectors": keys, "parts": parts}])

    def patched(**patch: Any) -> tuple[Any, Any]:
        answer = client.patch(f"{path}/documents/a", json=patch)
        assert answer.status_code in (200, 422), answer.text
        if answer.status_code == 422:
            return None, [error["pointer"] for error in answer.json()["errors"]]
        stored = client.get(f"{path}/documents/a", params={"include": ["key", "key_vector"]}).json()
        assert stored["key_vectors"] == keys
        return stored["key"], stored.get("parts")

    assert patched(key="three four") == (None, ["/parts"])
    assert patched(key=None) == (None, ["/parts"])
    assert patched(parts=parts[:1]) == (None, ["/parts"])
    wide = [{"start": 0, "end": 5}, {"start": 6, "end": 10}]
    assert patched(key="three four", parts=wide) == ("three four", wide)
    assert patched(metadata={"n": 1}) == ("three four", wide)
    assert patched(parts=None) == ("three four", None)
    assert patched(parts=parts) == ("three four", parts)
    assert patched(parts=[]) == ("three four", None)
    assert patched(key="five") == ("five", None)


def test_the_parts_are_encoded_as_texts_of_their_own(client: httpx.Client, collection: Callable[..., str]) -> None:
    path = collection()
    text, _ = essay(600)
    write(client, path, [{"id": "essay", "key": text, "split": {"tokens": 64}}])
    include = {"include": ["key_vector", "key"]}
    stored = client.get(f"{path}/documents/essay", params=include).json()
    texts = [text[part["start"] : part["end"]] for part in stored["parts"]]
    encoded = client.post("/v1/encode", json={"texts": texts, "purpose": "document"}).json()
    np.testing.assert_allclose(stored["key_vectors"], encoded["embeddings"], atol=2e-6)
    assert max(encoded["token_counts"]) <= 64

    # Another key says how it is to be split; the same one stays as it is.
    assert client.patch(f"{path}/documents/essay", json={"metadata": {"n": 1}}).status_code == 200
    assert client.get(f"{path}/documents/essay", params=include).json() == stored
    refused = client.patch(f"{path}/documents/essay", json={"key": "short"})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/split"
    assert client.patch(f"{path}/documents/essay", json={"key": "short", "split": None}).status_code == 200
    assert client.get(path).json()["keys"] == 1
    assert client.patch(f"{path}/documents/essay", json={"key": text, "split": {}}).status_code == 200
    assert client.get(path).json()["keys"] == -(-600 * 3 // 2 // 220) or client.get(path).json()["keys"] > 2


@pytest.mark.parametrize(
    ("document", "pointer"),
    [
        ({"key": "a text", "split": {"tokens": 2}}, "/split/tokens"),
        ({"key": "a text", "split": {"tokens": 257}}, "/split/tokens"),
        ({"key": "a text", "split": {"tokens": 20, "overlap": 18}}, "/split/overlap"),
        ({"key": "a text", "split": {"tokens": 20, "overlap": -1}}, "/split/overlap"),
        ({"key": "a text", "split": {"words": 3}}, "/split/words"),
        ({"split": {}}, "/split"),
        ({"key": "a text", "split": {}, "key_vectors": [[1, 2]]}, "/split"),
        ({"key_vectors": []}, "/key_vectors"),
        ({"key_vectors": [[1, 2], [1]]}, "/key_vectors/1"),
        ({"key_vectors": [[1, 2], [0, 0]]}, "/key_vectors/1"),
        ({"key": "ab", "key_vectors": [[1, 2]], "parts": [{"start": 0, "end": 3}]}, "/parts/0"),
        ({"key": "x " * 30_000, "split": {"tokens": 3, "overlap": 0}}, "/split"),
    ],
)
def test_what_cannot_be_split_is_refused_with_its_place(
    client: httpx.Client, collection: Callable[..., str], document: dict[str, Any], pointer: str
) -> None:
    encoder = {} if "split" in document else {"encoder": None}
    path = collection(**encoder)
    answer = client.post(f"{path}/documents", json={"documents": [{"id": "a", **document}]})
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [f"/documents/0{pointer}"]
    assert client.get(path).json()["documents"] == 0
