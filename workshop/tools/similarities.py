"""The similarities that the story on the page shows before a reader asks: `python -m workshop.tools.similarities`.

They are the service's own answers to the questions about the rows in `workshop/softkv_workshop/web/story/rows.json`.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import httpx

from tests.running import RunningService
from tools import ROOT

STORY = ROOT / "workshop" / "softkv_workshop" / "web" / "story"
ROWS, RECORDED = STORY / "rows.json", STORY / "recorded.json"
DIGITS = 7  # of a similarity; float32 has about as many


def record(client: httpx.Client) -> dict[str, list[dict[str, Any]]]:
    """Return, by question, the keys that it is asked about, their similarities and the background of a null key."""
    recorded: dict[str, list[dict[str, Any]]] = {}
    for memory in json.loads(ROWS.read_text()).values():
        keys = [row["key"] for row in memory["rows"]]
        rows = [{"id": str(i), "key": key, "value": key} for i, key in enumerate(keys)]
        for query in memory["queries"]:
            answer = client.post("/v1/compare", json={"query": query, "rows": rows, "top_k": 1000, "null": "auto"})
            content = answer.raise_for_status().json()
            similarities = {int(match["id"]): match["similarity"] for match in content["attention"]["matches"]}
            recorded.setdefault(query, []).append(
                {
                    "keys": keys,
                    "similarities": [round(similarities[i], DIGITS) for i in range(len(keys))],
                    "background": content["background"],
                }
            )
    return recorded


def write() -> None:
    """Ask a service of its own, and write its answers to where the story reads them."""
    with tempfile.TemporaryDirectory() as folder, RunningService(data_dir=Path(folder), precision="float32") as running:
        running.wait_until_ready()
        with running.client() as client:
            recorded = record(client)
    RECORDED.write_text(json.dumps(recorded, ensure_ascii=False, indent=1) + "\n")


if __name__ == "__main__":
    write()
