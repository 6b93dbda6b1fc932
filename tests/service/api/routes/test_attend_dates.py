"""Dates over HTTP: filters and biases that compare instants, at the time of each request."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from softkv_service.api.keyring import line_of
from tests.running import RunningService
from tests.waiting import until

NOW = datetime.now(UTC)
# What is written so is read back as it is; the instants of some are the same.
WRITTEN = {
    "hour": (NOW - timedelta(hours=1)).isoformat(),
    "hour too": (NOW - timedelta(hours=1)).astimezone().strftime("%Y%m%dT%H%M%S%z"),
    "week": f"{NOW - timedelta(days=8):%Y-%m-%d}",
    "year": f"{NOW - timedelta(days=400):%Y-%m-%d %H:%M}",
    "tomorrow": (NOW + timedelta(days=1)).isoformat().replace("+00:00", "Z"),
    "text": "yesterday",
    "number": NOW.timestamp(),
    "missing": None,
}


def when(operator, value, field="metadata.written"):
    return {"field": field, "operator": operator, "value": {"datetime": value} if isinstance(value, str) else value}


LAST_WEEK = {"operator": "AND", "conditions": [when(">=", "now-7d"), when("<=", "now")]}


@pytest.fixture
def dated(client, collection):
    """A collection of documents with the dates in `WRITTEN`."""
    documents = [
        {"id": name, "key_vector": [1, i], "key": f"words {name}", "metadata": {"written": written}}
        for i, (name, written) in enumerate(WRITTEN.items())
    ]
    return collection(documents, encoder=None)


def test_every_call_with_a_filter_takes_instants(client, dated):
    swept = client.post(f"{dated}/sweep", json={"query": [1, 1], "temperatures": [1], "filter": LAST_WEEK})
    assert swept.json()["documents"] == 2
    described = client.post(f"{dated}/documents/fields", json={"filter": LAST_WEEK, "values": True}).json()
    facts = described["fields"]["metadata.written"]
    assert (facts["count"], facts["types"], facts["distinct"]) == (2, ["text"], 2)
    patch = {"filter": when("<", "now-30d"), "patch": {"metadata": {"old": True}}}
    assert client.post(f"{dated}/documents/update", json=patch).json() == {"updated": 1}
    assert client.post(f"{dated}/documents/delete", json={"filter": when("<", "now-7d")}).json() == {"deleted": 2}
    attended = client.post(f"{dated}/attend", json={"query": [1, 1], "filter": when("<", "now"), "top_k": 9}).json()
    assert {match["id"] for match in attended["matches"]} == {"hour", "hour too"}


def test_a_half_life_may_be_a_duration(client, dated):
    origin = {"field": "metadata.written", "half_life": "1d", "origin": {"datetime": "now"}, "missing": -5}
    body = {"query": [1, 1], "bias": origin, "include": ["explanation"], "top_k": 100}
    explained = client.post(f"{dated}/attend", json=body).json()["matches"]
    addends = {match["id"]: match["explanation"]["addends"][0] for match in explained}
    days = (datetime.now(UTC) - datetime.fromisoformat(WRITTEN["hour"])) / timedelta(days=1)
    assert addends["hour"]["addend"] == pytest.approx(-0.693147 * days, abs=0.01)
    assert addends["hour"]["value"] == WRITTEN["hour"]
    assert addends["number"]["addend"] == -5


def test_a_half_life_counts_from_the_latest_date_of_a_document_with_a_key(client, dated):
    later = (NOW + timedelta(days=9)).isoformat()
    client.put(f"{dated}/documents/keyless", json={"metadata": {"written": later}})
    recent = {"field": "metadata.written", "half_life": "1d", "missing": -5}
    body = {"query": [1, 1], "top_k": 100, "include": ["explanation"], "bias": recent}
    matches = client.post(f"{dated}/attend", json=body).json()["matches"]
    addends = {match["id"]: match["explanation"]["addends"][0]["addend"] for match in matches}
    assert (addends["tomorrow"], addends["number"], addends["missing"]) == (0, -5, -5)
    assert addends["hour"] == pytest.approx(-0.693147 * 25 / 24, abs=1e-3)


def test_a_date_that_is_compared_with_no_date_is_a_warning(client, dated):
    client.patch(f"{dated}/documents/text", json={"metadata": {"place": "Ulm"}})
    asked = {"query": [1, 1], "filter": when(">", "now", "metadata.place")}
    (warning,) = client.post(f"{dated}/attend", json=asked).json()["warnings"]
    assert warning.startswith("metadata.place holds no ISO 8601 date in any document")
    asked["filter"] = when(">", "now+5d")
    assert "warnings" not in client.post(f"{dated}/attend", json=asked).json()


def test_the_filter_of_a_key_moves_with_time(tmp_path):
    (tmp_path / "keys").write_text(
        line_of("all", "write", "", "whole") + "\n" + line_of("recent", "write", "", "part", filter=LAST_WEEK) + "\n"
    )
    with (
        RunningService(data_dir=tmp_path / "data", encoder="none", keys_file=tmp_path / "keys") as running,
        running.client() as client,
    ):
        running.wait_until_ready()
        path, whole, part = "/v1/collections/c", {"x-api-key": "whole"}, {"x-api-key": "part"}
        client.put(path, json={}, headers=whole)
        for name in ("hour", "week", "text"):
            document = {"key_vector": [1, 1], "metadata": {"written": WRITTEN[name]}}
            assert client.put(f"{path}/documents/{name}", json=document, headers=whole).status_code == 201
        assert client.get(path, headers=part).json()["documents"] == 1
        asked = client.post(f"{path}/attend", json={"query": [1, 1]}, headers=part).json()
        assert [match["id"] for match in asked["matches"]] == ["hour"]
        assert client.get(f"{path}/documents/week", headers=part).status_code == 404
        soon = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
        client.put(f"{path}/documents/soon", json={"metadata": {"written": soon}}, headers=whole)
        assert client.get(f"{path}/documents/soon", headers=part).status_code == 404
        until(lambda: client.get(f"{path}/documents/soon", headers=part).status_code == 200)
        refused = client.put(f"{path}/documents/new", json={"metadata": {"written": "2020-01-01"}}, headers=part)
        assert refused.status_code == 403
        assert client.post(f"{path}/documents/delete", json={"filter": LAST_WEEK}, headers=part).json()["deleted"] == 2
