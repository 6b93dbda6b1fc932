"""SQL, full text, top-k and attention, on stored rows and on rows of the request."""

from __future__ import annotations

import math
import sqlite3

import pytest

ROWS = [
    {"id": "cat", "key": "what's a cat?", "value": "a small animal that purrs"},
    {"id": "cpp", "key": "C++ and its standard library", "value": ["a", {"b": 1}]},
    {"id": "dog", "key": "dogs and cats that live together", "value": None},
    {"id": "注意力", "key": "注意力 is attention", "value": "attention"},
    {"id": "same", "key": "what's a cat?", "value": "the same key again"},
]
QUESTIONS = ["what's a cat?", '"', "注意力", "NOT cat OR ("]


@pytest.fixture(scope="module")
def stored(client):
    path = "/v1/collections/compared"
    client.put(path, json={})
    client.post(f"{path}/documents", json={"documents": [*ROWS, {"id": "gone", "key": "cats"}]})
    client.post(f"{path}/documents/delete", json={"ids": ["gone"]})
    yield path
    client.delete(path)


@pytest.mark.parametrize("question", QUESTIONS)
def test_stored_rows_and_the_same_rows_in_the_request_answer_alike(client, stored, question):
    one = client.post(f"{stored}/compare", json={"query": question})
    other = client.post("/v1/compare", json={"query": question, "rows": ROWS})
    assert one.status_code == other.status_code == 200
    one, other = one.json(), other.json()
    assert one["sql"]["rows"] == other["sql"]["rows"]
    assert one["full_text"]["rows"] == other["full_text"]["rows"]
    assert [m["id"] for m in one["attention"]["matches"]] == [m["id"] for m in other["attention"]["matches"]]
    for mine, yours in zip(one["attention"]["matches"], other["attention"]["matches"], strict=True):
        assert mine["weight"] == pytest.approx(yours["weight"], abs=1e-6)
        assert mine["value"] == yours["value"]
    ids = [match["id"] for match in one["attention"]["matches"]]
    assert [match["id"] for match in one["top_k"]["matches"]] == ids
    assert "weight" not in one["top_k"]["matches"][0]


def test_a_filter_holds_in_all_four_ways(client, service, stored):
    keep = {"operator": "NOT", "conditions": [{"field": "id", "operator": "in", "value": ["cat", "dog"]}]}
    answer = client.post(f"{stored}/compare", json={"query": "what's a cat?", "filter": keep}).json()
    assert [row["id"] for row in answer["sql"]["rows"]] == ["same"]
    assert [row["id"] for row in answer["full_text"]["rows"]] == ["same"]
    assert {match["id"] for match in answer["attention"]["matches"]} == {"cpp", "same", "注意力"}
    assert answer["attention"]["documents"] == answer["top_k"]["documents"] == 3
    with sqlite3.connect(f"file:{service.settings.data_dir / 'softkv.sqlite3'}?mode=ro", uri=True) as database:
        shown = answer["sql"]
        assert [row[0] for row in database.execute(shown["statement"], shown["parameters"])] == ["same"]


@pytest.mark.parametrize(("operator", "number"), [("==", 2.0**64), ("not in", 2.8449424468481267e231)])
def test_numbers_beyond_64_bits_are_shown_as_the_bytes_that_sql_compares(client, stored, operator, number):
    value = [number, 1] if "in" in operator else number
    keep = {"field": "metadata.size", "operator": operator, "value": value}
    answer = client.post(f"{stored}/compare", json={"query": "what's a cat?", "filter": keep})
    assert answer.status_code == 200, answer.text
    shown = [str(parameter) for parameter in answer.json()["sql"]["parameters"].values()]
    written = [shown_value for shown_value in shown if shown_value.startswith("X'")]
    assert len(written) == 1
    assert bytes.fromhex(written[0][2:-1])
    ids = [row["id"] for row in answer.json()["sql"]["rows"]]
    assert ids == (["cat", "same"] if operator in ("!=", "not in") else [])


@pytest.mark.parametrize("null", ["auto", "lenient", "strict"])
def test_a_named_null_shows_its_background(client, stored, null):
    for path, sent in ((stored, {}), ("/v1", {"rows": ROWS})):
        temperatures = {}
        for temperature in (0.3, 0.6):
            body = {"query": "kitten", "null": null, "temperature": temperature} | sent
            compared = client.post(f"{path}/compare", json=body).json()
            temperatures[temperature] = compared["attention"]["evidence"]["null_similarity"]
        background = compared["background"]
        for temperature, level in temperatures.items():
            warm = background["mean"] + background["deviation"] ** 2 / (2 * temperature)
            assert level == pytest.approx(warm + temperature * math.log(len(ROWS)), rel=1e-9)
        assert background["of"] == ("encoder" if null == "lenient" else "both")


def test_rows_of_the_request_are_not_stored_and_get_ids_by_position(client):
    before = client.get("/v1/collections").json()
    answer = client.post("/v1/compare", json={"query": "b", "rows": [{"key": "a"}, {"key": "b"}]}).json()
    assert answer["sql"]["rows"] == [{"id": "2", "key": "b", "value": "b"}]
    assert client.get("/v1/collections").json() == before
