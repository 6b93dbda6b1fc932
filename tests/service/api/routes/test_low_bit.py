"""Low-bit codes were removed: `basis` is refused with a sentence, and a store that had them is answered from 8 bits."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from service.storage.checksums import settings_checksum
from service.storage.serialisation import SETTINGS_COLUMNS
from tests.running import RunningService

SENTENCE = "low-bit codes were removed, and basis with them: leave it out"
MEASURED = {"basis": "measured"}


@pytest.mark.parametrize(
    ("method", "path", "body", "pointer"),
    [
        ("PUT", "", MEASURED, "/basis"),
        ("PATCH", "", MEASURED, "/basis"),
        ("POST", "/attend", {"query": "a cat", **MEASURED}, "/basis"),
        ("POST", "/attend", {"queries": ["a cat"], **MEASURED}, "/basis"),
    ],
)
def test_a_basis_is_refused_with_a_sentence(client, collection, method, path, body, pointer):
    refused = client.request(method, collection() + path, json=body)
    assert refused.status_code == 422, refused.text
    assert {"pointer": pointer, "detail": SENTENCE} in refused.json()["errors"]


def test_a_field_of_a_document_of_that_name_is_told_of_as_any_other(client, collection):
    refused = client.put(f"{collection()}/documents/a", json={"key": "a", "basis": 1})
    assert "`metadata`" in refused.json()["errors"][0]["detail"]


def test_a_store_that_had_them_is_answered_and_one_line_says_so(tmp_path: Path, capfd) -> None:
    with RunningService(data_dir=tmp_path, encoder="none") as running, running.client() as client:
        for name in ("measured", "other"):
            client.put(f"/v1/collections/{name}", json={"encoder": None})
            client.put(f"/v1/collections/{name}/documents/a", json={"key_vector": [1, 2]})
    with closing(sqlite3.connect(tmp_path / "softkv.sqlite3")) as connection:
        connection.execute(
            "UPDATE collections SET basis = 'measured', thin_seed = zeroblob(32) WHERE name = 'measured'"
        )
        connection.create_function("checked", -1, lambda name, *stored: settings_checksum(name, stored))
        connection.execute(f"UPDATE collections SET checksum = checked(name, {SETTINGS_COLUMNS})")
        connection.commit()
    capfd.readouterr()
    with RunningService(data_dir=tmp_path, encoder="none") as running, running.client() as client:
        running.wait_until_ready()
        answer = client.post("/v1/collections/measured/attend", json={"query": [1, 2]}).json()
        assert [match["id"] for match in answer["matches"]] == ["a"]
        assert answer["certificate"].keys() == {"method", "total_variation", "output_error"}
        assert client.patch("/v1/collections/measured", json={"temperature": 0.5}).is_success
    logged = [line for line in "".join(capfd.readouterr()).splitlines() if "low-bit codes were removed" in line]
    assert len(logged) == 1
    assert "measured" in logged[0]
    assert "other" not in logged[0]
    with RunningService(data_dir=tmp_path, encoder="none") as running:
        running.wait_until_ready()
    assert "low-bit" not in "".join(capfd.readouterr())
