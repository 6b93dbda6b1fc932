"""Every kind of question to a collection over shards is answered as by a process with all keys."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from extensions.cluster.tests.local_servers import LocalServers
from softkv.questions import MATCH_FIELDS, Read, Rerank
from softkv_attention.lookup import Limits
from softkv_cluster.service import Roster, Router, ShardedCatalogue
from softkv_service.encoding import Encoder, Encoders, LoadingEncoder, load_encoder
from softkv_service.retrieval import InvalidContent, ShardsMissing
from softkv_service.retrieval.collections import SharedCatalogue
from softkv_service.retrieval.documents import SentDocument, delete_document, upsert
from softkv_service.retrieval.labels import LabelledQuestion, calibrate_collection
from softkv_service.retrieval.queries import (
    QueryPart,
    WeightedSum,
    attend_collection,
    compare_collection,
    sweep_collection,
)
from softkv_service.retrieval.question import CollectionQuestion
from softkv_service.storage import Restriction, open_shared
from softkv_service.storage.conditions import parse_condition
from tests.postgres import PostgresServer

pytestmark = pytest.mark.postgres
SUBJECTS = ("cat", "dog", "boat", "moon", "piano", "river", "engine", "garden", "letter", "winter")
VERBS = ("sleeps", "burns", "returns", "sings", "breaks", "waits", "grows", "shines")
RECENT = {"field": "metadata.year", "half_life": 20}
TEXTS = [f"the {subject} {verb}" for verb in VERBS for subject in SUBJECTS]
QUESTION = "which boat burns?"
EXPLAINED = (*MATCH_FIELDS, "explanation")


def sent() -> list[SentDocument]:
    return [SentDocument(f"{i:03}", text, value=text, metadata={"year": 1940 + i}) for i, text in enumerate(TEXTS)]


def labels() -> list[LabelledQuestion]:
    questions = [f"what {text.removeprefix('the ')}?" for text in TEXTS[:40]]
    present = [LabelledQuestion(question, (f"{i:03}",), ("/",)) for i, question in enumerate(questions)]
    absent = [LabelledQuestion(f"who taxes {number} apples in the senate?", ()) for number in range(10)]
    return [*present, *absent]


def check(actual: Any, expected: Any) -> None:
    """Compare a result with that of one process, within both certificates."""
    assert [match.id for match in actual.matches] == [match.id for match in expected.matches]
    shared = [[[name for name, _ in match.stands_for] for match in result.matches] for result in (actual, expected)]
    assert shared[0] == shared[1]
    assert [match.addends for match in actual.matches] == [match.addends for match in expected.matches]
    assert (actual.full_text, actual.verdict, actual.alike) == (expected.full_text, expected.verdict, expected.alike)
    bound = actual.answer.certificate.total_variation + expected.answer.certificate.total_variation + 1e-15
    weights, expected_weights = ([match.weight for match in result.matches] for result in (actual, expected))
    np.testing.assert_allclose(weights, expected_weights, atol=bound, rtol=0)
    confidences = [match.confidence for match in actual.matches]
    assert confidences == pytest.approx([match.confidence for match in expected.matches], abs=1e-9)


async def ask(collection: Any, **options: Any) -> Any:
    (result,) = await attend_collection(collection, [QUESTION], CollectionQuestion(**options), ["/query"])
    return result


@pytest.fixture(scope="module")
def address(postgres: PostgresServer) -> str:
    return postgres.database()


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return load_encoder("all-MiniLM-L6-v2")


def test_every_kind_of_question(address: str, shards_of_16_rows: None, encoder: Encoder) -> None:
    store, own_store = open_shared(address), open_shared(address)
    servers = LocalServers(address, 3, 1)
    loading = LoadingEncoder(encoder.name, lambda: encoder)
    encoders = Encoders([loading])

    async def run() -> None:
        await loading.start()
        sharded = ShardedCatalogue(store, encoders, Router(servers, Roster(store, servers), seconds=20.0))
        sharded.rebuild()
        collection, _ = await sharded.create("c", {})
        await upsert(collection, sent(), [f"/{i}" for i in range(len(TEXTS))])
        alone = SharedCatalogue(own_store, encoders)
        alone.rebuild()
        processes = collection, alone.collection("c")
        for options in (
            {"full_text": 0.1, "include": EXPLAINED},
            {"full_text": 0.1, "bias": RECENT, "include": [*EXPLAINED, "output"], "filter": None},
            {"full_text": 0.3, "temperature": 0.0},
            {"full_text": 0.3, "top_p": 0.9, "normaliser": "softmax"},
            {"temperature": "auto", "effective_documents": 5.0},
            {"normaliser": "entmax15"},
            {"diversity": 0.4, "top_k": 5},
            {"rerank": Rerank("late", 10, 1.0), "include": EXPLAINED},
            {"rerank": Rerank("late", 10, 1.0), "bias": RECENT, "full_text": 0.1, "include": EXPLAINED},
            {"bias": RECENT, "read": [Read("metadata.year", "quantile", [0.1, 0.9])]},
        ):
            check(*[await ask(process, **options) for process in processes])

        liked = WeightedSum([QueryPart(1.0, text=QUESTION), QueryPart(-0.5, id="003"), QueryPart(0.5, id="012")])
        check(
            *[(await attend_collection(process, [liked], CollectionQuestion(), ["/query"]))[0] for process in processes]
        )

        await upsert(collection, [SentDocument("copy", "the boat burns")], ["/copy"])
        alone.look()
        alike = [await ask(process, top_k=1) for process in processes]
        check(*alike)
        assert [(result.verdict.stands, result.alike) for result in alike] == [("several", True)] * 2
        delete_document(collection, "copy")
        alone.look()

        swept = [
            await sweep_collection(process, QUESTION, [0.0, 0.1], CollectionQuestion(full_text=0.1, bias=RECENT))
            for process in processes
        ]
        assert swept[0].full_text == swept[1].full_text
        for actual, expected in zip(swept[0].temperatures, swept[1].temperatures, strict=True):
            np.testing.assert_allclose(actual.weights, expected.weights, rtol=1e-9)

        compared = [await compare_collection(process, QUESTION, CollectionQuestion()) for process in processes]
        check(compared[0].attention, compared[1].attention)
        assert [match.id for match in compared[0].nearest] == [match.id for match in compared[1].nearest]
        assert compared[0].full_text.found == compared[1].full_text.found

        fitted = [
            await calibrate_collection(process, "c", labels(), now=0.0, apply=apply)
            for process, apply in ((alone, False), (sharded, True))
        ]
        assert fitted[0].calibration == fitted[1].calibration
        assert fitted[1].applied
        alone.look()
        for options in ({"full_text": "auto"}, {"min_confidence": 0.5}):
            check(*[await ask(process, **options) for process in processes])

        servers.lost = {"softkv-0", "softkv-1"}
        with pytest.raises(ShardsMissing):
            await ask(collection, bias=RECENT)
        part = await ask(collection, bias=RECENT, full_text=0.1, allow_missing=True, include=EXPLAINED)
        assert part.coverage.documents < part.coverage.total == len(TEXTS)
        assert (part.coverage.max_missing_weight, part.answer.certificate.total_variation) == (1.0, 1.0)
        assert all(len(match.addends) == 2 for match in part.matches)
        sharded.close()
        await loading.close()

    try:
        asyncio.run(run())
    finally:
        servers.close()
        own_store.close()
        store.close()


VISIBLE = parse_condition({"field": "metadata.tenant", "operator": "==", "value": "a"})
ODD = parse_condition({"field": "metadata.year", "operator": "in", "value": list(range(1, 700, 2))})
CHOSEN = np.random.default_rng(4)


def tenant(name: str, length: float = 1.0) -> list[SentDocument]:
    """Return 700 documents of a tenant, more than a sample has, with keys and values of about this length."""
    vectors = CHOSEN.standard_normal((700, 4)) * length
    return [
        SentDocument(f"{name}{i}", None, key_vector=vector, value_vector=vector, metadata={"tenant": name, "year": i})
        for i, vector in enumerate(vectors.astype(np.float32))
    ]


def backgrounds(collection: Any) -> list[Any]:
    """Return what the null key of a caller who sees one tenant follows from, without and with a filter."""
    with collection.restrict(Restriction(VISIBLE)).snapshot() as snapshot:
        owns = [snapshot.own(), snapshot.own(ODD)]
    return [(own.background, own.pairs, own.sampled.keys.tolist()) for own in owns]


def answer(collection: Any) -> Any:
    """Return the answer to such a caller."""
    query, restricted = np.array([1, 2, 0, 1], np.float32), collection.restrict(Restriction(VISIBLE))
    (result,) = asyncio.run(
        attend_collection(restricted, [query], CollectionQuestion(include=["value", "output"], top_k=700), ["/query"])
    )
    return result.answer


def test_a_restricted_caller_is_answered_from_many_documents_as_if_there_were_no_others(
    address: str, shards_of_16_rows: None
) -> None:
    store, own_store = open_shared(address), open_shared(address)
    servers = LocalServers(address, 3, 1, limits=Limits(exact_max_components=-1))
    seen = tenant("a")

    async def stock() -> ShardedCatalogue:
        sharded = ShardedCatalogue(store, None, Router(servers, Roster(store, servers), seconds=20.0))
        sharded.rebuild()
        for name, documents in (("shared", [*seen, *tenant("b", 1e9), *tenant("c")]), ("alone", seen)):
            collection, _ = await sharded.create(name, {"similarity": "dot"})
            for start in range(0, len(documents), 700):
                await upsert(collection, documents[start : start + 700], [f"/{i}" for i in range(700)])
        return sharded

    try:
        sharded = asyncio.run(stock())
        alone = SharedCatalogue(own_store, None)
        alone.rebuild()
        apart, shared = sharded.collection("alone"), sharded.collection("shared")
        assert backgrounds(shared) == backgrounds(apart) == backgrounds(alone.collection("alone"))
        expected, actual = answer(apart), answer(shared)
        assert expected.certificate.method == "exact"
        assert actual.certificate == expected.certificate
        np.testing.assert_array_equal(actual.weights, expected.weights)
        # The last digits of sums depend on which server has which rows.
        np.testing.assert_allclose(actual.output, expected.output, rtol=1e-12)
        restricted = shared.restrict(Restriction(VISIBLE))
        with restricted.snapshot() as snapshot:
            few = replace(snapshot, view=replace(snapshot.view, limits=Limits(exact_batch_cells=400)))
            with pytest.raises(InvalidContent, match="at most 400 keys on shard servers, and 700 pass"):
                few.passing(None)
            assert few.passing(ODD).n == 350
        sharded.close()
    finally:
        servers.close()
        own_store.close()
        store.close()
