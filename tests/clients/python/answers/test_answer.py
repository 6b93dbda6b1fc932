"""An answer as a truth value, a line, a sum, a table and a plot."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from threading import Event

import pytest

from softkv.answers.answer import Answer


def answer(*, verdict="one", certain=True, question="who <wrote> it?", null_similarity=0.3, **fields):
    content = {
        "matches": [
            {
                "id": "<b>",
                "similarity": 0.6,
                "logit": 12.0,
                "weight": 0.5,
                "key": "a key",
                "value": "<script>alert(1)",
                "metadata": {"n": 1},
            },
            {
                "id": "c",
                "similarity": 0.2,
                "logit": 4.0,
                "weight": 0.25,
                "key": None,
                "value": {"any": ["JSON"]},
                "metadata": {},
            },
        ],
        "rest_weight": 0.125,
        "complete": True,
        "evidence": {
            "verdict": verdict,
            "verdict_certain": certain,
            "alike": False,
            "null_weight": 0.125,
            "null_similarity": null_similarity,
            "log_partition": 1.0,
            "entropy": 1.0,
            "effective_documents": 2.7,
        },
        "certificate": {"method": "exact", "total_variation": 1e-12, "output_error": None},
        "temperature": 0.05,
        "documents": 1200,
        "keys": 1300,
        "took_ms": 1.5,
        "a field of the future": 1,
        **fields,
    }
    return Answer(content, question=question, request_id="named")


@pytest.mark.parametrize("verdict", ["one", "several", "none"])
def test_an_answer_is_true_if_one_document_stands_out_and_that_is_the_best(verdict):
    result = answer(verdict=verdict)
    assert result.verdict == result.evidence.verdict == verdict
    assert bool(result) is (verdict == "one")
    assert result.best == (result[0] if verdict == "one" else None)


def test_an_answer_without_matches_has_no_best():
    result = answer(matches=[])
    assert (bool(result), result.best) == (True, None)


@pytest.mark.parametrize(
    ("name", "instead"), [("score", "write weight, .*, or similarity"), ("text", "write key, .*, or")]
)
def test_a_match_answers_other_libraries_names_with_its_own(name, instead):
    assert not hasattr(answer()[0], name)
    with pytest.raises(AttributeError, match=f"a match has no {name}: {instead}"):
        getattr(answer()[0], name)


def test_a_misspelled_name_raises_the_error_of_python():
    with pytest.raises(AttributeError, match="'Evidence' object has no attribute 'verdct'"):
        _ = answer().evidence.verdct


def test_an_answer_is_read_while_a_thread_is_in_the_middle_of_reading_another():
    """So it can be read in a process that was forked then, which has no such thread to wait for."""
    reading, done = Event(), Event()

    class Slow(dict):
        def __getitem__(self, name):
            reading.set()
            assert done.wait(60)
            return super().__getitem__(name)

    slow = Answer(Slow(answer()._content))
    with ThreadPoolExecutor(2) as threads:
        matches = threads.submit(lambda: slow.matches)
        assert reading.wait(60)
        assert threads.submit(lambda: answer().matches).result(30) == answer().matches
        done.set()
        assert matches.result() == answer().matches


def test_coverage_counts_the_documents_if_the_service_sent_it():
    assert answer().coverage is None
    result = answer(coverage={"documents": 1200, "total": 1500, "max_missing_weight": 0.25}).coverage
    assert (result.documents, result.total, result.max_missing_weight) == (1200, 1500, 0.25)


def test_an_answer_is_a_sequence_of_its_matches():
    result = answer()
    assert len(result) == 2
    assert [document.id for document in result] == result.ids == ["<b>", "c"]
    assert result[0].weight == 0.5
    assert result[-1] == result[1]
    assert [document.id for document in result[:1]] == ["<b>"]
    assert result.values == ["<script>alert(1)", {"any": ["JSON"]}]
    with pytest.raises(IndexError):
        result[2]


def test_above_null_lists_matches_above_the_null_similarity():
    assert [item.id for item in answer().above_null] == ["<b>"]
    assert len(answer(null_similarity=None).above_null) == 2
    assert answer(null_similarity=0.9).above_null == []


def test_to_text_lists_the_weights_and_their_sum():
    assert answer().to_text().splitlines() == [
        "  0.5000  <b>                    <script>alert(1)",
        '  0.2500  c                      {"any": ["JSON"]}',
        "  0.1250  1,198 other documents",
        "  0.1250  none of these",
        "  1.0000  One document stands out.",
    ]
    surely = answer(matches=[{"id": "a", "similarity": 0.6, "logit": 12.0, "weight": 0.75, "confidence": 0.5}])
    assert surely.to_text().startswith("  0.7500  a                      confidence 0.5000\n  0.1250  1,199 other")


def test_the_repr_of_an_answer_fits_a_line():
    assert repr(answer()) == "<Answer: one document stands out, 2 of 1,200 documents, '<b>' 0.500, null 0.125>"
    assert repr(answer(verdict="several")).startswith("<Answer: several share it, 2 of")
    nothing = repr(answer(verdict="none", certain=False))
    assert nothing.startswith("<Answer: nothing here about that (within its error: a smaller max_error settles it), 2")
    long = {"id": "x" * 256, "similarity": 0.6, "logit": 12.0, "weight": 0.5, "value": "y" * 500}
    assert len(repr(answer(matches=[long]))) <= 120
    assert len(repr(answer(matches=[long])[0])) <= 160
    assert repr(answer(matches=[])) == "<Answer: one document stands out, 0 of 1,200 documents, null 0.125>"


def test_a_notebook_shows_a_bar_for_each_weight():
    page = answer()._repr_html_()
    assert set(re.findall(r"<(\w+)", page)) <= {"table", "caption", "tbody", "tr", "td", "div"}
    texts = set(map(unescape, re.findall(r">([^<>]+)<", page)))
    assert {"<b>", "<script>alert(1)", "who <wrote> it?", "none of these", "1,198 others", "0.5000"} <= texts
    styles = re.findall(r'style="([^"]*)"', page)
    bars = [style for style in styles if style.startswith("width:") and "height" in style]
    assert [bar.split(";")[0] for bar in bars] == ["width:50.00%", "width:25.00%", "width:12.50%", "width:12.50%"]
    assert "#8c8c8c" in bars[-1]
    assert not any("#8c8c8c" in bar for bar in bars[:-1])
    # It sets only the bars' colours, so it is readable on a light and on a dark page.
    assert all("color:inherit" in style for style in styles if style.startswith(("border", "padding:2px 8px;text")))


def test_tables():
    frame = answer().to_pandas()
    assert frame["id"].tolist() == ["<b>", "c"]
    assert frame["value"].tolist()[1] == {"any": ["JSON"]}
    table = answer().to_arrow().to_pylist()
    assert [row["weight"] for row in table] == [0.5, 0.25]
    assert [row["value"] for row in table] == ["<script>alert(1)", '{"any": ["JSON"]}']
    assert table[0]["metadata"] == '{"n": 1}'
    sure = answer(matches=[{"id": "a", "weight": 0.5, "confidence": 0.25, "similarity": 1.0, "logit": 2.0}])
    assert sure.to_pandas()["confidence"].tolist() == [0.25]
    assert sure.rows() == [{"id": "a", "weight": 0.5, "confidence": 0.25, "similarity": 1.0, "logit": 2.0}]
    bare = answer(matches=[{"id": "a", "similarity": 1.0, "logit": None, "weight": 0.0}])
    assert list(bare.to_pandas().columns) == ["id", "weight", "similarity", "logit"]


def test_a_table_has_its_columns_without_matches_and_where_only_some_matches_have_a_field():
    empty = answer(matches=[])
    names = ["id", "weight", "similarity", "logit", "key", "value", "metadata"]
    assert list(empty.to_pandas().columns) == names
    assert empty.to_pandas()["id"].tolist() == []
    assert empty.to_arrow().column_names == names
    match = {"id": "a", "weight": 0.5, "similarity": 1.0, "logit": 2.0, "key": None}
    mixed = answer(matches=[match, match | {"id": "b", "confidence": 0.25}]).to_arrow()
    assert mixed["confidence"].to_pylist() == [None, 0.25]
    assert mixed.schema.field("key").type == empty.to_arrow().schema.field("key").type
