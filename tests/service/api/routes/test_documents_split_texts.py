"""Texts that are longer than the encoder reads: their parts are keys, and a match names the matching part."""

from __future__ import annotations

import random
from collections.abc import Callable

import httpx
import numpy as np

from tests.service.api.routes.test_documents_long_texts import ask, write

TOPICS = {
    "glaciers": "The glacier carves a valley as it slides, and leaves moraines of gravel where it melts.",
    "bread": "A baker feeds the sourdough every morning, and folds the dough before the loaf is proved.",
    "orchestra": "The oboe gives the tone, and the whole orchestra tunes its strings to that note.",
    "tax": "The auditor asked for invoices, because the company had not declared its profit.",
    "beetle": "The dung beetle rolls its ball by the light of the Milky Way.",
}


def essay(words: int) -> tuple[str, str]:
    """Return a text of `words` words on four subjects, and its last sentence, which is on a fifth."""
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
    answer = ask(client, path, query="which insect finds its way by the stars?", top_k=1)
    (match,) = answer["matches"]
    assert match["id"] == "essay"
    part = match["part"]
    assert last in text[part["start"] : part["end"]]
    assert part["end"] == len(text)
    compared = client.post(f"{path}/compare", json={"query": "which insect finds its way by the stars?"}).json()
    assert compared["top_k"]["matches"][0]["part"] == part
    assert compared["attention"]["matches"][0]["id"] == "essay"


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
    assert client.get(path).json()["keys"] > 2
