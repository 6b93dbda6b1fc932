"""Full text that ranks a text of its own: phrases and prefixes over HTTP, with texts, vectors and defaults."""

from __future__ import annotations

import pytest

TEXTS = ["the difference engine", "an engine of difference", "computers compute", "a cat", "bread and butter", "stars"]
SEARCH = '"difference engine" comput*'
EXPLAINED = {"top_k": 10, "include": ["explanation"]}


@pytest.fixture(scope="module")
def path(client):
    path = "/v1/collections/words"
    client.put(path, json={"late": False})
    documents = [{"id": f"t{i}", "key": text} for i, text in enumerate(TEXTS)]
    client.post(f"{path}/documents", json={"documents": documents})
    yield path
    client.delete(path)


def attend(client, path, **fields):
    answer = client.post(f"{path}/attend", json={"query": "machines", **EXPLAINED, **fields})
    assert answer.status_code == 200, answer.text
    return answer.json()


def ranked(answer):
    lines = {match["id"]: match["explanation"]["addends"][0] for match in answer["matches"]}
    assert all(line["addend"] == pytest.approx(0.5 * line["rank"]) for line in lines.values())
    return {identity: line["rank"] for identity, line in lines.items() if line["rank"]}


def vector(client, text):
    return client.post("/v1/encode", json={"texts": [text], "purpose": "query"}).json()["embeddings"][0]


def test_a_text_of_its_own_is_ranked_in_place_of_the_query(client, path):
    wish = {"weight": 0.5, "query": SEARCH}
    answer = attend(client, path, full_text=wish)
    assert ranked(answer).keys() == {"t0", "t2"}
    assert answer["full_text"] == {"weight": 0.5, "ranking": "bm25", "documents": 2}
    plain = attend(client, path)
    logits = {match["id"]: match["logit"] for match in plain["matches"]}
    for match in answer["matches"]:
        added = 0.5 * ranked(answer).get(match["id"], 0)
        assert match["logit"] == pytest.approx(logits[match["id"]] + added, abs=1e-9)


def test_words_of_a_text_without_spaces_are_found_beside_an_english_question(client, path):
    documents = [{"id": f"z{i}", "key": text} for i, text in enumerate(["softkv是一个工具", "图书馆九点开门"])]
    client.post(f"{path}/documents", json={"documents": documents})
    assert ranked(attend(client, path, full_text={"weight": 0.5, "query": "softkv 是什么？"})).keys() == {"z0"}
    assert ranked(attend(client, path, full_text={"weight": 0.5, "query": '"书馆" 门'})).keys() == {"z1"}
    too_long = client.post(f"{path}/attend", json={"query": "猫" * 600, "full_text": 0.1})
    assert "a query of 600 words and 600 characters came" in too_long.json()["detail"]
    for document in documents:
        client.delete(f"{path}/documents/{document['id']}")


def test_a_vector_several_queries_and_a_sweep_have_it(client, path):
    wish, query = {"weight": 0.5, "query": SEARCH}, vector(client, "machines")
    expected = ranked(attend(client, path, full_text=wish))
    assert ranked(attend(client, path, query=query, full_text=wish)) == expected
    body = {"queries": ["cats", query], "full_text": wish, **EXPLAINED}
    results = client.post(f"{path}/attend", json=body).json()["results"]
    assert [ranked(result) for result in results] == [expected] * 2
    swept = client.post(f"{path}/sweep", json={"query": query, "temperatures": [0.05], "full_text": wish}).json()
    assert swept["full_text"]["documents"] == 2


def test_a_default_may_have_it_and_then_holds_for_vectors(client, path):
    wish = {"weight": 0.5, "query": SEARCH}
    assert client.patch(path, json={"defaults": {"full_text": wish}}).status_code == 200
    try:
        assert client.get(path).json()["defaults"] == {"full_text": wish}
        answer = attend(client, path, query=vector(client, "machines"))
        assert answer["applied"] == {"full_text": wish}
        assert ranked(answer).keys() == {"t0", "t2"}
        assert "full_text" not in attend(client, path, full_text=None)
        judged = client.post(f"{path}/feedback", json={"feedback": [{"query": "machines", "id": "t0", "right": True}]})
        assert judged.status_code == 200, judged.text
    finally:
        client.patch(path, json={"defaults": None})
