"""SQL, full text, top-k and attention, on stored rows and on rows of the request."""

from __future__ import annotations

import math
import sqlite3

import pytest

from service.storage.sqlite.full_text import MAX_UNINDEXED

ROWS = [
    {"id": "cat", "key": "what's a cat?", "value": "a small animal that purrs"},
    {"id": "cpp", "key": "C++ and its standard library", "value": ["a", {"b": 1}]},
    {"id": "dog", "key": "dogs and cats that live together", "value": None},
    {"id": "注意力", "key": "注意力 is attention", "value": "attention"},
    {"id": "same", "key": "what's a cat?", "value": "the same key again"},
]
QUESTIONS = ["what's a cat?", "C++", '"', "*", "注意力", "kitten", "NOT cat OR (", "a " * 500]


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


def test_sql_finds_the_exact_key_and_full_text_finds_words(client, stored):
    answer = client.post(f"{stored}/compare", json={"query": "what's a cat?"}).json()
    assert [row["id"] for row in answer["sql"]["rows"]] == ["cat", "same"]
    assert {"cat", "same"} <= {row["id"] for row in answer["full_text"]["rows"]}
    words = client.post(f"{stored}/compare", json={"query": "live animals, together"}).json()
    assert words["sql"]["rows"] == []
    assert [row["id"] for row in words["full_text"]["rows"]] == ["dog"]


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


@pytest.mark.parametrize("number", [2.0**64, -(2.0**64), 2.8449424468481267e231])
@pytest.mark.parametrize("operator", ["==", "!=", "<", "in", "not in"])
def test_numbers_beyond_64_bits_are_shown_as_the_bytes_that_sql_compares(client, stored, number, operator):
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


def test_the_attention_of_a_comparison_equals_attend(client, stored):
    compared = client.post(f"{stored}/compare", json={"query": "kitten", "temperature": 0.1, "top_k": 3}).json()
    body = {"query": "kitten", "temperature": 0.1, "top_k": 3, "include": ["key", "value", "metadata", "output"]}
    attended = client.post(f"{stored}/attend", json=body).json()
    del compared["attention"]["took_ms"], attended["took_ms"]
    # An answer beside rows of SQL does not say that labels are missing.
    assert attended.pop("reason").startswith(compared["attention"].pop("reason").removesuffix("."))
    assert compared["attention"] == attended


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


@pytest.mark.parametrize("null", [0.4, False])
def test_a_null_without_a_name_stands_on_nothing(client, stored, null):
    assert client.post(f"{stored}/compare", json={"query": "kitten", "null": null}).json()["background"] is None
    sent = {"query": "kitten", "null": null, "rows": ROWS}
    assert client.post("/v1/compare", json=sent).json()["background"] is None


def test_the_statement_shown_is_the_one_that_runs(client, service, stored):
    # So many that their words have a table in the file: those of a small collection are indexed in memory.
    others = [{"id": f"other {i}", "key": f"number {i}"} for i in range(MAX_UNINDEXED)]
    client.post(f"{stored}/documents", json={"documents": others}).raise_for_status()
    answer = client.post(f"{stored}/compare", json={"query": "what's a cat?"}).json()
    file = service.settings.data_dir / "softkv.sqlite3"
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as database:
        for way in ("sql", "full_text"):
            rows = database.execute(answer[way]["statement"], answer[way]["parameters"]).fetchall()
            assert [row[0] for row in rows] == [row["id"] for row in answer[way]["rows"]]


def test_rows_of_the_request_are_not_stored_and_get_ids_by_position(client):
    before = client.get("/v1/collections").json()
    answer = client.post("/v1/compare", json={"query": "b", "rows": [{"key": "a"}, {"key": "b"}]}).json()
    assert answer["sql"]["rows"] == [{"id": "2", "key": "b", "value": "b"}]
    assert client.get("/v1/collections").json() == before


def test_no_rows_at_all(client):
    answer = client.post("/v1/compare", json={"query": "b", "rows": []}).json()
    assert answer["attention"]["evidence"]["verdict"] == "none"
    assert answer["sql"]["rows"] == answer["full_text"]["rows"] == answer["top_k"]["matches"] == []
