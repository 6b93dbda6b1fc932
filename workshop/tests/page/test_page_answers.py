"""What an exported page computes itself, against the service: attention on matrices, searches, and the null key."""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from softkv_service.datasets import DEMOS
from softkv_service.encoding import Encoder, load_encoder
from softkv_service.retrieval.collections import parse_filter
from softkv_service.storage import temporary_search
from softkv_service.storage.records import SearchRow
from tests.running import RunningService
from tools.node import ROOT, checked, node

pytestmark = pytest.mark.node

SCRIPT = Path("workshop", "tests", "page", "answer_calls.mjs")
FICTION = {"field": "metadata.shelf", "operator": "==", "value": "fiction"}
MASKED = {"field": "id", "operator": "not in", "value": ["cats", "whales"]}
FILTERS: list[Any] = [None, FICTION, MASKED, {"operator": "AND", "conditions": [FICTION, MASKED]}]
QUERIES = ["books about felines", "a boy and a dog", 'what\'s a "cat"? A Cat!', "cats", "Émile's CAFÉ", "?!", ""]
QUERIES += ["softkv是什么？ 猫", "ﾗｰﾒﾝ が 人々", "น้ำตาลไม่ดี ก", "𠮷野家ｃａｔ", "한국어를 학", "မြန်မာ ទឹក ລາວ", "STRASSE"]
FOREIGN = [
    "softkv是一个工具",
    "猫と人々がラーメンを",
    "熊猫",
    "น้ำตาลดี",
    "น ไม่ดีก",
    "𠮷野家の cat",
    "한국어 학교",
    "မြန်မာစာ",
    "ទឹកមាន",
    "ພາສາລາວ",
    "か",
    "Die Straße",
]
LIBRARY = [
    *DEMOS["library"].documents(),
    *({"id": f"f{i}", "key": key, "value": i, "metadata": {"shelf": ""}} for i, key in enumerate(FOREIGN)),
]
CHOICES = ("auto", "lenient", "strict")
ROWS = [
    {"id": str(i), "key": key, "value": key}
    for i, key in enumerate(["cats", "board games", "the moon", "fresh bread", "a walk in the rain"])
]


def requests() -> list[dict[str, Any]]:
    """Return bodies of `POST /v1/attend` that the pictures can send, and others like them."""
    random = np.random.default_rng(45)
    numbers = {name: random.normal(size=shape).round(3).tolist() for name, shape in SHAPES.items()}
    base = {name: numbers[name] for name in ("query", "key", "value")}
    mask = (np.tri(3, 4, 1) > 0).tolist()
    projections = {name: numbers[name] for name in ("W_Q", "W_K", "W_V", "W_O")}
    bodies = [
        base | {"similarity": similarity, "temperature": temperature, "mask": masked, "null": null}
        for similarity, temperature, masked, null in product(
            ("dot", "scaled_dot", "cosine", "gaussian"), (0, 0.1, 1, 1e300), (None, mask), (None, 0.2)
        )
    ]
    bodies.append(base | {"similarity": "bilinear", "parameters": {"W": numbers["W"]}})
    additive = {"W_q": numbers["W"], "W_k": numbers["W"], "v": [1.0, -0.5, 2.0, 0.25]}
    bodies.append(base | {"similarity": "additive", "parameters": additive})
    bodies += [base | {"projections": {**projections, "n_heads": heads}, "mask": mask} for heads in (1, 2)]
    recalled = {"query": numbers["query"], "key": numbers["key"], "value": numbers["key"], "similarity": "dot"}
    bodies += [recalled | {"hopfield_steps": 3, "temperature": temperature} for temperature in (0, 0.5, 1e300)]
    return [{name: part for name, part in body.items() if part is not None} for body in bodies]


SHAPES = dict.fromkeys(("key", "W", "W_Q", "W_K"), (4, 4)) | {
    "query": (3, 4),
    "value": (4, 2),
    "W_V": (2, 4),
    "W_O": (4, 2),
}


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return load_encoder("all-MiniLM-L6-v2", precision="int16")


@pytest.fixture(scope="module")
def page(encoder: Encoder) -> dict[str, Any]:
    backgrounds = {name: asdict(spread) for name, spread in encoder.backgrounds._asdict().items()}
    backgrounds["temperature"] = encoder.temperature.value
    vectors = encoder.encode([row["key"] for row in ROWS], "document").vectors.tolist()
    given = {
        "arrays": [body | {"intermediates": True} for body in requests()],
        "searches": [
            {"rows": LIBRARY, "query": query, "filter": condition, "limit": 5}
            for query, condition in product(QUERIES, FILTERS)
        ],
        "backgrounds": [
            {
                "rows": ROWS,
                "vectors": vectors,
                "query": query,
                "vector": encoder.encode([query], "query").vectors[0].tolist(),
                "choice": choice,
                "filter": None,
                "encoder": backgrounds,
            }
            for query, choice in product(("kitten", "which animal purrs and catches mice?"), CHOICES)
        ],
    }
    answers: dict[str, Any] = json.loads(checked(node(ROOT, SCRIPT, given=json.dumps(given))))
    return answers


def compare(ours: Any, theirs: Any, where: str, tolerance: float = 1e-9) -> None:
    """Compare two JSON values, numbers nearly."""
    if isinstance(theirs, dict):
        for name in theirs:
            compare(ours[name], theirs[name], f"{where}/{name}", tolerance)
    elif isinstance(theirs, list):
        assert len(ours) == len(theirs), where
        for i, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            compare(one, other, f"{where}/{i}", tolerance)
    elif isinstance(theirs, int | float):
        assert ours == pytest.approx(theirs, rel=tolerance, abs=tolerance), where
    else:
        assert ours == theirs, where


def test_attention_on_matrices_is_the_service_s(page: Any, service: RunningService) -> None:
    bodies = requests()
    assert len(page["arrays"]) == len(bodies) > 30
    for body, ours in zip(bodies, page["arrays"], strict=True):
        answer = httpx.post(f"{service.url}/v1/attend", json=body | {"intermediates": True}, timeout=60)
        compare(ours, answer.raise_for_status().json(), json.dumps({**body, "query": "", "key": "", "value": ""}))


def test_searches_match_the_database_and_show_its_statements(page: Any) -> None:
    rows, found = LIBRARY, 0
    for (query, condition), ours in zip(product(QUERIES, FILTERS), page["searches"], strict=True):
        allowed = [row for row in rows if condition in (None, MASKED) or row["metadata"]["shelf"] == "fiction"]
        with temporary_search([SearchRow(row["id"], row["key"], row["value"]) for row in rows]) as search:
            statements = [
                search.equal(query, 5, parse_filter(condition)),
                search.full_text(query, 5, parse_filter(condition)),
            ]
            everything = [search.equal(query, len(rows), None), search.full_text(query, len(rows), None)]
        names = {row["id"] for row in allowed} - set(MASKED["value"] if condition not in (None, FICTION) else ())
        for kind, statement, whole in zip(("sql", "full_text"), statements, everything, strict=True):
            assert ours[kind]["statement"] == statement.statement
            assert ours[kind]["parameters"] == dict(statement.parameters)
            # The database here has no metadata: what passes is told apart beside it.
            expected = [row.id for row in whole.rows if row.id in names][:5]
            assert [row["id"] for row in ours[kind]["rows"]] == expected, (query, condition)
            found += len(expected)
    assert found > 20


def test_the_null_key_has_the_background_of_the_service(page: Any, service: RunningService) -> None:
    asked = product(("kitten", "which animal purrs and catches mice?"), CHOICES)
    for (query, choice), ours in zip(asked, page["backgrounds"], strict=True):
        body = {"query": query, "rows": ROWS, "null": choice}
        answer = httpx.post(f"{service.url}/v1/compare", json=body, timeout=60).raise_for_status().json()
        theirs = answer["background"]
        assert ours["of"] == theirs["of"], (query, choice)
        bounds = {name: theirs[name] for name in ("mean", "deviation", "pairs", "fades_from")}
        assert {name: ours[name] for name in bounds} == pytest.approx(bounds, abs=1e-5), (query, choice)
        for name in ("at_most", "at_least"):
            compare(ours[name], theirs[name], f"{query}/{choice}/{name}", 1e-5)
        assert (theirs["at_least"] is not None) == (choice == "auto" and " " in query)
