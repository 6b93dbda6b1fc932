"""Output on the terminal: answers in full, on plain terminals, and of documents with control characters."""

from __future__ import annotations

import io
import subprocess
import sys
from typing import Any

import pytest
from rich.console import Console

from softkv.commands.console import one_line, output, show_answer, weight_bar
from tests.examples import ROOT


def test_any_text_becomes_one_line() -> None:
    assert one_line("a\tb\n\n c\x00d\u2028e\x9bf") == "a b c d e f"
    assert one_line("naïve 注意力 👩\u200d🔬") == "naïve 注意力 👩\u200d🔬"


@pytest.mark.parametrize(("columns", "lines"), [(None, 1), ("40", 3)])
def test_a_pipe_gets_whole_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: str | None, lines: int
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns is not None:
        monkeypatch.setenv("COLUMNS", columns)
    output().print("ten letter " * 10)
    assert len(capsys.readouterr().out.splitlines()) == lines


@pytest.mark.parametrize("weight", [0.0, 1e-9, 0.01, 0.5, 0.51, 0.999, 1.0, 1.0000001])
def test_a_bar_is_as_long_as_its_weight(weight: float) -> None:
    bar = weight_bar(weight, 8, ascii_only=False)
    assert len(bar) == 8
    eighths = sum({"█": 8, " ": 0}.get(mark, " ▏▎▍▌▋▊▉".index(mark) if mark != "█" else 8) for mark in bar)
    assert eighths / 64 == pytest.approx(min(weight, 1), abs=1 / 128)
    assert abs(weight_bar(weight, 8, ascii_only=True).count("#") / 8 - weight) <= 1 / 16 + 1e-6


REASON = "No document stands out: “a” has 50 % of the weight. The best match has similarity 0.71."


def answer(*, key: str | None = "a key", value: Any = "a value", **evidence: Any) -> dict[str, Any]:
    """An answer with one match that holds half of the weight."""
    fields = {
        "verdict": "several",
        "verdict_certain": True,
        "alike": False,
        "null_weight": 0.25,
        "null_similarity": 0.35,
        "log_partition": 14.7,
        "entropy": 0.5,
        "effective_documents": 1.6,
    }
    return {
        "matches": [{"id": "a", "similarity": 0.71, "logit": 14.2, "weight": 0.5, "key": key, "value": value}],
        "rest_weight": 0.25,
        "reason": REASON,
        "evidence": fields | evidence,
        "temperature": 0.05,
        "documents": 1200,
        "took_ms": 2.1,
    }


def shown(answer_fields: dict[str, Any], width: int = 80, **options: Any) -> str:
    written = io.StringIO()
    show_answer(answer_fields, Console(file=written, width=width, markup=False, highlight=False, **options))
    return written.getvalue()


@pytest.mark.parametrize(
    ("width", "value", "expected"),
    [
        (90, "T. S. Eliot", "old-possums-book-of-practical-cats"),
        (90, "a long value " * 20, "old-possums-book-of-practica…"),
        (105, "a long value " * 20, "old-possums-book-of-practical-cats"),
    ],
)
def test_an_id_is_cut_only_if_it_and_the_texts_need_the_space(width: int, value: str, expected: str) -> None:
    fields = answer(key="cats", value=value)
    fields["matches"][0]["id"] = "old-possums-book-of-practical-cats"
    (line,) = (line for line in shown(fields, width).splitlines() if "old-possums" in line)
    assert line.split()[3] == expected


def test_missing_documents_are_shown_with_their_weight() -> None:
    fields = {"coverage": {"documents": 1200, "total": 1200, "max_missing_weight": 0.0}}
    assert shown(answer() | fields) == shown(answer())
    partly = {"coverage": {"documents": 1200, "total": 1500, "max_missing_weight": 0.255}}
    lines = shown(answer() | partly).splitlines()
    assert lines[-2] == "300 of 1,500 documents missing: they have 25.5% of all weight at most."
    assert "".join(lines[-5:-2]).startswith("No document stands out: ")


def test_an_answer_in_full() -> None:
    lines = [line.rstrip() for line in shown(answer()).splitlines()]
    assert lines == [
        "weight           similarity  id  key, value",
        "████     0.5000      0.7100  a   a key",
        "                                 a value",
        "██       0.2500                  the other 1,199 documents",
        "██       0.2500      0.3500      none of these",
        "",
        "No document stands out: “a” has 50 % of the weight. The best match has",
        "similarity 0.71.",
        "rests on 1.6 of 1,200 documents · log-partition 14.70 · T 0.05 · 2.1 ms",
    ]


def test_missing_parts_of_an_answer_are_left_out() -> None:
    """Other normalisers have no log-partition, an empty answer has no effective documents."""
    text = shown(answer(null_similarity=None, null_weight=0.0, log_partition=None, effective_documents=None))
    assert "none of these" not in text.lower()
    assert "log-partition" not in text
    assert "\n1,200 documents · T 0.05" in text
    assert shown(answer(key="the same", value="the same")).count("the same") == 1
    assert '{"any": ["JSON", null]}' in shown(answer(key=None, value={"any": ["JSON", None]})).splitlines()[1]


def test_markup_and_control_characters_of_documents_are_inert() -> None:
    text = shown(answer(key="[bold red]x[/] :smile:", value="\x1b[2J\x07\u202e\r\nup"), force_terminal=True)
    assert "[bold red]x[/] :smile:" in text
    assert "\x1b[2J" not in text
    assert "\x07" not in text
    assert "\u202e" not in text


def test_an_ascii_terminal_shows_replacement_characters() -> None:
    code = (
        "from softkv.commands.console import show_answer; from softkv.commands.console import output;"
        f"show_answer({answer(key='naïve 猫')!r}, output())"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        check=True,
        env={"PYTHONIOENCODING": "ascii", "COLUMNS": "80", "PYTHONPATH": str(ROOT / "clients" / "python")},
    ).stdout.decode("ascii")
    assert "####     0.5000" in printed
    assert "na?ve ?" in printed
    assert "documents | log-partition" in printed
