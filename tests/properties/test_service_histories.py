"""Random histories of writes, deletes, questions and restarts, against a plain dictionary."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from softkv_service.app import create_app
from softkv_service.settings import Settings
from tests.thorough import examples

D = 3
identifiers = st.sampled_from(["a", "b", "c", "d/e", "ü", "f"])
numbers = st.floats(-4, 4, width=16)
vectors = st.lists(numbers, min_size=D, max_size=D)
shelves = st.fixed_dictionaries({"shelf": st.integers(0, 2)})
# One key as a rule, or several, or none.
keys = st.one_of(vectors.map(lambda key: [key]), st.lists(vectors, max_size=3))
documents = st.fixed_dictionaries({"keys": keys, "metadata": shelves})
Batch = dict[str, dict[str, Any]]
PATH = "/v1/collections/history"


class Histories(RuleBasedStateMachine):
    """The answers of the service equal those of a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.model: Batch = {}
        self.writes = 0
        self.start()

    def start(self) -> None:
        app = create_app(Settings(data_dir=self.directory, encoder="none"))
        self.client = TestClient(app, base_url="http://localhost").__enter__()
        while self.client.get("/readyz").status_code != 200:
            pass

    def stop(self) -> None:
        self.client.__exit__(None, None, None)

    def teardown(self) -> None:
        self.stop()
        shutil.rmtree(self.directory)

    @initialize()
    def create(self) -> None:
        settings = {"similarity": "dot", "dimension": D, "temperature": 0.5}
        assert self.client.put(PATH, json=settings).status_code == 201

    @rule(batch=st.dictionaries(identifiers, documents, min_size=1, max_size=4))
    def upsert(self, batch):
        body = {"documents": on_the_wire(batch)}
        assert self.client.post(f"{PATH}/documents", json=body).json()["upserted"] == len(batch)
        self.model |= batch

    @rule(batch=st.dictionaries(identifiers, documents, min_size=1, max_size=4))
    def upsert_what_is_missing(self, batch):
        answer = self.client.post(f"{PATH}/documents", json={"documents": on_the_wire(batch), "mode": "skip"}).json()
        assert answer["skipped"] == [identifier for identifier in batch if identifier in self.model]
        self.model = batch | self.model

    @rule(batch=st.dictionaries(identifiers, documents, min_size=1, max_size=2), restarts=st.booleans())
    def send_again_what_was_answered(self, batch, restarts):
        self.writes += 1
        again = {"json": {"documents": on_the_wire(batch)}, "headers": {"Idempotency-Key": str(self.writes)}}
        first = self.client.post(f"{PATH}/documents", **again)
        assert self.client.post(f"{PATH}/documents/delete", json={"ids": list(batch)}).status_code == 200
        if restarts:
            self.restart()
        second = self.client.post(f"{PATH}/documents", **again)
        assert (second.status_code, second.json()) == (first.status_code, first.json()) == (200, first.json())
        for identifier in batch:
            self.model.pop(identifier, None)

    @rule(shelf=st.integers(0, 2), lent=st.none() | st.integers(0, 9))
    def update_where(self, shelf, lent):
        body = {"filter": on_shelf("==", shelf), "patch": {"metadata": {"lent": lent}}}
        matching = [i for i, document in self.model.items() if document["metadata"]["shelf"] == shelf]
        assert self.client.post(f"{PATH}/documents/update", json=body).json() == {"updated": len(matching)}
        for identifier in matching:
            changed = {**self.model[identifier]["metadata"], "lent": lent}
            stored_values = {name: value for name, value in changed.items() if value is not None}
            self.model[identifier] = {**self.model[identifier], "metadata": stored_values}

    @rule(identifier=identifiers, document=documents)
    def create_only(self, identifier, document):
        answer = self.client.post(
            f"{PATH}/documents", json={"documents": on_the_wire({identifier: document}), "mode": "create"}
        )
        assert answer.status_code == (409 if identifier in self.model else 200)
        self.model.setdefault(identifier, document)

    @rule(batch=st.dictionaries(identifiers, documents, min_size=1, max_size=3))
    def refused_batch_changes_nothing(self, batch):
        sent = [*on_the_wire(batch), {"id": "short", "key_vector": [1.0] * (D - 1)}]
        assert self.client.post(f"{PATH}/documents", json={"documents": sent}).status_code == 422

    @rule(unwanted=st.lists(identifiers, max_size=3))
    def delete_ids(self, unwanted):
        existing = set(unwanted) & set(self.model)
        assert self.client.post(f"{PATH}/documents/delete", json={"ids": unwanted}).json() == {"deleted": len(existing)}
        for identifier in existing:
            del self.model[identifier]

    @rule(shelf=st.integers(0, 2))
    def delete_where(self, shelf):
        matching = [i for i, document in self.model.items() if document["metadata"]["shelf"] == shelf]
        answer = self.client.post(f"{PATH}/documents/delete", json={"filter": on_shelf("==", shelf)})
        assert answer.json() == {"deleted": len(matching)}
        for identifier in matching:
            del self.model[identifier]

    @rule(query=vectors, temperature=st.sampled_from([0, 1e-30, 0.1, 1, 1e6]), shelf=st.none() | st.integers(0, 2))
    def ask(self, query, temperature, shelf):
        """Ask for the documents on other shelves; what they weigh is tested below the service."""
        body: dict[str, Any] = {"query": query, "temperature": temperature, "null": 0.25}
        passing = dict(self.model)
        if shelf is not None:
            body["filter"] = on_shelf("!=", shelf)
            passing = {i: d for i, d in self.model.items() if d["metadata"]["shelf"] != shelf}
        answer = self.client.post(f"{PATH}/attend", json=body).json()
        best = {i: max(np.dot(query, key) for key in d["keys"]) for i, d in passing.items() if d["keys"]}
        assert {match["id"]: match["similarity"] for match in answer["matches"]} == pytest.approx(best, abs=1e-12)
        assert (answer["documents"], answer["keys"]) == (len(best), sum(len(d["keys"]) for d in passing.values()))
        order = [(-match["weight"], -match["similarity"], match["id"]) for match in answer["matches"]]
        assert order == sorted(order)
        whole = sum(match["weight"] for match in answer["matches"])
        assert whole + answer["rest_weight"] + answer["evidence"]["null_weight"] == pytest.approx(1, abs=1e-6)

    @rule()
    def restart(self):
        self.stop()
        self.start()

    @invariant()
    def the_collection_holds_what_the_dictionary_holds(self):
        listed = self.client.post(f"{PATH}/documents/query", json={"include": ["key_vector", "metadata"]}).json()
        for document in listed["documents"]:
            key_vectors = document.pop("key_vectors", None) or [document.pop("key_vector")]
            # Written in the fewest digits that say the float32.
            document["keys"] = [[float(np.float32(number)) for number in key] for key in key_vectors if key is not None]
        assert listed["documents"] == [{"id": i, **self.model[i]} for i in sorted(self.model)]
        counts = self.client.get(PATH).json()
        keyless = sum(not document["keys"] for document in self.model.values())
        assert (counts["documents"], counts["keyless"]) == (len(self.model) - keyless, keyless)
        assert counts["keys"] == sum(len(document["keys"]) for document in self.model.values())


def on_the_wire(batch: Batch) -> list[dict[str, Any]]:
    """Documents as they are sent."""
    sent = []
    for identifier, document in batch.items():
        vectors = document["keys"]
        one = {"key_vector": vectors[0]} if len(vectors) == 1 else {"key_vectors": vectors} if vectors else {}
        sent.append({"id": identifier, "metadata": document["metadata"], **one})
    return sent


def on_shelf(operator: str, shelf: int) -> dict[str, Any]:
    return {"field": "metadata.shelf", "operator": operator, "value": shelf}


Histories.TestCase.settings = settings(
    max_examples=examples(20), stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
TestHistories = pytest.mark.thorough(Histories.TestCase)
