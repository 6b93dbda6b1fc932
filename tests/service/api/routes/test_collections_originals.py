"""`VECTOR_STORAGE=files`: a large collection's vectors lie in files without a name, and answers stay what they are."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import orjson

from tests.oracle import similarities
from tests.running import RunningService

N, WIDTH = 9_000, 512


def mapped() -> int:
    """Return how many of this process's mapped files hold originals."""
    return sum("originals-" in line or "(deleted)" in line for line in Path("/proc/self/maps").read_text().splitlines())


def test_originals_in_files_answer_the_same_and_leave_nothing(tmp_path: Path) -> None:
    keys = np.random.default_rng(4).standard_normal((N, WIDTH)).astype("<f4")
    lines = [
        orjson.dumps({"id": str(i), "key_vector": {"base64": base64.b64encode(key.tobytes()).decode()}})
        for i, key in enumerate(keys)
    ]
    with (
        RunningService(data_dir=tmp_path, encoder="none", vector_storage="files") as running,
        running.client() as client,
    ):
        before = mapped()
        client.put(
            "/v1/collections/many", json={"encoder": None, "dimension": WIDTH, "temperature": 0.1}
        ).raise_for_status()
        sent = client.post(
            "/v1/collections/many/documents",
            content=b"\n".join(lines),
            headers={"Content-Type": "application/x-ndjson"},
        )
        assert orjson.loads(sent.text.splitlines()[-1])["upserted"] == N
        assert mapped() > before
        body = {"query": keys[5].tolist(), "top_k": 3, "null": None}
        expected = np.argsort(-similarities("cosine", keys[5], keys))[:3]
        # A scan reads codes, and the originals of the best; for so small an error every original is read.
        for options, method in (({}, "quantised"), ({"max_error": 1e-10}, "exact")):
            answer = client.post("/v1/collections/many/attend", json={**body, **options}).raise_for_status().json()
            assert [match["id"] for match in answer["matches"]] == [str(i) for i in expected]
            assert answer["certificate"]["method"] == method
        files = sorted(path.name for path in tmp_path.rglob("*"))
        assert not [name for name in files if name.startswith("originals-")]
