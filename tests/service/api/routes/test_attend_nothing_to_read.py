"""Questions with nothing to read are refused, and words that the model does not know make no document stand out."""

from __future__ import annotations

import json

import httpx
import pytest

KEYS = ["cats purr", "dogs bark", "birds sing", "rain falls", "engines roar"]
NOTHING = {
    "": "an empty text",
    "   ": "white space alone, '   '",
    "\t\n": "white space alone, '\\t\\n'",
    "\u00a0": "white space alone, '\\xa0'",
    "\u3000": "white space alone, '\\u3000'",
    "\u200b": "'\\u200b', in which all-MiniLM-L6-v2 finds special tokens alone, or none",
    "\ufeff\u200d": "'\\ufeff\\u200d', in which all-MiniLM-L6-v2 finds special tokens alone, or none",
    "\x00": "'\\x00', in which all-MiniLM-L6-v2 finds special tokens alone, or none",
    "[PAD]": "'[PAD]', in which all-MiniLM-L6-v2 finds special tokens alone, or none",
    "[CLS] [SEP]": "'[CLS] [SEP]', in which all-MiniLM-L6-v2 finds special tokens alone, or none",
    "[MASK]": "'[MASK]', in which all-MiniLM-L6-v2 finds special tokens alone, or none",
    "[UNK]": "'[UNK]', of which all-MiniLM-L6-v2 knows no token (1 unknown)",
    "😺": "'😺', of which all-MiniLM-L6-v2 knows no token (1 unknown)",
    "猫": "'猫', of which all-MiniLM-L6-v2 knows no token (1 unknown)",
    "猫 😺": "'猫 😺', of which all-MiniLM-L6-v2 knows no token (2 unknown)",
    "x" * 101: f"'{'x' * 60}…', of which all-MiniLM-L6-v2 knows no token (1 unknown)",
}
# → the tokens that the model does not know
SIGNS = {"😺!": 1, "猫?": 1, "猫, 😺...": 2}
READ = {"asdf": 0, "qwertyuiop": 0, "???": 0, "lorem ipsum dolor sit amet": 0, "flurb zindle quax": 0, "😺 cats": 1}
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
        ("attend", {"stream": True}),
        ("attend", {"full_text": 1, "null": False}),
        ("sweep", {"temperatures": [0.1, 1]}),
        ("compare", {}),
    ],
)
def test_every_call_of_a_collection_refuses_it(client, short, call, options):
    for query in ("", "😺", "[PAD]"):
        problem = refusal(client.post(f"{short}/{call}", json={"query": query, **options}))
        assert problem == {"/query": said(NOTHING[query])}


def test_so_does_a_comparison_of_rows_that_come_with_it(client):
    for rows in ([], [{"key": "cat"}, {"key": ""}]):
        assert refusal(client.post("/v1/compare", json={"query": "猫", "rows": rows})) == {
            "/query": said(NOTHING["猫"])
        }


def test_one_of_several_refuses_all_and_each_is_pointed_at(client, short):
    queries = ["cats", "", "dogs", "😺", "birds?", " "]
    problem = refusal(client.post(f"{short}/attend", json={"queries": queries}))
    assert list(problem) == ["/queries/1", "/queries/3", "/queries/5"]
    # They were read before, and are remembered: the answer stays the same.
    assert refusal(client.post(f"{short}/attend", json={"queries": queries})) == problem


def test_labels_are_refused_by_pointer(client, short):
    questions = [{"query": f"cats {i}", "id": KEYS[0] if i % 2 else None} for i in range(60)]
    questions[7]["query"], questions[30]["query"] = "[UNK]", "\u200b"
    problem = refusal(client.post(f"{short}/calibrate", json={"questions": questions}))
    assert problem == {"/questions/7/query": said(NOTHING["[UNK]"]), "/questions/30/query": said(NOTHING["\u200b"])}


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


@pytest.mark.parametrize(("query", "unknown"), (SIGNS | READ).items(), ids=ascii)
def test_a_readable_question_is_answered_with_its_unknown_tokens(client, short, query, unknown):
    body = {"query": query, "temperature": 0.1}
    answer = client.post(f"{short}/attend", json=body).json()
    swept = client.post(f"{short}/sweep", json={"query": query, "temperatures": [0.1]}).json()
    compared = client.post(f"{short}/compare", json=body).json()["attention"]
    assert answer["unknown_tokens"] == swept["unknown_tokens"] == compared["unknown_tokens"] == unknown
    events = client.post(f"{short}/attend", json=body | {"stream": True}).text.splitlines()
    streamed = [json.loads(line.removeprefix("data: ")) for line in events if line.startswith("data: ")]
    assert {result["unknown_tokens"] for result in streamed} == {unknown}
    verdicts = [result["evidence"]["verdict"] for result in (answer, swept["temperatures"][0], compared, *streamed)]
    assert len(set(verdicts)) == 1


@pytest.mark.parametrize("query", [*SIGNS, "???", "😺 cats"])
def test_for_words_that_are_all_unknown_no_document_stands_out(client, short, query):
    vector = client.post("/v1/encode", json={"texts": [query], "purpose": "query"}).json()["embeddings"][0]
    cold = {"temperature": 0.001, "null": False}
    of_text, of_vector = (
        client.post(f"{short}/attend", json={"query": result, **cold}).json() for result in (query, vector)
    )
    assert of_vector["matches"][0]["weight"] == pytest.approx(of_text["matches"][0]["weight"], abs=1e-3)
    assert (of_vector["evidence"]["verdict"], of_vector.get("unknown_tokens")) == ("one", None)
    stands = "several" if query in SIGNS else "one"
    assert (of_text["evidence"]["verdict"], of_text["evidence"]["verdict_certain"]) == (stands, True)
    body = {"query": query, "temperatures": [0.001, 1], "null": False}
    swept = client.post(f"{short}/sweep", json=body).json()["temperatures"]
    assert [result["evidence"]["verdict"] for result in swept] == [stands, "several"]
    compared = client.post(f"{short}/compare", json={"query": query, **cold}).json()
    assert compared["attention"]["evidence"]["verdict"] == stands


def test_documents_and_embeddings_may_be_of_nothing(client, collection):
    path = collection()
    texts = [text for text in NOTHING if text != "\x00"]  # which no document may hold
    documents = [{"id": f"d{i}", "key": text} for i, text in enumerate(texts)]
    written = client.post(f"{path}/documents", json={"documents": documents})
    assert written.status_code == 200, written.text
    assert client.post(f"{path}/attend", json={"query": "cats"}).json()["documents"] == len(texts)
    encoded = client.post("/v1/encode", json={"texts": texts}).json()
    assert len(encoded["embeddings"]) == len(texts)
    response = client.post("/v1/embeddings", json={"input": texts, "model": "all-MiniLM-L6-v2"}).json()
    assert len(response["data"]) == len(texts)
