"""Questions with nothing to read are refused, and words that the model does not know make no document stand out."""

from __future__ import annotations

import httpx
import pytest

KEYS = ["cats purr", "dogs bark", "birds sing", "rain falls", "engines roar"]
NOTHING = {
    "": "an empty text",
    "\t\n": "white space alone, '\\t\\n'",
    "\u200b": "'\\u200b', in which all-MiniLM-L6-v2 finds special tokens alone, or none",
    "[PAD]": "'[PAD]', in which all-MiniLM-L6-v2 finds special tokens alone, or none",
    "猫": "'猫', of which all-MiniLM-L6-v2 knows no token (1 unknown)",
    "猫 😺": "'猫 😺', of which all-MiniLM-L6-v2 knows no token (2 unknown)",
    "x" * 101: f"'{'x' * 60}…', of which all-MiniLM-L6-v2 knows no token (1 unknown)",
}
# → the tokens that the model does not know
READ = {"猫, 😺...": 2, "???": 0, "flurb zindle quax": 0, "😺 cats": 1}
SECRET = "X-Room-Secret"


@pytest.fixture(scope="module")
def short(client):
    path = "/v1/collections/short-keys"
    assert client.put(path, json={}).status_code == 201
    documents = [{"id": key, "key": key} for key in KEYS]
    assert client.post(f"{path}/documents", json={"documents": documents}).status_code == 200
    yield path
    client.delete(path)


def refusal(answer: httpx.Response) -> dict[str, str]:
    """Return the flaws by pointer."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "nothing_to_read"), answer.text
    return {flaw["pointer"]: flaw["detail"] for flaw in problem["errors"]}


def said(seen: str) -> str:
    return f"Expected a question with something to read, got {seen}. Ask in words that the model knows."


@pytest.mark.parametrize(("query", "seen"), NOTHING.items(), ids=ascii)
def test_a_question_without_known_tokens_is_refused_with_its_text(client, short, query, seen):
    assert refusal(client.post(f"{short}/attend", json={"query": query})) == {"/query": said(seen)}


@pytest.mark.parametrize(
    ("call", "options"),
    [
        ("attend", {}),
        ("attend", {"full_text": 1, "null": False}),
        ("sweep", {"temperatures": [0.1, 1]}),
        ("compare", {}),
    ],
)
def test_every_call_of_a_collection_refuses_it(client, short, call, options):
    for query in ("", "猫", "[PAD]"):
        problem = refusal(client.post(f"{short}/{call}", json={"query": query, **options}))
        assert problem == {"/query": said(NOTHING[query])}


def test_one_of_several_refuses_all_and_each_is_pointed_at(client, short):
    queries = ["cats", "", "dogs", "猫", "birds?", " "]
    problem = refusal(client.post(f"{short}/attend", json={"queries": queries}))
    assert list(problem) == ["/queries/1", "/queries/3", "/queries/5"]
    # They were read before, and are remembered: the answer stays the same.
    assert refusal(client.post(f"{short}/attend", json={"queries": queries})) == problem


def test_labels_are_refused_by_pointer(client, short):
    questions = [{"query": f"cats {i}", "id": KEYS[0] if i % 2 else None} for i in range(60)]
    questions[7]["query"], questions[30]["query"] = "[PAD]", "\u200b"
    problem = refusal(client.post(f"{short}/calibrate", json={"questions": questions}))
    assert problem == {"/questions/7/query": said(NOTHING["[PAD]"]), "/questions/30/query": said(NOTHING["\u200b"])}


def test_a_question_without_known_tokens_does_not_enter_a_room(client):
    opened = client.post("/v1/rooms", json={}).json()
    path, presents = f"/v1/rooms/{opened['code']}", {SECRET: opened["secret"]}
    try:
        for headers in ({}, presents):
            problem = refusal(client.post(f"{path}/questions", json={"query": "猫"}, headers=headers))
            assert problem == {"/query": said(NOTHING["猫"])}
        assert client.post(f"{path}/questions", json={"query": "猫"}, headers={SECRET: "no"}).status_code == 403
        state = client.get(path).json()
        assert (state["waiting"], state.get("question")) == ([], None)
    finally:
        client.delete(path, headers=presents)


@pytest.mark.parametrize(("query", "unknown"), READ.items(), ids=ascii)
def test_a_readable_question_is_answered_with_its_unknown_tokens(client, short, query, unknown):
    body = {"query": query, "temperature": 0.1}
    answer = client.post(f"{short}/attend", json=body).json()
    swept = client.post(f"{short}/sweep", json={"query": query, "temperatures": [0.1]}).json()
    compared = client.post(f"{short}/compare", json=body).json()["attention"]
    assert answer["unknown_tokens"] == swept["unknown_tokens"] == compared["unknown_tokens"] == unknown
    verdicts = [result["evidence"]["verdict"] for result in (answer, swept["temperatures"][0], compared)]
    assert len(set(verdicts)) == 1


def test_documents_and_embeddings_may_be_of_nothing(client, collection):
    path = collection()
    texts = [*NOTHING]
    documents = [{"id": f"d{i}", "key": text} for i, text in enumerate(texts)]
    written = client.post(f"{path}/documents", json={"documents": documents})
    assert written.status_code == 200, written.text
    assert client.post(f"{path}/attend", json={"query": "cats"}).json()["documents"] == len(texts)
    encoded = client.post("/v1/encode", json={"texts": texts}).json()
    assert len(encoded["embeddings"]) == len(texts)
    response = client.post("/v1/embeddings", json={"input": texts, "model": "all-MiniLM-L6-v2"}).json()
    assert len(response["data"]) == len(texts)
