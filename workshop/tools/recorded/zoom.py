"""The recorded question of the zoom: the calls that its first view makes, with their answers."""

from __future__ import annotations

import base64
import json
import tempfile
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray

from tests.running import RunningService

QUESTION = "what animal makes a purring noise"
COLLECTION = "/v1/collections/library/attend"
LAYERS = list(range(6))
LAYER, HEAD = 5, 6
SHOWN = 8
TOGETHER = 36
OF_HEAD = ["logits", "query", "key", "value", "written", "hidden_states", "neurons"]
FORMAT = {"vector_format": "base64"}


def zoom() -> dict[str, Any]:
    """Ask a service of its own, and return its answers by the calls, and what each head moved."""
    with tempfile.TemporaryDirectory() as folder, RunningService(data_dir=Path(folder), demo=("library",)) as running:
        running.wait_until_ready()
        with running.client() as client:
            answers = {f"{path} {_json(body)}": _post(client, path, body) for path, body in calls()}
            return {"answers": answers, "left": leave_out(client)}


def calls() -> list[tuple[str, dict[str, Any]]]:
    """Return the paths and bodies of the calls, as `deeper/zoom/reading.js` makes them."""
    text = {"text": QUESTION, "purpose": "query"}
    answer = {"top_k": SHOWN, "query": QUESTION, "include": ["key", "value", "key_vector", "explanation"], **FORMAT}
    return [
        ("/v1/trace", {**text, "layers": LAYERS, "include": ["vector"], **FORMAT}),
        ("/v1/trace", {**text, "layers": [LAYER], "heads": [HEAD], "include": OF_HEAD, **FORMAT}),
        (COLLECTION, answer),
    ]


def leave_out(client: httpx.Client) -> dict[str, Any]:
    """Return the weights with all heads, and without each; the head that moves the answer most comes first."""
    text = {"text": QUESTION, "purpose": "query", "heads": [0], **FORMAT}
    traced = _post(client, "/v1/trace", {**text, "include": ["vector", "without_head"]})
    without = _array(traced["without_head"])
    vectors = np.concatenate([[_array(traced["vector"]["embedding"])], without.reshape(-1, without.shape[-1])])
    answers = []
    for first in range(0, len(vectors), TOGETHER):
        queries = vectors[first : first + TOGETHER].astype(np.float64).tolist()
        answers += _post(client, COLLECTION, {"queries": queries, "rerank": None, "top_k": SHOWN, "include": []})[
            "results"
        ]
    before, *after = answers
    left = [
        {
            "layer": i // without.shape[1],
            "head": i % without.shape[1],
            "moved": variation(before, answer),
            "weights": _weights(answer),
        }
        for i, answer in enumerate(after)
    ]
    return {"before": _weights(before), "heads": sorted(left, key=lambda one: -one["moved"])}


def _weights(answer: dict[str, Any]) -> dict[str, float]:
    return {match["id"]: round(match["weight"], 6) for match in answer["matches"]}


def variation(before: dict[str, Any], after: dict[str, Any]) -> float:
    """Return half the sum of the changes of all weights; a row that one answer lacks is among its rest."""
    weights = [{match["id"]: match["weight"] for match in answer["matches"]} for answer in (before, after)]
    both = [name for name in weights[0] if name in weights[1]]
    shares = []
    for answer, of_rows in zip((before, after), weights, strict=True):
        listed = [*(of_rows[name] for name in both), answer["evidence"]["null_weight"]]
        shares.append(np.array([*listed, 1 - sum(listed)]))
    return round(float(np.abs(shares[0] - shares[1]).sum() / 2), 6)


def _post(client: httpx.Client, path: str, body: dict[str, Any]) -> Any:
    answer = client.post(path, json=body).raise_for_status().json()
    answer.pop("took_ms", None)
    return answer


def _json(body: dict[str, Any]) -> str:
    """Return a body as JSON.stringify writes it."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))


def _array(packed: dict[str, Any]) -> NDArray[np.float32]:
    return np.frombuffer(base64.b64decode(packed["base64"]), dtype="<f4").reshape(packed.get("shape", -1))
