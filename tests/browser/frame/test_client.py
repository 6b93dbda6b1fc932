"""The TypeScript client in a page: the bundle that is beside the page's own files, imported and asked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.running import RunningService

# Each is given the client's module, and an address to ask.
ASK = """async ([path, url]) => {
  const { Client, NotFound } = await import(path);
  const client = new Client({ url });
  const library = client.collection("library");
  const how = { top_k: 1, include: ["output", "key"] };
  const [one, other] = await library.attend(["pets that purr", "flurb zindle quax"], how);
  const missing = await client.collection("nowhere").info().catch((error) => error);
  return {
    verdicts: [one.verdict, other.verdict], best: [one.best.id, other.best],
    key: one.matches[0].key, width: one.output.length,
    is32: one.output instanceof Float32Array, named: /^[0-9a-f]{32}$/.test(one.requestId),
    missing: [missing instanceof NotFound, missing.code, missing.name],
  };
}"""
UPLOAD = """async ([path, url]) => {
  const { Client } = await import(path);
  const shelf = new Client({ url }).collection("from-a-browser");
  await shelf.create({ encoder: null, similarity: "dot" });
  async function* rows() {
    for (let n = 0; n < 2500; n++) yield { id: `n${n}`, key_vector: new Float32Array([n, 1]), metadata: { n } };
    yield { id: "", key_vector: [1, 2] };
  }
  try {
    const seen = [];
    const report = await shelf.upsert(rows(), { onProgress: ({ acknowledged }) => seen.push(acknowledged) });
    const found = [];
    for await (const { id } of shelf.find({ page: 1000 })) found.push(id);
    return { seen, upserted: report.upserted, refused: report.refused.map((each) => each.row), found: found.length };
  } finally {
    await shelf.drop();
  }
}"""
REFUSED = """async ([path, url]) => {
  const { Client } = await import(path);
  const error = await new Client({ url, retries: 0 }).info().catch((error) => error);
  return [error.name, error.status ?? null];
}"""


@pytest.fixture
def page(chromium: Any, site: RunningService) -> Iterator[Any]:
    """An empty page of the service's origin, which may ask others."""
    context = chromium.new_context(bypass_csp=True)
    opened = context.new_page()
    opened.goto(f"{site.url}/explore")
    yield opened
    context.close()


@pytest.fixture
def module(site: RunningService) -> str:
    """Return the path of the bundle."""
    with site.client() as client:
        (digest,) = set(re.findall(r'"assets/(\w+)/', client.get("/explore").text))
        path = f"/assets/{digest}/vendor/softkv/softkv.js"
        assert client.get(path).headers["content-type"].startswith("text/javascript")
    return path


def test_the_client_queries_the_origin_of_the_page(page: Any, module: str) -> None:
    assert page.evaluate(ASK, [module, ""]) == {
        "verdicts": ["one", "none"],
        "best": ["old-possums-book-of-practical-cats", None],
        "key": "cats",
        "width": 384,
        "is32": True,
        "named": True,
        "missing": [True, "collection_not_found", "NotFound"],
    }


def test_the_client_uploads_rows_while_they_are_made(page: Any, module: str) -> None:
    came = page.evaluate(UPLOAD, [module, ""])
    assert came == {"seen": [1000, 2000, 2501], "upserted": 2500, "refused": [2500], "found": 2500}


def test_the_client_queries_another_origin_if_cors_allows_it(
    page: Any, module: str, site: RunningService, tmp_path: Any
) -> None:
    settings = {"encoder": "none", "demo": (), "cors_origins": (site.url,)}
    with RunningService(data_dir=tmp_path / "open", **settings) as other:
        came = page.evaluate(UPLOAD, [module, other.url])
    assert (came["upserted"], came["found"]) == (2500, 2500)
    with RunningService(data_dir=tmp_path / "closed", encoder="none") as other:
        assert page.evaluate(REFUSED, [module, other.url]) == ["Unreachable", None]
