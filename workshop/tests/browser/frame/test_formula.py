"""The arithmetic of the story is the service's: weights, and the null key's law; and an encoder of both languages."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.browser.reading import module
from tests.thorough import thorough

QUESTION = "books about felines"
TEMPERATURES = (0, 1e-3, 0.05, 1, 1e300)
WEIGH = """({weigh}, {similarities, temperature, none}) => {
  const answer = weigh(similarities, {temperature: temperature ?? Infinity, none});
  return {...answer, weights: [...answer.weights]};
}"""
LEVELS = """({NullKey}, {compared, temperature}) => {
  const nullKey = NullKey.of(compared);
  return nullKey && {none: nullKey.at(temperature ?? Infinity), level: nullKey.level(temperature ?? 1e300)};
}"""
# Two texts in Chinese, then their translations, as unit vectors of a plane.
TOLD_APART = [[1, 0.1], [0.1, 1], [1, 0], [0, 1]]
SWAPPED = [[0.1, 1], [1, 0.1], [1, 0], [0, 1]]
ALL_ALIKE = [[1, 0.1], [1, 0.1], [1, 0], [0, 1]]


def ask(origin: str, call: str, **body: Any) -> dict[str, Any]:
    answer = httpx.post(f"{origin}/v1/collections/library/{call}", json={"query": QUESTION} | body, timeout=60)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


@pytest.mark.parametrize("null", [False, 0.4, "auto", *map(thorough, (0.9999, "lenient", "strict"))])
def test_weights_and_the_null_key_are_the_services(visit: Any, null: Any) -> None:
    opened = visit("explore")
    compared = ask(opened.origin, "compare", temperature=0.2, null=null)
    for temperature in TEMPERATURES:
        answer = ask(opened.origin, "attend", temperature=temperature, null=null, top_k=200)
        finite = temperature if temperature < 1e299 else None
        law = module(opened.page, "/shared/nullkey.js", LEVELS, {"compared": compared, "temperature": finite})
        similarities = [match["similarity"] for match in answer["matches"]]
        arguments = {"similarities": similarities, "temperature": finite, "none": law and law["none"]}
        result = module(opened.page, "/shared/formula.js", WEIGH, arguments)
        evidence = answer["evidence"]
        assert result["weights"] == pytest.approx([match["weight"] for match in answer["matches"]], abs=1e-12)
        assert result["nullWeight"] == pytest.approx(evidence["null_weight"], abs=1e-12)
        assert result["verdict"] == evidence["verdict"]
        assert result["effective"] == pytest.approx(evidence["effective_documents"] or 0, rel=1e-6, abs=1e-9)
        if law:
            assert law["level"] == pytest.approx(evidence["null_similarity"], rel=1e-12)


def test_an_encoder_reads_both_if_each_text_is_nearest_to_its_translation(visit: Any) -> None:
    page = visit("explore").page
    use = "({knowsBoth}, encoded) => knowsBoth(encoded, 2)"
    for vectors, unknown, reads in (
        (TOLD_APART, [0, 0, 0, 0], True),
        (TOLD_APART, [0, 1, 0, 0], False),  # a token that the model does not know
        (SWAPPED, [0, 0, 0, 0], False),
        (ALL_ALIKE, [0, 0, 0, 0], False),  # bytes, of which it knows all, and no word
    ):
        encoded = {"embeddings": vectors, "unknown_tokens": unknown}
        assert module(page, "/shared/foreign.js", use, encoded) is reads
