"""Random histories of writes, deletes, questions and restarts, against a plain dictionary."""

from __future__ import annotations

import math
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from service.app import create_app
from service.settings import Settings

D = 3
identifiers = st.sampled_from(["a", "b", "c", "d/e", "ü", "f"])
numbers = st.floats(-4, 4, width=16)
vectors = st.lists(numbers, min_size=D, max_size=D)
shelves = st.fixed_dictionaries({"shelf": st.integers(0, 2)})
documents = st.fixed_dictionaries({"key_vector": vectors, "metadata": shelves})
PATH = "/v1/collections/history"


class Histories(RuleBasedStateMachine):
    """What the service answers is what the dictionary says."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.model: dict[str, dict[str, Any]] = {}
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
        sent = [{"id": identifier, **document} for identifier, document in batch.items()]
        assert self.client.post(f"{PATH}/documents", json={"documents": sent}).json()["upserted"] == len(sent)
        self.model |= batch

    @rule(identifier=identifiers, document=documents)
    def create_only(self, identifier, document):
        answer = self.client.post(
            f"{PATH}/documents", json={"documents": [{"id": identifier, **document}], "mode": "create"}
        )
        assert answer.status_code == (409 if identifier in self.model else 200)
        self.model.setdefault(identifier, document)

    @rule(batch=st.dictionaries(identifiers, documents, min_size=1, max_size=3))
    def refused_batch_changes_nothing(self, batch):
        sent = [{"id": identifier, **document} for identifier, document in batch.items()]
        sent.append({"id": "short", "key_vector": [1.0] * (D - 1)})
        assert self.client.post(f"{PATH}/documents", json={"documents": sent}).status_code == 422

    @rule(wanted=st.lists(identifiers, max_size=3))
    def delete_ids(self, wanted):
        there = set(wanted) & set(self.model)
        assert self.client.post(f"{PATH}/documents/delete", json={"ids": wanted}).json() == {"deleted": len(there)}
        for identifier in there:
            del self.model[identifier]

    @rule(shelf=st.integers(0, 2))
    def delete_where(self, shelf):
        condition = {"field": "metadata.shelf", "operator": "==", "value": shelf}
        there = [i for i, document in self.model.items() if document["metadata"]["shelf"] == shelf]
        answer = self.client.post(f"{PATH}/documents/delete", json={"filter": condition})
        assert answer.json() == {"deleted": len(there)}
        for identifier in there:
            del self.model[identifier]

    @rule(query=vectors, temperature=st.sampled_from([0, 1e-30, 0.1, 1, 1e6]), shelf=st.none() | st.integers(0, 2))
    def ask(self, query, temperature, shelf):
        asked: dict[str, Any] = {"query": query, "temperature": temperature, "null": 0.25, "include": ["output"]}
        passing = dict(self.model)
        if shelf is not None:
            asked["filter"] = {"field": "metadata.shelf", "operator": "!=", "value": shelf}
            passing = {i: d for i, d in self.model.items() if d["metadata"]["shelf"] != shelf}
        answer = self.client.post(f"{PATH}/attend", json=asked).json()
        similarity = {i: float(np.dot(np.float64(query), np.float64(d["key_vector"]))) for i, d in passing.items()}
        weights, null_weight = softmax(similarity, 0.25, temperature)
        order = sorted(passing, key=lambda i: (-similarity[i], i))
        assert [match["id"] for match in answer["matches"]] == order
        got = [match["weight"] for match in answer["matches"]]
        np.testing.assert_allclose(got, [weights[i] for i in order], atol=1e-6)
        assert math.isclose(answer["evidence"]["null_weight"], null_weight, abs_tol=1e-6)
        assert math.isclose(sum(got) + answer["rest_weight"] + answer["evidence"]["null_weight"], 1, abs_tol=1e-6)
        output = sum((weights[i] * np.float64(passing[i]["key_vector"]) for i in passing), np.zeros(D))
        np.testing.assert_allclose(answer["output"], output, atol=1e-6)
        outweighs = any(s > 0.25 for s in similarity.values()) if temperature == 0 else null_weight < 0.5
        if temperature == 0 or abs(null_weight - 0.5) > 1e-6:
            assert answer["evidence"]["answered"] == outweighs

    @rule()
    def restart(self):
        self.stop()
        self.start()

    @invariant()
    def the_collection_holds_what_the_dictionary_holds(self):
        listed = self.client.post(f"{PATH}/documents/query", json={"include": ["key_vector", "metadata"]}).json()
        for document in listed["documents"]:  # written in the fewest digits that say the float32
            document["key_vector"] = [float(np.float32(number)) for number in document["key_vector"]]
        assert listed["documents"] == [{"id": i, **self.model[i]} for i in sorted(self.model)]


def softmax(similarity: dict[str, float], null: float, temperature: float) -> tuple[dict[str, float], float]:
    """The textbook's weights of the documents, and of the null key."""
    best = max([*similarity.values(), null])
    if temperature == 0:
        ties = [s == best for s in similarity.values()] + [null == best]
        return {i: (s == best) / sum(ties) for i, s in similarity.items()}, ties[-1] / sum(ties)
    terms = {i: math.exp((s - best) / temperature) for i, s in similarity.items()}
    at_null = math.exp((null - best) / temperature)
    mass = math.fsum(terms.values()) + at_null
    return {i: term / mass for i, term in terms.items()}, at_null / mass


Histories.TestCase.settings = settings(
    max_examples=20, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
TestHistories = Histories.TestCase
