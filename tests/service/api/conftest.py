"""Every answer in the tests of this room is held against /openapi.json."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from softkv_service.encoding import LoadingReranker, load_reranker
from softkv_service.retrieval.calibration import Calibration, Curve, Variant
from softkv_service.storage.records import FeedbackRecord, JSONText
from softkv_workshop.lab import TASKS, NetworkJob, Plan, TrainedModel
from softkv_workshop.lab.networks import build_network, count_parameters
from softkv_workshop.state import Workshop
from tests.checkpoints import write_cross_encoder
from tests.running import RunningService
from tests.service.api.contract import Contract

SECRET = "X-Room-Secret"
CALIBRATION = Calibration(2, None, 0.05, 0.0, 30, 30, Variant(0.2, Curve(1, 1, 0, 0, 0)), None, (0.05, False))
READING = {
    *("attend", "attend_arrays", "compare", "compare_rows", "decode_source", "describe_fields", "embeddings"),
    *("encode", "get_collection", "get_document", "list_aliases", "list_collections", "query_documents"),
    *("read_table", "rerank", "rerank_as_cohere", "score", "sweep", "trace"),
}
"""Calls that change nothing in `stocked`."""
LAB_MODELS = {"dates": "m-0123abcd", "pictures": "m-4567cdef"}


@cache
def untrained(task: str) -> TrainedModel:
    """Return an untrained model of the lab, for calls that any model answers."""
    job = NetworkJob(Plan(TASKS[task], "transformer", 0), 1, 1)
    network = build_network(job.plan)
    return TrainedModel(LAB_MODELS[task], job, network, count_parameters(network), 0.0)


@pytest.fixture(scope="session")
def contract(service: RunningService) -> Contract:
    """Return the contract of the service."""
    with service.client() as client:
        return Contract(client.get("/openapi.json").json())


@pytest.fixture(scope="session")
def client(service: RunningService, contract: Contract) -> Iterator[httpx.Client]:
    """A client of `service` that fails where an answer is not as documented."""
    with service.client(event_hooks={"response": [contract.keeps]}) as client:
        yield client


@pytest.fixture(scope="session")
def cross_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a small random cross-encoder."""
    return write_cross_encoder(tmp_path_factory.mktemp("models") / "marco")


@pytest.fixture(scope="module")
def reusable_stock() -> Iterator[list[ExitStack]]:
    """A list of one stack, which deletes what the service has for `calls`; empty after a test that changed it."""
    stocks = list[ExitStack]()
    yield stocks
    for made in stocks:
        made.close()


@pytest.fixture
def stocked(
    request: pytest.FixtureRequest,
    client: httpx.Client,
    contract: Contract,
    service: RunningService,
    cross_encoder: Path,
    reusable_stock: list[ExitStack],
) -> Iterator[httpx.Client]:
    """Yield a client of a service with the collections and the reranker in `calls`."""
    if not reusable_stock:
        made = ExitStack()
        made.enter_context(stocking(service, client, contract, cross_encoder))
        reusable_stock.append(made)
    yield client
    parameters = request.node.callspec.params if hasattr(request.node, "callspec") else {}
    if "call" not in parameters or parameters["call"].operation not in READING:
        reusable_stock.pop().close()


@contextmanager
def stocking(service: RunningService, client: httpx.Client, contract: Contract, cross_encoder: Path) -> Iterator[None]:
    """Make the collections, the reranker, the models and the room in `calls`, and delete them afterwards."""
    stock(service, client, contract)
    said = [
        FeedbackRecord(JSONText(f'"question {i}"'), "qa76" if i % 2 else None, correct=True, at=i) for i in range(60)
    ]
    service.app.state.parts.catalogue.collection("library").write_feedback(said)
    add_reranker(service, cross_encoder)
    for task in LAB_MODELS:
        Workshop.of(service.app.state.parts).lab.keep(untrained(task))
    room = {"code": "MATH", "rows": [{"id": "row-1", "key": "cats"}]}
    client.headers[SECRET] = client.post("/v1/rooms", json=room).json()["secret"]
    client.post("/v1/rooms/MATH/questions", json={"query": "pets"})
    yield
    del service.app.state.parts.catalogue.encoders.rerankers["marco"]
    client.delete("/v1/rooms/MATH")
    del client.headers[SECRET]
    for name in ("library", "vectors", "new"):
        client.delete(f"/v1/collections/{name}")


def stock(service: RunningService, client: httpx.Client, contract: Contract, **settings: Any) -> None:
    """Make the collections in `calls`.

    Args:
        settings: of the collection of texts.
    """
    posted = contract.schemas["DocumentBatch"]["examples"][0]
    client.put("/v1/collections/library", json=settings)
    client.post("/v1/collections/library/documents", json=posted)
    client.put("/v1/collections/vectors", json={"encoder": None, "dimension": 2})
    client.put("/v1/aliases/current", json={"collection": "library"})
    for id_, vector in {"a": [1, 0], "b": [0, 1]}.items():
        client.put(f"/v1/collections/vectors/documents/{id_}", json={"key_vector": vector})
    service.app.state.parts.catalogue.change("vectors", {"calibration": CALIBRATION.text()})


def add_reranker(service: RunningService, folder: Path) -> None:
    """Give a service the reranker in `calls`."""
    load = partial(load_reranker, str(folder), name="marco")
    service.app.state.parts.catalogue.encoders.rerankers["marco"] = LoadingReranker("marco", load, lazy=True)
