"""The reason of an answer: two sentences on its weights, its similarities and its labels."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

UNCALIBRATED = "without labels, its weight does not say whether it answers"
ROUNDED = "The verdict is a tie within the rounding of the weights."


@pytest.fixture(scope="module")
def shelf(client: httpx.Client) -> Any:
    path = "/v1/collections/shelf-of-reasons"
    client.put(path, json={"encoder": None, "similarity": "dot", "temperature": 1, "null": 1})
    documents = [
        {"id": "east", "key_vector": [1, 0], "metadata": {"n": 2}},
        {"id": "north", "key": "north", "key_vector": [0, 1]},
    ]
    assert client.post(f"{path}/documents", json={"documents": documents}).status_code == 200
    yield path
    client.delete(path)


def reason(client: httpx.Client, path: str, query: Any, **options: Any) -> str:
    answer = client.post(f"{path}/attend", json={"query": query} | options).json()
    return str(answer["reason"])


ONE = {"query": [5, 0]}  # weights .98, .01 and .02
NONE = {"query": [0.5, 0]}
MATCH = "The best match has similarity"
TOGETHER = "and all documents together weigh as much as one of similarity"
FILTER = {"field": "metadata.n", "operator": "==", "value": 2}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (
            ONE,
            "“east” stands out: it has 98 % of the weight, all other documents less than 1 % and “none of these” 2 %. "
            f"{MATCH} 5, above 1, where “none of these” lies; {UNCALIBRATED}.",
        ),
        (
            ONE | {"null": False},
            "“east” stands out: it has more than 99 % of the weight and all other documents less than 1 %. "
            f"{MATCH} 5; {UNCALIBRATED}.",
        ),
        (
            {"query": [1, 1], "null": 0},
            "No document stands out: “east” has 42 % of the weight, all other documents 42 % and “none of these” 16 %. "
            f"{MATCH} 1, {TOGETHER} 1.69, above 0, where “none of these” lies; {UNCALIBRATED}.",
        ),
        (
            NONE | {"null": 1.5},
            "Nothing here is about that: “none of these” has 63 % of the weight, “east” 23 % and all other documents "
            f"14 %. {MATCH} 0.5, {TOGETHER} 0.974, below 1.5, where “none of these” lies; {UNCALIBRATED}.",
        ),
        (
            ONE | {"bias": {"field": "metadata.n", "factor": 1}},
            "“east” stands out: it has more than 99 % of the weight, all other documents less than 1 % and “none of "
            f"these” less than 1 %. {MATCH} 5, before the addends of the bias; {UNCALIBRATED}.",
        ),
        (
            ONE | {"top_k": 0},
            "One document stands out: all documents together have 98 % of the weight and “none of these” 2 %.",
        ),
        (
            {"query": [0, 0], "filter": FILTER | {"value": 7}},
            "No document can answer: none with a key passes the filter.",
        ),
    ],
)
def test_the_reason_names_the_heaviest_part_and_the_best_match(client, shelf, asked, expected):
    assert reason(client, shelf, **asked) == expected


def test_a_tie_within_the_rounding_is_marked_in_the_reason(client, shelf):
    assert reason(client, shelf, [1, 1], null=False).endswith(ROUNDED)
    assert ROUNDED not in reason(client, shelf, **ONE)


def test_words_stand_for_similarities_that_no_key_can_have(client, shelf, collection):
    alike = ", but at so high a temperature all keys weigh nearly alike; "
    path = collection([{"id": str(n), "key": key} for n, key in enumerate(["cats purr", "dogs bark", "a red car"])])
    for asked in (1e300, 1e6):
        text = reason(client, path, "cats", temperature=asked)
        assert alike in text
        assert "where “none of these” lies" not in text
        assert "e+" not in text
        assert "max_error" not in text
    assert alike in reason(client, shelf, **ONE, temperature=1e5)
    over = reason(client, path, "cats", temperature=1, null=1.5)
    assert ", but at this temperature no single key, even of similarity 1, could outweigh “none of these”; " in over
    together = reason(client, path, "cats", temperature=1, null=0.5)
    assert ", and all documents together weigh more than one of similarity 1 would, above 0.5, where " in together
    assert "even of similarity" not in reason(client, shelf, **NONE, null=1.5)


def test_each_answer_of_a_request_has_its_own(client, shelf):
    answers = client.post(f"{shelf}/attend", json={"queries": [[5, 0], [0, 5]]}).json()["results"]
    assert [answer["reason"].split(" stands out")[0] for answer in answers] == ["“east”", "“north”"]
    compared = client.post("/v1/compare", json={"query": "cats", "rows": [{"id": "a", "key": "a cat"}]}).json()
    assert compared["attention"]["reason"].startswith("“a” stands out: ")


def test_a_question_of_unknown_words_rests_on_little(client, collection):
    path = collection([{"id": "a", "key": "pets that purr"}])
    text = reason(client, path, "喵?!", null=False)
    assert text.startswith("The model knows no word of the question, so the weights say little: “a” has 100 %")
    client.put(f"{path}/documents/b", json={"key": "pets that purr"})
    twins = client.post(f"{path}/attend", json={"query": "喵?!", "null": False}).json()
    assert (twins["evidence"]["verdict"], twins["evidence"]["alike"]) == ("several", False)
    asked, sent = {"query": "pets", "null": False}, [{"key": "pets that purr"}] * 2
    alike = [
        client.post(f"{path}/attend", json=asked).json(),
        client.post("/v1/compare", json=asked | {"rows": sent}).json()["attention"],
        *client.post(f"{path}/sweep", json=asked | {"temperatures": [0.1]}).json()["temperatures"],
    ]
    assert [(answer["evidence"]["verdict"], answer["evidence"]["alike"]) for answer in alike] == [("several", True)] * 3
    assert alike[0]["reason"].startswith("Several documents that say nearly the same share the weight: ")


def test_labels_give_a_probability_where_they_hold(client, shelf):
    labels = [
        {"query": [6, i / 60], "id": "east"} if i % 2 else {"query": [0.1, i / 60], "id": None} for i in range(60)
    ]
    assert client.post(f"{shelf}/calibrate", json={"questions": labels, "apply": True}).json()["applied"]
    answer = client.post(f"{shelf}/attend", json=ONE).json()
    confidence = answer["matches"][0]["confidence"]
    assert 0.9 < confidence < 0.99
    said = f"; by 60 labelled questions, it is right with a probability of {100 * confidence:.0f} %"
    assert answer["reason"].endswith(f"{said}.")
    sure, unsure = (reason(client, shelf, **ONE, null=False, min_confidence=least) for least in (0.01, 1))
    assert sure.startswith("“east” is sure enough: ")
    assert sure.endswith(f"{said} (1 % was asked for).")
    assert reason(client, shelf, **ONE, min_confidence=0.9999).endswith(" (99.99 % was asked for).")
    assert unsure.startswith("No document is sure enough: ")
    assert reason(client, shelf, **ONE, filter=FILTER).endswith(
        "; the collection's calibration does not hold here, because a filter leaves documents out."
    )
    assert "because the temperature is 0, not " in reason(client, shelf, **ONE, temperature=0)
