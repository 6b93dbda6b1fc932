"""A service whose keys lie with slots, over HTTP: it says which, how many copies there are, and how far they are."""

from __future__ import annotations

import math
from contextlib import closing
from types import SimpleNamespace

import pytest
from prometheus_client.parser import text_string_to_metric_families

import service.cluster
from service.storage import open_shared
from softkv import Client
from tests.postgres import PostgresServer
from tests.running import RunningService
from tests.service.cluster.local_nodes import LocalNodes
from tests.waiting import until

pytestmark = pytest.mark.postgres


def of_slots(text: str) -> dict[str, dict[str, float]]:
    """Return the series with slots or copies as labels: name → label's value → number."""
    by_slot: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.labels.keys() & {"slot", "copies"}:
                (label,) = sample.labels.values()
                by_slot.setdefault(sample.name.removeprefix("softkv_"), {})[label] = sample.value
    return by_slot


def test_it_says_what_slots_hold(
    postgres: PostgresServer, ranges_of_16_rows: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = postgres.database()
    slots = LocalNodes(address, ["a", "b"], copies=2)
    monkeypatch.setattr(service.cluster, "join_cluster", lambda *_: SimpleNamespace(close=lambda: None))
    monkeypatch.setattr(service.cluster, "open_transport", lambda: slots)
    with RunningService(store=address, shards="auto", encoder="none") as running, running.client() as http:
        http.put("/v1/collections/c", json={})
        documents = [{"id": str(i), "key_vector": [i, 1]} for i in range(40)]
        assert http.post("/v1/collections/c/documents", json={"documents": documents}).status_code == 200

        def shards():
            return Client(running.url).info().shards

        until(lambda: shards().whole == 3 and all(slot.keys == 40 for slot in shards().slots))
        status = shards()
        assert (status.copies, status.ranges, status.unheld) == (2, 3, 0)
        assert [(slot.name, slot.node, slot.ranges, slot.lag, slot.leaving) for slot in status.slots] == [
            ("a", "node of a", 3, 0, False),
            ("b", "node of b", 3, 0, False),
        ]
        assert of_slots(http.get("/metrics").text) == {
            "ranges": {"all": 3.0, "fewer": 0.0, "none": 0.0},
            "slot_ranges": {"a": 3.0, "b": 3.0},
            "slot_keys": {"a": 40.0, "b": 40.0},
            "slot_lag_versions": {"a": 0.0, "b": 0.0},
        }
        slots.lost = {"b"}
        until(lambda: math.isnan(of_slots(http.get("/metrics").text)["slot_keys"]["b"]))
        assert of_slots(http.get("/metrics").text)["slot_ranges"] == {"a": 3.0, "b": 3.0}
        slots.shards["b"].close()
        with closing(open_shared(address)) as store:
            store.nodes.remove("b")
        until(lambda: of_slots(http.get("/metrics").text)["ranges"]["fewer"] == 3.0)
        assert of_slots(http.get("/metrics").text)["slot_lag_versions"] == {"a": 0.0}
    slots.close()
