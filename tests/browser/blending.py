"""A second implementation of blends of visible values, and the page's own."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import httpx

from tests.browser.reading import checked


def light(colour: str) -> list[float]:
    """Convert #rrggbb to linear light: a second implementation of IEC 61966-2-1."""
    shares = [int(colour[position : position + 2], 16) / 255 for position in (1, 3, 5)]
    return [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]


def colour(components: list[float]) -> str:
    shares = [part * 12.92 if part <= 0.0031308 else 1.055 * part ** (1 / 2.4) - 0.055 for part in components]
    return "#" + "".join(f"{round(share * 255):02x}" for share in shares)


def near(one: str, other: str) -> bool:
    """Return whether all components differ by at most a rounding error."""
    return all(
        abs(int(one[position : position + 2], 16) - int(other[position : position + 2], 16)) <= 1
        for position in (1, 3, 5)
    )


def own(values: list[str], **more: str) -> str:
    """A permalink of rows with these values."""
    rows = [{"id": f"row-{i}", "key": f"card {i}", "value": value} for i, value in enumerate(values)]
    parameters = "".join(f"&{name}={text}" for name, text in more.items())
    return f"#scene=values&query=card&rows={quote(json.dumps(rows))}{parameters}"


def memory(page: Any) -> dict[str, Any]:
    """Return the rows and the question on the page."""
    pairs = zip(
        *([f.input_value() for f in page.locator(f".rows .{n}-text").all()] for n in ("key", "value")), strict=True
    )
    rows = [{"id": str(i), "key": key, "value": value} for i, (key, value) in enumerate(pairs)]
    return {"query": page.locator("#question").input_value(), "rows": rows}


def compared(origin: str, question: dict[str, Any], temperature: float, null: Any = "auto") -> dict[str, Any]:
    body = {**question, "temperature": temperature, "null": null, "top_k": 100}
    answer = httpx.post(f"{origin}/v1/compare", json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["attention"])


def attended(
    origin: str, question: dict[str, Any], values: list[list[float]], attention: dict[str, Any]
) -> list[float]:
    """Return the output over the texts' vectors, with the numbers as values."""

    def encoded(texts: list[str], purpose: str) -> Any:
        body = {"texts": texts, "purpose": purpose}
        return httpx.post(f"{origin}/v1/encode", json=body, timeout=60).json()["embeddings"]

    answer = httpx.post(
        f"{origin}/v1/attend",
        json={
            "query": encoded([question["query"]], "query"),
            "key": encoded([row["key"] for row in question["rows"]], "document"),
            "value": values,
            "similarity": "cosine",
            "temperature": attention["temperature"],
            "null": attention["evidence"]["null_similarity"],
        },
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
    (output,) = answer.json()["output"]
    return list(output)


def shown(page: Any) -> list[float]:
    """Return the numbers of the output in the page."""
    return [float(part) for part in (page.get_attribute("#output-node", "data-vector") or "").split()]


def roomy(page: Any) -> bool:
    """Return whether the picture has the width that values.css requires for a map beside the rows: 45 rem."""
    rem = page.evaluate("parseFloat(getComputedStyle(document.documentElement).fontSize)")
    return bool(page.locator(".picture").bounding_box()["width"] >= 45 * rem)


def switched(opened: Any, kind: str) -> Any:
    """Switch the scene to rows of a kind, and compare it with the service."""
    opened.page.click(f"#set-{kind}")
    opened.page.wait_for_selector(f"#set-{kind}[aria-pressed=true]")
    opened.settle()
    checked(opened.page)
    return opened.page
