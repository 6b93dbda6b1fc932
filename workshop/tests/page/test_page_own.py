"""Rows of a reader in an exported page, against a service that has the same rows: weights, verdicts and reasons."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

import httpx
import pytest
from xxhash import xxh3_64_intdigest

from softkv_service.encoding import Encoder, load_encoder
from softkv_workshop.page.recording import pack_texts
from tests.running import RunningService
from tools.node import ROOT, checked, node

pytestmark = pytest.mark.node

SCRIPT = Path("workshop", "tests", "page", "own_calls.mjs")
THINGS = ("espresso machine", "blue bicycle", "garden hose", "desk lamp", "winter coat", "tea pot", "chess set")
QUESTIONS = ("something to make coffee with", "lamp", "how do I file a tax return?", "a present for my uncle")
TEMPERATURES = (0, 0.02, 0.05, 0.4, 1e300)
NULLS: tuple[Any, ...] = ("auto", "lenient", "strict", False, 0.35)
FEW = [{"id": f"row-{i}", "key": key, "value": f"{key}, {i}"} for i, key in enumerate(THINGS)]
MANY = [
    {"id": f"{i}", "key": f"{thing} for {use}", "value": "one", "metadata": {"shelf": i % 7}}
    for i, (thing, use) in enumerate(
        product((*THINGS, "kettle", "rope", "pen"), [f"guest number {n}" for n in range(60)])
    )
]
"""More rows than a service samples."""
NUMBER = re.compile(r"\d+(?:\.\d+)?")


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return load_encoder("all-MiniLM-L6-v2", precision="int16")


def bodies() -> list[dict[str, Any]]:
    return [
        {"query": query, "temperature": temperature, "null": null, "top_k": 20}
        for query, temperature, null in product(QUESTIONS, TEMPERATURES, NULLS)
    ]


def answered(encoder: Encoder, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what the page says; its vectors are the encoder's, as an export writes them."""
    texts = [*dict.fromkeys(row["key"] for row in rows), *QUESTIONS]
    backgrounds = {name: asdict(spread) for name, spread in encoder.backgrounds._asdict().items()}
    exported = {
        "width": encoder.dimension,
        "encoder": backgrounds | {"temperature": encoder.temperature.value},
        "vectors": pack_texts(encoder, texts),
        "collections": {},
    }
    given = {"exported": exported, "rows": rows, "bodies": bodies(), "hashed": hashed()}
    result: dict[str, Any] = json.loads(checked(node(ROOT, SCRIPT, given=json.dumps(given))))
    return result


def hashed() -> list[str]:
    """Return texts of every length at which the hash takes another way."""
    text = "rows, 行, é " * 120
    return [text[:length] for length in (0, 1, 3, 4, 8, 9, 16, 17, 33, 65, 97, 120, 180, 230, 300, 1100)]


@pytest.mark.parametrize("rows", [FEW, MANY], ids=["few", "many"])
def test_weights_verdicts_and_reasons_are_the_service_s(
    encoder: Encoder, service: RunningService, rows: list[dict[str, Any]]
) -> None:
    name = f"own-{len(rows)}"
    with httpx.Client(base_url=f"{service.url}/v1/collections", timeout=120) as client:
        client.put(name, json={"late": False}).raise_for_status()
        client.post(f"{name}/documents", json={"documents": rows}).raise_for_status()
        page = answered(encoder, rows)
        assert page["lines"] == [{"upserted": len(rows), "refused": [], "truncated": []}, {"done": True}]
        verdicts = set()
        for body, ours in zip(bodies(), page["results"], strict=True):
            theirs = client.post(f"{name}/attend", json=body).raise_for_status().json()
            evidence = theirs["evidence"]
            verdicts.add(evidence["verdict"])
            where = json.dumps(body)
            assert ours["evidence"]["null_weight"] == pytest.approx(evidence["null_weight"], abs=1e-4), where
            assert ours["evidence"]["verdict"] == evidence["verdict"], where
            weights = {match["id"]: (match["weight"], match["similarity"]) for match in ours["matches"]}
            for match in theirs["matches"]:
                if match["id"] in weights:  # equal weights may be cut at another row
                    expected = match["weight"], match["similarity"]
                    assert weights[match["id"]] == pytest.approx(expected, abs=1e-4), where
            assert ours["matches"][0]["weight"] == pytest.approx(theirs["matches"][0]["weight"], abs=1e-4), where
            if body["temperature"] < 1:
                assert NUMBER.sub("#", ours["reason"]) == NUMBER.sub("#", theirs["reason"]), where
                numbers = [[float(number) for number in NUMBER.findall(one["reason"])] for one in (ours, theirs)]
                assert numbers[0] == pytest.approx(numbers[1], abs=1.01, rel=0.01), where
    assert verdicts == {"one", "several", "none"}
    assert page["left"] == []


def test_the_page_orders_a_sample_by_the_service_s_hash(encoder: Encoder) -> None:
    hashes = answered(encoder, FEW)["hashes"]
    assert [int(one) for one in hashes] == [xxh3_64_intdigest(text.encode()) for text in hashed()]
