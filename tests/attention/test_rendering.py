"""The tables by which answers show themselves in a notebook."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from softkv_attention.lookup import Memory, Question, answer
from softkv_attention.rendering import bars_html

KEYS = np.random.default_rng(0).standard_normal((40, 8))


class Tags(HTMLParser):
    """The tags and the texts of a table."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.mark.parametrize("top_k", [3, 20, 40])
def test_an_answer_is_a_table_whose_weights_sum_to_one(top_k: int) -> None:
    result = answer(Memory.of(KEYS), Question(KEYS[0], 0.2, null=0.5, top_k=top_k))
    page = result._repr_html_()
    table = Tags(page)
    assert table.tags == {"table", "tbody", "tr", "td", "div"}
    assert sum(float(text) for text in table.texts if re.fullmatch(r"[01]\.\d{4}", text)) == pytest.approx(1, abs=1e-3)
    listed = min(top_k, 10)
    assert f"{40 - listed} others" in table.texts
    assert "none of these, similarity 0.5000" in table.texts
    assert table.texts[-1].startswith("several share the weight; T = 0.2; exact, total variation ≤ ")
    assert f"width:{100 * result.weights[0]:.2f}%" in page


def test_texts_are_escaped() -> None:
    page = bars_html([("<script>", 0.5, "red")], "a < b")
    assert "<script>" not in page
    assert {"<script>", "a < b"} <= set(Tags(page).texts)
