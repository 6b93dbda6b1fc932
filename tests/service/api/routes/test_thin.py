"""Collections whose `basis` is `measured`: thin codes over HTTP, and the seed that nobody sees."""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import orjson
import pytest

from attention.lookup import thin
from tests.running import RunningService

N, WIDTH, TEMPERATURE = 14_000, 128, 0.2
PATH = "/v1/collections/thin"


@pytest.fixture
def keys() -> np.ndarray[Any, Any]:
    """float32[N, WIDTH] around 200 centres."""
    random = np.random.default_rng(21)
    centres = random.standard_normal((200, WIDTH))
    return (centres[random.integers(0, 200, N)] + random.standard_normal((N, WIDTH))).astype(np.float32)


@pytest.fixture
def stored(tmp_path: Path, keys: np.ndarray[Any, Any], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory with them, in a process where thin codes are read from few rows on."""
    monkeypatch.setattr(thin, "THIN_CELLS", 1)
    monkeypatch.setattr(thin, "DRAWN_CELLS", 1)
    with started(tmp_path) as client:
        for name, settings in (("thin", {"basis": "measured"}), ("usual", {})):
            made = client.put(f"/v1/collections/{name}", json={"encoder": None, "temperature": TEMPERATURE, **settings})
            assert made.json()["basis"] == settings.get("basis", "proven")
            write(client, name, keys)
    return tmp_path


@contextmanager
def started(directory: Path) -> Iterator[httpx.Client]:
    """A client of a service on a data directory."""
    with RunningService(data_dir=directory, encoder="none") as running, running.client() as client:
        running.wait_until_ready()
        yield client


def write(client: httpx.Client, name: str, keys: np.ndarray[Any, Any]) -> None:
    lines = [
        orjson.dumps({"id": f"{i:05}", "key_vector": {"base64": base64.b64encode(key.tobytes()).decode()}})
        for i, key in enumerate(keys)
    ]
    kind = {"Content-Type": "application/x-ndjson"}
    sent = client.post(f"/v1/collections/{name}/documents", content=b"\n".join(lines), headers=kind)
    assert orjson.loads(sent.text.splitlines()[-1])["upserted"] == len(keys)


def ask(client: httpx.Client, query: np.ndarray[Any, Any], path: str = PATH, **options: Any) -> dict[str, Any]:
    found: dict[str, Any] = client.post(f"{path}/attend", json={"query": query.tolist(), **options}).json()
    found.pop("took_ms")
    return found


def apart(found: dict[str, Any], keys: np.ndarray[Any, Any], query: np.ndarray[Any, Any]) -> float:
    """Total variation between an answer and a computation in float64, over its matches and all others together."""
    unit = keys.astype(np.float64) / np.linalg.norm(keys.astype(np.float64), axis=1, keepdims=True)
    masses = np.exp(unit @ (query / np.linalg.norm(query)) / TEMPERATURE)
    weights = masses / masses.sum()
    best = np.argsort(-weights)[: len(found["matches"])]
    assert [match["id"] for match in found["matches"]] == [f"{i:05}" for i in best]
    off = np.array([match["weight"] for match in found["matches"]]) - weights[best]
    return float(np.abs(off).sum() + abs(found["rest_weight"] - (1 - weights[best].sum()))) / 2


def test_what_stands_behind_an_answer_is_what_was_asked_for_and_it_is_within_it(
    stored: Path, keys: np.ndarray[Any, Any]
) -> None:
    query = keys[7] + np.random.default_rng(3).standard_normal(WIDTH)
    with started(stored) as client:
        first = ask(client, query)
        for options, method, basis, holds in (
            ({}, "thin", "measured", 0.999),
            ({"basis": "measured"}, "thin", "measured", 0.999),
            ({"basis": "proven"}, "thin", "proven", 1 - 1e-9),
            ({"include": ["output"], "basis": "measured"}, "quantised", "proven", 1.0),
        ):
            found = ask(client, query, **options)
            certificate = found["certificate"]
            assert [certificate[name] for name in ("method", "basis", "holds_with")] == [method, basis, holds]
            assert apart(found, keys, query) <= certificate["total_variation"] <= 0.01
        usual = [ask(client, query, "/v1/collections/usual", **each) for each in ({}, {"basis": "measured"})]
        assert usual[0] == usual[1]
        assert usual[0]["certificate"].items() >= {"method": "quantised", "basis": "proven", "holds_with": 1.0}.items()
        conflict = client.put(PATH, json={"basis": "proven"})
        assert (conflict.status_code, conflict.json()["code"]) == (409, "collection_conflict")
        assert client.put(PATH, json={}).json()["basis"] == "measured"
        assert client.patch(PATH, json={"basis": "proven"}).status_code == 422
        refused = client.post(f"{PATH}/attend", json={"query": query.tolist(), "basis": "guessed"})
        assert refused.json()["errors"][0]["pointer"] == "/basis"
    # Read back by another service, which has the seed from the store: the same rotation, the same draws.
    with started(stored) as client:
        again = ask(client, query)
    assert again == first


def test_each_seed_is_its_own_and_is_neither_answered_nor_logged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answered = ""
    with started(tmp_path) as client:
        for name in ("a", "b"):
            path = f"/v1/collections/{name}"
            key = {"Idempotency-Key": name}
            calls: list[Callable[[], httpx.Response]] = [
                lambda path=path, key=key: client.put(path, json={"basis": "measured"}, headers=key),
                lambda path=path, key=key: client.put(path, json={"basis": "measured"}, headers=key),
                lambda path=path: client.patch(path, json={"temperature": 0.5}),
                lambda path=path: client.put(f"{path}/documents/x", json={"key_vector": [1, 2]}),
                lambda path=path: client.post(f"{path}/attend", json={"query": [1, 2]}),
                lambda path=path: client.get(path),
            ]
            for call in calls:
                answer = call()
                assert answer.is_success
                answered += answer.text + repr(answer.headers)
        client.put("/v1/collections/usual", json={})
    with closing(sqlite3.connect(tmp_path / "softkv.sqlite3")) as connection:
        seeds = [seed for (seed,) in connection.execute("SELECT thin_seed FROM collections ORDER BY name")]
        kept = b"".join(answer for (answer,) in connection.execute("SELECT answer FROM answered_writes"))
    assert seeds[2] is None
    assert len(seeds[0]) == len(seeds[1]) == 32
    assert seeds[0] != seeds[1]
    written = "".join(capsys.readouterr()) + answered
    assert "seed" not in written
    for seed in seeds[:2]:
        assert not any(form in written for form in (seed.hex(), base64.b64encode(seed).decode(), repr(seed)[2:-1]))
        assert seed not in kept
